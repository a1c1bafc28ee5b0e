/**
 * Queue sender during a store outage that is longer than its leases. A test with a complete Node-RED cannot create this
 * case.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { SealedStore, type Job } from '../../src/queue/jobs'
import { QueueSender, type JobResult } from '../../src/queue/sender'
import { PostgresStore } from '../../src/queue/postgres/store'
import { takeMemory } from '../../src/file/file'
import { sizedFile } from '../lib/fixtures'
import type { ConnectionConfig } from '../../nodes/lib/connection/connection'
import { connectTo } from '../lib/redox'
import { ScriptedServer } from '../lib/scripted-server'
import { POSTGRES, server as postgres } from './stores'
import { eventually } from '../lib/eventually'
import { NO_POSTGRES, skip } from '../lib/skip'

const LEASE_MS = 900
const COUNT = 7

const { file } = takeMemory(sizedFile(1000), { where: 'x', filename: 'a.pdf' })
const parcel = (destination: string): Job => ({
  ...{ owner: 'node', environment: 'Development', isText: false, msg: {} },
  message: {
    ...{ api: 'datamodel', operation: 'Notes:New' },
    body: { Meta: { DataModel: 'Notes', EventType: 'New', Destinations: [{ ID: destination }] }, Note: {} },
    attachments: [{ way: 'upload', path: ['Note', 'FileContents'], file }],
  },
})

describe('queue sender', function () {
  this.timeout(60_000)
  let server: ScriptedServer
  const closing: (() => Promise<void>)[] = []

  before(async function () {
    if (POSTGRES.missing() !== undefined) skip(this, NO_POSTGRES)
    await POSTGRES.start()
  })
  after(() => POSTGRES.stop())
  beforeEach(async () => void (server = await ScriptedServer.start()))
  afterEach(async () => {
    await Promise.all(closing.splice(0).map((close) => close()))
    await server.close()
  })

  async function start(
    queue: string,
    config: ConnectionConfig = {},
  ): Promise<{
    told: JobResult[]
    accept: (destination: string) => Promise<unknown>
    counts: PostgresStore['counts']
  }> {
    const store = await PostgresStore.open({ url: postgres().url(), schema: 'redox', queue })
    const { client } = connectTo(server.url, config)
    const told: JobResult[] = []
    const courier = new QueueSender(
      await SealedStore.open(store, 'a store key that cannot be guessed'),
      { onStats: () => undefined, onUnclaimed: () => undefined },
      LEASE_MS,
    )
    courier.attach('node', async (ended) => void told.push(ended))
    const hour = 3_600_000
    const delivering = {
      ...{ client, environment: 'Development', account: 'an account', order: 'destination' as const },
      ...{ duplicates: 'warn' as const },
      ...{ retryFor: hour, keepFor: hour },
    }
    courier.setOptions(delivering)
    const accept = (destination: string): Promise<unknown> => courier.accept(parcel(destination), delivering)
    closing.push(async () => {
      await courier.stop()
      await Promise.all([store.close(), client.close()])
    })
    return { told, accept, counts: () => store.counts() }
  }

  it('does not count claimed messages, which wait for a slot, as waiting memory', async () => {
    const { told, accept } = await start(randomUUID(), { sendsAtOnce: '1', waitingMb: '0.000001' })
    await Promise.all(['a', 'b', 'c'].map((destination) => accept(destination)))
    await eventually('not all are delivered', () => told.length === 3)
    assert.deepEqual(
      told.map(({ attempts }) => attempts),
      [1, 1, 1],
    )
  })

  it('sends nothing twice after a store outage longer than its leases', async () => {
    const { told, accept, counts } = await start(randomUUID())
    let late = 0
    let isAway = (): void => undefined
    const away = new Promise<void>((resolve) => (isAway = resolve))
    // The uploads end at different times during the outage. The store cannot record them, so the sender retries the
    // writes for the messages at different times.
    server.script('upload', async (response) => {
      const wait = 140 * late++
      await away
      await pause(wait)
      response.writeHead(201, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ URI: `${server.url}/files/1` }))
    })
    // This request is still in flight when the sender can write to the store again.
    server.script('send', async (response) => {
      await pause(1200)
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end('{"Meta":{"Logs":[{"ID":"log-1"}]}}')
    })
    for (let index = 0; index < COUNT; index++) await accept(`destination ${index}`)
    await server.until('upload', COUNT)
    await postgres().suspend()
    isAway()
    // The outage lasts longer than a lease.
    await pause(2 * LEASE_MS)
    await postgres().resume()
    await eventually('not told', () => told.length >= COUNT)
    await eventually('nothing is left to send', async () => {
      const { waiting, sending } = await counts()
      return waiting + sending === 0
    })
    await server.untilIdle()
    assert.equal(server.of('send').length, COUNT)
    assert.equal(told.filter(({ outcome }) => 'delivery' in outcome).length, COUNT)
  })
})
