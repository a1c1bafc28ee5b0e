/** Outbox tab with several pages of messages, several connections, limited permissions, and unreadable stores. */
import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'
import { flowTo, OTHER_DESTINATION, type Json, type OutboxClient } from '../lib/outbox'
import { Postgres, postgresBinaries } from '../lib/postgres'
import { reply, reset, type ScriptedServer } from '../lib/scripted-server'
import { NO_POSTGRES, skip } from '../lib/skip'
import { checkNothingIsCut } from './accessibility'
import type { Editor } from './editor'
import {
  askToSendAgain,
  brokenNames,
  checkLooks,
  choose,
  count,
  DESTINATION_NAME,
  details,
  filter,
  forgive,
  line,
  many,
  RAW_KEY,
  tab,
  useOutbox,
} from './outbox'
import { inEveryLook, showTab } from './tabs'

describe('outbox with many messages in the editor', function () {
  this.timeout(240_000)
  const opened = useOutbox()
  let editor: Editor
  let page: Page
  let client: OutboxClient
  let redox: ScriptedServer

  before(async () => {
    ;({ editor, page, client, redox } = opened())
    await client.deploy(redox.url)
    await editor.reload()
    await showTab(page, 'outbox')
  })

  it('shows more than a page on request', async () => {
    // Pausing a destination fails before the destination's first message, because the outbox does not know it yet.
    assert.equal((await client.pause(DESTINATION_NAME, 'pause', 'x')).status, 404)
    redox.script('send', reply(503, {}))
    const first = await client.accept({ documentId: 'many-0' })
    assert.equal((await client.pause(DESTINATION_NAME, 'pause', 'x')).status, 204)
    for (let number = 1; number <= 60; number++) await client.press({ documentId: `many-${number}` })
    await filter(page, 'Waiting').click()
    await tab(page).getByText('Waiting 61').waitFor()
    // The list of all messages, which is replaced, has 50 rows, too, but the newest message comes first.
    const firstRow = tab(page).locator('.redox-tab-line').first()
    await firstRow.and(line(page, first.id as string)).waitFor()
    await count(page, 50)
    await tab(page).getByRole('button', { name: 'More' }).focus()
    await page.keyboard.press('Enter')
    await count(page, 61)
    assert.ok(await tab(page).getByRole('button', { name: 'More' }).isHidden())
    // The keyboard goes on at the first message of the new page.
    const focused = await tab(page)
      .locator('.redox-tab-line')
      .evaluateAll((rows) => (rows as Element[]).indexOf(document.activeElement!))
    assert.equal(focused, 50)
  })

  it('extends all matching messages, step by step and with the keyboard alone', async () => {
    // Changes the limit of each request to 25 messages, fewer than the tab requests, and sends it to Node-RED.
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
    // At first, no action is selected in the list of decisions.
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

  it('proposes a later deadline for one message, and reports an unchanged deadline', async () => {
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
    // The deadlines of all 61 messages are already this late, so the action must change none of them.
    await choose(page, 'Extend deadline', 61)
    await many(page).getByLabel('Hours from now').fill('24')
    await many(page).getByLabel('Reason').fill('longer')
    await page.keyboard.press('Enter')
    await many(page).getByText('Done: 0. Unchanged: 61. Deadline already that late: 61.').waitFor()
    assert.equal((await client.get('audit?limit=1'))['total'], total + 1)
    // When the user changes the filter of the list, the tab removes the line that shows the result of the last decision.
    await filter(page, 'All').click()
    await filter(page, 'Waiting').click()
    await count(page, 50)
  })

  it('leaves the rest when it is cancelled in the middle', async () => {
    const { total } = await client.get('audit?limit=1')
    let cancelled = (): void => undefined
    const isCancelled = new Promise<void>((resolve) => (cancelled = resolve))
    let steps = 0
    await page.route('**/outboxconfig/decisions', async (route) => {
      // The second request is on its way when the user cancels. It is answered, and no third one follows.
      if (++steps === 2) await isCancelled
      const asked = route.request().postDataJSON() as object
      await route.continue({ postData: JSON.stringify({ ...asked, limit: 2 }) })
    })
    await choose(page, 'Extend deadline', 61)
    await many(page).getByLabel('Hours from now').fill('400')
    await many(page).getByLabel('Reason').fill('stopped')
    await page.keyboard.press('Enter')
    await many(page).getByText('2 of 61').waitFor()
    await many(page).getByRole('button', { name: 'Cancel' }).click()
    cancelled()
    await many(page).getByText('Done: 4. Unchanged: 57.').waitFor()
    assert.equal(steps, 2)
    assert.equal((await client.get('audit?limit=1'))['total'], total + 4)
    await page.unroute('**/outboxconfig/decisions')
  })

  it('sends possibly delivered messages again only when the search contains their code, with a warning', async () => {
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

  it('asks before messages are sent with another account', async () => {
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

  it('shows one of several connections', async () => {
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

  it('has no buttons for users without permission to decide or to see the content', async () => {
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

  it('reports a missing permission, and shows nothing else', async () => {
    await page.route('**/redox/outbox**', (route) => route.fulfill({ status: 401 }))
    await tab(page).getByText('You need the permission redox-outbox.read').waitFor()
    assert.equal(await tab(page).locator('.redox-tab-line').count(), 0)
    await editor.screenshot('outbox-no-permission')
    await page.unroute('**/redox/outbox**')
    await tab(page).locator('.redox-tab-line').first().waitFor()
    // The browser logs each refused request in its console.
    forgive(editor, /status of 401/)
  })

  it('shows messages without a connection, and assigns them to the selected connection', async () => {
    // The first button with this name: it opens a form, whose submit button has the same name.
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

  it('offers a new store only when a store cannot be read', async () => {
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

  it('names settings of the database server with which messages can be lost', async function () {
    if (postgresBinaries() === undefined && process.env['CI'] !== 'true') skip(this, NO_POSTGRES)
    const postgres = await Postgres.start()
    try {
      const replica = await postgres.replica()
      try {
        const flow = flowTo(redox.url, { store: 'postgresql' }) as Json[]
        Object.assign(flow[1]!['credentials'] as object, { storeUrl: postgres.url() })
        const warning = tab(page).getByText('The database has asynchronous replicas')
        assert.equal(await warning.isVisible(), false)
        await client.deployFlows(flow)
        await warning.waitFor()
        assert.deepEqual((await client.connection())['warnings'], ['asynchronous'])
        await editor.screenshot('outbox-warning')
        await checkNothingIsCut(tab(page))
        await client.deployFlows(flowTo(redox.url, {}))
        await warning.waitFor({ state: 'hidden' })
      } finally {
        await replica.stop()
      }
    } finally {
      await postgres.stop()
    }
  })
})
