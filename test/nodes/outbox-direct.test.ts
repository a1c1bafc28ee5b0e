/** Messages of direct delivery in the admin API of the outbox, with a real Node-RED and a server that fails. */
import assert from 'node:assert/strict'
import { eventually } from '../lib/eventually'
import { startNodeRed, type NodeRed } from '../lib/node-red'
import { DESTINATION, FILE_NAME, flowTo, OUTBOX_PATIENT, OutboxClient, type Json } from '../lib/outbox'
import { heldBack, reply, ScriptedServer, silence } from '../lib/scripted-server'

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736'

describe('direct messages in the outbox', function () {
  this.timeout(60_000)
  let nodeRed: NodeRed
  let redox: ScriptedServer
  let client: OutboxClient
  before(async () => {
    nodeRed = await startNodeRed()
    redox = await ScriptedServer.start()
    client = new OutboxClient(nodeRed.url)
  })
  after(async () => {
    await nodeRed?.stop()
    await redox?.close()
  })

  const summaries = async (): Promise<Json[]> =>
    ((await (await client.ask('redox/outbox')).json()) as Json)['direct'] as Json[]
  const untilCounts = (counts: object): Promise<void> =>
    eventually(JSON.stringify(counts), async () => {
      const [summary] = await summaries()
      return JSON.stringify(summary?.['counts']) === JSON.stringify(counts)
    })
  const facts = ({ state, destination, attempts, reason, owner }: Json): unknown[] => [
    ...[state, destination, attempts, reason, owner],
  ]

  it('are listed while they wait and are sent, and for an hour if the outcome is unknown', async () => {
    await client.deployFlows(flowTo(redox.url, { delivery: 'direct', sendsAtOnce: '1' }))
    redox.script('send', reply(200, {}))
    await client.press({ documentId: 'doc-0' })
    await eventually('it was sent', async () => redox.of('send').length === 1)
    await eventually('nothing is listed', async () => (await summaries()).length === 0)
    assert.deepEqual(await client.get('direct'), { total: 0, messages: [] })

    redox.script('send', reply(500, {}, { 'redox-trace-id': TRACE_ID }), silence)
    await client.press({ documentId: 'doc-1' })
    await untilCounts({ waiting: 0, sending: 0, unknown: 1 })
    await client.press({ documentId: 'doc-2' })
    await untilCounts({ waiting: 0, sending: 1, unknown: 1 })
    await client.press({ documentId: 'doc-3' })
    await untilCounts({ waiting: 1, sending: 1, unknown: 1 })
    const [summary] = await summaries()
    assert.deepEqual([summary?.['id'], summary?.['name']], ['outboxconfig', 'Hospital'])

    const answer = await client.get('direct')
    const messages = answer['messages'] as Json[]
    const destination = `datamodel ${DESTINATION}`
    assert.equal(answer['total'], 3)
    assert.deepEqual(facts(messages[0]!), ['waiting', undefined, 0, undefined, 'outboxsend'])
    assert.deepEqual(facts(messages[1]!), ['sending', destination, 0, undefined, 'outboxsend'])
    const unknown = ['unknown', destination, 1, 'REDOX_OUTCOME_UNKNOWN', 'outboxsend']
    assert.deepEqual(facts(messages[2]!), unknown)
    assert.equal(messages[2]!['traceId'], TRACE_ID)
    assert.ok(
      Date.parse(messages[2]!['endedAt'] as string) >= Date.parse(messages[2]!['acceptedAt'] as string),
    )
    const text = JSON.stringify(answer)
    for (const content of [...Object.values(OUTBOX_PATIENT), FILE_NAME, 'doc-1', 'doc-2', 'doc-3'])
      assert.ok(!text.includes(content), content)
  })

  it('say why they wait for the next attempt, and are forgotten with their connection', async () => {
    await client.deployFlows(flowTo(redox.url, { delivery: 'direct', attempts: '3' }))
    redox.script('send', reply(503, {}, { 'retry-after': '20' }))
    const pressedAt = Date.now()
    await client.press({ documentId: 'doc-4' })
    let waiting: Json | undefined
    await eventually('it waits after a failure', async () => {
      const messages = (await client.get('direct'))['messages'] as Json[]
      waiting = messages.find(({ state, dueAt }) => state === 'waiting' && dueAt)
      return waiting !== undefined
    })
    const { attempts, reason, environment, dueAt, canTryNow } = waiting as Json
    assert.deepEqual([attempts, reason, environment], [1, 'REDOX_UNAVAILABLE', 'Development'])
    assert.equal(canTryNow, true)
    const seconds = (Date.parse(dueAt as string) - pressedAt) / 1000
    assert.ok(seconds >= 20 && seconds < 30, `due after ${seconds} s`)
    // The number of messages with unknown outcome is kept after a deploy.
    assert.equal((await summaries())[0]?.['counts'].unknown, 1)
    const tryNow = async (id: unknown, body: object = { action: 'try-now' }): Promise<number> =>
      (await client.post(`redox/outbox/outboxconfig/direct/${id as string}`, body)).status
    const { id } = waiting as Json
    assert.deepEqual([await tryNow('x'), await tryNow(id, { action: 'resend' })], [409, 400])
    const { held, answer } = heldBack()
    redox.script('send', held)
    const before = redox.of('send').length
    assert.deepEqual([await tryNow(id), await tryNow(id)], [204, 409])
    await eventually('it is sent', () => redox.of('send').length > before)
    assert.ok(Date.now() < Date.parse(dueAt as string), 'it was sent when it was due')
    const messages = (await client.get('direct'))['messages'] as Json[]
    const sent = messages.find((one) => one['id'] === id)
    assert.deepEqual([sent?.['state'], sent?.['dueAt']], ['sending', undefined])
    assert.equal(await tryNow(id), 409)
    answer()

    // After a 429, the whole connection waits.
    redox.script('send', reply(429, {}, { 'retry-after': '20' }))
    await client.press({ documentId: 'doc-5' })
    await eventually('it waits after a 429', async () => {
      const [newest] = (await client.get('direct'))['messages'] as Json[]
      waiting = newest
      return newest?.['reason'] === 'REDOX_RATE_LIMITED' && newest['dueAt'] !== undefined
    })
    assert.deepEqual([waiting?.['canTryNow'], await tryNow(waiting?.['id'])], [undefined, 409])
    await client.deployFlows([])
    await eventually('they are forgotten', async () => (await summaries()).length === 0)
  })
})
