/** Look-up of a message with an unknown outcome, in a browser, with the sandbox as Redox. */
import assert from 'node:assert/strict'
import type { Locator, Page } from 'playwright-core'
import { startSandbox, type Sandbox } from '../../src/sandbox'
import { eventually } from '../lib/eventually'
import type { OutboxClient } from '../lib/outbox'
import type { Editor } from './editor'
import { checkLooks, details, filter, forgive, line, tab, useOutbox } from './outbox'
import { inEveryLook, showTab } from './tabs'

const NO_KEY = { platformClientId: '', platformKeyId: '', organizationId: '', environmentId: '' }

describe('look-up in the outbox of the editor', function () {
  this.timeout(240_000)
  const opened = useOutbox()
  let editor: Editor
  let page: Page
  let client: OutboxClient
  let sandbox: Sandbox

  before(async () => {
    ;({ editor, page, client } = opened())
    sandbox = await startSandbox()
  })
  after(() => sandbox?.close())

  /** Deploys a connection to the sandbox with a fault plan, and accepts a message whose outcome is unknown. */
  async function parked(
    faults: string,
    documentId: string,
    settings: object = {},
    secrets: object = {},
  ): Promise<string> {
    const { url } = await sandbox.openListener(faults, [], 'delay 0')
    await client.deploySandbox({ ...sandbox, url }, { storeOrder: 'none', ...settings }, secrets)
    // The editor has to load the deployed nodes, because its debug sidebar throws for errors of unknown nodes.
    await editor.reload()
    await client.accept({ documentId: `before-${documentId}` })
    const { id } = await client.accept({ documentId })
    await client.until(id, 'parked')
    await showTab(page, 'outbox')
    // After the reload, the tab was shown again and has chosen a state of its own, perhaps while the message was sent.
    await filter(page, 'Parked').click()
    await line(page, id).click()
    return id
  }
  const candidates = (): Locator => details(page).locator('.redox-outbox-candidate')

  async function lookUp(reason: string): Promise<void> {
    await details(page).getByRole('button', { name: 'Look it up' }).click()
    await details(page).getByLabel('Reason').fill(reason)
    await page.keyboard.press('Enter')
  }

  it('says what to set up without a key', async () => {
    const id = await parked('endpoint none 1x\nendpoint reset-after-body', 'doc-no-key', NO_KEY, {
      platformPrivateKey: '',
    })
    await details(page).getByText('To look it up in Redox’s logs here, enter a user-level key').waitFor()
    assert.equal(await details(page).getByRole('button', { name: 'Look it up' }).count(), 0)
    await details(page).getByRole('button', { name: 'Send again' }).click()
    await details(page).getByText('Look it up in the Redox dashboard first').waitFor()
    await editor.screenshot('outbox-look-up-no-key')
    await client.decide(id, 'discard', 'end of test')
  })

  it('says that nothing was found, and what that does not mean', async () => {
    sandbox.clear()
    const id = await parked('endpoint none 1x\nendpoint reset-after-body', 'doc-none')
    sandbox.clear()
    await details(page).getByRole('button', { name: 'Send again' }).click()
    await details(page).getByText('Press Look it up first').waitFor()
    await lookUp('is it there?')
    await details(page)
      .getByText(/^No log was found from/)
      .waitFor()
    await details(page).getByText('That does not mean that Redox does not have the message').waitFor()
    assert.equal(await candidates().count(), 0)
    await editor.screenshot('outbox-look-up-none')
    await client.decide(id, 'discard', 'end of test')
  })

  it('shows the failure of the Platform API in the form', async () => {
    const wrong = { environmentId: 'another' }
    const id = await parked('endpoint none 1x\nendpoint reset-after-body', 'doc-forbidden', wrong)
    await lookUp('is it there?')
    await details(page)
      .getByText(/^Redox’s logs cannot be read\. Redox forbids the request\. REDOX_FORBIDDEN: Platform API/)
      .waitFor()
    await editor.screenshot('outbox-look-up-forbidden')
    forgive(editor, /status of 502 .*look-up/)
    await client.decide(id, 'discard', 'end of test')
  })

  it('shows the candidates, of which a person marks one as delivered', async () => {
    sandbox.clear()
    const id = await parked('endpoint none 1x\nendpoint reset-after-accept', 'doc-found')
    await eventually('Redox has delivered both messages', () => {
      const deliveries = sandbox.received.flatMap((message) => message.deliveries)
      return deliveries.length === 2 && deliveries.every(({ status }) => status === 'succeeded')
    })
    await lookUp('is it there?')
    await details(page)
      .getByText(/^1 log from .* may be that of this message\.$/)
      .waitFor()
    const folded = details(page).getByText('1 log belongs to another message of this outbox')
    assert.equal(await details(page).getByText('This log belongs to message').isVisible(), false)
    await folded.click()
    await details(page)
      .getByText(/^This log belongs to message [\da-f]{8} of this outbox\.$/)
      .waitFor()
    const own = candidates().filter({ has: page.getByRole('button', { name: 'Mark as delivered' }) })
    assert.equal(await own.count(), 1)
    const text = await own.innerText()
    assert.match(text, /\d s after the request/)
    assert.match(text, /the same: data model and event, destination · delivered to the destination/)
    const again = async (): Promise<void> => {
      await line(page, id).click()
      await lookUp('is it there?')
      await own.waitFor()
    }
    await inEveryLook(editor, 'outbox', again, () => checkLooks(page))
    await own.getByRole('button', { name: 'Send again' }).click()
    await own.getByText('If this log is that of the message, Redox already has it').waitFor()
    // As low as the upper half of a sidebar in Node-RED 5.
    await page.setViewportSize({ width: 1400, height: 480 })
    const mark = own.getByRole('button', { name: 'Mark as delivered' })
    // The field of the form that opens is in view then, its buttons are not.
    await mark.evaluate((button) => {
      button.scrollIntoView({ block: 'end' })
      button.closest('.redox-tab-scroll')!.scrollTop += 128
    })
    await mark.click()
    await own.getByText('Do this only if this log is that of the message.').waitFor()
    const form = own.getByRole('form', { name: 'Mark as delivered' })
    assert.ok(await form.evaluate(isInView))
    await page.setViewportSize({ width: 1400, height: 1000 })
    const reason = own.getByLabel('Reason')
    const logId = /log ([\w-]{36})/.exec(text)![1]!
    assert.equal(await reason.inputValue(), 'found in Redox’s logs: delivered to the destination')
    await editor.screenshot('outbox-look-up-mark')
    // The refresh of the list keeps the logs and the form.
    await client.accept({ documentId: 'doc-later' })
    await tab(page).getByText('Parked 2').waitFor()
    assert.ok(await own.isVisible())
    await reason.focus()
    await page.keyboard.press('Enter')
    await page.getByText('The message is marked as delivered.').waitFor()
    const { state, foundLogId } = await client.get(`messages/${id}`)
    assert.deepEqual([state, foundLogId], ['delivered', logId])
    await line(page, id).waitFor({ state: 'detached' })
    await tab(page)
      .getByRole('button', { name: /^Delivered/ })
      .click()
    await line(page, id).click()
    await details(page).getByText('Found log').waitFor()
    await editor.screenshot('outbox-look-up-marked')
    await tab(page).getByText('Audit log', { exact: true }).click()
    await tab(page).getByText('looked up in Redox’s logs').first().waitFor()
  })
})

/** Returns true if no part of an element is scrolled away; runs in the page. */
const isInView = (element: Element): Promise<boolean> =>
  new Promise((resolve) => {
    new IntersectionObserver(([entry]) => resolve(entry!.intersectionRatio > 0.99)).observe(element)
  })
