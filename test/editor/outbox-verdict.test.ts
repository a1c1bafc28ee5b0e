/** Verdicts about delivered messages in the outbox tab, with the sandbox as Redox and the destination. */
import assert from 'node:assert/strict'
import { startSandbox, type Sandbox } from '../../src/sandbox'
import { typed } from '../lib/client'
import { eventually } from '../lib/eventually'
import { checkNothingIsCut } from './accessibility'
import { askToSendAgain, choose, details, filter, line, many, search, tab, useOutbox } from './outbox'
import { checkContrast, inEveryLook, showTab } from './tabs'

const LOG = {
  ...{ id: 'outboxlog', type: 'redox-log', z: 'outboxtab', connection: 'outboxconfig', x: 700, y: 80 },
  ...{ ...typed({ logIds: 'redox.logIds' }, 'msg'), followMinutes: '0.02', wires: [[]] },
}

describe('verdicts in the outbox of the editor', function () {
  this.timeout(240_000)
  const opened = useOutbox()
  let sandbox: Sandbox

  before(async () => void (sandbox = await startSandbox()))
  after(() => sandbox?.close())

  /** Deploys a connection to the sandbox with a delivery plan, and shows a message that has this reason in the end. */
  async function judged(documentId: string, deliveries: string, reason: string): Promise<string> {
    const { editor, page, client } = opened()
    const { url } = await sandbox.openListener('', undefined, deliveries)
    await client.deploySandbox({ ...sandbox, url }, { storeOrder: 'none' }, {}, [LOG])
    // The editor has to load the deployed nodes, because its debug sidebar throws for errors of unknown nodes.
    await editor.reload()
    const { id } = await client.accept({ documentId })
    await eventually(
      `${id} is ${reason}`,
      async () => (await client.get(`messages/${id}`))['reason'] === reason,
    )
    await showTab(page, 'outbox')
    await filter(page, 'Delivered').click()
    await line(page, id as string).click()
    return id as string
  }

  it('shows what the destination refused, why sending again is right, and finds it by its log', async () => {
    const { editor, page, client } = opened()
    const id = await judged('doc-refused', 'delay 0\nany refuse', 'REDOX_NOT_DELIVERED')
    await line(page, id).getByText('Delivered to Redox · refused by the destination').waitFor()
    assert.equal(await line(page, id).locator('.redox-outbox-refused .fa-exclamation-triangle').count(), 1)
    const [logId] = (await client.get(`messages/${id}`))['delivery'].logIds as string[]
    await details(page)
      .getByText(`log ${logId}: refused by the destination · stage: request · answer: 400`)
      .waitFor()
    assert.equal(await details(page).getByText('Log IDs').count(), 0)
    await askToSendAgain(page, 'the destination refused it, so it has not arrived')
    await editor.screenshot('outbox-refused-by-destination')
    const open = async (): Promise<void> => {
      await filter(page, 'Delivered').click()
      await line(page, id).click()
      await details(page).getByText(`log ${logId}`).waitFor()
    }
    await inEveryLook(editor, 'outbox', open, async () => {
      await checkNothingIsCut(tab(page))
      await checkContrast(
        tab(page),
        '.redox-outbox-refused',
        '.redox-tab-details dt',
        '.redox-tab-details dd',
      )
    })
    await filter(page, 'All').click()
    await search(page, logId!)
    await line(page, id).waitFor()
    assert.equal(await tab(page).locator('.redox-tab-line').count(), 1)
    await search(page, '')
  })

  it('leads to what the destination refused, and counts it until a person decides', async () => {
    const { editor, page, client } = opened()
    const dot = page.locator('.redox-tab-mark-outbox:visible').first()
    const id = await judged('doc-led', 'delay 0\nany refuse', 'REDOX_NOT_DELIVERED')
    const [other] = await client.messages(`state=delivered&code=REDOX_NOT_DELIVERED&limit=1`)
    for (const more of [other!['id'] as string].filter((one) => one !== id))
      assert.equal((await client.decide(more, 'discard', 'end of the test before')).status, 204)
    await dot.waitFor()
    // An editor that is opened now shows the refused messages first.
    await editor.reload()
    await showTab(page, 'outbox')
    await tab(page).getByRole('button', { name: 'Refused 1', pressed: true }).waitFor()
    await dot.waitFor()
    await line(page, id).click()
    await details(page).getByRole('button', { name: 'Discard' }).click()
    await details(page).getByText('Do this only if the destination does not need it.').waitFor()
    await details(page).getByRole('button', { name: 'Cancel' }).click()
    await editor.screenshot('outbox-refused')
    const status = page.locator('.red-ui-flow-node-status-label', { hasText: 'not delivered' })
    await status.getByText('1 not delivered').waitFor()
    await choose(page, 'Mark as delivered', 1)
    await many(page).getByText('The messages no longer count as refused.').waitFor()
    await many(page).getByRole('button', { name: 'Cancel' }).click()
    await details(page).getByRole('button', { name: 'Mark as delivered' }).click()
    await details(page).getByText('The message then no longer counts as refused').waitFor()
    await details(page).getByLabel('Reason').fill('sent by fax')
    await page.keyboard.press('Enter')
    await tab(page).getByRole('button', { name: 'Refused 0', pressed: true }).waitFor()
    await dot.waitFor({ state: 'detached' })
    await tab(page).getByText('No refused messages.').waitFor()
    await status.waitFor({ state: 'detached' })
    await filter(page, 'Delivered').click()
    await tab(page).getByRole('button', { name: 'Refused' }).waitFor({ state: 'hidden' })
  })

  it('shows what the destination accepted, and that sending again makes a copy', async () => {
    const { editor, page } = opened()
    const id = await judged('doc-accepted', 'delay 0', 'accepted')
    await line(page, id).getByText('Delivered to Redox · accepted by the destination').waitFor()
    await askToSendAgain(page, 'The destination has accepted it.')
    await editor.screenshot('outbox-accepted-by-destination')
  })

  it('shows what was not confirmed', async () => {
    const { editor, page } = opened()
    const id = await judged('doc-open', 'delay 600', 'REDOX_NOT_CONFIRMED')
    await line(page, id).getByText('Delivered to Redox · not confirmed by the destination').waitFor()
    await askToSendAgain(page, 'Redox has it.')
    await editor.screenshot('outbox-not-confirmed')
  })
})
