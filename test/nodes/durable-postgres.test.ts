/** Durable delivery through the nodes, with a PostgreSQL store. */
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import helper from 'node-red-node-test-helper'
import { Client } from 'pg'
import { logged, useNodeRed, type Flow, type Settings } from '../lib/flow'
import { Postgres, postgresBinaries } from '../lib/postgres'
import { reply, ScriptedServer } from '../lib/scripted-server'
import { fileMessage, NOTE, startTo } from '../lib/send-nodes'
import { eventually } from '../lib/eventually'
import { NO_POSTGRES, skip } from '../lib/skip'

const KEY = 'a store key that is hard to guess'
const DOWN = reply(503, { error: 'down' })

let postgres: Postgres
let server: ScriptedServer

const startDurable = (config: Settings = {}, storeUrl = postgres.url()): Promise<Flow> => {
  const secrets = { storeKey: KEY, storeUrl }
  return startTo(server, NOTE, {}, { delivery: 'durable', store: 'postgresql', ...config }, { secrets })
}

async function ask(database: Postgres, text: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: database.url() })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(text)).rows
  } finally {
    await client.end()
  }
}

/** Returns true if the replica of a server has replayed all that the server has written. */
async function hasAll(primary: Postgres): Promise<boolean> {
  const rows = await ask(primary, 'SELECT FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()')
  return rows.length === 1
}

describe('durable delivery with PostgreSQL', () => {
  before(async function () {
    // On CI, a missing PostgreSQL is an error, so that no release is untested.
    if (postgresBinaries() === undefined && process.env['CI'] !== 'true') skip(this, NO_POSTGRES)
    postgres = await Postgres.start()
  })
  after(() => (postgres as Postgres | undefined)?.stop())
  beforeEach(async () => void (server = await ScriptedServer.start()))
  afterEach(() => server.close())
  useNodeRed()

  for (const storeOrder of ['destination', 'none'])
    it(`continues after an outage of Redox (order: ${storeOrder})`, async () => {
      server.script('send', DOWN)
      const flow = await startDurable({ storeOrder, sendsAtOnce: '2' })
      for (let index = 0; index < 6; index++) await flow.outcome(fileMessage())
      await server.until('send', 2)
      server.script('send')
      await eventually('not delivered', () => flow.emitted.length === 6)
      assert.deepEqual(flow.caught, [])
    })

  it('does not start a message again in a deploy if its acceptance is uncertain', async () => {
    const flow = await startDurable()
    await postgres.suspend()
    try {
      const failed = flow.fail(fileMessage(), 'REDOX_STORE_UNAVAILABLE')
      // The pause is long enough for the message to reach the database. No event shows this, because the database does
      // not respond.
      await pause(500)
      await flow.redeploy('full', {})
      await failed
    } finally {
      await postgres.resume()
    }
    const { error } = await flow.outcome({ ...fileMessage(), topic: 'later' })
    assert.equal(error, undefined)
    await eventually('the later one is delivered', () => flow.emitted.length === 1)
    assert.equal(server.of('send').length, 1)
    assert.equal(flow.emitted[0]!.topic, 'later')
    await helper.clearFlows()
  })

  it('goes on at a promoted replica that its URL names, with the messages that wait', async function () {
    this.timeout(60_000)
    const primary = await Postgres.start()
    const replica = await primary.replica()
    try {
      server.script('send', DOWN)
      const both = primary.url().replace(`${primary.port}/`, `${primary.port},127.0.0.1:${replica.port}/`)
      const flow = await startDurable({ storeSchema: 'ward' }, both)
      for (let index = 0; index < 6; index++) await flow.outcome({ ...fileMessage(), topic: `${index}` })
      await server.until('send', 2)
      await eventually('the replica has everything', () => hasAll(primary))
      await primary.crash()
      const { error } = await flow.outcome(fileMessage())
      assert.equal(error?.code, 'REDOX_STORE_UNAVAILABLE')
      assert.match(error.message, /2 hosts, and none of them.*cannot be reached.*cannot be written/)
      await replica.promote()
      server.script('send')
      await eventually('not delivered', () => flow.emitted.length === 6)
      assert.deepEqual(
        flow.emitted.map(({ topic }) => topic),
        ['0', '1', '2', '3', '4', '5'],
      )
      const later = await flow.outcome({ ...fileMessage(), topic: 'later' })
      assert.equal(later.error, undefined)
      await eventually('the later one is delivered', () => flow.emitted.length === 7)
      const named = logged().filter((line) => line.includes('PostgreSQL has asynchronous replicas'))
      assert.equal(named.length, 1, 'once for each opening')
      await helper.clearFlows()
    } finally {
      await replica.stop()
      await primary.stop()
    }
  })

  it('uses the schema of its setting, and refuses a name that is none', async () => {
    const flow = await startDurable({ storeSchema: ' lab_7 ' })
    await flow.outcome(fileMessage())
    await eventually('delivered', () => flow.emitted.length === 1)
    const rows = await ask(postgres, `SELECT FROM lab_7.message WHERE state = 'delivered'`)
    assert.equal(rows.length, 1)
    for (const storeSchema of ['Lab', 'pg_lab', '${NO_SUCH_VARIABLE}']) {
      const { error } = await (await startDurable({ storeSchema })).outcome(fileMessage())
      assert.deepEqual([error?.code, error?.cause.field], ['REDOX_CONFIGURATION', 'storeSchema'])
      assert.match(error!.message, /^Schema is not/)
    }
    await helper.clearFlows()
  })

  it('reports a lost database, accepts nothing meanwhile, and continues when the database is back', async () => {
    server.script('send', DOWN)
    const flow = await startDurable()
    await flow.outcome(fileMessage())
    await postgres.suspend()
    const { error } = await flow.outcome(fileMessage())
    assert.equal(error?.code, 'REDOX_STORE_UNAVAILABLE')
    await eventually('no status', () => flow.statuses.some((text) => text.startsWith('Store unavailable')))
    await eventually('no log', () => logged().some((line) => line.includes('REDOX_STORE_UNAVAILABLE')))
    server.script('send')
    await postgres.resume()
    await eventually('not delivered', () => flow.emitted.length === 1)
    await helper.clearFlows()
  })
})
