/** Opens the editor of a real Node-RED in Chromium. */
import { existsSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import { chromium, type Page } from 'playwright-core'
import { startNodeRed } from '../lib/node-red'

const CHROMIUM = process.env['REDOX_TEST_CHROMIUM'] ?? '/usr/bin/chromium'
const SCREENSHOTS = process.env['REDOX_SCREENSHOTS']

export const hasChromium = existsSync(CHROMIUM)
export const howToRunEditor = `install Chromium (apt-get install chromium), or set REDOX_TEST_CHROMIUM`

export interface Editor {
  page: Page
  /** Of Node-RED, with a slash at its end. */
  url: string
  /** What the page complained of so far: exceptions and console errors. */
  complaints: string[]
  screenshot(name: string): Promise<void>
  close(): Promise<void>
}

export async function openEditor(): Promise<Editor> {
  const nodeRed = await startNodeRed()
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] })
  const page = await browser.newPage({ viewport: { width: 1400, height: 1000 } })
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on(
    'console',
    (message) => message.type() === 'error' && complaints.push(`${message.text()} ${message.location().url}`),
  )
  await page.goto(nodeRed.url)
  await page.locator('.red-ui-palette-node').first().waitFor()
  const close = async (): Promise<void> => {
    await browser.close()
    await nodeRed.stop()
  }
  return { page, url: nodeRed.url, complaints, screenshot: screenshots(page), close }
}

function screenshots(page: Page): Editor['screenshot'] {
  return async (name) => {
    if (SCREENSHOTS === undefined) return
    mkdirSync(SCREENSHOTS, { recursive: true })
    await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`) })
  }
}
