// Helpers that prepare the editor's page for screenshots.
/* global addEventListener, document */
import { setTimeout as wait } from 'node:timers/promises'

/** @typedef {import('playwright-core').Page} Page */
/** @typedef {import('playwright-core').Locator} Locator */

export const WITHIN_MS = 30_000

/**
 * The globals of the editor's page that functions in `page.evaluate` use.
 * @typedef {object} EditorGlobals
 * @property {{
 *   editor: { edit: (node: object) => void, editConfig: (name: string, type: string, id: string) => void },
 *   nodes: { node: (id: string) => object },
 *   tray: { close: () => void },
 *   actions: { invoke: (name: string) => void },
 * }} RED
 * @property {(selector: string) => { typedInput: (name: string, value: string) => void }} $
 * @property {{ fx: { off: boolean } }} [jQuery]
 *
 * @typedef {typeof globalThis & EditorGlobals} Editor
 */

/**
 * @param {Page} page
 * @param {'inbox' | 'outbox'} topic
 */
export async function showTab(page, topic) {
  const tab = page.locator(`.redox-${topic}`)
  await until(async () => {
    await page.evaluate(
      (name) => /** @type {Editor} */ (globalThis).RED.actions.invoke(`redox:show-${name}`),
      topic,
    )
    return tab.isVisible()
  }, `the tab ${topic} is shown`)
}

/** Turns animations off in the page, so that no screenshot shows a moving dialog. */
export function withoutAnimations() {
  addEventListener('DOMContentLoaded', () => {
    const style = document.createElement('style')
    style.textContent =
      '*, ::before, ::after { transition: none !important; animation: none !important; }' +
      '#redox-pointer { position: fixed; z-index: 10000; pointer-events: none; width: 22px; }'
    document.head.append(style)
    const { jQuery } = /** @type {Editor} */ (globalThis)
    if (jQuery) jQuery.fx.off = true
  })
}

/**
 * Draws a mouse pointer into the page, because screenshots do not contain one.
 * @param {Page} page
 * @param {Locator} [target] element at which the pointer is drawn; undefined: no pointer
 */
export async function pointAt(page, target) {
  const box = await target?.boundingBox()
  const place = box && { x: box.x + Math.min(box.width / 2, 400), y: box.y + Math.min(box.height / 2, 300) }
  await page.evaluate((at) => {
    document.querySelector('#redox-pointer')?.remove()
    if (!at) return
    const svg =
      '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 22 30"><path d="M2 2v22l6-5 4 9 4-2-4-8h8z" ' +
      'fill="#fff" stroke="#222" stroke-width="2"/></svg>'
    const pointer = document.createElement('div')
    pointer.id = 'redox-pointer'
    pointer.innerHTML = svg
    pointer.style.left = `${at.x}px`
    pointer.style.top = `${at.y}px`
    document.body.append(pointer)
  }, place)
}

/**
 * Waits until the PDF viewer has drawn the page. The viewer emits no event, so this waits for two equal screenshots
 * that have more than one colour.
 * @param {Locator} locator
 */
export async function standsStill(locator) {
  /** @type {Buffer | undefined} */
  let before
  await until(async () => {
    const now = await locator.screenshot()
    const isSame = before !== undefined && before.equals(now) && now.length > 5000
    before = now
    if (!isSame) await wait(700)
    return isSame
  }, 'the document is drawn')
}

/**
 * @param {() => boolean | Promise<boolean>} isTrue
 * @param {string} what description of the condition for the error text
 * @throws if the condition does not become true before the time limit
 */
export async function until(isTrue, what) {
  const end = Date.now() + WITHIN_MS
  while (!(await isTrue())) {
    if (Date.now() > end) throw new Error(`not so: ${what}`)
    await wait(200)
  }
}
