/** The outbox, as people use it: in a browser, on a real Node-RED, with a Redox that refuses. */
import assert from 'node:assert/strict'
import type { Locator, Page } from 'playwright-core'
import { eventually } from '../lib/eventually'
import {
  DESTINATION,
  FILE_NAME,
  flowTo,
  OTHER_DESTINATION,
  OUTBOX_PATIENT,
  OutboxClient,
} from '../lib/outbox'
import { reply, reset, ScriptedServer } from '../lib/scripted-server'
import { needChromium, openEditor, type Editor } from './editor'
import { checkContrast, checkNothingIsCut, hideTab, inEveryLook, newsMark, showTab } from './tabs'

/** Keys of the catalogue; one that is seen was not translated. */
const RAW_KEY = /\boutbox\.\w/
const PWN = `<img src=x onerror="window.__pwned = 'x'">`

const REFUSED = reply(400, { Meta: { Errors: [{ Text: 'no such patient' }], Logs: [{ ID: 'log-1' }] } })
const DESTINATION_NAME = `datamodel ${DESTINATION}`

declare global {
  interface Window {
    __pwned?: string
  }
}

describe('outbox in the editor', function () {
  this.timeout(120_000)
  let editor: Editor
  let page: Page
  let client: OutboxClient
  let redox: ScriptedServer
  let refused: string

  before(async function () {
    needChromium(this)
    redox = await ScriptedServer.start()
    editor = await openEditor()
    page = editor.page
    client = new OutboxClient(editor.url)
  })
  after(async () => {
    await editor?.close()
    await redox?.close()
  })
  afterEach(async () => {
    assert.equal(await page.evaluate(() => window.__pwned), undefined)
    assert.doesNotMatch(await tab(page).innerText(), RAW_KEY)
    // A deploy closes the store for a moment; the browser itself writes what it is answered then to its console.
    const complaints = editor.complaints
      .splice(0)
      .filter((one) => !/status of (404|409|503) .*\/redox\/outbox/.test(one))
    assert.deepEqual(complaints, [])
  })

  it('says what to do when no connection delivers durably', async () => {
    await showTab(page, 'outbox')
    await tab(page).getByText('No connection uses durable delivery').waitFor()
    assert.equal(await tab(page).getByRole('searchbox').count(), 0)
    await editor.screenshot('outbox-none')
  })

  it('shows counts, stopped destinations and first what is parked', async () => {
    await client.deploy(redox.url)
    // The debug sidebar fails over an error of a node that the editor does not know yet.
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
      /Parked · REDOX_REJECTED\s+Data Model af394f14[^]*1 attempt\b/,
    )
    const filters = await tab(page).locator('.redox-outbox-filters button').allInnerTexts()
    assert.deepEqual(filters, ['All', 'Waiting 2', 'Sending 0', 'Parked 1', 'Delivered 1', 'Discarded 0'])
    assert.equal(await filter(page, 'Parked').getAttribute('aria-pressed'), 'true')
    const destination = tab(page).locator('.redox-outbox-destination')
    assert.equal(await destination.count(), 1)
    assert.match(
      await destination.innerText(),
      /Held back by the parked message [\da-f]{8} \(REDOX_REJECTED\)\s+waiting: 2 · oldest \d/,
    )
    assert.match(await tab(page).locator('.red-ui-sidebar-header').innerText(), /Connection:\s+Hospital/)
    await editor.screenshot('outbox-list')
  })

  it('shows what waits in order, and what was done the newest first', async () => {
    const order = async (name: string, rows: number): Promise<string[]> => {
      await filter(page, name).click()
      await count(page, rows)
      return tab(page).locator('.redox-tab-line').allInnerTexts()
    }
    const short = (text: string): string => /\b[\da-f]{8} ·/.exec(text)![0]
    const waiting = (await order('Waiting', 2)).map(short)
    const all = (await order('All', 4)).map(short)
    assert.deepEqual(
      all.filter((id) => waiting.includes(id)),
      waiting.toReversed(),
    )
    assert.equal(all.at(-1), `${refused.slice(0, 8)} ·`)
    assert.deepEqual((await order('Waiting', 2)).map(short), waiting)
    await tab(page).locator('.redox-tab-line').first().click()
    await details(page)
      .getByText(`It waits behind ${refused.slice(0, 8)}.`)
      .waitFor()
    await tab(page).locator('.redox-tab-line').first().click()
  })

  it('filters by state and destination, and finds by document id whatever became of it', async () => {
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

  it('tells the outcome, opened with the keyboard, and nothing of the patient', async () => {
    await filter(page, 'Parked').click()
    await count(page, 1)
    await line(page, refused).focus()
    await page.keyboard.press('Enter')
    assert.equal(await line(page, refused).getAttribute('aria-expanded'), 'true')
    await details(page).getByText('Notes:New', { exact: true }).waitFor()
    const text = await details(page).innerText()
    for (const part of [
      'REDOX_REJECTED',
      'Parked since',
      '14 bytes',
      '400',
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

  it('shows the node in the workspace', async () => {
    await details(page).getByRole('button', { name: 'Show node' }).click()
    await page.locator('#outboxsend.red-ui-flow-node-group').waitFor()
  })

  it('sends again, with a reason and the keyboard alone, and shows it as delivered', async () => {
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
    // The server refuses it, too, and the browser would complain of that.
    await page.keyboard.type('  ')
    await page.keyboard.press('Enter')
    assert.equal((await client.get(`messages/${refused}`))['state'], 'parked', 'sent without a reason')
    await page.keyboard.type('patient is known now')
    await editor.screenshot('outbox-reason')
    await page.keyboard.press('Enter')
    await page.getByText('The message will be sent again.').waitFor()
    await client.until(refused, 'delivered')
    await line(page, refused).waitFor({ state: 'detached' })
    await filter(page, 'Delivered').click()
    await count(page, 4)
    await line(page, refused).click()
    await details(page).getByText('200').waitFor()
    await details(page).getByText('REDOX_REJECTED').waitFor({ state: 'detached' })
    await details(page).getByRole('button', { name: 'Send again' }).click()
    await details(page).getByText('It has arrived. Sending it again makes a second copy.').waitFor()
    await details(page).getByRole('button', { name: 'Cancel' }).click()
    await line(page, refused).click()
  })

  it('discards with a reason, which the record has', async () => {
    redox.script('send', REFUSED)
    const { id } = await client.accept({ documentId: 'doc-5' })
    await client.until(id, 'parked')
    await filter(page, 'Parked').click()
    await line(page, id).click()
    await details(page).getByRole('button', { name: 'Discard' }).click()
    await details(page).getByText('It stays listed as discarded for as long as').waitFor()
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
    await line(page, id).click()
    await details(page).getByText('anonymous: wrong patient <img').waitFor()
    await line(page, id).click()
    await tab(page).getByText('Audit log', { exact: true }).click()
    await tab(page).getByRole('button', { name: 'Clear search' }).click()
  })

  it('has a dot on its icon as long as messages are parked, seen or not', async () => {
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
    // An editor that is opened later shows it at once.
    await editor.reload()
    await hideTab(page, 'outbox')
    await dot.waitFor()
    await client.decide(id, 'discard', 'decided elsewhere')
    await marked.first().waitFor({ state: 'detached' })
    await showTab(page, 'outbox')
    await filter(page, 'Parked').click()
    redox.script('send')
  })

  it('keeps the dot when what was asked for before is answered later', async () => {
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
    // What the tab does with the answer, it has done when the next one is there.
    await page.evaluate(() => fetch('settings').then((answer) => answer.text()))
    assert.ok(await dot.isVisible())
    await client.decide(id, 'discard', 'end of test')
    await dot.waitFor({ state: 'detached' })
    redox.script('send')
    await showTab(page, 'outbox')
  })

  it('says when a message that waits is sent, and of one that was never sent that it was not', async () => {
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

  it('keeps the details of an open message up to date while a user writes a reason', async () => {
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
    await client.decide(id, 'discard', 'end of test')
    await line(page, id).waitFor({ state: 'detached' })
    await filter(page, 'Parked').click()
    redox.script('send')
  })

  it('breaks a code between its words only', async () => {
    redox.script('send', REFUSED)
    const { id } = await client.accept({ documentId: 'doc-code' })
    await client.until(id, 'parked')
    await filter(page, 'Parked').click()
    await line(page, id).waitFor()
    const broken = await line(page, id)
      .locator('.redox-outbox-state')
      .evaluate((place) => {
        const shown = place.querySelector('span')!
        const sizes = [...Array(25).keys()].map((step) => 60 + 6 * step)
        shown.style.display = 'block'
        return sizes.filter((width) => {
          shown.style.width = `${width}px`
          // Each word of the code is a text of its own: one that takes two lines has two rectangles.
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

  it('shows the content after a reason was given, and no sooner', async () => {
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

  it('gives more than a page when it is asked to', async () => {
    await client.pause(DESTINATION_NAME, 'pause', 'x').then(async ({ status }) => {
      // Nothing waits there yet.
      assert.equal(status, 404)
      redox.script('send', reply(503, {}))
      await client.accept({ documentId: 'many-0' })
      assert.equal((await client.pause(DESTINATION_NAME, 'pause', 'x')).status, 204)
    })
    for (let number = 1; number <= 60; number++) await client.press({ documentId: `many-${number}` })
    await filter(page, 'Waiting').click()
    await tab(page).getByText('Waiting 61').waitFor({ timeout: 30_000 })
    await count(page, 50)
    await tab(page).getByRole('button', { name: 'More' }).click()
    await count(page, 61)
    assert.ok(await tab(page).getByRole('button', { name: 'More' }).isHidden())
  })

  it('tries all that match for longer, step by step, with the keyboard alone', async () => {
    // The real server, in smaller steps than those of the tab.
    const steps: number[] = []
    await page.route('**/outboxconfig/decisions', (route) => {
      const asked = route.request().postDataJSON() as { limit: number }
      steps.push(asked.limit)
      return route.continue({ postData: JSON.stringify({ ...asked, limit: 25 }) })
    })
    const { total } = await client.get('audit?limit=1')
    const [before] = await client.messages('state=waiting&limit=1')
    await filter(page, 'Waiting').click()
    await many(page).getByRole('button', { name: 'Decide for all matching messages' }).focus()
    await page.keyboard.press('Enter')
    await many(page).getByText('61 matching messages').waitFor()
    assert.ok(
      await many(page)
        .getByLabel('Decision')
        .evaluate((one) => one === document.activeElement),
    )
    // None is proposed.
    const choice = many(page).getByLabel('Decision')
    assert.equal(await choice.inputValue(), '')
    assert.ok(await many(page).locator('form').getByRole('button', { name: 'Decide' }).isDisabled())
    await page.keyboard.press('ArrowDown')
    assert.equal(await choice.inputValue(), 'extend')
    await many(page).getByRole('button', { name: 'Extend deadline: 61' }).waitFor()
    assert.equal(await many(page).getByLabel('Hours from now').inputValue(), '72')
    await page.keyboard.press('Tab')
    await page.keyboard.type('200')
    await page.keyboard.press('Tab')
    await page.keyboard.type('the line to the hospital is down')
    await editor.screenshot('outbox-many')
    await page.keyboard.press('Enter')
    await many(page).getByText('Done: 61. Unchanged: 0.').waitFor()
    assert.ok(
      await many(page)
        .getByRole('button')
        .evaluate((one) => one === document.activeElement),
    )
    assert.equal(steps.length, 3)
    const { lines } = await client.get(`audit?skip=${total}`)
    assert.equal(lines.length, 61)
    const [after] = await client.messages('state=waiting&limit=1')
    assert.ok(Date.parse(after!['deadline'] as string) > Date.parse(before!['deadline'] as string))
    await page.unroute('**/outboxconfig/decisions')
    await editor.screenshot('outbox-many-done')
  })

  it('proposes a later deadline for one, and says when nothing would change', async () => {
    const { total } = await client.get('audit?limit=1')
    const [first, second] = await client.messages('state=waiting&limit=2')
    await line(page, second!['id'] as string).click()
    await details(page)
      .getByText(/Its destination is paused/)
      .waitFor()
    await line(page, second!['id'] as string).click()
    await line(page, first!['id'] as string).click()
    await details(page).getByRole('button', { name: 'Extend deadline' }).click()
    const hours = details(page).getByLabel('Hours from now')
    assert.equal(await hours.inputValue(), '224')
    await hours.fill('24')
    await details(page).getByLabel('Reason').fill('longer')
    await page.keyboard.press('Enter')
    await details(page)
      .getByText(/^Unchanged: the message is already retried until/)
      .waitFor()
    assert.equal((await client.get('audit?limit=1'))['total'], total)
    await hours.fill('224')
    await page.keyboard.press('Enter')
    await page.getByText(/^The message is now retried until .*\d/).waitFor()
    await tab(page).getByText('Audit log', { exact: true }).click()
    const record = tab(page).locator('.redox-outbox-record li').first()
    await record.getByText(/longer · until \d/).waitFor()
    await tab(page).getByText('Audit log', { exact: true }).click()
    await line(page, first!['id'] as string).click()
    // For many, too.
    await choose(page, 'Extend deadline', 61)
    await many(page).getByLabel('Hours from now').fill('24')
    await many(page).getByLabel('Reason').fill('longer')
    await page.keyboard.press('Enter')
    await many(page).getByText('Done: 0. Unchanged: 61. Deadline already that late: 61.').waitFor()
    assert.equal((await client.get('audit?limit=1'))['total'], total + 1)
    // It takes the result away.
    await filter(page, 'All').click()
    await filter(page, 'Waiting').click()
    await count(page, 50)
  })

  it('leaves the rest when it is cancelled in the middle', async () => {
    const { total } = await client.get('audit?limit=1')
    await page.route('**/outboxconfig/decisions', async (route) => {
      const asked = route.request().postDataJSON() as object
      await route.continue({ postData: JSON.stringify({ ...asked, limit: 2 }) })
    })
    await choose(page, 'Extend deadline', 61)
    await many(page).getByLabel('Hours from now').fill('400')
    await many(page).getByLabel('Reason').fill('stopped')
    await page.keyboard.press('Enter')
    await many(page).getByText('of 61').waitFor()
    await many(page).getByRole('button', { name: 'Cancel' }).click()
    const told = await many(page).getByText('Unchanged:').innerText()
    const [decided, left] = told.match(/\d+/g)!.map(Number) as [number, number]
    assert.ok(decided > 0 && left > 0 && decided + left === 61, told)
    assert.equal((await client.get('audit?limit=1'))['total'], total + decided)
    await page.unroute('**/outboxconfig/decisions')
  })

  it('sends again what may have arrived only when its code is searched for, and says so', async () => {
    redox.script('send', reset)
    const unknown = await client.accept({ documentId: 'doc-unknown', destination: OTHER_DESTINATION })
    await client.until(unknown.id as string, 'parked')
    redox.script('send')
    await filter(page, 'Parked').click()
    await count(page, 1)
    await line(page, unknown.id as string).click()
    await askToSendAgain(page, 'This message may already have arrived. Look it up in the Redox dashboard')
    await line(page, unknown.id as string).click()
    const send = async (): Promise<void> => {
      await many(page).getByLabel('Reason').fill('looked up: not there')
      await page.keyboard.press('Enter')
    }
    await choose(page, 'Send again', 1)
    await many(page).getByText('Messages that may already have arrived, or were accepted').waitFor()
    await send()
    await many(page).getByText('Done: 0. Unchanged: 1.').waitFor()
    await tab(page).getByText('Time accepted, error code').click()
    await tab(page).getByLabel('Error code', { exact: true }).fill('REDOX_OUTCOME_UNKNOWN')
    await tab(page).getByRole('button', { name: 'Search', exact: true }).click()
    await count(page, 1)
    await choose(page, 'Send again', 1)
    await many(page).getByText('do not arrive twice').waitFor()
    await editor.screenshot('outbox-many-unknown')
    await send()
    await client.until(unknown.id as string, 'delivered')
    await tab(page).getByRole('button', { name: 'Clear search' }).click()
    await tab(page).getByText('Time accepted, error code').click()
  })

  it('asks before messages go over another account', async () => {
    redox.script('send', reply(503, {}))
    const first = await client.accept({ documentId: 'doc-other', destination: OTHER_DESTINATION })
    await client.deploy(redox.url, { clientId: 'another client' })
    await client.until(first.id as string, 'parked')
    redox.script('send')
    await tab(page).getByText('Time accepted, error code').click()
    await tab(page).getByLabel('Error code', { exact: true }).fill('REDOX_OTHER_ACCOUNT')
    await tab(page).getByRole('button', { name: 'Search', exact: true }).click()
    await count(page, 1)
    const send = async (isAllowed: boolean): Promise<void> => {
      await choose(page, 'Send again', 1)
      const box = many(page).getByLabel('Include messages that were accepted for a different account')
      assert.equal(await box.isChecked(), false)
      await box.setChecked(isAllowed)
      await many(page).getByLabel('Reason').fill('the client was replaced')
      await editor.screenshot('outbox-many-account')
      await page.keyboard.press('Enter')
    }
    await send(false)
    await many(page).getByText('Done: 0. Unchanged: 1.').waitFor()
    await send(true)
    await many(page).getByText('Done: 1. Unchanged: 0.').waitFor()
    await client.until(first.id as string, 'delivered')
    await client.deploy(redox.url)
    await tab(page).getByRole('button', { name: 'Clear search' }).click()
    await tab(page).getByText('Time accepted, error code').click()
    await filter(page, 'Waiting').click()
    await count(page, 50)
  })

  it('shows one connection of several', async () => {
    const others = [
      {
        ...{ id: 'second', type: 'redox-config', name: 'Laboratory', environment: 'Sandbox' },
        ...{ environmentType: 'environment', delivery: 'durable' },
        credentials: { storeKey: 'another key that is not guessed' },
      },
      { id: 'user', type: 'redox-upload', z: 'outboxtab', connection: 'second', x: 140, y: 160, wires: [[]] },
    ]
    await client.deploy(redox.url, {}, others)
    const choice = tab(page).getByLabel('Connection', { exact: true })
    await choice.selectOption('Laboratory')
    await tab(page).getByText('Waiting 0').waitFor()
    await count(page, 0)
    await editor.screenshot('outbox-several')
    await choice.selectOption('Hospital')
    await tab(page).getByText('Waiting 61').waitFor()
    await count(page, 50)
    await client.deploy(redox.url)
    await choice.waitFor({ state: 'hidden' })
  })

  it('is readable in every theme and width, also in German', async () => {
    const open = async (): Promise<void> => {
      await tab(page).locator('.redox-tab-line').first().click()
      await details(page).locator('dl').last().waitFor()
      await many(page).getByRole('button').click()
      await many(page).getByText('61 matching messages').waitFor()
    }
    await inEveryLook(editor, 'outbox', open, () => checkLooks(page))
    await editor.reload({ language: 'de' })
    await showTab(page, 'outbox')
    await tab(page).getByText('Wartet 61').waitFor()
    await tab(page).locator('.redox-tab-line').first().click()
    await details(page).getByRole('button', { name: 'Verwerfen' }).waitFor()
    await tab(page).getByText('Manuell angehalten').waitFor()
    await many(page).getByRole('button').click()
    await many(page).getByText('61 passende Nachrichten').waitFor()
    await checkNothingIsCut(tab(page))
    assert.deepEqual(await brokenNames(page), [])
    assert.doesNotMatch(await tab(page).innerText(), RAW_KEY)
    await editor.screenshot('outbox-german')
    await editor.reload()
    await showTab(page, 'outbox')
  })

  it('has no buttons for those who may not decide or see the content', async () => {
    await page.evaluate(() => (RED.user.hasPermission = (permission) => permission === 'redox-outbox.read'))
    await tab(page).locator('.redox-tab-line').first().click()
    await details(page).locator('dl').last().waitFor()
    assert.deepEqual(await details(page).getByRole('button').allInnerTexts(), [' Show node'])
    await tab(page)
      .getByRole('button', { name: /^Resume/ })
      .waitFor({ state: 'hidden' })
    await many(page).getByRole('button').waitFor({ state: 'hidden' })
    await page.evaluate(() => (RED.user.hasPermission = () => true))
    await many(page).getByRole('button').waitFor()
    await tab(page)
      .getByRole('button', { name: /^Resume/ })
      .waitFor()
  })

  it('tells who lacks the permission, and shows nothing more of it', async () => {
    await page.route('**/redox/outbox**', (route) => route.fulfill({ status: 401 }))
    await tab(page).getByText('You need the permission redox-outbox.read').waitFor()
    assert.equal(await tab(page).locator('.redox-tab-line').count(), 0)
    await editor.screenshot('outbox-no-permission')
    await page.unroute('**/redox/outbox**')
    await tab(page).locator('.redox-tab-line').first().waitFor()
    // The browser itself writes a refused request to its console.
    for (const complaint of editor.complaints.splice(0)) assert.match(complaint, /status of 401/)
  })

  it('shows messages of no connection, and gives them to the one that is looked at', async () => {
    // The form that it opens has a button of the same name, until all have moved.
    const give = tab(page).getByRole('button', { name: 'Assign to this connection' }).first()
    assert.equal(await give.isVisible(), false)
    redox.script('send', reply(503, {}))
    await client.accept({ documentId: 'doc-of-no-connection' })
    const copied = JSON.parse(
      JSON.stringify(flowTo(redox.url, {})).replaceAll('outboxconfig', 'copied'),
    ) as object[]
    await client.deployFlows(copied)
    await tab(page).getByText('embedded:outboxconfig').waitFor()
    await give.waitFor()
    await give.click()
    await tab(page).getByLabel('Reason').fill('the connection was copied')
    await editor.screenshot('outbox-no-connection')
    await checkNothingIsCut(tab(page))
    redox.script('send')
    await page.keyboard.press('Enter')
    await give.waitFor({ state: 'hidden' })
    await client.deployFlows(flowTo(redox.url, {}))
    await tab(page).getByText('Waiting 0').waitFor()
  })

  it('offers to begin a new store where one cannot be read, and not elsewhere', async () => {
    const begin = tab(page).getByRole('button', { name: 'Begin a new store' })
    assert.equal(await begin.isVisible(), false)
    await client.deployFlows(flowTo(redox.url, {}, 'quite another key of the store'))
    await begin.waitFor()
    await tab(page).getByText('REDOX_STORE_UNREADABLE').waitFor()
    await begin.click()
    await tab(page).getByLabel('Reason').fill('the key is lost')
    await editor.screenshot('outbox-begin-new')
    await checkNothingIsCut(tab(page))
    await page.keyboard.press('Enter')
    await tab(page).getByText('Waiting 0').waitFor()
    await begin.waitFor({ state: 'hidden' })
    await tab(page).getByText('Audit log', { exact: true }).click()
    await tab(page)
      .getByText(/began a new store; the previous store · outboxconfig\.unreadable-\S+ · the key is lost/)
      .waitFor()
  })
})

const tab = (page: Page): Locator => page.locator('.redox-outbox')
const line = (page: Page, id: string): Locator =>
  tab(page).locator('.redox-tab-line', { hasText: id.slice(0, 8) })
const many = (page: Page): Locator => tab(page).locator('.redox-outbox-many')
const details = (page: Page): Locator => tab(page).locator('.redox-tab-details')
const filter = (page: Page, state: string): Locator =>
  tab(page).locator('.redox-outbox-filters').getByRole('button', { name: state })

async function count(page: Page, wanted: number): Promise<void> {
  await page.waitForFunction(
    (number) => document.querySelectorAll('.redox-outbox .redox-tab-line').length === number,
    wanted,
  )
}

/** Opens the form of a message, and leaves it again. */
async function askToSendAgain(page: Page, says: string): Promise<void> {
  await details(page).getByRole('button', { name: 'Send again' }).click()
  await details(page).getByText(says).waitFor()
  await details(page).getByRole('button', { name: 'Cancel' }).click()
}

/** Opens the form for many, and chooses. */
async function choose(page: Page, action: string, number: number): Promise<void> {
  await many(page).getByRole('button', { name: 'Decide for all matching messages' }).click()
  await many(page).getByLabel('Decision').selectOption(action)
  await many(page)
    .getByRole('button', { name: `${action}: ${number}` })
    .waitFor()
  const total = number === 1 ? '1 matching message' : `${number} matching messages`
  await many(page).getByText(total, { exact: true }).waitFor()
}

/** Names of facts with a word that takes two lines. */
const brokenNames = (page: Page): Promise<string[]> =>
  details(page)
    .locator('dt')
    .evaluateAll((names) =>
      names
        .map((name) => name.firstChild!)
        .flatMap((text) =>
          [...text.textContent!.matchAll(/\S+/g)].flatMap(({ 0: word, index }) => {
            const range = document.createRange()
            range.setStart(text, index)
            range.setEnd(text, index + word.length)
            return new Set([...range.getClientRects()].map(({ top }) => top)).size > 1 ? word : []
          }),
        ),
    )

async function search(page: Page, text: string): Promise<void> {
  await tab(page).getByRole('searchbox').fill(text)
  await page.keyboard.press('Enter')
}

async function checkLooks(page: Page): Promise<void> {
  await checkNothingIsCut(tab(page))
  const own = ['state', 'name', 'stopped', 'filters button'].map((part) => `.redox-outbox-${part}`)
  const inDetails = ['dt', 'dd', 'button'].map((part) => `.redox-tab-details ${part}`)
  await checkContrast(
    tab(page),
    '.redox-tab-line',
    '.redox-tab-small',
    'summary',
    'label',
    ...own,
    ...inDetails,
  )
}
