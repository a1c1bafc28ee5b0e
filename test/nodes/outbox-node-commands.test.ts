/** Node redox-outbox: commands to the outbox. */
import assert from 'node:assert/strict'
import helper from 'node-red-node-test-helper'
import type { AuditLine } from '../../src/queue/audit'
import { DOWN, server, useDurable } from '../lib/durable'
import { eventually } from '../lib/eventually'
import { assertNoPatient, startFlow, type Flow, type Message, type Settings } from '../lib/flow'
import { command, outbox, outboxNode, outboxNodeId } from '../lib/outbox-node'
import { redeployOutboxNode, startWithOutboxNode } from '../lib/outbox-node'
import { reply, reset } from '../lib/scripted-server'
import { DESTINATION, fileMessage, NOTE } from '../lib/send-nodes'
import { accept } from '../queue/messages'

const REFUSED = reply(400, { Meta: { Errors: [{ ID: 1, Text: 'refused' }] } })
const NAME = `datamodel ${DESTINATION}`
const ALL = { mayDiscard: true, mayMarkDelivered: true, mayDecideUnknown: true }
const UNKNOWN = 'REDOX_OUTCOME_UNKNOWN'
const reason = 'a test'

const stateCount = async (state: 'waiting' | 'parked' | 'delivered' | 'discarded'): Promise<number> =>
  (await outbox().store.counts())[state]
const until = (state: 'waiting' | 'parked' | 'delivered', count: number): Promise<void> =>
  eventually(`${count} ${state}`, async () => (await stateCount(state)) === count)
const opened = (): Promise<void> => eventually('the outbox is open', () => outbox() !== undefined)
const audit = (): Promise<AuditLine[]> => outbox().store.audit({ skip: 0, limit: 2000 })

/** Parks a refused message and one whose outcome is unknown. Returns their ids. */
async function twoParked(flow: Flow): Promise<[refused: string, unknown: string]> {
  server.script('send', REFUSED)
  await flow.outcome(fileMessage())
  await until('parked', 1)
  server.script('send', reset)
  await flow.outcome(fileMessage())
  await until('parked', 2)
  server.script('send')
  const ids = (await outbox().store.find({ state: 'parked', limit: 9 })).map(({ id }) => id)
  return [ids[0]!, ids[1]!]
}
const UNORDERED = { storeOrder: 'none' }

describe('redox-outbox: commands', () => {
  useDurable()

  it('refuses malformed commands with the usage, and repeats nothing of them', async () => {
    const flow = await startWithOutboxNode(ALL)
    await opened()
    const filter = { state: 'parked' }
    for (const payload of [
      ...[undefined, null, 'resend', 7, [], {}],
      ...[
        { action: 'pause', reason },
        { action: 'pause', destination: NAME },
        { action: 'look', reason },
      ],
      { action: 'pause', destination: NAME, reason: 'two\nlines' },
      { action: 'pause', destination: NAME, reason: 'x'.repeat(201) },
      { action: 'try-now', reason, destination: 7 },
      ...[{}, { state: undefined }, { state: 'delivered' }, { state: 'waiting' }].map((one) => ({
        ...{ action: 'resend', reason, filter: one },
      })),
      { action: 'resend', reason, filter: { ...filter, patient: 'Quuxworth' } },
      { action: 'resend', reason, filter, hours: 1 },
      { action: 'resend', reason, filter, otherAccount: true },
      { action: 'discard', reason, filter: { state: 'sending' } },
      { action: 'extend', reason, filter },
      { action: 'discard', reason, filter: { since: 'yesterday' } },
    ]) {
      const { code, message } = await command(flow, payload)
      assert.equal(code, 'REDOX_BAD_INPUT', JSON.stringify(payload))
      assert.match(
        String(message),
        /^Command is not valid\. Use \{ "action".*on one line\. Nothing was changed\.$/,
      )
      assertNoPatient(String(message), 'the error')
    }
    assert.deepEqual(await audit(), [])
  })

  it('pauses and resumes a destination, and refuses an unknown one', async () => {
    server.script('send', DOWN)
    const flow = await startWithOutboxNode()
    await flow.outcome(fileMessage())
    const pause = { action: 'pause', destination: NAME, reason }
    assert.deepEqual(await command(flow, pause), { action: 'pause', destination: NAME })
    const isPaused = async (): Promise<boolean> => (await outbox().store.destinations())[0]!.paused
    assert.equal(await isPaused(), true)
    assert.deepEqual(await command(flow, { ...pause, action: 'resume' }), {
      ...{ action: 'resume', destination: NAME },
    })
    assert.equal(await isPaused(), false)
    const { code } = await command(flow, { ...pause, destination: 'datamodel elsewhere' })
    assert.equal(code, 'REDOX_BAD_INPUT')
    assert.deepEqual(
      (await audit()).map(({ who, action, subject }) => [who, action, subject]),
      ['pause', 'resume'].map((action) => ['node alerts', action, NAME]),
    )
  })

  it('tries now: ends the back-off of a destination', async () => {
    // Retry-After makes the back-off longer than any test.
    server.script('send', reply(503, {}, { 'retry-after': '3600' }))
    const flow = await startWithOutboxNode()
    await flow.outcome(fileMessage())
    await eventually('it was tried', async () => {
      const [message] = await outbox().store.find({ limit: 1 })
      return message?.state === 'waiting' && message.attempts === 1
    })
    server.script('send')
    const tried = { action: 'try-now', destination: 'datamodel elsewhere', reason }
    assert.deepEqual(await command(flow, tried), {
      ...{ action: tried.action, destination: tried.destination },
      due: 0,
    })
    assert.equal(await stateCount('delivered'), 0)
    assert.deepEqual(await command(flow, { action: 'try-now' }), { action: 'try-now', due: 1 })
    await until('delivered', 1)
    assert.deepEqual(
      (await audit()).map((line) => line.reason),
      [reason, ''],
    )
  })

  it('sends again what has certainly not arrived, and nothing else', async () => {
    const flow = await startWithOutboxNode({}, UNORDERED)
    const [refused, unknown] = await twoParked(flow)
    const resend = { action: 'resend', filter: { state: 'parked' }, reason }
    assert.deepEqual(await command(flow, resend), {
      ...{ action: 'resend', decided: 1, refused: [{ id: unknown, code: UNKNOWN }] },
    })
    await until('delivered', 1)
    const [line] = await audit()
    assert.deepEqual([line!.who, line!.action, line!.subject], ['node alerts', 'resend', refused])
    for (const filter of [{ code: UNKNOWN }, { code: UNKNOWN, state: 'parked' }]) {
      const { code, message } = await command(flow, { ...resend, filter })
      assert.equal(code, 'REDOX_BAD_INPUT')
      assert.match(String(message), /^Action is not allowed\..* "Unknown outcomes" /)
    }
    assert.equal(await stateCount('parked'), 1)
  })

  it('decides about unknown outcomes only if the box is ticked', async () => {
    const flow = await startWithOutboxNode({ mayDecideUnknown: true }, UNORDERED)
    const [refused, unknown] = await twoParked(flow)
    const resend = { action: 'resend', filter: { state: 'parked', search: unknown }, reason }
    assert.deepEqual(await command(flow, resend), {
      ...{ action: 'resend', decided: 0, refused: [{ id: unknown, code: UNKNOWN }] },
    })
    assert.deepEqual(await command(flow, { ...resend, filter: { code: UNKNOWN } }), {
      ...{ action: 'resend', decided: 1, refused: [] },
    })
    await until('delivered', 1)
    const left = await outbox().store.find({ state: 'parked', limit: 9 })
    assert.deepEqual(
      left.map(({ id }) => id),
      [refused],
    )
  })

  it('discards and marks as delivered only if the boxes are ticked', async () => {
    const flow = await startWithOutboxNode({}, UNORDERED)
    const [refused, unknown] = await twoParked(flow)
    const filter = { state: 'parked' }
    for (const [action, box] of [
      ['discard', 'Discard'],
      ['mark-delivered', 'Mark as delivered'],
    ]) {
      const { code, message } = await command(flow, { action, filter, reason })
      assert.deepEqual([code, String(message).includes(`"${box}"`)], ['REDOX_BAD_INPUT', true])
    }
    assert.equal(await stateCount('parked'), 2)
    const change = (settings: Settings): Promise<void> => redeployOutboxNode(flow, settings)
    await change({ mayDiscard: true })
    assert.deepEqual(await command(flow, { action: 'discard', filter, reason }), {
      ...{ action: 'discard', decided: 1, refused: [{ id: unknown, code: UNKNOWN }] },
    })
    await change({ mayMarkDelivered: true, mayDecideUnknown: true })
    assert.deepEqual(await command(flow, { action: 'mark-delivered', filter, reason }), {
      ...{ action: 'mark-delivered', decided: 1, refused: [] },
    })
    assert.deepEqual(
      (await audit()).map(({ action, subject }) => [action, subject]),
      [
        ['discard', refused],
        ['mark-delivered', unknown],
      ],
    )
  })

  it('decides about at most 1000 messages at once, and continues after them', async function () {
    this.timeout(180_000)
    const flow = await startWithOutboxNode({ mayDiscard: true })
    await opened()
    await outbox().store.pause('datamodel d', true, { who: 'ann', reason, now: Date.now() })
    await accept(outbox().sealedStore, 1001)
    const discard = { action: 'discard', filter: { destination: 'datamodel d' }, reason }
    const { next, ...first } = await command(flow, discard)
    assert.deepEqual(first, { action: 'discard', decided: 1000, refused: [] })
    assert.deepEqual(await command(flow, { ...discard, after: next }), {
      ...{ action: 'discard', decided: 1, refused: [] },
    })
    assert.deepEqual([await stateCount('waiting'), await stateCount('discarded')], [0, 1001])
  })

  it('runs commands in the order of their arrival', async () => {
    server.script('send', DOWN)
    const flow = await startWithOutboxNode()
    await flow.outcome(fileMessage())
    const actions = ['pause', 'resume', 'pause', 'resume']
    await Promise.all(actions.map((action) => command(flow, { action, destination: NAME, reason })))
    assert.deepEqual(
      (await audit()).map(({ action }) => action),
      actions,
    )
  })

  it('names the node by its id if it has no name, and keeps line breaks out of the audit log', async () => {
    const flow = await startWithOutboxNode({ name: '' })
    await opened()
    await command(flow, { action: 'try-now', reason })
    await redeployOutboxNode(flow, { name: 'two\nlines' })
    await command(flow, { action: 'try-now', reason })
    assert.deepEqual(
      (await audit()).map(({ who }) => who),
      [`node ${outboxNodeId()}`, 'node two lines'],
    )
  })

  it('says that a connection with direct delivery, or none, has no outbox', async () => {
    for (const connection of ['config', '']) {
      const others = [outboxNode({ connection })]
      const flow = await startFlow({ type: NOTE.type, node: NOTE.node, config: {}, others })
      const { code, message } = await command(flow, { action: 'try-now', reason })
      assert.equal(code, 'REDOX_CONFIGURATION')
      assert.match(String(message), /^Connection has no outbox/)
    }
  })

  it('keeps the other properties of the message', async () => {
    const flow = await startWithOutboxNode()
    await opened()
    helper.getNode(outboxNodeId()).receive({ payload: { action: 'try-now', reason }, mine: { deep: 1 } })
    const isMine = ({ mine }: Message): boolean => (mine as { deep?: number } | undefined)?.deep === 1
    await eventually('the result', () => flow.emitted.some(isMine))
    assert.deepEqual(flow.emitted.find(isMine)!['payload'], { action: 'try-now', due: 0 })
  })
})
