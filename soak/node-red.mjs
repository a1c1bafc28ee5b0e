// Node-RED of the direct soak, in a separate process, with one flow that contains every send node.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { portOf } from '../scripts/lib/process.mjs'

/** @typedef {import('../scripts/lib/runtime.mjs').FlowNode} FlowNode */
/** @typedef {import('./feeder/soak-feeder.js').Plan} Plan */
/** @typedef {import('./feeder/soak-feeder.js').End} End */
/** @typedef {import('../dist/src/sandbox/index.js').Sandbox} Sandbox */

/**
 * State of a run. `ends` (results) and `files` (SHA-256) are by the id of the message, and only present after the end
 * of the run or if requested.
 * @typedef {object} RunState
 * @property {number} given number of messages that were passed to the flow
 * @property {number} of number of messages of the run
 * @property {number} ended number of messages with a result
 * @property {number} mostRss greatest resident memory of Node-RED in bytes
 * @property {number} rssBefore resident memory of Node-RED before the run in bytes
 * @property {Record<string, End[]>} [ends]
 * @property {Record<string, string>} [files]
 */

/** @typedef {Sandbox['oauthKey'] & Record<'failing' | 'away' | 'main', Sandbox['endpoints']>} Keys */

const ROOT = path.join(import.meta.dirname, '..')
const MODULE = '@ehr-flows/node-red-redox'
const DEPLOYS = ['full', 'nodes', 'flows', 'config']

/**
 * Starts Node-RED with the flow of the direct soak.
 * @param {Keys} keys OAuth key of the sandbox, and endpoints of its listening ports: `failing` injects faults, `away`
 *   stops listening at times, `main` always listens and injects no faults
 * @param {number} answerTimeout seconds
 */
export async function startNodeRed(keys, answerTimeout) {
  const userDir = await mkdtemp(path.join(os.tmpdir(), 'redox-soak-'))
  const uiPort = await freePort()
  const { child, lines, until } = await launch(userDir, uiPort)
  /**
   * @param {string} place URL path
   * @param {object} [body] sent as JSON
   * @param {Record<string, string>} [headers]
   * @throws for an HTTP status other than 2xx
   */
  const ask = async (place, body, headers = {}) => {
    const json = { 'content-type': 'application/json', ...headers }
    const options = body === undefined ? {} : { method: 'POST', headers: json, body: JSON.stringify(body) }
    const answer = await fetch(`http://127.0.0.1:${uiPort}${place}`, options)
    if (!answer.ok) throw new Error(`${place} answers ${answer.status}`)
    return answer
  }
  /**
   * @param {string} place URL path
   * @returns {Promise<RunState>}
   */
  const stateAt = async (place) => (await ask(place)).json()
  const flow = flowOf(keys, answerTimeout)
  /** @param {string} kind */
  const deployment = async (kind) => {
    const from = lines.length
    await ask('/flows', flow, { 'node-red-deployment-type': kind })
    await until('Started', from)
  }
  await deployment('full')
  return {
    feed: (/** @type {string} */ name, /** @type {Plan} */ plan) => ask(`/soak/${name}`, plan),
    state: (/** @type {string} */ name) => stateAt(`/soak/${name}`),
    /** Returns the state with `ends` and `files` of a run that has not ended. */
    stateNow: (/** @type {string} */ name) => stateAt(`/soak/${name}?all`),
    log: () => lines,
    /**
     * Deploys one kind after the other: full deploy, send nodes, their tab, their connection.
     * @param {number} number number of the deploy, from 0
     */
    async deploy(number) {
      const kind = DEPLOYS[number % DEPLOYS.length] ?? 'full'
      const isChanged = (/** @type {FlowNode} */ { id, type }) =>
        kind === 'config' ? id === 'failing' : type.startsWith('redox-')
      for (const node of flow) if (kind !== 'full' && isChanged(node)) node.name = `deployed ${number}`
      await deployment(kind === 'config' ? 'nodes' : kind)
    },
    async stop() {
      child.kill()
      if (child.exitCode === null) await once(child, 'exit')
      await rm(userDir, { recursive: true, force: true })
    },
  }
}

/**
 * Starts the process, and waits until Node-RED accepts HTTP requests.
 * @param {string} userDir
 * @param {number} uiPort
 */
async function launch(userDir, uiPort) {
  const link = path.join(userDir, 'node_modules', MODULE)
  await mkdir(path.dirname(link), { recursive: true })
  await symlink(ROOT, link, 'junction')
  const file = path.join(userDir, 'settings.js')
  await writeFile(file, `module.exports = ${JSON.stringify(settingsOf(uiPort))}`)
  const red = createRequire(import.meta.url).resolve('node-red/red.js')
  const child = spawn(process.execPath, [red, '-u', userDir, '-s', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  /** @type {string[]} */
  const lines = []
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
  /**
   * Waits for a log line.
   * @param {string} part part of the line
   * @param {number} [from] index of the line at which the search starts
   */
  const until = async (part, from = 0) => {
    while (!lines.slice(from).some((line) => line.includes(part))) {
      if (child.exitCode !== null) throw new Error(`Node-RED ended:\n${lines.join('\n')}`)
      await sleep(10)
    }
  }
  await until('Started flows')
  // The two log lines may come in any order.
  await until('Server now running')
  return { child, lines, until }
}

/**
 * Returns Node-RED settings with which the feeder nodes of the soak are loaded.
 * @param {number} uiPort
 */
export const settingsOf = (uiPort) => ({
  ...{ uiHost: '127.0.0.1', uiPort, flowFile: 'flows.json', credentialSecret: 'nothing secret here' },
  nodesDir: path.join(import.meta.dirname, 'feeder'),
  apiMaxLength: '50mb',
  telemetry: { enabled: false, updateNotification: false },
  editorTheme: { tours: false, projects: { enabled: false }, palette: { catalogues: [] } },
})

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const port = portOf(server)
  server.close()
  await once(server, 'close')
  return port
}

// ---- The flow -----------------------------------------------------------------------------------------

/**
 * Returns the saved properties of a typed input that reads a property of the message.
 * @param {string} name
 * @param {string} property
 */
const msg = (name, property) => ({ [name]: property, [`${name}Type`]: 'msg' })
/**
 * Returns the saved properties of a typed input with a fixed string.
 * @param {string} name
 * @param {string} value
 */
const text = (name, value) => ({ [name]: value, [`${name}Type`]: 'str' })

const DATA_MODEL = {
  ...text('destination', 'af394f14-b34a-464f-8d24-895f370af4c9'),
  ...msg('patientId', 'id'),
  ...text('typeOfPatientId', 'MR'),
  ...{ ...text('firstName', 'Soak'), ...text('lastName', 'Test'), ...text('dob', '1990-01-31') },
}
const DOCUMENT = {
  ...text('documentType', 'Consent Form'),
  ...msg('documentId', 'id'),
  ...text('providerId', '4356789876'),
}
const FHIR = {
  ...text('destination', 'redox-fhir-sandbox'),
  ...msg('patientId', 'id'),
  ...text('patientIdSystem', 'urn:redox:redox-fhir-sandbox:MR'),
  ...{ ...text('family', 'Test'), ...text('given', 'Soak'), ...text('birthDate', '1990-01-31') },
  ...text('code', '11502-2'),
}
/**
 * @param {{ type: string } & Record<string, unknown>} node
 * @returns {{ type: string } & Record<string, unknown>} with the properties that all send nodes have
 */
const sender = (node) => ({
  ...{ version: node.type.startsWith('redox-fhir') ? 2 : 1, file: 'payload', fileType: 'msg', way: 'auto' },
  ...node,
})

/** Returns every send node, as saved in a flow. */
export const SENDERS = {
  note: sender({ type: 'redox-datamodel-note', ...DATA_MODEL, ...DOCUMENT }),
  media: sender({ type: 'redox-datamodel-media', ...DATA_MODEL, ...DOCUMENT }),
  results: sender({
    type: 'redox-datamodel-results',
    ...DATA_MODEL,
    ...msg('orderId', 'id'),
    ...text('resultCode', '11502-2'),
  }),
  'fhir-result': sender({ type: 'redox-fhir-result', ...FHIR }),
  'fhir-document': sender({ type: 'redox-fhir-document', ...FHIR, ...text('code', '34133-9') }),
}
const NODES = {
  ...SENDERS,
  burst: { ...SENDERS.note, connection: 'main' },
  away: { ...SENDERS.note, connection: 'absent' },
}

/**
 * @param {Keys} keys
 * @param {number} answerTimeout seconds
 * @returns {FlowNode[]}
 */
function flowOf({ clientId, keyId, privateKey, failing, away, main }, answerTimeout) {
  const connection = {
    type: 'redox-config',
    environment: 'Development',
    clientId,
    keyId,
    credentials: { privateKey },
  }
  return [
    { id: 'tab', type: 'tab', label: 'soak' },
    { id: 'failing', ...connection, ...failing, answerTimeout: String(answerTimeout), sendsAtOnce: '64' },
    { id: 'absent', ...connection, ...away },
    { id: 'main', ...connection, ...main, waiting: '10000' },
    ...Object.entries(NODES).map(([id, node], index) => ({
      ...{ id, z: 'tab', x: 200, y: 40 * index, connection: 'failing', wires: [['answers']] },
      ...node,
    })),
    { id: 'answers', type: 'junction', z: 'tab', x: 400, y: 40, wires: [] },
  ]
}
