// The example of a durable folder with many scans that lie in it when it starts, and as many once more when they are
// delivered: every scan is accepted and delivered, none stays behind, and the heap is afterwards what it was before.
// Ends with 0 when that is so.
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
/** Bytes that the heap may have more after the last round than after the first. */
const MORE_HEAP = 4e6
/** Bytes of heap for each scan while it waits in the flow: its message, and what Node-RED keeps of it. */
const MOST_OF_A_SCAN = 30e3

process.exitCode = (await run()) ? 0 : 1

async function run() {
  const root = mkdtempSync(path.join(os.tmpdir(), 'redox-soak-folder-'))
  const emitted = path.join(root, 'emitted.txt')
  const scans = path.join(root, 'node-red', 'redox-durable-scans')
  mkdirSync(scans, { recursive: true })
  writeFileSync(emitted, '')
  const flow = JSON.parse(readFileSync(EXAMPLE, 'utf8'))
  const connection = flow.find(({ type }) => type === 'redox-config')
  connection.credentials = { storeKey: randomBytes(32).toString('base64') }
  const instance = await Instance.start(path.join(root, 'node-red'), [], { SOAK_EMITTED: emitted })
  const look = async () => ({
    heap: (await instance.json('probe')).heap,
    counts: (await instance.json('redox/outbox')).connections[0]?.counts,
  })
  const rounds = []
  try {
    for (let round = 1; round <= ROUNDS; round++) {
      for (let number = 1; number <= SCANS; number++)
        writeFileSync(path.join(scans, `${String(number).padStart(10, '0')}_${round}.pdf`), pdf(BYTES))
      const began = Date.now()
      const before = (await look()).heap
      if (round === 1) {
        instance.flow = flow
        await instance.deploy(0)
      }
      const heaps = []
      for (let isOver = false; !isOver; isOver ||= Date.now() - began > LONGEST_MS) {
        await sleep(LOOK_EVERY_MS)
        const { heap, counts } = await look()
        heaps.push(heap)
        isOver = counts?.delivered === round * SCANS && answersIn(emitted) >= round * SCANS
      }
      // What ended last is not collected with it.
      await sleep(LOOK_EVERY_MS)
      const { heap, counts } = await look()
      rounds.push({ before, most: Math.max(...heaps), after: heap, counts })
      console.log(
        `round ${round}: ${SCANS} scans of ${BYTES} bytes in ${Math.round((Date.now() - began) / 1000)} s`,
      )
      console.log(
        `  heap after a collection: before ${mb(before)}, at most ${mb(Math.max(...heaps))}, after ${mb(heap)}`,
      )
      console.log(`  each second: ${heaps.map((one) => Math.round(one / 1e6)).join(' ')}`)
    }
  } finally {
    await instance.stop()
  }
  const pdfsIn = (name) => readdirSync(path.join(scans, name)).filter((file) => file.endsWith('.pdf')).length
  const all = ROUNDS * SCANS
  const [accepted, taken, left] = [pdfsIn('accepted'), pdfsIn('taken'), pdfsIn('.')]
  const failed = existsSync(path.join(scans, 'failed')) ? pdfsIn('failed') : 0
  const answers = answersIn(emitted)
  const [first, last] = [rounds[0], rounds.at(-1)]
  console.log(
    `files: accepted ${accepted}, left ${left}, taken ${taken}, failed ${failed}; answers: ${answers}`,
  )
  console.log(`outbox: ${JSON.stringify(last.counts)}`)
  rmSync(root, { recursive: true, force: true })
  return (
    accepted === all &&
    left + taken + failed === 0 &&
    answers === all &&
    last.counts?.delivered === all &&
    last.after - first.after < MORE_HEAP &&
    last.most - last.before < SCANS * MOST_OF_A_SCAN
  )
}

function mb(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

/** One line for each that left *Redox media*. */
function answersIn(file) {
  return readFileSync(file, 'utf8').split('\n').filter(Boolean).length
}
