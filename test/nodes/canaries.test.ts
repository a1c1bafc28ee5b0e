/**
 * Every secret and every patient field contains a marker value. No failure may put such a value into an output, except
 * into `msg.payload` of a delivered message and `error.cause.answer`.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import helper from 'node-red-node-test-helper'
import { metricsText } from '../../nodes/lib/monitoring/metrics'
import { directMessages, directSummaries } from '../../plugins/redox-outbox-tab/direct'
import { directConnections } from '../../src/redox/direct-messages'
import { Canaries, DOCUMENT, NOTE_TEXT, PERSON, SAID, SECRETS } from '../lib/canaries'
import {
  logged,
  PRIVATE_KEY,
  startFlowTo,
  useNodeRed,
  type Flow,
  type FlowOptions,
  type Message,
} from '../lib/flow'
import { CLIENT, ConnectProxy } from '../lib/proxy'
import { serve, type Recorded, type Reply, type Server } from '../lib/redox'
import { cutShort, reset, silence } from '../lib/scripted-server'
import { DESTINATION, MEDIA, RESULTS, SLUG } from '../lib/send-nodes'
import { skipSeconds } from '../lib/clock'
import { eventually } from '../lib/eventually'

const LIFE_SECONDS = 300
const canaries = new Canaries([PRIVATE_KEY, CLIENT.key])

// ---- Messages with markers everywhere -------------------------------------------------------------------

const DATA_MODEL = {
  Patient: {
    Identifiers: [
      { ID: PERSON.id, IDType: 'MR' },
      { ID: PERSON.ssn, IDType: 'SSN' },
    ],
    Demographics: {
      ...{ FirstName: PERSON.first, MiddleName: PERSON.middle, LastName: PERSON.last, DOB: PERSON.dob },
      ...{ SSN: PERSON.ssn, PhoneNumber: { Home: PERSON.phone }, EmailAddresses: [PERSON.email] },
      Address: { StreetAddress: PERSON.street, City: PERSON.city, ZIP: PERSON.zip },
    },
  },
  Visit: { VisitNumber: PERSON.visit },
}
const FHIR = {
  resourceType: 'Patient',
  identifier: [{ value: PERSON.id }, { value: PERSON.ssn }],
  name: [
    { family: PERSON.last, given: [PERSON.first, PERSON.middle], text: `${PERSON.first} ${PERSON.last}` },
  ],
  birthDate: PERSON.dob,
  telecom: [{ value: PERSON.phone }, { value: PERSON.email }],
  address: [{ line: [PERSON.street], city: PERSON.city, postalCode: PERSON.zip }],
  extension: [
    { url: 'urn:visit', valueString: PERSON.visit },
    { url: 'urn:about', valueString: PERSON.description },
  ],
}
const TEXT = {
  destination: DESTINATION,
  documentType: 'Letter',
  documentId: 'doc-1',
  providerId: '4356789876',
}
const inMessage = (...names: string[]): object =>
  Object.fromEntries(
    names.flatMap((name) => [
      [name, name],
      [`${name}Type`, 'msg'],
    ]),
  )

interface Case {
  type: string
  node: object
  message: Message
  /** pattern of marker values that no message of this case contains, so that no server can repeat them */
  untold?: RegExp
}
const file = Buffer.from(DOCUMENT)
const named = { filename: PERSON.fileName, contentType: 'text/plain' }
const FILE_FIELDS = inMessage('data', 'contentType', 'filename')
const note = { ...TEXT, ...FILE_FIELDS, ...inMessage('documentDescription') }
const dataModel = { ...named, data: DATA_MODEL, documentDescription: PERSON.description }
const NOTE_CASE: Case = {
  untold: /parrot/i,
  type: 'redox-datamodel-note',
  node: note,
  message: { ...dataModel, payload: file },
}
const UPLOAD_CASE: Case = {
  untold: /parrot/i,
  type: 'redox-upload',
  node: inMessage('contentType', 'filename'),
  message: { ...named, payload: file },
}
const LOG_CASE: Case = {
  type: 'redox-log',
  node: { followMinutes: '0.001' },
  message: { ...dataModel, more: FHIR, text: NOTE_TEXT, document: DOCUMENT, payload: file },
}
const USER_KEY = { platformClientId: 'user', platformKeyId: 'key', organizationId: 'org' }
const CASES: Case[] = [
  NOTE_CASE,
  {
    ...NOTE_CASE,
    node: { ...note, noteContentType: 'Plain Text' },
    message: { ...dataModel, payload: NOTE_TEXT },
    untold: /^RmluZ/,
  },
  { ...NOTE_CASE, type: MEDIA.type },
  {
    ...NOTE_CASE,
    type: RESULTS.type,
    untold: /parrot|gingival|befund/i,
    node: { ...RESULTS.node, ...FILE_FIELDS, patientId: '', firstName: '', lastName: '', dob: '' },
  },
  {
    type: 'redox-fhir-result',
    untold: /parrot/i,
    node: { ...FILE_FIELDS, destination: SLUG, code: '11502-2' },
    message: { ...named, data: FHIR, payload: file },
  },
  UPLOAD_CASE,
  { ...UPLOAD_CASE, node: { ...UPLOAD_CASE.node, api: 'datamodel' } },
]

// ---- A server that returns all received markers ---------------------------------------------------------

let turn = 0
/** Marker values that the server has received. */
let said: string[] = []
/** Next `count` of the marker values that the server has received; after the last one, the first follows again. */
const some = (count: number): string[] => Array.from({ length: count }, () => said[turn++ % said.length]!)
const inOne = (count: number): string => some(count).join(' ; ')

const reasons = (): string[] => Array.from({ length: 15 }, () => inOne(3))
const spoken = ({ body, headers }: Recorded): string[] => [
  ...reasons(),
  body.toString('utf8').slice(0, 900),
  body.toString('base64').slice(0, 900),
  encodeURIComponent(body.subarray(0, 900).toString('latin1')),
  JSON.stringify(headers),
]
type Shape = (request: Recorded) => unknown
const issues = (texts: string[]): object[] =>
  texts.map((text) => ({ severity: 'error', details: { text }, diagnostics: text }))
const SHAPES: Record<string, Shape> = {
  'Meta.Errors': (request) => ({
    Meta: {
      Logs: some(3).map((ID) => ({ ID })),
      Errors: spoken(request).map((Text) => ({ Text, ID: Text })),
    },
  }),
  OperationOutcome: (request) => ({ resourceType: 'OperationOutcome', issue: issues(spoken(request)) }),
  entries: (request) => ({
    entry: [
      { response: { status: '201' } },
      { response: { status: inOne(1), outcome: { issue: issues(spoken(request)) } } },
    ],
  }),
  errorDetail: (request) => ({ errorDetail: inOne(4), error: inOne(2), message: spoken(request).join() }),
  OAuth: () => ({ error: inOne(1), error_description: inOne(5) }),
  text: () => inOne(6),
  HTML: () => `<html><head>${inOne(2)}</head><h1>${inOne(1)}</h1><p title="${inOne(1)}">${inOne(3)}</p>`,
  'the request': ({ headers, body }) => JSON.stringify(headers) + body.toString('utf8'),
}

const headerOf = (text: string): string => text.replace(/[^ -~]/g, '?').slice(0, 500)
const echoing =
  (status: number, shape: Shape): ((request: Recorded) => Reply) =>
  (request) => ({
    status,
    headers: {
      'redox-trace-id': headerOf(inOne(1)),
      'x-echo': headerOf(inOne(2)),
      'x-authorization': headerOf(`${request.headers.authorization} ${inOne(1)}`),
      'set-cookie': SECRETS.token,
      'retry-after': '0',
      ...(status < 400 &&
        status >= 300 && { location: `https://example.com/${encodeURIComponent(PERSON.id)}` }),
    },
    body: shape(request),
  })

/** Answer about a log whose texts repeat markers. */
const logAnswer = (status: string): Reply => {
  const error = { message: inOne(3), code: inOne(1) }
  const stages = { request: { code: inOne(1), error, [inOne(1)]: inOne(1) } }
  const latest = { status, id: inOne(1), attemptAt: inOne(1), failedStage: inOne(1), stages }
  return {
    body: { meta: { said: inOne(2) }, payload: { status, note: said, attempts: { total: 1, latest } } },
  }
}

type Purpose = 'token' | 'upload' | 'send'
const purposeOf = ({ path }: Recorded): Purpose =>
  path.includes('/auth/') ? 'token' : /\/(upload|Binary)$/.test(path) ? 'upload' : 'send'

describe('markers', function () {
  this.timeout(120_000)
  useNodeRed()
  let server: Server
  let script: Partial<Record<Purpose, (request: Recorded) => Reply>>

  const good = (request: Recorded): Reply => {
    const purpose = purposeOf(request)
    const expires = new Date(Date.now() + 60_000).toISOString()
    const { token, refreshToken } = SECRETS
    if (purpose === 'token')
      return { body: { access_token: token, expires_in: 300, accessToken: token, expires, refreshToken } }
    const url = `${server.url}/files/1`
    if (purpose === 'upload') return { status: 201, headers: { location: url }, body: { URI: url } }
    return { body: { Meta: { Logs: [{ ID: 'log-1' }] } } }
  }

  beforeEach(async () => {
    script = {}
    said = SAID.send
    canaries.searched = 0
    server = await serve((request) => (script[purposeOf(request)] ?? good)(request))
  })
  afterEach(async () => {
    canaries.assertNone(await metricsText(), 'metrics')
    await server.close()
  })

  const begin = ({ type, node }: Case, options: Partial<FlowOptions> = {}): Promise<Flow> =>
    startFlowTo(server.url, {
      type,
      ...options,
      node: { ...node, ...options.node },
      // Redox's FHIR API does not accept legacy API keys.
      config: {
        auth: /fhir|upload/.test(type) ? 'oauth' : 'legacy',
        ...options.config,
      },
      secrets: { apiKey: SECRETS.apiKey, secret: SECRETS.secret, ...options.secrets },
    })

  /** Asserts that no output that a user can read contains a marker value, except Redox's response itself. */
  function assertSilent(flow: Flow, where: string): void {
    for (const { redox, statusCode } of flow.emitted)
      canaries.assertNone({ redox, statusCode }, `${where}: msg`)
    for (const { error } of flow.caught) {
      const { cause, ...rest } = error as { cause?: { answer?: unknown } }
      const { answer: _answer, ...told } = cause ?? {}
      canaries.assertNone({ ...rest, stack: (error as Error).stack, told }, `${where}: error`)
    }
    canaries.assertNone(flow.statuses, `${where}: status`)
    canaries.assertNone(directSummaries(directConnections), `${where}: overview of the outbox`)
    for (const messages of directConnections.values())
      canaries.assertNone(
        directMessages(messages, () => undefined),
        `${where}: direct messages`,
      )
    for (const [event] of helper.log().args as { msg?: unknown }[][])
      canaries.assertNone(printed(event!), `${where}: log`)
  }
  /** Number of log lines that report how a message ended. */
  const endsInLog = (): number => logged().filter((line) => /the message \w+ /.test(line)).length
  /** Text that Node-RED prints for a log event, also in verbose mode. */
  const printed = (event: { msg?: unknown }): string =>
    event.msg instanceof Error ? `${String(event.msg)}\n${event.msg.stack}` : JSON.stringify(event)

  const fails = async (flow: Flow, message: Message, what: string): Promise<string> => {
    const { error } = await flow.outcome(message)
    assert.ok(error, `${what}: delivered`)
    return error.code
  }

  it('are found in every spelling', () => {
    for (const text of [...SAID.send, ...SAID.upload, ...SAID.token])
      assert.notDeepEqual(canaries.found(text), [], text)
    const base64 = Buffer.from(`x${DOCUMENT}`).toString('base64')
    for (const text of [DOCUMENT, PRIVATE_KEY, PERSON.last.toUpperCase(), base64])
      assert.notDeepEqual(canaries.found(`<p>${text}`), [])
    assert.deepEqual(canaries.found('REDOX_REJECTED Required field missing - Device.ID'), [])
  })

  // Each row of the table of outcomes covers at least one of these statuses.
  const STATUSES = [200, 201, 302, 304, 400, 401, 403, 404, 408, 409, 413, 429, 500, 502, 503, 504, 599]

  for (const { type, node, message, untold } of CASES) {
    describe(type, () => {
      const kind = type + ('api' in node || 'noteContentType' in node ? ' (2)' : '')
      const purpose = type === 'redox-upload' ? 'upload' : 'send'
      beforeEach(() => void (said = SAID[purpose].filter((text) => !untold?.test(text))))

      it(`${kind}: are not reported for any answer`, async () => {
        const flow = await begin({ type, node, message })
        const codes = new Set<string>()
        for (const status of STATUSES)
          for (const [name, shape] of Object.entries(SHAPES)) {
            script = { [purpose]: echoing(status, shape) }
            const { error } = await flow.outcome(message)
            codes.add(error?.code ?? 'delivered')
            if (error?.cause.status === undefined) continue
            assert.ok(
              'answer' in error.cause || status === 304,
              `${status} ${name}: the answer is in cause.answer`,
            )
          }
        assertSilent(flow, kind)
        assert.ok(codes.size >= 7, [...codes].join())
        assert.ok(canaries.searched > 50_000, String(canaries.searched))
      })

      it(`${kind}: are not reported for a success`, async () => {
        const flow = await begin({ type, node, message })
        for (let times = 0; times < 60; times++) {
          const { headers } = echoing(200, () => '')({ headers: {}, body: Buffer.alloc(0), path: '' }) as {
            headers: Record<string, string>
          }
          const url = `${server.url}/files/1`
          const body = { URI: url, note: said, Meta: { Logs: some(2).map((ID) => ({ ID })) } }
          script = {
            [purpose]: ({ headers: { authorization } }: Recorded) => ({
              status: 201,
              headers: {
                ...headers,
                'x-token': authorization!,
                ...(purpose === 'upload' && { location: url }),
              },
              body,
            }),
          }
          const { answer, error } = await flow.outcome(message)
          assert.ok(answer, error?.message)
        }
        assertSilent(flow, kind)
      })

      it(`${kind}: are not reported for network faults, deploys and stops`, async () => {
        for (const fault of [reset, cutShort, silence]) {
          const flow = await begin({ type, node, message }, { config: { answerTimeout: '0.3' } })
          script = { [purpose]: () => fault }
          await fails(flow, message, kind)
          script = { [purpose]: () => silence }
          const before = endsInLog()
          flow.node.receive({ ...message, _msgid: 'gone' })
          await sleep(50)
          await eventually('it is listed', () => directSummaries(directConnections).length > 0)
          assertSilent(flow, `${kind}, under way`)
          // When the node was removed or all flows were stopped, a message can be reported in the log only.
          if (fault === silence) await flow.stop()
          else await flow.redeploy('full', { node: null })
          await eventually('its end is in the log', () => endsInLog() > before)
          assertSilent(flow, kind)
        }
      })
    })
  }

  for (const auth of ['legacy', 'oauth'] as const) {
    it(`are not reported for a refused token request (${auth})`, async () => {
      const flow = await begin(NOTE_CASE, { config: { auth } })
      said = auth === 'legacy' ? SAID.token : SAID.token.slice(-4)
      for (const status of STATUSES)
        for (const shape of Object.values(SHAPES)) {
          // First the server refuses every token request, then only the requests to renew a token.
          let asked = 0
          const refused = echoing(status, shape)
          script = { token: refused, send: () => ({ status: 401, body: 'no' }) }
          await fails(flow, NOTE_CASE.message, `${status}`)
          script.token = (request) => (asked++ === 0 ? good(request) : refused(request))
          await fails(flow, NOTE_CASE.message, `${status}`)
        }
      script = { token: () => reset }
      await fails(flow, NOTE_CASE.message, 'reset')
      assertSilent(flow, auth)
      for (const { error } of flow.caught)
        if (error.cause.operation === 'token')
          assert.ok(!('answer' in error.cause), 'an answer that may repeat a secret')
    })
  }

  it('do not include a refresh token whose use fails', async () => {
    const flow = await begin(NOTE_CASE)
    script.token = ({ path }) =>
      path.endsWith('refreshToken')
        ? { status: 500, body: `cannot refresh ${SECRETS.refreshToken} of ${SECRETS.apiKey}` }
        : {
            body: {
              accessToken: SECRETS.token,
              expires: new Date(Date.now() + LIFE_SECONDS * 1000).toISOString(),
              refreshToken: SECRETS.refreshToken,
            },
          }
    await flow.outcome(NOTE_CASE.message)
    skipSeconds(LIFE_SECONDS)
    assert.equal(await fails(flow, NOTE_CASE.message, 'refresh'), 'REDOX_UNAVAILABLE')
    assertSilent(flow, 'refresh')
  })

  // prettier-ignore
  const BAD_INPUT: [what: string, fields: object, message: object, code?: string][] = [
    ['no file', {}, { payload: undefined }],
    ['an empty file', {}, { payload: Buffer.alloc(0) }],
    ['text that is no base64', {}, { payload: `${DOCUMENT} %%` }],
    ['a data URI that is none', {}, { payload: `data:${PERSON.last};base64,${DOCUMENT}` }],
    ['an object', {}, { payload: DATA_MODEL }],
    ['a list', {}, { payload: [DOCUMENT] }],
    ['a reference of strangers', {}, { payload: `https://${PERSON.city}.example/${PERSON.id}` }],
    ['a reference that is no URL', {}, { payload: { url: PERSON.id, contentType: 'text/plain' } }],
    ['a name with control characters', {}, { filename: `${PERSON.last}\r\n${PERSON.fileName}` }],
    ['a content type that is none', {}, { contentType: PERSON.last }],
    ['a content type with parameters', {}, { contentType: `application/pdf; name="${PERSON.fileName}"`, payload: Buffer.from('\x89PNG\r\n\x1a\n', 'latin1') }],
    ['a path without folders', { fileFrom: 'path' }, { payload: `/tmp/${PERSON.last}/${PERSON.fileName}` }],
    ['a destination that is none', inMessage('destination'), { destination: { ID: 7, name: PERSON.last } }],
    ['JSONata that fails', { documentType: `$error("${PERSON.last}")`, documentTypeType: 'jsonata' }, {}],
    ['JSONata over a wrong type', { documentType: '$number(data.Patient.Demographics.LastName)', documentTypeType: 'jsonata' }, {}],
    ['JSON that is none', { documentType: `{"a": ${PERSON.last}`, documentTypeType: 'json' }, {}],
    ['a Buffer in the data', {}, { data: { Patient: file } }],
    ['a text in the place of an object', {}, { data: { Note: DOCUMENT, Patient: PERSON.last } }, ''],
    ['dates and values that are none', {}, { data: { Patient: { Identifiers: [{ ID: [PERSON.id] }], Demographics: { DOB: PERSON.last, Sex: PERSON.last, Race: PERSON.last, LastName: [PERSON.last] } } } }, 'REDOX_INVALID_MESSAGE'],
    ['an unknown event', { eventType: PERSON.last }, {}],
    ['too large a file', {}, { payload: Buffer.concat([file, Buffer.alloc(11_000_000, DOCUMENT)]) }, ''],
  ]
  for (const [what, fields, message, code = 'REDOX_BAD_INPUT'] of BAD_INPUT) {
    it(`are not in the error for ${what}`, async () => {
      const flow = await begin(NOTE_CASE, { node: { way: 'embed', ...fields } })
      const found = await fails(flow, { ...NOTE_CASE.message, ...message }, what)
      if (code !== '') assert.equal(found, code)
      assertSilent(flow, what)
    })
  }

  const OTHERS = {
    proxy: { id: 'proxy', type: 'http proxy', url: 'http://127.0.0.1:9' },
    tls: { id: 'tls', type: 'tls-config' },
  }
  // prettier-ignore
  const CONFIGURATIONS: [what: string, options: Partial<FlowOptions>][] = [
    ['no private key that can be read', { config: { auth: 'oauth' }, secrets: { privateKey: PRIVATE_KEY.slice(0, 400) } }],
    ['a key that is none', { config: { auth: 'oauth' }, secrets: { privateKey: SECRETS.secret } }],
    ['half a JWK', { config: { auth: 'oauth' }, secrets: { privateKey: `{"d":"${SECRETS.secret}","kty":"RSA"}` } }],
    ['no API key', { secrets: { apiKey: '' } }],
    ['an environment that is none', { config: { environment: SECRETS.secret } }],
    ['a URL with a password', { config: { apiBase: `ftp://me:${SECRETS.secret}@example.com` } }],
    ['a URL over http', { config: { apiBase: `http://me:${SECRETS.secret}@example.com` } }],
    ['a number that is none', { config: { attempts: SECRETS.secret } }],
    ['a source that is none', { config: { sourceId: PERSON.last } }],
    ['a proxy URL with a password', { config: { proxy: 'proxy' }, others: [{ ...OTHERS.proxy, url: `gopher://me:${SECRETS.proxyPassword}@example.com` }] }],
    ['a TLS key with a wrong passphrase', { config: { tls: 'tls' }, others: [{ ...OTHERS.tls, cert: '', key: '' }], otherSecrets: { tls: { certdata: CLIENT.cert, keydata: (CLIENT.key).slice(0, 300), passphrase: SECRETS.passphrase } } }],
    ['a node of a newer release', { node: { version: 99 }, config: { version: 99 } }],
    ['an odd node', { bare: true, node: { destination: { a: PERSON.last }, status: { text: PERSON.last } } }],
    ['faults that are no plan', { config: { environment: 'Sandbox', faults: 'sometimes' } }],
  ]
  for (const [what, options] of CONFIGURATIONS) {
    it(`are not in the error for ${what}`, async () => {
      const flow = await begin(NOTE_CASE, options)
      await fails(flow, NOTE_CASE.message, what)
      assertSilent(flow, what)
    })
  }

  it('do not include a login when a proxy refuses it', async () => {
    const proxy = await ConnectProxy.start()
    const others = [{ ...OTHERS.proxy, url: proxy.url }]
    const otherSecrets = { proxy: { username: 'me', password: SECRETS.proxyPassword } }
    for (const behaviour of [407, 403, 502, 'reset'] as const) {
      proxy.behaviour = behaviour
      const flow = await begin(NOTE_CASE, {
        others,
        otherSecrets,
        config: { proxy: 'proxy', apiBase: 'https://redox.invalid' },
      })
      await fails(flow, NOTE_CASE.message, String(behaviour))
      assertSilent(flow, `proxy ${behaviour}`)
    }
    await proxy.close()
  })

  it('are not in REDOX_QUEUE_FULL, nor in the log when no node catches an error', async () => {
    const config = { sendsAtOnce: '1', waitingMb: '0.001', answerTimeout: '0.3' }
    const flow = await begin(NOTE_CASE, { config, catches: false })
    script = { send: () => silence }
    for (let times = 0; times < 6; times++) flow.node.receive({ ...NOTE_CASE.message, _msgid: `m${times}` })
    const printedLog = (): string =>
      (helper.log().args as { msg?: unknown }[][]).map(([event]) => printed(event!)).join()
    await eventually('not full', () => (printedLog().match(/Queue full/g) ?? []).length >= 5)
    assertSilent(flow, 'queue')
  })

  it('are not reported for any answer about a followed message', async () => {
    said = SAID.send.filter((text) => !/Zq7|^RmluZ/.test(text))
    const flow = await begin(LOG_CASE, { config: USER_KEY, secrets: { platformPrivateKey: PRIVATE_KEY } })
    const codes = new Set<string>()
    const follow = async (reply: (request: Recorded) => Reply): Promise<void> => {
      script = { send: reply }
      codes.add(await fails(flow, { ...LOG_CASE.message, redox: { logIds: ['log-1', 'log-2'] } }, 'log'))
    }
    for (const status of ['failed', 'filtered', 'pending', 'unheard'])
      for (let times = 0; times < 10; times++) await follow(() => logAnswer(status))
    // The last one delays the lookups that follow.
    for (const status of [200, 302, 400, 401, 403, 404, 408, 500, 502, 429])
      for (const shape of Object.values(SHAPES)) await follow(echoing(status, shape))
    assertSilent(flow, 'redox-log')
    assert.ok(codes.size >= 5, [...codes].join())
    flow.node.receive({ ...LOG_CASE.message, redox: { logIds: ['log-1'] }, _msgid: 'gone' })
    await flow.stop()
    await eventually('the log names it', () => logged().some((line) => line.includes('message gone')))
    assertSilent(flow, 'redox-log stopped')
    assert.ok(canaries.searched > 50_000, String(canaries.searched))
  })

  it('are not in REDOX_INTERNAL, whatever error was thrown', async () => {
    const thrown = Object.assign(
      new TypeError(`${PERSON.last}\n    at ${PERSON.first} (${PERSON.city}:1:2)`),
      { name: PERSON.first },
    )
    const flow = await begin(NOTE_CASE)
    // Makes the client throw an unexpected error of our own code.
    const { RedoxClient } = await import('../../src/redox/client.js')
    const delivering = Object.getOwnPropertyDescriptor(RedoxClient.prototype, 'deliver')!
    RedoxClient.prototype.deliver = () => Promise.reject(thrown)
    try {
      assert.equal(await fails(flow, NOTE_CASE.message, 'internal'), 'REDOX_INTERNAL')
    } finally {
      Object.defineProperty(RedoxClient.prototype, 'deliver', delivering)
    }
    assertSilent(flow, 'internal')
  })
})
