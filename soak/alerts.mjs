// Both examples of alerts in a real Node-RED, while Redox cannot be reached for some minutes: messages arrive before and
// during the outage, and the flows are deployed in its middle. The webhook has to be told once per trouble and once when
// it is over; the pager only of troubles that last for half of the outage.
//
//   node soak/alerts.mjs --minutes 10     last line: `sent N, delivered N, alerts N, pages N, wrong 0`
import { spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { portOf } from '../scripts/lib/process.mjs'

/** @typedef {import('../scripts/lib/runtime.mjs').FlowNode} FlowNode */
/** @typedef {{ event: string, state: string, since: string, text: string, at: number }} Alert `at`: arrival in ms */

const ROOT = path.join(import.meta.dirname, '..')
const SEND_EVERY_MS = 30_000
const LONGEST_END_MS = 300_000

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' } } })
const outageMs = 60_000 * Number(values.minutes)
const began = Date.now()
/** @type {Alert[]} */
const alerts = []
/** @type {Alert[]} */
const pages = []
let delivered = 0
let sent = 0

const receiver = createServer((request, response) => {
  void text(request).then((body) => {
    const alert = { ...JSON.parse(body), at: Date.now() }
    ;(request.url === '/page' ? pages : alerts).push(alert)
    console.log(`${seconds(alert.at)} s ${request.url} ${alert.event} ${alert.state}: ${alert.text}`)
    response.end()
  })
}).listen(0, '127.0.0.1')
await once(receiver, 'listening')
const redox = createServer((request, response) => {
  request.resume().once('end', () => {
    const isToken = request.url?.includes('/auth/')
    if (!isToken) delivered++
    response.setHeader('content-type', 'application/json')
    response.end(
      JSON.stringify(isToken ? { access_token: 'a', expires_in: 300 } : { Meta: { Logs: [{ ID: 'log' }] } }),
    )
  })
}).listen(0, '127.0.0.1')
await once(redox, 'listening')
const redoxPort = portOf(redox)

const userDir = await mkdtemp(path.join(os.tmpdir(), 'redox-alerts-'))
const { url, stop } = await startNodeRed()
const flows = [
  ...(await example('14 - Alert a webhook', '/alert')),
  ...(await example('15 - Page after an hour', '/page')),
]
try {
  await deploy()
  await send()
  await until(() => delivered === sent, 'the first messages are delivered')
  redox.close()
  redox.closeAllConnections()
  console.log(`${seconds(Date.now())} s Redox is down`)
  const end = Date.now() + outageMs
  const middle = end - outageMs / 2
  for (let isDeployed = false; Date.now() < end;) {
    await send()
    await sleep(Math.min(SEND_EVERY_MS, Math.max(0, end - Date.now())))
    if (isDeployed || Date.now() < middle) continue
    isDeployed = true
    await deploy()
    console.log(`${seconds(Date.now())} s deployed`)
  }
  redox.listen(redoxPort, '127.0.0.1')
  console.log(`${seconds(Date.now())} s Redox is up`)
  await until(() => delivered === sent && alerts.at(-1)?.state === 'over', 'all is delivered')
  await until(() => wrong().length === 0, 'the last alerts have arrived').catch(() => undefined)
} finally {
  await stop()
  receiver.close()
  redox.close()
  await rm(userDir, { recursive: true, force: true })
}
const problems = wrong()
problems.forEach((problem) => console.log(problem))
console.log(
  `sent ${sent}, delivered ${delivered}, alerts ${alerts.length}, pages ${pages.length}, wrong ${problems.length}`,
)
process.exitCode = problems.length === 0 ? 0 : 1

/** Returns a sentence for each trouble that was not told once when it began and once when it was over. */
function wrong() {
  const events = [...new Set([...alerts, ...pages].map(({ event }) => event))]
  const told = (/** @type {Alert[]} */ list, /** @type {string} */ event) =>
    list
      .filter((one) => one.event === event)
      .map(({ state }) => state)
      .join()
  const late = pages.filter(
    ({ since, state, at }) => state === 'begun' && at - Date.parse(since) < outageMs / 2,
  )
  return [
    ...(told(alerts, 'late') === 'begun,over' ? [] : ['the webhook was not told of the late messages']),
    ...(told(pages, 'late') === 'begun,over' ? [] : ['there was no page for the late messages']),
    ...events
      .filter((event) => !/^(begun,over)?$/.test(told(alerts, event)))
      .map((event) => `the webhook was told of ${event}: ${told(alerts, event)}`),
    ...events
      .filter((event) => !/^(begun,over)?$/.test(told(pages, event)))
      .map((event) => `the pager was told of ${event}: ${told(pages, event)}`),
    ...late.map(({ event }) => `the page for ${event} came too early`),
  ]
}

/** @param {number} at */
function seconds(at) {
  return String(Math.round((at - began) / 1000)).padStart(4)
}

/**
 * @param {() => boolean} isTrue
 * @param {string} what
 */
async function until(isTrue, what) {
  const last = Date.now() + LONGEST_END_MS
  while (!isTrue()) {
    if (Date.now() > last) throw new Error(`not in time: ${what}`)
    await sleep(100)
  }
}

/** Presses the buttons that send a note in both examples. */
async function send() {
  for (const id of ['redoxex14i', 'redoxex15i']) {
    const answer = await fetch(`${url}/inject/${id}`, { method: 'POST' })
    if (answer.ok) sent++
  }
}

async function deploy() {
  const headers = { 'content-type': 'application/json', 'node-red-deployment-type': 'full' }
  const answer = await fetch(`${url}/flows`, { method: 'POST', headers, body: JSON.stringify(flows) })
  if (!answer.ok) throw new Error(`the deploy ended with ${answer.status}`)
  // Node-RED answers before the nodes exist.
  await sleep(2000)
}

/**
 * Returns an example as a user sets it up: its connection, and the variables of its tab.
 * @param {string} name
 * @param {string} place path of the receiver
 * @returns {Promise<FlowNode[]>}
 */
async function example(name, place) {
  const privateKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
    type: 'pkcs8',
    format: 'pem',
  })
  /** @type {Record<string, string>} */
  const variables = {
    WEBHOOK: `http://127.0.0.1:${portOf(receiver)}${place}`,
    ENVIRONMENT: 'Development',
    PAGE_AFTER: String(Number(values.minutes) / 2),
  }
  /** @type {FlowNode[]} */
  const nodes = JSON.parse(await readFile(path.join(ROOT, 'examples', `${name}.json`), 'utf8'))
  return nodes.map((node) => {
    if (node.type === 'redox-config') {
      const account = {
        apiBase: `http://127.0.0.1:${redoxPort}`,
        clientId: 'client',
        keyId: 'key',
        faults: '',
      }
      const credentials = { privateKey, storeKey: 'a store key that is hard to guess' }
      return { ...node, ...account, storeLateMinutes: String(Number(values.minutes) / 10), credentials }
    }
    if (node.type !== 'tab') return node
    const env = /** @type {{ name: string, value: string }[]} */ (node.env)
    return { ...node, env: env.map((one) => ({ ...one, value: variables[one.name] ?? one.value })) }
  })
}

async function startNodeRed() {
  const modules = path.join(userDir, 'node_modules', '@ehr-flows')
  await mkdir(modules, { recursive: true })
  await symlink(ROOT, path.join(modules, 'node-red-redox'), 'junction')
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const uiPort = portOf(probe)
  probe.close()
  await once(probe, 'close')
  const settings = {
    ...{ uiHost: '127.0.0.1', uiPort, flowFile: 'flows.json', credentialSecret: 'nothing secret here' },
    ...{ telemetry: { enabled: false }, editorTheme: { projects: { enabled: false } } },
  }
  const file = path.join(userDir, 'settings.js')
  await writeFile(file, `module.exports = ${JSON.stringify(settings)}`)
  const red = path.join(ROOT, 'node_modules/node-red/red.js')
  const child = spawn(process.execPath, [red, '-u', userDir, '-s', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let log = ''
  child.stdout.on('data', (chunk) => (log += String(chunk)))
  const started = () => log.includes('Started flows') && log.includes('Server now running')
  await until(started, 'Node-RED has started')
  const end = async () => {
    child.kill()
    if (child.exitCode === null) await once(child, 'exit')
  }
  return { url: `http://127.0.0.1:${uiPort}`, stop: end }
}
