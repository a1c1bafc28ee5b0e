/** Every fault on every API: the response that a simple HTTP client gets, and the messages that the sandbox keeps. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { FAULTS } from '../../src/sandbox'
import type { RequestRecord } from '../../src/sandbox'
import type { FaultKind } from '../../src/sandbox/faults'
import type { Json } from './support'
import * as support from './support'
import { bearer, notes, sandbox, token } from './support'
import {
  listeners,
  open,
  send,
  ask,
  bodyOf,
  isJson,
  POSTS,
  APIS,
  SENDS,
  usualStatus,
  json,
  OPERATION,
  type Seen,
} from './fault-requests'
import { eventually } from '../lib/eventually'

interface Expectation {
  plan: string
  kind: FaultKind
  apis?: string[]
  patience?: number
  check: (seen: Seen, api: string) => void
}

const isReset = ({ status, error, syscall }: Seen): void => {
  assert.deepEqual([status, error, syscall], [undefined, 'ECONNRESET', 'read'])
}
const isPage =
  (wanted: number) =>
  ({ status, headers, body }: Seen): void => {
    assert.equal(status, wanted)
    assert.match(headers['content-type']!, /^text\/html/)
    assert.match(body.toString(), /^<!DOCTYPE html>/)
  }
/** By API: function that returns the error from a response. */
const ERRORS: Record<string, (seen: Seen) => unknown> = {
  token: (seen) => bodyOf(seen)['error'],
  legacy: ({ body }) => body.toString(),
  blob: (seen) => bodyOf(seen)['errorDetail'],
  Binary: (seen) => bodyOf(seen)['issue'][0].details.text,
  endpoint: (seen) => bodyOf(seen)['Meta'].Errors[0].Text,
  fhir: (seen) => bodyOf(seen)['issue'][0].severity === 'error',
}
const saysError =
  (wanted: number) =>
  (seen: Seen, api: string): void => {
    assert.equal(seen.status, wanted)
    assert.ok(ERRORS[api]!(seen), seen.body.toString())
  }
const isPlain =
  (wanted: number) =>
  ({ status, body }: Seen): void => {
    assert.equal(status, wanted)
    assert.match(body.toString(), /^[\w ]+$/)
  }
/** By API: function that returns the value of a response that a client needs (token, file reference or Location). */
const ADDRESS: Record<string, (seen: Seen) => unknown> = {
  token: (seen) => bodyOf(seen)['access_token'],
  legacy: (seen) => bodyOf(seen)['accessToken'],
  blob: (seen) => bodyOf(seen)['URI'],
  Binary: (seen) => seen.headers['location'] ?? bodyOf(seen)['id'],
  endpoint: (seen) => bodyOf(seen)['Meta'].Logs,
  fhir: (seen) => bodyOf(seen)['entry'][0].response.location,
}
const isUsual = (seen: Seen, api: string): void => {
  assert.equal(seen.error, undefined)
  assert.equal(seen.status, usualStatus(api))
  assert.ok(ADDRESS[api]!(seen))
}

const EXPECTED: Expectation[] = [
  ...[400, 403, 404, 408, 413, 500].map((status) => ({
    plan: String(status),
    kind: 'status' as const,
    check: saysError(status),
  })),
  ...[502, 503, 504, 302].map((status) => ({
    plan: String(status),
    kind: 'status' as const,
    check: isPage(status),
  })),
  { plan: '401', kind: 'status', check: isPlain(401) },
  {
    plan: '429',
    kind: 'status',
    check(seen) {
      isPlain(429)(seen)
      assert.equal(seen.headers['retry-after'], undefined)
      assert.equal(seen.headers['x-ratelimit-limit'], '7500')
    },
  },
  {
    plan: '429-retry-after=2',
    kind: 'status-retry-after',
    check(seen) {
      isPlain(429)(seen)
      assert.equal(seen.headers['retry-after'], '2')
      assert.equal(seen.headers['x-ratelimit-limit'], '7500')
    },
  },
  {
    plan: '503-retry-after=1',
    kind: 'status-retry-after',
    check(seen) {
      isPage(503)(seen)
      assert.equal(seen.headers['retry-after'], '1')
    },
  },
  { plan: '504-after-accept', kind: 'status-after-accept', check: isPage(504) },
  { plan: '500-after-accept', kind: 'status-after-accept', check: saysError(500) },
  {
    plan: 'redirect',
    kind: 'redirect',
    check({ status, headers }, api) {
      assert.equal(status, 307)
      assert.ok(headers.location!.startsWith('http://redirected.invalid/'), api)
    },
  },
  {
    plan: 'redirect=https://elsewhere.example:8443',
    kind: 'redirect',
    check({ headers }) {
      assert.match(headers.location!, /^https:\/\/elsewhere\.example:8443\/\w/)
    },
  },
  { plan: 'reset-before-body', kind: 'reset-before-body', check: isReset },
  { plan: 'reset-mid-body', kind: 'reset-mid-body', check: isReset },
  { plan: 'reset-after-body', kind: 'reset-after-body', check: isReset },
  { plan: 'reset-after-accept', kind: 'reset-after-accept', check: isReset },
  { plan: 'refuse=0.05', kind: 'refuse', check: isReset },
  {
    plan: 'half-open',
    kind: 'half-open',
    patience: 1000,
    check: ({ status, error }) => assert.deepEqual([status, error], [undefined, 'silence']),
  },
  {
    plan: 'late=0.15',
    kind: 'late',
    check(seen, api) {
      isUsual(seen, api)
      assert.ok(seen.milliseconds >= 145, `${seen.milliseconds}`)
    },
  },
  {
    plan: 'slow-reader',
    kind: 'slow-reader',
    check(seen, api) {
      isUsual(seen, api)
      assert.ok(seen.milliseconds >= 95, `${seen.milliseconds}`)
    },
  },
  {
    plan: 'cut-short',
    kind: 'cut-short',
    check(seen, api) {
      assert.equal(seen.status, usualStatus(api))
      assert.ok(seen.body.length > 0 && seen.body.length < Number(seen.headers['content-length']))
      assert.equal(seen.error, 'ECONNRESET')
    },
  },
  {
    plan: 'truncated-json',
    kind: 'truncated-json',
    check(seen, api) {
      assert.deepEqual([seen.status, seen.error], [usualStatus(api), undefined])
      assert.equal(seen.body.length, Number(seen.headers['content-length']))
      assert.match(seen.body.toString(), /^\{/)
      assert.ok(!isJson(seen))
    },
  },
  { plan: 'not-json', kind: 'not-json', check: isPage(200) },
  {
    plan: 'gzip',
    kind: 'gzip',
    check(seen, api) {
      assert.equal(seen.headers['content-encoding'], 'gzip')
      isUsual({ ...seen, body: gunzipSync(seen.body) }, api)
    },
  },
  { plan: 'errors-inside', kind: 'errors-inside', check: saysError(200) },
  {
    plan: 'issues',
    kind: 'issues',
    apis: SENDS,
    check(seen, api) {
      assert.equal(seen.status, 200)
      const body = bodyOf(seen)
      const [{ Text, DestinationStatusCode }] = api === 'fhir' ? body['Issues'] : body['Meta'].Errors
      assert.deepEqual([Text, DestinationStatusCode], ['The destination refused the message', 400])
      assert.equal('resourceType' in body, false)
    },
  },
  {
    plan: 'no-subscription',
    kind: 'no-subscription',
    apis: ['endpoint'],
    check(seen) {
      assert.equal(seen.status, 400)
      const [{ Text, Module }] = bodyOf(seen)['Meta'].Errors
      assert.equal(Module, 'Subscriptions')
      assert.match(Text, /^No subscription for this source, destination and data model/)
    },
  },
  {
    plan: 'partial',
    kind: 'partial',
    apis: ['endpoint'],
    check(seen) {
      assert.equal(seen.status, 200)
      const { Logs, Errors } = bodyOf(seen)['Meta']
      assert.deepEqual([Logs.length, Errors.length], [0, 1])
    },
  },
  {
    plan: 'partial',
    kind: 'partial',
    apis: ['fhir'],
    check(seen) {
      assert.equal(seen.status, 200)
      const responses = bodyOf(seen)['entry'].map(({ response }: Json) => response)
      assert.deepEqual(
        responses.map(({ status, location }: Json) => [status, location !== undefined]),
        [
          ['201 Created', true],
          ['422 Unprocessable Entity', false],
        ],
      )
      assert.equal(responses[1].outcome.issue[0].severity, 'error')
    },
  },
  { plan: 'failed-later', kind: 'failed-later', apis: SENDS, check: isUsual },
  {
    plan: 'no-location',
    kind: 'no-location',
    check(seen, api) {
      assert.equal(seen.status, usualStatus(api))
      assert.equal(ADDRESS[api]!(seen), undefined)
      if (api === 'fhir') assert.equal(bodyOf(seen)['entry'].length, 2)
    },
  },
]

describe('sandbox: faults', () => {
  support.useSandbox()
  afterEach(() => Promise.all(listeners.splice(0).map((listener) => listener.close())))

  it('have a case in this file', () => {
    const walked = new Set(EXPECTED.map(({ kind }) => kind))
    assert.deepEqual([...walked].sort(), Object.keys(FAULTS).sort())
  })

  it('are listed in docs/sandbox-faults.md, with the column "accepted"', () => {
    const text = readFileSync(join(__dirname, '../../../docs/sandbox-faults.md'), 'utf8')
    const rows = [...text.matchAll(/^\| `([^`]+)`[^|]*\| +(no|\*\*yes\*\*) +\|/gm)]
    const told = rows.map(([, name, accepted]): [string, boolean] => [
      name!.replace(/=.*/, '').replace(/^\d{3}/, 'status'),
      accepted !== 'no',
    ])
    const all = Object.entries(FAULTS).map(([kind, { accepted }]): [string, boolean] => [kind, accepted])
    assert.deepEqual(told.sort(), [...all, ['none', true] as [string, boolean]].sort())
  })

  for (const { plan, kind, apis = APIS, patience, check } of EXPECTED) {
    for (const api of apis) {
      it(`have the expected result: ${plan} on ${api}`, async () => {
        const { accepted } = FAULTS[kind]
        const place = api === 'legacy' ? 'token' : api
        const told: RequestRecord[] = []
        const leave = sandbox().onFault((record) => told.push(record))
        const listener = await open(`${place} ${plan}`)
        check(await ask(listener, api, patience), api)
        leave()
        const [record, ...others] = sandbox().requests
        assert.deepEqual([told, others], [[record], []])
        assert.deepEqual([record!.api, record!.fault, record!.accepted], [place, plan, accepted])
        const kept = sandbox().received.map(({ fault }) => fault)
        assert.deepEqual(kept, SENDS.includes(api) && accepted ? [plan] : [])
      })
    }
  }

  it('apply also to a 200 without a body of a FHIR destination', async () => {
    const listener = await open(
      'fhir cut-short once; fhir truncated-json once; fhir partial once; fhir no-location',
    )
    const path = `/fhir/R4/my-ehr/Development/${OPERATION}`
    const post = { ...(await POSTS['fhir']!('')), path, headers: bearer(await token()) }
    const cut = await send(listener.url, post)
    assert.deepEqual([cut.status, cut.error], [200, 'ECONNRESET'])
    const truncated = await send(listener.url, post)
    assert.deepEqual([truncated.status, truncated.body.toString()], [200, '{'])
    const responses = bodyOf(await send(listener.url, post))['entry'].map(({ response }: Json) => response)
    assert.deepEqual(
      responses.map(({ status }: Json) => status),
      ['201 Created', '422 Unprocessable Entity'],
    )
    assert.deepEqual([(await send(listener.url, post)).body.toString(), sandbox().received.length], ['', 4])
  })

  it('reset the connection before the body, in its middle, and after it', async () => {
    const post = await POSTS['endpoint']!('')
    const bytes = 20_000_000
    const headers = bearer(await token())
    const received: number[] = []
    for (const when of ['before', 'mid', 'after']) {
      const listener = await open(`any reset-${when}-body`)
      await send(listener.url, { ...post, headers, body: Buffer.alloc(bytes, 32) })
      received.push(sandbox().requests.at(-1)!.bytes / bytes)
    }
    const [before, mid, after] = received as [number, number, number]
    assert.ok(before < 0.1 && mid >= 0.5 && mid < 0.9, received.join())
    assert.equal(after, 1)
  })

  it('read slowly, chunk by chunk', async () => {
    const listener = await open('endpoint slow-reader')
    const headers = bearer(await token())
    const body = json(notes(Buffer.alloc(300_000).toString('base64')))
    const post = { ...(await POSTS['endpoint']!('')), headers, body }
    const { status, milliseconds } = await send(listener.url, post)
    assert.equal(status, 200)
    assert.ok(milliseconds > 500, `${milliseconds}`)
  })

  it('leave a half-open connection open until the client ends it', async () => {
    const listener = await open('any half-open')
    const { port } = new URL(listener.url)
    const socket = connect(Number(port), '127.0.0.1')
    let ended = false
    socket.on('close', () => (ended = true))
    socket.write('POST /endpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}')
    await wait(200)
    assert.equal(ended, false)
    socket.destroy()
  })

  it('refuse connections for a while, and let others end', async () => {
    const listener = await open('blob refuse=3')
    const headers = bearer(await token())
    const { path, type, body } = await POSTS['Binary']!('')
    // The second half of the body is written while connections are refused, so this request ends during that time.
    const under = connect(Number(new URL(listener.url).port), '127.0.0.1')
    let answered = ''
    under.on('data', (chunk) => (answered += String(chunk)))
    const fields = { host: 'x', 'content-type': type, 'content-length': body.length, ...headers }
    const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
    const half = body.length >> 1
    under.write(`POST ${path} HTTP/1.1\r\n${head.join('')}\r\n`)
    under.write(body.subarray(0, half))
    await eventually('the first half has arrived', () => sandbox().requests.at(-1)?.bytes === half)
    const post = { ...(await POSTS['endpoint']!('')), headers }
    await send(listener.url, { ...(await POSTS['blob']!('')), headers })
    assert.equal((await send(listener.url, post)).error, 'ECONNREFUSED')
    under.write(body.subarray(half))
    await eventually('it is answered', () => answered.includes('\r\n\r\n'))
    under.destroy()
    assert.match(answered, /^HTTP\/1\.1 201 [^]*\r\nconnection: close\r\n/i)
    await eventually('it listens again', async () => (await send(listener.url, post)).status === 200)
    assert.equal(sandbox().received.length, 1)
  })

  it('keep a listener closed that is closed while it refuses connections', async () => {
    const listener = await open('any refuse=0.1')
    await send(listener.url, await POSTS['endpoint']!(''))
    await listener.close()
    await wait(200)
    assert.equal((await send(listener.url, await POSTS['endpoint']!(''))).error, 'ECONNREFUSED')
  })

  it('change refusals, too, and accept no invalid message', async () => {
    const listener = await open('any reset-after-accept once\nany partial once\nany no-location')
    const post = { ...(await POSTS['endpoint']!('')), headers: bearer(await token()), body: json({}) }
    assert.equal((await send(listener.url, post)).error, 'ECONNRESET')
    for (let time = 0; time < 2; time++) {
      const refused = await send(listener.url, post)
      assert.deepEqual([refused.status, bodyOf(refused)['Meta'].Errors[0].Module], [400, 'DataModels'])
    }
    const faulty = sandbox().requests.filter(({ fault }) => fault !== undefined)
    assert.deepEqual(
      faulty.map(({ accepted }) => accepted),
      [false, false, false],
    )
    assert.equal(sandbox().received.length, 0)
  })

  it('leave the record of other requests unchanged, with the value of accepted', async () => {
    const listener = await open('')
    await ask(listener, 'endpoint')
    await send(listener.url, await POSTS['endpoint']!(''))
    const seen = sandbox().requests.map(({ api, accepted, fault }) => [api, accepted, fault])
    assert.deepEqual(seen, [
      ['endpoint', true, undefined],
      ['endpoint', false, undefined],
    ])
  })
})
