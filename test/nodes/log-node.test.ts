/** Node redox-log: follows the logs of a message until each delivery is final. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import helper from 'node-red-node-test-helper'
import { startSandbox } from '../../src/sandbox'
import { skipSeconds } from '../lib/clock'
import { KEY } from '../lib/durable'
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
  /** what the destination says of a failed delivery */
  let reason: string
  /** number of attempts that Redox has made of each delivery */
  let attempts: number
  /** time of the latest attempt */
  let attemptAt: string
  /** true if the latest attempt of a delivery has a status, but not its log, as Redox documents it */
  let hasAttemptOnly: boolean

  useNodeRed()
  beforeEach(async () => {
    statuses = {}
    attempts = 2
    attemptAt = '2026-11-28T10:00:00.000Z'
    hasAttemptOnly = false
    reason = `${CANARY} (MRN 1234567) is not known here`
    server = await serve(({ path }) => {
      if (path === TOKEN_PATH) return { body: { access_token: 't', token_type: 'Bearer', expires_in: 300 } }
      const left = statuses[path.slice(LOGS.length)] ?? []
      const status = left.length > 1 ? left.shift() : left[0]
      if (status === undefined) return { status: 404, body: {} }
      if (typeof status === 'number') return { status, body: { errorDetail: CANARY } }
      if (typeof status === 'object')
        return { body: { payload: { result: { attempts: { latest: { status: 'failed' } } } } } }
      const stages = { response: { code: 404, error: { message: reason } } }
      const latest = { status, attemptAt, failedStage: 'response', stages }
      const result = { ...(!hasAttemptOnly && { status }), attempts: { total: attempts, latest } }
      return { body: { meta: {}, payload: { result } } }
    })
  })
  afterEach(() => server.close())

  const start = (node: object = {}, config: object = USER_KEY): Promise<Flow> =>
    startFlowTo(server.url, {
      type: 'redox-log',
      node: { ...node },
      config: { ...config },
      secrets: { platformPrivateKey: PRIVATE_KEY, storeKey: KEY },
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

  it('warns once that the outbox cannot show what became of messages, which still go on', async () => {
    statuses = { [IDS[0]]: ['succeeded'] }
    const userDir = await mkdtemp(join(tmpdir(), 'redox-log-'))
    helper.settings({ userDir })
    try {
      const flow = await start({}, { ...USER_KEY, delivery: 'durable' })
      for (const outboxId of [
        '0b9b9f8c-5c3e-4d1b-8a53-7f0f3f5f4a01',
        '0b9b9f8c-5c3e-4d1b-8a53-7f0f3f5f4a02',
      ]) {
        const { redox } = message([IDS[0]])
        const { answer } = await flow.outcome({ redox: { ...redox, outbox: { id: outboxId } } })
        assert.equal(answer?.redox.deliveries.length, 1)
      }
      const warnings = (): string[] => logged().filter((line) => line.includes('could not be recorded'))
      await eventually('it warns', () => warnings().length > 0)
      await flow.stop()
      assert.equal(warnings().length, 1)
      assert.match(warnings()[0]!, / the message 0b9b9f8c-\S+4a01, because .+ \(REDOX_STORE_LOST\)\.$/)
    } finally {
      helper.settings({})
      await rm(userDir, { recursive: true, force: true })
    }
  })

  it('keeps counting in its status what was not delivered, until the next deploy', async () => {
    statuses = { [IDS[0]]: ['failed'], [IDS[1]]: ['succeeded'] }
    const flow = await start()
    await flow.fail(message([IDS[0]]), 'REDOX_NOT_DELIVERED')
    await flow.showsStatus((text) => text === '1 not delivered')
    await flow.fail(message([IDS[0]]), 'REDOX_NOT_DELIVERED')
    await flow.fail(message([]), 'REDOX_BAD_INPUT')
    await flow.showsStatus((text) => text === '2 not delivered · 1 not confirmed · Input unusable')
    await flow.outcome(message([IDS[1]]))
    await flow.showsStatus((text) => text === '2 not delivered · 1 not confirmed · delivered 925d1617')
    await flow.redeploy()
    await flow.outcome(message([IDS[1]]))
    await flow.showsStatus((text) => text === 'delivered 925d1617')
  })

  it('no longer counts a message of the outbox that was sent again and delivered', async () => {
    statuses = { [IDS[0]]: ['failed'], [IDS[1]]: ['succeeded'] }
    const flow = await start()
    const sent = (outboxId: string, logId: string): Message => ({
      ...message([logId]),
      redox: { logIds: [logId], outbox: { id: outboxId } },
    })
    const [one, other] = [
      '0b9b9f8c-5c3e-4d1b-8a53-7f0f3f5f4a01',
      '0b9b9f8c-5c3e-4d1b-8a53-7f0f3f5f4a02',
    ] as const
    for (const id of [one, other, one]) await flow.fail(sent(id, IDS[0]), 'REDOX_NOT_DELIVERED')
    await flow.showsStatus((text) => text === '2 not delivered')
    await flow.outcome(sent(one, IDS[1]))
    await flow.showsStatus((text) => text === '1 not delivered · delivered 925d1617')
    await flow.outcome(sent(other, IDS[1]))
    await flow.showsStatus((text) => text === 'delivered 925d1617')
  })

  it('says how many messages it follows', async () => {
    statuses = { [IDS[0]]: ['pending'] }
    const flow = await start()
    flow.node.receive(message([IDS[0]]))
    await flow.showsStatus((text) => text === 'following 1')
    flow.node.receive(message([IDS[1]]))
    await flow.showsStatus((text) => text === 'following 2')
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

  it('does not repeat the name of a file, with or without its extension', async () => {
    statuses = { [IDS[0]]: ['failed'] }
    reason = 'befund-quux is no PDF, and scan-frobnitz.pdf neither, nor scan-frobnitz'
    const flow = await start()
    const files = { filename: 'befund-quux.txt', payload: '/tmp/in/scan-frobnitz.pdf' }
    const error = await flow.fail({ ...message([IDS[0]]), ...files }, 'REDOX_NOT_DELIVERED')
    assert.deepEqual(error.cause.reasons, ['[…] is no PDF, and […] neither, nor […]'])
  })

  it('names what is open beside what failed', async () => {
    statuses = { [IDS[0]]: ['failed'], [IDS[1]]: ['pending'] }
    const flow = await start({ followMinutes: '0.05' })
    const error = await flow.fail(message([...IDS]), 'REDOX_NOT_DELIVERED')
    assert.match(error.message, /log d9f5d293\S* failed .*; log 925d1617\S* is not final yet/)
    assert.deepEqual(error.cause.parts, [
      { part: `log ${IDS[0]}`, delivered: false },
      { part: `log ${IDS[1]}` },
    ])
  })

  describe('a failed attempt of a log without a status', () => {
    beforeEach(() => {
      hasAttemptOnly = true
      attemptAt = new Date().toISOString()
      statuses = { [IDS[0]]: ['failed'] }
    })
    /** Waits until the answer to the first lookup was processed: the second one is made after that. */
    const askedTwice = (): Promise<unknown> =>
      eventually('the log is asked for again', () => asked(IDS[0]) >= 2)

    it('is final when Redox has not repeated it for 150 s', async () => {
      const flow = await start()
      flow.node.receive(message([IDS[0]]))
      await askedTwice()
      assert.deepEqual([flow.caught, flow.emitted], [[], []])
      skipSeconds(151)
      await eventually('the failure is final', () => flow.caught.length === 1)
      assert.equal(flow.caught[0]!['error'].code, 'REDOX_NOT_DELIVERED')
    })

    it('is followed by another attempt, which may succeed', async () => {
      const flow = await start()
      flow.node.receive(message([IDS[0]]))
      await askedTwice()
      skipSeconds(151)
      attempts = 3
      const before = asked(IDS[0])
      await eventually('the log is asked for again', () => asked(IDS[0]) > before)
      await sleep(100)
      assert.deepEqual([flow.caught, flow.emitted], [[], []])
      statuses = { [IDS[0]]: ['succeeded'] }
      // The next lookup is a minute away; the redeployed node asks at once.
      await flow.redeploy()
      await eventually('it is delivered', () => flow.emitted.length === 1)
    })

    it('is final at once if it was made long ago', async () => {
      attemptAt = new Date(Date.now() - 271_000).toISOString()
      await (await start()).fail(message([IDS[0]]), 'REDOX_NOT_DELIVERED')
    })

    it('is not final if it cannot be told from another attempt', async () => {
      // An attempt without a number, an ID and a time.
      statuses = { [IDS[0]]: [{}] }
      const flow = await start({ followMinutes: '5' })
      const begin = performance.now()
      flow.node.receive(message([IDS[0]]))
      await askedTwice()
      // Three seconds before the end: if the answer to the second lookup is processed only now, the pause after it would
      // be a minute, but no pause is longer than the time that is left.
      skipSeconds(297 - (performance.now() - begin) / 1000)
      await eventually('the time is over', () => flow.caught.length === 1)
      const { code, message: text } = flow.caught[0]!['error']
      assert.equal(code, 'REDOX_NOT_CONFIRMED')
      assert.match(text, /log d9f5d293\S* failed, and Redox may still repeat the delivery\./)
    })

    it('is not confirmed when the time is over before', async () => {
      const flow = await start({ followMinutes: '0.05' })
      const error = await flow.fail(message([IDS[0]]), 'REDOX_NOT_CONFIRMED')
      assert.match(error.message, /log d9f5d293\S* failed, and Redox may still repeat the delivery\./)
      assert.deepEqual([error.cause.stage, error.cause.reasons?.length], ['response', 1])
    })

    it('is repeated by the sandbox, and then delivered', async () => {
      const deliveries = 'delay 0; speed 5; any 503 3x'
      const sandbox = await startSandbox({ deliveries, logShape: 'latest' })
      const { url, oauthKey, platform } = sandbox
      const keys = {
        config: {
          ...{ clientId: oauthKey.clientId, keyId: oauthKey.keyId, organizationId: platform.organizationId },
          ...{ platformClientId: platform.key.clientId, platformKeyId: platform.key.keyId },
        },
        secrets: { privateKey: oauthKey.privateKey, platformPrivateKey: platform.key.privateKey },
      }
      try {
        const sender = await startFlowTo(url, { type: NOTE.type, node: NOTE.node, ...keys })
        const sent = await sender.send({ payload: fixture('chart.png') })
        const flow = await startFlowTo(url, { type: 'redox-log', ...keys })
        const { redox } = (await flow.outcome({ redox: sent['redox'] })).answer!
        assert.equal(redox.deliveries[0].attempts, 4)
      } finally {
        await sandbox.close()
      }
    })
  })

  it('does not guess what a status means that is not documented', async () => {
    statuses = { [IDS[0]]: ['archived'] }
    const error = await (await start()).fail(message([IDS[0]]), 'REDOX_NOT_CONFIRMED')
    assert.match(error.message, /has a status that is not known/)
  })

  it('gives up when a delivery is not final, or not found, in time', async () => {
    statuses = { [IDS[0]]: ['pending'] }
    const error = await (
      await start({ followMinutes: '0.05' })
    ).fail(message([...IDS]), 'REDOX_NOT_CONFIRMED')
    assert.match(error.message, /is not final yet; log 925d1617.* was not found/)
  })

  it('follows on while lookups fail for a time, and names the failure at the end', async () => {
    statuses = { [IDS[0]]: [503, 'succeeded'] }
    assert.ok((await (await start()).outcome(message([IDS[0]]))).answer)
    statuses = { [IDS[0]]: [500] }
    const error = await (
      await start({ followMinutes: '0.05' })
    ).fail(message([IDS[0]]), 'REDOX_NOT_CONFIRMED')
    assert.match(error.message, /could not be looked up \(REDOX_UNAVAILABLE\)/)
  })

  it('ends at once when the key is refused, and does not advise to send again', async () => {
    statuses = { [IDS[0]]: ['pending'], [IDS[1]]: [403] }
    const flow = await start()
    const error = await flow.fail(message([...IDS]), 'REDOX_FORBIDDEN')
    assert.equal(error.cause.retry, 'unknown')
  })

  it('shares the lookups of messages with the same log ID', async () => {
    statuses = { [IDS[0]]: ['pending', 'succeeded'] }
    const flow = await start()
    await Promise.all([1, 2, 3].map(() => flow.outcome(message([IDS[0], IDS[0]]))))
    assert.deepEqual([flow.emitted.length, asked(IDS[0])], [3, 2])
  })

  it('accepts log IDs that are numbers', async () => {
    statuses = { '4711': ['succeeded'] }
    const { redox } = (await (await start()).outcome(message([4711]))).answer!
    assert.equal(redox.deliveries[0].logId, '4711')
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

  it('counts the time from the arrival of the message, whatever is deployed', async () => {
    statuses = { [IDS[0]]: ['pending'] }
    const flow = await start({ followMinutes: '5' })
    flow.node.receive(message([IDS[0]]))
    await eventually('the log is asked for', () => asked(IDS[0]) > 0)
    skipSeconds(310)
    await flow.redeploy('nodes', { node: { name: 'other' } })
    await eventually('the time is over', () => flow.caught.length === 1)
    assert.equal(flow.caught[0]!['error'].code, 'REDOX_NOT_CONFIRMED')
  })

  const NAMED = new RegExp(
    `delivery of the message \\w+ is not confirmed \\(REDOX_NOT_CONFIRMED, log ID ${IDS.join(', ')}\\)`,
  )
  const unconfirmed = (): string[] => logged().filter((line) => NAMED.test(line))

  it('names the messages of a removed node in the log', async () => {
    statuses = { [IDS[0]]: ['pending'], [IDS[1]]: ['pending'] }
    const flow = await start()
    for (let times = 0; times < 2; times++) flow.node.receive(message([...IDS]))
    await eventually('the log is asked for', () => asked(IDS[0]) > 0)
    await flow.redeploy('full', { node: null })
    await eventually('the log names them', () => unconfirmed().length === 2)
    assert.match(unconfirmed()[0]!, /removed: nothing was emitted/)
  })

  it('follows on after a stop of the flows, which names the messages in the log', async () => {
    statuses = { [IDS[0]]: ['pending'], [IDS[1]]: ['succeeded'] }
    const flow = await start()
    flow.node.receive(message([...IDS]))
    await eventually('the logs are asked for', () => asked(IDS[0]) > 0)
    await flow.stop()
    await eventually('the log names it', () => unconfirmed().length === 1)
    assert.match(unconfirmed()[0]!, /continues when the flows start again, unless Node-RED stops/)
    statuses = { [IDS[0]]: ['succeeded'], [IDS[1]]: ['succeeded'] }
    await flow.start()
    await eventually('the message is emitted', () => flow.emitted.length === 1)
    assert.deepEqual(flow.caught, [])
  })

  it('hands a message to Catch whose connection is gone after a deploy', async () => {
    statuses = { [IDS[0]]: ['pending'] }
    const flow = await start()
    flow.node.receive(message([IDS[0]]))
    await eventually('the log is asked for', () => asked(IDS[0]) > 0)
    await flow.redeploy('full', { config: null })
    await eventually('the error is caught', () => flow.caught.length === 1)
    assert.equal(flow.caught[0]!['error'].code, 'REDOX_CONFIGURATION')
  })

  it('follows a thousand messages with a part of the rate limit and a few timers', async function () {
    this.timeout(60_000)
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const flow = await start()
    const before = timers()
    const ids = Array.from({ length: 1000 }, (_, at) => `log-${at}`)
    for (const id of ids) statuses[id] = ['succeeded']
    for (const id of ids) flow.node.receive(message([id]))
    // The others are still followed, so the status does not end with this error.
    const { error } = await flow.outcome(message([IDS[0]]))
    assert.equal(error?.code, 'REDOX_NOT_CONFIRMED')
    assert.match(error.message, /already follows 1000 messages/)
    assert.deepEqual(error.cause.logIds, [IDS[0]])
    await flow.showsStatus((text) => text.startsWith('1 not confirmed · following '))
    await eventually('the limit is reached', () => flow.emitted.length >= 390)
    await sleep(150)
    // Four lookups at once may each be the last one of the limit.
    const lookups = server.requests.filter(({ path }) => path.startsWith(LOGS)).length
    assert.ok(lookups <= 403, `${lookups} lookups`)
    assert.ok(timers() - before < 20, `${timers() - before} timers`)
    assert.deepEqual(flow.caught.length, 1)
    for (const expected of [790, 1000]) {
      skipSeconds(310)
      // The skipped time does not move the timers. The redeployed node asks at once.
      await flow.redeploy()
      await eventually('the next five minutes', () => flow.emitted.length >= expected)
    }
    assert.equal(new Set(flow.emitted.map(({ redox }) => redox.deliveries[0].logId)).size, 1000)
    assert.deepEqual([flow.emitted.length, flow.caught.length], [1000, 1])
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
