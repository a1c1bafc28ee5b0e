/** Outcome of a message for each HTTP response, according to the table in docs/design/outcomes.md. */
import assert from 'node:assert/strict'
import type { RedoxErrorCode } from '../../src/errors'
import { takeMemory, type FileSource } from '../../src/file/file'
import { deliverDirect } from '../../src/redox/direct-delivery'
import { sha256, sizedFile } from '../lib/fixtures'
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
  UNKNOWN_HOST,
} from '../lib/redox'
import { cutShort, reset, silence } from '../lib/scripted-server'
import {
  CREATED,
  DESTINATIONS,
  ERROR,
  FILE,
  filename,
  GATEWAY,
  LOCATION,
  LOG_ID,
  OUTCOME,
  REFUSED,
  status,
  useOutcomes,
  XML_OUTCOME,
} from './support'

describe('outcomes of a send, row by row', () => {
  const outcomes = useOutcomes()
  const { send, sendToOne, sendFhir, upload } = outcomes

  it('delivered: 2xx with a body that reports success', async () => {
    const { facts, attempts, status: code } = await send()
    assert.deepEqual([facts.logIds, attempts, code], [[LOG_ID], 1, 200])
    outcomes.script = () => status(200, { resourceType: 'Bundle', entry: [CREATED] })
    assert.deepEqual((await sendFhir()).facts.locations, [LOCATION])
    outcomes.script = () => status(202, '')
    assert.equal((await send()).status, 202)
    // A Bundle entry without a status counts as created, because a repetition could put it into the chart twice.
    outcomes.script = () =>
      status(200, { resourceType: 'Bundle', entry: [{ response: { location: LOCATION } }] })
    assert.deepEqual((await sendFhir()).facts.locations, [LOCATION])
  })

  it('unknown: an empty 200 without a length, which may be truncated', async () => {
    outcomes.script = () => (response) =>
      void response.socket!.end('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n')
    await failing('REDOX_OUTCOME_UNKNOWN', () => send())
    outcomes.script = () => ({ status: 200, headers: { 'content-length': '0' } })
    assert.equal((await send()).status, 200)
  })

  // undici closes the connection if it receives a status 100 that it has not requested (docs/faults.md).
  it('unknown: an unrequested 100 Continue before the answer', async () => {
    outcomes.script = () => (response) => {
      response.writeContinue()
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    }
    const { cause } = await failing('REDOX_OUTCOME_UNKNOWN', () => send())
    assert.deepEqual([outcomes.server.to('/endpoint').length, cause.fault], [1, 'UND_ERR_SOCKET'])
    await failing('REDOX_NETWORK', () => upload())
  })

  it('rejected: a 200 with an OperationOutcome in XML that has an error', async () => {
    outcomes.script = () => ({
      status: 200,
      headers: { 'content-type': 'application/fhir+xml' },
      body: `<?xml version="1.0"?>${XML_OUTCOME}`,
    })
    await failing('REDOX_REJECTED', sendFhir, /bad/)
  })

  it('unknown: a slow answer that exceeds the time limit', async () => {
    const drip: Reply = (response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const dripping = setInterval(() => response.write(' '), 50)
      response.once('close', () => clearInterval(dripping))
    }
    outcomes.script = () => drip
    const { cause } = await failing('REDOX_OUTCOME_UNKNOWN', () => send())
    assert.equal(cause.fault, 'LATE_ANSWER')
    await failing('REDOX_UNAVAILABLE', () => upload())
  })

  it('unknown: has the sha256 of the embedded file also when the file was not read to its end', async () => {
    const bytes = sizedFile(9_000_000)
    const file = takeMemory(bytes, { where: 'x', filename }).file
    const deaf = await serve(
      withToken(() => status(200)),
      undefined,
      (request) => (request.url === TOKEN_PATH ? bytesOf(request) : Promise.reject(new Error('deaf'))),
    )
    const { client } = connectTo(deaf.url)
    try {
      const sending = () => deliverDirect(client, outcomes.note(DESTINATIONS, file), { signal: never() })
      const { cause } = await failing('REDOX_OUTCOME_UNKNOWN', sending)
      assert.deepEqual(cause.sha256, [sha256(bytes)])
    } finally {
      await client.close()
      await deaf.close()
    }
  })

  it('unknown: reported although the embedded file can no longer be read', async () => {
    outcomes.script = () => reset
    let reads = 0
    const hangs: FileSource = {
      ...FILE,
      async *read() {
        if (reads++ > 0) await new Promise(() => undefined)
        yield Buffer.from('%PDF')
        throw new Error('gone')
      },
    }
    const sending = () =>
      deliverDirect(outcomes.connection.client, outcomes.note(DESTINATIONS, hangs), { signal: never() })
    const { cause } = await failing('REDOX_OUTCOME_UNKNOWN', sending)
    assert.equal(cause.sha256, undefined)
  })

  it("unknown: has the names of the Bundle's resources, and no id of a patient", async () => {
    outcomes.script = () => status(500)
    const { cause } = await failing('REDOX_OUTCOME_UNKNOWN', () => sendFhir())
    const { BundleID, ...others } = cause.identifiers!
    assert.match(BundleID!, /./)
    assert.deepEqual(others, { 'entry[1].DiagnosticReport.identifier[0]': 'report-1' })
  })

  it('partial: an entry that is an OperationOutcome', async () => {
    outcomes.script = () => status(200, { resourceType: 'Bundle', entry: [CREATED, { resource: OUTCOME }] })
    await failing('REDOX_PARTIAL', () => sendFhir(), /Arrived: entry\[0\]/)
    const refused = { response: { status: '200' }, resource: OUTCOME }
    outcomes.script = () => status(200, { resourceType: 'Bundle', entry: [refused] })
    await failing('REDOX_REJECTED', () => sendFhir(), /Redox says: No/)
    outcomes.script = () => status(200, { resourceType: 'Bundle', entry: [CREATED, refused] })
    await failing('REDOX_PARTIAL', () => sendFhir(), /Rejected: entry\[1\]/)
    outcomes.script = () => status(200, { resourceType: 'Bundle', entry: [{ resource: OUTCOME }] })
    await failing('REDOX_REJECTED', () => sendFhir(), /Redox says: No/)
  })

  type Code = RedoxErrorCode extends `REDOX_${infer Name}` ? Name : never
  const elsewhere = { location: 'http://127.0.0.1:1/elsewhere' }

  /** Expected error codes for a message and an upload, and for a token request if it differs from an upload. */
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
    it(`${what}: a send is ${sent}, an upload ${uploaded}, a token request ${token}`, async () => {
      outcomes.script = () => reply
      const { cause, message } = await failing(`REDOX_${sent}`, () => send())
      assert.equal(cause.operation, 'Notes:New')
      if (sent === 'OUTCOME_UNKNOWN' || sent === 'REJECTED')
        assert.equal(outcomes.server.to('/endpoint').length, 1)
      if (sent === 'OUTCOME_UNKNOWN') {
        assert.deepEqual(cause.identifiers, { DocumentID: 'doc-4711' })
        assert.match(message, /Look it up in the Redox dashboard/)
      }
      await failing(`REDOX_${uploaded}`, () => upload())

      const other = await serve(() => reply)
      const { client } = connectTo(other.url, { answerTimeout: reply === silence ? 0.5 : 10 })
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

  it('unknown: a send with an HTML page as its 200, which an intermediary has sent', async () => {
    outcomes.script = () => status(200, '<html>login</html>')
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
      outcomes.script = () => status(200, body)
      await failing('REDOX_REJECTED', () => sending(), /although the HTTP status is 200/)
      assert.equal(outcomes.server.requests.filter((request) => !isToken(request)).length, 1)
    })
  }

  it('delivered: a 200 with log ids and an informational text', async () => {
    outcomes.script = () => status(200, { Meta: { Logs: [{ ID: LOG_ID }] }, message: 'Accepted' })
    assert.deepEqual((await sendToOne()).facts.logIds, [LOG_ID])
  })

  it('rejected: an error from a 200 has identifiers, sha256 and the time of the request', async () => {
    const began = Date.now()
    outcomes.script = () => status(200, { Issues: [{ Text: 'no' }] })
    const { cause } = await failing('REDOX_REJECTED', sendToOne, /no/)
    assert.deepEqual(
      [cause.identifiers, cause.sha256, cause.attempts],
      [{ DocumentID: 'doc-4711' }, [sha256(Buffer.from('%PDF-1.7'))], 1],
    )
    assert.ok(Date.parse(cause.at!) >= began && Date.parse(cause.at!) <= Date.now())
    outcomes.script = () => status(200, { resourceType: 'Bundle', entry: [CREATED, REFUSED] })
    const partial = await failing('REDOX_PARTIAL', sendFhir)
    assert.ok(partial.cause.identifiers!['entry[1].DiagnosticReport.identifier[0]'] && partial.cause.at)
    outcomes.script = () => status(201, {})
    const unreferenced = await failing('REDOX_REJECTED', () => upload(), /without a reference/)
    assert.ok(Date.parse(unreferenced.cause.at!) >= began)
  })

  it('rejected: an upload whose answer has a reference and an error', async () => {
    outcomes.script = () => status(201, { URI: 'https://blob.redoxengine.com/1', errorDetail: 'not stored' })
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
      outcomes.script = () => status(200, body)
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
    it(`unknown: a 200 with other JSON, unless the connection accepts it: ${text}`, async () => {
      outcomes.script = () => status(200, body)
      const { message, cause } = await failing('REDOX_OUTCOME_UNKNOWN', sendFhir, shape)
      assert.match(message, /set "Other 2xx answers" .* to "success"/)
      assert.deepEqual([cause.answer, cause.status, cause.attempts], [JSON.parse(text), 200, 1])
      assert.ok(cause.identifiers!.BundleID && cause.at)
      assert.equal(outcomes.server.requests.filter((request) => !isToken(request)).length, 1)
      const { client } = connectTo(outcomes.server.url, { otherAnswers: 'accepted' })
      try {
        const { body: told } = await deliverDirect(client, outcomes.report(), { signal: never() })
        assert.deepEqual(told, JSON.parse(text))
      } finally {
        await client.close()
      }
    })
  }

  it('unknown, once: a 200 that is nested 100 000 deep', async () => {
    for (const text of ['['.repeat(100_000) + ']'.repeat(100_000), '{"Meta":'.repeat(100_000) + '1']) {
      outcomes.script = () => status(200, text)
      const { cause } = await failing('REDOX_OUTCOME_UNKNOWN', sendToOne)
      assert.equal(cause.attempts, 1)
      structuredClone(cause)
    }
  })

  it('not delivered: errors and HTML pages, even if the connection accepts unclear answers', async () => {
    const { client } = connectTo(outcomes.server.url, { otherAnswers: 'accepted' })
    try {
      outcomes.script = () => status(200, { Issues: [{ Text: 'no' }] })
      await failing('REDOX_REJECTED', () => deliverDirect(client, outcomes.report(), { signal: never() }))
      outcomes.script = () => status(200, '<html>login</html>')
      await failing('REDOX_OUTCOME_UNKNOWN', () =>
        deliverDirect(client, outcomes.report(), { signal: never() }),
      )
    } finally {
      await client.close()
    }
  })

  it('partial: some destinations failed, with their names', async () => {
    const refused = { ...ERROR, Text: `Destination ${DESTINATIONS[1]} refused`, DestinationStatusCode: 422 }
    outcomes.script = () => status(200, { Meta: { Logs: [{ ID: 'log-1' }], Errors: [refused] } })
    const { cause } = await failing('REDOX_PARTIAL', () => send(), /log-1/)
    assert.deepEqual(cause.parts, [
      { part: `destination ${DESTINATIONS[0]}`, delivered: true },
      { part: `destination ${DESTINATIONS[1]}`, delivered: false, status: 422 },
    ])
  })

  it('partial: an error without a destination leaves all of several destinations uncertain', async () => {
    outcomes.script = () => status(200, { Meta: { Errors: [ERROR] } })
    const { cause } = await failing('REDOX_PARTIAL', () => send(), /Unknown: destination/)
    assert.deepEqual(
      cause.parts,
      DESTINATIONS.map((id) => ({ part: `destination ${id}` })),
    )
  })

  it('partial: an issue beside entries that were all created', async () => {
    outcomes.script = () => status(200, { ...OUTCOME, entry: [CREATED] })
    await failing('REDOX_PARTIAL', () => sendFhir(), /Arrived: entry\[0\]\. Rejected: none/)
  })

  it('partial: some entries of a Bundle failed', async () => {
    outcomes.script = () => status(200, { resourceType: 'Bundle', entry: [CREATED, REFUSED] })
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
    outcomes.script = () =>
      refusals-- > 0 ? status(401, 'Unauthorized') : status(200, { Meta: { Logs: [] } })
    assert.equal((await send()).attempts, 2)
    const [first, second, ...more] = outcomes.server.to('/endpoint')
    assert.ok(first!.body.equals(second!.body) && more.length === 0)

    refusals = 100
    const { cause } = await failing('REDOX_AUTHENTICATION', () => send(), /^Access token not accepted/)
    assert.deepEqual([cause.attempts, outcomes.server.to('/endpoint').length], [2, 4])
  })

  it('rejected: a 401 that refuses the source does not renew the token', async () => {
    for (const body of [
      'This source is not authorized.',
      { Meta: { Errors: [{ Text: 'Source not authorised' }] } },
    ]) {
      const before = outcomes.server.to('/endpoint').length
      outcomes.script = () => status(401, body)
      const { cause } = await failing(
        'REDOX_AUTHENTICATION',
        () => send(),
        /^Source not authorized.*source ID in the connection/,
      )
      assert.deepEqual([cause.attempts, outcomes.server.to('/endpoint').length - before], [1, 1])
    }
  })

  it('not processed: a missing server or host name is a network error; TLS faults have a code of their own', async () => {
    const gone = await serve(() => status(200))
    await gone.close()
    const urls = [
      [gone.url, 'REDOX_NETWORK', /^Server not reachable/],
      [`https://${UNKNOWN_HOST}`, 'REDOX_NETWORK', /^Server not reachable/],
      [outcomes.server.url.replace('http:', 'https:'), 'REDOX_TLS', /does not speak TLS/],
    ] as const
    for (const [url, code, text] of urls) {
      const { client } = connectTo(url, { connectTimeout: 30 })
      const { cause } = await failing(code, () => send(client), text)
      assert.ok(cause.fault, url)
      await client.close()
    }
    assert.equal(outcomes.server.requests.length, 0)
  })

  it('aborted: before the send nothing is sent, during the send the outcome is unknown', async () => {
    const stopped = AbortSignal.abort(new DOMException('closed', 'AbortError'))
    await failing('REDOX_ABORTED', () =>
      deliverDirect(outcomes.connection.client, outcomes.note(), { signal: stopped }),
    )
    assert.equal(outcomes.server.to('/endpoint').length, 0)
    const stop = new AbortController()
    outcomes.script = () => {
      setImmediate(() => stop.abort(new DOMException('closed', 'AbortError')))
      return silence
    }
    const deliver = () => deliverDirect(outcomes.connection.client, outcomes.note(), { signal: stop.signal })
    const { cause } = await failing(
      'REDOX_OUTCOME_UNKNOWN',
      deliver,
      /^Outcome unknown: stopped while sending/,
    )
    assert.deepEqual(cause.identifiers, { DocumentID: 'doc-4711' })
  })
})
