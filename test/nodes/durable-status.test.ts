/** Durable delivery: status of the nodes, and events of the Node-RED runtime. */
import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { metricsText } from '../../nodes/lib/monitoring/metrics'
import { durableConnections } from '../../nodes/lib/connection/durable-connection'
import { type Flow, type Message, type Settings } from '../lib/flow'
import { reply, silence } from '../lib/scripted-server'
import { DESTINATION, fileMessage, NOTE, OTHER_DESTINATION, startTo } from '../lib/send-nodes'
import { eventually } from '../lib/eventually'
import { DOWN, hear, KEY, server, startDurable, useDurable, userDir } from '../lib/durable'

describe('durable delivery', () => {
  useDurable()
  describe('status of a send node', () => {
    const REFUSED = reply(400, { Meta: { Errors: [{ ID: 1, Text: 'refused' }] } })
    const to = (id: string): Settings => ({ destination: id, destinationType: 'str' })
    const other = (id: string, destination: string): Settings & { id: string; type: string } => ({
      ...{
        ...NOTE.node,
        ...to(destination),
        id,
        type: NOTE.type,
        z: 'tab',
        connection: 'config',
        wires: [[]],
      },
    })
    let statuses: Message[]
    beforeEach(() => void (statuses = hear('node-status')))
    const shown = (id: string): Message => statuses.filter((one) => one.id === id).at(-1)?.status ?? {}
    const says = (id: string, wanted: RegExp): Promise<void> =>
      eventually(`${id} does not say ${wanted}`, () => wanted.test(shown(id).text ?? ''))

    it('is yellow while a message waits, at each node with the destination, and after a restart', async () => {
      server.script('send', DOWN)
      const others = [other('same', DESTINATION), other('elsewhere', OTHER_DESTINATION)]
      const start = (): Promise<Flow> =>
        startTo(server, NOTE, {}, { delivery: 'durable' }, { secrets: { storeKey: KEY }, others })
      await (await start()).outcome(fileMessage())
      for (const restart of [() => undefined, start]) {
        if (restart === start) statuses.length = 0
        await restart()
        for (const id of ['node', 'same']) {
          await says(id, /^Redox unavailable · waiting 1( · stored |$)/)
          assert.equal(shown(id).fill, 'yellow')
        }
        assert.equal(shown('elsewhere').text, undefined)
      }
    })

    it('is red while a parked message stops the destination, and green after a decision', async () => {
      server.script('send', REFUSED)
      const flow = await startDurable()
      await flow.outcome(fileMessage())
      await says('node', /parked 1/)
      server.script('send')
      await flow.outcome(fileMessage())
      await says('node', /^parked 1 · stopped · waiting 1 · stored /)
      assert.equal(shown('node').fill, 'red')
      const { store, sender } = durableConnections.get('config')!.outbox!
      const [parked] = await store.find({ state: 'parked', limit: 1 })
      await store.applyAction(parked!.id, 'discard', { who: 'ann', reason: 'not needed', now: Date.now() })
      sender.retryNow()
      await eventually('still red', () => shown('node').fill === 'green')
    })

    it('is red with the reason while the store cannot be used', async () => {
      const folder = path.join(userDir, 'redox-store')
      await writeFile(folder, 'no folder')
      await startDurable()
      await says('node', /^Store /)
      assert.equal(shown('node').fill, 'red')
      await rm(folder)
      await eventually('still red', () => shown('node').fill !== 'red')
    })
  })

  it('reports a late message, in the status and by an event', async () => {
    server.script('send', silence)
    const heard = hear('redox:outbox-late')
    const flow = await startDurable(NOTE, { storeLateMinutes: String(0.5 / 60) })
    const began = performance.now()
    await flow.outcome(fileMessage())
    await eventually('no event', () => heard.length === 1)
    // The send node shows the status of its connection, which the Status node of the flow receives.
    await eventually('no status', () => flow.statuses.some((text) => text.startsWith('waiting 1')))
    const { connection, waiting, isLate, oldestSeconds } = heard[0]!
    assert.deepEqual([connection, waiting, isLate], ['config', 1, true])
    const longest = (performance.now() - began) / 1000
    assert.ok(oldestSeconds <= longest, `${oldestSeconds} s after ${longest} s`)
  })

  it('comes with an event when another message is parked, and with none after a deploy', async () => {
    server.script('send', reply(400, {}))
    const heard = hear('redox:outbox-parked')
    const flow = await startDurable(NOTE, { storeOrder: 'none' })
    await flow.outcome(fileMessage())
    await eventually('no event', () => heard.length === 1)
    const shownBefore = flow.statuses.length
    await flow.redeploy('full', {})
    // After the deploy, the test waits until the node shows the numbers of messages again.
    await eventually('no status', () =>
      flow.statuses.slice(shownBefore).some((text) => text.includes('parked 1')),
    )
    assert.equal(heard.length, 1)
    await flow.outcome(fileMessage())
    await eventually('no event', () => heard.length === 2)
    assert.deepEqual(
      heard.map(({ connection, parked }) => [connection, parked]),
      [
        ['config', 1],
        ['config', 2],
      ],
    )
  })

  it('tells of a message that its destination refused later: status, event and metric, until a person decides', async () => {
    const heard = hear('redox:outbox-refused-later')
    const flow = await startDurable()
    await flow.outcome(fileMessage())
    await eventually('not delivered', () => flow.emitted.length === 1)
    const { id } = flow.emitted[0]!.redox.outbox as { id: string }
    const shows = (text: string): Promise<void> =>
      eventually(`no status with ${text}`, () => flow.statuses.at(-1)!.includes(text))
    const storeOf = () => durableConnections.get('config')!.outbox!.store
    const { notes } = (await storeOf().find({ id, limit: 1 }))[0]!
    await storeOf().recordVerdict(id, { reason: 'REDOX_NOT_DELIVERED', notes: notes!, seen: notes! })
    await eventually('no event', () => heard.length === 1)
    await shows('refused by destination 1')
    const { connection, refusedLater, parked } = heard[0]!
    assert.deepEqual([connection, refusedLater, parked], ['config', 1, 0])
    assert.match(await metricsText(), /^redox_outbox_refused_later_messages\{connection="config"\} 1$/m)
    const shownBefore = flow.statuses.length
    await flow.redeploy('full', {})
    await eventually('no status after the deploy', () =>
      flow.statuses.slice(shownBefore).some((text) => text.includes('refused by destination 1')),
    )
    assert.equal(heard.length, 1)
    await flow.outcome(fileMessage())
    await eventually('not delivered', () => flow.emitted.length === 2)
    const { outbox, logIds } = flow.emitted[1]!.redox as { outbox: { id: string }; logIds: string[] }
    const logs = logIds.map((logId) => ({ id: logId, log: { status: 'failed' } as const }))
    const by = { who: 'ann', reason: 'they have it', now: storeOf().clock.now() }
    // The number stays the same, because one is added at the moment in which a person decides about the other.
    await Promise.all([
      storeOf().applyAction(id, 'mark-delivered', by),
      durableConnections.get('config')!.outbox!.recordVerdict(outbox.id, logs),
    ])
    await eventually('no event about the second one', () => heard.length > 1)
    await storeOf().applyAction(outbox.id, 'mark-delivered', by)
    await eventually('the status still tells of it', () => !flow.statuses.at(-1)!.includes('refused'))
    assert.match(await metricsText(), /^redox_outbox_refused_later_messages\{connection="config"\} 0$/m)
  })
})
