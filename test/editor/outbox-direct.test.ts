/** Messages of direct delivery in the outbox tab, in a browser with a real Node-RED. */
import assert from 'node:assert/strict'
import type { Locator, Page } from 'playwright-core'
import { eventually } from '../lib/eventually'
import { DESTINATION, flowTo, type OutboxClient } from '../lib/outbox'
import { heldBack, reply, reset, type ScriptedServer } from '../lib/scripted-server'
import { checkNothingIsCut } from './accessibility'
import type { Editor } from './editor'
import { RAW_KEY, tab, useOutbox } from './outbox'
import { checkContrast, inEveryLook, showTab } from './tabs'

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736'
const UNKNOWN = reply(500, {}, { 'redox-trace-id': TRACE_ID })
const PDF = Buffer.from('%PDF-1.7 %%EOF').toString('base64')
const DOWN = reply(503, {}, { 'retry-after': '280' })
/** Pattern for keys of the message catalogue; a key that is visible in the editor is a missing translation. */
const FRONT = { id: 'front', type: 'tab', label: 'front' }

describe('direct messages in the outbox tab', function () {
  this.timeout(240_000)
  const opened = useOutbox()
  let editor: Editor
  let page: Page
  let client: OutboxClient
  let redox: ScriptedServer
  before(() => ({ editor, page, client, redox } = opened()))

  const section = (): Locator => page.locator('.redox-outbox-direct')
  const rowWith = (words: string): Locator => section().locator('li').filter({ hasText: words })

  it('show what waits, is sent and is unknown, lead to the node, and go when they have ended', async () => {
    await client.deployFlows([FRONT, ...flowTo(redox.url, { delivery: 'direct', sendsAtOnce: '1' })])
    await editor.reload()
    await showTab(page, 'outbox')
    await page.getByText('No connection uses durable delivery').waitFor()
    assert.equal(await section().count(), 0)

    const { held, answer } = heldBack()
    redox.script('send', UNKNOWN, held)
    await client.press({ documentId: 'doc-1' })
    await rowWith('Outcome unknown').waitFor()
    await section().getByText('look the message up in Redox’s logs before you send it again').waitFor()
    await client.press({ documentId: 'doc-2' })
    await rowWith('Sending').waitFor()
    await client.press({ documentId: 'doc-3' })
    await rowWith('Waiting').waitFor()
    const states = await section().locator('.redox-outbox-state').allInnerTexts()
    assert.deepEqual(
      states.map((state) => state.trim()),
      ['Waiting', 'Sending', 'Outcome unknown'],
    )
    assert.match(await section().innerText(), /^Direct messages: Hospital/)
    const unknown = await rowWith('Outcome unknown').innerText()
    assert.match(
      unknown,
      /Notes:New · Data Model af394f14[^]*accepted .* ago · 1 attempt · trace ID 4bf92f35/,
    )

    const node = page.locator('#outboxsend')
    assert.equal(await node.count(), 0, 'the editor shows another flow')
    await rowWith('Outcome unknown').getByRole('button', { name: 'Show node' }).click()
    await node.waitFor()
    // None of them waits for its next attempt.
    const buttons = section().getByRole('button').filter({ visible: true })
    const names = (await buttons.allInnerTexts()).map((name) => name.trim())
    assert.deepEqual(names, ['Show node', 'Show node', 'Show node'])

    // When the connection is removed, its messages disappear from the tab after the last request has ended.
    await client.deployFlows([])
    answer()
    await section().waitFor({ state: 'detached' })
  })

  it('say why and until when they wait, in every theme and width, also in German', async () => {
    await client.deployFlows(flowTo(redox.url, { delivery: 'direct', attempts: '3' }))
    redox.script('send', DOWN, UNKNOWN)
    await client.press({ documentId: 'doc-4' })
    await rowWith('1 attempt · last failure: Redox unavailable (REDOX_UNAVAILABLE)').waitFor()
    assert.match(await rowWith('Waiting').innerText(), /REDOX_UNAVAILABLE\) · next attempt: \d/)
    await client.press({ documentId: 'doc-5' })
    const open = (): Promise<void> => rowWith('Outcome unknown').waitFor()
    await inEveryLook(editor, 'outbox', open, () => checkLooks(page))
    await editor.reload({ language: 'de' })
    await showTab(page, 'outbox')
    await rowWith('Trace-ID').waitFor()
    const text = await section().innerText()
    assert.match(text, /letzter Fehler: Redox gestört \(REDOX_UNAVAILABLE\) · nächster Versuch: \d/)
    assert.match(text, /Ergebnis unbekannt: Die Nachricht in den Protokollen von Redox suchen/)
    assert.doesNotMatch(text, RAW_KEY)
    await checkNothingIsCut(tab(page))
    await editor.reload()
    await showTab(page, 'outbox')
    await editor.screenshot('outbox-direct-waiting')
    const { answer, held } = heldBack()
    redox.script('send', held)
    const tryNow = rowWith('Waiting').getByRole('button', { name: 'Try now' })
    assert.match((await tryNow.getAttribute('title'))!, /counts towards Maximum attempts/)
    await tryNow.focus()
    await page.keyboard.press('Enter')
    await page.getByText('The next attempt begins now.').waitFor()
    // The button is gone. The focus stays in its row, and then in the list.
    const showNode = rowWith('Sending').getByRole('button', { name: 'Show node' })
    await eventually('the next button has the focus', () =>
      showNode.evaluate((one) => one === document.activeElement),
    )
    answer()
    await rowWith('Sending').waitFor({ state: 'detached' })
    await section().locator('ul:focus').waitFor()
    assert.equal(await rowWith('Outcome unknown').getByRole('button', { name: 'Try now' }).isVisible(), false)
  })

  it('are shown for each connection, also while those of another cannot be loaded', async () => {
    const flow = flowTo(redox.url, { delivery: 'direct' })
    const other = JSON.stringify(flow).replace('Hospital', 'Laboratory').replaceAll('"outbox', '"other')
    redox.script('send', reset)
    await client.deployFlows([...flow, ...(JSON.parse(other) as object[])])
    await editor.reload()
    await showTab(page, 'outbox')
    await client.press({ documentId: 'doc-6' })
    await section().filter({ hasText: 'Hospital' }).waitFor()
    await page.route('**/outboxconfig/direct', (route) => route.fulfill({ status: 503 }))
    const message = { payload: PDF, filename: 'a.pdf', destination: DESTINATION, documentId: 'doc-7' }
    await client.inject('otherbutton', message)
    await section().filter({ hasText: 'Laboratory' }).waitFor()
    const failed = section().getByText('These messages cannot be loaded at the moment.')
    await failed.and(page.locator(':visible')).waitFor()
    assert.equal(await section().count(), 2)
    assert.equal(await page.getByText('The outbox cannot be loaded').count(), 0)
    await page.unroute('**/outboxconfig/direct')
    await failed.first().waitFor({ state: 'hidden' })
  })

  it('are looked up in the inbox if the connection is one to the sandbox', async () => {
    await client.deployFlows([])
    await section().first().waitFor({ state: 'detached' })
    const sandbox = { environment: 'Sandbox', faults: 'endpoint reset-after-accept' }
    await client.deployFlows(flowTo(redox.url, { delivery: 'direct', ...sandbox }))
    await editor.reload()
    await showTab(page, 'outbox')
    await client.press({ documentId: 'doc-8' })
    await section().getByText('look the message up in the sandbox’s inbox before you send it again').waitFor()
  })
})

async function checkLooks(page: Page): Promise<void> {
  await checkNothingIsCut(tab(page))
  const parts = [
    'h4',
    '.redox-outbox-direct-hint:visible',
    '.redox-outbox-state',
    '.redox-tab-small',
    'button',
  ]
  await checkContrast(tab(page), ...parts.map((part) => `.redox-outbox-direct ${part}`))
}
