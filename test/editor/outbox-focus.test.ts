/** Keyboard focus in the outbox tab when new data moves, hides or removes the element that has it. */
import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'
import { eventually } from '../lib/eventually'
import { OTHER_DESTINATION, type OutboxClient } from '../lib/outbox'
import { heldBack, reply, type ScriptedServer } from '../lib/scripted-server'
import type { Editor } from './editor'
import { count, DESTINATION_NAME, details, filter, line, REFUSED, tab, useOutbox } from './outbox'
import { showTab } from './tabs'

const THIRD_DESTINATION = '0b9a5bd5-6a1e-4f2c-9a44-8f0d3a2f6c11'
const DOWN = reply(503, {}, { 'retry-after': '200' })

describe('focus in the outbox tab', function () {
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

  /** Text of the element with the focus; undefined if it is outside the tab. */
  const focused = (): Promise<string | undefined> =>
    page.evaluate(() => {
      const one = document.activeElement as HTMLElement
      if (!one.closest('.redox-outbox')) return undefined
      return one.getAttribute('aria-label') ?? one.textContent.trim()
    })

  /** Accepts a message, and waits until its first attempt has failed. */
  async function acceptWaiting(documentId: string, destination?: string): Promise<string> {
    const id = (await client.accept({ documentId, ...(destination && { destination }) })).id as string
    await eventually('the first attempt has failed', async () => {
      const { state, attempts } = await client.get(`messages/${id}`)
      return state === 'waiting' && attempts === 1
    })
    return id
  }

  async function discard(id: string): Promise<void> {
    assert.equal((await client.decide(id, 'discard', 'no longer wanted')).status, 204)
  }

  it('stays at a row that moves, because a message before it is listed again', async () => {
    redox.script('send', REFUSED, DOWN, REFUSED)
    const first = (await client.accept({ documentId: 'first' })).id as string
    await client.until(first, 'parked')
    const between = await acceptWaiting('between', OTHER_DESTINATION)
    const last = (await client.accept({ documentId: 'last', destination: THIRD_DESTINATION })).id as string
    await client.until(last, 'parked')
    await filter(page, 'Parked').click()
    await count(page, 2)

    // The open row of the message that is sent again stays, and the message between comes after it.
    const { answer, held } = heldBack(400)
    redox.script('send', held, REFUSED)
    await line(page, last).click()
    await details(page).getByRole('button', { name: 'Send again' }).waitFor()
    assert.equal((await client.decide(last, 'resend', 'again')).status, 204)
    await line(page, last).getByText('Sending').waitFor()
    await redox.until('send', 4)
    const other = `datamodel ${OTHER_DESTINATION}`
    const tried = { destination: other, action: 'try-now' }
    assert.equal((await client.post('redox/outbox/outboxconfig/destinations', tried)).status, 200)
    await count(page, 3)
    const ids = async (): Promise<string[]> => {
      const shown = await tab(page).locator('.redox-outbox-messages .redox-tab-line').allInnerTexts()
      return [first, last, between]
        .map((id) => [shown.findIndex((text) => text.includes(id.slice(0, 8))), id] as const)
        .sort(([a], [b]) => a - b)
        .map(([, id]) => id)
    }
    assert.deepEqual(await ids(), [first, last, between])
    await line(page, between).focus()

    answer({ Meta: { Errors: [{ Text: 'no such patient' }] } })
    await eventually('the row is moved', async () => (await ids())[1] === between)
    await eventually('the row has the focus', () =>
      line(page, between).evaluate((row) => row === document.activeElement),
    )
    await page.keyboard.press('Enter')
    assert.equal(await line(page, between).getAttribute('aria-expanded'), 'true')
    for (const id of [last, between]) await line(page, id).click()
    for (const id of [first, last, between]) await discard(id)
    await count(page, 0)
  })

  it('goes to the name of a destination whose button is hidden', async () => {
    redox.script('send', DOWN)
    const id = await acceptWaiting('down')
    const destination = tab(page).locator('.redox-outbox-destination')
    const tryNow = destination.getByRole('button', { name: 'Try now' })
    await tryNow.focus()
    assert.equal((await client.pause(DESTINATION_NAME, 'pause', 'maintenance')).status, 204)
    await tryNow.waitFor({ state: 'hidden' })
    const name = await destination.locator('.redox-outbox-destination-name').innerText()
    await eventually('the name has the focus', async () => (await focused()) === name)
    await discard(id)
    assert.equal((await client.pause(DESTINATION_NAME, 'resume', 'it is over')).status, 204)
  })

  it('stays in the tab when the whole block is hidden', async () => {
    redox.script('send', DOWN)
    const id = await acceptWaiting('again-down')
    const destinations = tab(page).locator('.redox-outbox-destinations')
    await destinations.locator('summary').focus()
    await discard(id)
    await destinations.waitFor({ state: 'hidden' })
    await eventually('an element of the tab has the focus', async () => (await focused()) !== undefined)
  })

  it('is not taken from a user who has left the list', async () => {
    redox.script('send', REFUSED)
    const id = (await client.accept({ documentId: 'left' })).id as string
    await client.until(id, 'parked')
    await filter(page, 'Parked').click()
    await line(page, id).focus()
    // Nothing has the focus after a click on a text.
    await tab(page).locator('.redox-outbox-name').click()
    assert.equal(await focused(), undefined)
    await discard(id)
    await count(page, 0)
    assert.equal(await focused(), undefined)
  })
})
