// Measures how fast messages to one destination are delivered durably with each order, with a server that answers after
// a fixed time.
//
//   npm run build && node bench/order.mjs [messages] [answer time in ms] [patients]
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SealedStore } from '../dist/src/queue/jobs.js'
import { LevelStore } from '../dist/src/queue/level/store.js'
import { QueueSender } from '../dist/src/queue/sender.js'
import { connectTo } from '../dist/test/lib/redox.js'
import { portOf } from '../scripts/lib/process.mjs'

/** @typedef {import('../dist/src/queue/types.js').MessageOrder} MessageOrder */

const HOUR_MS = 3_600_000
const DESTINATION = 'af394f14-b34a-464f-8d24-895f370af4c9'
const [count = 200, answerMs = 100, patients = 50] = process.argv.slice(2).map(Number)

const server = createServer((request, response) => {
  const isToken = request.url?.includes('/auth/') === true
  const answer = isToken ? { access_token: 'token', expires_in: 300 } : { Meta: { Logs: [{ ID: 'log-1' }] } }
  request.resume().on('end', async () => {
    if (!isToken) await sleep(answerMs)
    response.setHeader('content-type', 'application/json').end(JSON.stringify(answer))
  })
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
for (const order of /** @type {MessageOrder[]} */ (['destination', 'patient', 'none'])) await measure(order)
server.close()
server.closeAllConnections()

/** @param {MessageOrder} order */
async function measure(order) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'redox-bench-'))
  const store = await LevelStore.open(folder)
  const { client } = connectTo(`http://127.0.0.1:${portOf(server)}`)
  const ignored = { onStats: () => undefined, onUnclaimed: () => undefined }
  const sender = new QueueSender(await SealedStore.open(store, 'a store key that is hard to guess'), ignored)
  const account = { environment: 'Development', account: 'an account' }
  /** @type {import('../dist/src/queue/sender.js').SendOptions} */
  const options = { client, ...account, order, duplicates: 'warn', retryFor: HOUR_MS, keepFor: HOUR_MS }
  for (let index = 0; index < count; index++) await sender.accept(job(index, account), options)
  const began = performance.now()
  sender.setOptions(options)
  while ((await store.counts()).delivered < count) await sleep(20)
  const perSecond = (count / (performance.now() - began)) * 1000
  console.log(`${order}: ${count} messages of ${patients} patients, ${perSecond.toFixed(1)} per second`)
  await sender.stop()
  await Promise.all([store.close(), client.close()])
  rmSync(folder, { recursive: true, force: true })
}

/**
 * @param {number} index
 * @param {{ environment: string, account: string }} account
 * @returns {import('../dist/src/queue/jobs.js').Job}
 */
function job(index, account) {
  const body = {
    Meta: { DataModel: 'Notes', EventType: 'New', Destinations: [{ ID: DESTINATION }] },
    Patient: { Identifiers: [{ ID: String(index % patients), IDType: 'MR' }] },
    Note: { DocumentID: String(index), ContentType: 'Plain Text', FileContents: `text ${index}` },
  }
  return {
    ...{ owner: 'node', ...account, isText: true, msg: {} },
    message: { api: 'datamodel', operation: 'Notes:New', body, attachments: [] },
  }
}
