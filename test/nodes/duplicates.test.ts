/**
 * Durable delivery of a document that the outbox already has. By the setting, the second message gets a warning, is
 * refused, or gets the answer of the first message.
 */
import assert from 'node:assert/strict'
import { durableConnections } from '../../nodes/lib/connection/durable-connection'
import { logged, type Flow, type Settings } from '../lib/flow'
import { reply } from '../lib/scripted-server'
import { fileMessage, NOTE, FHIR_RESULT, OTHER_DESTINATION, PDF, type SendNode } from '../lib/send-nodes'
import { eventually } from '../lib/eventually'
import { DOWN, server, startDurable, useDurable } from '../lib/durable'

const OF_MESSAGE = { destination: 'destination', destinationType: 'msg' }
const IDENTIFIED: SendNode = { ...FHIR_RESULT, node: { ...FHIR_RESULT.node, identifier: 'report-1' } }
const CANARIES = ['MRN-CANARY-4711', 'DOC-CANARY-4712', 'FILE-CANARY-4713.pdf']
const [MRN, DOCUMENT, FILE_NAME] = CANARIES

const start = (storeDuplicates: string, node: SendNode = NOTE, settings: Settings = {}): Promise<Flow> =>
  startDurable(node, { storeDuplicates }, settings)
const outbox = () => durableConnections.get('config')!.outbox!
const warnings = (): string[] => logged().filter((line) => line.includes('Duplicate:'))

describe('durable delivery of a document that the outbox already has', () => {
  useDurable()

  for (const node of [NOTE, IDENTIFIED]) {
    it(`${node.type}, by default: sends it with a warning each time`, async () => {
      const flow = await startDurable(node)
      for (let times = 1; times <= 3; times++) {
        await flow.outcome(fileMessage())
        await eventually('not delivered', () => flow.emitted.length === times)
      }
      assert.equal(server.of('send').length, 3)
      assert.equal(warnings().length, 2)
      assert.ok(warnings().every((line) => line.includes(flow.emitted[0]!.redox.outbox.id)))
    })

    it(`${node.type}, refuse: sends it once, REDOX_DUPLICATE`, async () => {
      const flow = await start('refuse', node)
      await flow.outcome(fileMessage())
      await eventually('not delivered', () => flow.emitted.length === 1)
      const { error } = await flow.outcome(fileMessage())
      assert.equal(error?.code, 'REDOX_DUPLICATE')
      const { id, acceptedAt } = flow.emitted[0]!.redox.outbox
      assert.deepEqual(flow.caught[0]!.error.cause.duplicateOf, { id, state: 'delivered', acceptedAt })
      assert.deepEqual([server.of('send').length, flow.caught[0]!.statusCode], [1, 400])
      const { waiting, sending, delivered } = await outbox().store.counts()
      assert.deepEqual([waiting, sending, delivered], [0, 0, 1])
    })

    it(`${node.type}, answer: emits the first delivery's answer, also after a restart`, async () => {
      const before = await start('answer', node)
      await before.outcome({ ...fileMessage(), topic: 'first' })
      await eventually('not delivered', () => before.emitted.length === 1)
      const after = await start('answer', node)
      const { answer, error } = await after.outcome({ ...fileMessage(), topic: 'second' })
      assert.equal(error, undefined)
      const [first] = before.emitted
      assert.deepEqual([answer?.topic, answer?.payload, answer?.statusCode], ['second', first!.payload, 200])
      const { duplicate, milliseconds, ...redox } = answer!.redox
      assert.deepEqual([duplicate, typeof milliseconds, redox], [true, 'number', first!.redox])
      assert.deepEqual([server.of('send').length, (await outbox().store.counts()).delivered], [1, 1])
    })
  }

  it('answer: refuses it if the destination has refused the first, because an answer would look like a success', async () => {
    const flow = await start('answer')
    await flow.outcome(fileMessage())
    await eventually('not delivered', () => flow.emitted.length === 1)
    const { id } = flow.emitted[0]!.redox.outbox as { id: string }
    const { store } = outbox()
    const { notes } = (await store.find({ id, limit: 1 }))[0]!
    await store.recordVerdict(id, { reason: 'REDOX_NOT_DELIVERED', notes: notes!, seen: notes! })
    const { error } = await flow.outcome(fileMessage())
    assert.equal(error?.code, 'REDOX_DUPLICATE')
    assert.match(error.message, /is delivered there \([\w-]+\), but its destination has refused it\./)
    assert.equal(server.of('send').length, 1)
  })

  for (const rule of ['refuse', 'answer'])
    it(`${rule}: refuses it while the first waits or is parked, and sends it after a person has discarded that`, async () => {
      server.script('send', DOWN)
      const flow = await start(rule)
      await flow.outcome(fileMessage())
      assert.equal((await flow.outcome(fileMessage())).error?.code, 'REDOX_DUPLICATE')
      server.script('send', reply(400, { Meta: { Errors: [{ Text: 'no' }] } }))
      await eventually('not parked', async () => (await outbox().store.counts()).parked === 1)
      const { error } = await flow.outcome(fileMessage())
      assert.equal(error?.code, 'REDOX_DUPLICATE')
      const { id, state } = error.cause.duplicateOf!
      assert.equal(state, 'parked')
      server.script('send')
      const now = outbox().store.clock.now()
      await outbox().store.applyAction(id, 'discard', { who: 'ann', reason: 'wrong', now })
      await flow.outcome(fileMessage())
      await eventually('not delivered', () => flow.emitted.length === 1)
    })

  it('is another document for another destination, with another file or another ID', async () => {
    const flow = await start('refuse', NOTE, { ...OF_MESSAGE, documentId: 'doc', documentIdType: 'msg' })
    const { destination } = NOTE.node
    const first = { ...fileMessage(), destination, doc: '1' }
    const changes = [{ destination: OTHER_DESTINATION }, { payload: Buffer.concat([PDF, PDF]) }, { doc: '2' }]
    for (const change of [{}, ...changes]) {
      const { error } = await flow.outcome({ ...first, ...change })
      assert.equal(error, undefined)
    }
    await eventually('not delivered', () => flow.emitted.length === 4)
  })

  it('is accepted again when the time is over in which delivered messages are kept', async () => {
    const flow = await startDurable(NOTE, { storeDuplicates: 'refuse', storeKeepHours: String(0.5 / 3600) })
    await flow.outcome(fileMessage())
    await eventually('not delivered', () => flow.emitted.length === 1)
    await eventually('still refused', async () => (await flow.outcome(fileMessage())).error === undefined)
    await eventually('not delivered again', () => flow.emitted.length === 2)
  })

  it('is sent again by a person from the outbox', async () => {
    const flow = await start('refuse')
    await flow.outcome(fileMessage())
    await eventually('not delivered', () => flow.emitted.length === 1)
    const now = outbox().store.clock.now()
    const { id } = flow.emitted[0]!.redox.outbox
    await outbox().store.applyAction(id, 'resend', { who: 'ann', reason: 'lost there', now })
    outbox().sender.retryNow()
    await eventually('not sent again', () => flow.emitted.length === 2)
    assert.deepEqual([server.of('send').length, flow.caught], [2, []])
  })

  for (const rule of ['warn', 'refuse', 'answer'])
    it(`leaves no patient data in log, warning or error (${rule})`, async () => {
      const settings = { documentId: DOCUMENT, patientId: MRN, filename: FILE_NAME, filenameType: 'str' }
      const flow = await start(rule, NOTE, settings)
      await flow.outcome(fileMessage())
      await eventually('not delivered', () => flow.emitted.length === 1)
      const { error } = await flow.outcome(fileMessage())
      assert.equal(error === undefined, rule !== 'refuse')
      const { message, cause } = flow.caught[0]?.error ?? {}
      const said = JSON.stringify([logged(), message, cause, String(cause)])
      for (const canary of CANARIES) assert.ok(!said.includes(canary), canary)
    })
})
