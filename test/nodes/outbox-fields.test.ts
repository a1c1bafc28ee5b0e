/** Fields in the responses of the outbox's admin API: the same as in docs/outbox.md. */
import assert from 'node:assert/strict'
import { read } from '../docs/pages'
import { startSandbox } from '../../src/sandbox'
import { startWithUsers, type GuardedNodeRed } from '../lib/admin'
import { typed } from '../lib/client'
import { eventually } from '../lib/eventually'
import { sizedFile } from '../lib/fixtures'
import { DESTINATION, flowTo, OTHER_DESTINATION, OutboxClient, type Json } from '../lib/outbox'
import { reply, ScriptedServer } from '../lib/scripted-server'

const DESTINATION_NAME = `datamodel ${DESTINATION}`
const NAMES = { destinationNames: `${DESTINATION} = City Hospital` }
const DOWN = reply(503, {}, { 'retry-after': '100' })
const REFUSED = reply(400, { Meta: { Errors: [{ Text: 'no' }], Logs: [{ ID: 'log-1' }] } })
const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736'
const TAKEN = reply(200, { Meta: { Logs: [{ ID: 'log-2' }] } })

/** Documented fields that this test does not see: they appear only when a store fails, or only for a short time. */
const NOT_SEEN = [
  'connection.isOpening',
  'connection.warnings',
  'stranded store.code',
  'one message.unreadable',
  'decisions.stoppedBy',
]

/** Fields in the table of docs/outbox.md, as `object.field`. */
function documented(): string[] {
  const [, section] = read('docs/outbox.md').split('### Fields of the answers\n')
  const rows = section!.split('\n').filter((line) => line.startsWith('|'))
  return rows.slice(2).flatMap((row) => {
    const [, of, fields] = row.split('|').map((cell) => cell.replaceAll('`', '').trim())
    return fields!.split(', ').map((field) => `${of}.${field}`)
  })
}

describe('fields in the answers of the outbox', function () {
  this.timeout(60_000)
  let nodeRed: GuardedNodeRed<'admin'>
  let redox: ScriptedServer
  let admin: OutboxClient
  before(async () => {
    nodeRed = await startWithUsers(
      { admin: '*' },
      { uiHost: '0.0.0.0', redox: { identifiersForReaders: true } },
      { permissions: '*' },
    )
    admin = new OutboxClient(nodeRed.url, nodeRed.tokens.admin)
    redox = await ScriptedServer.start()
  })
  after(async () => {
    await nodeRed?.stop()
    await redox?.close()
  })

  it('are those of docs/outbox.md', async () => {
    const seen = new Set<string>()
    const note = (of: string, ...answers: Json[]): void =>
      answers.flatMap((one) => Object.keys(one)).forEach((field) => seen.add(`${of}.${field}`))
    const at = 'redox/outbox/outboxconfig'
    const decided = async (place: string, body: object): Promise<Json> => {
      const answer = await admin.post(place, { reason: 'x', ...body })
      assert.equal(answer.status, 200, await answer.clone().text())
      return (await answer.json()) as Json
    }
    const overview = async (): Promise<Json> => {
      const answer = (await (await admin.ask('redox/outbox')).json()) as Json
      note('GET redox/outbox', answer)
      note('connection', ...answer['connections'])
      note('stranded store', ...answer['stranded'])
      note('direct connection', ...answer['direct'])
      for (const { destinations } of answer['connections'] as Json[])
        note('destination', ...((destinations ?? []) as Json[]))
      return answer
    }
    const ofMessage = new Set<string>()
    const list = async (): Promise<Json[]> => {
      const answer = await admin.get('messages?limit=1')
      note('messages', answer)
      const messages = await admin.messages()
      note('message', ...messages)
      messages.flatMap((one) => Object.keys(one)).forEach((field) => ofMessage.add(field))
      return messages
    }
    const ofOne = new Set<string>()
    const one = async (id: string, by = admin): Promise<void> => {
      Object.keys(await by.get(`messages/${id}`)).forEach((field) => ofOne.add(field))
    }

    const faults = 'endpoint none 1x\nendpoint reset-after-accept'
    const sandbox = await startSandbox({ faults, deliveries: 'delay 0\nany refuse' })
    await admin.deploySandbox(sandbox, { storeOrder: 'none', ...NAMES }, {}, [
      {
        ...{ id: 'outboxlog', type: 'redox-log', z: 'outboxtab', connection: 'outboxconfig' },
        ...{ ...typed({ logIds: 'redox.logIds' }, 'msg'), wires: [[]] },
      },
    ])
    const followed = (await admin.accept({ documentId: 'doc-before' }))['id'] as string
    await eventually('it has a verdict', async () => 'verdict' in (await admin.get(`messages/${followed}`)))
    const unknown = (await admin.accept({ documentId: 'doc-unknown' }))['id'] as string
    await admin.until(unknown, 'parked')
    await list()
    await one(followed)
    await one(unknown)
    note('content', await admin.get(`messages/${followed}/content?reason=x`))
    const lookedUp = await decided(`${at}/messages/${unknown}/look-up`, {})
    note('look-up', lookedUp)
    note('candidate', ...(lookedUp['candidates'] as Json[]))
    const { logId } = (lookedUp['candidates'] as Json[])[0]!
    const mark = { action: 'mark-delivered', reason: 'x', logId }
    assert.equal((await admin.post(`${at}/messages/${unknown}`, mark)).status, 204)
    await list()
    await one(unknown)
    const alike = (await admin.accept({ documentId: 'doc-alike' }))['id'] as string
    await admin.until(alike, 'parked')
    const { candidates } = await decided(`${at}/messages/${alike}/look-up`, {})
    note('candidate', ...(candidates as Json[]))
    await sandbox.close()

    await admin.deployFlows(flowTo(redox.url, { delivery: 'direct', attempts: '2', ...NAMES }))
    redox.script(
      'send',
      reply(500, {}, { 'redox-trace-id': TRACE_ID }),
      reply(503, {}, { 'retry-after': '3' }),
    )
    for (const number of [1, 2]) {
      await admin.press({ documentId: 'doc-0' })
      await eventually('it failed', async () => {
        const direct = await admin.get('direct')
        note('direct', direct)
        const messages = direct['messages'] as Json[]
        note('direct message', ...messages)
        return messages.filter(({ attempts }) => attempts === 1).length === number
      })
    }
    await overview()
    // The deploy below hands over a direct message that has not ended, and the redeployed node accepts it for durable
    // delivery. It could be parked, and the messages of this test would wait behind it.
    redox.script('send', TAKEN)
    await eventually('no direct message waits', async () =>
      ((await admin.get('direct'))['messages'] as Json[]).every(({ state }) => state === 'unknown'),
    )

    await admin.deploy(redox.url, { storeOrder: 'patient', storeLimitGb: '20', ...NAMES })
    redox.script('send', REFUSED)
    const ofPatient = (await admin.accept({ documentId: 'doc-00' }))['id'] as string
    await admin.until(ofPatient, 'parked')
    const behindIt = (await admin.accept({ documentId: 'doc-01' }))['id'] as string
    await overview()
    await list()
    await one(behindIt)
    redox.script('send', TAKEN)
    assert.equal((await admin.decide(ofPatient, 'discard', 'x')).status, 204)
    await admin.until(behindIt, 'delivered')
    await admin.deploy(redox.url, NAMES)
    const failedOnce = async (id: string): Promise<void> =>
      eventually('it failed', async () => (await admin.get(`messages/${id}`))['attempts'] === 1)
    const delivered = (await admin.accept({ documentId: 'doc-1', destination: OTHER_DESTINATION }))[
      'id'
    ] as string
    await admin.until(delivered, 'delivered')
    redox.script('send', REFUSED)
    const refused = (await admin.accept({ documentId: 'doc-2', destination: OTHER_DESTINATION }))[
      'id'
    ] as string
    await admin.until(refused, 'parked')
    const { id: held } = await admin.accept({ documentId: 'doc-behind', destination: OTHER_DESTINATION })
    await list()
    assert.equal((await admin.decide(held, 'discard', 'x')).status, 204)
    redox.script('send', DOWN)
    const first = (await admin.accept({ documentId: 'doc-3' }))['id'] as string
    await failedOnce(first)
    const behind = (await admin.accept({ documentId: 'doc-4' }))['id'] as string
    assert.equal((await admin.pause(DESTINATION_NAME, 'pause', 'x')).status, 204)
    note('destinations', await decided(`${at}/destinations`, { action: 'try-now' }))
    await overview()
    await list()
    for (const id of [delivered, refused, first, behind]) await one(id)
    await one(refused, new OutboxClient(nodeRed.url))
    note('identifiers', await admin.get(`messages/${refused}/identifiers`))
    note('content', await admin.get(`messages/${refused}/content?reason=x`))
    note('count', await admin.get('count?state=waiting'))
    const extend = { action: 'extend', hours: 100, count: 2, filter: { state: 'waiting' } }
    note('decisions', await decided(`${at}/decisions`, { ...extend, limit: 1 }))
    note('decisions', await decided(`${at}/decisions`, { ...extend, hours: 1 }))
    assert.equal((await admin.decide(refused, 'discard', 'x')).status, 204)
    await one(refused)
    const audit = await admin.get('audit')
    note('audit', audit)
    note('line of the audit log', ...(audit['lines'] as Json[]))

    await admin.deploy(redox.url, { storeLimitGb: '0.001' })
    for (const documentId of ['doc-large', 'doc-refused'])
      await admin.press({ documentId, bytes: sizedFile(700_000 + documentId.length) })
    await eventually('the store is full', async () =>
      ((await overview())['connections'] as Json[]).some(({ isFull }) => isFull === true),
    )

    // Two stores without a connection: one gets its messages assigned to a connection, the other gets them discarded.
    const other = JSON.stringify(flowTo(redox.url, {})).replaceAll('outboxconfig', 'copied')
    await admin.deployFlows(JSON.parse(other) as Json[])
    await eventually('the store is stranded', async () => {
      const { connections, stranded } = await overview()
      return stranded.length > 0 && connections.some(({ counts }: Json) => counts !== undefined)
    })
    const give = { action: 'give', to: 'copied' }
    note('stranded, give', await decided('redox/outbox/stranded/embedded:outboxconfig', give))
    await admin.deploy(redox.url)
    await eventually('the other is stranded', async () => (await overview())['stranded'].length > 0)
    note('stranded, discard', await decided('redox/outbox/stranded/embedded:copied', { action: 'discard' }))

    await admin.deployFlows(flowTo(redox.url, {}, 'quite another key of the store'))
    await eventually(
      'the store cannot be read',
      async () =>
        (((await overview())['connections'] as Json[])[0]?.['code'] ?? '') === 'REDOX_STORE_UNREADABLE',
    )
    note('store', await decided(`${at}/store`, { action: 'begin-new' }))

    // The page describes the fields of a list once, under "message".
    for (const field of ofOne) if (!ofMessage.has(field)) seen.add(`one message.${field}`)
    const onPage = documented()
    assert.ok(onPage.length > 60)
    assert.deepEqual(
      [...seen].filter((field) => !onPage.includes(field)),
      [],
      'not on the page',
    )
    const expected = onPage.filter((field) => !NOT_SEEN.includes(field))
    assert.deepEqual(
      expected.filter((field) => !seen.has(field)),
      [],
      'not returned',
    )
    assert.ok(NOT_SEEN.every((field) => onPage.includes(field)))
  })
})
