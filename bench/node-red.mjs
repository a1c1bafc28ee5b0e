// A real Node-RED with our nodes, or with the flow of core nodes that a user without our nodes would build.
import { createServer } from 'node:http'
import { mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import { MESSAGES, MULTIPART } from './messages.mjs'

/** @typedef {import('./cells.mjs').Cell} Cell */
/** @typedef {import('./messages.mjs').MessageForm} MessageForm */
/** @typedef {import('../scripts/lib/runtime.mjs').FlowNode} FlowNode */
/** @typedef {import('../scripts/lib/runtime.mjs').Runtime} Runtime */
/** @typedef {import('../scripts/lib/runtime.mjs').Message} Message */

export const ROOT = path.join(import.meta.dirname, '..')
const MODULE = '@ehr-flows/node-red-redox'
const require = createRequire(import.meta.url)

/**
 * Adds a position on the canvas: without a position, Node-RED treats a node as a config node.
 * @param {FlowNode[]} flow
 */
export const deployed = (flow) => flow.map((node) => (node.z ? { x: 1, y: 1, ...node } : node))

/**
 * Starts Node-RED in this process, and waits until the flow runs.
 * @param {object} options
 * @param {string | undefined} options.root folder of the package; undefined: Node-RED runs without the package
 * @param {FlowNode[]} options.flow
 * @param {boolean} [options.withEditor]
 * @returns {Promise<Runtime>}
 */
export async function startNodeRed({ root, flow, withEditor = false }) {
  const userDir = await mkdtemp(path.join(os.tmpdir(), 'redox-bench-'))
  if (root !== undefined) {
    const link = path.join(userDir, 'node_modules', MODULE)
    await mkdir(path.dirname(link), { recursive: true })
    await symlink(root, link, 'junction')
  }
  await writeFile(path.join(userDir, 'flows.json'), JSON.stringify(flow))
  /** @type {Runtime} */
  const RED = require('node-red')
  RED.init(createServer(), {
    userDir,
    flowFile: 'flows.json',
    nodesDir: path.join(import.meta.dirname, 'end'),
    ...(withEditor ? {} : { httpAdminRoot: false }),
    httpNodeRoot: false,
    credentialSecret: false,
    logging: { console: { level: 'error' } },
    telemetry: { enabled: false },
  })
  const started = new Promise((resolve) => RED.events.once('flows:started', resolve))
  await RED.start()
  await started
  return RED
}

/**
 * Returns a function that sends the cell's file once, through a flow.
 * @param {import('./bench.mjs').SenderSpec} spec `root`: folder of the package that the contestant `ours` runs
 * @returns {Promise<import('./measure.mjs').SendOne>}
 */
export async function flowSender({ contestant, cell, url, file, path: filePath, tls, root = ROOT }) {
  const isOurs = contestant !== 'core'
  const RED = await startNodeRed({ root: isOurs ? root : undefined, flow: [] })
  const running = new Promise((resolve) => RED.events.once('flows:started', resolve))
  const flow = (isOurs ? ourFlow : coreFlow)(cell, url, tls)
  await RED.runtime.flows.setFlows({ flows: { flows: deployed(flow) }, deploymentType: 'full' })
  await running
  /** @type {Map<string, { resolve: () => void, reject: (error: Error) => void }>} */
  const waiting = new Map()
  /** @param {Message} msg message that has reached the end of the flow */
  const end = ({ _msgid, statusCode, error }) => {
    const sender = waiting.get(_msgid)
    if (sender === undefined) throw new Error(`${_msgid} has reached the end twice`)
    const { resolve, reject } = sender
    waiting.delete(_msgid)
    if (statusCode >= 200 && statusCode < 300 && !error) resolve()
    else reject(new Error(error?.message ?? `HTTP ${statusCode}`))
  }
  Object.assign(globalThis, { benchEnd: end })
  const entry = RED.nodes.getNode('entry')
  if (entry === null) throw new Error('The flow has no node entry')
  const content = cell.from === 'disk' ? { filename: filePath } : { payload: file, filename: 'scan.pdf' }
  let sent = 0
  return () =>
    new Promise((resolve, reject) => {
      const _msgid = `m${++sent}`
      waiting.set(_msgid, { resolve, reject })
      entry.receive({ ...content, _msgid })
    })
}

const END = [
  { id: 'end', type: 'bench-end', z: 'tab' },
  { id: 'catch', type: 'catch', z: 'tab', wires: [['end']] },
]

const TLS_CONFIG = {
  ...{ id: 'tls', type: 'tls-config', cert: '', key: '', ca: path.join(ROOT, 'test/fixtures/tls/ca.pem') },
  ...{ certname: '', keyname: '', caname: '', servername: '', alpnprotocol: '', verifyservercert: true },
}

/**
 * Returns the saved properties of a typed input with a fixed string.
 * @param {string} name
 * @param {string} value
 */
const text = (name, value) => ({ [name]: value, [`${name}Type`]: 'str' })
/** @param {string} type */
const dataModelNode = (type) => ({
  ...{ type, version: 1, ...text('destination', 'af394f14-b34a-464f-8d24-895f370af4c9') },
  ...{ ...text('patientId', 'bench'), ...text('typeOfPatientId', 'MR') },
  ...{ ...text('documentType', 'Bench'), ...text('documentId', 'bench-1'), ...text('providerId', '1') },
})
/** @param {string} type */
const fhirNode = (type) => ({
  ...{ type, version: 2, ...text('destination', 'bench') },
  ...{ ...text('patientId', 'bench'), ...text('patientIdSystem', 'urn:redox:bench:MR') },
})
/** @param {string} operation */
const resultNode = (operation) => ({
  ...{ ...fhirNode('redox-fhir-result'), operation },
  ...{ ...text('code', '11502-2'), ...text('codeSystem', 'http://loinc.org') },
})
const OUR_NODES = {
  note: dataModelNode('redox-datamodel-note'),
  media: dataModelNode('redox-datamodel-media'),
  report: resultNode('DiagnosticReport/$diagnosticreport-create'),
  observation: resultNode('Observation/$observation-create'),
  document: fhirNode('redox-fhir-document'),
}

/**
 * @param {Cell} cell
 * @param {string} url URL of the server
 * @param {boolean} tls
 * @returns {FlowNode[]}
 */
function ourFlow(cell, url, tls) {
  const { privateKey } = require('node:crypto').generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  const source =
    cell.from === 'disk'
      ? { fileFrom: 'path', file: 'filename', fileType: 'msg' }
      : { fileFrom: 'message', file: 'payload', fileType: 'msg', filename: 'filename', filenameType: 'msg' }
  return [
    { id: 'tab', type: 'tab' },
    ...(tls ? [TLS_CONFIG] : []),
    {
      ...{ id: 'config', type: 'redox-config', environment: 'Development', clientId: 'a', keyId: 'b' },
      ...{ apiBase: url, blobUploadUrl: `${url}/upload`, fhirBase: `${url}/fhir/R4`, dataModelEmbedMb: '20' },
      ...{ folders: os.tmpdir(), waiting: '10000', waitingMb: '1000' },
      ...{
        sendsAtOnce: String(cell.sendsAtOnce ?? cell.inFlight),
        tls: tls ? 'tls' : '',
        credentials: { privateKey },
      },
    },
    {
      ...{ id: 'entry', z: 'tab', connection: 'config', way: cell.way, wires: [['end']] },
      ...{ ...source, ...OUR_NODES[cell.kind] },
    },
    ...END,
  ]
}

// ---- The flow of core nodes that a user would build: one function and one request to embed; to upload, one of each, then a
// function that takes the reference from the answer, and the request that sends the message.

/** @param {string} contentType */
const headersText = (contentType) =>
  `msg.headers = ${JSON.stringify({ 'content-type': contentType, authorization: 'Bearer bench' })}`

/** @type {Record<'embed' | 'multipart' | 'binary' | 'message', (message: MessageForm) => string>} */
const functions = {
  embed: ({ build, type, contentType }) => `
const build = ${build}
msg.payload = JSON.stringify(build(msg.payload.toString('base64'), 'data', '${type}'))
${headersText(contentType)}
return msg`,
  multipart: () => `
const head = Buffer.from(${JSON.stringify(MULTIPART.head)})
const tail = Buffer.from(${JSON.stringify(MULTIPART.tail)})
msg.payload = Buffer.concat([head, msg.payload, tail])
${headersText(MULTIPART.type)}
return msg`,
  // The bytes of the file are the whole request body.
  binary: () => `${headersText('application/pdf')}
return msg`,
  message: ({ build, type, contentType, isFhir }) => `
const build = ${build}
if (msg.statusCode !== 201) throw new Error('The upload was answered with ' + msg.statusCode)
msg.payload = JSON.stringify(build(${isFhir ? 'msg.headers.location' : 'msg.payload.URI'}, 'url', '${type}'))
${headersText(contentType)}
return msg`,
}

/**
 * @param {Cell} cell
 * @param {string} url URL of the server
 * @param {boolean} tls
 * @returns {FlowNode[]}
 */
function coreFlow(cell, url, tls) {
  const message = MESSAGES[cell.kind]
  const send = [functionNode('embed', message), requestNode(`${url}${message.path}`, tls)]
  const upload = [
    functionNode(message.isFhir ? 'binary' : 'multipart', message),
    requestNode(`${url}${message.upload}`, tls),
    functionNode('message', message),
    requestNode(`${url}${message.path}`, tls),
  ]
  const nodes = [...(cell.from === 'disk' ? [FILE_IN] : []), ...(cell.way === 'embed' ? send : upload)]
  return [
    { id: 'tab', type: 'tab' },
    ...(tls ? [TLS_CONFIG] : []),
    ...nodes.map((node, at) => ({
      ...{ ...node, id: at === 0 ? 'entry' : `node${at}`, z: 'tab' },
      wires: [[at === nodes.length - 1 ? 'end' : `node${at + 1}`]],
    })),
    ...END,
  ]
}

const FILE_IN = { type: 'file in', filename: 'filename', filenameType: 'msg', format: '' }
/**
 * @param {keyof typeof functions} name
 * @param {MessageForm} message
 */
const functionNode = (name, message) => ({ type: 'function', outputs: 1, func: functions[name](message) })
/**
 * @param {string} target URL
 * @param {boolean} tls
 */
const requestNode = (target, tls) => ({
  ...{ type: 'http request', method: 'POST', ret: 'obj', url: target, persist: true },
  ...{ tls: tls ? 'tls' : '', headers: [] },
})
