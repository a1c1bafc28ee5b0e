/** Try now in the outbox tab: for the destination of a message, and for all destinations. */
import assert from 'node:assert/strict'
import { eventually } from '../lib/eventually'
import { OTHER_DESTINATION } from '../lib/outbox'
import { reply } from '../lib/scripted-server'
import { details, filter, line, tab, useOutbox } from './outbox'
import { showTab } from './tabs'

describe('try now in the outbox of the editor', function () {
  this.timeout(240_000)
  const opened = useOutbox()

  it('tries the destination of a message now, and all destinations with one click', async () => {
    const { editor, page, client, redox } = opened()
    await client.deploy(redox.url)
    await editor.reload()
    redox.script('send', reply(503, {}, { 'retry-after': '100' }))
    const { id } = await client.accept({ documentId: 'doc-now' })
    const { id: other } = await client.accept({ documentId: 'doc-now-2', destination: OTHER_DESTINATION })
    const attempts = async (of: string): Promise<number> =>
      (await client.get(`messages/${of}`))['attempts'] as number
    for (const one of [id, other]) await eventually('it failed', async () => (await attempts(one)) === 1)
    await showTab(page, 'outbox')
    await filter(page, 'Waiting').click()
    await line(page, id).click()
    const tryIt = details(page).getByRole('button', { name: 'Try its destination now' })
    assert.match((await tryIt.getAttribute('title'))!, /Messages that wait behind others keep their order/)
    await editor.screenshot('outbox-try-its-destination')
    await tryIt.click()
    await eventually('it was tried', async () => (await attempts(id)) === 2)
    assert.equal(await attempts(other), 1)
    redox.script('send')
    const destinations = tab(page).locator('.redox-outbox-destinations')
    await destinations.getByRole('button', { name: 'Try all now' }).click()
    for (const one of [id, other]) await client.until(one, 'delivered')
    await tab(page).getByText('Audit log', { exact: true }).click()
    const lines = tab(page).locator('.redox-outbox-record li')
    await lines.nth(1).waitFor()
    const said = await lines.allInnerTexts()
    assert.match(said[0]!, / · tried now · \*$/)
    assert.match(said[1]!, / · tried now · Data Model [^·]+$/)
    await editor.screenshot('outbox-tried-now')
  })
})
