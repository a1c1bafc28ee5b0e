/** Documents and identifiers of messages in the outbox tab, in a browser with a real Node-RED. */
import assert from 'node:assert/strict'
import { readFile, readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import type { Page } from 'playwright-core'
import { eventually } from '../lib/eventually'
import { fixture, sha256 } from '../lib/fixtures'
import type { Json, OutboxClient } from '../lib/outbox'
import { attached, flowWithNodes, inData, isOpen, senderOf, type Send } from '../lib/outbox-documents'
import type { Editor } from './editor'
import { countUrls, openUrls, untilPainted } from './files'
import { checkLooks, details, filter, line, PWN, REFUSED, tab, useOutbox } from './outbox'
import { inEveryLook, showTab } from './tabs'

const PDF = fixture('gingival-mass.pdf')
const PNG = fixture('chart.png')
const HTML = Buffer.from(`<!DOCTYPE html><body>${PWN}<script>window.__pwned = 'x'</script></body>`)
const REASON = 'Reason (kept in the audit log)'

describe('documents in the outbox tab', function () {
  this.timeout(240_000)
  const opened = useOutbox()
  let editor: Editor
  let page: Page
  let client: OutboxClient
  let send: Send
  let count = 0

  before(async () => {
    ;({ editor, page, client } = opened())
    const { redox } = opened()
    redox.script('send', REFUSED)
    await client.deployFlows(flowWithNodes(redox.url))
    await isOpen(client)
    send = senderOf(client, () => `doc-${++count}-seen`)
    await editor.reload()
    await countUrls(page)
  })

  const open = async (id: string): Promise<void> => {
    await showTab(page, 'outbox')
    await filter(page, 'All').click()
    await line(page, id).click()
    await details(page).getByText('Accepted', { exact: true }).waitFor()
  }
  const close = async (id: string): Promise<void> => {
    await line(page, id).click()
    await details(page).waitFor({ state: 'detached' })
  }
  const look = async (name: string, reason = 'call of the ward'): Promise<void> => {
    await details(page).getByRole('button', { name, exact: true }).click()
    await details(page).getByText('Who views it, and why, is recorded').waitFor()
    await details(page).getByLabel(REASON).fill(reason)
    await details(page).locator('form').getByRole('button', { name }).click()
  }

  it('are shown after a reason was given, with a line in the audit log, and their URL is revoked', async () => {
    const id = await send('embed', attached(PDF, 'letter.pdf', ''))
    await client.until(id, 'parked')
    await open(id)
    await look('Show document')
    const frame = details(page).locator('iframe')
    await frame.waitFor()
    assert.match((await frame.getAttribute('src'))!, /^blob:/)
    await frame.scrollIntoViewIfNeeded()
    await untilPainted(page, frame)
    await details(page).getByText('letter.pdf', { exact: true }).waitFor()
    await editor.screenshot('outbox-document')
    const { lines } = await client.get('audit')
    const { at: _at, ...last } = (lines as Json[]).at(-1)!
    assert.deepEqual(last, { who: 'anonymous', action: 'look', subject: id, reason: 'call of the ward' })
    assert.equal(await openUrls(page), 1)
    await look('Show content')
    await details(page).locator('pre').waitFor()
    assert.deepEqual([await frame.count(), await openUrls(page)], [0, 0])
    await look('Show document')
    await frame.waitFor()
    await close(id)
    assert.equal(await openUrls(page), 0)
  })

  it('are images, text and documents from the data of the flow, too', async () => {
    const image = await send('embed', attached(PNG, 'chart.png', ''))
    await open(image)
    await look('Show document')
    await eventually('the image is shown', () =>
      details(page)
        .locator('img')
        .evaluate((one: HTMLImageElement) => one.naturalWidth > 0),
    )
    await editor.screenshot('outbox-document-image')
    await close(image)
    const note = await send('text', { payload: `Patient well. ${PWN}` })
    await open(note)
    await details(page).getByText('inside the message').waitFor()
    await look('Show document')
    await details(page).locator('pre', { hasText: 'Patient well. <img' }).waitFor()
    await close(note)
    const given = await send('data', inData(PDF, 'given.pdf', 'PDF'))
    await open(given)
    await look('Show document')
    await details(page).locator('iframe').waitFor()
    await close(given)
  })

  it('can only be downloaded if their bytes are none of these', async () => {
    const id = await send('data', inData(HTML, 'letter.pdf', 'PDF'))
    await open(id)
    await look('Show document')
    await details(page).getByText('Files of this type are not displayed here').waitFor()
    assert.equal(await details(page).locator('iframe, img, pre').count(), 0)
    await editor.screenshot('outbox-document-download')
    const saving = page.waitForEvent('download')
    await details(page).getByText('Download', { exact: true }).click()
    const saved = await saving
    assert.equal(saved.suggestedFilename(), 'letter.pdf')
    assert.equal(sha256(await readFile(await saved.path())), sha256(HTML))
    await close(id)
  })

  it('have no button, but a reason, if the message has only their URL', async () => {
    const url = `${opened().redox.url}/files/1`
    const id = await send('embed', { payload: { url, contentType: 'application/pdf' }, filename: 'a.pdf' })
    await open(id)
    await details(page).getByText('not in the outbox: the message has only its URL').waitFor()
    assert.equal(await details(page).getByRole('button', { name: 'Show document' }).count(), 0)
    await close(id)
  })

  it('that are missing are named as such', async () => {
    const id = await send('embed', attached(Buffer.from('%PDF-1.7 soon gone %%EOF'), 'gone.pdf', ''))
    const files = path.join(editor.userDir, 'redox-store/outboxconfig/files')
    for (const name of await readdir(files)) await rm(path.join(files, name))
    await open(id)
    await look('Show document')
    await page.getByText('The document is no longer in the store.').first().waitFor()
    assert.equal(await details(page).locator('.redox-tab-file').count(), 0)
    await details(page).getByRole('button', { name: 'Cancel' }).click()
    await close(id)
  })

  it('and identifiers are shown to users with the permission only', async () => {
    const id = await send('embed', attached(PDF, 'letter.pdf', ''))
    const documentId = `DocumentID: doc-${count}-seen`
    await open(id)
    await details(page).getByText(documentId).waitFor()
    await close(id)
    await page.evaluate(() => {
      const may = RED.user.hasPermission.bind(RED.user)
      RED.user.hasPermission = (permission) => permission !== 'redox-outbox.content' && may(permission)
    })
    await open(id)
    assert.doesNotMatch(await tab(page).innerText(), /doc-\d+-seen/)
    for (const name of ['Show document', 'Show content'])
      assert.equal(await details(page).getByRole('button', { name }).count(), 0)
    await close(id)
  })

  it('have enough contrast and room in every look', async () => {
    const id = await send('embed', attached(PNG, `${'very-long-name-'.repeat(8)}.png`, ''))
    await inEveryLook(
      editor,
      'outbox',
      async () => {
        await open(id)
        await look('Show document')
        await details(page).locator('img').waitFor()
      },
      () => checkLooks(page),
    )
  })
})
