// Soak of the example with a durable folder: many scans are in the folder at the start, and as many again are added
// after these were delivered. Every scan must be accepted and delivered, none may stay in the folder, and the heap must
// return to its size. The exit code is 0 if this is the case.
//
//   npm run soak -- --folder                      twice 1 500 scans of 20 KB
//   npm run soak -- --folder --scans 5000 --bytes 5000
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Instance } from './instance.mjs'
import { pdf } from './messages.mjs'
import { countsOf } from './outbox.mjs'

const { values } = parseArgs({
  options: {
    folder: { type: 'boolean' },
    scans: { type: 'string', default: '1500' },
    bytes: { type: 'string', default: '20000' },
  },
})
const SCANS = Number(values.scans)
const BYTES = Number(values.bytes)
const EXAMPLE = path.join(import.meta.dirname, '../examples/12 - Durable delivery of a folder.json')
const LOOK_EVERY_MS = 1000
const LONGEST_MS = 600_000
const ROUNDS = 2
/** Bytes by which the heap after the last round may be larger than after the first. */
const MORE_HEAP = 4e6
/**
 * Bytes of heap for each scan while it waits in the flow: its message, and the copies that Node-RED makes of the
 * message.
 */
const MOST_OF_A_SCAN = 30e3

process.exitCode = (await run()) ? 0 : 1

/** @typedef {import('../scripts/lib/runtime.mjs').FlowNode} FlowNode */
/** @typedef {Awaited<ReturnType<typeof countsOf>>} Counts */
/**
 * @typedef {{ before: number, most: number, after: number, counts: Counts }} Round heap size in bytes before, at its
 * maximum and after, and message counts at the end
 */

async function run() {
  const root = mkdtempSync(path.join(os.tmpdir(), 'redox-soak-folder-'))
  const emitted = path.join(root, 'emitted.txt')
  const scans = path.join(root, 'node-red', 'redox-durable-scans')
  mkdirSync(scans, { recursive: true })
  writeFileSync(emitted, '')
  const instance = await Instance.start(path.join(root, 'node-red'), [], { SOAK_EMITTED: emitted })
  /** @type {Round[]} */
  const rounds = []
  try {
    for (let round = 1; round <= ROUNDS; round++)
      rounds.push(await runRound(instance, { round, scans, emitted }))
  } finally {
    await instance.stop()
  }
  const isDone = judge(rounds, scans, answersIn(emitted))
  rmSync(root, { recursive: true, force: true })
  return isDone
}

/**
 * Writes scans to the folder, and waits until all are delivered. The first round also deploys the flow.
 * @param {Instance} instance
 * @param {{ round: number, scans: string, emitted: string }} options number of the round from 1, folder for the scans,
 * file with the ids of emitted answers
 * @returns {Promise<Round>}
 */
async function runRound(instance, { round, scans, emitted }) {
  for (let number = 1; number <= SCANS; number++)
    writeFileSync(path.join(scans, `${String(number).padStart(10, '0')}_${round}.pdf`), pdf(BYTES))
  const began = Date.now()
  const before = await heapOf(instance)
  if (round === 1) {
    instance.flow = exampleFlow()
    await instance.deploy(0)
  }
  /** @type {number[]} */
  const heaps = []
  for (let isOver = false; !isOver; isOver ||= Date.now() - began > LONGEST_MS) {
    await sleep(LOOK_EVERY_MS)
    heaps.push(await heapOf(instance))
    const counts = await countsOf(instance)
    isOver = counts?.delivered === round * SCANS && answersIn(emitted) >= round * SCANS
  }
  // The objects of the last message become garbage only after a short time.
  await sleep(LOOK_EVERY_MS)
  const after = await heapOf(instance)
  const most = Math.max(...heaps)
  const seconds = Math.round((Date.now() - began) / 1000)
  console.log(`round ${round}: ${SCANS} scans of ${BYTES} bytes in ${seconds} s`)
  console.log(`  heap after a collection: before ${mb(before)}, at most ${mb(most)}, after ${mb(after)}`)
  console.log(`  each second: ${heaps.map((one) => Math.round(one / 1e6)).join(' ')}`)
  return { before, most, after, counts: await countsOf(instance) }
}

/** Returns the flow of the example, with a store key. */
function exampleFlow() {
  /** @type {FlowNode[]} */
  const flow = JSON.parse(readFileSync(EXAMPLE, 'utf8'))
  const connection = flow.find(({ type }) => type === 'redox-config')
  if (connection === undefined) throw new Error('The example has no redox-config')
  connection.credentials = { storeKey: randomBytes(32).toString('base64') }
  return flow
}

/**
 * Returns the size of the heap in bytes after a garbage collection.
 * @param {Instance} instance
 */
async function heapOf(instance) {
  return /** @type {{ heap: number }} */ (await instance.json('probe')).heap
}

/**
 * Prints the numbers of scans by folder, and the heap sizes.
 * @param {Round[]} rounds
 * @param {string} scans folder
 * @param {number} answers number of emitted answers
 * @returns {boolean} true if all scans were delivered and the heap has not grown
 */
function judge(rounds, scans, answers) {
  const pdfsIn = (/** @type {string} */ name) =>
    readdirSync(path.join(scans, name)).filter((file) => file.endsWith('.pdf')).length
  const all = ROUNDS * SCANS
  const [accepted, taken, left] = [pdfsIn('accepted'), pdfsIn('taken'), pdfsIn('.')]
  const failed = existsSync(path.join(scans, 'failed')) ? pdfsIn('failed') : 0
  const [first, last] = [rounds[0], rounds.at(-1)]
  if (first === undefined || last === undefined) throw new Error('No round has ended')
  console.log(
    `files: accepted ${accepted}, left ${left}, taken ${taken}, failed ${failed}; answers: ${answers}`,
  )
  console.log(`outbox: ${JSON.stringify(last.counts)}`)
  return (
    accepted === all &&
    left + taken + failed === 0 &&
    answers === all &&
    last.counts?.delivered === all &&
    last.after - first.after < MORE_HEAP &&
    last.most - last.before < SCANS * MOST_OF_A_SCAN
  )
}

/** @param {number} bytes */
function mb(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

/**
 * Returns the number of messages that the node *Redox media* has emitted.
 * @param {string} file path of a file with one line for each message
 */
function answersIn(file) {
  return readFileSync(file, 'utf8').split('\n').filter(Boolean).length
}
