/** Checks of a sidebar tab: for screen readers (judged by axe-core), and on a narrow screen. */
import assert from 'node:assert/strict'
import type { AxeResults, RunOptions } from 'axe-core'
import type { Locator, Page } from 'playwright-core'

declare global {
  interface Window {
    axe?: { run(context: string, options: RunOptions): Promise<AxeResults> }
  }
}

/** Width of a screen with two windows side by side, or of a tablet. */
export const NARROW = 768
const WCAG = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

/**
 * Checks a tab as it is shown. The documents in its frames are those of users.
 * @param topic `inbox` or `outbox`
 * @returns names of the rules that it passes
 */
export async function checkByAxe(page: Page, topic: string): Promise<string[]> {
  if (await page.evaluate(() => window.axe === undefined))
    await page.addScriptTag({ path: require.resolve('axe-core/axe.min.js') })
  const { violations, passes } = await page.evaluate(
    ([context, values]) =>
      window.axe!.run(context, { runOnly: { type: 'tag', values: [...values] }, iframes: false }),
    [`.redox-${topic}`, WCAG] as const,
  )
  const told = violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary}`),
  )
  assert.deepEqual(told, [])
  return passes.map(({ id }) => id)
}

/** Checks that a tab fits on a screen of {@link NARROW} pixels, with the width that its sidebar has. */
export async function checkFits(page: Page, topic: string): Promise<void> {
  const { width, height } = page.viewportSize()!
  await page.setViewportSize({ width: NARROW, height: 1024 })
  try {
    await checkNothingIsCut(page.locator(`.redox-${topic}`))
    assert.deepEqual(await outOfReach(page, topic), [])
  } finally {
    await page.setViewportSize({ width, height })
  }
}

export async function checkNothingIsCut(tab: Locator): Promise<void> {
  const tooWide = await tab.evaluate((root) =>
    [root, ...root.querySelectorAll('*')]
      .filter((one) => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== 'inline')
      .filter((one) => one.clientWidth > 0 && one.tagName !== 'INPUT')
      .map((one) => `${one.tagName}.${one.className}`),
  )
  assert.deepEqual(tooWide, [])
}

/** Controls of a tab that are cut off at the side, and the page itself if it scrolls sideways. */
const outOfReach = (page: Page, topic: string): Promise<string[]> =>
  page.evaluate((name) => {
    const root = document.querySelector(`.redox-${name}`)!
    const { left, right } = root.getBoundingClientRect()
    const out = [...root.querySelectorAll<HTMLElement>('button, input, select, summary')]
      .filter((one) => one.checkVisibility())
      .filter((one) => {
        const box = one.getBoundingClientRect()
        return box.left < left - 1 || box.right > Math.min(right, innerWidth) + 1
      })
      .map((one) => one.outerHTML.slice(0, 100))
    const { scrollWidth } = document.documentElement
    return scrollWidth > innerWidth ? [...out, `the page: ${scrollWidth}`] : out
  }, topic)
