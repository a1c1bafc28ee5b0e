/** Durable delivery in order for each destination and patient, with the embedded store. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { durableConnections } from '../../nodes/lib/connection/durable-connection'
import type { DestinationState } from '../../src/queue/types'
import type { Flow, Message } from '../lib/flow'
import { reply } from '../lib/scripted-server'
import { fileMessage, FHIR_RESULT, NOTE, type SendNode } from '../lib/send-nodes'
import { eventually } from '../lib/eventually'
import { DOWN, filesUnder, server, startDurable, topics, useDurable, userDir } from '../lib/durable'

const REFUSED = reply(400, { Meta: { Errors: [{ Text: 'no' }] }, issue: [{ severity: 'error' }] })
const CANARY = 'MRN-CANARY-4711'

const start = (node: SendNode = NOTE, storeOrder = 'patient'): Promise<Flow> =>
  startDurable(node, { storeOrder }, { patientId: 'mrn', patientIdType: 'msg' })

/** Sends messages to the node; the first letter of a topic is the patient. */
async function accept(flow: Flow, ...all: string[]): Promise<void> {
  for (const topic of all) {
    const { error } = await flow.outcome({ ...fileMessage(), mrn: `${CANARY}-${topic[0]}`, topic })
    assert.equal(error, undefined)
  }
}

async function destination(): Promise<DestinationState> {
  const [state] = (await durableConnections.get('config')?.outbox?.store.destinations()) ?? []
  assert.ok(state)
  return state
}

const ofPatient = (letter: string, list: Message[]): unknown[] =>
  topics(list).filter((topic) => String(topic).startsWith(letter))

describe('durable delivery in order for each destination and patient', () => {
  useDurable()

  for (const node of [NOTE, FHIR_RESULT])
    it(`${node.type}: a refused document holds its patient's messages, and no others`, async () => {
      server.script('send', REFUSED)
      const flow = await start(node)
      await accept(flow, 'p1')
      await eventually('not parked', () => flow.caught.length === 1)
      server.script('send')
      await accept(flow, 'p2', 'q1', 'q2', 'p3', 'r1')
      await eventually('not delivered', () => flow.emitted.length === 3)
      assert.deepEqual([ofPatient('q', flow.emitted), ofPatient('p', flow.emitted)], [['q1', 'q2'], []])
      const { open, parked, blockedPatients, blockedBy } = await destination()
      assert.deepEqual([open, parked, blockedPatients, blockedBy], [2, 1, 1, undefined])
      await flow.showsStatus((text) => text.includes('parked'))

      const { outbox } = durableConnections.get('config')!
      const { id } = flow.caught[0]!.error.cause.outbox
      const now = outbox!.store.clock.now()
      await outbox!.store.applyAction(id, 'discard', { who: 'ann', reason: 'wrong', now })
      outbox!.sender.retryNow()
      await eventually('the patient still waits', () => flow.emitted.length === 5)
      assert.deepEqual(ofPatient('p', flow.emitted), ['p2', 'p3'])
    })

  it('sends messages of several patients at once, and those of one patient one after the other', async () => {
    server.gather = 3
    const flow = await start()
    await accept(flow, 'p1', 'q1', 'p2', 'r1', 'p3')
    await eventually('not delivered', () => flow.emitted.length === 5)
    assert.equal(server.busiest, 3)
    assert.deepEqual(ofPatient('p', flow.emitted), ['p1', 'p2', 'p3'])
  })

  it('keeps the order of each patient over an outage and a restart', async () => {
    server.script('send', DOWN)
    const before = await start()
    await accept(before, 'p1', 'q1', 'p2', 'p3', 'q2', 'r1', 'p4')
    await server.until('send', 3)
    const after = await start()
    server.script('send', DOWN, DOWN, reply(200, { Meta: {} }))
    await eventually('not delivered', () => after.emitted.length === 7)
    assert.deepEqual(ofPatient('p', after.emitted), ['p1', 'p2', 'p3', 'p4'])
    assert.deepEqual(ofPatient('q', after.emitted), ['q1', 'q2'])
  })

  for (const [from, to] of [
    ['destination', 'patient'],
    ['patient', 'destination'],
  ] as const)
    it(`keeps the order when the setting changes from ${from} to ${to} while messages wait`, async () => {
      server.script('send', DOWN)
      const before = await start(NOTE, from)
      await accept(before, 'p1', 'q1', 'p2')
      const after = await start(NOTE, to)
      await accept(after, 'p3', 'q2', 'r1')
      server.script('send')
      await eventually('not delivered', () => after.emitted.length === 6)
      const order = topics(after.emitted)
      assert.deepEqual(order.slice(0, 3).sort(), ['p1', 'p2', 'q1'])
      assert.deepEqual(ofPatient('p', after.emitted), ['p1', 'p2', 'p3'])
      assert.deepEqual(ofPatient('q', after.emitted), ['q1', 'q2'])
    })

  it('leaves no identifier of the patient in the store', async () => {
    server.script('send', DOWN)
    await accept(await start(), 'p1', 'p2')
    const files = await filesUnder(userDir)
    assert.ok(files.some((file) => file.endsWith('.log')))
    for (const file of files) assert.ok(!(await readFile(file)).includes(CANARY), file)
  })
})
