/** Each row of the table of outcomes; and the retries of the client, counted at a real server. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection, ConnectionConfig } from '../../nodes/lib/connection/connection'
import { ERROR_CODES, type Retry } from '../../src/error-codes'
import { takeMemory } from '../../src/file/file'
import { draftDataModel } from '../../src/message/datamodel'
import { validMessage, type PreparedMessage } from '../../src/message/prepared'
import type { OnProgress } from '../../src/redox/client-types'
import {
  classifyFailure,
  isTriedAgain,
  OUTCOMES,
  type AttemptFailure,
  type RequestKind,
  type OutcomeRule,
} from '../../src/transport/outcomes'
import { backoff } from '../../src/transport/retry'
import { LocalRateLimiter } from '../../src/transport/rate-limiter'
import { deliverDirect, uploadDirect } from '../../src/redox/direct-delivery'
import { sha256, sizedFile } from '../lib/fixtures'
import {
  connectTo,
  failing,
  isToken,
  never,
  serve,
  type Recorded,
  type Reply,
  type Server,
  UNKNOWN_HOST,
} from '../lib/redox'
import { eventually } from '../lib/eventually'

const PURPOSES: RequestKind[] = ['token', 'upload', 'send']

/** Decision after a failed attempt: a {@link Retry}, or `renew`: one repetition with a new token, then `connection`. */
type Fate = Retry | 'renew'
const fateOf = ({ retry, renewsToken }: OutcomeRule): Fate =>
  renewsToken && retry === 'connection' ? 'renew' : retry

/**
 * Specification in docs/design/outcomes.md, written a second time in another form: by failure and kind of request.
 */
// prettier-ignore
const SPECIFIED: [ending: AttemptFailure, token: Fate, upload: Fate, send: Fate][] = [
  [{ fault: 'aborted', sent: false }, 'safe', 'safe', 'safe'],
  [{ fault: 'aborted', sent: true }, 'safe', 'safe', 'unknown'],
  [{ fault: 'connect', sent: false }, 'safe', 'safe', 'safe'],
  [{ fault: 'tls', sent: false }, 'safe', 'safe', 'safe'],
  [{ fault: 'tls', sent: true }, 'connection', 'connection', 'connection'],
  [{ fault: 'proxy', sent: false }, 'safe', 'safe', 'safe'],
  [{ fault: 'proxyRefused', sent: false }, 'connection', 'connection', 'connection'],
  [{ fault: 'network', sent: true }, 'safe', 'safe', 'unknown'],
  [{ fault: 'timeout', sent: false }, 'safe', 'safe', 'safe'],
  [{ fault: 'timeout', sent: true }, 'safe', 'safe', 'unknown'],
  [{ fault: 'unreadable', sent: true }, 'safe', 'safe', 'unknown'],
  // `unclear` (2xx with JSON of unknown shape) occurs only for messages: token and upload responses must have a value.
  [{ fault: 'unclear', sent: true }, 'unknown', 'unknown', 'unknown'],
  ...[300, 302, 307].map((status) => [{ status }, 'never', 'never', 'never'] as [AttemptFailure, Fate, Fate, Fate]),
  [{ status: 400 }, 'connection', 'never', 'never'],
  [{ status: 401 }, 'connection', 'renew', 'renew'],
  [{ status: 401, ofSource: true }, 'connection', 'connection', 'connection'],
  [{ status: 403 }, 'connection', 'never', 'never'],
  [{ status: 404 }, 'never', 'never', 'never'],
  [{ status: 408 }, 'safe', 'safe', 'unknown'],
  [{ status: 409 }, 'never', 'never', 'never'],
  [{ status: 413 }, 'never', 'never', 'never'],
  [{ status: 422 }, 'never', 'never', 'never'],
  [{ status: 429 }, 'safe', 'safe', 'safe'],
  [{ status: 500 }, 'safe', 'safe', 'unknown'],
  [{ status: 501 }, 'safe', 'safe', 'unknown'],
  [{ status: 502 }, 'safe', 'safe', 'safe'],
  [{ status: 503 }, 'safe', 'safe', 'safe'],
  [{ status: 504 }, 'safe', 'safe', 'unknown'],
  [{ status: 599 }, 'safe', 'safe', 'unknown'],
]

describe('table of outcomes', () => {
  for (const [ending, ...fates] of SPECIFIED) {
    it(`${JSON.stringify(ending)}: ${fates.join(', ')}`, () => {
      assert.deepEqual(
        PURPOSES.map((purpose) => fateOf(classifyFailure(ending, purpose))),
        fates,
      )
    })
  }

  it('has no unused row', () => {
    const endings = [...SPECIFIED.map(([ending]) => ending), ...[1, 200, 999].map((status) => ({ status }))]
    const decisive = new Set(
      endings.flatMap((ending) => PURPOSES.map((purpose) => classifyFailure(ending, purpose))),
    )
    assert.deepEqual(
      OUTCOMES.filter((row) => !decisive.has(row)),
      [],
    )
  })

  it('has the code REDOX_OUTCOME_UNKNOWN exactly for unknown outcomes', () => {
    for (const { retry, code } of OUTCOMES)
      assert.equal(retry === 'unknown', code === 'REDOX_OUTCOME_UNKNOWN', code)
  })

  it('agrees with the table of codes, except for a certificate that may be corrected', () => {
    const others = OUTCOMES.filter(({ retry, code }) => retry !== ERROR_CODES[code].retry)
    assert.deepEqual(
      others.map(({ fault, sent, code }) => [fault, sent, code]),
      [['tls', false, 'REDOX_TLS']],
    )
  })
})

describe('retries by kind of failure', () => {
  const cases: [Retry, direct: boolean, durable: boolean][] = [
    ['never', false, false],
    ['safe', true, true],
    ['connection', false, true],
    ['unknown', false, false],
  ]
  for (const [retry, direct, durable] of cases)
    it(`${retry}: ${direct ? 'again' : 'the end'} directly, ${durable ? 'again' : 'parked'} durably`, () => {
      const tried = (repeatUnknown: boolean) =>
        (['direct', 'durable'] as const).map((delivery) => isTriedAgain(retry, delivery, { repeatUnknown }))
      assert.deepEqual(tried(false), [direct, durable])
      assert.deepEqual(tried(true), retry === 'unknown' ? [true, true] : [direct, durable])
    })

  it('durable delivery: these codes of errors without a request', () => {
    const codes = Object.entries(ERROR_CODES).filter(([, { retry }]) =>
      isTriedAgain(retry, 'durable', { repeatUnknown: false }),
    )
    assert.deepEqual(codes.map(([code]) => code.replace('REDOX_', '')).sort(), [
      ...[
        'ABORTED',
        'AUTHENTICATION',
        'CONFIGURATION',
        'NETWORK',
        'QUEUE_FULL',
        'RATE_LIMITED',
        'STORE_FULL',
      ],
      ...['STORE_LOCKED', 'STORE_NEWER', 'STORE_UNAVAILABLE', 'TIMEOUT', 'TLS', 'UNAVAILABLE'],
    ])
  })
})

describe('wait before a retry', () => {
  it('is random below a limit that doubles, and never less than the server requested', () => {
    for (const [attempt, bound] of [
      [1, 1000],
      [2, 2000],
      [5, 16_000],
      [20, 300_000],
    ] as const) {
      const waits = Array.from({ length: 200 }, () => backoff(attempt))
      assert.ok(Math.max(...waits) <= bound && Math.max(...waits) > bound * 0.8)
      assert.ok(Math.min(...waits) < bound * 0.2)
    }
    assert.ok(backoff(1, { retryAfterSeconds: 7 }) >= 7000)
    assert.ok(backoff(1, { retryAfterSeconds: 7, longestMs: 10 }) >= 7000)
    const capped = Array.from({ length: 200 }, () => backoff(20, { longestMs: 60_000 }))
    assert.equal(Math.max(...capped), 60_000)
  })
})

describe('rate limiter', () => {
  it('allows its number of requests in five minutes, and counts each', async () => {
    const pace = new LocalRateLimiter(3)
    for (let n = 0; n < 3; n++) await pace.acquire(never())
    await assert.rejects(pace.acquire(AbortSignal.timeout(50)), { name: 'AbortError' })
    assert.ok(pace.millisecondsLeft() > 299_000)
    const free = new LocalRateLimiter(0)
    for (let n = 0; n < 10_000; n++) await free.acquire(never())
  })

  it('lets no message wait beyond the time for retries', async () => {
    const pace = new LocalRateLimiter(1)
    assert.equal(await pace.acquire(never()), 0)
    // If it waited, it would wait longer than a test may.
    assert.ok((await pace.acquire(never(), performance.now() + 120_000)) > 280_000)
  })

  it('delays all requests during a pause', async () => {
    const pace = new LocalRateLimiter(0)
    pace.pause(200)
    const began = Date.now()
    await Promise.all([1, 2, 3].map(() => pace.acquire(never())))
    assert.ok(Date.now() - began >= 190)
  })
})

// ---- With a server -------------------------------------------------------------------------------------

const FILE = sizedFile(300_000)
const file = takeMemory(FILE, { where: 'x', filename: 'a.pdf' }).file
const DESTINATION = 'af394f14-b34a-464f-8d24-895f370af4c9'
const ACCEPTED: Reply = { body: { Meta: { Logs: [{ ID: 'log-1' }] } } }
const reset: Reply = (response) => void response.socket!.resetAndDestroy()
const purposeOf = (request: Recorded): RequestKind =>
  isToken(request) ? 'token' : request.path === '/upload' ? 'upload' : 'send'

const message = validMessage(
  draftDataModel(
    {
      model: 'Notes',
      eventType: 'New',
      destinations: [DESTINATION],
      data: { Patient: { Identifiers: [{ ID: '1', IDType: 'MR' }] } },
      fields: [
        { path: 'Note.DocumentType', value: 'Consent Form' },
        { path: 'Note.DocumentID', value: 'd-1' },
        { path: 'Note.Provider.ID', value: 'p-1' },
      ],
      files: [{ file, way: 'upload' }],
      now: new Date(),
    },
    { test: true },
  ),
)

const fhirMessage: PreparedMessage = {
  api: 'fhir',
  operation: 'DiagnosticReport/$diagnosticreport-create',
  slug: 'redox-fhir-sandbox',
  body: { resourceType: 'Bundle', id: 'b-1', entry: [] },
  attachments: [],
}

describe('retries', function () {
  this.timeout(30_000)
  let server: Server
  let connection: Connection
  let fails: Partial<Record<RequestKind, Reply[]>>

  beforeEach(async () => {
    fails = {}
    server = await serve((request) => {
      const purpose = purposeOf(request)
      const failure = fails[purpose]?.shift()
      if (failure) return failure
      if (purpose === 'token') return { body: { access_token: `token-${Math.random()}`, expires_in: 300 } }
      return purpose === 'upload' ? { status: 201, body: { URI: `${server.url}/file/1` } } : ACCEPTED
    })
  })
  afterEach(async () => {
    await connection.client.close()
    await server.close()
  })
  const connect = (config: ConnectionConfig = {}): void =>
    void (connection = connectTo(server.url, { attempts: 3, answerTimeout: 2, ...config }))
  const deliver = (onProgress: OnProgress = () => undefined) =>
    deliverDirect(connection.client, message, { signal: never(), onProgress })
  const counted = (): Record<RequestKind, number> => {
    const count = (purpose: RequestKind) => server.requests.filter((one) => purposeOf(one) === purpose).length
    return { token: count('token'), upload: count('upload'), send: count('send') }
  }

  const RETRIED: [string, Reply][] = [
    ['429', { status: 429 }],
    ['502 with HTML', { status: 502, body: '<html>Bad Gateway</html>' }],
    ['503', { status: 503 }],
  ]
  const RETRIED_BUT_FOR_A_SEND: [string, Reply][] = [
    ['408', { status: 408 }],
    ['500', { status: 500 }],
    ['504 with HTML', { status: 504, body: '<html>Gateway Time-out</html>' }],
    ['a reset', reset],
    ['no answer in time', () => undefined],
    [
      'headers, then a reset',
      (response) => {
        response.writeHead(200, { 'content-length': '100' })
        response.write('{', () => response.socket!.resetAndDestroy())
      },
    ],
  ]

  for (const purpose of PURPOSES) {
    for (const [what, failure] of purpose === 'send' ? RETRIED : [...RETRIED, ...RETRIED_BUT_FOR_A_SEND]) {
      it(`of ${purpose}, ${what}: the repeated request has every byte`, async () => {
        connect()
        fails[purpose] = [failure]
        const { attempts, files } = await deliver()
        assert.deepEqual(counted(), { token: 1, upload: 1, send: 1, [purpose]: 2 })
        assert.equal(attempts, purpose === 'token' ? 2 : 3)
        assert.equal(files[0]!.sha256, sha256(FILE))
        for (const { body, headers } of server.requests.filter(({ path }) => path === '/upload')) {
          assert.equal(body.length, Number(headers['content-length']))
          assert.ok(body.includes(FILE))
        }
      })
    }
  }

  for (const [what, failure] of RETRIED_BUT_FOR_A_SEND) {
    it(`never happen for a send with unknown outcome: ${what}`, async () => {
      connect()
      fails.send = [failure]
      const error = await failing('REDOX_OUTCOME_UNKNOWN', deliver)
      assert.equal(error.cause.attempts, 1)
      assert.deepEqual(error.cause.identifiers, { DocumentID: 'd-1' })
      assert.deepEqual(counted(), { token: 1, upload: 1, send: 1 })
    })

    it(`happen for a send with unknown outcome if set so, with the same body: ${what}`, async () => {
      connect({ repeatUnknown: 'yes' })
      fails.send = [failure]
      assert.equal((await deliver()).attempts, 3)
      const [first, second] = server.requests.filter((one) => purposeOf(one) === 'send')
      assert.deepEqual(second!.body, first!.body)
      assert.equal(counted().upload, 1)
    })
  }

  it('keep an unknown outcome unknown, whatever the repetition ends with', async () => {
    for (const last of [{ status: 400 }, { status: 401 }, { status: 502 }] as Reply[]) {
      connect({ repeatUnknown: 'yes', attempts: 2 })
      fails = { send: [{ status: 500 }, last, last] }
      const error = await failing('REDOX_OUTCOME_UNKNOWN', deliver)
      assert.ok(error.cause.attempts! >= 2)
      await connection.client.close()
    }
    connect({ repeatUnknown: 'yes', attempts: 2 })
    fails = { send: [{ status: 500 }] }
    const stop = new AbortController()
    const sending = deliverDirect(connection.client, message, {
      signal: stop.signal,
      onProgress: ({ phase }) => {
        if (phase === 'retry') stop.abort()
      },
    })
    await failing('REDOX_OUTCOME_UNKNOWN', () => sending)
  })

  it('count tokens, uploads and messages for the limit in five minutes', async () => {
    connect({ perFiveMinutes: 3, retryFor: 1 })
    await deliver()
    const { cause } = await failing('REDOX_RATE_LIMITED', deliver, /the limit is reached/)
    assert.ok(cause.retryAfterSeconds! > 200)
    assert.deepEqual(counted(), { token: 1, upload: 1, send: 1 })
  })

  it('wait within the limit of bytes, and in any number', async () => {
    for (const [limits, waits] of [
      [{ waitingMb: 0.7 }, 2],
      [{ waitingMb: 0.2 }, 0],
    ] as const) {
      connect({ sendsAtOnce: 1, answerTimeout: 5, ...limits })
      let answer = (): void => undefined
      const answered = new Promise<void>((resolve) => (answer = resolve))
      fails = { token: [async (response) => (await answered, void response.destroy())] }
      const sending = Array.from({ length: 1 + waits }, () => deliver())
      await failing('REDOX_QUEUE_FULL', deliver)
      answer()
      await Promise.all(sending)
      await connection.client.close()
    }
  })

  /** Settings with the host of each kind of request. Each test makes one host unreachable; the token endpoint works. */
  const HOSTS: [what: string, field: string, path: string, api: 'datamodel' | 'fhir', RequestKind][] = [
    ['blob upload', 'blobUploadUrl', '/upload', 'datamodel', 'upload'],
    ['Binary upload', 'binaryUploadBase', '', 'fhir', 'upload'],
    ['FHIR message', 'fhirBase', '', 'fhir', 'send'],
  ]
  for (const [what, field, path, api, purpose] of HOSTS) {
    const request = () =>
      purpose === 'upload'
        ? uploadDirect(connection.client, file, { kind: api === 'fhir' ? 'binary' : 'blob', signal: never() })
        : deliverDirect(connection.client, fhirMessage, { signal: never() })
    for (const [fault, url, code] of [
      ['no listener', 'http://127.0.0.1:1', 'REDOX_NETWORK'],
      ['a name that is none', `https://${UNKNOWN_HOST}`, 'REDOX_NETWORK'],
      ['no TLS', 'https', 'REDOX_TLS'],
    ] as const)
      it(`to ${what}, ${fault}: ${code} after all attempts, and nothing was sent`, async () => {
        const host = url === 'https' ? server.url.replace('http:', 'https:') : url
        connect({ attempts: 2, [field]: host + path })
        const { cause } = await failing(code, request)
        assert.equal(cause.attempts, 2)
        assert.deepEqual(counted(), { token: 1, upload: 0, send: 0 })
      })
  }

  it('last until an unavailable endpoint works again', async () => {
    connect({ attempts: 6, answerTimeout: 5 })
    await deliverDirect(connection.client, fhirMessage, { signal: never() })
    const port = Number(new URL(server.url).port)
    await server.close()
    let retries = 0
    const sending = deliver(({ phase }) => phase === 'retry' && retries++)
    await eventually('it was tried twice', () => retries >= 2)
    const { attempts } = await serve(
      ({ path }) => (path === '/upload' ? { status: 201, body: { URI: 'http://127.0.0.1/1' } } : ACCEPTED),
      undefined,
      undefined,
      port,
    ).then(async (back) => {
      server = back
      return sending
    })
    assert.ok(attempts > 2)
    assert.deepEqual(counted(), { token: 0, upload: 1, send: 1 })
  })

  it('end after the configured number of attempts, with the last answer', async () => {
    for (const attempts of [1, 2]) {
      connect({ attempts })
      server.requests.length = 0
      fails = { send: [{ status: 503 }, { status: 503 }, { status: 503 }] }
      const error = await failing('REDOX_UNAVAILABLE', deliver)
      assert.equal(counted().send, attempts)
      assert.equal(error.cause.attempts, attempts)
      await connection.client.close()
    }
  })

  it('end before the deadline passes', async () => {
    // If it waited for the deadline or for Retry-After, it would wait longer than a test may.
    connect({ attempts: 100, retryFor: 120 })
    fails.send = Array.from({ length: 100 }, () => ({ status: 503, headers: { 'retry-after': '200' } }))
    const error = await failing('REDOX_UNAVAILABLE', deliver)
    assert.equal(error.cause.attempts, 1)
  })

  it('wait as long as Retry-After requests, and so do all messages of the connection', async () => {
    connect()
    fails.upload = [{ status: 429, headers: { 'retry-after': '1' } }]
    const began = Date.now()
    let first!: Promise<unknown>
    await new Promise<void>((resolve) => {
      first = deliver(({ phase }) => phase === 'retry' && resolve())
    })
    const told = server.requests.length
    const second = deliver()
    await eventually('a request came', () => server.requests.length > told)
    assert.ok(Date.now() - began >= 1000, 'a request did not wait')
    await Promise.all([first, second])
    assert.deepEqual(counted(), { token: 1, upload: 3, send: 2 })
  })

  it('do not wait for a pause beyond the time for retries: REDOX_RATE_LIMITED at once, nothing is sent', async () => {
    connect({ retryFor: 120 })
    fails.upload = [{ status: 429, headers: { 'retry-after': '3600' } }]
    await failing('REDOX_RATE_LIMITED', deliver)
    const error = await failing('REDOX_RATE_LIMITED', deliver, /(2[89]\d|300) s/)
    // The wait is never longer than the period for which Redox counts requests (300 s), even if Retry-After is longer.
    assert.ok(error.cause.retryAfterSeconds! > 280)
    assert.deepEqual(counted(), { token: 1, upload: 1, send: 0 })
  })

  it('report no failed attempt if no request was made', async () => {
    // The token, the upload and the first attempt use up the rate limit of three requests.
    connect({ repeatUnknown: 'yes', perFiveMinutes: 3, retryFor: 5 })
    fails.send = [{ status: 500 }]
    const reported: string[] = []
    const onFailure = (code: string): unknown => reported.push(code)
    const sending = () => deliverDirect(connection.client, message, { signal: never(), onFailure })
    await failing('REDOX_OUTCOME_UNKNOWN', sending)
    assert.deepEqual(counted(), { token: 1, upload: 1, send: 1 })
    assert.deepEqual(reported, ['REDOX_OUTCOME_UNKNOWN'])
  })

  it('do not count the repetition after a refused token', async () => {
    connect({ attempts: 1 })
    fails.send = [{ status: 401 }]
    await deliver()
    assert.deepEqual(counted(), { token: 2, upload: 1, send: 2 })
    fails.send = [{ status: 401 }, { status: 401 }, { status: 401 }]
    await failing('REDOX_AUTHENTICATION', deliver)
    assert.equal(counted().send, 4)
  })

  it('report a token request beyond the time for retries without the code of a rate limit', async () => {
    connect({ retryFor: 0.05 })
    fails.token = [
      async (response) => {
        await sleep(100)
        response.writeHead(200, { 'content-type': 'application/json' })
        response.end(JSON.stringify({ access_token: 't', expires_in: 300 }))
      },
    ]
    await deliver()
  })

  it('end on a stop as not sent, because no attempt was processed', async () => {
    connect()
    fails.send = [{ status: 503, headers: { 'retry-after': '20' } }]
    const stop = new AbortController()
    await failing('REDOX_ABORTED', () =>
      deliverDirect(connection.client, message, {
        signal: stop.signal,
        onProgress: ({ phase }) => {
          if (phase === 'retry') setTimeout(() => stop.abort(), 20)
        },
      }),
    )
    assert.equal(counted().send, 1)
  })

  it('of a thousand simultaneous messages: one token, all delivered, none twice', async () => {
    connect({ sendsAtOnce: 16 })
    const small = takeMemory(Buffer.from('%PDF-1.4 small'), { where: 'x' }).file
    const attachments = [{ way: 'embed' as const, path: ['Note', 'FileContents'], file: small }]
    const one = { ...message, attachments }
    const all = Array.from({ length: 1000 }, (_, n) => {
      const body = { ...one.body, Note: { ...(one.body.Note as object), DocumentID: `d-${n}` } }
      return deliverDirect(connection.client, { ...one, body }, { signal: never() })
    })
    await Promise.all(all)
    assert.deepEqual(counted(), { token: 1, upload: 0, send: 1000 })
    const ids = server.requests.map(({ body }) => /"DocumentID":"(d-\d+)"/.exec(body.toString())?.[1])
    assert.equal(new Set(ids.filter(Boolean)).size, 1000)
  })
})
