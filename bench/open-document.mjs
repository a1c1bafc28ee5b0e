// Measures what it takes to show a document of 30 MB out of the outbox: memory, and the longest time that the event loop
// was blocked, for one reader, for eight at once, and for eight that read slowly. The readers are a process of their own
// and compare every byte. With both stores; PostgreSQL only where its programs are installed.
//
//   npm run build && node --expose-gc bench/open-document.mjs
import { fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, get } from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { fileResponse } from '../dist/plugins/redox-outbox-tab/files.js'
import { takeMemory } from '../dist/src/file/file.js'
import { SealedStore } from '../dist/src/queue/jobs.js'
import { LevelStore } from '../dist/src/queue/level/store.js'
import { PostgresStore } from '../dist/src/queue/postgres/store.js'
import { Postgres, postgresBinaries } from '../dist/test/lib/postgres.js'
import { fileOf } from './file.mjs'

/** @typedef {{ url: string, readers: number, pauseMs: number }} Reading */

const SIZE = 30_000_000
const HOUR_MS = 3_600_000
const file = fileOf(SIZE)
const expected = sha256(file)
/** @type {Omit<Reading, 'url'>[]} */
const CASES = [
  { readers: 1, pauseMs: 0 },
  { readers: 8, pauseMs: 0 },
  { readers: 8, pauseMs: 10 },
]

const reading = process.argv[2]
if (reading === undefined) await parent()
else await readAll(JSON.parse(reading))

async function parent() {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'redox-bench-'))
  const postgres = postgresBinaries() === undefined ? undefined : await Postgres.start()
  try {
    await measure('embedded', await LevelStore.open(path.join(folder, 'store')))
    if (postgres)
      await measure(
        'postgresql',
        await PostgresStore.open({ url: postgres.url(), schema: 'redox', queue: 'a queue' }),
      )
  } finally {
    await postgres?.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * @param {string} name
 * @param {import('../dist/src/queue/types.js').DeliveryStore} store
 */
async function measure(name, store) {
  const sealedStore = await SealedStore.open(store, 'a store key that is hard to guess')
  const id = await accept(sealedStore)
  const [message] = await store.find({ id, limit: 1 })
  const server = createServer(async (_request, response) => {
    const outbox = /** @type {import('../dist/nodes/lib/queue/outbox.js').Outbox} */ ({ sealedStore })
    const answer = await fileResponse(outbox, /** @type {NonNullable<typeof message>} */ (message), 0)
    await answer.send(response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  for (const one of CASES) await measureReading(name, { url: `http://127.0.0.1:${port}/`, ...one })
  server.closeAllConnections()
  server.close()
  await store.close()
}

/** @param {SealedStore} sealedStore */
async function accept(sealedStore) {
  const { file: source } = takeMemory(Buffer.from(file), { where: 'msg.payload', filename: 'scan.pdf' })
  const body = { Meta: { DataModel: 'Notes', EventType: 'New' }, Note: { FileContents: '' } }
  const content = await sealedStore.storeFiles({
    ...{ owner: 'node', environment: 'Development', account: 'an account', isText: false },
    msg: { _msgid: '1' },
    message: {
      ...{ api: 'datamodel', operation: 'Notes:New', body },
      attachments: [{ way: 'upload', path: ['Note', 'FileContents'], file: source }],
    },
  })
  const now = Date.now()
  /** @type {Parameters<SealedStore['sealMessage']>[1]} */
  const terms = { id: 'a message', order: 'none', acceptedAt: now, deadline: now + HOUR_MS }
  await sealedStore.store.accept(await sealedStore.sealMessage(content, terms))
  return terms.id
}

/**
 * @param {string} name
 * @param {Reading} reading
 */
async function measureReading(name, reading) {
  void globalThis.gc?.()
  const idle = process.memoryUsage.rss()
  let peak = idle
  const memory = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 5)
  const delay = monitorEventLoopDelay({ resolution: 1 })
  const began = performance.now()
  delay.enable()
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(reading)])
  const [code] = await once(child, 'exit')
  delay.disable()
  clearInterval(memory)
  const seconds = (performance.now() - began) / 1000
  if (code !== 0) throw new Error(`${name}: the readers ended with ${code}`)
  const { readers, pauseMs } = reading
  console.log(
    `${name}, ${readers} at once${pauseMs > 0 ? ', slowly' : ''}: ${seconds.toFixed(1)} s, ` +
      `${((peak - idle) / 1e6).toFixed(0)} MB more, loop at most ${(delay.max / 1e6).toFixed(0)} ms`,
  )
}

/** @param {Reading} reading */
async function readAll({ url, readers, pauseMs }) {
  const hashes = await Promise.all(Array.from({ length: readers }, () => read(url, pauseMs)))
  if (hashes.some((hash) => hash !== expected)) throw new Error('The bytes differ')
}

/**
 * @param {string} url
 * @param {number} pauseMs pause after each piece
 * @returns {Promise<string>} sha256 of what was read
 */
async function read(url, pauseMs) {
  const request = get(url)
  const [response] = await once(request, 'response')
  const hash = createHash('sha256')
  for await (const piece of response) {
    hash.update(piece)
    if (pauseMs > 0) await sleep(pauseMs)
  }
  return hash.digest('hex')
}

/** @param {Buffer} bytes */
function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex')
}
