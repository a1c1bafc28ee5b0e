/** Outbox tab in its own instance of the editor, with a server that refuses messages; and helpers to use the tab. */
import assert from 'node:assert/strict'
import type { Locator, Page } from 'playwright-core'
import { DESTINATION, OutboxClient } from '../lib/outbox'
import { reply, ScriptedServer } from '../lib/scripted-server'
import { checkNothingIsCut } from './accessibility'
import { needChromium, openEditor, type Editor } from './editor'
import { checkContrast } from './tabs'

/** Pattern for keys of the message catalogue; a key that is visible in the editor is a missing translation. */
export const RAW_KEY = /\boutbox\.\w/
export const PWN = `<img src=x onerror="window.__pwned = 'x'">`

export const REFUSED = reply(400, {
  Meta: { Errors: [{ Text: 'no such patient' }], Logs: [{ ID: 'log-1' }] },
})
export const DESTINATION_NAME = `datamodel ${DESTINATION}`

declare global {
  interface Window {
    __pwned?: string
  }
}

export interface OutboxEditor {
  editor: Editor
  page: Page
  client: OutboxClient
  redox: ScriptedServer
}

/** Registers mocha hooks that open an editor for a `describe` block about the outbox. Node-RED starts without flows. */
export function useOutbox(): () => OutboxEditor {
  let opened: OutboxEditor | undefined
  let redox: ScriptedServer | undefined
  before(async function () {
    needChromium(this)
    redox = await ScriptedServer.start()
    const editor = await openEditor()
    opened = { editor, page: editor.page, client: new OutboxClient(editor.url), redox }
  })
  after(async () => {
    await opened?.editor.close()
    await redox?.close()
  })
  afterEach(async () => {
    if (opened === undefined) return
    const { editor, page } = opened
    assert.equal(await page.evaluate(() => window.__pwned), undefined)
    assert.doesNotMatch(await tab(page).innerText(), RAW_KEY)
    // The browser logs responses with these status codes. They are expected: a deploy closes the store for a moment.
    const complaints = editor.complaints
      .splice(0)
      .filter((one) => !/status of (404|409|503) .*\/redox\/outbox/.test(one))
    assert.deepEqual(complaints, [])
  })
  return () => opened!
}

/** Removes the expected complaints of the editor, such as a refused request. The remaining ones fail the test. */
export function forgive({ complaints }: Editor, expected: RegExp): void {
  complaints.push(...complaints.splice(0).filter((one) => !expected.test(one)))
}

export const tab = (page: Page): Locator => page.locator('.redox-outbox')
/** Returns the line of a message. The state of another message may name the message, too. */
export const line = (page: Page, id: string): Locator =>
  tab(page).locator('.redox-tab-line', {
    has: page.locator('.redox-tab-small', { hasText: id.slice(0, 8) }),
  })
export const many = (page: Page): Locator => tab(page).locator('.redox-outbox-many')
export const details = (page: Page): Locator => tab(page).locator('.redox-tab-details')
export const filter = (page: Page, state: string): Locator =>
  tab(page).locator('.redox-outbox-filters').getByRole('button', { name: state })

export async function count(page: Page, wanted: number): Promise<void> {
  await page.waitForFunction(
    (number) => document.querySelectorAll('.redox-outbox .redox-tab-line').length === number,
    wanted,
  )
}

/** Opens the form "Send again" of a message, checks the text of the form and cancels. */
export async function askToSendAgain(page: Page, says: string): Promise<void> {
  await details(page).getByRole('button', { name: 'Send again' }).click()
  await details(page).getByText(says).waitFor()
  await details(page).getByRole('button', { name: 'Cancel' }).click()
}

/** Opens the form for many messages, and selects an action for this number of messages. */
export async function choose(page: Page, action: string, number: number): Promise<void> {
  await many(page).getByRole('button', { name: 'Decide for all matching messages' }).click()
  await many(page).getByLabel('Decision').selectOption(action)
  await many(page)
    .getByRole('button', { name: `${action}: ${number}` })
    .waitFor()
  const total = number === 1 ? '1 matching message' : `${number} matching messages`
  await many(page).getByText(total, { exact: true }).waitFor()
}

/** Words that are broken over two lines in the names of a message's details. */
export const brokenNames = (page: Page): Promise<string[]> =>
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

export async function search(page: Page, text: string): Promise<void> {
  await tab(page).getByRole('searchbox').fill(text)
  await page.keyboard.press('Enter')
}

export async function checkLooks(page: Page): Promise<void> {
  await checkNothingIsCut(tab(page))
  const own = ['state', 'name', 'stopped', 'filters button'].map((part) => `.redox-outbox-${part}`)
  const parts = ['dt', 'dd', 'button'].map((part) => `.redox-tab-details ${part}`)
  await checkContrast(tab(page), '.redox-tab-line', '.redox-tab-small', 'summary', 'label', ...own, ...parts)
}
