// Sends thousands of messages through a real Node-RED, while the sandbox injects every fault that it can simulate and
// the flow is deployed repeatedly: no message may be lost, and no document may be in a patient's chart twice. The exit
// code is 0 if this is the case.
//
//   npm run soak                                        10 000 messages, 2 GB, 20 deploys
//   npm run soak -- --messages 500 --megabytes 50 --deploys 5 --seed 7
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startSandbox } from '../dist/src/sandbox/index.js'
import { messagesOf } from './messages.mjs'
import { startNodeRed } from './node-red.mjs'

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '10000' },
    megabytes: { type: 'string', default: '2000' },
    deploys: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
  },
})
const MESSAGES = Number(values.messages)
const MEGABYTES = Number(values.megabytes)
const DEPLOYS = Number(values.deploys)
const SEED = Number(values.seed)
/** @typedef {import('./node-red.mjs').RunState} RunState */
/** @typedef {import('./messages.mjs').PlannedMessage} PlannedMessage */
const BURST = 10_000
const AWAY = 500
/** Milliseconds without a further result after which the messages without a result count as lost. */
const LONGEST_SILENCE_MS = 120_000
/** Limit for the memory growth of the burst, in MB. A waiting message takes about 20 KB. */
const BURST_MEGABYTES = 600
const LONGEST_SECONDS = 1200

// Faults, by the result of a message whose request gets the fault. These lists are written independently of the outcome
// table in the client. `late=15` responds after the timeout.
const UNKNOWN = [
  ...['500', '504', '408', '504-after-accept', 'reset-before-body', 'reset-mid-body', 'reset-after-body'],
  ...['reset-after-accept', 'half-open', 'late=15', 'cut-short', 'truncated-json', 'not-json'],
]
const REFUSED = ['400', '403', '404', '413', 'redirect', 'errors-inside', 'partial']
const TRIED_AGAIN = ['401', '429', '429-retry-after=1', '502', '503']
// Error codes after which a user has to check if the document arrived; after any other error, the document is sent
// again.
const MAY_HAVE_ARRIVED = ['REDOX_OUTCOME_UNKNOWN', 'REDOX_PARTIAL']
/** Error codes that the injected faults can cause. Any other code means that a message was wrongly refused. */
const EXPLAINED = [
  ...MAY_HAVE_ARRIVED,
  ...['REDOX_REJECTED', 'REDOX_FORBIDDEN', 'REDOX_TOO_LARGE', 'REDOX_AUTHENTICATION'],
  ...['REDOX_RATE_LIMITED', 'REDOX_UNAVAILABLE', 'REDOX_NETWORK', 'REDOX_TIMEOUT'],
]
const HARMLESS = ['late=1', 'slow-reader', 'gzip', 'no-location']
const ANSWER_TIMEOUT = 10
/** Percent of all requests that fail. */
const FAILING = 20

/**
 * Returns a fault plan with which one in five requests fails, also token requests. Each fault is equally frequent.
 * @param {number} seed
 */
function planOf(seed) {
  const faults = [...UNKNOWN, ...REFUSED, ...TRIED_AGAIN, ...HARMLESS].filter((fault) => fault !== 'partial')
  // A rule of the plan only sees the requests that no earlier rule has matched, so its percentage is a share of the
  // rest.
  const share = (100 * (1 - (1 - FAILING / 100) ** (1 / faults.length))).toFixed(2)
  const rules = faults.map((fault) => `any ${fault} ${share}%`)
  return [`seed ${seed}`, 'fhir partial 0.8%', ...rules].join('\n')
}

const sandbox = await startSandbox({ maxKeptMessages: 5 })
const failing = await sandbox.openListener(planOf(SEED))
// A stopped server cuts off requests that it has not counted, so exact counts are impossible: this fault has a separate
// run.
const away = await sandbox.openListener('any refuse=1 1%')
/**
 * SHA-256 of the files that have arrived, by the id of the message
 * @type {Map<string, (string | undefined)[]>}
 */
const accepted = new Map()
/**
 * number of times that each fault was injected, by `send` or `other` and the name of the fault
 * @type {Map<string, number>}
 */
const injected = new Map()
sandbox.onReceived(({ request, files }) => {
  const id = /\b(?:soak|burst|away)-\d{6}\b/.exec(JSON.stringify(request.body))?.[0]
  if (id === undefined) throw new Error('A message without an id has arrived')
  accepted.set(id, [...(accepted.get(id) ?? []), files[0]?.sha256])
})
sandbox.onFault(({ api, fault }) => {
  const kind = api === 'endpoint' || api === 'fhir' ? `send ${fault}` : `other ${fault}`
  injected.set(kind, (injected.get(kind) ?? 0) + 1)
})
const nodeRed = await startNodeRed(
  { ...sandbox.oauthKey, failing: failing.endpoints, away: away.endpoints, main: sandbox.endpoints },
  ANSWER_TIMEOUT,
)
try {
  const burst = (await runBurst()) && (await runAway())
  const soak = await runSoak()
  process.exitCode = burst && soak ? 0 : 1
} finally {
  await nodeRed.stop()
  await sandbox.close()
}

// ---- Runs ---------------------------------------------------------------------------------------------

/**
 * Sends the maximum number of waiting small messages at once: all must be delivered, none twice, and memory
 * must stay bounded.
 */
async function runBurst() {
  const messages = messagesOf({ count: BURST, bytes: 2000 * BURST, large: 0, nodes: ['burst'], seed: SEED })
  const { ends, files, mostRss, rssBefore } = await run('burst', messages, BURST)
  const { lost, doubled, answered } = judge(ends, files)
  const growth = Math.round((mostRss - rssBefore) / 1e6)
  console.log(
    `at once: ${BURST} small messages, answered ${answered}, lost ${lost}, doubled ${doubled}, ${growth} MB more`,
  )
  return lost + doubled === 0 && answered === BURST && growth < BURST_MEGABYTES
}

/** Sends to a server that repeatedly stops listening for a second. */
async function runAway() {
  const messages = messagesOf({ count: AWAY, bytes: 10_000 * AWAY, large: 0, nodes: ['away'], seed: SEED })
  const { ends, files } = await run('away', messages, 32)
  const { lost, doubled, answered, reported } = judge(ends, files)
  const gone = (injected.get('send refuse=1') ?? 0) + (injected.get('other refuse=1') ?? 0)
  console.log(
    `server gone ${gone} times: sent ${AWAY}, answered ${answered}, reported ${reported}, lost ${lost}, doubled ${doubled}`,
  )
  return lost + doubled === 0 && answered + reported === AWAY && gone > 0
}

async function runSoak() {
  const nodes = ['note', 'media', 'results', 'fhir-result', 'fhir-document']
  const messages = messagesOf({ count: MESSAGES, bytes: MEGABYTES * 1e6, large: 0.05, nodes, seed: SEED })
  const began = Date.now()
  const { ends, files, mostRss } = await run('soak', messages, 256, deployEvenly())
  const seconds = Math.round((Date.now() - began) / 1000)
  const { lost, doubled, denied, answered, reported, codes } = judge(ends, files)
  const unknown = codes.REDOX_OUTCOME_UNKNOWN ?? 0
  const unknownInjected = UNKNOWN.reduce((sum, fault) => sum + (injected.get(`send ${fault}`) ?? 0), 0)
  const silent = nodeRed.log().filter((line) => /nothing was emitted|failed to pass/.test(line)).length
  const kinds = [...injected].sort().map(([kind, times]) => `${kind} ${times}`)
  console.log(`faults injected: ${kinds.join(', ')}`)
  console.log(
    `errors: ${Object.entries(codes)
      .map((pair) => pair.join(' '))
      .join(', ')}`,
  )
  console.log(
    `${seconds} s, ${MEGABYTES} MB, ${DEPLOYS} deploys, Node-RED at most ${Math.round(mostRss / 1e6)} MB`,
  )
  console.log(
    `outcome unknown: ${unknownInjected} at the server, ${unknown} reported, ${unknownInjected - unknown} repeated`,
  )
  const unexplained = Object.keys(codes).filter((code) => !EXPLAINED.includes(code))
  console.log(
    `without a node that gets the result: ${silent}, reported as not arrived although it had: ${denied}`,
  )
  console.log(`errors that no fault explains: ${unexplained.join(', ') || 'none'}`)
  console.log(
    `sent ${MESSAGES}, answered ${answered}, reported ${reported}, lost ${lost}, doubled ${doubled}`,
  )
  return (
    lost + doubled + denied + silent + unexplained.length === 0 &&
    answered + reported === MESSAGES &&
    unknownInjected === unknown &&
    seconds <= LONGEST_SECONDS
  )
}

/**
 * Sends the messages, and waits until all have a result, or until no further result comes.
 * @param {string} name
 * @param {PlannedMessage[]} messages
 * @param {number} atOnce maximum number of messages without a result at the same time
 * @param {(state: RunState) => Promise<void>} [along] called repeatedly during the run
 */
async function run(name, messages, atOnce, along = async () => undefined) {
  await nodeRed.feed(name, { messages, atOnce })
  let before = { ended: -1, at: 0 }
  for (;;) {
    const state = await nodeRed.state(name)
    if (state.ends) return finished(state)
    if (state.ended !== before.ended) before = { ended: state.ended, at: Date.now() }
    if (Date.now() - before.at > LONGEST_SILENCE_MS) return finished(await nodeRed.stateNow(name))
    await along(state)
    await sleep(200)
  }
}

/**
 * @param {RunState} state state that was requested with all results
 * @returns {RunState & Required<Pick<RunState, 'ends' | 'files'>>}
 */
function finished({ ends = {}, files = {}, ...state }) {
  return { ...state, ends, files }
}

/**
 * Returns a function that makes deploys of all kinds, evenly distributed over the run.
 * @returns {(state: RunState) => Promise<void>}
 */
function deployEvenly() {
  let made = 0
  return async ({ ended, of }) => {
    if (made >= DEPLOYS || ended < ((made + 0.5) * of) / DEPLOYS) return
    await nodeRed.deploy(made++)
  }
}

// ---- Judgement ----------------------------------------------------------------------------------------

/**
 * Compares the results in Node-RED with the messages that the sandbox has accepted.
 * @param {NonNullable<RunState['ends']>} ends
 * @param {NonNullable<RunState['files']>} files
 */
function judge(ends, files) {
  /** @type {Record<string, number>} */
  const codes = {}
  const counts = { lost: 0, doubled: 0, denied: 0, answered: 0, reported: 0, codes }
  for (const [id, sha256] of Object.entries(files)) {
    const [end, ...more] = ends[id] ?? []
    const arrived = accepted.get(id) ?? []
    if (end === undefined || more.length > 0) counts.lost++
    else if (end.code !== undefined) {
      counts.reported++
      codes[end.code] = (codes[end.code] ?? 0) + 1
      if (!MAY_HAVE_ARRIVED.includes(end.code) && arrived.length > 0) counts.denied++
    } else {
      counts.answered++
      if (end.sha256 !== sha256 || arrived[0] !== sha256) counts.lost++
    }
    if (arrived.length > 1) counts.doubled++
  }
  return counts
}
