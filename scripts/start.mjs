// `npm start`: a real Node-RED with the example flows on the built-in sandbox. Sends one file by each way,
// prints the answers, and keeps running (`-- --once`: ends with 0 when every answer is right).
import { createServer } from 'node:http'
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { missingLines, summary } from './lib/answers.mjs'

const require = createRequire(import.meta.url)
const root = fileURLToPath(new URL('..', import.meta.url))
const once = process.argv.includes('--once')
// A run that ends by itself takes the examples as they are, and must not meet an editor that is open already.
const port = once ? 0 : portOf(process.env.PORT || '1880')
const userDir = path.join(root, '.node-red', ...(once ? ['once'] : []))

// The buttons of the example flows and what pressing them must lead to: node type and HTTP status of its answer.
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
  // It opens a store first, writes to the disk, and looks into its folder twice.
  {
    button: 'redoxex12i',
    answers: [{ type: 'redox-datamodel-media', status: 200, what: 'Media, durable' }],
    withinSeconds: 60,
  },
]
const FLOW_FILE = 'flows.json'
const PORT_FAULTS = {
  EADDRINUSE: `Port ${port} is taken. Choose another one: PORT=1881 npm start`,
  EACCES: `This user may not use port ${port}. Choose one above 1023: PORT=1881 npm start`,
}

console.log('Starting Node-RED with the example flows…')
const server = await listen()
await prepareUserDir()
const { RED, address } = await startNodeRed(server)
let wrong = 0
// People put their own key into the connection of an example: then nothing is sent unasked.
const onSandbox = await usesOnlySandbox(RED)
for (const { button, answers, withinSeconds = 15 } of onSandbox ? STEPS : []) {
  const node = RED.nodes.getNode(button)
  // In the editor people change the example flows: what is gone is not sent.
  if (!node && !once) continue
  const { missing, reason } = node
    ? await press(RED, node, answers, withinSeconds)
    : { missing: answers, reason: 'The examples have no such button.' }
  const place = node && { button: node.name, tab: tabOf(RED, node) }
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

/** Own user directory: the package linked in, the examples as flows unless they were changed since. */
async function prepareUserDir() {
  if (once) await rm(userDir, { recursive: true, force: true })
  const modules = path.join(userDir, 'node_modules', '@ehr-flows')
  await mkdir(modules, { recursive: true })
  const link = path.join(modules, 'node-red-redox')
  if (!existsSync(link)) await symlink(root, link, 'junction')
  const flows = path.join(userDir, FLOW_FILE)
  if (!existsSync(flows)) await writeFlows(flows, await exampleFlows())
}

/** As Node-RED keeps them: credentials in a file of their own, which it encrypts. */
async function writeFlows(file, nodes) {
  const flows = nodes.map((node) => ({ ...node, credentials: undefined }))
  const secrets = nodes.flatMap(({ id, credentials }) => (credentials ? [[id, credentials]] : []))
  await writeFile(file, JSON.stringify(flows, null, 2))
  await writeFile(file.replace(/\.json$/, '_cred.json'), JSON.stringify(Object.fromEntries(secrets)))
}

async function exampleFlows() {
  const nodes = new Map()
  for (const file of (await readdir(path.join(root, 'examples')))
    .filter((name) => name.endsWith('.json'))
    .sort()) {
    // The examples share their connection: the same id in each.
    for (const node of JSON.parse(await readFile(path.join(root, 'examples', file), 'utf8')))
      nodes.set(node.id, node)
  }
  return [...nodes.values()]
}

/** First of all: on a port that is taken nothing is written. */
async function listen() {
  const server = createServer()
  await new Promise((resolve, reject) => {
    server.once('error', (error) =>
      PORT_FAULTS[error.code] ? giveUp(PORT_FAULTS[error.code]) : reject(error),
    )
    server.listen(port, '127.0.0.1', resolve)
  })
  return server
}

async function startNodeRed(server) {
  const RED = require('node-red')
  RED.init(server, {
    userDir,
    flowFile: FLOW_FILE,
    telemetry: { enabled: false },
    editorTheme: { tours: false },
    logging: { console: { level: 'error', metrics: false, audit: false } },
  })
  server.on('request', (request, response) =>
    RED.httpAdmin(request, response, () => RED.httpNode(request, response)),
  )
  const started = new Promise((resolve) => RED.events.once('flows:started', resolve))
  await RED.start()
  await started
  return { RED, address: `http://127.0.0.1:${server.address().port}/` }
}

/** Asks the connections themselves: where they lead may depend on environment variables. */
async function usesOnlySandbox(RED) {
  const connections = []
  RED.nodes.eachNode(({ id, type }) => {
    if (type === 'redox-config') connections.push(RED.nodes.getNode(id)?.connection())
  })
  const opened = await Promise.allSettled(connections)
  return opened.every(
    ({ status, value }) => status === 'fulfilled' && (value?.environment ?? 'sandbox') === 'sandbox',
  )
}

function portOf(text) {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  return giveUp(`PORT is not a port number: ${text}. Choose one: PORT=1881 npm start`)
}

/** One sentence: a stack says nothing to a person who can choose another port. */
function giveUp(sentence) {
  console.error(sentence)
  process.exit(1)
}

function tabOf(RED, { z }) {
  let label
  RED.nodes.eachNode((node) => node.id === z && (label = node.label))
  return label
}

/** Presses a button of a flow and prints a line for each answer; gives back those that did not come or were wrong, and why. */
async function press(RED, button, answers, withinSeconds) {
  const open = new Set(answers)
  let reason = `No answer came within ${withinSeconds} s.`
  await new Promise((resolve) => {
    const timer = setTimeout(resolve, withinSeconds * 1000)
    const finish = () => {
      clearTimeout(timer)
      resolve()
    }
    RED.hooks.add('onSend.redox-start', (events) => {
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
    RED.hooks.add('onComplete.redox-start', ({ error, node }) => {
      if (!error || node.node.z !== button.z) return
      reason = `${node.node.type}: ${error.message}`
      finish()
    })
    button.receive()
  })
  RED.hooks.remove('*.redox-start')
  return { missing: [...open], reason }
}

function line({ what, type }, { statusCode, redox }) {
  const found = redox.logIds?.[0] ? `log ${redox.logIds[0]}` : (redox.locations?.[0] ?? redox.files[0].url)
  return `${what.padEnd(21)} ${redox.way.padEnd(9)} ${type.padEnd(23)} HTTP ${statusCode}  ${found}`
}
