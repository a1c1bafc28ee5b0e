/** Outbox tab in a browser, with a real Node-RED and a server that refuses messages. */
import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'
import { eventually } from '../lib/eventually'
import { sizedFile } from '../lib/fixtures'
import { DESTINATION, FILE_NAME, OTHER_DESTINATION, OUTBOX_PATIENT, type OutboxClient } from '../lib/outbox'
import { heldBack, reply, type ScriptedServer } from '../lib/scripted-server'
import type { Editor } from './editor'
import {
  askToSendAgain,
  count,
  DESTINATION_NAME,
  details,
  filter,
  line,
  PWN,
  REFUSED,
  search,
  tab,
  useOutbox,
} from './outbox'
import { hideTab, newsMark, showTab } from './tabs'

/** Returns the first line of a row: its state. */
const stateLine = (text: string): string | undefined => text.split('\n')[0]

describe('outbox in the editor', function () {
  this.timeout(240_000)
  const opened = useOutbox()
  let editor: Editor
  let page: Page
  let client: OutboxClient
  let redox: ScriptedServer
  let refused: string

  before(() => ({ editor, page, client, redox } = opened()))

  it('explains what to do when no connection delivers durably', async () => {
    await showTab(page, 'outbox')
    await tab(page).getByText('No connection uses durable delivery').waitFor()
    assert.equal(await tab(page).getByRole('searchbox').count(), 0)
    await editor.screenshot('outbox-none')
  })

  it('shows counts, stopped destinations and first the parked messages', async () => {
    await client.deploy(redox.url)
    // The editor has to load the deployed nodes, because its debug sidebar throws for errors of unknown nodes.
    await editor.reload()
    redox.script('send', REFUSED)
    refused = (await client.accept({ documentId: 'doc-1' })).id
    await client.until(refused, 'parked')
    await client.accept({ documentId: 'doc-2' })
    await client.accept({ documentId: 'doc-3' })
    redox.script('send')
    const other = await client.accept({ documentId: 'doc-4', destination: OTHER_DESTINATION })
    await client.until(other.id, 'delivered')
    await editor.reload()
    await showTab(page, 'outbox')
    await line(page, refused).waitFor()
    assert.equal(await tab(page).locator('.redox-tab-line').count(), 1)
    assert.match(
      await line(page, refused).innerText(),
      /Parked: Redox or the destination rejected the message\.\s+Notes:New · Data Model af394f14[^]*1 attempt · REDOX_REJECTED/,
    )
    const filters = await tab(page).locator('.redox-outbox-filters button:visible').allInnerTexts()
    assert.deepEqual(filters, ['All', 'Waiting 2', 'Sending 0', 'Parked 1', 'Delivered 1', 'Discarded 0'])
    assert.equal(await filter(page, 'Parked').getAttribute('aria-pressed'), 'true')
    const destination = tab(page).locator('.redox-outbox-destination')
    assert.equal(await destination.count(), 1)
    assert.match(
      await destination.innerText(),
      /Held back by the parked message [\da-f]{8}: Redox or the destination rejected the message\.\s+waiting: 2 · oldest \d/,
    )
    // A retry of what waits behind the parked message would change nothing.
    assert.deepEqual(await destination.getByRole('button').filter({ visible: true }).allInnerTexts(), [
      `Data Model ${DESTINATION}`,
      `Held back by the parked message ${refused.slice(0, 8)}: Redox or the destination rejected the message.`,
      'Pause',
    ])
    assert.match(await tab(page).locator('.red-ui-sidebar-header').innerText(), /Connection:\s+Hospital/)
    await tab(page)
      .getByText(/Size of the store: \d/)
      .waitFor()
    await editor.screenshot('outbox-list')
  })

  it('shows waiting messages in order, and ended ones with the newest first', async () => {
    const order = async (name: string, rows: number): Promise<string[]> => {
      await filter(page, name).click()
      await count(page, rows)
      return tab(page).locator('.redox-tab-line').allInnerTexts()
    }
    const short = (text: string): string => /\b[\da-f]{8} ·/.exec(text)![0]
    const waitingRows = await order('Waiting', 2)
    const waiting = waitingRows.map(short)
    assert.deepEqual(
      waitingRows.map(stateLine),
      Array.from({ length: 2 }).fill(`Waiting · behind the parked message ${refused.slice(0, 8)}`),
    )
    const all = (await order('All', 4)).map(short)
    assert.deepEqual(
      all.filter((id) => waiting.includes(id)),
      waiting.toReversed(),
    )
    assert.equal(all.at(-1), `${refused.slice(0, 8)} ·`)
    assert.deepEqual((await order('Waiting', 2)).map(short), waiting)
    await tab(page).locator('.redox-tab-line').first().click()
    await details(page)
      .getByText(
        `It waits behind the parked message ${refused.slice(0, 8)}: Redox or the destination rejected the message.`,
      )
      .waitFor()
    // An attempt now would change nothing.
    assert.equal(await details(page).getByRole('button', { name: 'Try its destination now' }).count(), 0)
    await editor.screenshot('outbox-waits-behind')
    await tab(page).locator('.redox-tab-line').first().click()
  })

  it('shows the message for which others wait, by keyboard', async () => {
    const sentences = [/^It waits behind /, /^Held back by the parked message /]
    // A filter also clears the search that the link has set.
    const endings = [filter(page, 'All'), tab(page).getByRole('button', { name: 'Clear search' })]
    for (const [index, name] of sentences.entries()) {
      await filter(page, 'Waiting').click()
      await count(page, 2)
      const waiting = tab(page).locator('.redox-tab-line').first()
      await waiting.click()
      await tab(page).getByRole('button', { name }).focus()
      await page.keyboard.press('Enter')
      await count(page, 1)
      await line(page, refused).waitFor()
      await details(page).getByRole('button', { name: 'Send again' }).waitFor()
      assert.equal(await tab(page).getByRole('searchbox').inputValue(), refused)
      await editor.screenshot('outbox-shown-message')
      await endings[index]!.click()
      await count(page, 4)
      assert.equal(await tab(page).getByRole('searchbox').inputValue(), '')
    }
  })

  it('leads from the shown message back to the list with the link, until the user filters', async () => {
    const back = (name: RegExp) => tab(page).getByRole('button', { name })
    await filter(page, 'Waiting').click()
    await count(page, 2)
    await tab(page).locator('.redox-tab-line').first().click()
    await tab(page)
      .getByRole('button', { name: /^It waits behind / })
      .click()
    await line(page, refused).waitFor()
    await back(/^Back to the list: Waiting$/).click()
    await count(page, 2)
    assert.equal(await tab(page).getByRole('searchbox').inputValue(), '')
    // The row with the link is open again.
    await tab(page)
      .getByRole('button', { name: /^It waits behind / })
      .waitFor()
    const openLines = await tab(page).locator('.redox-tab-line[aria-expanded=true]').allInnerTexts()
    assert.deepEqual(openLines.map(stateLine), [`Waiting · behind the parked message ${refused.slice(0, 8)}`])
    assert.equal(await back(/^Back/).count(), 0)
    // The keyboard goes on from the row with the link.
    await tab(page).locator('.redox-tab-line[aria-expanded=true]:focus').waitFor()

    await tab(page)
      .getByRole('button', { name: /^It waits behind / })
      .click()
    await back(/^Back/).waitFor()
    await filter(page, 'All').click()
    await count(page, 4)
    assert.equal(await back(/^Back/).count(), 0)
  })

  it('filters by state and destination, and finds a document id in every state', async () => {
    await filter(page, 'Waiting').click()
    await count(page, 2)
    await filter(page, 'Discarded').click()
    await tab(page).getByText('No discarded messages.').waitFor()
    await filter(page, 'All').click()
    await count(page, 4)
    const destination = tab(page).getByRole('button', { name: `Data Model ${DESTINATION}`, exact: true })
    await destination.click()
    await count(page, 3)
    assert.equal(await destination.getAttribute('aria-pressed'), 'true')
    await destination.click()
    await count(page, 4)
    await search(page, 'doc-4')
    await count(page, 1)
    await tab(page).getByText('Delivered', { exact: true }).waitFor()
    await search(page, OUTBOX_PATIENT.last)
    await count(page, 0)
    await tab(page).getByRole('button', { name: 'Clear search' }).click()
    await count(page, 4)
    await tab(page).getByText('Time accepted').click()
    await tab(page).getByLabel('From').fill('2999-01-01T00:00:00')
    await tab(page).getByRole('button', { name: 'Search', exact: true }).click()
    await count(page, 0)
    await tab(page).getByRole('button', { name: 'Clear search' }).click()
    await count(page, 4)
    await tab(page).getByText('Time accepted').click()
  })

  it('shows the result, opened with the keyboard, and no patient data', async () => {
    await filter(page, 'Parked').click()
    await count(page, 1)
    await line(page, refused).focus()
    await page.keyboard.press('Enter')
    assert.equal(await line(page, refused).getAttribute('aria-expanded'), 'true')
    await details(page).getByText('Notes:New', { exact: true }).waitFor()
    // A random ID may contain a status: only the whole text counts.
    await details(page).getByText('400', { exact: true }).waitFor()
    const text = await details(page).innerText()
    for (const part of [
      'REDOX_REJECTED',
      'Parked since',
      '14 bytes',
      'log-1',
      'DocumentID: doc-1',
      'application/pdf',
      'sha256',
      refused,
    ])
      assert.ok(text.includes(part), part)
    for (const part of [...Object.values(OUTBOX_PATIENT), FILE_NAME])
      assert.ok(!(await tab(page).innerText()).includes(part), part)
    await editor.screenshot('outbox-detail')
  })

  it('selects the node in the workspace', async () => {
    await details(page).getByRole('button', { name: 'Show node' }).click()
    await page.locator('#outboxsend.red-ui-flow-node-group').waitFor()
  })

  it('sends a message again, with a reason and the keyboard alone, and shows it as delivered', async () => {
    const again = details(page).getByRole('button', { name: 'Send again' })
    await again.focus()
    await page.keyboard.press('Enter')
    const reason = details(page).getByLabel('Reason (kept in the audit log)')
    assert.ok(await reason.evaluate((one) => one === document.activeElement))
    await page.keyboard.press('Escape')
    assert.equal(await reason.count(), 0)
    assert.ok(await again.evaluate((one) => one === document.activeElement))
    await page.keyboard.press('Enter')
    await page.keyboard.press('Enter')
    // Blanks are not a valid reason. The form refuses them itself, so the console logs no refused request.
    await page.keyboard.type('  ')
    await page.keyboard.press('Enter')
    assert.equal((await client.get(`messages/${refused}`))['state'], 'parked', 'sent without a reason')
    await page.keyboard.type('patient is known now')
    await editor.screenshot('outbox-reason')
    await page.keyboard.press('Enter')
    await page.getByText('The message will be sent again.').waitFor()
    await client.until(refused, 'delivered')
    // The open row stays, so that the user sees that the message has arrived.
    await line(page, refused).getByText('Delivered').waitFor()
    await line(page, refused).click()
    await line(page, refused).waitFor({ state: 'detached' })
    await filter(page, 'Delivered').click()
    await count(page, 4)
    await line(page, refused).click()
    await details(page).getByText('200', { exact: true }).waitFor()
    await details(page).getByText('REDOX_REJECTED').waitFor({ state: 'detached' })
    await details(page).getByRole('button', { name: 'Send again' }).click()
    await details(page)
      .getByText('Redox has it. If Redox has delivered it, sending it again makes a second copy.')
      .waitFor()
    await details(page).getByRole('button', { name: 'Cancel' }).click()
    await line(page, refused).click()
  })

  it('discards a message with a reason, which is in the audit log', async () => {
    redox.script('send', REFUSED)
    const { id } = await client.accept({ documentId: 'doc-5' })
    await client.until(id, 'parked')
    await filter(page, 'Parked').click()
    await line(page, id).click()
    await askToSendAgain(
      page,
      'The same content is sent again, and is refused again unless something has changed',
    )
    await details(page).getByRole('button', { name: 'Mark as delivered' }).click()
    await details(page).getByText('Redox does not have the message from this outbox.').waitFor()
    await details(page).getByText('Messages that wait behind it are sent then.').waitFor()
    await details(page).getByRole('button', { name: 'Discard' }).click()
    await details(page).getByText('It stays listed as discarded for as long as').waitFor()
    await details(page).getByText('Messages that wait behind it are sent then.').waitFor()
    await details(page).getByLabel('Reason').fill(`wrong patient ${PWN}`)
    await details(page).locator('form').getByRole('button', { name: 'Discard' }).click()
    await line(page, id).waitFor({ state: 'detached' })
    assert.equal((await client.get(`messages/${id}`))['state'], 'discarded')
    await tab(page).getByText('Audit log', { exact: true }).click()
    const lines = tab(page).locator('.redox-outbox-record li')
    await lines.first().waitFor()
    assert.match(
      (await lines.first().textContent())!,
      /anonymous · discarded · [\da-f]{8} · wrong patient <img/,
    )
    await editor.screenshot('outbox-record')
    await lines.first().getByRole('button').click()
    await count(page, 1)
    await line(page, id).getByText('Discarded · manually').waitFor()
    await details(page).getByText('anonymous: wrong patient <img').waitFor()
    await line(page, id).click()
    await tab(page).getByText('Audit log', { exact: true }).click()
    await tab(page).getByRole('button', { name: 'Clear search' }).click()
  })

  it('has a dot on its icon as long as messages are parked, read or unread', async () => {
    const marked = newsMark(page, 'outbox')
    const dot = page.locator('.redox-tab-mark-outbox:visible').first()
    await hideTab(page, 'outbox')
    await marked.first().waitFor({ state: 'detached' })
    redox.script('send', REFUSED)
    const { id } = await client.accept({ documentId: 'doc-dot' })
    await client.until(id, 'parked')
    await dot.waitFor()
    assert.equal(await dot.textContent(), '')
    await editor.screenshot('outbox-dot')
    await showTab(page, 'outbox')
    await filter(page, 'Parked').click()
    await line(page, id).waitFor()
    assert.ok(await dot.isVisible(), 'it is still parked')
    // An editor that is opened later shows the dot, too: also if it is connected to the runtime before it has loaded the
    // tab, if a request fails, and if the store is still opening.
    const connected = page.waitForEvent('websocket').then((socket) => socket.waitForEvent('framesent'))
    await page.route('**/redox-outbox.js', async (route) => {
      await connected
      await route.continue()
    })
    const opening = { connections: [{ id: 'outboxconfig', name: 'Hospital', isOpening: true }], direct: [] }
    const first = [{ status: 503 }, { json: { ...opening, stranded: [] } }]
    await page.route('**/redox/outbox', (route) => route.fulfill(first.shift()), { times: first.length })
    await editor.reload()
    await page.unroute('**/redox-outbox.js')
    await hideTab(page, 'outbox')
    await dot.waitFor()
    const arrow = page.locator('#red-ui-sidebar .red-ui-tab-link-button-menu')
    // Node-RED 5 has no menu of tabs.
    if (await arrow.isVisible()) {
      await arrow.click()
      await page.locator('#red-ui-tabs-menu-option-redox-outbox .redox-tab-mark-outbox').waitFor()
      await editor.screenshot('outbox-dot-menu')
      await arrow.click()
    }
    await client.decide(id, 'discard', 'decided elsewhere')
    await marked.first().waitFor({ state: 'detached' })
    await showTab(page, 'outbox')
    await filter(page, 'Parked').click()
    redox.script('send')
  })

  it('keeps the dot when an earlier request is answered late', async () => {
    const dot = page.locator('.redox-tab-mark-outbox:visible').first()
    await showTab(page, 'outbox')
    await dot.waitFor({ state: 'detached' })
    let release = (): void => undefined
    const released = new Promise<void>((resolve) => (release = resolve))
    const isOverview = ({ pathname }: URL): boolean => pathname === '/redox/outbox'
    const answered = page.waitForResponse((response) => isOverview(new URL(response.url())))
    await new Promise<void>((held, fail) => {
      page
        .route(
          isOverview,
          async (route) => {
            const response = await route.fetch()
            held()
            await released
            await route.fulfill({ response })
          },
          { times: 1 },
        )
        .catch(fail)
    })
    await hideTab(page, 'outbox')
    redox.script('send', REFUSED)
    const { id } = await client.accept({ documentId: 'doc-late-answer' })
    await client.until(id, 'parked')
    await dot.waitFor()
    release()
    await (await answered).finished()
    // When the response to this new request arrives, the tab has already processed the delayed response.
    await page.evaluate(() => fetch('settings').then((answer) => answer.text()))
    assert.ok(await dot.isVisible())
    await client.decide(id, 'discard', 'end of test')
    await dot.waitFor({ state: 'detached' })
    redox.script('send')
    await showTab(page, 'outbox')
  })

  it('shows the next attempt of a waiting message, and that a discarded message was never sent', async () => {
    redox.script('send', reply(503, {}, { 'retry-after': '100' }))
    const { id } = await client.accept({ documentId: 'doc-due' })
    const { id: behind } = await client.accept({ documentId: 'doc-behind' })
    await eventually('it failed', async () => (await client.get(`messages/${id}`))['attempts'] === 1)
    await filter(page, 'Waiting').click()
    await line(page, id).click()
    await details(page)
      .getByText(/^Retried automatically; next attempt: .*\d/)
      .waitFor()
    await client.decide(behind, 'discard', 'end of test')
    await client.decide(id, 'discard', 'end of test')
    await line(page, id).waitFor({ state: 'detached' })
    await filter(page, 'Discarded').click()
    await line(page, behind).click()
    await askToSendAgain(page, 'It was never sent.')
    await line(page, behind).click()
    await filter(page, 'Parked').click()
    redox.script('send')
  })

  it('updates the details of an open message while a user writes a reason', async () => {
    redox.script('send', reply(503, {}))
    const { id } = await client.accept({ documentId: 'doc-open' })
    await filter(page, 'Waiting').click()
    await line(page, id).click()
    await details(page).getByRole('button', { name: 'Discard' }).click()
    await details(page).getByLabel('Reason').fill('half a reas')
    const attempts = details(page).locator('dt:text-is("Attempts") + dd')
    const before = Number(await attempts.innerText())
    await eventually('the details follow', async () => Number(await attempts.innerText()) > before)
    const { attempts: known } = await client.get(`messages/${id}`)
    assert.ok(Number(await attempts.innerText()) <= known)
    assert.equal(await details(page).getByLabel('Reason').inputValue(), 'half a reas')
    // No decision is possible during an attempt.
    await eventually(
      'discarded',
      async () => (await client.decide(id, 'discard', 'end of test')).status === 204,
    )
    await line(page, id).waitFor({ state: 'detached' })
    await filter(page, 'Parked').click()
    redox.script('send')
  })

  it('keeps an open message listed until it is closed, also in another state and in a search by code', async () => {
    const { held, answer } = heldBack(400)
    // The second attempt begins when the row is open. A row that is not open leaves the list as soon as it is sent.
    redox.script('send', reply(503, {}, { 'retry-after': '100' }), held)
    const { id } = await client.accept({ documentId: 'doc-kept' })
    await eventually('it failed', async () => (await client.get(`messages/${id}`))['attempts'] === 1)
    await filter(page, 'Waiting').click()
    await line(page, id).click()
    await details(page).getByRole('button', { name: 'Try its destination now' }).click()
    await line(page, id).getByText('Sending').waitFor()
    assert.equal(await filter(page, 'Waiting').getAttribute('aria-pressed'), 'true')
    assert.ok(await details(page).isVisible())
    answer({})
    await client.until(id, 'parked')
    await line(page, id).getByText('Parked').waitFor()
    await line(page, id).click()
    await line(page, id).waitFor({ state: 'detached' })

    await tab(page).getByText('Time accepted, error code').click()
    await tab(page).getByLabel('Error code', { exact: true }).fill('REDOX_REJECTED')
    await tab(page).getByRole('button', { name: 'Search', exact: true }).click()
    await line(page, id).click()
    await client.decide(id, 'discard', 'end of test')
    await line(page, id).getByText('Discarded').waitFor()
    await details(page).getByText('end of test').waitFor()
    await line(page, id).click()
    await line(page, id).waitFor({ state: 'detached' })
    await tab(page).getByText('No message matches the search.').waitFor()
    await tab(page).getByRole('button', { name: 'Clear search' }).click()
    await tab(page).getByText('Time accepted, error code').click()
    await filter(page, 'Parked').click()
    redox.script('send')
  })

  it('breaks an error code between its words only', async () => {
    redox.script('send', REFUSED)
    const { id } = await client.accept({ documentId: 'doc-code' })
    await client.until(id, 'parked')
    await filter(page, 'Parked').click()
    await line(page, id).waitFor()
    const broken = await line(page, id)
      .locator('.redox-tab-small')
      .evaluate((shown: HTMLElement) => {
        const sizes = [...Array(25).keys()].map((step) => 60 + 6 * step)
        shown.style.display = 'block'
        return sizes.filter((width) => {
          shown.style.width = `${width}px`
          // Each word of the error code is a separate DOM text node. A word that is broken over two lines has two
          // client rectangles.
          const texts = [...shown.childNodes].filter((one) => one.nodeType === Node.TEXT_NODE)
          return texts.some((one) => {
            const word = /\S+$/.exec(one.textContent ?? '')
            if (word === null) return false
            const range = document.createRange()
            range.setStart(one, word.index)
            range.setEnd(one, word.index + word[0].length)
            const tops = new Set([...range.getClientRects()].map(({ top }) => Math.round(top)))
            return tops.size > 1
          })
        })
      })
    const widest = 'REJECTED'.length * 12
    assert.deepEqual(
      broken.filter((width) => width > widest),
      [],
    )
    await client.decide(id, 'discard', 'seen')
    await line(page, id).waitFor({ state: 'detached' })
    redox.script('send')
  })

  it('pauses and resumes a destination', async () => {
    redox.script('send', reply(503, {}))
    const { id } = await client.accept({ documentId: 'doc-6' })
    const destination = tab(page).locator('.redox-outbox-destination')
    await destination.getByRole('button', { name: `Try now: Data Model ${DESTINATION}` }).click()
    await page.getByText('The waiting messages are tried now.').waitFor()
    await destination.getByRole('button', { name: `Pause: Data Model ${DESTINATION}` }).click()
    await destination.getByLabel('Reason').fill('maintenance')
    await destination.locator('form').getByRole('button', { name: 'Pause' }).click()
    await destination.getByText('Paused manually').waitFor()
    await editor.screenshot('outbox-paused')
    const { destinations } = (await client.connection()) as {
      destinations: { destination: string; paused: boolean }[]
    }
    assert.deepEqual(
      destinations.map(({ destination: name, paused }) => [name, paused]),
      [[DESTINATION_NAME, true]],
    )
    redox.script('send')
    await destination.getByRole('button', { name: 'Resume' }).click()
    await destination.getByLabel('Reason').fill('over')
    await destination.locator('form').getByRole('button', { name: 'Resume' }).click()
    await client.until(id, 'delivered')
    await destination.waitFor({ state: 'detached' })
  })

  it('shows the content only after a reason was given', async () => {
    await search(page, 'doc-6')
    await count(page, 1)
    await tab(page).locator('.redox-tab-line').click()
    assert.ok(!(await tab(page).innerText()).includes(OUTBOX_PATIENT.last))
    await details(page).getByRole('button', { name: 'Show content' }).click()
    await details(page).getByText('Who views it, and why, is recorded').waitFor()
    await details(page).getByLabel('Reason').fill('call of the ward')
    await details(page).locator('form').getByRole('button', { name: 'Show content' }).click()
    const content = details(page).locator('pre')
    await content.waitFor()
    for (const part of [OUTBOX_PATIENT.last, FILE_NAME])
      assert.ok((await content.innerText()).includes(part), part)
    const { total } = await client.get('audit?limit=1')
    const { lines } = await client.get(`audit?skip=${total - 1}`)
    assert.deepEqual([lines[0].action, lines[0].reason], ['look', 'call of the ward'])
    await editor.screenshot('outbox-content')
    await tab(page).locator('.redox-tab-line').click()
    await tab(page).getByRole('button', { name: 'Clear search' }).click()
  })

  it('says what to do when the store is nearly full, and when it is full', async () => {
    const says = (text: RegExp): Promise<void> => tab(page).getByText(text).waitFor()
    await eventually('no message is open', async () => {
      for (const { id } of [
        ...(await client.messages('state=parked')),
        ...(await client.messages('state=waiting')),
      ])
        await client.decide(id as string, 'discard', 'not needed')
      const { counts } = await client.connection()
      return counts.waiting + counts.sending + counts.parked === 0
    })
    // Delivered messages alone need no advice: they are removed when a new message needs their room.
    await client.deploy(redox.url, { storeLimitGb: '0.000001' })
    await says(/^Size of the store: [^:]+ of 1 kB$/)
    await client.deploy(redox.script('send', reply(503, {})).url, { storeLimitGb: '0.0008' })
    await client.press({ documentId: 'doc-large', bytes: sizedFile(700_000) })
    await says(/Size of the store: .+ of 800 kB\. A new message that does not fit is refused/)
    await editor.screenshot('outbox-nearly-full')
    await client.press({ documentId: 'doc-refused', bytes: sizedFile(700_001) })
    await says(
      /Size of the store: .+ of 800 kB\. Messages are refused, because the store has no room for them/,
    )
    await editor.screenshot('outbox-full')
    await client.deploy(redox.script('send').url)
    await tab(page)
      .getByText(/^Size of the store: [^:]+B$/)
      .waitFor()
  })
})
