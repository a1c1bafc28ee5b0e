// Soak of durable delivery: Node-RED processes are killed and deployed at random times while they accept messages, and
// Redox is unreachable half of the time. Every accepted message has to be delivered once and in order, or to be parked
// for a person.
//
//   npm run soak -- --durable                     the embedded store, 10 000 messages, 2 GB, 100 kills, 20 deploys
//   npm run soak -- --durable --store postgresql  three Node-REDs on one PostgreSQL
//   npm run soak -- --durable --order patient     order for each destination and patient
//
// One of ten accepted documents is given to Node-RED a second time, which has to refuse it as a duplicate. With order
// by patient, the messages for a destination are about several patients.
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startSandbox } from '../dist/src/sandbox/index.js'
import { Arrivals } from './arrivals.mjs'
import { durableFlow } from './durable-flow.mjs'
import { DurableRun } from './durable-run.mjs'
import { Instance } from './instance.mjs'
import { startLine, through } from './line.mjs'
import { messagesOf } from './messages.mjs'
import { countsOf } from './outbox.mjs'

/** Bytes of the largest files. */
const HUGE = 30_000_000
const LONGEST_END_MS = 600_000
/** Longest wait for late answers, in ms: longer than the lease of a process that was killed before it emitted one. */
const LONGEST_EMITTING_MS = 60_000

const { values } = parseArgs({
  options: {
    durable: { type: 'boolean' },
    store: { type: 'string', default: 'embedded' },
    order: { type: 'string', default: 'destination' },
    messages: { type: 'string', default: '10000' },
    megabytes: { type: 'string', default: '2000' },
    kills: { type: 'string', default: '100' },
    deploys: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
  },
})
const { store, order } = values
const MESSAGES = Number(values.messages)
const MEGABYTES = Number(values.megabytes)
const KILLS = Number(values.kills)
const DEPLOYS = Number(values.deploys)
const SEED = Number(values.seed)
process.exitCode = (await soak()) ? 0 : 1

async function soak() {
  const began = Date.now()
  const sandbox = await startSandbox({ maxKeptMessages: 5 })
  const line = await startLine(Number(new URL(sandbox.url).port))
  const folder = mkdtempSync(path.join(os.tmpdir(), 'redox-soak-durable-'))
  const emitted = path.join(folder, 'emitted.txt')
  writeFileSync(emitted, '')
  const database = store === 'postgresql' ? await startDatabase() : undefined
  const env = {
    SOAK_EMITTED: emitted,
    REDOX_STORE_KEY: randomBytes(32).toString('base64'),
    REDOX_STORE_URL: database?.url ?? '',
  }
  const flow = durableFlow(through(sandbox, line.port), store, order)
  const instances = await startInstances(folder, flow, env)
  const arrivals = new Arrivals(sandbox, order)
  const run = new DurableRun({
    ...{ instances, arrivals, line, plan: planned(), kills: KILLS, deploys: DEPLOYS, seed: SEED },
  })
  const feedingMs = await run.untilDone(LONGEST_END_MS)

  const [one] = run.alive()
  // If the run did not end in time, the count is undefined, which does not count as success.
  const parked = one && (await countsOf(one))?.parked
  const answers = await answersOf(emitted, run)
  await Promise.all(instances.map((instance) => instance.stop()))
  await sandbox.close()
  line.close()
  await database?.stop()
  rmSync(folder, { recursive: true, force: true })
  console.log(
    `${store}, order by ${order}, ${instances.length} Node-RED, ${seconds(Date.now() - began)} s, ${MEGABYTES} MB, ${run.killed} kills, ${run.deployed} deploys`,
  )
  return judge(run, arrivals, { parked, feedingMs, ...answers })
}

/** Returns the sizes of the messages: two fifths of all bytes are in huge files, which are distributed evenly. */
function planned() {
  const plan = messagesOf({
    ...{ count: MESSAGES, bytes: MEGABYTES * 1e6 * 0.6, large: 0.05, nodes: ['x'], seed: SEED },
  })
  const huge = Math.floor((MEGABYTES * 1e6 * 0.4) / HUGE)
  for (let index = 0; index < huge; index++) {
    const message = plan[Math.floor(((index + 0.5) * MESSAGES) / huge)]
    if (message) message.bytes = HUGE
  }
  return plan
}

/**
 * @param {string} folder
 * @param {import('../scripts/lib/runtime.mjs').FlowNode[]} flow
 * @param {NodeJS.ProcessEnv} env
 */
function startInstances(folder, flow, env) {
  const count = store === 'postgresql' ? 3 : 1
  return Promise.all(
    Array.from({ length: count }, (_, index) => Instance.start(path.join(folder, String(index)), flow, env)),
  )
}

/**
 * Counts the answers that the flows emitted; waits for late answers.
 * @param {string} emitted path of the file with the ids of emitted answers
 * @param {DurableRun} run
 * @returns {Promise<{ emittedCount: number, missing: number }>} `missing`: accepted messages without an answer
 */
async function answersOf(emitted, run) {
  for (const until = Date.now() + LONGEST_EMITTING_MS; ; await sleep(500)) {
    const ids = readFileSync(emitted, 'utf8').split('\n').filter(Boolean)
    const answered = new Set([...ids, ...run.marked])
    const missing = [...run.accepted].filter((id) => !answered.has(id)).length
    if (missing === 0 || Date.now() > until) return { emittedCount: ids.length, missing }
  }
}

/**
 * Compares the messages that Node-RED accepted with those that arrived at the sandbox, and prints the counts.
 * @param {DurableRun} run
 * @param {Arrivals} arrivals
 * @param {{ parked: number | undefined, feedingMs: number, emittedCount: number, missing: number }} end
 * @returns {boolean} true if no message was lost, duplicated or out of order
 */
function judge(run, arrivals, { parked = NaN, feedingMs, emittedCount, missing }) {
  const { accepted, unanswered } = run
  const delivered = [...accepted].filter((id) => arrivals.has(id)).length
  const maybe = [...unanswered].filter((id) => arrivals.has(id)).length
  const [doubled, disordered] = [arrivals.doubled(), arrivals.disordered()]
  const lost = accepted.size - delivered - parked
  console.log(
    `Redox was down for ${seconds(run.downMs)} of ${seconds(feedingMs)} s of accepting; refused at acceptance: ${JSON.stringify(run.refused)}`,
  )
  console.log(`without an answer when killed: ${unanswered.size}, of these delivered ${maybe}`)
  console.log(
    `parked for a person and decided: ${run.decided}; answers emitted ${emittedCount}, missing ${missing}`,
  )
  console.log(`out of order: ${disordered}`)
  console.log(
    `given twice: ${run.repeated}, refused as duplicates ${run.duplicates}, not refused ${run.unrefused}`,
  )
  console.log(
    `accepted ${accepted.size}, delivered ${delivered}, parked ${parked}, lost ${lost}, doubled ${doubled}`,
  )
  const isComplete = run.killed >= KILLS && run.deployed >= DEPLOYS
  const isRefused = run.repeated > 0 && run.unrefused === 0
  return isRefused && lost === 0 && doubled === 0 && disordered === 0 && missing === 0 && isComplete
}

/** @param {number} milliseconds */
function seconds(milliseconds) {
  return Math.round(milliseconds / 1000)
}

async function startDatabase() {
  const { Postgres } = await import('../dist/test/lib/postgres.js')
  const postgres = await Postgres.start()
  return { url: postgres.url(), stop: () => postgres.stop() }
}
