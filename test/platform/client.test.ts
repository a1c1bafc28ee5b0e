import assert from 'node:assert/strict'
import { PlatformClient, type PlatformSettings } from '../../src/platform/client'
import { DEFAULT_HTTP, PLATFORM_QUOTA } from '../../src/redox/settings'
import type { RequestLog } from '../../src/transport/rate-limiter'
import {
  failing,
  never,
  serve,
  TEST_KEY,
  TOKEN_PATH,
  type Recorded,
  type Reply,
  type Server,
} from '../lib/redox'

const LOG_ID = 'd9f5d293-7110-461e-a875-3beb089e79f3'
const ORGANIZATION = 'org-1'
const ENVIRONMENT = '3f1e2d9c-0000-4000-8000-000000000001'
const LOG_PATH = `/platform/v1/organizations/${ORGANIZATION}/logs/${LOG_ID}`
const SEARCH_PATH = `/platform/v1/environments/${ENVIRONMENT}/logs/search/metadata`
const CANARY = 'Quuxworth'
const META = { version: '1.0.0' }

/** Answer for one log in the shape of the current documentation (docs/redox-api.md#delivery-status). */
const current = (status: unknown, latest: object = {}): Reply => ({
  body: { meta: META, payload: { result: { attempts: { total: 2, latest: { status, ...latest } } } } },
})
/** Answer for one log in the older shape. */
const older = (status: unknown, latest: object = {}): Reply => ({
  body: { meta: META, payload: { status, type: 'request', attempts: { latest } } },
})

describe('the client of the Platform API', () => {
  let server: Server
  let client: PlatformClient
  let script: (request: Recorded) => Reply
  let tokens: number

  const settings = (): PlatformSettings => ({
    apiBase: server.url,
    credentials: {
      kind: 'oauth',
      clientId: 'user-client',
      keyId: 'user-key',
      privateKey: TEST_KEY,
      tokenUrl: `${server.url}${TOKEN_PATH}`,
      audience: `${server.url}${TOKEN_PATH}`,
    },
    organizationId: ORGANIZATION,
    environmentId: ENVIRONMENT,
    http: DEFAULT_HTTP,
  })
  const token: Reply = (response) =>
    void response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ access_token: `token-${++tokens}`, token_type: 'Bearer', expires_in: 300 }))
  const answerLogs = (reply: Reply): void => {
    script = ({ path }) => (path === TOKEN_PATH ? token : reply)
  }

  beforeEach(async () => {
    tokens = 0
    server = await serve((request) => script(request))
    client = new PlatformClient(settings())
  })
  afterEach(async () => {
    await client.close()
    await server.close()
  })

  it('asks for a log by its id, with a token of its own key', async () => {
    answerLogs(current('succeeded', { attemptAt: '2026-11-28T10:00:00.000Z' }))
    assert.deepEqual(await client.logById(LOG_ID, never()), {
      status: 'succeeded',
      attempts: 2,
      attemptAt: '2026-11-28T10:00:00.000Z',
    })
    const [asked] = server.to(LOG_PATH)
    assert.equal(asked?.headers.authorization, 'Bearer token-1')
    assert.equal(asked?.body.length, 0)
    assert.equal(asked?.headers['content-length'], undefined)
    assert.match(String(server.to(TOKEN_PATH)[0]?.body), /client_assertion=/)
  })

  const failure = { stage: 'request', code: '422', reason: 'No such patient' }
  const stages = { request: { code: 422, error: { message: 'No such patient' } }, response: {} }
  const cases: [name: string, reply: Reply, expected: object][] = [
    ['succeeded, older shape', older('succeeded'), { status: 'succeeded' }],
    [
      'failed, by the latest attempt alone',
      current('failed', { failedStage: 'request', stages }),
      { status: 'failed', attempts: 2, failure, mayBeRepeated: true },
    ],
    [
      'failed, by the log and its latest attempt',
      older('failed', { status: 'failed', stages }),
      { status: 'failed', failure },
    ],
    [
      'failed, older shape',
      older('failed', { failedStage: 'request', stages }),
      { status: 'failed', failure },
    ],
    ['failed, without failedStage', older('failed', { stages }), { status: 'failed', failure }],
    ['failed, without a reason', older('failed'), { status: 'failed' }],
    ['filtered', current('filtered'), { status: 'filtered', attempts: 2 }],
    ['pending', current('pending'), { status: 'pending', attempts: 2 }],
    ['failed while Redox repeats', older('pending', { status: 'failed', stages }), { status: 'pending' }],
    ['contradiction', older('succeeded', { status: 'failed' }), { status: 'unknown' }],
    ['unknown status', current('archived'), { status: 'unknown', attempts: 2 }],
    ['status of another case', older('Succeeded'), { status: 'unknown' }],
    ['number as status', older(1), { status: 'unknown' }],
    [
      'no attempt yet',
      { body: { payload: { result: { attempts: { total: 0 } } } } },
      { status: 'pending', attempts: 0 },
    ],
    ['no status', { body: { payload: { result: {} } } }, { status: 'unknown' }],
    [
      'attempts of another type',
      { body: { payload: { status: 'failed', attempts: 3 } } },
      { status: 'failed' },
    ],
    [
      'a sentence as stage and code',
      older('failed', { failedStage: `${CANARY} was refused`, stages: { a: { code: 'not found, he is' } } }),
      { status: 'failed' },
    ],
    [
      'a name as stage and code',
      older('failed', { failedStage: CANARY, stages: { Quux: { code: CANARY } } }),
      { status: 'failed' },
    ],
    [
      'a date as code',
      older('failed', { failedStage: 'request', stages: { request: { code: 19310719 } } }),
      { status: 'failed', failure: { stage: 'request' } },
    ],
  ]
  for (const [name, reply, expected] of cases)
    it(`reads a log: ${name}`, async () => {
      answerLogs(reply)
      assert.deepEqual(await client.logById(LOG_ID, never()), expected)
    })

  it('finds no log if Redox answers 404', async () => {
    answerLogs({ status: 404, body: { message: CANARY } })
    assert.equal(await client.logById(LOG_ID, never()), undefined)
  })

  it('shares a request between callers that ask for the same log', async () => {
    answerLogs(current('pending'))
    const both = [client.logById(LOG_ID, never()), client.logById(LOG_ID, never())]
    assert.deepEqual(...((await Promise.all(both)) as [unknown, unknown]))
    assert.equal(server.to(LOG_PATH).length, 1)
  })

  it('repeats a lookup once with a new token', async () => {
    script = ({ path, headers }) =>
      path === TOKEN_PATH
        ? token
        : headers.authorization === 'Bearer token-1'
          ? { status: 401 }
          : older('pending')
    assert.equal((await client.logById(LOG_ID, never()))?.status, 'pending')
    assert.equal(server.to(LOG_PATH).length, 2)
  })

  const refusals: [status: number, code: Parameters<typeof failing>[0]][] = [
    [400, 'REDOX_REJECTED'],
    [401, 'REDOX_AUTHENTICATION'],
    [403, 'REDOX_FORBIDDEN'],
    [500, 'REDOX_UNAVAILABLE'],
  ]
  for (const [status, code] of refusals)
    it(`reports ${status} without a word of the answer`, async () => {
      answerLogs({ status, body: { errorDetail: `${CANARY} is not yours`, payload: { name: CANARY } } })
      const error = await failing(code, () => client.logById(LOG_ID, never()), /^Platform API: /)
      assert.equal(error.cause.status, status)
      assert.doesNotMatch(`${error.message} ${JSON.stringify(error.cause)} ${error.cause}`, /Quux|not yours/)
      assert.doesNotMatch(error.message, /Nothing was sent/)
    })

  it('reports an answer that is not of the Platform API', async () => {
    answerLogs({ body: `<html>${CANARY}</html>` })
    const error = await failing('REDOX_UNAVAILABLE', () => client.logById(LOG_ID, never()))
    assert.doesNotMatch(JSON.stringify([error.message, error.cause]), /Quux/)
  })

  it('reports why the token endpoint refused the key, without the assertion', async () => {
    script = ({ body }) => ({
      status: 401,
      body: { error: 'invalid_client', error_description: `Public key not found ${body.toString()}` },
    })
    const error = await failing('REDOX_AUTHENTICATION', () => client.authenticate(), /Public key not found/)
    assert.doesNotMatch(JSON.stringify([error.message, error.cause]), /eyJ/)
  })

  it('waits as long as Redox asks after a 429, with all requests', async () => {
    const requests: RequestLog = { pausedUntil: 0, made: [] }
    const other = new PlatformClient(settings(), requests)
    answerLogs({ status: 429, headers: { 'retry-after': '120' } })
    try {
      const error = await failing('REDOX_RATE_LIMITED', () => other.logById(LOG_ID, never()))
      assert.equal(error.cause.retryAfterSeconds, 120)
      await failing('REDOX_RATE_LIMITED', () => other.logById('another', never()), /possible in 1[12]\d s/)
      assert.equal(server.to(LOG_PATH).length, 1)
    } finally {
      await other.close()
    }
  })

  it('makes no more requests in five minutes than its share', async () => {
    const made = Array.from({ length: PLATFORM_QUOTA - 1 }, () => performance.now())
    const other = new PlatformClient(settings(), { pausedUntil: 0, made })
    answerLogs(current('pending'))
    try {
      // The token was the last request of the share.
      await failing('REDOX_RATE_LIMITED', () => other.logById(LOG_ID, never()))
      assert.equal(server.to(LOG_PATH).length, 0)
    } finally {
      await other.close()
    }
  })

  it('leaves a part of the share to lookups that a person waits for', async () => {
    const made = Array.from({ length: 400 }, () => performance.now())
    const other = new PlatformClient(settings(), { pausedUntil: 0, made })
    answerLogs(current('pending'))
    try {
      const error = await failing('REDOX_RATE_LIMITED', () => other.followedLog(LOG_ID))
      assert.ok(error.cause.retryAfterSeconds! > 200)
      assert.equal((await other.logById(LOG_ID, never()))?.status, 'pending')
      assert.equal(server.to(LOG_PATH).length, 1)
    } finally {
      await other.close()
    }
  })

  it('names a missing organization, and asks nothing', async () => {
    const other = new PlatformClient({ ...settings(), organizationId: ' ' })
    const error = await failing(
      'REDOX_CONFIGURATION',
      () => other.logById(LOG_ID, never()),
      /Organization ID/,
    )
    assert.equal(error.cause.field, 'organizationId')
    assert.equal(server.requests.length, 0)
    await other.close()
  })

  it('searches by metadata, page by page', async () => {
    const results = [
      { id: LOG_ID, status: 'failed', dataModel: 'Media', destinationId: 'd', createdAt: 'x', sourceId: 3 },
      { status: 'succeeded' },
      'noise',
    ]
    answerLogs({ body: { meta: { ...META, page: { nextCursor: 'next' } }, payload: { results } } })
    const createdAfter = new Date('2026-11-28T10:00:00Z')
    const criteria = { createdAfter, dataModel: 'Media', destinationId: 'd', status: 'failed' as const }
    const page = await client.search(criteria, { signal: never(), count: 3, cursor: 'a b' })
    assert.deepEqual(page, {
      logs: [{ id: LOG_ID, status: 'failed', dataModel: 'Media', destinationId: 'd', createdAt: 'x' }],
      nextCursor: 'next',
    })
    const [asked] = server.to(`${SEARCH_PATH}?_count=3&_cursor=a+b`)
    assert.deepEqual(JSON.parse(String(asked?.body)), {
      ...criteria,
      createdAfter: '2026-11-28T10:00:00.000Z',
    })
  })

  it('ends the last page of a search without a cursor', async () => {
    answerLogs({ body: { payload: { logs: [] } } })
    assert.deepEqual(await client.search({}, { signal: never() }), { logs: [] })
  })

  it('stops a lookup when its client is closed', async () => {
    answerLogs(() => void client.close())
    await assert.rejects(client.logById(LOG_ID, never()))
  })
})
