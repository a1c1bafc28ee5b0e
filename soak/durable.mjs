// Durable delivery: real Node-REDs that are killed and deployed at random points while they accept messages and Redox
// is down half of the time. Whatever was accepted has to be delivered, once and in order, or be parked for a person.
//
//   npm run soak -- --durable                     the embedded store, 10 000 messages, 2 GB, 100 kills, 20 deploys
//   npm run soak -- --durable --store postgresql  three Node-REDs on one PostgreSQL
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startSandbox } from '../dist/src/sandbox/index.js'
import { durableFlow, LANES } from './durable-flow.mjs'
import { Instance } from './instance.mjs'
import { inversions, messagesOf, mulberry32, pdf } from './messages.mjs'

const HUGE = 30_000_000
const OUTBOX = 'redox/outbox/connection'
const LONGEST_END_MS = 600_000
/** Longer than an instance that was killed holds what it was about to tell. */
const LONGEST_TELLING_MS = 60_000

const { values } = parseArgs({
  options: {
    durable: { type: 'boolean' },
    store: { type: 'string', default: 'embedded' },
    messages: { type: 'string', default: '10000' },
    megabytes: { type: 'string', default: '2000' },
    kills: { type: 'string', default: '100' },
    deploys: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
  },
})
const { store } = values
const [MESSAGES, megabytes, KILLS, DEPLOYS, seed] = ['messages', 'megabytes', 'kills', 'deploys', 'seed'].map(
  (name) => Number(values[name]),
)
process.exitCode = (await soak()) ? 0 : 1

async function soak() {
  const began = Date.now()
  const random = mulberry32(seed)
  const between = (from, to) => from + random() * (to - from)
  const sandbox = await startSandbox({ maxKeptMessages: 5 })
  const line = await startLine(new URL(sandbox.url).port)
  const folder = mkdtempSync(path.join(os.tmpdir(), 'redox-soak-durable-'))
  const emitted = path.join(folder, 'emitted.txt')
  writeFileSync(emitted, '')
  const database = store === 'postgresql' ? await startDatabase() : undefined
  const flow = durableFlow(through(sandbox, line.port), store)
  const env = {
    SOAK_EMITTED: emitted,
    REDOX_STORE_KEY: randomBytes(32).toString('base64'),
    REDOX_STORE_URL: database?.url ?? '',
  }
  const count = store === 'postgresql' ? 3 : 1
  const instances = await Promise.all(
    Array.from({ length: count }, (_, index) => Instance.start(path.join(folder, String(index)), flow, env)),
  )

  const arrived = new Map()
  /** by lane, in the order in which they came first */
  const order = new Map(LANES.map(({ lane }) => [lane, []]))
  sandbox.onReceived(({ request }) => {
    const [id, lane] = /\bL(\d+)-\d{6}\b/.exec(JSON.stringify(request.body)) ?? []
    arrived.set(id, (arrived.get(id) ?? 0) + 1)
    if (arrived.get(id) === 1) order.get(Number(lane)).push(id)
  })

  const accepted = new Set()
  const unanswered = new Set()
  const refused = {}
  const marked = new Set()
  let killed = 0
  let deployed = 0
  let decided = 0
  let downMs = 0
  let given = 0
  let isOver = false

  const alive = () => instances.filter(({ isUp }) => isUp)
  const plan = messagesOf({ count: MESSAGES, bytes: megabytes * 1e6 * 0.6, large: 0.05, nodes: ['x'], seed })
  const huge = Math.floor((megabytes * 1e6 * 0.4) / HUGE)
  for (let index = 0; index < huge; index++) plan[Math.floor(((index + 0.5) * MESSAGES) / huge)].bytes = HUGE

  /** One message after the other for each lane, so that the order of acceptance is known. */
  const feed = async ({ lane, node, destination }) => {
    let tries = 0
    while (given < MESSAGES) {
      // Spread over all kills.
      while (given > (MESSAGES * (killed + 1)) / (KILLS + 1)) await sleep(20)
      // Others took the last ones meanwhile.
      if (given >= MESSAGES) return
      const { bytes } = plan[given++]
      const file = pdf(bytes)
      for (let answer; answer !== 200;) {
        const up = alive()
        const instance = up[Math.floor(random() * up.length)]
        if (!instance) {
          await sleep(20)
          continue
        }
        const id = `L${lane}-${String(++tries).padStart(6, '0')}`
        answer = await instance.post(`durable/${node}/${id}?lane=${destination}`, file)
        if (answer === 200) accepted.add(id)
        // It may have been accepted just before the process was killed.
        else if (answer === undefined) unanswered.add(id)
        else refused[answer] = (refused[answer] ?? 0) + 1
        if (answer !== 200) await sleep(100)
      }
    }
  }

  const kill = async () => {
    while (killed < KILLS) {
      await sleep(between(500, count === 1 ? 9000 : 6000))
      const up = alive()
      const victim = up[Math.floor(random() * up.length)]
      if (!victim) continue
      killed++
      await victim.kill()
      void victim.start()
    }
  }

  const deploy = async () => {
    while (deployed < DEPLOYS) {
      while (deployed / DEPLOYS > killed / KILLS) await sleep(50)
      const [one] = alive()
      if (one && (await one.deploy(deployed).catch(() => false))) deployed++
      await sleep(200)
    }
  }

  const failRedox = async () => {
    while (!isOver) {
      const long = between(1000, 6000)
      await sleep(long)
      if (isOver) return
      line.cut()
      downMs += long
      await sleep(long)
      line.mend()
    }
  }

  /** Does what a person would: looks whether it has arrived, and decides. */
  const decide = async () => {
    for (;;) {
      await sleep(250)
      const [one] = alive()
      if (one) await decideAll(one).catch(() => undefined)
      if (isOver && one && (await depth(one)) === 0) return
    }
  }
  const decideAll = async (instance) => {
    const { messages } = await instance.json(`${OUTBOX}/messages?state=parked&limit=50`)
    for (const { id } of messages) {
      const { msgid } = await instance.json(`${OUTBOX}/messages/${id}`)
      const action = arrived.has(msgid) ? 'mark-delivered' : 'resend'
      // Before it is sent: an instance that is killed just then may have done it without an answer.
      if (action === 'mark-delivered') marked.add(msgid)
      await instance.send(`${OUTBOX}/messages/${id}`, { action, reason: 'looked up' })
      decided++
    }
  }
  /** Undefined while its store is not open. */
  const countsOf = async (instance) => {
    const { connections } = await instance.json('redox/outbox').catch(() => ({ connections: [] }))
    return connections[0]?.counts
  }
  const depth = async (instance) => {
    const counts = await countsOf(instance)
    return counts && counts.waiting + counts.sending + counts.parked
  }

  /** Waits for those that come late. */
  const answersOf = async () => {
    for (const until = Date.now() + LONGEST_TELLING_MS; ; await sleep(500)) {
      const told = readFileSync(emitted, 'utf8').split('\n').filter(Boolean)
      const heard = new Set([...told, ...marked])
      const silent = [...accepted].filter((id) => !heard.has(id)).length
      if (silent === 0 || Date.now() > until) return { told, silent }
    }
  }

  const person = decide()
  const failing = failRedox()
  await Promise.all([...LANES.map(feed), kill(), deploy()])
  isOver = true
  const feedingSeconds = seconds(began)
  line.mend()
  await Promise.race([person, sleep(LONGEST_END_MS, undefined, { ref: false })])
  await failing

  const [one] = alive()
  // Undefined, and so no success, when it did not come to an end.
  const parked = (await countsOf(one))?.parked
  const delivered = [...accepted].filter((id) => arrived.has(id)).length
  const doubled = [...arrived.values()].filter((times) => times > 1).length
  const lost = accepted.size - delivered - parked
  const disordered = [...order.values()].reduce((sum, ids) => sum + inversions(ids), 0)
  const { told, silent } = await answersOf()
  const maybe = [...unanswered].filter((id) => arrived.has(id)).length
  await Promise.all(instances.map((instance) => instance.stop()))
  await sandbox.close()
  line.close()
  await database?.stop()
  rmSync(folder, { recursive: true, force: true })

  console.log(
    `${store}, ${count} Node-RED, ${seconds(began)} s, ${megabytes} MB, ${killed} kills, ${deployed} deploys`,
  )
  console.log(
    `Redox was down for ${Math.round(downMs / 1000)} of ${feedingSeconds} s of accepting; refused at acceptance: ${JSON.stringify(refused)}`,
  )
  console.log(`without an answer when killed: ${unanswered.size}, of these delivered ${maybe}`)
  console.log(
    `parked for a person and decided: ${decided}; answers emitted ${told.length}, missing ${silent}`,
  )
  console.log(`out of order: ${disordered}`)
  console.log(
    `accepted ${accepted.size}, delivered ${delivered}, parked ${parked}, lost ${lost}, doubled ${doubled}`,
  )
  return (
    lost === 0 && doubled === 0 && disordered === 0 && silent === 0 && killed >= KILLS && deployed >= DEPLOYS
  )
}

function seconds(since) {
  return Math.round((Date.now() - since) / 1000)
}

/** The wire to Redox, which can be cut: then no server listens, and whatever was on its way is torn apart. */
async function startLine(to) {
  const sockets = new Set()
  const track = (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
  }
  const server = createServer((socket) => {
    const other = connect(to, '127.0.0.1')
    track(socket)
    track(other)
    socket.pipe(other).on('close', () => socket.destroy())
    other.pipe(socket).on('close', () => other.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  return {
    port,
    cut() {
      server.close()
      sockets.forEach((socket) => socket.destroy())
    },
    mend() {
      if (!server.listening) server.listen(port, '127.0.0.1')
    },
    close() {
      server.close()
      sockets.forEach((socket) => socket.destroy())
    },
  }
}

/** The sandbox's endpoints and key, by way of another port. */
function through({ endpoints, oauthKey }, port) {
  const rewired = Object.entries(endpoints).map(([name, url]) => {
    const way = new URL(url)
    way.port = String(port)
    return [name, way.href.replace(/\/$/, '')]
  })
  return {
    ...oauthKey,
    endpoints: Object.fromEntries(rewired),
    audience: `${endpoints.apiBase}/v2/auth/token`,
  }
}

async function startDatabase() {
  const { Postgres } = await import('../dist/test/lib/postgres.js')
  const postgres = await Postgres.start()
  return { url: postgres.url(), stop: () => postgres.stop() }
}
