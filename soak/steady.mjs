// Durable delivery at an even pace, while a part of all requests to Redox fails: nothing is lost, doubled or out of
// order, and memory, descriptors and listeners do not grow. Ends with 0 when that is so.
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
import { durableFlow, LANES } from './durable-flow.mjs'
import { Instance } from './instance.mjs'
import { inversions, mulberry32, pdf } from './messages.mjs'

const { values } = parseArgs({
  options: {
    steady: { type: 'boolean' },
    minutes: { type: 'string', default: '20' },
    rate: { type: 'string', default: '20' },
    percent: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
  },
})
const [MINUTES, RATE, PERCENT, SEED] = ['minutes', 'rate', 'percent', 'seed'].map((name) =>
  Number(values[name]),
)
const FAULTS = ['503', '429-retry-after=1', 'reset-before-body', 'reset-after-accept', '500']
const OUTBOX = 'redox/outbox/connection'
/** Until then the process has warmed up. */
const WARM = 0.2
const MOST_BYTES = 20_000
const LONGEST_END_MS = 300_000
/** What may be more at the end. */
const MORE = { heap: 15e6, descriptors: 20, listeners: 0 }

process.exitCode = (await run()) ? 0 : 1

async function run() {
  const random = mulberry32(SEED)
  const sandbox = await startSandbox({ maxKeptMessages: 5 })
  const share = (PERCENT / FAULTS.length).toFixed(2)
  const door = await sandbox.openDoor(
    [`seed ${SEED}`, ...FAULTS.map((fault) => `any ${fault} ${share}%`)].join('\n'),
  )
  const arrived = new Map()
  const order = new Map(LANES.map(({ lane }) => [lane, []]))
  sandbox.onReceived(({ request }) => {
    const [id, lane] = /\bL(\d+)-\d{6}\b/.exec(JSON.stringify(request.body)) ?? []
    arrived.set(id, (arrived.get(id) ?? 0) + 1)
    if (arrived.get(id) === 1) order.get(Number(lane)).push(id)
  })
  const folder = mkdtempSync(path.join(os.tmpdir(), 'redox-soak-steady-'))
  writeFileSync(path.join(folder, 'emitted.txt'), '')
  const env = {
    SOAK_EMITTED: path.join(folder, 'emitted.txt'),
    REDOX_STORE_KEY: randomBytes(32).toString('base64'),
    REDOX_STORE_URL: '',
  }
  const keys = { ...sandbox.oauthKey, endpoints: door.endpoints }
  const instance = await Instance.start(
    path.join(folder, 'node-red'),
    durableFlow({ ...keys, audience: `${door.endpoints.apiBase}/v2/auth/token` }, 'embedded'),
    env,
  )
  const accepted = new Set()
  const refused = {}
  let decided = 0
  let isOver = false

  /** One after the other for each lane, so that the order of acceptance is known. */
  const last = new Map(LANES.map(({ lane }) => [lane, Promise.resolve()]))
  const give = (number) => {
    const { lane, node, destination } = LANES[number % LANES.length]
    const id = `L${lane}-${String(number).padStart(6, '0')}`
    const file = pdf(1000 + Math.floor(random() * MOST_BYTES))
    const given = last.get(lane).then(async () => {
      const answer = await instance.post(`durable/${node}/${id}?lane=${destination}`, file)
      if (answer === 200) accepted.add(id)
      else refused[answer] = (refused[answer] ?? 0) + 1
    })
    last.set(lane, given)
  }

  /** Does what a person would: looks whether it has arrived, and decides. */
  const decideAll = async () => {
    const { messages } = await instance.json(`${OUTBOX}/messages?state=parked&limit=50`)
    for (const { id } of messages) {
      const { msgid } = await instance.json(`${OUTBOX}/messages/${id}`)
      const action = arrived.has(msgid) ? 'mark-delivered' : 'resend'
      await instance.send(`${OUTBOX}/messages/${id}`, { action, reason: 'looked up' })
      decided++
    }
  }
  const decide = async () => {
    for (;;) {
      await sleep(500)
      // While the store opens, there is nothing to decide.
      await decideAll().catch(() => undefined)
      if (isOver && (await depth()) === 0) return
    }
  }
  const depth = async () => {
    const { connections } = await instance.json('redox/outbox')
    const { waiting, sending, parked } = connections[0].counts
    return waiting + sending + parked
  }

  for (let isOpen = false; !isOpen; await sleep(100))
    isOpen = await depth().then(
      () => true,
      () => false,
    )
  const person = decide()
  const count = MINUTES * 60 * RATE
  const began = Date.now()
  let warm
  for (let number = 0; number < count; number++) {
    await sleep(Math.max(0, began + (number * 1000) / RATE - Date.now()))
    give(number)
    if (number === Math.floor(WARM * count)) warm = await instance.json('probe')
  }
  await Promise.all(last.values())
  isOver = true
  const atEnd = await instance.json('probe')
  await Promise.race([person, sleep(LONGEST_END_MS, undefined, { ref: false })])
  const left = await depth()
  await instance.stop()
  await sandbox.close()
  rmSync(folder, { recursive: true, force: true })

  const lost = [...accepted].filter((id) => !arrived.has(id)).length
  const doubled = [...arrived.values()].filter((times) => times > 1).length
  const disordered = [...order.values()].reduce((sum, ids) => sum + inversions(ids), 0)
  const grown = Object.keys(MORE).filter((name) => atEnd[name] > warm[name] + MORE[name])
  const show = ({ heap, descriptors, listeners }) =>
    `heap ${(heap / 1e6).toFixed(1)} MB, descriptors ${descriptors}, listeners ${listeners}`
  console.log(`${MINUTES} min, ${RATE} messages a second, ${PERCENT} % of the requests fail`)
  console.log(`after ${WARM * MINUTES} min: ${show(warm)}`)
  console.log(`after ${MINUTES} min: ${show(atEnd)}`)
  console.log(`parked for a person and decided: ${decided}; not accepted: ${JSON.stringify(refused)}`)
  console.log(
    `accepted ${accepted.size}, left ${left}, lost ${lost}, doubled ${doubled}, out of order ${disordered}`,
  )
  return lost + doubled + disordered + left + grown.length === 0 && accepted.size === count
}
