// Makes every picture of the README and the guides anew, from a real Node-RED with the examples on the sandbox:
//
//   npm run build && node scripts/pictures.mjs
//
// Needs Chromium (REDOX_TEST_CHROMIUM, or Debian's) and Debian's ffmpeg for the moving picture. Run by hand: what
// it draws depends on fonts and on the browser. docs/cost.svg is drawn by `npm run bench`.
/* global addEventListener, document, window */
import { execFileSync, spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const root = fileURLToPath(new URL('..', import.meta.url))
const docs = path.join(root, 'docs')
const MODULE = '@ehr-flows/node-red-redox'
const SIZE = { width: 1480, height: 1000 }
const SIDEBAR = 400
const MOVING_BYTES = 1_000_000
const WITHIN_MS = 30_000
/** Of the moving picture; text stays readable. */
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

/** From the button to the PDF in the inbox: the moving picture, and its last frame as one that stands still. */
async function drawFirstSend(page, flow) {
  const frames = []
  const frame = async (seconds) => {
    const file = path.join(folder, `frame-${frames.length}.png`)
    await page.screenshot({ path: file })
    frames.push({ file, seconds })
  }
  const button = page.locator(
    `[id="${flow.find(({ type }) => type === 'inject').id}"] .red-ui-flow-node-button`,
  )
  const sender = flow.find(({ type }) => type === 'redox-datamodel-note').id
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
  const document = page.locator('.redox-inbox iframe')
  await document.waitFor()
  await standsStill(document)
  await line.scrollIntoViewIfNeeded()
  await frame(4)
  await pointAt(page)
  await save(page, 'inbox.png')
  await encode(frames, 'send.gif')
}

async function drawDialog(page, flow) {
  const sender = flow.find(({ type }) => type === 'redox-datamodel-note').id
  await page.evaluate((id) => globalThis.RED.editor.edit(globalThis.RED.nodes.node(id)), sender)
  const preview = page.locator('.red-ui-tray .redox-preview').last()
  await preview.waitFor()
  await preview.locator('summary').click()
  await preview.locator('pre').first().waitFor()
  await preview.scrollIntoViewIfNeeded()
  await preview.evaluate((section) => section.scrollIntoView({ block: 'end' }))
  await save(page, 'dialog.png')
  await page.evaluate(() => globalThis.RED.tray.close())
  await page.locator('.red-ui-tray').waitFor({ state: 'detached' })
}

/** As the README asks for it: a new one, for Development; what is typed in belongs to no account. */
async function drawConnection(page) {
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const privateKey = pair.privateKey.export({ type: 'pkcs8', format: 'pem' })
  await page.evaluate(() => globalThis.RED.editor.editConfig('', 'redox-config', '_ADD_'))
  const form = page.locator('.red-ui-tray form.redox-form').last()
  await form.waitFor()
  await form.locator('[id="node-config-input-name"]').fill('Example Lab, Development')
  await page.evaluate(() => globalThis.$('#node-config-input-environment').typedInput('value', 'Development'))
  await form.locator('[id="node-config-input-clientId"]').fill('6f1b3c1e-2f0c-4a7f-9a5e-3f0a9d7c5b21')
  await form.locator('[id="node-config-input-keyId"]').fill('example-lab-2026')
  await form.locator('[id="node-config-input-privateKey"]').fill(privateKey)
  await page.evaluate(() => document.activeElement?.blur())
  await save(page, 'connection.png')
  await page.evaluate(() => globalThis.RED.tray.close())
  await page.locator('.red-ui-tray').waitFor({ state: 'detached' })
}

/** One message that the destination refused, one that waits behind it, and one that was delivered. */
async function drawOutbox(page) {
  await press('outboxrefused')
  await until(async () => (await counts()).parked === 1, 'one message is parked')
  await press('outboxwaiting')
  await press('outboxdelivered')
  await until(async () => {
    const { waiting, delivered } = await counts()
    return waiting === 1 && delivered === 1
  }, 'one message waits, one is delivered')
  const status = (index, text) => page.locator(`[id="outboxnote${index}"]`, { hasText: text }).waitFor()
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

/** The note of the first example on a durable connection, whose sandbox refuses the first message. */
function outboxFlow(flow) {
  const { env } = flow.find(({ type }) => type === 'tab')
  const note = flow.find(({ type }) => type === 'redox-datamodel-note')
  const button = flow.find(({ type }) => type === 'inject')
  const z = 'outboxtab'
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
      ...flow.find(({ type }) => type === 'redox-config'),
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

// ---- What is done in the editor -----------------------------------------------------------------------

async function open(page) {
  await page.goto(nodeRed.url)
  await page.locator('.red-ui-palette-node').first().waitFor()
  await page.locator('.red-ui-flow-node').first().waitFor()
  // As people do: then the workspace makes room.
  const { x, y, height } = await page.locator('#red-ui-sidebar-separator').boundingBox()
  await page.mouse.move(x + 2, y + height / 2)
  await page.mouse.down()
  await page.mouse.move(SIZE.width - SIDEBAR, y + height / 2, { steps: 5 })
  await page.mouse.up()
}

async function showTab(page, topic) {
  const tab = page.locator(`.redox-${topic}`)
  await until(async () => {
    await page.evaluate((name) => globalThis.RED.actions.invoke(`redox:show-${name}`), topic)
    return tab.isVisible()
  }, `the tab ${topic} is shown`)
}

/** Trays that slide in would be caught on their way. */
function withoutAnimations() {
  addEventListener('DOMContentLoaded', () => {
    const style = document.createElement('style')
    style.textContent =
      '*, ::before, ::after { transition: none !important; animation: none !important; }' +
      '#redox-pointer { position: fixed; z-index: 10000; pointer-events: none; width: 22px; }'
    document.head.append(style)
    if (window.jQuery) window.jQuery.fx.off = true
  })
}

/** Screenshots have no mouse pointer of their own. @param target undefined: none is shown */
async function pointAt(page, target) {
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

/** The PDF viewer says nothing when it has drawn: its picture is the same twice, and not one colour. */
async function standsStill(locator) {
  let before
  await until(async () => {
    const now = await locator.screenshot()
    const isSame = before?.equals(now) && now.length > 5000
    before = now
    if (!isSame) await wait(700)
    return isSame
  }, 'the document is drawn')
}

async function save(page, name) {
  await page.screenshot({ path: path.join(docs, name) })
  console.log(`docs/${name}`)
}

/** With a palette of its own colours, which keeps text sharp and the file small. */
async function encode(frames, name) {
  const list = [...frames, frames.at(-1)].map(({ file, seconds }) => `file '${file}'\nduration ${seconds}`)
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
  await new Promise((resolve, reject) => {
    child.stdout.on('data', (chunk) => {
      output += chunk
      if (output.includes('Server now running') && output.includes('Started flows')) resolve()
    })
    child.once('exit', () => reject(new Error(`Node-RED ended:\n${output}`)))
  })
  const stop = async () => {
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
  return { url: `http://127.0.0.1:${port}/`, stop }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

async function exampleOf(name) {
  return JSON.parse(await readFile(path.join(root, 'examples', `${name}.json`), 'utf8'))
}

async function ask(place, options = {}) {
  const answer = await fetch(nodeRed.url + place, options)
  if (!answer.ok) throw new Error(`${place} answers ${answer.status}`)
  return answer
}

async function deploy(flows) {
  const headers = { 'content-type': 'application/json' }
  await ask('flows', { method: 'POST', headers, body: JSON.stringify(flows) })
}

async function press(id) {
  await ask(`inject/${id}`, { method: 'POST' })
}

async function counts() {
  const { connections } = await (await ask('redox/outbox')).json()
  return connections.find(({ id }) => id === 'outboxconfig')?.counts ?? {}
}

async function until(isTrue, what) {
  const end = Date.now() + WITHIN_MS
  while (!(await isTrue())) {
    if (Date.now() > end) throw new Error(`not so: ${what}`)
    await wait(200)
  }
}
