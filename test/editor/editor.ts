/** Starts a real Node-RED with the package as it was built, and opens its editor in Chromium. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { chromium, type Browser, type Page } from 'playwright-core'

const MODULE = '@ehr-flows/node-red-redox'
const ROOT = path.join(__dirname, '../../..')
const CHROMIUM = process.env['REDOX_TEST_CHROMIUM'] ?? '/usr/bin/chromium'
/** Another Node-RED than the one of devDependencies: a folder whose node_modules has it. */
const NODE_RED = process.env['REDOX_TEST_NODE_RED'] ?? ROOT
const SCREENSHOTS = process.env['REDOX_SCREENSHOTS']

export const hasChromium = existsSync(CHROMIUM)
export const howToRunEditor = `install Chromium (apt-get install chromium), or set REDOX_TEST_CHROMIUM`

export interface Editor {
  page: Page
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
  return { page, complaints, screenshot: screenshots(page), close: () => closeAll(browser, nodeRed) }
}

function screenshots(page: Page): Editor['screenshot'] {
  return async (name) => {
    if (SCREENSHOTS === undefined) return
    mkdirSync(SCREENSHOTS, { recursive: true })
    await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`) })
  }
}

async function closeAll(browser: Browser, { child, userDir }: NodeRed): Promise<void> {
  await browser.close()
  child.kill()
  if (child.exitCode === null) await once(child, 'exit')
  await rm(userDir, { recursive: true, force: true })
}

// ---- Node-RED -----------------------------------------------------------------------------------------

interface NodeRed {
  url: string
  child: ChildProcess
  userDir: string
}

async function startNodeRed(): Promise<NodeRed> {
  const userDir = await mkdtemp(path.join(os.tmpdir(), 'redox-editor-'))
  linkPackage(userDir)
  const port = await freePort()
  const settings = path.join(userDir, 'settings.js')
  await writeFile(settings, `module.exports = ${JSON.stringify(settingsOf(port))}`)
  const red = path.join(NODE_RED, 'node_modules/node-red/red.js')
  // A process of its own: Node-RED is a singleton, and the tests of the nodes have theirs in this process.
  const child = spawn(process.execPath, [red, '-u', userDir, '-s', settings], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  await started(child)
  return { url: `http://127.0.0.1:${port}/`, child, userDir }
}

const settingsOf = (uiPort: number): object => ({
  uiHost: '127.0.0.1',
  uiPort,
  flowFile: 'flows.json',
  credentialSecret: 'nothing secret here',
  telemetry: { enabled: false, updateNotification: false },
  // The palette manager would ask the Flow Library for its catalogue.
  editorTheme: { tours: false, projects: { enabled: false }, palette: { catalogues: [] } },
})

/** As npm would link a folder into the user directory; not needed where the package is installed already. */
function linkPackage(userDir: string): void {
  if (existsSync(path.join(NODE_RED, 'node_modules', MODULE))) return
  const link = path.join(userDir, 'node_modules', MODULE)
  mkdirSync(path.dirname(link), { recursive: true })
  symlinkSync(ROOT, link, 'junction')
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function started(child: ChildProcess): Promise<void> {
  let output = ''
  await new Promise<void>((resolve, reject) => {
    const listen = (chunk: Buffer): void => {
      output += chunk.toString('utf8')
      if (output.includes('Started flows')) resolve()
    }
    child.stdout?.on('data', listen)
    child.stderr?.on('data', listen)
    child.once('exit', () => reject(new Error(`Node-RED ended:\n${output}`)))
  })
}
