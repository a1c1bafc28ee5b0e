/** Logs that may be those of a message whose outcome is unknown, and how they compare with the message. */
import assert from 'node:assert/strict'
import { findCandidates, type SoughtMessage } from '../../src/platform/candidates'
import { PlatformClient } from '../../src/platform/client'
import { DEFAULT_HTTP } from '../../src/redox/settings'
import { never, serve, TEST_KEY, TOKEN_PATH, type Recorded, type Server } from '../lib/redox'

const AT = Date.parse('2026-11-28T10:00:00.000Z')
const NOTE: SoughtMessage = {
  ...{ api: 'datamodel', operation: 'Notes:New', sourceId: 'source-1', destinations: ['destination-1'] },
  ...{ requestedAt: AT, since: AT, till: AT + 30_000 },
}
const LOG = {
  ...{ id: 'log-1', status: 'succeeded', dataModel: 'Notes', eventType: 'New', sourceId: 'source-1' },
  ...{ destinationId: 'destination-1', createdAt: '2026-11-28T10:00:02.000Z' },
}

describe('candidates in the logs of Redox', () => {
  let server: Server
  let client: PlatformClient
  let page: (cursor: string | null) => object
  beforeEach(async () => {
    server = await serve(({ path }: Recorded) => {
      if (path === TOKEN_PATH) return { body: { access_token: 't', token_type: 'Bearer', expires_in: 300 } }
      return { body: page(new URL(path, server.url).searchParams.get('_cursor')) }
    })
    client = new PlatformClient({
      ...{ apiBase: server.url, organizationId: 'org-1', environmentId: 'env-1', http: DEFAULT_HTTP },
      credentials: {
        ...{ kind: 'oauth', clientId: 'user', keyId: 'key', privateKey: TEST_KEY },
        ...{ tokenUrl: server.url + TOKEN_PATH, audience: server.url + TOKEN_PATH },
      },
    })
  })
  afterEach(async () => {
    await client.close()
    await server.close()
  })
  const answer = (logs: object[], nextCursor?: string): object => ({
    meta: { page: { ...(nextCursor !== undefined && { nextCursor }) } },
    payload: { results: logs },
  })
  const searches = (): object[] =>
    server.requests.filter(({ path }) => path !== TOKEN_PATH).map(({ body }) => JSON.parse(body.toString()))

  it('are searched by time, model, event, source and destination', async () => {
    page = () => answer([LOG])
    const { candidates, isComplete, since, till } = await findCandidates(client, NOTE, never())
    assert.deepEqual(candidates, [
      {
        ...{ logId: 'log-1', status: 'succeeded', createdAt: LOG.createdAt, secondsAfter: 2 },
        ...{ operation: 'Notes:New', destinationId: 'destination-1' },
        ...{ same: ['operation', 'source', 'destination'], different: [] },
      },
    ])
    assert.equal(isComplete, true)
    assert.deepEqual(searches(), [
      {
        ...{ createdAfter: '2026-11-28T09:58:00.000Z', createdBefore: '2026-11-28T10:02:30.000Z' },
        ...{ dataModel: 'Notes', eventType: 'New', sourceId: 'source-1', destinationId: 'destination-1' },
      },
    ])
    assert.deepEqual(
      [since.toISOString(), till.toISOString()],
      ['2026-11-28T09:58:00.000Z', '2026-11-28T10:02:30.000Z'],
    )
  })

  it('of several destinations are searched without one', async () => {
    page = () =>
      answer([
        LOG,
        { ...LOG, id: 'log-2', destinationId: 'destination-2' },
        { ...LOG, id: 'log-3', destinationId: 'x' },
      ])
    const message = { ...NOTE, destinations: ['destination-1', 'destination-2'] }
    const { candidates } = await findCandidates(client, message, never())
    assert.ok(!('destinationId' in searches()[0]!))
    assert.deepEqual(
      candidates.map(({ logId, different }) => [logId, different]),
      [
        ['log-1', []],
        ['log-2', []],
        ['log-3', ['destination']],
      ],
    )
  })

  it('of a FHIR message are searched by time only, and other names prove nothing', async () => {
    page = () =>
      answer([
        { ...LOG, dataModel: 'FHIR', createdAt: '2026-11-28T10:00:01.000Z' },
        {
          ...LOG,
          id: 'log-2',
          dataModel: 'DocumentReference',
          eventType: '$create',
          destinationId: 'my-ehr',
        },
      ])
    const { sourceId: _source, ...rest } = NOTE
    const message: SoughtMessage = {
      ...rest,
      api: 'fhir',
      operation: 'DocumentReference/$create',
      destinations: ['my-ehr'],
    }
    const { candidates } = await findCandidates(client, message, never())
    assert.deepEqual(Object.keys(searches()[0]!), ['createdAfter', 'createdBefore'])
    assert.deepEqual(
      candidates.map(({ logId, same, different }) => [logId, same, different]),
      [
        ['log-2', ['operation', 'destination'], []],
        ['log-1', [], []],
      ],
    )
  })

  it('are not refused as long as Redox may repeat a delivery whose latest attempt failed', async () => {
    const { status: _status, ...log } = LOG
    const ago = (seconds: number): string => new Date(Date.now() - 1000 * seconds).toISOString()
    const failed = (attemptAt?: string): object => ({
      ...log,
      attempts: { latest: { status: 'failed', attemptAt } },
    })
    page = () =>
      answer([
        { ...failed(ago(120)), id: 'repeated' },
        { ...failed(), id: 'timeless' },
        { ...failed(ago(600)), id: 'over' },
        { ...failed(ago(120)), id: 'final', status: 'failed' },
      ])
    const { candidates } = await findCandidates(client, NOTE, never())
    assert.deepEqual(
      candidates.map(({ logId, status }) => [logId, status]),
      [
        ['repeated', 'pending'],
        ['timeless', 'pending'],
        ['over', 'failed'],
        ['final', 'failed'],
      ],
    )
  })

  it('come with the likeliest first, and without a time if one is not known', async () => {
    const at = (seconds: number, id: string): object => ({
      ...LOG,
      id,
      createdAt: new Date(AT + 1000 * seconds).toISOString(),
    })
    page = () =>
      answer([
        at(60, 'late'),
        at(-5, 'early'),
        { ...LOG, id: 'timeless', createdAt: 'x' },
        { ...at(0, 'other'), dataModel: 'Media' },
      ])
    const { candidates } = await findCandidates(client, NOTE, never())
    assert.deepEqual(
      candidates.map(({ logId, secondsAfter }) => [logId, secondsAfter]),
      [
        ['early', -5],
        ['late', 60],
        ['timeless', undefined],
        ['other', 0],
      ],
    )
    const { requestedAt: _requestedAt, ...unknown } = NOTE
    const untimed = await findCandidates(client, unknown, never())
    assert.ok(untimed.candidates.every(({ secondsAfter }) => secondsAfter === undefined))
  })

  it('are no logs of another time, and contain no text that could name a patient', async () => {
    const said = 'Quuxworth, born 1931-07-19'
    page = () =>
      answer([
        { ...LOG, id: 'old', createdAt: '2026-11-28T09:00:00.000Z' },
        { ...LOG, id: said },
        { ...LOG, dataModel: said, eventType: said, destinationId: said },
      ])
    const { candidates } = await findCandidates(client, NOTE, never())
    assert.equal(candidates.length, 1)
    assert.ok(!JSON.stringify(candidates).includes('Quux'))
  })

  const full = (name: string): object[] =>
    Array.from({ length: 50 }, (_, index) => ({ ...LOG, id: `${name}-${index}` }))
  for (const [name, pages, read, requests, complete] of [
    ['all pages', (cursor) => (cursor === null ? answer(full('a'), 'b') : answer([LOG])), 51, 2, true],
    ['no more than six pages', (cursor) => answer(full(cursor ?? 'a'), `${cursor ?? 'a'}b`), 300, 6, false],
    ['a repeated page once', () => answer(full('a'), 'b'), 50, 2, false],
    ['a full page without a cursor as one that may not be the last', () => answer(full('a')), 50, 1, false],
  ] as [string, (cursor: string | null) => object, number, number, boolean][])
    it(`read ${name}`, async () => {
      page = pages
      const { candidates, isComplete } = await findCandidates(client, NOTE, never())
      assert.deepEqual([candidates.length, searches().length, isComplete], [read, requests, complete])
    })
})
