/** A clock that is set while Node-RED runs, or between two runs: nothing stands still, and nothing is taken for late. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import helper from 'node-red-node-test-helper'
import { setClock } from '../lib/clock'
import { useNodeRed, type Flow, type Message, type Settings } from '../lib/flow'
import { Postgres, postgresBinaries } from '../lib/postgres'
import { reply, ScriptedServer } from '../lib/scripted-server'
import { fileMessage, NOTE, startTo } from '../lib/send-nodes'

const KEY = 'a store key that is hard to guess'
const DOWN = reply(503, { error: 'down' })

let server: ScriptedServer
let userDir: string
let postgres: Postgres | undefined

async function eventually(what: string, isTrue: () => boolean): Promise<void> {
  const until = performance.now() + 20_000
  while (!isTrue()) {
    assert.ok(performance.now() < until, what)
    await pause(20)
  }
}

const events = (helper as unknown as { _events: NodeJS.EventEmitter })._events

describe('the clock is set', function () {
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
  // After the flows have stopped, see below: while the clock is wrong, nothing else is tested.
  afterEach(async () => {
    setClock(0)
    await server.close()
    helper.settings({})
    await rm(userDir, { recursive: true, force: true })
  })
  useNodeRed()

  const startDurable = (store: string, config: Settings = {}): Promise<Flow> => {
    const secrets = { storeKey: KEY, ...(store === 'postgresql' && { storeUrl: postgres!.url() }) }
    return startTo(server, NOTE, {}, { delivery: 'durable', store, ...config }, { secrets })
  }

  for (const store of ['embedded', 'postgresql'])
    for (const hours of [-5, 100]) {
      const title = `${store}, by ${hours} hours`

      it(`${title}: what waits and rests is delivered, and told as late when it is`, async function () {
        if (store === 'postgresql' && postgres === undefined) this.skip()
        const late: Message[] = []
        const listen = (state: Message): void => void late.push(state)
        events.on('redox:outbox-late', listen)
        try {
          server.script('send', DOWN)
          const flow = await startDurable(store, { storeLateMinutes: String(4 / 60) })
          await flow.outcome(fileMessage())
          await server.until('send', 2)
          setClock(hours)
          const tried = server.of('send').length
          await server.until('send', tried + 1)
          assert.equal(late.length, 0, 'late at once')
          await eventually('not told as late', () => late.length === 1)
          assert.ok(late[0]!['oldestSeconds'] < 60, `${late[0]!['oldestSeconds']}`)
          server.script('send')
          await eventually('not delivered', () => flow.emitted.length === 1)
          assert.deepEqual(flow.caught, [])
          const { acceptedAt } = flow.emitted[0]!.redox.outbox as { acceptedAt: string }
          // Out of a database it is as the clock there tells it.
          if (store === 'embedded') assert.ok(Date.parse(acceptedAt) <= Date.now())
        } finally {
          events.off('redox:outbox-late', listen)
        }
      })
    }

  for (const store of ['embedded', 'postgresql'])
    for (const storeOrder of ['destination', 'none'])
      it(`${store}, order ${storeOrder}: back by 5 hours between two runs, what waits goes on`, async function () {
        if (store === 'postgresql' && postgres === undefined) this.skip()
        server.script('send', DOWN)
        const before = await startDurable(store, { storeOrder })
        await before.outcome(fileMessage())
        await before.outcome(fileMessage())
        await server.until('send', 2)
        await helper.unload()
        setClock(-5)
        server.script('send')
        const after = await startDurable(store, { storeOrder })
        await eventually('not delivered', () => after.emitted.length === 2)
        assert.deepEqual(after.caught, [])
      })

  it('direct: a pause that Redox asked for lasts no longer', async () => {
    server.script('send', reply(429, {}, { 'retry-after': '1' }), reply(200, {}))
    const flow = await startTo(server, NOTE)
    const { error } = await flow.outcome(fileMessage())
    assert.equal(error?.code, 'REDOX_RATE_LIMITED')
    setClock(-5)
    assert.equal((await flow.outcome(fileMessage())).error, undefined)
  })
})
