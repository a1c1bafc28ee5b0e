// Recreates every picture of the README and the guides, with a real Node-RED and the examples on the sandbox:
//
//   npm run build && node scripts/pictures.mjs
//
// Needs Chromium (REDOX_TEST_CHROMIUM, or Debian's) and Debian's ffmpeg for the animated picture. Run by hand: the
// pictures depend on fonts and on the browser. docs/cost.svg is drawn by `npm run bench`.
/* global document */
import { execFileSync, spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { pointAt, showTab, standsStill, until, WITHIN_MS, withoutAnimations } from './lib/picture-page.mjs'
import { portOf } from './lib/process.mjs'

/**
 * @typedef {import('playwright-core').Page} Page
 * @typedef {import('./lib/picture-page.mjs').Editor} Editor
 * @typedef {import('./lib/runtime.mjs').FlowNode} FlowNode
 * @typedef {{ file: string, seconds: number }} Frame
 */

const root = fileURLToPath(new URL('..', import.meta.url))
const docs = path.join(root, 'docs')
const MODULE = '@ehr-flows/node-red-redox'
const SIZE = { width: 1480, height: 1000 }
const SIDEBAR = 400
const MOVING_BYTES = 1_000_000
/** Width of the animated picture in pixels. Its text must stay readable. */
const MOVING_WIDTH = 1050

const folder = await mkdtemp(path.join(os.tmpdir(), 'redox-pictures-'))
const nodeRed = await startNodeRed()
const browser = await chromium.launch({
  executablePath: process.env.REDOX_TEST_CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-software-rasterizer', '--lang=en-US'],
})
try {
  const page = await browser.newPage({ viewport: SIZE, colorScheme: 'light', locale: 'en-US' })
  page.setDefaultTimeout(WITHIN_MS)
  await page.addInitScript(withoutAnimations)
  const first = await exampleOf('01 - First send')
  await deploy(first)
  await open(page)
  await drawFirstSend(page, first)
  await drawDialog(page, first)
  await drawConnection(page)
  await deploy(outboxFlow(first))
  await open(page)
  await drawOutbox(page)
} finally {
  await browser.close()
  await nodeRed.stop()
  await rm(folder, { recursive: true, force: true })
}

// ---- The pictures -------------------------------------------------------------------------------------

/**
 * Takes an animated picture of the steps from the button to the PDF in the inbox, and uses its last frame as a still
 * picture.
 * @param {Page} page
 * @param {FlowNode[]} flow
 */
async function drawFirstSend(page, flow) {
  /** @type {Frame[]} */
  const frames = []
  const frame = async (/** @type {number} */ seconds) => {
    const file = path.join(folder, `frame-${frames.length}.png`)
    await page.screenshot({ path: file })
    frames.push({ file, seconds })
  }
  const button = page.locator(`[id="${ofType(flow, 'inject').id}"] .red-ui-flow-node-button`)
  const sender = ofType(flow, 'redox-datamodel-note').id
  await pointAt(page, page.locator('#red-ui-workspace-chart'))
  await frame(1.2)
  await pointAt(page, button)
  await frame(0.8)
  await button.locator('.red-ui-flow-node-button-button').click()
  await page.locator(`[id="${sender}"]`, { hasText: 'sandbox 200' }).waitFor()
  await page.locator('.red-ui-notification').first().waitFor({ state: 'detached' })
  await frame(1.6)
  await showTab(page, 'inbox')
  const line = page.locator('.redox-inbox .redox-tab-line').first()
  await line.waitFor()
  await pointAt(page, line)
  await frame(1.6)
  if ((await line.getAttribute('aria-expanded')) !== 'true') await line.click()
  const viewer = page.locator('.redox-inbox iframe')
  await viewer.waitFor()
  await standsStill(viewer)
  await line.scrollIntoViewIfNeeded()
  await frame(4)
  await pointAt(page)
  await save(page, 'inbox.png')
  await encode(frames, 'send.gif')
}

/**
 * @param {Page} page
 * @param {FlowNode[]} flow
 */
async function drawDialog(page, flow) {
  const sender = ofType(flow, 'redox-datamodel-note').id
  await page.evaluate((id) => {
    const { RED } = /** @type {Editor} */ (globalThis)
    RED.editor.edit(RED.nodes.node(id))
  }, sender)
  const preview = page.locator('.red-ui-tray .redox-preview').last()
  await preview.waitFor()
  await preview.locator('summary').click()
  await preview.locator('pre').first().waitFor()
  await preview.scrollIntoViewIfNeeded()
  await preview.evaluate((section) => section.scrollIntoView({ block: 'end' }))
  await save(page, 'dialog.png')
  await page.evaluate(() => /** @type {Editor} */ (globalThis).RED.tray.close())
  await page.locator('.red-ui-tray').waitFor({ state: 'detached' })
}

/**
 * Takes a picture of a new connection for Development, as in the README. The values belong to no real account.
 * @param {Page} page
 */
async function drawConnection(page) {
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const privateKey = pair.privateKey.export({ type: 'pkcs8', format: 'pem' })
  await page.evaluate(() =>
    /** @type {Editor} */ (globalThis).RED.editor.editConfig('', 'redox-config', '_ADD_'),
  )
  const form = page.locator('.red-ui-tray form.redox-form').last()
  await form.waitFor()
  await form.locator('[id="node-config-input-name"]').fill('Example Lab, Development')
  await page.evaluate(() =>
    /** @type {Editor} */ (globalThis).$('#node-config-input-environment').typedInput('value', 'Development'),
  )
  await form.locator('[id="node-config-input-clientId"]').fill('6f1b3c1e-2f0c-4a7f-9a5e-3f0a9d7c5b21')
  await form.locator('[id="node-config-input-keyId"]').fill('example-lab-2026')
  await form.locator('[id="node-config-input-privateKey"]').fill(String(privateKey))
  await page.evaluate(() => /** @type {HTMLElement | null} */ (document.activeElement)?.blur())
  await save(page, 'connection.png')
  await page.evaluate(() => /** @type {Editor} */ (globalThis).RED.tray.close())
  await page.locator('.red-ui-tray').waitFor({ state: 'detached' })
}

/**
 * Takes a picture of the outbox with one message that the destination refused, one that waits for it, and one that was
 * delivered.
 * @param {Page} page
 */
async function drawOutbox(page) {
  await press('outboxrefused')
  await until(async () => (await counts())?.parked === 1, 'one message is parked')
  await press('outboxwaiting')
  await press('outboxdelivered')
  await until(async () => {
    const found = await counts()
    return found?.waiting === 1 && found.delivered === 1
  }, 'one message waits, one is delivered')
  const status = (/** @type {number} */ index, /** @type {string | RegExp} */ text) =>
    page.locator(`[id="outboxnote${index}"]`, { hasText: text }).waitFor()
  await Promise.all([
    status(1, 'stopped'),
    status(2, 'stopped'),
    status(3, /sandbox 200 · embed · (log )?[\da-f]{8}$/),
  ])
  await showTab(page, 'outbox')
  const tab = page.locator('.redox-outbox')
  await tab.locator('.redox-outbox-filters button').first().click()
  const parked = tab.locator('.redox-tab-line', { hasText: 'REDOX_REJECTED' }).first()
  await parked.waitFor()
  if ((await parked.getAttribute('aria-expanded')) !== 'true') await parked.click()
  await tab.locator('.redox-tab-details').first().waitFor()
  await page.locator('.red-ui-notification').first().waitFor({ state: 'detached' })
  await save(page, 'outbox.png')
}

/**
 * Returns the Notes flow of the first example, changed to a durable connection whose sandbox refuses the first message.
 * @param {FlowNode[]} flow
 * @returns {FlowNode[]}
 */
function outboxFlow(flow) {
  const { env } = ofType(flow, 'tab')
  const note = ofType(flow, 'redox-datamodel-note')
  const button = ofType(flow, 'inject')
  const z = 'outboxtab'
  /**
   * @param {string} name
   * @param {number} index
   * @param {string} destination
   * @returns {[FlowNode, FlowNode]} an inject node (button) and a send node
   */
  const to = (name, index, destination) => [
    {
      ...button,
      ...{ id: `outbox${name}`, z, g: undefined, name: `letter ${index}`, x: 160, y: 60 + index * 60 },
    },
    {
      ...{ ...note, id: `outboxnote${index}`, z, g: undefined, connection: 'outboxconfig' },
      ...{ destination, destinationType: 'str' },
    },
  ]
  const pairs = [
    to('refused', 1, 'af394f14-b34a-464f-8d24-895f370af4c9'),
    to('waiting', 2, 'af394f14-b34a-464f-8d24-895f370af4c9'),
    to('delivered', 3, '7ce6f387-c33c-417d-8682-81e83628cbd9'),
  ]
  return [
    { id: z, type: 'tab', label: 'Letters', env },
    {
      ...ofType(flow, 'redox-config'),
      ...{ id: 'outboxconfig', name: 'Letters, durable', delivery: 'durable', store: 'embedded' },
      ...{ storeOrder: 'destination', faults: 'endpoint errors-inside once' },
      credentials: { storeKey: 'a key for a picture' },
    },
    ...pairs.flatMap(([one, sender], index) => [
      { ...one, wires: [[sender.id]] },
      { ...sender, x: 400, y: 120 + index * 60, wires: [[]] },
    ]),
  ]
}

/**
 * Returns the first node of a type.
 * @param {FlowNode[]} flow
 * @param {string} wanted
 * @throws if no node has this type
 */
function ofType(flow, wanted) {
  const node = flow.find(({ type }) => type === wanted)
  if (node === undefined) throw new Error(`The example has no ${wanted}`)
  return node
}

// ---- The editor ---------------------------------------------------------------------------------------

/** @param {Page} page */
async function open(page) {
  await page.goto(nodeRed.url)
  await page.locator('.red-ui-palette-node').first().waitFor()
  await page.locator('.red-ui-flow-node').first().waitFor()
  // The separator is dragged with the mouse, because otherwise the workspace does not adapt its width.
  const box = await page.locator('#red-ui-sidebar-separator').boundingBox()
  if (box === null) throw new Error('The sidebar is not shown')
  const { x, y, height } = box
  await page.mouse.move(x + 2, y + height / 2)
  await page.mouse.down()
  await page.mouse.move(SIZE.width - SIDEBAR, y + height / 2, { steps: 5 })
  await page.mouse.up()
}

/**
 * @param {Page} page
 * @param {string} name name of the file
 */
async function save(page, name) {
  await page.screenshot({ path: path.join(docs, name) })
  console.log(`docs/${name}`)
}

/**
 * Encodes the animated picture with a palette made from its own colours, which keeps text sharp and the file small.
 * @param {Frame[]} frames
 * @param {string} name name of the file
 */
async function encode(frames, name) {
  const list = [...frames, ...frames.slice(-1)].map(
    ({ file, seconds }) => `file '${file}'\nduration ${seconds}`,
  )
  await writeFile(path.join(folder, 'frames.txt'), `${list.join('\n')}\n`)
  const filter =
    `fps=5,scale=${MOVING_WIDTH}:-1:flags=lanczos,split[a][b];` +
    '[a]palettegen=max_colors=128[p];[b][p]paletteuse=dither=none:diff_mode=rectangle'
  const target = path.join(docs, name)
  const input = ['-f', 'concat', '-safe', '0', '-i', path.join(folder, 'frames.txt')]
  execFileSync('ffmpeg', ['-y', '-loglevel', 'error', ...input, '-vf', filter, '-loop', '0', target])
  const { size } = await stat(target)
  if (size > MOVING_BYTES) throw new Error(`docs/${name} has ${size} bytes, more than ${MOVING_BYTES}`)
  console.log(`docs/${name} (${size} bytes)`)
}

// ---- Node-RED -----------------------------------------------------------------------------------------

async function startNodeRed() {
  const userDir = path.join(folder, 'user')
  const link = path.join(userDir, 'node_modules', MODULE)
  await mkdir(path.dirname(link), { recursive: true })
  await symlink(root, link, 'junction')
  const port = await freePort()
  const settings = {
    ...{ uiHost: '127.0.0.1', uiPort: port, flowFile: 'flows.json', credentialSecret: 'nothing secret here' },
    telemetry: { enabled: false, updateNotification: false },
    editorTheme: { tours: false, projects: { enabled: false }, palette: { catalogues: [] } },
  }
  const file = path.join(userDir, 'settings.js')
  await writeFile(file, `module.exports = ${JSON.stringify(settings)}`)
  const red = path.join(root, 'node_modules/node-red/red.js')
  const child = spawn(process.execPath, [red, '-u', userDir, '-s', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  /** @type {Promise<void>} */
  const serves = new Promise((resolve, reject) => {
    child.stdout.on('data', (chunk) => {
      output += chunk
      if (output.includes('Server now running') && output.includes('Started flows')) resolve()
    })
    child.once('exit', () => reject(new Error(`Node-RED ended:\n${output}`)))
  })
  await serves
  const stop = async () => {
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
  return { url: `http://127.0.0.1:${port}/`, stop }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const port = portOf(server)
  server.close()
  await once(server, 'close')
  return port
}

/**
 * @param {string} name name of the file, without the extension
 * @returns {Promise<FlowNode[]>}
 */
async function exampleOf(name) {
  return JSON.parse(await readFile(path.join(root, 'examples', `${name}.json`), 'utf8'))
}

/**
 * @param {string} place path in the admin API
 * @param {RequestInit} [options]
 * @throws for an HTTP status other than 2xx
 */
async function ask(place, options = {}) {
  const answer = await fetch(nodeRed.url + place, options)
  if (!answer.ok) throw new Error(`${place} answers ${answer.status}`)
  return answer
}

/** @param {FlowNode[]} flows */
async function deploy(flows) {
  const headers = { 'content-type': 'application/json' }
  await ask('flows', { method: 'POST', headers, body: JSON.stringify(flows) })
}

/** @param {string} id id of a button */
async function press(id) {
  await ask(`inject/${id}`, { method: 'POST' })
}

/** Returns the message counts of the durable connection; undefined while its store is not open. */
async function counts() {
  /** @type {import('../dist/src/shared/outbox-api.js').OverviewResponse} */
  const { connections } = await (await ask('redox/outbox')).json()
  return connections.find(({ id }) => id === 'outboxconfig')?.counts
}
