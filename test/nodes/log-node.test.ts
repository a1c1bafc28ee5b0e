/** Node redox-log: follows the logs of a message until each delivery is final. */
import assert from 'node:assert/strict'
import { eventually } from '../lib/eventually'
import { fixture } from '../lib/fixtures'
import { logged, PRIVATE_KEY, startFlow, startFlowTo, useNodeRed, type Flow, type Message } from '../lib/flow'
import { serve, TOKEN_PATH, type Server } from '../lib/redox'
import { NOTE } from '../lib/send-nodes'

const IDS = ['d9f5d293-7110-461e-a875-3beb089e79f3', '925d1617-2fe0-468c-a14c-f8c04b572c54'] as const
const LOGS = '/platform/v1/organizations/org-1/logs/'
const CANARY = 'Quuxworth'
const USER_KEY = { platformClientId: 'user-1', platformKeyId: 'user-key-1', organizationId: 'org-1' }

describe('redox-log', () => {
  let server: Server
  /** statuses of the logs, by id; the last one is repeated */
  let statuses: Record<string, unknown[]>

  useNodeRed()
  beforeEach(async () => {
    statuses = {}
    server = await serve(({ path }) => {
      if (path === TOKEN_PATH) return { body: { access_token: 't', token_type: 'Bearer', expires_in: 300 } }
      const left = statuses[path.slice(LOGS.length)] ?? []
      const status = left.length > 1 ? left.shift() : left[0]
      if (status === undefined) return { status: 404, body: {} }
      const message = `${CANARY} (MRN 1234567) is not known here`
      const stages = { response: { code: 404, error: { message } } }
      const latest = { status, attemptAt: '2026-11-28T10:00:00.000Z', failedStage: 'response', stages }
      return { body: { meta: {}, payload: { result: { attempts: { total: 2, latest } } } } }
    })
  })
  afterEach(() => server.close())

  const start = (node: object = {}, config: object = USER_KEY): Promise<Flow> =>
    startFlowTo(server.url, {
      type: 'redox-log',
      node: { ...node },
      config: { ...config },
      secrets: { platformPrivateKey: PRIVATE_KEY },
    })
  const message = (logIds: unknown): Message => ({
    payload: { kept: CANARY },
    topic: 'kept',
    redox: { logIds, way: 'embed' },
  })
  const asked = (id: string): number => server.to(LOGS + id).length

  it('emits the message with its deliveries when all have succeeded', async () => {
    statuses = { [IDS[0]]: ['succeeded'], [IDS[1]]: ['pending', 'succeeded'] }
    const flow = await start()
    const { payload, topic, redox } = (await flow.outcome(message([...IDS]))).answer!
    assert.deepEqual([payload, topic, redox.way], [{ kept: CANARY }, 'kept', 'embed'])
    const delivery = { status: 'succeeded', attempts: 2, attemptAt: '2026-11-28T10:00:00.000Z' }
    assert.deepEqual(
      redox.deliveries,
      IDS.map((logId) => ({ logId, ...delivery })),
    )
    assert.equal(asked(IDS[1]), 2)
    await flow.showsStatus((text) => text === 'delivered d9f5d293')
  })

  for (const status of ['failed', 'filtered'])
    it(`reports a delivery that ${status}, with stage and reason, without a name`, async () => {
      statuses = { [IDS[0]]: ['succeeded'], [IDS[1]]: [status] }
      const flow = await start()
      const error = await flow.fail(message([...IDS]), 'REDOX_NOT_DELIVERED')
      assert.match(error.message, new RegExp(`log ${IDS[1]} ${status} \\(stage response, code 404\\)`))
      assert.equal(error.cause.stage, 'response')
      assert.deepEqual(error.cause.reasons, ['[…] (MRN […]) is not known here'])
      assert.deepEqual(error.cause.parts, [
        { part: `log ${IDS[0]}`, delivered: true },
        { part: `log ${IDS[1]}`, delivered: false },
      ])
      assert.doesNotMatch(error.message, /Quux|1234567|Nothing was sent/)
    })

  it('does not guess what a status means that is not documented', async () => {
    statuses = { [IDS[0]]: ['archived'] }
    const error = await (await start()).fail(message([IDS[0]]), 'REDOX_NOT_CONFIRMED')
    assert.match(error.message, /has a status that is not known/)
  })

  it('gives up when a delivery is not final, or not found, in time', async () => {
    statuses = { [IDS[0]]: ['pending'] }
    const error = await (
      await start({ followMinutes: '0.02' })
    ).fail(message([...IDS]), 'REDOX_NOT_CONFIRMED')
    assert.match(error.message, /is not final yet; log 925d1617.* was not found/)
  })

  for (const ids of [undefined, [], '', [{}], ['../../x']])
    it(`refuses a message with the log IDs ${JSON.stringify(ids)}`, async () => {
      const error = await (await start()).fail(message(ids), 'REDOX_BAD_INPUT')
      assert.match(error.message, /^Log IDs are (missing|not valid)/)
      assert.equal(server.requests.length, 0)
    })

  it('needs a user-level key, and does not claim that nothing was sent', async () => {
    const flow = await startFlowTo(server.url, { type: 'redox-log' })
    const error = await flow.fail(message([IDS[0]]), 'REDOX_CONFIGURATION')
    assert.match(error.message, /^User-level key is missing/)
    assert.doesNotMatch(error.message, /Nothing was sent/)
  })

  for (const type of ['full', 'nodes'] as const)
    it(`follows a message across a deploy (${type})`, async () => {
      statuses = { [IDS[0]]: ['pending'] }
      const flow = await start()
      flow.node.receive(message([IDS[0]]))
      await eventually('the log is asked for', () => asked(IDS[0]) > 0)
      await flow.redeploy(type, { node: { name: 'other' } })
      assert.deepEqual([flow.emitted, flow.caught], [[], []])
      statuses = { [IDS[0]]: ['succeeded'] }
      await eventually('the message is emitted', () => flow.emitted.length === 1)
      assert.equal(flow.emitted[0]!['redox'].deliveries[0].status, 'succeeded')
      assert.deepEqual(flow.caught, [])
      assert.ok(!logged().some((line) => line.includes('REDOX_NOT_CONFIRMED')))
    })

  it('follows what the built-in sandbox delivers, without a key', async () => {
    const sender = await startFlow({ type: NOTE.type, node: NOTE.node })
    const sent = await sender.send({ payload: fixture('chart.png') })
    const flow = await startFlow({ type: 'redox-log' })
    const { redox } = (await flow.outcome({ redox: sent['redox'] })).answer!
    assert.deepEqual(
      redox.deliveries.map(({ logId, status }: Message) => [logId, status]),
      sent['redox'].logIds.map((id: string) => [id, 'succeeded']),
    )
  })
})
