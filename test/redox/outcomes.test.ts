/** What becomes of an answer: shapes of bodies, the table of outcomes in docs/design/outcomes.md, masked words. */
import assert from 'node:assert/strict'
import type { Connection } from '../../nodes/lib/connection/connection'
import type { RedoxErrorCode } from '../../src/errors'
import { takeMemory, type FileSource } from '../../src/file/file'
import { prepareDataModel } from '../../src/message/datamodel'
import { prepareFhir } from '../../src/message/fhir'
import { retryAfterSeconds } from '../../src/redox/answers'
import { readAnswer } from '../../src/redox/read-answer'
import { answerOf } from '../../src/transport/http'
import { deliverDirect, uploadDirect } from '../../src/redox/direct'
import { fhirFixture, sha256, sizedFile } from '../lib/fixtures'
import {
  bytesOf,
  connectTo,
  failing,
  isToken,
  never,
  serve,
  TOKEN_PATH,
  withToken,
  type Reply,
  type Server,
} from '../lib/redox'

const ERROR = { ID: 531829, Text: 'Required field missing - Device.ID in Device:New', Type: 'message' }
const refusal = { severity: 'error', code: 'invalid', details: { text: 'No' }, diagnostics: 'deep' }
const OUTCOME = { resourceType: 'OperationOutcome', issue: [refusal] }
const LOG_ID = 'd9f5d293-7110-461e-a875-3beb089e79f3'
const LOCATION = 'https://fhir.example/DiagnosticReport/1/_history/1'
const CREATED = { response: { status: '201 Created', location: LOCATION } }
const REFUSED = {
  response: { status: '422', outcome: { issue: [{ severity: 'error', diagnostics: 'bad' }] } },
}
const XML_OUTCOME = `<OperationOutcome xmlns="http://hl7.org/fhir"><issue><severity value="error"/><code value="invalid"/>
  <details><text value="Not &quot;so&quot; &lt;here&gt;"/></details><diagnostics value="line 7"/>
  <expression value="Bundle.entry[1]"/></issue><issue><severity value="warning"/><diagnostics value="old"/></issue>
  <issue><severity value="fatal"/><diagnostics value="bad"/></issue></OperationOutcome>`
const GATEWAY = '<html><head><title>x</title></head><body><h1>502</h1>Bad\nGateway</body></html>'

const read = (body: unknown, headers: Record<string, string> = {}) => {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return readAnswer({ body, headers, text })
}

describe('the words of an answer', () => {
  const shapes: [string, unknown, string[]][] = [
    ['Meta.Errors', { Meta: { Errors: [ERROR, { Text: 'two' }] } }, [ERROR.Text, 'two']],
    ['errorDetail', { errorDetail: 'no file' }, ['no file']],
    ['an OAuth error', { error: 'invalid_request', error_description: 'No kid' }, ['No kid']],
    ['an OAuth error alone', { error: 'invalid_request', error_description: '' }, ['invalid_request']],
    ['plain text', ' Invalid request\n', ['Invalid request']],
    ['HTML', GATEWAY, ['502 Bad Gateway']],
    ['nothing', '', []],
    ['a JSON list', [1], ['[1]']],
    ['an OperationOutcome', OUTCOME, ['No (deep)']],
    [
      "Issues as Redox's page spells them",
      { Issues: [{ Text: 'Destination refused' }] },
      ['Destination refused'],
    ],
    ['issues with details', { issues: [{ severity: 'error', details: { text: 'refused' } }] }, ['refused']],
    ['one issue without a list', { issue: { severity: 'fatal', diagnostics: 'deep' } }, ['deep']],
    ['issues that are texts', { Issues: ['no', 'never'] }, ['no', 'never']],
    ['Issues with capitals inside', { Issues: [{ Severity: 'Error', Details: { Text: 'No' } }] }, ['No']],
    [
      'Issues that only inform',
      { Issues: [{ Severity: 'Warning', Text: 'hm' }, { severity: 'information' }] },
      [],
    ],
    ['an issue without a severity', { issue: [{ diagnostics: 'deep' }] }, ['deep']],
    ['ErrorMessages', { ErrorMessages: ['old', { Text: 'older' }] }, ['old', 'older']],
    ['errorDetail that is a list', { errorDetail: ['one', { text: 'two' }] }, ['one', 'two']],
    ['empty places for errors', { Meta: { Errors: [] }, Issues: [], issue: null, errorDetail: '' }, []],
    ['one with diagnostics', { issue: [{ ...refusal, details: {} }] }, ['deep']],
    ['one with a code alone', { issue: [{ severity: 'fatal', code: 'processing' }] }, ['processing']],
    ['one that only informs', { issue: [{ ...refusal, severity: 'warning' }] }, []],
    ['an outcome of one entry', { entry: [CREATED, REFUSED] }, ['bad']],
    ['an OperationOutcome among the entries', { entry: [CREATED, { resource: OUTCOME }] }, ['No (deep)']],
    ['one among them that only informs', { entry: [{ resource: { ...OUTCOME, issue: [] } }] }, []],
    [
      "HL7's example",
      fhirFixture('OperationOutcome-validationfail'),
      ['Error parsing resource XML (Unknown Content "label" (Patient.identifier)'],
    ],
    [
      'one that says where',
      { issue: [{ ...refusal, diagnostics: 'No', expression: ['Patient.name[0]', 'Patient.gender'] }] },
      ['No (Patient.name[0], Patient.gender)'],
    ],
    [
      'one with a location of old',
      { issue: [{ ...refusal, location: ['/f:Patient'] }] },
      ['No (/f:Patient; deep)'],
    ],
    ['an OperationOutcome in XML', XML_OUTCOME, ['Not "so" <here> (Bundle.entry[1]; line 7)', 'bad']],
    [
      'one in XML with single quotes and line breaks',
      XML_OUTCOME.replaceAll(/ value="([^"]*)"/g, (_, value: string) => `\n  value = '${value}'`),
      ['Not "so" <here> (Bundle.entry[1]; line 7)', 'bad'],
    ],
    [
      'one in XML with a prefix',
      XML_OUTCOME.replaceAll(/<(\/?)/g, '<$1f:'),
      ['Not "so" <here> (Bundle.entry[1]; line 7)', 'bad'],
    ],
    [
      'problem+json',
      { type: 'about:blank', title: 'Bad Request', detail: 'No source', status: 400 },
      ['No source'],
    ],
    [
      'one whose words stand in a coding',
      { issue: [{ severity: 'error', details: { coding: [{ code: 'x', display: 'Not known' }] } }] },
      ['Not known'],
    ],
    ['Meta.errors in small letters', { Meta: { errors: [{ text: 'No' }] } }, ['No']],
    ['problem+json without a detail', { title: 'Bad Request', status: 400 }, ['Bad Request']],
  ]
  for (const [what, body, reasons] of shapes)
    it(`are found in ${what}`, () => assert.deepEqual(read(body).reasons, reasons))

  const wordless: [string, unknown][] = [
    ['Meta.Errors without Text', { Meta: { Errors: [{ ID: 531829, Module: 'Send' }] } }],
    ['Meta.Errors that are texts', { Meta: { Errors: ['no'] } }],
    ['an issue without words', { issue: [{ severity: 'error' }] }],
  ]
  for (const [what, body] of wordless)
    it(`are made up for ${what}: an error is never overlooked`, () =>
      assert.equal(read(body).reasons.length, 1))

  it('come with ids, locations, entries and trace', () => {
    assert.deepEqual(read({ Meta: { Logs: [{ ID: 'a' }, { ID: 7 }, {}] } }).logIds, ['a', 7])
    const facts = read({ entry: [CREATED, REFUSED, {}, { response: {} }] }, { 'redox-trace-id': 't' })
    assert.deepEqual([facts.locations, facts.traceId], [[LOCATION], 't'])
    assert.deepEqual(
      facts.entries.map(({ part, status, delivered }) => [part, status, delivered]),
      [
        ['entry[0]', 201, true],
        ['entry[1]', 422, false],
        // Without a status nothing says that it failed.
        ['entry[3]', undefined, true],
      ],
    )
  })
})

// ---- Outcomes over real HTTP ---------------------------------------------------------------------------

const CANARIES = [
  'MRN-7731-canary',
  'Zebedina',
  'Quuxworth-Müller',
  '1931-07-19',
  '90871234',
  'befund-quux.pdf',
]
const [ID, FirstName, LastName, DOB, number, filename] = CANARIES as [string, ...string[]] & { 5: string }
const DESTINATIONS = ['af394f14-b34a-464f-8d24-895f370af4c9', '7ce6f387-c33c-417d-8682-81e83628cbd9']
const FILE = takeMemory(Buffer.from('%PDF-1.7'), { where: 'x', filename }).file
const PATIENT = { Identifiers: [{ ID, IDType: 'MR' }], Demographics: { FirstName, LastName, DOB } }
const NOTE = { DocumentType: 'Consent Form', DocumentID: 'doc-4711', Provider: { ID: '4356789876' } }
const MESSAGE = { eventType: 'New', destinations: DESTINATIONS, fields: [], now: new Date() }
const REPORT = {
  resourceType: 'DiagnosticReport',
  identifier: [{ value: 'report-1' }],
  code: { text: 'x' },
}

let server: Server
let connection: Connection
let script: (path: string) => Reply

const note = (destinations = DESTINATIONS, file = FILE) => {
  const data = { Patient: PATIENT, Visit: { VisitNumber: number }, Note: NOTE }
  const files = [{ file, way: 'embed' as const }]
  return prepareDataModel({ ...MESSAGE, destinations, model: 'Notes', data, files }, connection.sender)
}
const report = () => {
  const data = [REPORT, { resourceType: 'Patient', identifier: [{ value: ID }] }]
  const operation = 'DiagnosticReport/$diagnosticreport-create'
  return prepareFhir(
    { ...MESSAGE, operation, slug: 'redox-fhir-sandbox', data, files: [] },
    connection.sender,
  )
}
const send = (client = connection.client) => deliverDirect(client, note(), { signal: never() })
const sendToOne = () => deliverDirect(connection.client, note(DESTINATIONS.slice(0, 1)), { signal: never() })
const sendFhir = () => deliverDirect(connection.client, report(), { signal: never() })
const upload = (client = connection.client) => uploadDirect(client, FILE, { kind: 'blob', signal: never() })

const reset: Reply = (response) => void response.socket!.resetAndDestroy()
const silence: Reply = () => undefined
const cutShort: Reply = (response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 })
  response.write('{"Meta":{', () => response.socket!.destroy())
}
const status = (code: number, body: unknown = { errorDetail: 'so it is' }): Reply => ({ status: code, body })

describe('Retry-After', () => {
  const DATE = 'Wed, 21 Oct 2015 07:28:00 GMT'
  const rows: [given: string, date: string | undefined, seconds: number | undefined][] = [
    ['7', undefined, 7],
    [' 7 ', undefined, 7],
    ['0', undefined, 0],
    ['3601', undefined, 3600],
    ['315360000', undefined, 3600],
    ['9'.repeat(400), undefined, 3600],
    ['-5', undefined, undefined],
    ['1.5', undefined, undefined],
    ['NaN', undefined, undefined],
    ['soon', undefined, undefined],
    ['', undefined, undefined],
    ['Wed, 21 Oct 2015 07:28:30 GMT', DATE, 30],
    ['Wed, 21 Oct 2015 07:27:00 GMT', DATE, 0],
    ['Fri, 21 Oct 2050 07:28:00 GMT', DATE, 3600],
    ['Fri, 21 Oct 2050 07:28:00 GMT', 'not a date', 3600],
    [DATE, undefined, 0],
  ]
  for (const [given, date, seconds] of rows)
    it(`${given.slice(0, 40)}, the answer is of ${date}: ${seconds}`, () => {
      const headers = { 'retry-after': given, ...(date !== undefined && { date }) }
      assert.equal(retryAfterSeconds(headers), seconds)
    })
})

describe('JSON of an answer', () => {
  const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`
  const body = (text: string): unknown => answerOf(200, {}, text).body

  it('that is nested as deep as nothing of Redox stays a text', () => {
    for (const text of [nested(100_000), '{"a":'.repeat(501) + '1' + '}'.repeat(501)])
      assert.equal(body(text), text)
  })

  it('is read whatever its strings hold', () => {
    const values = ['['.repeat(1000), '"', '\\', '\\"[', '{'.repeat(600) + '\\', 'x'.repeat(5_000_000)]
    assert.deepEqual(body(JSON.stringify(values)), values)
    assert.deepEqual(body(nested(500)), JSON.parse(nested(500)))
  })
})

describe('outcomes of a send, row by row', () => {
  beforeEach(async () => {
    script = () => status(200, { Meta: { Logs: [{ ID: LOG_ID }] } })
    server = await serve(withToken(({ path }) => script(path)))
    connection = connectTo(server.url, { answerTimeout: 0.5 })
  })
  afterEach(async () => {
    await connection.client.close()
    await server.close()
  })

  it('delivered: 2xx and the body says so', async () => {
    const { facts, attempts, status: code } = await send()
    assert.deepEqual([facts.logIds, attempts, code], [[LOG_ID], 1, 200])
    script = () => status(200, { resourceType: 'Bundle', entry: [CREATED] })
    assert.deepEqual((await sendFhir()).facts.locations, [LOCATION])
    script = () => status(202, '')
    assert.equal((await send()).status, 202)
    // The status of an entry may be left out; sent again, it would be in the chart twice.
    script = () => status(200, { resourceType: 'Bundle', entry: [{ response: { location: LOCATION } }] })
    assert.deepEqual((await sendFhir()).facts.locations, [LOCATION])
  })

  it('unknown: an empty 200 that does not say that it is empty may have been cut', async () => {
    script = () => (response) => void response.socket!.end('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n')
    await failing('REDOX_OUTCOME_UNKNOWN', () => send())
    script = () => ({ status: 200, headers: { 'content-length': '0' } })
    assert.equal((await send()).status, 200)
  })

  // undici ends the connection: it takes no 100 that it has not asked for (docs/faults.md).
  it('unknown: an unasked 100 Continue before the answer', async () => {
    script = () => (response) => {
      response.writeContinue()
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    }
    const { cause } = await failing('REDOX_OUTCOME_UNKNOWN', () => send())
    assert.deepEqual([server.to('/endpoint').length, cause.fault], [1, 'UND_ERR_SOCKET'])
    await failing('REDOX_NETWORK', () => upload())
  })

  it('rejected: a 200 with an OperationOutcome in XML that has an error', async () => {
    script = () => ({
      status: 200,
      headers: { 'content-type': 'application/fhir+xml' },
      body: `<?xml version="1.0"?>${XML_OUTCOME}`,
    })
    await failing('REDOX_REJECTED', sendFhir, /bad/)
  })

  it('unknown: an answer that drips is not waited for without end', async () => {
    const drip: Reply = (response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const dripping = setInterval(() => response.write(' '), 50)
      response.once('close', () => clearInterval(dripping))
    }
    script = () => drip
    const began = Date.now()
    const { cause } = await failing('REDOX_OUTCOME_UNKNOWN', () => send())
    assert.equal(cause.fault, 'LATE_ANSWER')
    await failing('REDOX_UNAVAILABLE', () => upload())
    assert.ok(Date.now() - began < 4000)
  })

  it('unknown: tells the sha256 of what was embedded also when it was not read to its end', async () => {
    const bytes = sizedFile(9_000_000)
    const file = takeMemory(bytes, { where: 'x', filename }).file
    const deaf = await serve(
      withToken(() => status(200)),
      undefined,
      (request) => (request.url === TOKEN_PATH ? bytesOf(request) : Promise.reject(new Error('deaf'))),
    )
    const { client } = connectTo(deaf.url)
    try {
      const sending = () => deliverDirect(client, note(DESTINATIONS, file), { signal: never() })
      const { cause } = await failing('REDOX_OUTCOME_UNKNOWN', sending)
      assert.deepEqual(cause.sha256, [sha256(bytes)])
    } finally {
      await client.close()
      await deaf.close()
    }
  })

  it('unknown: is told although the file that was embedded cannot be read again', async () => {
    script = () => reset
    let reads = 0
    const hangs: FileSource = {
      ...FILE,
      async *read() {
        if (reads++ > 0) await new Promise(() => undefined)
        yield Buffer.from('%PDF')
        throw new Error('gone')
      },
    }
    const began = Date.now()
    const sending = () => deliverDirect(connection.client, note(DESTINATIONS, hangs), { signal: never() })
    const { cause } = await failing('REDOX_OUTCOME_UNKNOWN', sending)
    assert.equal(cause.sha256, undefined)
    assert.ok(Date.now() - began < 5000)
  })

  it('unknown: tells what the resources of a Bundle are called, and no id of a patient', async () => {
    script = () => status(500)
    const { cause } = await failing('REDOX_OUTCOME_UNKNOWN', () => sendFhir())
    const { BundleID, ...others } = cause.identifiers!
    assert.match(BundleID!, /./)
    assert.deepEqual(others, { 'entry[1].DiagnosticReport.identifier[0]': 'report-1' })
  })

  it('partial: an entry that is an OperationOutcome', async () => {
    script = () => status(200, { resourceType: 'Bundle', entry: [CREATED, { resource: OUTCOME }] })
    await failing('REDOX_PARTIAL', () => sendFhir(), /Arrived: entry\[0\]/)
    const refused = { response: { status: '200' }, resource: OUTCOME }
    script = () => status(200, { resourceType: 'Bundle', entry: [refused] })
    await failing('REDOX_REJECTED', () => sendFhir(), /Redox says: No/)
    script = () => status(200, { resourceType: 'Bundle', entry: [CREATED, refused] })
    await failing('REDOX_PARTIAL', () => sendFhir(), /Rejected: entry\[1\]/)
    script = () => status(200, { resourceType: 'Bundle', entry: [{ resource: OUTCOME }] })
    await failing('REDOX_REJECTED', () => sendFhir(), /Redox says: No/)
  })

  type Code = RedoxErrorCode extends `REDOX_${infer Name}` ? Name : never
  const elsewhere = { location: 'http://127.0.0.1:1/elsewhere' }

  /** What a send and an upload become; a third code where a token call differs from an upload. */
  const rows: [string, Reply, send: Code, upload: Code, token?: Code][] = [
    ['302', { status: 302, headers: elsewhere }, 'REJECTED', 'REJECTED'],
    ['307', { status: 307, headers: elsewhere }, 'REJECTED', 'REJECTED'],
    ['400', status(400, { Meta: { Errors: [ERROR] } }), 'REJECTED', 'REJECTED', 'AUTHENTICATION'],
    ['403', status(403), 'FORBIDDEN', 'FORBIDDEN', 'AUTHENTICATION'],
    ['404', status(404), 'REJECTED', 'REJECTED'],
    ['413', status(413), 'TOO_LARGE', 'TOO_LARGE'],
    ['422', status(422), 'REJECTED', 'REJECTED'],
    ['429', status(429, ''), 'RATE_LIMITED', 'RATE_LIMITED'],
    ['502 with HTML', status(502, GATEWAY), 'UNAVAILABLE', 'UNAVAILABLE'],
    ['503', status(503, ''), 'UNAVAILABLE', 'UNAVAILABLE'],
    ['408', status(408), 'OUTCOME_UNKNOWN', 'TIMEOUT'],
    ['500', status(500), 'OUTCOME_UNKNOWN', 'UNAVAILABLE'],
    ['504 with HTML', status(504, GATEWAY), 'OUTCOME_UNKNOWN', 'UNAVAILABLE'],
    ['599', status(599), 'OUTCOME_UNKNOWN', 'UNAVAILABLE'],
    ['a reset', reset, 'OUTCOME_UNKNOWN', 'NETWORK'],
    ['no answer in time', silence, 'OUTCOME_UNKNOWN', 'TIMEOUT'],
    ['a 200 cut short', cutShort, 'OUTCOME_UNKNOWN', 'UNAVAILABLE'],
  ]
  for (const [what, reply, sent, uploaded, token = uploaded] of rows) {
    it(`${what}: a send is ${sent}, an upload ${uploaded}, a token call ${token}`, async () => {
      script = () => reply
      const { cause, message } = await failing(`REDOX_${sent}`, () => send())
      assert.equal(cause.operation, 'Notes:New')
      if (sent === 'OUTCOME_UNKNOWN' || sent === 'REJECTED') assert.equal(server.to('/endpoint').length, 1)
      if (sent === 'OUTCOME_UNKNOWN') {
        assert.deepEqual(cause.identifiers, { DocumentID: 'doc-4711' })
        assert.match(message, /Look it up in the Redox dashboard/)
      }
      await failing(`REDOX_${uploaded}`, () => upload())

      const other = await serve(() => reply)
      const { client } = connectTo(other.url, { answerTimeout: 0.5 })
      try {
        const refused = await failing(`REDOX_${token}`, () => send(client))
        assert.equal(refused.cause.operation, 'token')
        assert.ok(other.requests.every(isToken))
      } finally {
        await client.close()
        await other.close()
      }
    })
  }

  it('a reason is cut short, and tokens, base64 and pieces of a long text stay out of it', async () => {
    const Text = `${'A1b2'.repeat(20)} refused: ${'long '.repeat(500)}`
    script = () => status(400, { Meta: { Errors: [{ Text }] } })
    const { message, cause } = await failing('REDOX_REJECTED', () => sendToOne(), /\[…\] refused: long/)
    assert.ok(message.length < 600 && !message.includes('A1b2'))
    assert.equal(cause.reasons![0]!.length, 300)

    script = () => status(400, { Meta: { Errors: [{ Text: 'Bad text: seen today for a routine check' }] } })
    const long = {
      ...note(),
      body: { ...note().body, Comment: `Was seen today for a routine check. ${'x '.repeat(200)}` },
    }
    const quoted = await failing(
      'REDOX_REJECTED',
      () => deliverDirect(connection.client, long, { signal: never() }),
      /./,
    )
    assert.ok(!quoted.message.includes('routine'))
  })

  it('a place in the message stays readable, however long it is', async () => {
    const place = 'Bundle.entry.resource.presentedForm.contentType'
    script = () => status(400, { ...OUTCOME, issue: [{ ...refusal, expression: [place] }] })
    await failing(
      'REDOX_REJECTED',
      () => sendFhir(),
      /No \(Bundle\.entry\.resource\.presentedForm\.contentType; deep\)/,
    )
    const token = `${'a'.repeat(31)}.${'b'.repeat(31)}`
    script = () => status(400, { ...OUTCOME, issue: [{ ...refusal, diagnostics: token }] })
    await failing('REDOX_REJECTED', () => sendFhir(), /No \(\[…\]\)/)
  })

  it("links into Redox's own dashboard stay readable, and nothing else in a link does", async () => {
    const base = 'https://dashboard.redoxengine.com'
    const uuid = '0f0e0d0c-1111-4222-8333-444455556666'
    const link = `${base}/#/organizations/1234/logs/${uuid}?tab=process`
    const content = 'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9w'
    const cases: [said: string, shown: string][] = [
      [`See ${link}.`, `See ${link}.`],
      [`See ${base}/logs/${content}`, 'See https:[…]'],
      [`See ${base}.evil.example/organizations/${uuid}`, 'See https:[…]'],
    ]
    for (const [Text, shown] of cases) {
      script = () => status(400, { Meta: { Errors: [{ Text }] } })
      const { cause } = await failing('REDOX_REJECTED', () => sendToOne())
      assert.deepEqual(cause.reasons, [shown])
    }
  })

  it('a 200 of HTML is unknown for a send: something between us and Redox spoke', async () => {
    script = () => status(200, '<html>login</html>')
    await failing('REDOX_OUTCOME_UNKNOWN', () => send())
  })

  const disguised: [string, unknown, () => Promise<unknown>][] = [
    [
      'issues',
      {
        issues: [{ severity: 'error', details: { text: 'Destination refused' }, DestinationStatusCode: 400 }],
      },
      sendFhir,
    ],
    ['Issues without a severity', { Issues: [{ Text: 'no' }] }, sendFhir],
    ['Issues beside Meta', { Meta: { Logs: [{ ID: 'log-1' }] }, Issues: [{ Text: 'no' }] }, sendToOne],
    ['Issues beside a resourceType', { resourceType: 'Bundle', Issues: [{ severity: 'fatal' }] }, sendFhir],
    ['ErrorMessages', { ErrorMessages: ['no'] }, sendToOne],
    ['ErrorMessages in Meta', { Meta: { ErrorMessages: ['no'] } }, sendToOne],
    ['Meta.Errors', { Meta: { Errors: [ERROR] } }, sendToOne],
    ['Meta.Errors without a text', { Meta: { Errors: [{ ID: 1 }] } }, sendToOne],
    ['errorDetail', { errorDetail: 'no' }, sendToOne],
    ['an OperationOutcome', OUTCOME, sendFhir],
    ['every entry refused', { resourceType: 'Bundle', entry: [REFUSED, REFUSED] }, sendFhir],
  ]
  for (const [what, body, sending] of disguised) {
    it(`rejected: a 200 with ${what}`, async () => {
      script = () => status(200, body)
      await failing('REDOX_REJECTED', () => sending(), /although the HTTP status is 200/)
      assert.equal(server.requests.filter((request) => !isToken(request)).length, 1)
    })
  }

  it('delivered: a 200 with log ids and a friendly word', async () => {
    script = () => status(200, { Meta: { Logs: [{ ID: LOG_ID }] }, message: 'Accepted' })
    assert.deepEqual((await sendToOne()).facts.logIds, [LOG_ID])
  })

  it('rejected: an error out of a 200 carries identifiers, sha256 and the time of the request', async () => {
    const began = Date.now()
    script = () => status(200, { Issues: [{ Text: 'no' }] })
    const { cause } = await failing('REDOX_REJECTED', sendToOne, /no/)
    assert.deepEqual(
      [cause.identifiers, cause.sha256, cause.attempts],
      [{ DocumentID: 'doc-4711' }, [sha256(Buffer.from('%PDF-1.7'))], 1],
    )
    assert.ok(Date.parse(cause.at!) >= began && Date.parse(cause.at!) <= Date.now())
    script = () => status(200, { resourceType: 'Bundle', entry: [CREATED, REFUSED] })
    const partial = await failing('REDOX_PARTIAL', sendFhir)
    assert.ok(partial.cause.identifiers!['entry[1].DiagnosticReport.identifier[0]'] && partial.cause.at)
    script = () => status(201, {})
    const unreferenced = await failing('REDOX_REJECTED', () => upload(), /without a reference/)
    assert.ok(Date.parse(unreferenced.cause.at!) >= began)
  })

  it('rejected: an upload that was answered with a reference and an error', async () => {
    script = () => status(201, { URI: 'https://blob.redoxengine.com/1', errorDetail: 'not stored' })
    await failing('REDOX_REJECTED', () => upload(), /not stored/)
  })

  const evidence: [string, unknown][] = [
    ['Meta without Errors', { Meta: {} }],
    ['a Meta with an empty list of Errors', { Meta: { Errors: [] }, success: true }],
    ['a resource', { resourceType: 'Bundle', type: 'transaction-response', entry: [] }],
    ['an OperationOutcome without issues', { resourceType: 'OperationOutcome' }],
    ['an OperationOutcome that informs', { ...OUTCOME, issue: [{ severity: 'information' }] }],
    ['an empty object', {}],
    ['a line break', '\r\n'],
  ]
  for (const [what, body] of evidence) {
    it(`delivered: a 200 with ${what}`, async () => {
      script = () => status(200, body)
      assert.equal(((await sendFhir()) as { status: number }).status, 200)
    })
  }

  const others: [body: unknown, shape: RegExp][] = [
    [{ message: 'Accepted' }, /an object with message, \S+\)\. Redox says: Accepted\./],
    [{ error: 'upstream' }, /an object with error, \S+\)\. Redox says: upstream\./],
    [{ success: false }, /an object with success, \S+\)/],
    [{ success: true }, /an object with success, \S+\)/],
    [{ status: 'ok', id: 7 }, /an object with status, id, \S+\)/],
    [{ Meta: 'x' }, /an object with Meta, \S+\)/],
    [{ resourceType: '' }, /an object with resourceType, \S+\)/],
    [{ Issues: [] }, /an object with Issues, \S+\)/],
    [[], /a list, \S+\)/],
    ['[{"resourceType":"Bundle"}]', /a list, \S+\)/],
    ['true', /a boolean, \S+\)/],
    ['null', /null, \S+\)/],
    ['"OK"', /a string, \S+\)/],
  ]
  for (const [body, shape] of others) {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    it(`unknown: a 200 with other JSON, unless the connection takes it for a yes: ${text}`, async () => {
      script = () => status(200, body)
      const { message, cause } = await failing('REDOX_OUTCOME_UNKNOWN', sendFhir, shape)
      assert.match(message, /set "Other 2xx answers" .* to "success"/)
      assert.deepEqual([cause.answer, cause.status, cause.attempts], [JSON.parse(text), 200, 1])
      assert.ok(cause.identifiers!.BundleID && cause.at)
      assert.equal(server.requests.filter((request) => !isToken(request)).length, 1)
      const { client } = connectTo(server.url, { otherAnswers: 'accepted' })
      try {
        const { body: told } = await deliverDirect(client, report(), { signal: never() })
        assert.deepEqual(told, JSON.parse(text))
      } finally {
        await client.close()
      }
    })
  }

  it('unknown, once: a 200 that is nested 100 000 deep', async () => {
    for (const text of ['['.repeat(100_000) + ']'.repeat(100_000), '{"Meta":'.repeat(100_000) + '1']) {
      script = () => status(200, text)
      const { cause } = await failing('REDOX_OUTCOME_UNKNOWN', sendToOne)
      assert.equal(cause.attempts, 1)
      structuredClone(cause)
    }
  })

  it('the shape of an answer repeats nothing of the patient', async () => {
    script = () => status(200, { [LastName!]: 1, [ID]: 2, ok: 3 })
    const { message } = await failing('REDOX_OUTCOME_UNKNOWN', sendToOne, /ok, \S+\)/)
    for (const canary of CANARIES) assert.ok(!message.includes(canary), message)
  })

  it('errors and pages of HTML are no yes, whatever the connection takes for one', async () => {
    const { client } = connectTo(server.url, { otherAnswers: 'accepted' })
    try {
      script = () => status(200, { Issues: [{ Text: 'no' }] })
      await failing('REDOX_REJECTED', () => deliverDirect(client, report(), { signal: never() }))
      script = () => status(200, '<html>login</html>')
      await failing('REDOX_OUTCOME_UNKNOWN', () => deliverDirect(client, report(), { signal: never() }))
    } finally {
      await client.close()
    }
  })

  it('partial: some destinations, told by name', async () => {
    const refused = { ...ERROR, Text: `Destination ${DESTINATIONS[1]} refused`, DestinationStatusCode: 422 }
    script = () => status(200, { Meta: { Logs: [{ ID: 'log-1' }], Errors: [refused] } })
    const { cause } = await failing('REDOX_PARTIAL', () => send(), /log-1/)
    assert.deepEqual(cause.parts, [
      { part: `destination ${DESTINATIONS[0]}`, delivered: true },
      { part: `destination ${DESTINATIONS[1]}`, delivered: false, status: 422 },
    ])
  })

  it('partial: an error that names none of several destinations leaves all of them open', async () => {
    script = () => status(200, { Meta: { Errors: [ERROR] } })
    const { cause } = await failing('REDOX_PARTIAL', () => send(), /Unknown: destination/)
    assert.deepEqual(
      cause.parts,
      DESTINATIONS.map((id) => ({ part: `destination ${id}` })),
    )
  })

  it('partial: an issue beside entries that were all created', async () => {
    script = () => status(200, { ...OUTCOME, entry: [CREATED] })
    await failing('REDOX_PARTIAL', () => sendFhir(), /Arrived: entry\[0\]\. Rejected: none/)
  })

  it('partial: some entries of a Bundle', async () => {
    script = () => status(200, { resourceType: 'Bundle', entry: [CREATED, REFUSED] })
    const { cause } = await failing(
      'REDOX_PARTIAL',
      () => sendFhir(),
      /Arrived: entry\[0\]\. Rejected: entry\[1\]/,
    )
    assert.deepEqual(cause.parts, [
      { part: 'entry[0]', delivered: true, status: 201 },
      { part: 'entry[1]', delivered: false, status: 422 },
    ])
  })

  it('unauthorised: one fresh token, one replay with the same bytes, then an error', async () => {
    let refusals = 1
    script = () => (refusals-- > 0 ? status(401, 'Unauthorized') : status(200, { Meta: { Logs: [] } }))
    assert.equal((await send()).attempts, 2)
    const [first, second, ...more] = server.to('/endpoint')
    assert.ok(first!.body.equals(second!.body) && more.length === 0)

    refusals = 100
    const { cause } = await failing('REDOX_AUTHENTICATION', () => send(), /^Access token not accepted/)
    assert.deepEqual([cause.attempts, server.to('/endpoint').length], [2, 4])
  })

  it('rejected: a 401 that refuses the source is no matter of the token', async () => {
    for (const body of [
      'This source is not authorized.',
      { Meta: { Errors: [{ Text: 'Source not authorised' }] } },
    ]) {
      const before = server.to('/endpoint').length
      script = () => status(401, body)
      const { cause } = await failing(
        'REDOX_AUTHENTICATION',
        () => send(),
        /^Source not authorized.*source ID in the connection/,
      )
      assert.deepEqual([cause.attempts, server.to('/endpoint').length - before], [1, 1])
    }
  })

  it("tells the answer's Message.ID when it has no log ids", async () => {
    const answer = { Meta: { Message: { ID: 42424242 } } }
    script = () => status(200, answer)
    assert.equal((await sendToOne()).facts.messageId, '42424242')
    script = () => status(400, { Meta: { ...answer.Meta, Errors: [ERROR] } })
    const { cause } = await failing('REDOX_REJECTED', () => sendToOne(), /\(message 42424242\)/)
    assert.equal(cause.messageId, '42424242')
    script = () => status(200, { Meta: { ...answer.Meta, Logs: [{ ID: LOG_ID }] } })
    assert.equal((await sendToOne()).facts.messageId, undefined)
  })

  it('not processed: no server there, and a name that is none, are a network error; no TLS is its own', async () => {
    const gone = await serve(() => status(200))
    await gone.close()
    const urls = [
      [gone.url, 'REDOX_NETWORK', /^Server not reachable/],
      ['https://redox.invalid', 'REDOX_NETWORK', /^Server not reachable/],
      [server.url.replace('http:', 'https:'), 'REDOX_TLS', /does not speak TLS/],
    ] as const
    for (const [url, code, text] of urls) {
      const { client } = connectTo(url, { connectTimeout: 2 })
      const { cause } = await failing(code, () => send(client), text)
      assert.ok(cause.fault, url)
      await client.close()
    }
    assert.equal(server.requests.length, 0)
  })

  it('429 tells how long to wait, when Redox says it in a way that can be read', async () => {
    const waits: [header: string, seconds: number | undefined][] = [
      ['17', 17],
      [new Date(Date.now() + 60_000).toUTCString(), 60],
      ['soon', undefined],
      // Of years, or for ever: an hour.
      ['999999999', 3600],
      ['9'.repeat(400), 3600],
      [new Date(Date.now() + 1e12).toUTCString(), 3600],
    ]
    for (const [header, seconds = NaN] of waits) {
      script = () => ({ status: 429, headers: { 'retry-after': header } })
      // A message that is told to wait holds up all messages of the connection.
      await connection.client.close()
      connection = connectTo(server.url)
      const { retryAfterSeconds: wait = NaN } = (await failing('REDOX_RATE_LIMITED', () => send())).cause
      assert.ok(Object.is(wait, seconds) || Math.abs(wait - seconds) < 10, `${header}: ${wait}`)
    }
  })

  it('403 of an upload hints at free accounts; 404 at slug, environment and operation', async () => {
    script = () => status(403)
    await failing('REDOX_FORBIDDEN', () => upload(), /Free accounts cannot upload files in Development/)
    script = () => status(404)
    await failing('REDOX_REJECTED', () => send(), /destination slug, the environment and the operation/)
  })

  it('a failed send tells which files were uploaded before it, also when a later upload fails', async () => {
    const url = 'https://blob.redoxengine.com/1'
    const files = [FILE, FILE].map((file) => ({ file, way: 'upload' as const }))
    const Orders = [{ ID: '1', Results: [{ Code: 'x' }] }]
    const input = { ...MESSAGE, model: 'Results' as const, data: { Patient: PATIENT, Orders }, files }
    const message = () => prepareDataModel(input, connection.sender)
    const deliver = () => deliverDirect(connection.client, message(), { signal: never() })
    script = (path) => (path === '/upload' ? status(201, { URI: url }) : status(400))
    assert.deepEqual((await failing('REDOX_REJECTED', deliver)).cause.uploaded, [url, url])
    let uploads = 0
    script = () => (uploads++ ? status(500) : status(201, { URI: url }))
    assert.deepEqual((await failing('REDOX_UNAVAILABLE', deliver)).cause.uploaded, [url])
  })

  it("masks what stood in the message in Redox's words", async () => {
    const said = CANARIES.map((value) => `Bad value '${value}' (${value.toUpperCase()})`)
    script = () => status(400, { Meta: { Errors: said.map((Text) => ({ Text })), Logs: [{ ID: 'log-9' }] } })
    const { message, cause } = await failing('REDOX_REJECTED', () => send(), /Redox says: Bad value '\[…\]'/)
    const texts = JSON.stringify([message, cause.reasons]).toLowerCase()
    for (const value of CANARIES) assert.ok(!texts.includes(value.toLowerCase()), value)
    assert.deepEqual(cause.logIds, ['log-9'])

    script = () => status(400, { errorDetail: `cannot store ${filename}` })
    await failing('REDOX_REJECTED', () => upload(), /cannot store \[…\]/)
  })

  it('keeps words readable that say nothing about a person', async () => {
    const Text = `${ERROR.Text}, Notes to ${DESTINATIONS[0]}: Base64 Encoded is final`
    script = () => status(400, { Meta: { Errors: [{ Text }] } })
    assert.deepEqual((await failing('REDOX_REJECTED', () => send())).cause.reasons, [Text])
  })

  it('aborted: before the send nothing leaves, during it the outcome is unknown', async () => {
    const stopped = AbortSignal.abort(new DOMException('closed', 'AbortError'))
    await failing('REDOX_ABORTED', () => deliverDirect(connection.client, note(), { signal: stopped }))
    assert.equal(server.to('/endpoint').length, 0)
    const stop = new AbortController()
    script = () => {
      setImmediate(() => stop.abort(new DOMException('closed', 'AbortError')))
      return silence
    }
    const deliver = () => deliverDirect(connection.client, note(), { signal: stop.signal })
    const { cause } = await failing(
      'REDOX_OUTCOME_UNKNOWN',
      deliver,
      /^Outcome unknown: stopped while sending/,
    )
    assert.deepEqual(cause.identifiers, { DocumentID: 'doc-4711' })
  })
})
