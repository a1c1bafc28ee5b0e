/** Verdicts of redox-log at the messages of the outbox, with the sandbox as Redox and the destinations. */
import assert from 'node:assert/strict'
import { startSandbox, type Sandbox } from '../../src/sandbox'
import type { GuardedNodeRed } from '../lib/admin'
import { typed } from '../lib/client'
import { eventually } from '../lib/eventually'
import { OUTBOX_PATIENT, type Json } from '../lib/outbox'
import { AT, clientsOf, startOutbox, type User, type Users } from './outbox-support'

const REFUSED = 'REDOX_NOT_DELIVERED'

describe('verdicts in the outbox', function () {
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

  /**
   * Deploys a connection to the sandbox with a delivery plan, and a redox-log node behind its send node.
   * @param log properties of the redox-log node
   * @param others further nodes
   */
  async function deploy(deliveries: string, log: object = {}, others: Json[] = []): Promise<void> {
    const { url } = await sandbox.openListener('', undefined, deliveries)
    await users.admin.deploySandbox({ ...sandbox, url }, { storeOrder: 'none' }, {}, [
      ...others,
      {
        ...{ id: 'outboxlog', type: 'redox-log', z: 'outboxtab', connection: 'outboxconfig', x: 700, y: 80 },
        ...{ ...typed({ logIds: 'redox.logIds' }, 'msg'), wires: [['outboxtold']], ...log },
      },
      {
        ...{ id: 'outboxcatch', type: 'catch', z: 'outboxtab', scope: ['outboxlog'], x: 700, y: 140 },
        wires: [['outboxtold']],
      },
      {
        ...{ id: 'outboxtold', type: 'function', z: 'outboxtab', x: 900, y: 80, wires: [[]] },
        func: "global.set('told', [...(global.get('told') || []), msg.error ? msg.error.code : 'emitted'])",
      },
    ])
  }
  const accept = (): Promise<Json> => users.admin.accept({ documentId: `verdict-${++number}` })
  /** Waits until the message has the verdict, and returns the message. */
  async function judged(id: string, reason: string): Promise<Json> {
    let found: Json = {}
    await eventually(`${id} is ${reason}`, async () => {
      found = await users.reader.get(`messages/${id}`)
      return found['reason'] === reason
    })
    return found
  }
  const listed = (query: string): Promise<string[]> =>
    users.reader.messages(query).then((messages) => messages.map(({ id }) => id as string))

  it('shows what a destination refused, in the list and the details, over a restart, until it is sent again', async () => {
    await deploy('delay 0\nany refuse')
    const { id } = await accept()
    const found = await judged(id, REFUSED)
    const { logs } = found['verdict'] as { logs: Json[] }
    assert.deepEqual([found['state'], found['arrival']], ['delivered', 'yes'])
    assert.deepEqual(
      logs.map(({ logId, status }) => [logId, status]),
      (found['delivery'] as { logIds: string[] }).logIds.map((logId) => [logId, 'failed']),
    )
    assert.deepEqual(
      Object.keys(logs[0]!).filter((name) => !['logId', 'status', 'stage', 'code'].includes(name)),
      [],
    )
    // The text of the destination may name a patient, so it is in the content only.
    assert.equal((found['verdict'] as Json)['hasReasons'], true)
    const { reasons } = (await (
      await users.admin.ask(`${AT}/messages/${id}/content?reason=refused`)
    ).json()) as Json
    assert.deepEqual(Object.keys(reasons), [logs[0]!['logId']])
    assert.match(reasons[logs[0]!['logId']], /^The destination refused the message$/)
    const whole = JSON.stringify(found)
    assert.ok(!whole.includes(reasons[logs[0]!['logId']]))
    assert.deepEqual(
      Object.values(OUTBOX_PATIENT).filter((value) => whole.includes(value)),
      [],
    )
    assert.deepEqual(await listed(`state=delivered&code=${REFUSED}`), [id])
    assert.deepEqual(await listed(`search=${logs[0]!['logId']}`), [id])
    // The store is closed and opened again.
    await deploy('delay 0')
    const { reason, verdict } = await users.reader.get(`messages/${id}`)
    assert.deepEqual([reason, verdict], [REFUSED, found['verdict']])
    // The connection now goes to another port of the sandbox, which counts as another account.
    const decision = { action: 'resend', reason: 'mended', otherAccount: true }
    assert.equal((await users.decider.post(`${AT}/messages/${id}`, decision)).status, 204)
    const again = await judged(id, 'accepted')
    assert.notDeepEqual((again['verdict'] as { logs: Json[] }).logs[0]!['logId'], logs[0]!['logId'])
    assert.deepEqual(await listed(`state=delivered&code=${REFUSED}`), [])
  })

  it('counts what a destination refused, also in the health, until a person marks or discards it', async () => {
    await deploy('delay 0\nany refuse')
    const refused = [await accept(), await accept()].map(({ id }) => id as string)
    for (const id of refused) await judged(id, REFUSED)
    const refusedLater = async (): Promise<unknown> => (await users.reader.connection())['refusedLater']
    assert.equal(await refusedLater(), 2)
    const health = await (await users.admin.ask('redox/health')).json()
    assert.match(JSON.stringify(health), /"problem":"refused-later","count":2/)
    const [one, other] = refused as [string, string]
    assert.equal((await users.decider.decide(one, 'mark-delivered', 'sent by fax')).status, 204)
    assert.equal(await refusedLater(), 1)
    const { state, reason, decision, verdict } = await users.reader.get(`messages/${one}`)
    assert.deepEqual([state, reason, decision.reason], ['delivered', 'mark-delivered', 'sent by fax'])
    assert.equal(verdict.logs[0].status, 'failed')
    const filter = { state: 'delivered', code: REFUSED }
    const asked = { filter, count: 1, action: 'discard', reason: 'not needed' }
    const answer = await users.decider.post(`${AT}/decisions`, asked)
    assert.deepEqual(await answer.json(), { decided: 1, left: 0 })
    assert.equal(await refusedLater(), 0)
    const discarded = await users.reader.get(`messages/${other}`)
    assert.deepEqual([discarded['state'], discarded['arrival']], ['discarded', 'yes'])
    assert.equal(discarded['verdict'].logs[0].status, 'failed')
    assert.equal((await users.decider.decide(other, 'discard', 'again')).status, 409)
  })

  for (const [kind, delivery] of [
    ['direct', {}],
    ['durable', { delivery: 'durable' }],
  ] as const)
    it(`shows what a node with another connection found out, which is ${kind}`, async () => {
      const { key, organizationId, environmentIds } = sandbox.platform
      const logs = {
        ...{ id: 'logconfig', type: 'redox-config', name: 'Logs', environment: 'Development' },
        ...{ environmentType: 'environment', apiBase: sandbox.url, organizationId, ...delivery },
        ...{ platformClientId: key.clientId, platformKeyId: key.keyId },
        ...{ clientId: sandbox.oauthKey.clientId, keyId: sandbox.oauthKey.keyId },
        environmentId: environmentIds.Development,
        credentials: {
          ...{ privateKey: sandbox.oauthKey.privateKey, platformPrivateKey: key.privateKey },
          storeKey: 'another store key that is hard to guess',
        },
      }
      await deploy('delay 0\nany refuse', { connection: 'logconfig' }, [logs])
      const { id } = await accept()
      await judged(id, REFUSED)
    })

  it('shows what was not confirmed in time', async () => {
    await deploy('delay 600', { followMinutes: '0.05' })
    const { id } = await accept()
    const { verdict } = await judged(id, 'REDOX_NOT_CONFIRMED')
    assert.equal((verdict as { logs: Json[] }).logs[0]!['status'], 'pending')
  })
})
