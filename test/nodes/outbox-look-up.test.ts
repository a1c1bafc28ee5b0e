/** Look-up of messages with an unknown outcome in the logs of the sandbox, which plays Redox and its Platform API. */
import assert from 'node:assert/strict'
import { startSandbox, type Sandbox } from '../../src/sandbox'
import type { GuardedNodeRed } from '../lib/admin'
import { eventually } from '../lib/eventually'
import { DESTINATION, OUTBOX_PATIENT, type Json } from '../lib/outbox'
import { AT, clientsOf, errorOf, startOutbox, type User, type Users } from './outbox-support'

const NO_KEY = { platformClientId: '', platformKeyId: '', organizationId: '', environmentId: '' }

describe('look-up in the outbox', function () {
  this.timeout(60_000)
  let sandbox: Sandbox
  let nodeRed: GuardedNodeRed<User>
  let users: Users
  let number = 0

  before(async () => {
    sandbox = await startSandbox()
    nodeRed = await startOutbox()
    users = clientsOf(nodeRed)
  })
  after(async () => {
    await nodeRed?.stop()
    await sandbox?.close()
  })
  afterEach(async () => {
    for (const { id } of await users.admin.messages('state=parked'))
      await users.admin.decide(id, 'discard', 'end of test')
    sandbox.clear()
  })

  /** Deploys a connection to the sandbox with a fault plan. */
  async function deploy(faults: string, settings: object = {}, secrets: object = {}): Promise<void> {
    const { url } = await sandbox.openListener(faults)
    await users.admin.deploySandbox(
      { ...sandbox, url },
      { storeOrder: 'none', answerTimeout: '5', ...settings },
      secrets,
    )
  }

  const accept = (): Promise<Json> => users.admin.accept({ documentId: `unknown-${++number}` })
  async function parked(): Promise<string> {
    const id = (await accept())['id'] as string
    assert.equal((await users.admin.until(id, 'parked'))['reason'], 'REDOX_OUTCOME_UNKNOWN')
    return id
  }
  const lookUp = (id: string, user: User = 'decider', body: object = { reason: 'is it there?' }) =>
    users[user].post(`${AT}/messages/${id}/look-up`, body)
  async function found(id: string): Promise<Json> {
    const answer = await lookUp(id)
    assert.equal(answer.status, 200, await answer.clone().text())
    return (await answer.json()) as Json
  }
  const lines = async (): Promise<Json[]> => (await users.reader.get('audit?limit=500'))['lines'] as Json[]
  /** ids of the logs of the last message that the sandbox has received */
  const lastLogs = (): string[] => sandbox.received.at(-1)!.deliveries.map(({ logId }) => logId)

  it('finds the log of a message whose answer was lost, and marks the message as delivered', async () => {
    await deploy('endpoint reset-after-accept')
    const id = await parked()
    const { arrival, canLookUp } = await users.reader.get(`messages/${id}`)
    assert.deepEqual([arrival, canLookUp], ['maybe', true])
    const before = await users.reader.get('audit?limit=1')
    const { candidates, ...answer } = await found(id)
    const own = (candidates as Json[]).find(({ logId }) => logId === lastLogs()[0])
    assert.ok(own)
    assert.ok(Math.abs(own['secondsAfter']) <= 5, String(own['secondsAfter']))
    assert.deepEqual(own['same'], ['operation', 'destination'])
    assert.deepEqual(own['different'], [])
    assert.deepEqual([own['operation'], own['destinationId']], ['Notes:New', DESTINATION])
    assert.equal(answer['isComplete'], true)
    assert.ok(Date.parse(answer['since']) < Date.parse(answer['requestedAt']))
    assert.ok(Date.parse(answer['requestedAt']) < Date.parse(answer['till']))
    assert.deepEqual(
      Object.values(OUTBOX_PATIENT).filter((value) => JSON.stringify(candidates).includes(value)),
      [],
    )
    const added = (await lines()).slice(before['total'])
    assert.deepEqual(
      added.map(({ who, action, subject, reason }) => [who, action, subject, reason]),
      [['decider', 'look-up', id, 'is it there?']],
    )
    // The look-up itself decides nothing.
    assert.equal((await users.reader.get(`messages/${id}`))['state'], 'parked')
    const { logId } = own
    const decision = { action: 'mark-delivered', reason: 'it is there', logId }
    assert.equal((await users.decider.post(`${AT}/messages/${id}`, decision)).status, 204)
    const { state, foundLogId, canLookUp: afterwards } = await users.reader.get(`messages/${id}`)
    assert.deepEqual([state, foundLogId, afterwards], ['delivered', logId, undefined])
    assert.equal((await lines()).at(-1)?.['reason'], `it is there (log ${logId})`)
    assert.deepEqual(
      (await users.reader.messages(`search=${logId}`)).map((message) => message['id']),
      [id],
    )
    assert.ok(!(await users.admin.emitted()).includes(id))
  })

  it('searches from the acceptance on after a person sent the message again', async () => {
    await deploy('endpoint reset-after-accept')
    const id = await parked()
    const first = await found(id)
    const again = { action: 'resend', reason: 'not found' }
    assert.equal((await users.decider.post(`${AT}/messages/${id}`, again)).status, 204)
    await eventually('it was tried again', async () => {
      const { state, error } = await users.reader.get(`messages/${id}`)
      return state === 'parked' && Date.parse(error?.cause.at) > Date.parse(first['requestedAt'])
    })
    const second = await found(id)
    assert.ok(Date.parse(second['requestedAt']) > Date.parse(first['requestedAt']))
    assert.ok(Date.parse(second['since']) <= Date.parse(first['since']))
    assert.equal(second['found'], 2)
  })

  it('says which log belongs to another message, and that none was found', async () => {
    await deploy('endpoint none 1x\nendpoint reset-after-body')
    const delivered = await accept()
    await users.reader.until(delivered['id'] as string, 'delivered')
    const [logId] = lastLogs()
    const id = await parked()
    const { candidates, ofOthers } = await found(id)
    const [own] = (candidates as Json[]).filter((one) => one['logId'] === logId)
    assert.equal(own!['ofMessage'], delivered['id'])
    assert.equal(ofOthers, (candidates as Json[]).filter((one) => 'ofMessage' in one).length)
    sandbox.clear()
    const none = await found(id)
    assert.deepEqual([none['candidates'], none['found'], none['isComplete']], [[], 0, true])
    assert.equal((await users.reader.get(`messages/${id}`))['state'], 'parked')
  })

  it('says that a person chose a log for another message, which may have been a mistake', async () => {
    await deploy('endpoint reset-after-accept')
    const [first, second] = [await parked(), await parked()]
    const logId = lastLogs()[0]!
    const decision = { action: 'mark-delivered', reason: 'it is there', logId }
    assert.equal((await users.decider.post(`${AT}/messages/${first}`, decision)).status, 204)
    const { candidates, ofOthers } = await found(second)
    const chosen = (candidates as Json[]).find((one) => one['logId'] === logId)
    assert.deepEqual([chosen?.['foundFor'], chosen?.['ofMessage']], [first, undefined])
    assert.equal(ofOthers, 0)
  })

  it('looks up only messages with an unknown outcome', async () => {
    await deploy('endpoint 400')
    const refused = await users.admin.accept({ documentId: `refused-${++number}` })
    const { arrival, canLookUp } = await users.admin.until(refused['id'] as string, 'parked')
    assert.deepEqual([arrival, canLookUp], ['no', undefined])
    const before = await lines()
    assert.deepEqual(await errorOf(await lookUp(refused['id'] as string)), [409, 'outcome_known'])
    const missing = '00000000-0000-4000-8000-000000000000'
    assert.deepEqual(await errorOf(await lookUp(missing)), [404, 'not_found'])
    assert.deepEqual(await lines(), before)
  })

  it('refuses other users and malformed requests, without a line in the audit log', async () => {
    await deploy('endpoint reset-after-body')
    const id = await parked()
    const before = await lines()
    for (const user of ['reader', 'inboxUser', 'contentReader'] as const)
      assert.equal((await lookUp(id, user)).status, 401, user)
    for (const body of [{}, { reason: ' ' }, { reason: 'a\nb' }, { reason: 'x', more: 1 }])
      assert.equal((await lookUp(id, 'decider', body)).status, 400, JSON.stringify(body))
    for (const decision of [
      ...[{ action: 'discard' }, { action: 'resend' }].map((one) => ({ ...one, logId: 'log-1' })),
      ...['', 'a b', 'x'.repeat(101), 7].map((logId) => ({ action: 'mark-delivered', logId })),
    ]) {
      const answer = await users.decider.post(`${AT}/messages/${id}`, { reason: 'x', ...decision })
      assert.equal(answer.status, 400, JSON.stringify(decision))
    }
    assert.deepEqual(await lines(), before)
  })

  it('says what is missing without a user-level key', async () => {
    await deploy('endpoint reset-after-body', NO_KEY, { platformPrivateKey: '' })
    const id = await parked()
    assert.equal((await users.reader.get(`messages/${id}`))['canLookUp'], false)
    const before = await lines()
    const answer = await lookUp(id)
    assert.match(await answer.clone().text(), /User-level key is missing/)
    assert.deepEqual(await errorOf(answer), [409, 'REDOX_CONFIGURATION'])
    assert.deepEqual(await lines(), before)
  })

  for (const [name, change, faults, expected] of [
    ['a wrong key', { platformKeyId: 'another' }, '', [502, 'REDOX_AUTHENTICATION']],
    ['an ID of another environment', { environmentId: 'other' }, '', [502, 'REDOX_FORBIDDEN']],
    ['no ID of the environment', { environmentId: '' }, '', [409, 'REDOX_CONFIGURATION']],
    ['too many requests', {}, 'platform 429', [502, 'REDOX_RATE_LIMITED']],
    ['an outage', {}, 'platform 503', [502, 'REDOX_UNAVAILABLE']],
  ] as const)
    it(`reports ${name}, and leaves the message parked`, async () => {
      await deploy(`endpoint reset-after-body\n${faults}`, change)
      const id = await parked()
      const answer = await lookUp(id)
      assert.match(await answer.clone().text(), /Platform API/)
      assert.deepEqual(await errorOf(answer), [...expected])
      assert.equal((await users.reader.get(`messages/${id}`))['state'], 'parked')
    })
})
