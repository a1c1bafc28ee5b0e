/** A store with a limit: a warning before it, refusals at it, and deliveries all the time. */
import assert from 'node:assert/strict'
import { durableConnections } from '../../nodes/lib/connection/durable-connection'
import type { MessageState } from '../../src/queue/types'
import { logged, type Message } from '../lib/flow'
import { distinctMessage, startDurable, hear, server, useDurable } from '../lib/durable'
import { eventually } from '../lib/eventually'
import { reply } from '../lib/scripted-server'
import { fileMessage, NOTE } from '../lib/send-nodes'

const DOWN = reply(503, { error: 'down' })
const LIMIT = 1_000_000

describe('store limit', function () {
  this.timeout(120_000)
  useDurable()

  it('refuses messages above it, delivers the others, and accepts again below it', async () => {
    const heard = hear('redox:outbox-nearly-full')
    server.script('send', ...Array.from({ length: 200 }, () => DOWN))
    const flow = await startDurable(NOTE, {
      storeLimitGb: String(LIMIT / 1e9),
      storeOrder: 'none',
      storeKeepHours: String(1 / 3600),
    })
    const outcomes: (string | undefined)[] = []
    for (let seed = 1; seed <= 6; seed++)
      outcomes.push((await flow.outcome(distinctMessage(seed))).error?.code)
    const accepted = outcomes.filter((code) => code === undefined).length
    assert.ok(accepted === 4 || accepted === 3, `accepted ${accepted}`)
    assert.deepEqual(outcomes.slice(accepted), Array(6 - accepted).fill('REDOX_STORE_FULL'))
    assert.equal((await flow.outcome(distinctMessage(7))).error?.code, 'REDOX_STORE_FULL')
    await eventually('no warning', () => logged().some((line) => /holds \d+ % of its limit/.test(line)))
    assert.equal(heard[0]!['isNearlyFull'], true)
    assert.equal(heard[0]!['storeLimit'], LIMIT)
    assert.ok(heard[0]!['storeBytes'] >= 0.8 * LIMIT)

    server.script('send')
    const { store, sender } = durableConnections.get('config')!.outbox!
    // On a busy machine, the next attempt by itself may be a minute away.
    await store.tryNow(undefined, { who: 'ann', reason: 'x', now: Date.now() })
    sender.retryNow()
    await eventually('not delivered', () => flow.emitted.length === accepted)
    await eventually(
      'not accepted',
      async () => (await flow.outcome(fileMessage())).error?.code === undefined,
    )
    await eventually('no end of the warning', () => heard.length === 2)
    assert.equal(heard[1]!['isNearlyFull'], false)
  })

  it('removes delivered messages early, the oldest first, and keeps those that wait or are parked', async () => {
    server.script('send', reply(400, { Meta: { Errors: [{ Text: 'no such patient' }] } }))
    const flow = await startDurable(NOTE, { storeLimitGb: String(LIMIT / 1e9), storeOrder: 'none' })
    await flow.outcome(distinctMessage(0))
    const { store } = durableConnections.get('config')!.outbox!
    const idsIn = async (state: MessageState) => (await store.find({ state, limit: 20 })).map(({ id }) => id)
    await eventually('not parked', async () => (await idsIn('parked')).length === 1)
    const parked = await idsIn('parked')
    server.script('send')
    const delivered: string[] = []
    for (let seed = 1; seed <= 8; seed++) {
      assert.equal((await flow.outcome(distinctMessage(seed))).error, undefined)
      await eventually(`${seed} not delivered`, () => flow.emitted.length === seed)
      delivered.push((flow.emitted.at(-1)!['redox'] as Message)['outbox'].id as string)
      await eventually('not announced', async () => (await store.counts()).sending === 0)
    }
    assert.deepEqual(await idsIn('parked'), parked)
    const kept = await idsIn('delivered')
    assert.ok(kept.length < delivered.length && kept.includes(delivered.at(-1)!), `kept ${kept.length}`)
    assert.deepEqual(kept.sort(), delivered.slice(-kept.length).sort())
    assert.ok((await store.used()) <= LIMIT)
    await eventually('not logged', () =>
      logged().some((line) =>
        /limit\. Delivered or discarded messages that were removed early: \d+;/.test(line),
      ),
    )
  })
})
