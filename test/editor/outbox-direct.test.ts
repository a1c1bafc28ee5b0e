/** Messages of direct delivery in the outbox tab, in a browser with a real Node-RED. */
import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import type { Locator, Page } from 'playwright-core'
import { flowTo, OutboxClient } from '../lib/outbox'
import { reply, reset, ScriptedServer } from '../lib/scripted-server'
import { needChromium, openEditor, type Editor } from './editor'
import { checkNothingIsCut, showTab } from './tabs'

/** Pattern for keys of the message catalogue; a key that is visible in the editor is a missing translation. */
const RAW_KEY = /\boutbox\.\w/

describe('direct messages in the outbox tab', function () {
  this.timeout(120_000)
  let editor: Editor
  let page: Page
  let client: OutboxClient
  let redox: ScriptedServer
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

  const section = (): Locator => page.locator('.redox-outbox-direct')
  const rowWith = (words: string): Locator => section().locator('li').filter({ hasText: words })

  it('show what waits, is sent and is unknown, lead to the node, and go when they have ended', async () => {
    await client.deployFlows(flowTo(redox.url, { delivery: 'direct', sendsAtOnce: '1' }))
    await editor.reload()
    await showTab(page, 'outbox')
    await page.getByText('No connection uses durable delivery').waitFor()
    assert.equal(await section().count(), 0)

    let held: ServerResponse | undefined
    redox.script('send', reset, (response) => void (held = response))
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
    assert.match(unknown, /Data Model af394f14[^]*accepted .* ago · 1 attempt\b/)
    assert.doesNotMatch(await section().innerText(), RAW_KEY)
    await checkNothingIsCut(page.locator('.redox-outbox'))

    await rowWith('Outcome unknown').getByRole('button', { name: 'Show node' }).click()
    await page.locator('#outboxsend.red-ui-flow-node-group').waitFor()
    assert.equal(await section().getByRole('button').count(), 3)

    // When the connection is removed, its messages disappear from the tab after the last request has ended.
    await client.deployFlows([])
    held?.destroy()
    await section().waitFor({ state: 'detached' })
  })

  it('say why they wait for the next attempt', async () => {
    await client.deployFlows(flowTo(redox.url, { delivery: 'direct', attempts: '3' }))
    redox.script('send', reply(503, {}, { 'retry-after': '20' }))
    await client.press({ documentId: 'doc-4' })
    await rowWith('last failure: REDOX_').waitFor()
    assert.match(await section().innerText(), /Waiting[^]*1 attempt · last failure: REDOX_/)
  })
})
