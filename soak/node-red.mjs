// The Node-RED that is soaked: a process of its own, with one flow that has every node that sends.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

const ROOT = path.join(import.meta.dirname, '..')
const MODULE = '@ehr-flows/node-red-redox'
const DEPLOYS = ['full', 'nodes', 'flows', 'config']

/**
 * @param keys OAuth key of the sandbox and the endpoints of its doors: `door` fails, `away` is gone at times, `main`
 *   does neither
 * @param answerTimeout seconds
 */
export async function startNodeRed(keys, answerTimeout) {
  const userDir = await mkdtemp(path.join(os.tmpdir(), 'redox-soak-'))
  const link = path.join(userDir, 'node_modules', MODULE)
  await mkdir(path.dirname(link), { recursive: true })
  await symlink(ROOT, link, 'junction')
  const uiPort = await freePort()
  const file = path.join(userDir, 'settings.js')
  await writeFile(file, `module.exports = ${JSON.stringify(settingsOf(uiPort))}`)
  const red = createRequire(import.meta.url).resolve('node-red/red.js')
  const child = spawn(process.execPath, [red, '-u', userDir, '-s', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = []
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
  const until = async (text, from = 0) => {
    while (!lines.slice(from).some((line) => line.includes(text))) {
      if (child.exitCode !== null) throw new Error(`Node-RED ended:\n${lines.join('\n')}`)
      await sleep(10)
    }
  }
  await until('Started flows')
  // In either order.
  await until('Server now running')
  const ask = async (place, body, headers = {}) => {
    const json = { 'content-type': 'application/json', ...headers }
    const options = body === undefined ? {} : { method: 'POST', headers: json, body: JSON.stringify(body) }
    const answer = await fetch(`http://127.0.0.1:${uiPort}${place}`, options)
    if (!answer.ok) throw new Error(`${place} answers ${answer.status}`)
    return answer
  }
  const deployment = async (flow, kind) => {
    const from = lines.length
    await ask('/flows', flow, { 'node-red-deployment-type': kind })
    await until('Started', from)
  }
  const flow = flowOf(keys, answerTimeout)
  await deployment(flow, 'full')
  return {
    feed: (name, plan) => ask(`/soak/${name}`, plan),
    state: async (name) => (await ask(`/soak/${name}`)).json(),
    /** As {@link state}, of a run that does not end. */
    stateNow: async (name) => (await ask(`/soak/${name}?all`)).json(),
    log: () => lines,
    /** One after the other: everything, the senders, their tab, their connection. */
    async deploy(number) {
      const kind = DEPLOYS[number % DEPLOYS.length]
      const isChanged = (node) => (kind === 'config' ? node.id === 'door' : node.type.startsWith('redox-'))
      for (const node of flow) if (kind !== 'full' && isChanged(node)) node.name = `deployed ${number}`
      await deployment(flow, kind === 'config' ? 'nodes' : kind)
    },
    async stop() {
      child.kill()
      if (child.exitCode === null) await once(child, 'exit')
      await rm(userDir, { recursive: true, force: true })
    },
  }
}

/** With the feeders among the nodes. */
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
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

// ---- The flow -----------------------------------------------------------------------------------------

const msg = (name, property) => ({ [name]: property, [`${name}Type`]: 'msg' })
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
/** Every node that sends, as it is saved. */
export const SENDERS = Object.fromEntries(
  Object.entries({
    note: { type: 'redox-datamodel-note', ...DATA_MODEL, ...DOCUMENT },
    media: { type: 'redox-datamodel-media', ...DATA_MODEL, ...DOCUMENT },
    results: {
      type: 'redox-datamodel-results',
      ...DATA_MODEL,
      ...msg('orderId', 'id'),
      ...text('resultCode', '11502-2'),
    },
    'fhir-result': { type: 'redox-fhir-result', ...FHIR },
    'fhir-document': { type: 'redox-fhir-document', ...FHIR, ...text('code', '34133-9') },
  }).map(([id, node]) => [
    id,
    {
      ...{
        version: node.type.startsWith('redox-fhir') ? 2 : 1,
        file: 'payload',
        fileType: 'msg',
        way: 'auto',
      },
      ...node,
    },
  ]),
)
const NODES = {
  ...SENDERS,
  burst: { ...SENDERS.note, connection: 'main' },
  away: { ...SENDERS.note, connection: 'absent' },
}

function flowOf({ clientId, keyId, privateKey, door, away, main }, answerTimeout) {
  const connection = {
    type: 'redox-config',
    environment: 'Development',
    clientId,
    keyId,
    credentials: { privateKey },
  }
  return [
    { id: 'tab', type: 'tab', label: 'soak' },
    { id: 'door', ...connection, ...door, answerTimeout: String(answerTimeout), sendsAtOnce: '64' },
    { id: 'absent', ...connection, ...away },
    { id: 'main', ...connection, ...main, waiting: '10000' },
    ...Object.entries(NODES).map(([id, node], index) => ({
      ...{ id, z: 'tab', x: 200, y: 40 * index, connection: 'door', wires: [['answers']] },
      ...node,
    })),
    { id: 'answers', type: 'junction', z: 'tab', x: 400, y: 40, wires: [] },
  ]
}
