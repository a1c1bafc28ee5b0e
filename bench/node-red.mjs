// A real Node-RED with our nodes, or with the flow of core nodes that a user would build without them.
import { createServer } from 'node:http'
import { mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'

const ROOT = path.join(import.meta.dirname, '..')
const MODULE = '@ehr-flows/node-red-redox'
const require = createRequire(import.meta.url)

// Without a place on the canvas Node-RED takes a node for a config node.
export const deployed = (flow) => flow.map((node) => (node.z ? { x: 1, y: 1, ...node } : node))

/** Node-RED in this process, with a flow that runs. */
export async function startNodeRed({ withPackage, flow, withEditor = false }) {
  const userDir = await mkdtemp(path.join(os.tmpdir(), 'redox-bench-'))
  if (withPackage) {
    const link = path.join(userDir, 'node_modules', MODULE)
    await mkdir(path.dirname(link), { recursive: true })
    await symlink(ROOT, link, 'junction')
  }
  await writeFile(path.join(userDir, 'flows.json'), JSON.stringify(flow))
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

/** @returns one who sends the cell's file once, through a flow */
export async function flowSender({ contestant, cell, url, file, path: filePath, tls }) {
  const RED = await startNodeRed({ withPackage: contestant === 'ours', flow: [] })
  const running = new Promise((resolve) => RED.events.once('flows:started', resolve))
  const flow = (contestant === 'ours' ? ourFlow : coreFlow)(cell, url, tls)
  await RED.runtime.flows.setFlows({ flows: { flows: deployed(flow) }, deploymentType: 'full' })
  await running
  const waiting = new Map()
  globalThis.benchEnd = ({ _msgid, statusCode, error }) => {
    const { resolve, reject } = waiting.get(_msgid)
    waiting.delete(_msgid)
    if (statusCode >= 200 && statusCode < 300 && !error) resolve()
    else reject(new Error(error?.message ?? `HTTP ${statusCode}`))
  }
  const entry = RED.nodes.getNode('entry')
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

function ourFlow(cell, url, tls) {
  const { privateKey } = require('node:crypto').generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  const text = (name, value) => ({ [name]: value, [`${name}Type`]: 'str' })
  const source =
    cell.from === 'disk'
      ? { fileFrom: 'path', file: 'filename', fileType: 'msg' }
      : { fileFrom: 'message', file: 'payload', fileType: 'msg', filename: 'filename', filenameType: 'msg' }
  const node =
    cell.way === 'upload'
      ? { type: 'redox-upload', api: 'datamodel' }
      : {
          ...{ type: 'redox-datamodel-note', way: 'embed', ...text('typeOfPatientId', 'MR') },
          ...{
            ...text('destination', 'af394f14-b34a-464f-8d24-895f370af4c9'),
            ...text('patientId', 'bench'),
          },
          ...{
            ...text('documentType', 'Bench'),
            ...text('documentId', 'bench-1'),
            ...text('providerId', '1'),
          },
        }
  return [
    { id: 'tab', type: 'tab' },
    ...(tls ? [TLS_CONFIG] : []),
    {
      ...{ id: 'config', type: 'redox-config', environment: 'Development', clientId: 'a', keyId: 'b' },
      ...{ apiBase: url, blobUploadUrl: `${url}/upload`, dataModelEmbedMb: '20', folders: os.tmpdir() },
      ...{ waiting: '10000', waitingMb: '1000' },
      ...{
        sendsAtOnce: String(cell.sendsAtOnce ?? cell.inFlight),
        tls: tls ? 'tls' : '',
        credentials: { privateKey },
      },
    },
    { id: 'entry', z: 'tab', connection: 'config', version: 1, ...source, ...node, wires: [['end']] },
    ...END,
  ]
}

const BOUNDARY = 'bench-boundary'
const EMBED = `
msg.payload = JSON.stringify({
  Meta: { DataModel: 'Notes', EventType: 'New', EventDateTime: new Date().toISOString(), Test: true,
    Destinations: [{ ID: 'af394f14-b34a-464f-8d24-895f370af4c9' }] },
  Patient: { Identifiers: [{ ID: 'bench', IDType: 'MR' }] },
  Note: { DocumentType: 'Bench', DocumentID: 'bench-1', Provider: { ID: '1' }, FileName: 'scan.pdf', FileType: 'PDF',
    ContentType: 'Base64 Encoded', FileContents: msg.payload.toString('base64') },
})
msg.headers = { 'content-type': 'application/json', authorization: 'Bearer bench' }
return msg`
const UPLOAD = `
const head = '--${BOUNDARY}\\r\\nContent-Disposition: form-data; name="file"; filename="scan.pdf"\\r\\nContent-Type: application/pdf\\r\\n\\r\\n'
msg.payload = Buffer.concat([Buffer.from(head), msg.payload, Buffer.from('\\r\\n--${BOUNDARY}--\\r\\n')])
msg.headers = { 'content-type': 'multipart/form-data; boundary=${BOUNDARY}', authorization: 'Bearer bench' }
return msg`

function coreFlow(cell, url, tls) {
  const target = `${url}${cell.way === 'embed' ? '/endpoint' : '/upload'}`
  const isDisk = cell.from === 'disk'
  return [
    { id: 'tab', type: 'tab' },
    ...(tls ? [TLS_CONFIG] : []),
    ...(isDisk
      ? [
          {
            id: 'entry',
            z: 'tab',
            type: 'file in',
            filename: 'filename',
            filenameType: 'msg',
            format: '',
            wires: [['build']],
          },
        ]
      : []),
    {
      ...{ id: isDisk ? 'build' : 'entry', z: 'tab', type: 'function', outputs: 1 },
      ...{ func: cell.way === 'embed' ? EMBED : UPLOAD, wires: [['http']] },
    },
    {
      ...{
        id: 'http',
        z: 'tab',
        type: 'http request',
        method: 'POST',
        ret: 'obj',
        url: target,
        persist: true,
      },
      ...{ tls: tls ? 'tls' : '', headers: [], wires: [['end']] },
    },
    ...END,
  ]
}
