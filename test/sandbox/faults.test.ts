/** Every fault on every API: what a plain client sees, and what the sandbox kept. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { FaultPlan, FaultPlanError, FAULTS, startSandbox } from '../../src/sandbox'
import type { Door, RequestRecord } from '../../src/sandbox'
import type { FaultKind } from '../../src/sandbox/faults'
import type { Json } from './support'
import * as support from './support'
import { assertion, bearer, bundle, form, notes, PDF, sandbox, token } from './support'

const PATIENCE = 300

interface Seen {
  status?: number
  headers: IncomingHttpHeaders
  body: Buffer
  /** Of the connection, or `silence` when nothing came in time. */
  error?: string
  /** The system call that failed: a connection that only ended fails none. */
  syscall?: string | undefined
  milliseconds: number
}
interface Post {
  path: string
  type: string
  body: Buffer
  headers?: Record<string, string>
}

const OPERATION = 'DiagnosticReport/$diagnosticreport-create'
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
const boundary = 'XYZ'
const part = Buffer.concat([
  Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n`),
  Buffer.from('Content-Type: application/pdf\r\n\r\n'),
  PDF,
  Buffer.from(`\r\n--${boundary}--\r\n`),
])

/** A request that is right, for each API. */
const POSTS: Record<string, (url: string) => Promise<Post>> = {
  token: async (url) => ({
    path: '/v2/auth/token',
    type: 'application/x-www-form-urlencoded',
    body: Buffer.from(
      new URLSearchParams(form(await assertion({ claims: { aud: `${url}/v2/auth/token` } }))).toString(),
    ),
  }),
  legacy: async () => ({
    path: '/auth/authenticate',
    type: 'application/json',
    body: json(sandbox().legacyKey),
  }),
  blob: async () => ({ path: '/upload', type: `multipart/form-data; boundary=${boundary}`, body: part }),
  Binary: async () => ({ path: '/fhir/R4/redox/Development/Binary', type: 'application/pdf', body: PDF }),
  endpoint: async () => ({
    path: '/endpoint',
    type: 'application/json',
    body: json(notes(PDF.toString('base64'))),
  }),
  fhir: async () => ({
    path: `/fhir/R4/redox-fhir-sandbox/Development/${OPERATION}`,
    type: 'application/fhir+json',
    body: json(bundle()),
  }),
}
const APIS = Object.keys(POSTS)
const SENDS = ['endpoint', 'fhir']
const FIRST_STATUS: Record<string, number> = { blob: 201, Binary: 201 }
const usualStatus = (api: string): number => FIRST_STATUS[api] ?? 200

const doors: Door[] = []
async function open(plan: string): Promise<Door> {
  const door = await sandbox().openDoor(plan)
  doors.push(door)
  return door
}

/** A new connection each time, and the bytes as they came. */
async function send(url: string, { path, type, body, headers }: Post, patience = PATIENCE): Promise<Seen> {
  const start = performance.now()
  const seen: Seen = { headers: {}, body: Buffer.alloc(0), milliseconds: 0 }
  const request = httpRequest(url + path, {
    method: 'POST',
    agent: false,
    headers: { 'content-type': type, 'content-length': body.length, ...headers },
  })
  const timer = setTimeout(() => {
    seen.error = 'silence'
    request.destroy()
  }, patience)
  await new Promise<void>((resolve) => {
    request.on('error', (error: NodeJS.ErrnoException) => {
      seen.error ??= error.code ?? error.message
      seen.syscall = error.syscall
    })
    request.on('close', resolve)
    request.on('response', (response) => {
      Object.assign(seen, { status: response.statusCode, headers: response.headers })
      response.on('data', (chunk: Buffer) => (seen.body = Buffer.concat([seen.body, chunk])))
      response.on('error', (error: NodeJS.ErrnoException) => (seen.error ??= error.code ?? error.message))
    })
    request.end(body)
  })
  clearTimeout(timer)
  return { ...seen, milliseconds: performance.now() - start }
}

/** A right request of this API, with a token that the sandbox gave behind its main door. */
async function ask(door: Door, api: string, patience?: number): Promise<Seen> {
  const post = await POSTS[api]!(door.url)
  const isToken = api === 'token' || api === 'legacy'
  const headers = isToken ? {} : bearer(await token())
  sandbox().clear()
  return send(door.url, { ...post, headers }, patience)
}

const bodyOf = ({ body }: Seen): Json => JSON.parse(body.toString()) as Json
const isJson = ({ body }: Seen): boolean => {
  try {
    JSON.parse(body.toString())
    return true
  } catch {
    return false
  }
}

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
/** Where each API puts its errors. */
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
/** What each API gives that a client cannot do without. */
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
    check: ({ status, error }) => assert.deepEqual([status, error], [undefined, 'silence']),
  },
  {
    plan: 'late=0.15',
    kind: 'late',
    patience: 5000,
    check(seen, api) {
      isUsual(seen, api)
      assert.ok(seen.milliseconds >= 145, `${seen.milliseconds}`)
    },
  },
  {
    plan: 'slow-reader',
    kind: 'slow-reader',
    patience: 5000,
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
  afterEach(() => Promise.all(doors.splice(0).map((door) => door.close())))

  it('are all walked here', () => {
    const walked = new Set(EXPECTED.map(({ kind }) => kind))
    assert.deepEqual([...walked].sort(), Object.keys(FAULTS).sort())
  })

  it('are all in docs/sandbox-faults.md, with whether they are accepted', () => {
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
      it(`${plan} on ${api}`, async () => {
        const { accepted } = FAULTS[kind]
        const place = api === 'legacy' ? 'token' : api
        const told: RequestRecord[] = []
        const leave = sandbox().onFault((record) => told.push(record))
        const door = await open(`${place} ${plan}`)
        check(await ask(door, api, patience), api)
        leave()
        const [record, ...others] = sandbox().requests
        assert.deepEqual([told, others], [[record], []])
        assert.deepEqual([record!.api, record!.fault, record!.accepted], [place, plan, accepted])
        const kept = sandbox().received.map(({ fault }) => fault)
        assert.deepEqual(kept, SENDS.includes(api) && accepted ? [plan] : [])
      })
    }
  }

  it('break a bare 200 of a FHIR destination too', async () => {
    const door = await open(
      'fhir cut-short once; fhir truncated-json once; fhir partial once; fhir no-location',
    )
    const path = `/fhir/R4/my-ehr/Development/${OPERATION}`
    const post = { ...(await POSTS['fhir']!('')), path, headers: bearer(await token()) }
    const cut = await send(door.url, post)
    assert.deepEqual([cut.status, cut.error], [200, 'ECONNRESET'])
    const truncated = await send(door.url, post)
    assert.deepEqual([truncated.status, truncated.body.toString()], [200, '{'])
    const responses = bodyOf(await send(door.url, post))['entry'].map(({ response }: Json) => response)
    assert.deepEqual(
      responses.map(({ status }: Json) => status),
      ['201 Created', '422 Unprocessable Entity'],
    )
    assert.deepEqual([(await send(door.url, post)).body.toString(), sandbox().received.length], ['', 4])
  })

  it('resets before the body, in its middle, and after it', async () => {
    const post = await POSTS['endpoint']!('')
    const bytes = 20_000_000
    const headers = bearer(await token())
    const received: number[] = []
    for (const when of ['before', 'mid', 'after']) {
      const door = await open(`any reset-${when}-body`)
      await send(door.url, { ...post, headers, body: Buffer.alloc(bytes, 32) }, 5000)
      received.push(sandbox().requests.at(-1)!.bytes / bytes)
    }
    const [before, mid, after] = received as [number, number, number]
    assert.ok(before < 0.1 && mid >= 0.5 && mid < 0.9, received.join())
    assert.equal(after, 1)
  })

  it('reads slowly, piece by piece', async () => {
    const door = await open('endpoint slow-reader')
    const headers = bearer(await token())
    const body = json(notes(Buffer.alloc(300_000).toString('base64')))
    const post = { ...(await POSTS['endpoint']!('')), headers, body }
    const { status, milliseconds } = await send(door.url, post, 10_000)
    assert.equal(status, 200)
    assert.ok(milliseconds > 500, `${milliseconds}`)
  })

  it('leaves a half-open connection open until the client ends it', async () => {
    const door = await open('any half-open')
    const { port } = new URL(door.url)
    const socket = connect(Number(port), '127.0.0.1')
    let ended = false
    socket.on('close', () => (ended = true))
    socket.write('POST /endpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}')
    await wait(200)
    assert.equal(ended, false)
    socket.destroy()
  })

  it('refuses connections for a while, and lets others end', async () => {
    const door = await open('blob refuse=0.4\nBinary late=0.2')
    const headers = bearer(await token())
    const kept = { ...headers, connection: 'keep-alive' }
    const under = send(door.url, { ...(await POSTS['Binary']!('')), headers: kept }, 5000)
    await wait(50)
    const post = { ...(await POSTS['endpoint']!('')), headers }
    await send(door.url, { ...(await POSTS['blob']!('')), headers })
    assert.equal((await send(door.url, post)).error, 'ECONNREFUSED')
    const { status, headers: answered } = await under
    assert.deepEqual([status, answered.connection], [201, 'close'])
    await wait(500)
    assert.equal((await send(door.url, post)).status, 200)
    assert.equal(sandbox().received.length, 1)
  })

  it('stays closed when it is closed while it refuses', async () => {
    const door = await open('any refuse=0.1')
    await send(door.url, await POSTS['endpoint']!(''))
    await door.close()
    await wait(200)
    assert.equal((await send(door.url, await POSTS['endpoint']!(''))).error, 'ECONNREFUSED')
  })

  it('tampers with refusals, too, and accepts nothing that is wrong', async () => {
    const door = await open('any reset-after-accept once\nany partial once\nany no-location')
    const post = { ...(await POSTS['endpoint']!('')), headers: bearer(await token()), body: json({}) }
    assert.equal((await send(door.url, post)).error, 'ECONNRESET')
    for (let time = 0; time < 2; time++) {
      const refused = await send(door.url, post)
      assert.deepEqual([refused.status, bodyOf(refused)['Meta'].Errors[0].Module], [400, 'DataModels'])
    }
    const faulty = sandbox().requests.filter(({ fault }) => fault !== undefined)
    assert.deepEqual(
      faulty.map(({ accepted }) => accepted),
      [false, false, false],
    )
    assert.equal(sandbox().received.length, 0)
  })

  it('says of requests without a fault whether they were accepted', async () => {
    const door = await open('')
    await ask(door, 'endpoint')
    await send(door.url, await POSTS['endpoint']!(''))
    const seen = sandbox().requests.map(({ api, accepted, fault }) => [api, accepted, fault])
    assert.deepEqual(seen, [
      ['endpoint', true, undefined],
      ['endpoint', false, undefined],
    ])
  })
})

describe('sandbox: subscriptions', () => {
  support.useSandbox()
  afterEach(() => Promise.all(doors.splice(0).map((door) => door.close())))

  const sendTo = async (url: string, ids: string[]): Promise<Seen> => {
    const message = support.put(
      notes(PDF.toString('base64')),
      'Meta.Destinations',
      ids.map((ID) => ({ ID })),
    )
    return send(url, {
      ...(await POSTS['endpoint']!('')),
      headers: bearer(await token()),
      body: json(message),
    })
  }
  const other = '11111111-1111-4111-8111-11111111111a'

  it('are there for every destination', async () => {
    for (const ids of [[support.DESTINATION], [other, support.DESTINATION]]) {
      assert.equal((await sendTo(sandbox().url, ids)).status, 200)
    }
  })

  it('are there for the destinations of a list alone', async () => {
    const door = await sandbox().openDoor('', [other.toUpperCase()])
    doors.push(door)
    assert.equal((await sendTo(door.url, [other])).status, 200)
    const refused = await sendTo(door.url, [other, support.DESTINATION])
    assert.equal(refused.status, 400)
    const { Errors, Destinations } = bodyOf(refused)['Meta']
    assert.deepEqual(
      Errors.map(({ Text, Type, Module }: Json) => [Text, Type, Module]),
      [
        [
          'No subscription for this source, destination and data model - Meta.Destinations[1]',
          'message',
          'Subscriptions',
        ],
      ],
    )
    assert.equal(Destinations.length, 2)
    assert.equal((await sendTo(sandbox().url, [support.DESTINATION])).status, 200)
    assert.equal(sandbox().received.length, 2)
  })

  it('are those that a sandbox is started with', async () => {
    const own = await startSandbox({ subscribed: [other] })
    try {
      const answer = await fetch(`${own.url}/auth/authenticate`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(own.legacyKey),
      })
      const { accessToken } = (await answer.json()) as Json
      const headers = { ...bearer(accessToken), 'content-type': 'application/json' }
      const body = JSON.stringify(notes(PDF.toString('base64')))
      assert.equal((await fetch(`${own.url}/endpoint`, { method: 'POST', headers, body })).status, 400)
    } finally {
      await own.close()
    }
  })
})

describe('sandbox: doors', () => {
  support.useSandbox()
  afterEach(() => Promise.all(doors.splice(0).map((door) => door.close())))

  it('has a plan for each, with counts of its own', async () => {
    const [one, two] = [await open('endpoint 503 2x'), await open('endpoint 429 once')]
    const statuses = async (door: Door): Promise<unknown[]> => {
      const seen = []
      for (let time = 0; time < 3; time++) seen.push((await ask(door, 'endpoint')).status)
      return seen
    }
    assert.deepEqual(await statuses(one), [503, 503, 200])
    assert.deepEqual(await statuses(sandbox()), [200, 200, 200])
    assert.deepEqual(await statuses(two), [429, 200, 200])
    assert.deepEqual(await statuses(await open('endpoint 503 2x')), [503, 503, 200])
  })

  it('leads to the same Redox: a token and a file of one are good at the other', async () => {
    const door = await open('')
    const answer = await send(door.url, await POSTS['token']!(door.url))
    assert.equal(answer.status, 200)
    const headers = bearer(bodyOf(answer)['access_token'] as string)
    const uri = bodyOf(await send(door.url, { ...(await POSTS['blob']!('')), headers }))['URI'] as string
    assert.ok(uri.startsWith(`${door.url}/`))
    const message = { ...(await POSTS['endpoint']!('')), headers, body: json(notes(uri)) }
    assert.equal((await send(sandbox().url, message)).status, 200)
    const { location } = (await send(door.url, { ...(await POSTS['Binary']!('')), headers })).headers
    assert.ok(location!.startsWith(`${door.url}/fhir/R4/redox/`))
    const report = json(bundle('DiagnosticReportCreate', { contentType: 'application/pdf', url: location }))
    assert.equal((await send(door.url, { ...(await POSTS['fhir']!('')), headers, body: report })).status, 200)
    assert.deepEqual(
      sandbox().received.map(({ files }) => files[0]!.way),
      ['referenced', 'referenced'],
    )
  })

  it('does not know an assertion for another door', async () => {
    const door = await open('')
    assert.equal((await send(door.url, await POSTS['token']!(sandbox().url))).status, 401)
  })

  it('closes alone, or with the sandbox', async () => {
    const other = await startSandbox()
    const [one, two] = [await other.openDoor(''), await other.openDoor('')]
    await one.close()
    await one.close()
    await assert.rejects(fetch(one.url))
    assert.equal((await fetch(two.url)).status, 404)
    await other.close()
    await assert.rejects(fetch(two.url))
    const late = await other.openDoor('')
    await assert.rejects(fetch(late.url))
  })

  it('plays the plan that a sandbox is started with', async () => {
    const other = await startSandbox({ faults: 'any 418 once' })
    try {
      assert.deepEqual([(await fetch(other.url)).status, (await fetch(other.url)).status], [418, 404])
    } finally {
      await other.close()
    }
  })

  it('refuses a plan that cannot be read', async () => {
    await assert.rejects(sandbox().openDoor('token'), FaultPlanError)
    await assert.rejects(startSandbox({ faults: 'token' }), FaultPlanError)
  })
})

describe('sandbox: fault plans', () => {
  const names = (plan: string, times: number, api: 'token' | 'endpoint' = 'endpoint', path = '/x') => {
    const read = new FaultPlan(plan)
    return Array.from({ length: times }, () => read.next(api, path)?.name ?? '-').join(' ')
  }

  it('counts: once, so many times, always', () => {
    assert.equal(names('endpoint 503 once', 3), '503 - -')
    assert.equal(names('endpoint 503 2x', 3), '503 503 -')
    assert.equal(names('endpoint 503 2 x', 3), '503 503 -')
    assert.equal(names('endpoint 503', 3), '503 503 503')
    assert.equal(names('endpoint 503 0x', 3), '- - -')
    assert.equal(names('', 3), '- - -')
  })

  it('takes the first rule that fires', () => {
    assert.equal(names('endpoint 503 2x\nendpoint gzip once\nany late=1', 5), '503 503 gzip late=1 late=1')
    assert.equal(names('token 503\nany late=1', 1), 'late=1')
  })

  it('lets requests through where it says none', () => {
    assert.equal(names('any none 2x\nany 503 once\nany None once\nany gzip', 6), '- - 503 - gzip gzip')
    assert.equal(names('token none\nany 503', 2, 'token'), '- -')
    assert.equal(names('token none\nany 503', 2), '503 503')
  })

  it('plays chances again by their seed', () => {
    const plan = (seed: string): string => names(`${seed}\nendpoint 503 30%`, 200)
    assert.equal(plan('seed 42'), plan('seed 42'))
    assert.notEqual(plan('seed 42'), plan('seed 43'))
    assert.equal(plan(''), plan('seed 1'))
    const share = plan('seed 42').split('503').length - 1
    assert.ok(share > 40 && share < 80, `${share} of 200`)
    assert.equal(names('any 503 0%', 100), names('', 100))
    assert.equal(names('any 503 100%', 3), '503 503 503')
  })

  it('draws for each rule alone, so that another rule changes nothing', () => {
    const alone = names('any 503 30%', 100)
    assert.equal(names('any 503 30%\nany gzip 50%', 100).replaceAll('gzip', '-'), alone)
    assert.notEqual(names('token gzip\nany 503 30%', 100), alone)
  })

  it('finds its place by API or by path', () => {
    const where = (plan: string): string[] => {
      const paths = {
        token: '/auth/authenticate',
        blob: '/upload',
        Binary: '/fhir/R4/redox/Staging/Binary',
        endpoint: '/endpoint',
        fhir: `/fhir/R4/slug/Staging/${OPERATION}`,
        other: '/a.b',
      } as const
      const hit = (Object.keys(paths) as (keyof typeof paths)[]).filter((api) =>
        new FaultPlan(plan).next(api, paths[api]),
      )
      return hit
    }
    assert.deepEqual(where('token 503'), ['token'])
    assert.deepEqual(where('upload 503'), ['blob', 'Binary'])
    assert.deepEqual(where('BLOB 503'), ['blob'])
    assert.deepEqual(where('binary 503'), ['Binary'])
    assert.deepEqual(where('fhir 503'), ['fhir'])
    assert.deepEqual(where('any 503'), ['token', 'blob', 'Binary', 'endpoint', 'fhir', 'other'])
    assert.deepEqual(where('any partial'), ['endpoint', 'fhir'])
    assert.deepEqual(where('/fhir/R4/*/Binary 503'), ['Binary'])
    assert.deepEqual(where('/fhir/R4/*/$diagnosticreport-create 503'), ['fhir'])
    assert.deepEqual(where('/* 503'), ['token', 'blob', 'Binary', 'endpoint', 'fhir', 'other'])
    assert.deepEqual(where('/endpoint 503'), ['endpoint'])
    assert.deepEqual(where('/a.b 503'), ['other'])
    assert.deepEqual(where('/a*c 503'), [])
    assert.deepEqual(where('/endpoin 503'), [])
    assert.deepEqual(where('/.* 503'), [])
  })

  it('has comments, empty lines, and rules in one line', () => {
    const plan = '# all\r\n\r\n  token 503   once # twice\n endpoint gzip once; endpoint LATE=0.5 ;'
    assert.equal(names(plan, 3, 'token'), '503 - -')
    assert.equal(names(plan, 3), 'gzip LATE=0.5 LATE=0.5')
  })

  const wrong: [plan: string, line: number, reason: RegExp][] = [
    ['tokens 503', 1, /"tokens" is not a place\. Places: token, upload/],
    ['\n# x\nany', 3, /a fault is missing after "any"\. Faults: a status such as 503/],
    ['any 200', 1, /"200" is not a fault/],
    ['any 600', 1, /"600" is not a fault/],
    ['any status', 1, /"status" is not a fault/],
    ['any constructor', 1, /"constructor" is not a fault/],
    ['constructor 503', 1, /"constructor" is not a place/],
    ['any 429-retry-after', 1, /is not a fault/],
    ['any late', 1, /"late" is not a fault/],
    ['any late=', 1, /is not a fault/],
    ['any late=x', 1, /is not a fault/],
    ['any late=99999999', 1, /is not a fault/],
    ['any refuse=-1', 1, /is not a fault/],
    ['any half-open=1', 1, /is not a fault/],
    ['any redirect=elsewhere', 1, /is not a fault/],
    ['any redirect=http://a/b', 1, /is not a fault/],
    ['any 503\nany 503 often', 2, /"often" is not a count\. Counts: once, 3x, 20%/],
    ['any 503 200%', 1, /is not a count/],
    ['any 503 once twice', 1, /"once twice" is not a count/],
    ['upload partial', 1, /"partial" is not possible for upload, only for endpoint, fhir/],
    ['seed', 1, /a seed must be a whole number/],
    ['seed x', 1, /a seed must be a whole number/],
    ['seed 1 2', 1, /a seed must be a whole number/],
    ['seed 1\nseed 2', 2, /the seed is set twice/],
    ['${FAULTS}', 1, /is not a place/],
  ]
  for (const [plan, line, reason] of wrong) {
    it(`says what is wrong with ${JSON.stringify(plan)}`, () => {
      assert.throws(
        () => new FaultPlan(plan),
        (error: FaultPlanError) => error.line === line && reason.test(error.message),
      )
    })
  }
})
