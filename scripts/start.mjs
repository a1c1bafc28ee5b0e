// `npm start`: runs a real Node-RED with the example flows on the built-in sandbox. Sends one file with each send node,
// prints the messages that the flows emit, and keeps running. With `-- --once` it exits, with exit code 0 if every
// message is right.
import { createServer } from 'node:http'
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { missingLines, summary } from './lib/answers.mjs'
import { codeOf, portOf } from './lib/process.mjs'

/**
 * @typedef {import('./lib/runtime.mjs').FlowNode} FlowNode
 * @typedef {import('./lib/runtime.mjs').Runtime} Runtime
 * @typedef {import('./lib/runtime.mjs').RuntimeNode} RuntimeNode
 * @typedef {import('./lib/runtime.mjs').Message} Message
 * @typedef {import('./lib/runtime.mjs').SendEvent} SendEvent
 * @typedef {import('./lib/runtime.mjs').CompleteEvent} CompleteEvent
 * @typedef {import('./lib/runtime.mjs').Handler} Handler
 * @typedef {{ type: string, status: number, what: string }} ExpectedAnswer node type, HTTP status, kind of message
 * @typedef {{ button: string, answers: ExpectedAnswer[], withinSeconds?: number }} Step
 */

const requireModule = createRequire(import.meta.url)
const root = fileURLToPath(new URL('..', import.meta.url))
const once = process.argv.includes('--once')
// With --once, the flows are those of the repository, without the changes that the user made in the editor. The port is a
// free one, because another Node-RED may be running on the usual port.
const port = once ? 0 : wantedPort(process.env.PORT || '1880')
const userDir = path.join(root, '.node-red', ...(once ? ['once'] : []))

/**
 * Buttons of the example flows, and the messages that the flows must emit after the button was pressed.
 * @type {Step[]}
 */
const STEPS = [
  { button: 'redoxex1i', answers: [{ type: 'redox-datamodel-note', status: 200, what: 'Notes' }] },
  {
    button: 'redoxex2i',
    answers: [
      { type: 'redox-upload', status: 201, what: 'Upload (FHIR Binary)' },
      { type: 'redox-fhir-result', status: 200, what: 'DiagnosticReport' },
    ],
  },
  {
    button: 'redoxex3i',
    answers: [
      { type: 'redox-datamodel-results', status: 200, what: 'Results' },
      { type: 'redox-fhir-result', status: 200, what: 'Observation' },
    ],
  },
  { button: 'redoxex5i', answers: [{ type: 'redox-datamodel-media', status: 200, what: 'Media' }] },
  {
    button: 'redoxex10i',
    answers: [{ type: 'redox-datamodel-note', status: 200, what: 'Notes, plain text' }],
  },
  {
    button: 'redoxex11i',
    answers: [{ type: 'redox-fhir-document', status: 200, what: 'DocumentReference' }],
  },
  // This example takes longer: it opens a store, writes to the disk, and reads its folder twice.
  {
    button: 'redoxex12i',
    answers: [{ type: 'redox-datamodel-media', status: 200, what: 'Media, durable' }],
    withinSeconds: 60,
  },
]
const FLOW_FILE = 'flows.json'
/** @type {Record<string, string>} sentences by error code */
const PORT_FAULTS = {
  EADDRINUSE: `Port ${port} is taken. Choose another one: PORT=1881 npm start`,
  EACCES: `This user may not use port ${port}. Choose one above 1023: PORT=1881 npm start`,
}

console.log('Starting Node-RED with the example flows…')
const server = await listen()
await prepareUserDir()
const { RED, address } = await startNodeRed(server)
let wrong = 0
// A user may have put a real key into the connection of an example. Then nothing is sent automatically.
const onSandbox = await usesOnlySandbox(RED)
for (const { button, answers, withinSeconds = 15 } of onSandbox ? STEPS : []) {
  const node = RED.nodes.getNode(button)
  // A user may have removed the button in the editor.
  if (!node && !once) continue
  const { missing, reason } = node
    ? await press(RED, node, answers, withinSeconds)
    : { missing: answers, reason: 'The examples have no such button.' }
  const place = node && { button: node.name ?? '', tab: tabOf(RED, node) }
  for (const text of missingLines(missing, reason, place)) console.error(text)
  wrong += missing.length
}
console.log(
  onSandbox
    ? summary(wrong)
    : 'The flows have a connection that does not use the built-in sandbox. No button was pressed, and nothing was sent.',
)

if (once) {
  await RED.stop()
  process.exit(wrong === 0 ? 0 : 1)
}
console.log(`The editor: ${address}   (Ctrl+C ends it)`)

/**
 * Creates a user directory in which the package is linked. Writes the examples as its flows, unless the user has
 * changed the flows.
 */
async function prepareUserDir() {
  if (once) await rm(userDir, { recursive: true, force: true })
  const modules = path.join(userDir, 'node_modules', '@ehr-flows')
  await mkdir(modules, { recursive: true })
  const link = path.join(modules, 'node-red-redox')
  if (!existsSync(link)) await symlink(root, link, 'junction')
  const flows = path.join(userDir, FLOW_FILE)
  if (!existsSync(flows)) await writeFlows(flows, await exampleFlows())
}

/**
 * Writes flows in the files that Node-RED uses: credentials are in a separate file, which Node-RED encrypts.
 * @param {string} file
 * @param {FlowNode[]} nodes
 */
async function writeFlows(file, nodes) {
  const flows = nodes.map((node) => ({ ...node, credentials: undefined }))
  const secrets = nodes.flatMap(({ id, credentials }) => (credentials ? [[id, credentials]] : []))
  await writeFile(file, JSON.stringify(flows, null, 2))
  await writeFile(file.replace(/\.json$/, '_cred.json'), JSON.stringify(Object.fromEntries(secrets)))
}

async function exampleFlows() {
  /** @type {Map<string, FlowNode>} */
  const nodes = new Map()
  for (const file of (await readdir(path.join(root, 'examples')))
    .filter((name) => name.endsWith('.json'))
    .sort()) {
    // The examples share one connection, which has the same id in each example.
    for (const node of JSON.parse(await readFile(path.join(root, 'examples', file), 'utf8')))
      nodes.set(node.id, node)
  }
  return [...nodes.values()]
}

/** Listens before any file is written, so that no files remain if the port is already in use. */
async function listen() {
  const listening = createServer()
  /** @type {Promise<void>} */
  const opened = new Promise((resolve, reject) => {
    listening.once('error', (error) => {
      const sentence = PORT_FAULTS[codeOf(error) ?? '']
      if (sentence) giveUp(sentence)
      else reject(error)
    })
    listening.listen(port, '127.0.0.1', resolve)
  })
  await opened
  return listening
}

/** @param {import('node:http').Server} httpServer listening server */
async function startNodeRed(httpServer) {
  /** @type {Runtime} */
  const runtime = requireModule('node-red')
  runtime.init(httpServer, {
    userDir,
    flowFile: FLOW_FILE,
    telemetry: { enabled: false },
    editorTheme: { tours: false },
    logging: { console: { level: 'error', metrics: false, audit: false } },
  })
  // Both values are Express apps, which handle requests of Node.js.
  const [admin, pages] = /** @type {Handler[]} */ (
    /** @type {unknown} */ ([runtime.httpAdmin, runtime.httpNode])
  )
  httpServer.on('request', (request, response) =>
    admin?.(request, response, () => pages?.(request, response, () => undefined)),
  )
  const started = new Promise((resolve) => runtime.events.once('flows:started', resolve))
  await runtime.start()
  await started
  return { RED: runtime, address: `http://127.0.0.1:${portOf(httpServer)}/` }
}

/**
 * Reads the environment of each running connection, because the settings may contain environment variables.
 * @param {Runtime} runtime
 * @returns {Promise<boolean>} true if all connections use the sandbox
 */
async function usesOnlySandbox(runtime) {
  /** @type {(Promise<{ environment?: string }> | undefined)[]} */
  const connections = []
  runtime.nodes.eachNode(({ id, type }) => {
    if (type === 'redox-config') connections.push(connectionOf(runtime.nodes.getNode(id)))
  })
  const opened = await Promise.allSettled(connections)
  return opened.every(
    (result) => result.status === 'fulfilled' && (result.value?.environment ?? 'sandbox') === 'sandbox',
  )
}

/** @param {RuntimeNode | null} node node of the type redox-config */
function connectionOf(node) {
  return /** @type {{ connection: () => Promise<{ environment?: string }> } | null} */ (
    /** @type {unknown} */ (node)
  )?.connection()
}

/** @param {string} text */
function wantedPort(text) {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  return giveUp(`PORT is not a port number: ${text}. Choose one: PORT=1881 npm start`)
}

/**
 * Exits with a one-sentence error text instead of a stack trace, for a user who can choose another port.
 * @param {string} sentence
 * @returns {never}
 */
function giveUp(sentence) {
  console.error(sentence)
  process.exit(1)
}

/**
 * Returns the label of the tab that contains a node.
 * @param {Runtime} runtime
 * @param {RuntimeNode} node
 */
function tabOf(runtime, { z }) {
  let label = ''
  runtime.nodes.eachNode((node) => {
    if (node.id === z) label = String(node.label)
  })
  return label
}

/**
 * Presses the button of an inject node, and prints one line for each expected message.
 * @param {Runtime} runtime
 * @param {RuntimeNode} button
 * @param {ExpectedAnswer[]} answers
 * @param {number} withinSeconds
 * @returns {Promise<{ missing: ExpectedAnswer[], reason: string }>} messages that were not emitted or were wrong, and
 * the reason
 */
async function press(runtime, button, answers, withinSeconds) {
  const open = new Set(answers)
  let reason = `No answer came within ${withinSeconds} s.`
  /** @type {Promise<void>} */
  const finished = new Promise((resolve) => {
    const timer = setTimeout(resolve, withinSeconds * 1000)
    const finish = () => {
      clearTimeout(timer)
      resolve()
    }
    runtime.hooks.add('onSend.redox-start', (/** @type {SendEvent[]} */ events) => {
      for (const { msg, source } of events) {
        const answer = [...open].find(
          ({ type, status }) =>
            source.node.z === button.z && source.node.type === type && msg.statusCode === status,
        )
        if (answer === undefined) continue
        open.delete(answer)
        console.log(line(answer, msg))
      }
      if (open.size === 0) finish()
    })
    runtime.hooks.add('onComplete.redox-start', (/** @type {CompleteEvent} */ { error, node }) => {
      if (!error || node.node.z !== button.z) return
      reason = `${node.node.type}: ${error.message}`
      finish()
    })
    button.receive()
  })
  await finished
  runtime.hooks.remove('*.redox-start')
  return { missing: [...open], reason }
}

/**
 * @param {ExpectedAnswer} answer
 * @param {Message} msg
 */
function line({ what, type }, { statusCode, redox }) {
  const found = redox.logIds?.[0] ? `log ${redox.logIds[0]}` : (redox.locations?.[0] ?? redox.files[0].url)
  return `${what.padEnd(21)} ${redox.way.padEnd(9)} ${type.padEnd(23)} HTTP ${statusCode}  ${found}`
}
