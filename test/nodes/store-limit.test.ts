/** A store with a limit: a warning before it, refusals at it, and deliveries all the time. */
import assert from 'node:assert/strict'
import { logged } from '../lib/flow'
import { startDurable, hear, server, useDurable } from '../lib/durable'
import { eventually } from '../lib/eventually'
import { reply } from '../lib/scripted-server'
import { fileMessage, NOTE } from '../lib/send-nodes'
import { sizedFile } from '../lib/fixtures'

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
    const message = (seed: number) => {
      const file = sizedFile(200_000)
      file.writeUInt32BE(seed, file.length - 100)
      return fileMessage(file)
    }
    const outcomes: (string | undefined)[] = []
    for (let seed = 1; seed <= 6; seed++) outcomes.push((await flow.outcome(message(seed))).error?.code)
    const accepted = outcomes.filter((code) => code === undefined).length
    assert.ok(accepted === 4 || accepted === 3, `accepted ${accepted}`)
    assert.deepEqual(outcomes.slice(accepted), Array(6 - accepted).fill('REDOX_STORE_FULL'))
    assert.equal((await flow.outcome({ ...message(7) })).error?.code, 'REDOX_STORE_FULL')
    await eventually('no warning', () => logged().some((line) => /holds \d+ % of its limit/.test(line)))
    assert.equal(heard[0]!['isNearlyFull'], true)
    assert.equal(heard[0]!['storeLimit'], LIMIT)
    assert.ok(heard[0]!['storeBytes'] >= 0.8 * LIMIT)

    server.script('send')
    await eventually('not delivered', () => flow.emitted.length === accepted)
    await eventually(
      'not accepted',
      async () => (await flow.outcome(fileMessage())).error?.code === undefined,
    )
    await eventually('no end of the warning', () => heard.length === 2)
    assert.equal(heard[1]!['isNearlyFull'], false)
  })
})
