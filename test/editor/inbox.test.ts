/** Sandbox inbox in a browser, with a real Node-RED and hostile files. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import type { Locator, Page } from 'playwright-core'
import { fixture, sha256 } from '../lib/fixtures'
import { eventually } from '../lib/eventually'
import { InboxClient } from '../lib/inbox'
import { checkNothingIsCut } from './accessibility'
import { needChromium, openEditor, type Editor } from './editor'
import { countUrls, openUrls, untilPainted } from './files'
import { checkContrast, hideTab, inEveryLook, newsMark, showTab } from './tabs'

const PDF = fixture('gingival-mass.pdf')
const PNG = fixture('chart.png')
const PWN = "window.__pwned = (window.__pwned || '') + 'x'"
const IN_NAME = `<img src=x onerror="${PWN}">`
const HTML = Buffer.from(`<!DOCTYPE html><html><body onload="${PWN}"><script>${PWN}</script></body></html>`)
const SVG = Buffer.from(
  `<svg xmlns="http://www.w3.org/2000/svg" onload="${PWN}"><script>${PWN}</script></svg>`,
)
const TEXT = Buffer.from(`Grüße\n<script>${PWN}</script>\n${IN_NAME}\n`)
/** Pattern for keys of the message catalogue; a key that is visible in the editor is a missing translation. */
const RAW_KEY = /\binbox\.\w/
declare global {
  interface Window {
    __pwned?: string
  }
}

describe('inbox in the editor', function () {
  this.timeout(240_000)
  let editor: Editor
  let page: Page
  let client: InboxClient

  before(async function () {
    needChromium(this)
    editor = await openEditor()
    page = editor.page
    client = new InboxClient(editor.url)
    await client.deploy()
    await editor.reload()
  })
  after(() => editor?.close())
  afterEach(async () => {
    for (const frame of page.frames())
      assert.equal(await frame.evaluate(() => window.__pwned).catch(() => undefined), undefined, frame.url())
    assert.deepEqual(editor.complaints.splice(0), [])
  })

  it('reports that no sandbox runs', async () => {
    await showTab(page, 'inbox')
    await tab(page).getByText('The sandbox is not running').waitFor()
    assert.ok(await clearButton(page).isDisabled())
    assert.doesNotMatch(await tab(page).innerText(), RAW_KEY)
    await editor.screenshot('inbox-not-running')
  })

  it('shows new messages while it is open, newest first', async () => {
    await client.press({ bytes: PNG, filename: 'first.png' })
    await line(page, 'first.png').waitFor()
    await tab(page).locator('.redox-inbox-count').getByText('1 message', { exact: true }).waitFor()
    await client.press({ bytes: PDF, filename: 'second.pdf' })
    await line(page, 'second.pdf').waitFor()
    const lines = await tab(page).locator('.redox-tab-line').allInnerTexts()
    assert.deepEqual(
      lines.map((text) => /\w+\.\w{3}\b/.exec(text)?.[0]),
      ['second.pdf', 'first.png'],
    )
    for (const text of lines) {
      assert.match(text, /Quuxworth.*1931-07-19.*ZX81-7745[^]*documentreference-create/)
      assert.match(text, /\b1 file\b/)
    }
    assert.equal(await tab(page).locator('.redox-inbox-count').innerText(), '2 messages')
    await editor.screenshot('inbox-list')
  })

  it('shows a PDF, opened with the keyboard, and revokes its URL', async () => {
    await countUrls(page)
    await line(page, 'second.pdf').focus()
    await page.keyboard.press('Enter')
    assert.equal(await line(page, 'second.pdf').getAttribute('aria-expanded'), 'true')
    const frame = details(page).locator('iframe')
    await frame.waitFor()
    assert.match((await frame.getAttribute('src'))!, /^blob:/)
    await frame.scrollIntoViewIfNeeded()
    // Chromium's PDF viewer and its frames exist even if the viewer cannot show the PDF, so the test checks pixels.
    await untilPainted(page, frame)
    const text = await details(page).innerText()
    for (const part of [
      'second.pdf',
      'application/pdf',
      '552 kB',
      sha256(PDF).slice(0, 12),
      'redox-fhir-sandbox',
    ])
      assert.ok(text.includes(part), part)
    assert.doesNotMatch(text, RAW_KEY)
    await editor.screenshot('inbox-pdf')

    assert.ok(text.includes('Sandbox (simulates Development)'), text)
    assert.equal(await openUrls(page), 1)
    await page.keyboard.press('Space')
    assert.equal(await line(page, 'second.pdf').getAttribute('aria-expanded'), 'false')
    assert.equal(await tab(page).locator('.redox-tab-details').count(), 0)
    assert.equal(await openUrls(page), 0)
  })

  it('shows a PDF also when the browser opens its address', async () => {
    const [message] = (await client.list()).messages
    const other = await page.context().browser()!.newPage()
    await other.goto(`${editor.url}redox/inbox/${message!.id}/files/0`)
    // Of the page, not of its body: Chromium replaces the body when its PDF viewer starts, and a screenshot of the first
    // body would wait until its timeout.
    await untilPainted(page, other)
    await other.close()
  })

  it('shows an image, and keeps it while more messages arrive', async () => {
    await line(page, 'first.png').click()
    const image = details(page).locator('img')
    await eventually('the image is shown', () =>
      image.evaluate((one: HTMLImageElement) => one.naturalWidth > 0),
    )
    await image.evaluate((one) => (one.id = 'the-same'))
    await client.press({ bytes: TEXT, filename: 'third.txt', contentType: 'text/plain' })
    await line(page, 'third.txt').waitFor()
    assert.equal(await details(page).locator('#the-same').count(), 1)
    await editor.screenshot('inbox-image')
    await line(page, 'first.png').click()
  })

  it('shows a text file as plain text', async () => {
    await line(page, 'third.txt').click()
    const shown = details(page).locator('.redox-tab-file-shown pre')
    assert.equal(await shown.textContent(), TEXT.toString())
    await editor.screenshot('inbox-text')
    await line(page, 'third.txt').click()
  })

  it("shows the request and Redox's delivered message", async () => {
    await line(page, 'first.png').click()
    await details(page).getByText('Request', { exact: true }).click()
    const request = (await details(page).locator('.redox-inbox-request pre').innerText()).split('\n')
    assert.match(request[0]!, /^POST \/fhir\/R4\/redox-fhir-sandbox\/Development\/DocumentReference\/\$/)
    assert.ok(request.some((header) => /^content-type: application\//.test(header)))
    assert.ok(!request.some((header) => /^authorization/i.test(header)))
    const body = JSON.parse(request.slice(request.indexOf('')).join('\n')) as { resourceType: string }
    assert.equal(body.resourceType, 'Bundle')
    await details(page).getByText('What Redox delivers').click()
    const delivered = await details(page).locator('.redox-inbox-delivered pre').innerText()
    assert.ok(delivered.includes(`<base64, ${PNG.length} bytes>`))
    await editor.screenshot('inbox-request')
    await line(page, 'first.png').click()
  })

  for (const [name, bytes, contentType, inData] of [
    ['page.html', HTML, 'text/html', {}],
    ['drawing.svg', SVG, 'image/svg+xml', {}],
    ['fake.pdf', HTML, 'application/pdf', { inData: true }],
  ] as const) {
    it(`offers ${name} as a download only, and executes nothing`, async () => {
      await client.press({ bytes, filename: name, contentType, family: IN_NAME, ...inData })
      await line(page, name).click()
      await details(page).getByText('Files of this type are not displayed here').waitFor()
      assert.equal(await details(page).locator('iframe, img, embed, object, svg').count(), 0)
      assert.ok((await line(page, name).innerText()).includes(IN_NAME), 'the patient is shown as named')
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        details(page).getByText('Download', { exact: true }).click(),
      ])
      assert.equal(download.suggestedFilename(), name)
      assert.equal(sha256(await readFile(await download.path())), sha256(bytes))
      await editor.screenshot(`inbox-${name}`)
      await line(page, name).click()
    })
  }

  it('shows hostile names unchanged', async () => {
    const filename = `${IN_NAME} x.pdf`
    await client.press({ bytes: PDF, filename, family: `<script>${PWN}</script>` })
    await line(page, 'x.pdf').click()
    const frame = details(page).locator('iframe')
    await frame.waitFor()
    await frame.scrollIntoViewIfNeeded()
    await untilPainted(page, frame)
    assert.equal(await details(page).locator('.redox-tab-file-name').textContent(), filename)
    assert.equal(await tab(page).locator('img, script').count(), 0)
    await editor.screenshot('inbox-hostile')
    await line(page, 'x.pdf').click()
  })

  it('scrolls to the top for a new message unless another one is open', async () => {
    const list = tab(page).locator('.redox-tab-scroll')
    const scrolled = (): Promise<number> => list.evaluate((one) => one.scrollTop)
    const scrollDown = (): Promise<void> => list.evaluate((one) => one.scrollTo(0, one.scrollHeight))
    await scrollDown()
    assert.ok((await scrolled()) > 0, 'the list is longer than its place')
    await client.press({ bytes: PNG, filename: 'at the top.png' })
    await line(page, 'at the top.png').waitFor()
    assert.equal(await scrolled(), 0)
    await line(page, 'first.png').click()
    await details(page).locator('img').waitFor()
    await scrollDown()
    const before = await scrolled()
    await client.press({ bytes: PNG, filename: 'above.png' })
    await line(page, 'above.png').waitFor()
    assert.ok((await scrolled()) >= before)
    await line(page, 'first.png').click()
  })

  it('shows the number of unread messages on its icon', async () => {
    const marked = newsMark(page, 'inbox')
    const number = page.locator('.redox-tab-mark-inbox:visible').first()
    assert.equal(await marked.count(), 0)
    await hideTab(page, 'inbox')
    await client.press({ bytes: PNG, filename: 'unseen.png' })
    await marked.first().waitFor()
    assert.equal(await number.innerText(), '1')
    await client.press({ bytes: PNG, filename: 'unseen too.png' })
    await number.getByText('2', { exact: true }).waitFor()
    await editor.screenshot('inbox-news')
    await showTab(page, 'inbox')
    await line(page, 'unseen.png').waitFor()
    assert.equal(await marked.count(), 0)
  })

  it('is readable in every theme and width, also in German', async () => {
    const open = async (): Promise<void> => {
      await line(page, 'first.png').click()
      await details(page).locator('img').waitFor()
    }
    await inEveryLook(editor, 'inbox', open, () => checkLooks(page))
    await editor.reload({ language: 'de' })
    await showTab(page, 'inbox')
    await line(page, 'first.png').click()
    await details(page).getByText('Herunterladen').waitFor()
    assert.match(await tab(page).locator('.redox-inbox-count').innerText(), /^(1 Nachricht|\d+ Nachrichten)$/)
    assert.doesNotMatch(await tab(page).innerText(), RAW_KEY)
    await editor.screenshot('inbox-german')
    await editor.reload()
  })

  it('lists injected faults, and marks the affected message', async () => {
    await client.deploy('fhir 503 once; fhir reset-after-accept once')
    await showTab(page, 'inbox')
    const faults = tab(page).locator('.redox-inbox-faults')
    assert.ok(await faults.isHidden())
    await client.press({ bytes: PNG, filename: 'lost.png' })
    await faults.getByText('1 simulated fault').click()
    await client.press({ bytes: PNG, filename: 'hit.png' })
    await line(page, 'hit.png').getByText('Fault: reset-after-accept').waitFor()
    await faults.getByText('2 simulated faults').waitFor()
    const [newest, oldest] = await faults.locator('li').allInnerTexts()
    assert.match(newest!, / · fhir · reset-after-accept · accepted$/)
    assert.match(oldest!, / · fhir · 503 · not accepted$/)
    await checkContrast(tab(page), '.redox-inbox-faults summary', '.redox-inbox-faults li')
    assert.doesNotMatch(await tab(page).innerText(), RAW_KEY)
    await editor.screenshot('inbox-faults')
    await client.deploy()
  })

  it('shows live what became of each delivery, with stage and reason', async () => {
    const to = 'redox-fhir-sandbox'
    await client.deploy('', `delay 0; ${to} slow=3 once; ${to} refuse once; ${to} filter once`)
    await showTab(page, 'inbox')
    await client.press({ bytes: PNG, filename: 'slow.png' })
    await line(page, 'slow.png').getByText('Delivery pending').waitFor()
    await line(page, 'slow.png').click()
    const deliveries = details(page).getByRole('list', { name: 'Deliveries' }).getByRole('listitem')
    await deliveries.getByText(/^redox-fhir-sandbox: Delivery pending · 1 attempt · log /).waitFor()
    await deliveries.getByText(/^redox-fhir-sandbox: Delivered · 1 attempt · log /).waitFor()
    await line(page, 'slow.png').getByText('Delivered', { exact: true }).waitFor()
    await line(page, 'slow.png').click()

    await client.press({ bytes: PNG, filename: 'refused.png' })
    await line(page, 'refused.png').getByText('Delivery failed').waitFor()
    await line(page, 'refused.png').click()
    await deliveries.getByText(/stage: request, the destination answered with 400 \(.* refused/).waitFor()
    await checkContrast(tab(page), '.redox-inbox-delivery', '.redox-inbox-deliveries li')
    await editor.screenshot('inbox-deliveries')
    await line(page, 'refused.png').click()
    await client.press({ bytes: PNG, filename: 'filtered.png' })
    await line(page, 'filtered.png').getByText('Filtered, not delivered').waitFor()
    assert.doesNotMatch(await tab(page).innerText(), RAW_KEY)
    await client.deploy()
  })

  it('is cleared by a button, and revokes all URLs', async () => {
    await showTab(page, 'inbox')
    await countUrls(page)
    await line(page, 'first.png').click()
    await details(page).locator('img').waitFor()
    assert.equal(await openUrls(page), 1)
    const tip = 'Delete everything that the sandbox received'
    await clearButton(page)
      .and(page.getByTitle(tip, { exact: true }))
      .click()
    await tab(page).getByText('Nothing received yet').waitFor()
    assert.ok(await tab(page).locator('.redox-inbox-faults').isHidden())
    assert.equal(await tab(page).locator('.redox-tab-line').count(), 0)
    assert.equal(await openUrls(page), 0)
    assert.deepEqual((await client.list()).messages, [])
    assert.ok(await clearButton(page).isDisabled())
    // The button that had the focus is disabled.
    await tab(page).locator('ul[aria-label="Sandbox inbox"]:focus').waitFor({ state: 'attached' })
    await checkContrast(tab(page), '.redox-tab-notice')
    await editor.screenshot('inbox-empty')
  })

  it('has no Clear button for users without the permission', async () => {
    await page.evaluate(() => (RED.user.hasPermission = (permission) => permission !== 'redox-inbox.write'))
    await client.press({ bytes: PNG, filename: 'kept.png' })
    await line(page, 'kept.png').waitFor()
    assert.ok(await clearButton(page).isHidden())
    await page.evaluate(() => (RED.user.hasPermission = () => true))
    await client.press({ bytes: PNG, filename: 'more.png' })
    await clearButton(page).waitFor()
  })

  it('reports a missing permission, and shows nothing else', async () => {
    await client.press({ bytes: PNG, filename: 'before.png' })
    await line(page, 'before.png').waitFor()
    await page.route('**/redox/inbox**', (route) => route.fulfill({ status: 401 }))
    await client.press({ bytes: PNG, filename: 'after.png' })
    await tab(page).getByText('You need the permission redox-inbox.read').waitFor()
    assert.equal(await tab(page).locator('.redox-tab-line').count(), 0)
    await editor.screenshot('inbox-no-permission')
    await page.unroute('**/redox/inbox**')
    // The browser logs each refused request in its console.
    for (const complaint of editor.complaints.splice(0)) assert.match(complaint, /status of 401/)
  })
})

const tab = (page: Page): Locator => page.locator('.redox-inbox')
const line = (page: Page, part: string): Locator => tab(page).locator('.redox-tab-line', { hasText: part })
const details = (page: Page): Locator => tab(page).locator('.redox-tab-details')
const clearButton = (page: Page): Locator => tab(page).getByRole('button', { name: 'Clear', exact: true })

async function checkLooks(page: Page): Promise<void> {
  await checkNothingIsCut(tab(page))
  const inDetails = ['dt', 'dd', 'summary', 'li'].map((part) => `.redox-tab-details ${part}`)
  const own = ['.redox-tab-file-name', '.redox-inbox-count']
  await checkContrast(tab(page), '.redox-tab-line', '.redox-tab-small', ...own, ...inDetails)
}
