// Measures durable delivery: messages accepted per second, and the rate at which messages that wait are sent when Redox
// is reachable again, beside the rate of direct delivery of the same messages. With both stores; PostgreSQL only where
// its programs are installed.
//
//   npm run build && node bench/queue.mjs [waiting messages] [part of a name]
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { takeMemory } from '../dist/src/file/file.js'
import { SealedStore } from '../dist/src/queue/jobs.js'
import { LevelStore } from '../dist/src/queue/level/store.js'
import { PostgresStore } from '../dist/src/queue/postgres/store.js'
import { QueueSender } from '../dist/src/queue/sender.js'
import { deliverDirect } from '../dist/src/redox/direct-delivery.js'
import { Postgres, postgresBinaries } from '../dist/test/lib/postgres.js'
import { connectTo } from '../dist/test/lib/redox.js'
import { fileOf } from './file.mjs'

/** @typedef {import('../dist/src/queue/types.js').MessageOrder} MessageOrder */
/** @typedef {() => Promise<import('../dist/src/queue/types.js').DeliveryStore>} Open opens an empty store */
/** @typedef {import('../dist/src/queue/sender.js').SendOptions} SendOptions */

const KB = 1000
const MB = 1_000_000
const HOUR_MS = 3_600_000
const DESTINATIONS = 20
const SENDS_AT_ONCE = 8
const DIRECT = 2000
const account = { environment: 'Development', account: 'an account' }
const waiting = Number(process.argv[2] ?? 5000)
const only = process.argv[3] ?? ''

const folder = mkdtempSync(path.join(os.tmpdir(), 'redox-bench-'))
const server = fork(path.join(import.meta.dirname, 'server.mjs'), ['{"tls":false,"latency":0}'])
const [{ port }] = await once(server, 'message')
const { client } = connectTo(`http://127.0.0.1:${port}`, { perFiveMinutes: 0 })
const postgres = postgresBinaries() === undefined ? undefined : await Postgres.start()
let stores = 0
/** @type {[string, Open][]} */
const kinds = [
  ['embedded', () => LevelStore.open(path.join(folder, `store-${++stores}`))],
  ...(postgres ? [/** @type {[string, Open]} */ (['postgresql', () => openPostgres(postgres)])] : []),
]
try {
  for (const [name, open] of kinds) {
    for (const size of [50 * KB, MB])
      for (const atOnce of [1, 64]) await accepts(name, open, { size, atOnce })
  }
  await expectFiles(50 * KB)
  await sendDirect(DIRECT)
  const direct = await rate('direct', DIRECT, () => sendDirect(DIRECT))
  for (const [name, open] of kinds)
    for (const order of /** @type {MessageOrder[]} */ (['none', 'destination']))
      await drains(name, open, { order, direct })
} finally {
  server.kill()
  await client.close()
  await postgres?.stop()
  rmSync(folder, { recursive: true, force: true })
}

/** @param {Postgres} cluster */
function openPostgres(cluster) {
  return PostgresStore.open({ url: cluster.url(), schema: 'redox', queue: `queue ${++stores}` })
}

/** @param {number} size of the file in each message, in bytes */
async function expectFiles(size) {
  const file = path.join(folder, `${size}.pdf`)
  writeFileSync(file, fileOf(size))
  server.send({ expect: { way: 'embed', path: file } })
  await once(server, 'message')
}

/**
 * Runs a task, and prints its rate, CPU time, memory and the longest time that the event loop was blocked.
 * @param {string} name
 * @param {number} count messages of the task
 * @param {() => Promise<unknown>} task
 * @returns {Promise<number>} messages per second
 */
async function rate(name, count, task) {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  const idle = process.memoryUsage.rss()
  let peak = idle
  const memory = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 10)
  const cpu = process.cpuUsage()
  const began = performance.now()
  delay.enable()
  await task()
  const seconds = (performance.now() - began) / 1000
  delay.disable()
  clearInterval(memory)
  const { user, system } = process.cpuUsage(cpu)
  console.log(
    `${name}: ${(count / seconds).toFixed(0)}/s, ${((user + system) / 1000 / count).toFixed(2)} ms CPU, ` +
      `${((peak - idle) / 1e6).toFixed(0)} MB more, loop at most ${(delay.max / 1e6).toFixed(0)} ms`,
  )
  return count / seconds
}

/**
 * @param {SendOptions['order']} order
 * @returns {SendOptions}
 */
function optionsOf(order) {
  return { client, ...account, order, duplicates: 'warn', retryFor: HOUR_MS, keepFor: HOUR_MS }
}

/** @param {import('../dist/src/queue/types.js').DeliveryStore} store */
async function senderOf(store) {
  const ignored = { onStats: () => undefined, onUnclaimed: () => undefined }
  return new QueueSender(await SealedStore.open(store, 'a store key that is hard to guess'), ignored)
}

/**
 * @param {string} name
 * @param {Open} open
 * @param {{ size: number, atOnce: number }} load
 */
async function accepts(name, open, { size, atOnce }) {
  const title = `${name}, accept ${size / KB} KB, ${atOnce} at once`
  if (!title.includes(only)) return
  const store = await open()
  const sender = await senderOf(store)
  const file = fileOf(size)
  const count = size > 100 * KB ? 300 : 2000
  const options = optionsOf('none')
  const warmUp = count / 10
  await pump(atOnce, warmUp, (index) => sender.accept(job(index, file), options))
  await rate(title, count, () =>
    pump(atOnce, count, (index) => sender.accept(job(warmUp + index, file), options)),
  )
  await sender.stop()
  await store.close()
}

/**
 * @param {string} name
 * @param {Open} open
 * @param {{ order: MessageOrder, direct: number }} how `direct`: messages per second of direct delivery
 */
async function drains(name, open, { order, direct }) {
  const title = `${name}, ${waiting} waiting, ${order === 'none' ? 'no order' : `${DESTINATIONS} ordered destinations`}`
  if (!title.includes(only)) return
  const store = await open()
  const sender = await senderOf(store)
  const file = fileOf(50 * KB)
  const options = optionsOf(order)
  await pump(64, waiting, (index) => sender.accept(job(index, file), options))
  const perSecond = await rate(title, waiting, async () => {
    sender.setOptions(options)
    while ((await store.counts()).delivered < waiting) await sleep(20)
  })
  console.log(`  ${(perSecond / direct).toFixed(2)} × direct`)
  await sender.stop()
  await store.close()
}

/** @param {number} count */
function sendDirect(count) {
  const file = fileOf(50 * KB)
  return pump(SENDS_AT_ONCE, count, (index) =>
    deliverDirect(client, job(index, file).message, { signal: new AbortController().signal }),
  )
}

/**
 * Runs `count` tasks, `atOnce` at a time.
 * @param {number} atOnce
 * @param {number} count
 * @param {(index: number) => Promise<unknown>} task
 */
async function pump(atOnce, count, task) {
  let next = 0
  const worker = async () => {
    while (next < count) await task(next++)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker))
}

/**
 * @param {number} index
 * @param {Buffer} like file of the same size; the file of each message differs, so that the store keeps each
 * @returns {import('../dist/src/queue/jobs.js').Job}
 */
function job(index, like) {
  const bytes = Buffer.from(like)
  bytes.writeUInt32BE(index, bytes.length / 2)
  const id = `af394f14-b34a-464f-8d24-895f370a${String(1000 + (index % DESTINATIONS))}`
  const body = {
    Meta: { DataModel: 'Notes', EventType: 'New', Destinations: [{ ID: id }] },
    Patient: { Identifiers: [{ ID: `bench-${index}`, IDType: 'MR' }] },
    Note: { DocumentID: `bench-${index}`, ContentType: 'Base64 Encoded', FileContents: '' },
  }
  const { file } = takeMemory(bytes, { where: 'msg.payload', filename: 'scan.pdf' })
  return {
    ...{ owner: 'node', ...account, isText: false, msg: { _msgid: String(index) } },
    message: {
      ...{ api: 'datamodel', operation: 'Notes:New', body },
      attachments: [{ way: 'embed', path: ['Note', 'FileContents'], file }],
    },
  }
}
