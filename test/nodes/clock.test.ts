/**
 * Changes of the clock while Node-RED is running, or between two runs: no message is blocked, and none is reported as
 * late too early.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import helper from 'node-red-node-test-helper'
import { Client } from 'pg'
import { durableConnections } from '../../nodes/lib/connection/durable-connection'
import { setClock } from '../lib/clock'
import { useNodeRed, type Flow, type Message, type Settings } from '../lib/flow'
import { Postgres, postgresBinaries } from '../lib/postgres'
import { reply, ScriptedServer } from '../lib/scripted-server'
import { fileMessage, NOTE, startTo } from '../lib/send-nodes'
import { eventually } from '../lib/eventually'
import { NO_POSTGRES, skip } from '../lib/skip'

const KEY = 'a store key that is hard to guess'
/** HTTP response 503 that requests a wait of 2 s, during which the test can change the clock. */
const DOWN = reply(503, { error: 'down' }, { 'retry-after': '2' })

let server: ScriptedServer
let userDir: string
let postgres: Postgres | undefined

/** Returns true if the message has had an attempt and waits for the end of its destination's back-off. */
async function rests(): Promise<boolean> {
  const [message] = await durableConnections.get('config')!.outbox!.store.find({ limit: 1 })
  // For a moment during a change of its state, the store does not list the message.
  return message?.state === 'waiting' && message.attempts > 0
}

const events = (helper as unknown as { _events: NodeJS.EventEmitter })._events

describe('change of the clock', function () {
  this.timeout(60_000)
  before(async () => {
    if (postgresBinaries() !== undefined || process.env['CI'] === 'true') postgres = await Postgres.start()
  })
  after(() => postgres?.stop())
  beforeEach(async () => {
    server = await ScriptedServer.start()
    userDir = await mkdtemp(path.join(tmpdir(), 'redox-clock-'))
    helper.settings({ userDir })
  })
  // Registered before the hook that stops the server: messages of running flows would have an unknown outcome.
  useNodeRed()
  afterEach(async () => {
    setClock(0)
    await server.close()
    helper.settings({})
    await rm(userDir, { recursive: true, force: true })
  })

  /** Creates a database for each test, so that leftovers of a failed test cannot affect the next one. */
  async function emptyDatabase(): Promise<string> {
    const name = `d${randomUUID().replaceAll('-', '')}`
    const client = new Client({ connectionString: postgres!.url() })
    await client.connect()
    await client.query(`CREATE DATABASE ${name}`)
    await client.end()
    return postgres!.url(name)
  }

  const startDurable = (store: string, storeUrl: string, config: Settings = {}): Promise<Flow> => {
    const secrets = { storeKey: KEY, ...(store === 'postgresql' && { storeUrl }) }
    return startTo(server, NOTE, {}, { delivery: 'durable', store, ...config }, { secrets })
  }

  for (const store of ['embedded', 'postgresql'])
    for (const hours of [-5, 100]) {
      const title = `${store}, by ${hours} hours`

      it(`${title}: a message in backoff is delivered, and reported as late at the right time`, async function () {
        if (store === 'postgresql' && postgres === undefined) skip(this, NO_POSTGRES)
        const storeUrl = store === 'postgresql' ? await emptyDatabase() : ''
        const late: Message[] = []
        const listen = (state: Message): void => void late.push(state)
        events.on('redox:outbox-late', listen)
        try {
          server.script('send', DOWN)
          const flow = await startDurable(store, storeUrl, { storeLateMinutes: String(4 / 60) })
          await flow.outcome(fileMessage())
          await eventually('not tried', rests)
          const tried = server.of('send').length
          setClock(hours)
          await eventually('not tried again', () => server.of('send').length > tried)
          await eventually('not told as late', () => late.length === 1)
          // If the age of the message were measured with the changed clock, it would be hours.
          assert.ok(late[0]!['oldestSeconds'] < 60, `${late[0]!['oldestSeconds']}`)
          server.script('send')
          await eventually('not delivered', () => flow.emitted.length === 1)
          assert.deepEqual(flow.caught, [])
          const { acceptedAt } = flow.emitted[0]!.redox.outbox as { acceptedAt: string }
          // With PostgreSQL, the acceptance time comes from the clock of the database server.
          if (store === 'embedded') assert.ok(Date.parse(acceptedAt) <= Date.now())
        } finally {
          events.off('redox:outbox-late', listen)
        }
      })
    }

  for (const store of ['embedded', 'postgresql'])
    for (const storeOrder of ['destination', 'none'])
      it(`${store}, order ${storeOrder}: back by 5 hours between two runs, waiting messages are delivered`, async function () {
        if (store === 'postgresql' && postgres === undefined) skip(this, NO_POSTGRES)
        const storeUrl = store === 'postgresql' ? await emptyDatabase() : ''
        server.script('send', DOWN)
        const before = await startDurable(store, storeUrl, { storeOrder })
        await before.outcome(fileMessage())
        await before.outcome(fileMessage())
        await eventually('not tried', rests)
        await helper.unload()
        setClock(-5)
        server.script('send')
        const after = await startDurable(store, storeUrl, { storeOrder })
        await eventually('not delivered', () => after.emitted.length === 2)
        assert.deepEqual(after.caught, [])
      })

  it('direct: a pause that Redox requested keeps its length', async () => {
    server.script('send', reply(429, {}, { 'retry-after': '1' }), reply(200, {}))
    const flow = await startTo(server, NOTE)
    const { error } = await flow.outcome(fileMessage())
    assert.equal(error?.code, 'REDOX_RATE_LIMITED')
    setClock(-5)
    assert.equal((await flow.outcome(fileMessage())).error, undefined)
  })
})
