/** Helpers for tests of files that a sidebar tab shows. */
import type { Locator, Page } from 'playwright-core'
import { eventually } from '../lib/eventually'

declare global {
  interface Window {
    __urls?: Set<string>
  }
}

/** Waits until the page or frame shows the PDF. A failure says what the last screenshot showed, or why there was none. */
export async function untilPainted(page: Page, shown: Page | Locator): Promise<void> {
  let last = 'no screenshot yet'
  await eventually(
    () => `the PDF is painted (${last})`,
    async () => {
      try {
        const pixels = await palePixels(page, shown)
        last = `${pixels} pale pixels`
        return pixels > 1000
      } catch (error) {
        last = String(error)
        return false
      }
    },
  )
}

/**
 * Returns how many shown pixels have the pale blue of the heading in the test PDF, a colour that the editor does
 * not use.
 */
async function palePixels(page: Page, shown: Page | Locator): Promise<number> {
  const picture = (await shown.screenshot()).toString('base64')
  return page.evaluate(async (base64) => {
    const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${base64}`)).blob())
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d')!
    context.drawImage(bitmap, 0, 0)
    const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height)
    const near = (value: number, wanted: number): boolean => Math.abs(value - wanted) < 4
    let count = 0
    for (let at = 0; at < data.length; at += 4)
      if (near(data[at]!, 218) && near(data[at + 1]!, 238) && near(data[at + 2]!, 243)) count++
    return count
  }, picture)
}

/** Starts to count the blob: URLs that the page has created but not revoked. */
export async function countUrls(page: Page): Promise<void> {
  await page.evaluate(() => {
    if (window.__urls) return
    const urls = (window.__urls = new Set<string>())
    const create = URL.createObjectURL.bind(URL)
    const revoke = URL.revokeObjectURL.bind(URL)
    URL.createObjectURL = (blob: Blob) => {
      const url = create(blob)
      urls.add(url)
      return url
    }
    URL.revokeObjectURL = (url) => {
      urls.delete(url)
      revoke(url)
    }
  })
}

export const openUrls = (page: Page): Promise<number> => page.evaluate(() => window.__urls!.size)
