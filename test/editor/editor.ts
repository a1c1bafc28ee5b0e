/** Editor of a real Node-RED in Chromium. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import { chromium, type Browser, type ConsoleMessage, type Page } from 'playwright-core'
import { startNodeRed } from '../lib/node-red'
import { closeDialogs } from './dialogs'
import { skip } from '../lib/skip'

const CHROMIUM = process.env['REDOX_TEST_CHROMIUM'] ?? '/usr/bin/chromium'
const SCREENSHOTS = process.env['REDOX_SCREENSHOTS']

const hasChromium = existsSync(CHROMIUM)
const howToRunEditor = `install Chromium (apt-get install chromium), or set REDOX_TEST_CHROMIUM`

export interface Editor {
  page: Page
  /** URL of Node-RED, with a trailing slash. */
  url: string
  /** user directory of Node-RED, with the embedded stores */
  userDir: string
  /** Exceptions of the page so far, and the errors and warnings in its console. */
  complaints: string[]
  screenshot(name: string): Promise<void>
  /** Deploys these flows (if given) and reloads the editor in this language and theme. */
  reload(options?: { flows?: object[]; language?: string; theme?: 'light' | 'dark' }): Promise<void>
  close(): Promise<void>
}

/** Skips the tests if no browser is installed. On CI, a missing browser is an error. */
export function needChromium(context: Mocha.Context): void {
  if (!hasChromium && !process.env['CI']) {
    skip(context, `editor tests: ${howToRunEditor}`)
  }
  assert.ok(hasChromium, `No Chromium: ${howToRunEditor}`)
}

/**
 * Command-line flags of Chromium. Without a graphics card, Chromium emulates a GPU in software, which took most of the
 * time of the editor tests. The tests need no GPU.
 */
const ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-software-rasterizer']

/**
 * Starts Chromium.
 * @param args further command-line arguments
 */
export const launchChromium = (args: string[] = []): Promise<Browser> =>
  chromium.launch({ executablePath: CHROMIUM, args: [...ARGUMENTS, ...args] })

/**
 * Starts Node-RED and opens its editor.
 * @param env environment variables for Node-RED's process
 */
export async function openEditor(env: object = {}): Promise<Editor> {
  const nodeRed = await startNodeRed({}, env)
  const browser = await launchChromium()
  const page = await browser.newPage({ viewport: { width: 1400, height: 1000 } })
  page.setDefaultTimeout(60_000)
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.stack ?? error.message))
  page.on('console', (message) => {
    if (isComplaint(message)) complaints.push(`${message.text()} ${message.location().url}`)
  })
  await page.addInitScript(withoutWaiting)
  await switchOffTips(nodeRed.url)
  await page.goto(nodeRed.url)
  await untilLoaded(page)
  const close = async (): Promise<void> => {
    await browser.close()
    await nodeRed.stop()
  }
  return {
    page,
    url: nodeRed.url,
    userDir: nodeRed.userDir,
    complaints,
    screenshot: screenshots(page),
    reload: (options = {}) => reload(page, nodeRed.url, options),
    close,
  }
}

/**
 * Switches off the tips of the info sidebar. Node-RED 5 shows the first one a second after the start of the editor, and
 * on a busy machine this fails with an error, because the sidebar is not built yet.
 */
async function switchOffTips(url: string): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ editor: { view: { 'view-show-tips': false } } })
  const { status } = await fetch(`${url}settings/user`, { method: 'POST', headers, body })
  assert.equal(status, 204)
}

/**
 * Switches off what takes most of the time of a test: animations, for which a click waits, and Mermaid, 3.5 MB of code
 * that the editor runs at each load. The tests show no diagrams.
 */
function withoutWaiting(): void {
  addEventListener('DOMContentLoaded', () => {
    const style = document.createElement('style')
    style.textContent = '*, ::before, ::after { transition: none !important; animation: none !important; }'
    document.head.append(style)
    // This code also runs in the frame of the PDF viewer, which has no jQuery.
    const { jQuery } = window as unknown as { jQuery?: JQueryStatic }
    if (!jQuery) return
    jQuery.fx.off = true
    jQuery.ajaxPrefilter((options) => {
      if (/mermaid\.min\.js/.test(options.url ?? '')) {
        options.url = 'data:text/javascript,window.mermaid = { initialize() {} }'
      }
    })
  })
}

// A console error or warning of Node-RED's own code fails a test, too: with these settings, Node-RED logs none.
const isComplaint = (message: ConsoleMessage): boolean => ['error', 'warning'].includes(message.type())

function screenshots(page: Page): Editor['screenshot'] {
  return async (name) => {
    if (SCREENSHOTS === undefined) return
    mkdirSync(SCREENSHOTS, { recursive: true })
    await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`) })
  }
}

async function reload(
  page: Page,
  url: string,
  { flows, language = 'en-US', theme = 'light' }: { flows?: object[]; language?: string; theme?: string },
): Promise<void> {
  if (flows !== undefined) {
    const headers = { 'content-type': 'application/json', 'node-red-api-version': 'v1' }
    const answer = await fetch(`${url}flows`, { method: 'POST', headers, body: JSON.stringify(flows) })
    assert.equal(answer.status, 204)
  }
  await page.evaluate(
    ([name, choice]) => {
      localStorage.setItem('editor-language', name!)
      RED.settings.setLocal('view-dark-theme', choice)
      // Without this call, the browser would ask about undeployed changes before the reload.
      RED.nodes.dirty(false)
    },
    [language, theme],
  )
  await page.reload()
  await untilLoaded(page)
}

/**
 * The palette appears before the flows are loaded. Until then, the editor has no nodes whose dialogs a test can open, and
 * it then switches to the first tab of its sidebar.
 */
export async function untilLoaded(page: Page): Promise<void> {
  await page.locator('.red-ui-palette-node').first().waitFor()
  await page.waitForFunction(() => RED.nodes.originalFlow() !== undefined)
}

// ---- One editor for all test files ----------------------------------------------------------------------

/** Environment variable with a secret, set in Node-RED's process only. */
export const SECRET_VARIABLE = 'REDOX_EDITOR_TEST_SECRET'

let shared: Promise<Editor> | undefined
// A root hook of mocha, which runs after all test files.
after(async () => (await shared)?.close())

/** Registers mocha hooks that open the editor for a `describe` block. The editor starts without flows. */
export function useEditor(): () => Editor {
  let editor: Editor
  before(async function () {
    needChromium(this)
    shared ??= openEditor({ [SECRET_VARIABLE]: 'a secret of the machine' })
    editor = await shared
    await editor.reload({ flows: [] })
  })
  afterEach(async () => {
    if (editor === undefined) return
    await closeDialogs(editor.page)
    assert.deepEqual(editor.complaints.splice(0), [])
  })
  return () => editor
}
