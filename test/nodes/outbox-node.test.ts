/** Node redox-outbox: messages about troubles and the audit log. */
import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { durableConnections } from '../../nodes/lib/connection/durable-connection'
import { distinctMessage, DOWN, server, startDurable, useDurable, userDir } from '../lib/durable'
import { eventually } from '../lib/eventually'
import { command, outbox, redeployOutboxNode, startWithOutboxNode } from '../lib/outbox-node'
import { told, troubles, untilTold } from '../lib/outbox-node'
import { reply } from '../lib/scripted-server'
import { DESTINATION, fileMessage } from '../lib/send-nodes'

const REFUSED = reply(400, { Meta: { Errors: [{ ID: 1, Text: 'refused' }] } })
const NAME = `datamodel ${DESTINATION}`
const UNORDERED = { storeOrder: 'none' }

/** Waits for two reports of the connection, which come once a second: the first may have begun before this call. */
async function afterReports(): Promise<void> {
  for (let reports = 0; reports < 2; reports++)
    await new Promise<void>((resolve) => {
      const stop = durableConnections.get('config')!.watch(() => {
        stop()
        resolve()
      })
    })
}

describe('redox-outbox: troubles', () => {
  useDurable()

  it('tells of parked messages once, again when more are parked, and when none is parked', async () => {
    server.script('send', REFUSED)
    const flow = await startWithOutboxNode({}, UNORDERED)
    await flow.outcome(fileMessage())
    await untilTold(flow, 'parked begun')
    await afterReports()
    assert.deepEqual(troubles(flow), ['parked begun'])
    await flow.outcome(fileMessage())
    await untilTold(flow, 'parked more')
    for (const { id } of await outbox().store.find({ state: 'parked', limit: 9 }))
      await outbox().store.applyAction(id, 'discard', { who: 'ann', reason: 'x', now: Date.now() })
    await untilTold(flow, 'parked over')
    await afterReports()
    assert.deepEqual(troubles(flow), ['parked begun', 'parked more', 'parked over'])
    const [begun, more, over] = told(flow)
    assert.deepEqual(begun, {
      ...{ event: 'parked', state: 'begun', since: begun!['since'], destinations: [NAME] },
      ...{
        counts: { waiting: 0, parked: 1 },
        oldestSeconds: 0,
        connection: { id: 'config', name: 'Hospital' },
      },
      text: 'Redox (Hospital): 1 message is parked. A person has to decide in the outbox.',
    })
    assert.deepEqual([more!['since'], over!['since']], [begun['since'], begun['since']])
    assert.equal(more!['counts'].parked, 2)
    assert.equal(over!['text'], 'Redox (Hospital): no message is parked any more.')
    assert.ok(Math.abs(Date.parse(begun['since']) - Date.now()) < 60_000)
  })

  it('tells of a message that is parked while another is decided on', async () => {
    server.script('send', REFUSED)
    const flow = await startWithOutboxNode({}, UNORDERED)
    await flow.outcome(fileMessage())
    await untilTold(flow, 'parked begun')
    const [first] = await outbox().store.find({ state: 'parked', limit: 1 })
    await outbox().store.applyAction(first!.id, 'resend', { who: 'ann', reason: 'x', now: Date.now() })
    outbox().sender.retryNow()
    await untilTold(flow, 'parked more')
  })

  it('repeats nothing after deploys, and tells once of what exists after a start', async () => {
    server.script('send', REFUSED)
    const flow = await startWithOutboxNode()
    await flow.outcome(fileMessage())
    await untilTold(flow, 'parked begun', 'stopped begun')
    for (const type of ['nodes', 'flows', 'full'] as const) {
      await redeployOutboxNode(flow, { name: `alerts ${type}` }, type)
      await eventually('the outbox is open', () => outbox() !== undefined)
      await afterReports()
      assert.deepEqual(troubles(flow).sort(), ['parked begun', 'stopped begun'], type)
    }
    const restarted = await startWithOutboxNode()
    await untilTold(restarted, 'parked begun', 'stopped begun')
    await afterReports()
    assert.equal(told(restarted).length, 2)
  })

  it('tells of late messages, with the reason, and when they are delivered', async () => {
    server.script('send', DOWN)
    const flow = await startWithOutboxNode({}, { storeLateMinutes: String(0.5 / 60) })
    await flow.outcome(fileMessage())
    await untilTold(flow, 'late begun')
    const [{ code, destinations, counts, text }] = told(flow) as [Record<string, unknown>]
    assert.deepEqual([code, destinations], ['REDOX_UNAVAILABLE', [NAME]])
    assert.deepEqual(counts, { waiting: 1, parked: 0 })
    assert.match(
      String(text),
      /^Redox \(Hospital\): the oldest message has been waiting for 0 minutes \(REDOX_/,
    )
    server.script('send')
    await untilTold(flow, 'late over')
    await afterReports()
    assert.deepEqual(troubles(flow), ['late begun', 'late over'])
  })

  it('tells of stopped destinations, and of further ones', async () => {
    server.script('send', REFUSED)
    const flow = await startWithOutboxNode({ emitParked: false })
    await flow.outcome(fileMessage())
    await untilTold(flow, 'stopped begun')
    const pause = (name: string, isPaused: boolean): Promise<void> =>
      outbox().store.pause(name, isPaused, { who: 'ann', reason: 'x', now: Date.now() })
    await pause('datamodel elsewhere', true)
    await untilTold(flow, 'stopped more')
    const [{ code }, { destinations }] = told(flow) as [Record<string, unknown>, Record<string, unknown>]
    assert.deepEqual([code, destinations], ['REDOX_REJECTED', [NAME, 'datamodel elsewhere']])
    await pause('datamodel elsewhere', false)
    await afterReports()
    assert.deepEqual(troubles(flow), ['stopped begun', 'stopped more'])
    const [parked] = await outbox().store.find({ state: 'parked', limit: 1 })
    await outbox().store.applyAction(parked!.id, 'discard', { who: 'ann', reason: 'x', now: Date.now() })
    await untilTold(flow, 'stopped over')
  })

  it('tells of a store that cannot be opened, and of nothing else meanwhile', async () => {
    const folder = path.join(userDir, 'redox-store')
    await writeFile(folder, 'no folder')
    const flow = await startWithOutboxNode()
    await untilTold(flow, 'store begun')
    const [begun] = told(flow)
    assert.equal(begun!['code'], 'REDOX_STORE_UNAVAILABLE')
    assert.deepEqual(Object.keys(begun!).sort(), [
      ...['code', 'connection', 'destinations', 'event', 'since', 'state', 'text'],
    ])
    await rm(folder)
    await untilTold(flow, 'store over')
    assert.deepEqual(troubles(flow), ['store begun', 'store over'])
  })

  it('tells of a full store with all else, not of its end at a deploy, and when a message finds room again', async () => {
    server.script('send', DOWN)
    const settings = { ...UNORDERED, storeLimitGb: '0.001' }
    const flow = await startWithOutboxNode({}, settings)
    const outcome = async (seed: number) => (await flow.outcome(distinctMessage(seed))).error?.code
    let seed = 1
    while ((await outcome(seed)) === undefined) seed++
    await untilTold(flow, 'store begun')
    const [begun] = told(flow)
    assert.deepEqual(
      [begun!['code'], begun!['counts']],
      ['REDOX_STORE_FULL', { waiting: seed - 1, parked: 0 }],
    )
    assert.match(
      String(begun!['text']),
      /^Redox \(Hospital\): the store is full \(REDOX_STORE_FULL\)\. .+ accepted messages are delivered\.$/,
    )
    await flow.redeploy('full', {})
    await eventually('the outbox is open', () => outbox() !== undefined)
    await afterReports()
    assert.deepEqual(troubles(flow), ['store begun'])

    server.script('send')
    // On a busy machine, the next attempt by itself may be a minute away.
    await outbox().store.tryNow(undefined, { who: 'ann', reason: 'x', now: Date.now() })
    outbox().sender.retryNow()
    // Some of the delivered ones may have been deleted already, to make room for the message that found none.
    await eventually('all are delivered', async () => {
      const { waiting, sending, parked } = await outbox().store.counts()
      return waiting + sending + parked === 0
    })
    await eventually('it is accepted', async () => (await outcome(seed)) === undefined)
    await untilTold(flow, 'store over')
    assert.deepEqual(troubles(flow), ['store begun', 'store over'])
  })

  for (const delivery of ['durable', 'direct'])
    it(`tells of a token that Redox does not issue (${delivery})`, async () => {
      server.script('token', reply(503, { error: 'down' }))
      const flow = await startWithOutboxNode({}, { delivery })
      await flow.outcome(fileMessage())
      await untilTold(flow, 'token begun')
      await flow.redeploy('full', {})
      server.script('token')
      await flow.outcome(fileMessage())
      await untilTold(flow, 'token over')
      assert.deepEqual(troubles(flow), ['token begun', 'token over'])
      const [{ since: _since, ...begun }] = told(flow) as [Record<string, unknown>]
      assert.deepEqual(begun, {
        ...{ event: 'token', state: 'begun', destinations: [], code: 'REDOX_UNAVAILABLE' },
        connection: { id: 'config', name: 'Hospital' },
        text: 'Redox (Hospital): Redox issues no access token (REDOX_UNAVAILABLE). Nothing can be sent.',
      })
    })

  it('emits nothing whose box is not ticked', async () => {
    server.script('send', REFUSED)
    const flow = await startWithOutboxNode({ emitParked: false, emitStopped: false })
    await flow.outcome(fileMessage())
    await eventually('it is parked', async () => (await outbox().store.counts()).parked === 1)
    await afterReports()
    assert.deepEqual(told(flow), [])
  })

  it('emits each line of the audit log once, also over a deploy, and none of before the start', async () => {
    await startDurable()
    await eventually('the outbox is open', () => outbox() !== undefined)
    const note = (subject: string): Promise<void> =>
      outbox().store.recordAccess(subject, 'look', { who: 'ann', reason: 'asked', now: Date.now() })
    await note('before')
    const flow = await startWithOutboxNode({ emitAudit: true })
    await eventually('the outbox is open', () => outbox() !== undefined)
    await afterReports()
    await note('one')
    const lines = (): unknown[] => told(flow).map(({ subject }) => subject as unknown)
    await eventually('one', () => lines().length === 1)
    await redeployOutboxNode(flow, { name: 'new' }, 'full')
    await eventually('the outbox is open', () => outbox() !== undefined)
    await note('two')
    await eventually('two', () => lines().length >= 2)
    await command(flow, { action: 'try-now', reason: 'it is back' })
    await eventually('three', () => lines().length >= 3)
    await afterReports()
    assert.deepEqual(lines(), ['one', 'two', '*'])
    const { at, ...last } = told(flow).at(-1)!
    assert.deepEqual(last, {
      ...{ event: 'audit', who: 'node new', action: 'try-now', subject: '*', reason: 'it is back' },
      connection: { id: 'config', name: 'Hospital' },
    })
    assert.ok(Number.isFinite(Date.parse(String(at))))
  })
})
