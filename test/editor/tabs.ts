/** Helpers for the tests of the sidebar tabs. */
import assert from 'node:assert/strict'
import type { Locator, Page } from 'playwright-core'
import type { Editor } from './editor'
import { eventually } from '../lib/eventually'
import { checkByAxe, checkFits } from './accessibility'

/** Lowest contrast between text and background for WCAG 2 level AA. */
const CONTRAST = 4.5

/**
 * Shows a tab of the sidebar.
 * @param topic `inbox` or `outbox`
 */
export async function showTab(page: Page, topic: string): Promise<void> {
  await page.evaluate((name) => RED.actions.invoke(`redox:show-${name}`), topic)
  await page.locator(`.redox-${topic}`).waitFor()
}

/** Hides a tab of the sidebar by opening the info tab. */
export async function hideTab(page: Page, topic: string): Promise<void> {
  await page.evaluate(() => RED.sidebar.show('info'))
  await page.locator(`.redox-${topic}`).waitFor({ state: 'hidden' })
}

/** Dot on the icon of a sidebar tab, which reports events that occurred while the tab was not shown. */
export const newsMark = (page: Page, topic: string): Locator =>
  page.locator(`.redox-tab-news-${topic}:visible`)

/**
 * Runs a check of a sidebar tab in every theme and width, and those for screen readers and a narrow screen.
 * @param check assertion that must hold each time, called with the tab open
 */
export async function inEveryLook(
  editor: Editor,
  topic: string,
  open: () => Promise<void>,
  check: () => Promise<void>,
): Promise<void> {
  for (const theme of ['light', 'dark'] as const) {
    await editor.reload({ theme })
    await showTab(editor.page, topic)
    await open()
    for (const width of [280, 400]) {
      await setWidth(editor.page, width)
      await check()
      await checkByAxe(editor.page, topic)
      await checkFits(editor.page, topic)
      await editor.screenshot(`${topic}-${theme}-${width}`)
    }
  }
}

/** Sets the width of the sidebar, as dragging its edge does. */
export async function setWidth(page: Page, width: number): Promise<void> {
  await page.locator('#red-ui-sidebar').evaluate((sidebar, pixels) => {
    sidebar.style.width = `${pixels}px`
    window.dispatchEvent(new Event('resize'))
  }, width)
}

export async function checkContrast(tab: Locator, ...selectors: string[]): Promise<void> {
  for (const selector of selectors) {
    let ratio = 0
    // A refresh of the list may replace the element between the search and the measurement.
    await eventually(`${selector} is there`, async () => {
      const [found] = await tab.locator(selector).first().evaluateAll(contrastsOf, false)
      ratio = found?.ratio ?? 0
      return found !== undefined
    })
    assert.ok(ratio >= CONTRAST, `${selector} has a contrast of ${ratio.toFixed(2)}`)
  }
}

/** Checks every visible text of a tab, also what is scrolled away. Disabled controls need no contrast. */
export async function checkEveryContrast(tab: Locator): Promise<void> {
  const found = await tab.locator('*:not(option):not(:disabled)').evaluateAll(contrastsOf, true)
  const low = found.filter(({ ratio }) => ratio < CONTRAST)
  assert.deepEqual(
    low.map(({ shown, ratio }) => `${ratio.toFixed(2)}: ${shown}`),
    [],
  )
  assert.ok(found.length > 40, `only ${found.length} texts`)
}

/**
 * Contrast ratios between the colour of a text and the nearest background colour; runs in the page.
 * @param onlyTexts true: only of visible elements that contain text themselves
 */
function contrastsOf(elements: Element[], onlyTexts: boolean): { shown: string; ratio: number }[] {
  const luminance = (colour: string): number => {
    const [red, green, blue] = colour.match(/[\d.]+/g)!.map((part) => {
      const value = Number(part) / 255
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
    }) as [number, number, number]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  const ratioOf = (text: Element): number => {
    let behind: Element | null = text
    while (behind && getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)')
      behind = behind.parentElement
    const pair = [getComputedStyle(text).color, getComputedStyle(behind!).backgroundColor].map(luminance)
    return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05)
  }
  const hasText = (one: Element): boolean =>
    one.matches('input, select') ||
    [...one.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent!.trim() !== '')
  return (
    elements
      // The list may have been drawn anew since the elements were found.
      .filter((one) => one.isConnected && (!onlyTexts || (one.checkVisibility() && hasText(one))))
      .map((one) => ({ shown: one.outerHTML.slice(0, 150), ratio: ratioOf(one) }))
  )
}
