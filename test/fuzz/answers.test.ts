import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import fc from 'fast-check'
import { takeMemory } from '../../src/file/file'
import type { PreparedMessage } from '../../src/message/prepared'
import type { RedoxClient } from '../../src/redox/client'
import { deliverDirect, uploadDirect } from '../../src/redox/direct-delivery'
import { connectTo, isToken, never, serve, type Recorded, type Server } from '../lib/redox'
import { assertSilent, CANARY, holds, json, settled, texts } from './support'

interface Answer {
  status: number
  headers: [string, string][]
  body: Buffer
  /** number of body bytes after which the server closes the connection; undefined: the complete body */
  cut?: number | undefined
  /** wrong value of the Content-Length header; undefined: the right value */
  length?: number | undefined
}

const reasons = fc.oneof(
  fc.constantFrom(
    ...[CANARY, `Patient ${CANARY} is unknown`, CANARY.toUpperCase(), `<b>${CANARY}</b>`, `x_${CANARY}: y`],
    ...['Destination af394f14 is down', '', ' ', 'x'.repeat(5000)],
  ),
  texts,
)
const listOf = (item: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.oneof(fc.array(item, { maxLength: 3 }), item, json(reasons))
const issue = fc.record(
  { severity: fc.constantFrom('error', 'fatal', 'warning', 7), diagnostics: reasons, details: json(reasons) },
  { requiredKeys: [] },
)
/** Response bodies: some with the structure of Redox's responses but arbitrary values, others of any kind. */
const bodies = fc.oneof(
  json(reasons),
  fc.record(
    {
      Meta: fc.record(
        {
          Errors: listOf(fc.oneof(fc.record({ Text: reasons, ID: json(reasons) }), reasons)),
          Logs: listOf(fc.record({ ID: fc.oneof(reasons, json(reasons)) })),
        },
        { requiredKeys: [] },
      ),
      issue: listOf(issue),
      entry: listOf(
        fc.record({
          response: fc.record(
            {
              status: fc.oneof(fc.constantFrom('201 Created', '400', 200, 'x'), json(reasons)),
              location: fc.oneof(reasons, json(reasons)),
              outcome: fc.record({ issue: listOf(issue) }),
            },
            { requiredKeys: [] },
          ),
        }),
      ),
      error: json(reasons),
      message: reasons,
      errorDetail: reasons,
    },
    { requiredKeys: [] },
  ),
)
const tokens = fc.record(
  {
    access_token: fc.oneof(fc.constantFrom('token', '', 'a\r\nb', 'ü'), json()),
    expires_in: fc.oneof(fc.constantFrom(300, '300', -1, 0, 1e300), json()),
  },
  { requiredKeys: [] },
)
const markup = fc.constantFrom(
  '<style',
  '<',
  '</style>',
  '<html><body>',
  '>',
  `${CANARY} `,
  'Bad Gateway',
  '\0',
  '\ufffd',
)
const octets = fc.oneof(
  { arbitrary: bodies.map((body) => Buffer.from(JSON.stringify(body))), weight: 6 },
  fc.array(markup, { maxLength: 20 }).map((parts) => Buffer.from(parts.join(''))),
  fc.uint8Array({ maxLength: 300 }).map((content) => Buffer.from(content)),
  fc.constant(Buffer.alloc(0)),
)

const values = fc.oneof(
  fc.string().map((text) => text.replace(/[^ -~]/g, '')),
  fc.constantFrom('', CANARY, '9'.repeat(400), '-1', '0', 'Wed, 21 Oct 2015 07:28:00 GMT', '\u00e9\u00ff'),
)
// Values of a Location header. Values that are not URLs are not included; src/redox/client handles them.
const locations = fc.constantFrom(
  '',
  '/x',
  'https://x.example/Binary/1',
  'file:///etc/passwd',
  'x',
  '../../x',
  '?',
  '%zz',
)
const headerLists = fc.array(
  fc.oneof(
    fc.tuple(
      fc.constantFrom('redox-trace-id', 'retry-after', 'date', 'content-type', 'set-cookie', 'x-y'),
      values,
    ),
    fc.tuple(fc.constant('content-encoding'), fc.constantFrom('gzip', 'identity', 'x')),
    fc.tuple(fc.constant('location'), locations),
  ),
  { maxLength: 4 },
)
const statuses = fc.oneof(
  fc.constantFrom(200, 201, 204, 301, 302, 304, 400, 401, 403, 404, 408, 413, 429, 500, 502, 503, 504),
  fc.integer({ min: 200, max: 999 }),
)
const answersOf = (body: fc.Arbitrary<Buffer>): fc.Arbitrary<Answer> =>
  fc.record({
    status: fc.oneof({ arbitrary: fc.constant(200), weight: 2 }, statuses),
    headers: headerLists,
    body,
    cut: fc.option(fc.nat(20), { nil: undefined, freq: 9 }),
    length: fc.option(fc.constantFrom(0, 3, 100_000), { nil: undefined, freq: 14 }),
  })

function give(response: ServerResponse, { status, headers, body, cut, length }: Answer): void {
  // The response is written directly to the socket, because Node.js's HTTP server refuses to send such a response.
  const lines = [`HTTP/1.1 ${status} ${CANARY}`, ...headers.map(([name, value]) => `${name}: ${value}`)]
  const head = [...lines, `content-length: ${length ?? body.length}`, 'connection: close', '', ''].join(
    '\r\n',
  )
  response.socket!.end(Buffer.concat([Buffer.from(head, 'latin1'), body.subarray(0, cut)]))
}

const FILE = takeMemory(Buffer.from('%PDF-1.7'), { where: 'x', filename: `${CANARY}.pdf` }).file
const PATIENT = { Identifiers: [{ ID: CANARY, IDType: 'MR' }], Demographics: { LastName: CANARY } }
const NOTE: PreparedMessage = {
  api: 'datamodel',
  operation: 'Notes:New',
  body: {
    Meta: { Destinations: [{ ID: 'one' }, { ID: 'two' }] },
    Patient: PATIENT,
    Note: { DocumentID: '1', FileName: `${CANARY}.pdf` },
  },
  attachments: [{ way: 'upload', path: ['Note', 'FileContents'], file: FILE }],
}
const BUNDLE: PreparedMessage = {
  api: 'fhir',
  operation: 'Observation/$observation-create',
  slug: 'clinic',
  body: {
    resourceType: 'Bundle',
    id: '1',
    entry: [{ resource: { resourceType: 'Patient', name: [{ family: CANARY }] } }],
  },
  attachments: [],
}

describe('any answer', () => {
  let server: Server
  let script: { token?: Answer; upload?: Answer; send?: Answer } = {}

  const answerTo = (request: Recorded): Answer | undefined =>
    isToken(request) ? script.token : /(upload|Binary)$/.test(request.path) ? script.upload : script.send

  const GOOD = { access_token: 'token', expires_in: 300, URI: 'https://blob.example/1' }

  before(async () => {
    server = await serve((request) => {
      const answer = answerTo(request)
      return answer === undefined ? { body: GOOD } : (response) => give(response, answer)
    })
  })
  after(() => server.close())

  /** Settles a call of a new connection: the pause that a 429 demands applies to all requests of its connection. */
  async function settledAlone<T>(call: (client: RedoxClient) => Promise<T>): ReturnType<typeof settled<T>> {
    const { client } = connectTo(server.url, { answerTimeout: 5 })
    try {
      return await settled(() => call(client))
    } finally {
      await client.close()
    }
  }

  const deliver =
    (message: PreparedMessage) =>
    (client: RedoxClient): Promise<unknown> =>
      deliverDirect(client, message, { signal: never() })

  const uploadAs =
    (kind: 'blob' | 'binary') =>
    (client: RedoxClient): Promise<unknown> =>
      uploadDirect(client, FILE, { kind, signal: never() })

  /** Asserts that a call succeeds, or fails with an error without patient data. */
  async function assertSettled(
    call: (client: RedoxClient) => Promise<unknown>,
    assertText = assertSilent,
  ): Promise<void> {
    server.requests.length = 0
    const result = await settledAlone(call)
    assert.ok(server.requests.length <= 5, 'requests without end')
    if (!('error' in result)) return
    const { message, cause } = result.error
    const { answer: _answer, ...rest } = cause
    assertText(`${message} ${JSON.stringify(rest)}`)
    structuredClone(cause)
  }

  const messages = fc.constantFrom(NOTE, BUNDLE)

  it('to a message becomes a delivery or a clear error', () =>
    holds(700, fc.tuple(messages, answersOf(octets)), ([message, send]) => {
      script = { send }
      return assertSettled(deliver(message))
    }))

  it('to an upload becomes a reference or a clear error', () =>
    holds(
      600,
      fc.tuple(fc.constantFrom('blob' as const, 'binary' as const), answersOf(octets)),
      ([kind, upload]) => {
        script = { upload }
        return assertSettled(uploadAs(kind))
      },
    ))

  it('to a token request becomes a token or a clear error', () =>
    holds(
      400,
      answersOf(
        fc.oneof(
          tokens.map((body) => Buffer.from(JSON.stringify(body))),
          octets,
        ),
      ),
      async (token) => {
        script = { token }
        // A token request contains no patient data, so the client cannot remove patient data from the response to it.
        await assertSettled(uploadAs('blob'), () => undefined)
      },
    ))

  for (const [what, body] of [
    ['many tags without an end', '<style'.repeat(200_000)],
    ['many "less than"', '<'.repeat(1_000_000)],
    [
      'many reasons',
      JSON.stringify({ Meta: { Errors: Array.from({ length: 20_000 }, (_, index) => `bad ${index}`) } }),
    ],
  ] as const) {
    it(`is read soon, whatever its length: ${what}`, () => {
      script = { send: { status: 400, headers: [], body: Buffer.from(body) } }
      const many = Array.from({ length: 3000 }, (_, index) => `value ${index}`)
      return assertSettled(deliver({ ...BUNDLE, body: { ...BUNDLE.body, many } }))
    })
  }

  it('to a note of 10 MB is read soon, and its error quotes nothing of the note', async () => {
    const text = 'She is well, and has no complaints today. '.repeat(240_000)
    const Errors = Array.from({ length: 20 }, (_, index) => ({
      Text: `field ${index} of the message is missing`,
    }))
    const quote = { Text: text.slice(20, 50).toUpperCase() }
    const body = Buffer.from(JSON.stringify({ Meta: { Errors: [quote, ...Errors] } }))
    script = { send: { status: 400, headers: [], body } }
    const began = performance.now()
    const { error } = (await settledAlone(deliver({ ...BUNDLE, body: { ...BUNDLE.body, text } }))) as {
      error: { cause: { reasons: string[] } }
    }
    assert.ok(performance.now() - began < 3000, 'the event loop was blocked')
    assert.match(error.cause.reasons[0]!, /repeats the message/)
    assert.equal(error.cause.reasons[1], 'field 0 of the message is missing')
  }).timeout(10_000)
})
