/** Durable delivery through the nodes, with a PostgreSQL store. */
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import helper from 'node-red-node-test-helper'
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

const startDurable = (config: Settings = {}): Promise<Flow> => {
  const secrets = { storeKey: KEY, storeUrl: postgres.url() }
  return startTo(server, NOTE, {}, { delivery: 'durable', store: 'postgresql', ...config }, { secrets })
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
