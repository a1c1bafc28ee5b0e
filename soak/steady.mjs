// Soak of durable delivery at a steady rate, while a part of all requests to Redox fails: no message may be lost,
// duplicated or out of order, and memory, file descriptors and event listeners must not grow. The exit code is 0 if
// this is the case.
//
//   npm run soak -- --steady                      20 minutes, 20 messages a second, 5 % of the requests fail
//   npm run soak -- --steady --minutes 2 --rate 50 --percent 10
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startSandbox } from '../dist/src/sandbox/index.js'
import { Arrivals, messageId } from './arrivals.mjs'
import { DESTINATIONS, durableFlow } from './durable-flow.mjs'
import { Instance } from './instance.mjs'
import { mulberry32, pdf } from './messages.mjs'
import { decideAll, depthOf } from './outbox.mjs'

/** @typedef {{ heap: number, descriptors: number, listeners: number }} Probe `heap` in bytes */

const { values } = parseArgs({
  options: {
    steady: { type: 'boolean' },
    minutes: { type: 'string', default: '20' },
    rate: { type: 'string', default: '20' },
    percent: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
  },
})
const MINUTES = Number(values.minutes)
const RATE = Number(values.rate)
const PERCENT = Number(values.percent)
const SEED = Number(values.seed)
const COUNT = MINUTES * 60 * RATE
const FAULTS = ['503', '429-retry-after=1', 'reset-before-body', 'reset-after-accept', '500']
/** Fraction of the messages after which the process counts as warmed up. */
const WARM = 0.2
const MOST_BYTES = 20_000
const LONGEST_END_MS = 300_000
/** Limits for the growth between the end of the warm-up and the end of the run. */
const MORE = { heap: 15e6, descriptors: 20, listeners: 0 }

process.exitCode = (await run()) ? 0 : 1

async function run() {
  const sandbox = await startSandbox({ maxKeptMessages: 5 })
  const share = (PERCENT / FAULTS.length).toFixed(2)
  const { endpoints } = await sandbox.openListener(
    [`seed ${SEED}`, ...FAULTS.map((fault) => `any ${fault} ${share}%`)].join('\n'),
  )
  const arrivals = new Arrivals(sandbox)
  const folder = mkdtempSync(path.join(os.tmpdir(), 'redox-soak-steady-'))
  writeFileSync(path.join(folder, 'emitted.txt'), '')
  const env = {
    SOAK_EMITTED: path.join(folder, 'emitted.txt'),
    REDOX_STORE_KEY: randomBytes(32).toString('base64'),
    REDOX_STORE_URL: '',
  }
  const keys = { ...sandbox.oauthKey, endpoints, audience: `${endpoints.apiBase}/v2/auth/token` }
  const instance = await Instance.start(path.join(folder, 'node-red'), durableFlow(keys, 'embedded'), env)
  while ((await depthOf(instance)) === undefined) await sleep(100)

  const decisions = startDecisions(instance, arrivals)
  const fed = await feed(instance)
  const atEnd = await probe(instance)
  await Promise.race([decisions.untilDone(), sleep(LONGEST_END_MS, undefined, { ref: false })])
  const left = (await depthOf(instance)) ?? NaN
  await instance.stop()
  await sandbox.close()
  rmSync(folder, { recursive: true, force: true })
  return judge({ ...fed, arrivals, atEnd, left, decided: decisions.count() })
}

/**
 * Sends the messages at the given rate, to one destination after the other. Each destination gets only one message at a
 * time, so that the order of acceptance is known.
 * @param {Instance} instance
 */
async function feed(instance) {
  const random = mulberry32(SEED)
  /** @type {Set<string>} */
  const accepted = new Set()
  /** @type {Record<string, number>} */
  const refused = {}
  const queues = DESTINATIONS.map((destination) => ({ destination, last: Promise.resolve() }))
  /** @param {number} number */
  const give = (number) => {
    const queue = queues[number % queues.length]
    if (queue === undefined) return
    const { number: destinationNumber, node, destination } = queue.destination
    const id = messageId(destinationNumber, number)
    const file = pdf(1000 + Math.floor(random() * MOST_BYTES))
    queue.last = queue.last.then(async () => {
      const answer = await instance.post(`durable/${node}/${id}?destination=${destination}`, file)
      if (answer === 200) accepted.add(id)
      else refused[String(answer)] = (refused[String(answer)] ?? 0) + 1
    })
  }
  const began = Date.now()
  let warm = await probe(instance)
  for (let number = 0; number < COUNT; number++) {
    await sleep(Math.max(0, began + (number * 1000) / RATE - Date.now()))
    give(number)
    if (number === Math.floor(WARM * COUNT)) warm = await probe(instance)
  }
  await Promise.all(queues.map(({ last }) => last))
  return { accepted, refused, warm }
}

/**
 * @param {Instance} instance
 * @returns {Promise<Probe>}
 */
async function probe(instance) {
  return /** @type {Probe} */ (await instance.json('probe'))
}

/**
 * Decides on parked messages during the soak.
 * @param {Instance} instance
 * @param {Arrivals} arrivals
 */
function startDecisions(instance, arrivals) {
  let count = 0
  let isOver = false
  const decideOnce = async () => {
    for await (const id of decideAll(instance, (one) => arrivals.has(one))) if (id) count++
  }
  const decide = async () => {
    while (!isOver || (await depthOf(instance)) !== 0) {
      await sleep(500)
      // A failed request is repeated in the next round.
      await decideOnce().catch(() => undefined)
    }
  }
  const done = decide()
  return {
    count: () => count,
    /** Resolves when all messages are done. To be called after the last message was sent. */
    untilDone() {
      isOver = true
      return done
    },
  }
}

/**
 * Prints message counts and growth.
 * @param {object} result
 * @param {Set<string>} result.accepted
 * @param {Record<string, number>} result.refused number of refused messages, by HTTP status
 * @param {Arrivals} result.arrivals
 * @param {Probe} result.warm
 * @param {Probe} result.atEnd
 * @param {number} result.left number of messages that are not done
 * @param {number} result.decided
 * @returns {boolean} true if no message was lost, duplicated or out of order, and nothing was leaked
 */
function judge({ accepted, refused, arrivals, warm, atEnd, left, decided }) {
  const lost = [...accepted].filter((id) => !arrivals.has(id)).length
  const [doubled, disordered] = [arrivals.doubled(), arrivals.disordered()]
  const names = /** @type {(keyof Probe)[]} */ (Object.keys(MORE))
  const grown = names.filter((name) => atEnd[name] > warm[name] + MORE[name])
  const show = (/** @type {Probe} */ { heap, descriptors, listeners }) =>
    `heap ${(heap / 1e6).toFixed(1)} MB, descriptors ${descriptors}, listeners ${listeners}`
  console.log(`${MINUTES} min, ${RATE} messages a second, ${PERCENT} % of the requests fail`)
  console.log(`after ${WARM * MINUTES} min: ${show(warm)}`)
  console.log(`after ${MINUTES} min: ${show(atEnd)}`)
  console.log(`parked for a person and decided: ${decided}; not accepted: ${JSON.stringify(refused)}`)
  console.log(
    `accepted ${accepted.size}, left ${left}, lost ${lost}, doubled ${doubled}, out of order ${disordered}`,
  )
  return lost + doubled + disordered + left + grown.length === 0 && accepted.size === COUNT
}
