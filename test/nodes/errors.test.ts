import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { sha256 } from '../lib/fixtures'
import { assertNoPatient, logged, pathsOf, PATIENT, startFlowTo, useNodeRed } from '../lib/flow'
import type { CaughtError, Message, Settings } from '../lib/flow'
import type { Reply } from '../lib/redox'
import { cutShort, reply, reset, ScriptedServer, silence } from '../lib/scripted-server'
import { ALL_NODES, DESTINATION, FHIR_RESULT, fileMessage, MEDIA, NOTE, PHOTO } from '../lib/send-nodes'
import { OTHER_DESTINATION, purposeOf, RESULTS, SEND_NODES, start, startTo, UPLOAD } from '../lib/send-nodes'
import type { SendNode } from '../lib/send-nodes'

let server: ScriptedServer
const useServer = (): void => {
  beforeEach(async () => void (server = await ScriptedServer.start()))
  afterEach(() => server.close())
}
const photo = (): Message => ({ ...fileMessage(PHOTO), filename: `${PATIENT.last}.jpg` })
const fail = async (
  code: string,
  node: SendNode,
  settings?: Settings,
  config?: Settings,
): Promise<CaughtError> => (await startTo(server, node, settings, config)).fail(photo(), code)

/** Redox's error text for an upload, which can repeat only the file name; other error texts can name the patient. */
const FILE = `file ${PATIENT.last.toUpperCase()}.JPG not found in department 7`
const WORDS =
  `${PATIENT.first} ${PATIENT.last} (${PATIENT.dob}), MR ${PATIENT.id.toLowerCase()}, alias ZEBEDINA, ` +
  `born 19310719: ${FILE}`
const metaErrors = (Text = WORDS): object => ({
  Meta: { Logs: [{ ID: 'log-7' }], Errors: [{ ID: 1, Text, Type: 'message', Module: 'Send' }] },
})
const outcome = (text = WORDS, severity = 'error'): object => ({
  resourceType: 'OperationOutcome',
  issue: [{ severity, code: 'invalid', details: { text }, diagnostics: text }],
})

describe('answers that report a failure', () => {
  useNodeRed()
  useServer()

  type Check = (error: CaughtError) => void
  type Failure = [
    answer: string,
    reply: (words: string) => Reply,
    /** expected error codes: for a message, and for an upload, which is safe to repeat */
    send: string,
    upload: string,
    check?: Check,
  ]
  const saysWhy: Check = ({ message, cause }) => {
    assert.match(message, /not found in department 7\./)
    assert.match(cause.reasons!.join(), /not found in department 7/)
    assert.match(JSON.stringify(cause.answer), /QUUXWORTH/, 'the raw answer is in cause.answer')
  }
  const json = { 'content-type': 'application/json' }
  const gateway = '<html><head><title>x</title></head><h1>Bad Gateway</h1>'

  // prettier-ignore
  const FAILURES: Failure[] = [
    ['400 with Meta.Errors', (words) => reply(400, metaErrors(words)), 'REDOX_REJECTED', 'REDOX_REJECTED', (error) => {
      saysWhy(error)
      assert.deepEqual(error.cause.logIds, ['log-7'])
      assert.match(error.message, /log-7/)
    }],
    ['400 with an OperationOutcome', (words) => reply(400, outcome(words)), 'REDOX_REJECTED', 'REDOX_REJECTED', saysWhy],
    ['400 with an errorDetail', (errorDetail) => reply(400, { errorDetail }), 'REDOX_REJECTED', 'REDOX_REJECTED', saysWhy],
    ['404 as text', (words) => reply(404, words), 'REDOX_REJECTED', 'REDOX_REJECTED', saysWhy],
    ['403', (words) => reply(403, words), 'REDOX_FORBIDDEN', 'REDOX_FORBIDDEN', (error) => {
      saysWhy(error)
      const isUpload = error.cause.operation === 'upload'
      assert.equal(/free accounts/i.test(error.message), isUpload, error.message)
      assert.match(error.message, /^Forbidden by Redox \(HTTP 403/)
    }],
    ['413', (words) => reply(413, words), 'REDOX_TOO_LARGE', 'REDOX_TOO_LARGE', (error) => {
      saysWhy(error)
      const isUpload = error.cause.operation === 'upload'
      assert.match(error.message, isUpload ? /Make the file smaller/ : /Upload the file instead/)
    }],
    ['429', () => reply(429, '', { 'retry-after': '1' }), 'REDOX_RATE_LIMITED', 'REDOX_RATE_LIMITED', (error) => {
      assert.equal(error.cause.retryAfterSeconds, 1)
      assert.match(error.message, /wait of 1 s/)
    }],
    ['502 of a gateway', (words) => reply(502, gateway + words), 'REDOX_UNAVAILABLE', 'REDOX_UNAVAILABLE', saysWhy],
    ['503', () => reply(503, ''), 'REDOX_UNAVAILABLE', 'REDOX_UNAVAILABLE'],
    ['500', (words) => reply(500, words), 'REDOX_OUTCOME_UNKNOWN', 'REDOX_UNAVAILABLE', saysWhy],
    ['504', () => reply(504, ''), 'REDOX_OUTCOME_UNKNOWN', 'REDOX_UNAVAILABLE'],
    ['a reset', () => reset, 'REDOX_OUTCOME_UNKNOWN', 'REDOX_NETWORK'],
    ['headers cut short', () => cutShort, 'REDOX_OUTCOME_UNKNOWN', 'REDOX_UNAVAILABLE'],
    ['200 with half a JSON', () => reply(200, '{"Meta":{', json), 'REDOX_OUTCOME_UNKNOWN', 'REDOX_REJECTED'],
    ['200 of a proxy', (words) => reply(200, words), 'REDOX_OUTCOME_UNKNOWN', 'REDOX_REJECTED'],
  ]

  for (const [answer, failure, send, upload, check] of FAILURES) {
    it(`${answer}: ${send}, for an upload ${upload}; one request`, async () => {
      server.script('send', failure(WORDS)).script('upload', failure(FILE))
      for (const node of ALL_NODES) {
        const isUpload = purposeOf(node) === 'upload'
        server.requests.length = 0
        const error = await fail(isUpload ? upload : send, node)
        check?.(error)
        assert.equal(server.of(purposeOf(node)).length, 1)
        assert.equal(error.cause.operation, node.operation)
        assert.equal(error.cause.status, /^\d/.test(answer) ? parseInt(answer) : undefined)
        if (error.code === 'REDOX_OUTCOME_UNKNOWN') assertCanBeLookedUp(error, node)
      }
    })
  }

  const IDENTIFIER: Message = {
    [NOTE.type]: 'DocumentID',
    [MEDIA.type]: 'DocumentID',
    [RESULTS.type]: 'OrderID',
  }

  function assertCanBeLookedUp({ message, cause }: CaughtError, { type }: SendNode): void {
    assert.match(message, /before you send it again/)
    assert.deepEqual(cause.sha256, [sha256(PHOTO)])
    assert.ok(Date.parse(cause.at!) > 0)
    assert.deepEqual(Object.keys(cause.identifiers!), [IDENTIFIER[type] ?? 'BundleID'])
  }

  it('302: REDOX_REJECTED, the redirect is not followed', async () => {
    const stranger = await ScriptedServer.start()
    for (const node of ALL_NODES) {
      server.script(purposeOf(node), reply(302, '', { location: `${stranger.url}/endpoint` }))
      await fail('REDOX_REJECTED', node)
    }
    assert.deepEqual(stranger.requests, [])
    await stranger.close()
  })

  it('no answer: REDOX_OUTCOME_UNKNOWN, for an upload REDOX_TIMEOUT', async () => {
    server.script('send', silence).script('upload', silence)
    for (const [node, code] of [
      [UPLOAD, 'REDOX_TIMEOUT'],
      [NOTE, 'REDOX_OUTCOME_UNKNOWN'],
      [FHIR_RESULT, 'REDOX_OUTCOME_UNKNOWN'],
    ] as const) {
      const error = await fail(code, node, {}, { answerTimeout: '1' })
      if (node !== UPLOAD) assertCanBeLookedUp(error, node)
    }
  })

  it('port without a listener: REDOX_NETWORK', async () => {
    await server.close()
    for (const node of ALL_NODES) {
      const { cause } = await fail('REDOX_NETWORK', node)
      assert.equal(cause.fault, 'ECONNREFUSED')
    }
  })

  it('failed send: the error lists the files that were uploaded for it', async () => {
    server.script('send', reply(400, metaErrors()))
    for (const node of SEND_NODES) {
      const { cause } = await fail('REDOX_REJECTED', node, { way: 'upload' })
      assert.ok(cause.uploaded![0]!.startsWith(server.url))
      assert.deepEqual(cause.sha256, [sha256(PHOTO)])
    }
  })

  it('upload without a reference in the answer: REDOX_REJECTED, and no message is sent', async () => {
    server.script('upload', reply(201, {}))
    for (const node of ALL_NODES) await fail('REDOX_REJECTED', node, { way: 'upload' })
    assert.deepEqual(server.of('send'), [])
  })
})

describe('access token', () => {
  useNodeRed()
  useServer()

  const acceptance = (node: SendNode): Reply =>
    purposeOf(node) === 'upload' ? reply(201, { URI: `${server.url}/1` }) : reply(200, { Meta: {} })

  it('that was refused once is renewed, and the request is repeated', async () => {
    for (const node of ALL_NODES) {
      server.requests.length = 0
      server.script(purposeOf(node), reply(401, 'Unauthorized'), acceptance(node))
      const answer = await (await startTo(server, node)).send(photo())
      assert.equal(answer['redox'].attempts, 2)
      assert.equal(answer['redox'].files[0].sha256, sha256(PHOTO))
      const [first, second] = server.of(purposeOf(node))
      assert.notEqual(first!.headers.authorization, second!.headers.authorization)
      assert.equal(server.of('token').length, 2)
      assert.equal(first!.body.length, second!.body.length)
    }
  })

  it('that was refused twice yields REDOX_AUTHENTICATION after exactly two requests', async () => {
    for (const node of ALL_NODES) {
      server.requests.length = 0
      server.script(purposeOf(node), reply(401, 'Unauthorized'))
      const { cause } = await fail('REDOX_AUTHENTICATION', node)
      assert.deepEqual([cause.status, cause.attempts], [401, 2])
      assert.equal(server.of(purposeOf(node)).length, 2)
      assert.equal(server.of('token').length, 2)
    }
  })

  // prettier-ignore
  const REFUSALS: [title: string, reply: Reply, code: string, says: RegExp][] = [
    ['400', reply(400, { error: 'invalid_request', error_description: 'Missing kid' }), 'REDOX_AUTHENTICATION', /Missing kid/],
    ['401', reply(401, { error: 'invalid_request', error_description: '' }), 'REDOX_AUTHENTICATION', /invalid_request/],
    ['401 as text', reply(401, 'Invalid source secret'), 'REDOX_AUTHENTICATION', /Invalid source secret/],
    ['403', reply(403, ''), 'REDOX_AUTHENTICATION', /credentials/],
    ['200 without a token', reply(200, {}), 'REDOX_AUTHENTICATION', /access_token/],
    ['404', reply(404, 'Not Found'), 'REDOX_REJECTED', /API base/],
    ['429', reply(429, ''), 'REDOX_RATE_LIMITED', /access token/],
    ['500', reply(500, ''), 'REDOX_UNAVAILABLE', /access token/],
    ['a reset', reset, 'REDOX_NETWORK', /access token/],
  ]

  for (const [title, refusal, code, says] of REFUSALS) {
    it(`that is not granted (${title}) yields ${code}, and no other request is sent`, async () => {
      server.script('token', refusal)
      for (const node of [UPLOAD, NOTE, FHIR_RESULT]) {
        const { message, cause } = await fail(code, node)
        assert.match(message, says)
        assert.equal(cause.operation, 'token')
      }
      assert.equal(server.of('token').length, server.requests.length)
    })
  }

  it('is requested again by the next message', async () => {
    server.script('token', reply(500, ''), reply(200, { access_token: 'token-x', expires_in: 300 }))
    const flow = await startTo(server, NOTE)
    await flow.fail(photo(), 'REDOX_UNAVAILABLE')
    await flow.send(photo())
  })
})

describe('answers with status 200', () => {
  useNodeRed()
  useServer()

  const entries = (...statuses: (string | object)[]): object => ({
    resourceType: 'Bundle',
    entry: statuses.map((one) => ({ response: typeof one === 'string' ? { status: one } : one })),
  })
  const BOTH = `${DESTINATION},${OTHER_DESTINATION}`
  const TO_BOTH = { ...NOTE, node: { ...NOTE.node, destination: BOTH } }
  const failed = { status: '422 Unprocessable', outcome: outcome() }

  const REFUSED: [title: string, node: SendNode, answer: object][] = [
    ['Meta.Errors', NOTE, metaErrors()],
    ['an OperationOutcome', FHIR_RESULT, outcome()],
    ['entries that all failed', FHIR_RESULT, entries(failed, '400 Bad Request')],
  ]

  for (const [title, node, answer] of REFUSED) {
    it(`with ${title}: REDOX_REJECTED`, async () => {
      server.script('send', reply(200, answer))
      const { message, cause } = await fail('REDOX_REJECTED', node)
      assert.match(message, /department 7/)
      assert.deepEqual([cause.status, cause.parts], [200, undefined])
    })
  }

  it('with one failed entry: REDOX_PARTIAL with that entry', async () => {
    server.script('send', reply(200, entries('201 Created', failed, '201')))
    const { message, cause } = await fail('REDOX_PARTIAL', FHIR_RESULT)
    assert.match(message, /Arrived: entry\[0\], entry\[2\]\. Rejected: entry\[1\]/)
    assert.deepEqual(cause.parts, [
      { part: 'entry[0]', delivered: true, status: 201 },
      { part: 'entry[1]', delivered: false, status: 422 },
      { part: 'entry[2]', delivered: true, status: 201 },
    ])
  })

  it('with one failed destination: REDOX_PARTIAL with that destination', async () => {
    server.script('send', reply(200, metaErrors(`${WORDS}, destination ${OTHER_DESTINATION}`)))
    const { message, cause } = await fail('REDOX_PARTIAL', TO_BOTH)
    assert.match(
      message,
      new RegExp(`Arrived: destination ${DESTINATION}. Rejected: destination ${OTHER_DESTINATION}`),
    )
    assert.ok(cause.parts![0]!.delivered && !cause.parts![1]!.delivered)
  })

  it('with informational issues only, or with no body, are deliveries', async () => {
    const cookie = { 'set-cookie': 'session=1' }
    server.script('send', reply(200, outcome(WORDS, 'information'), cookie), reply(202, ''))
    const flow = await startTo(server, FHIR_RESULT)
    assert.equal((await flow.send(photo()))['statusCode'], 200)
    const accepted = await flow.send(photo())
    assert.deepEqual([accepted['statusCode'], accepted['payload']], [202, ''])
  })
})

describe('msg.statusCode of a failed message', () => {
  useNodeRed()
  useServer()

  it('replaces that of an earlier answer', async () => {
    server.script('send', reply(400, metaErrors()))
    const flow = await startTo(server, NOTE)
    const { caught } = await flow.outcome({ ...photo(), statusCode: 200 })
    assert.equal(caught?.['statusCode'], 422)
    assert.equal(caught?.['error'].cause.status, 400)
  })

  it('comes with a cause whose text form has no data of the message', async () => {
    server.script('send', reply(400, metaErrors()))
    const { cause } = await fail('REDOX_REJECTED', NOTE)
    assert.match(String(cause), /^operation: Notes:New · HTTP status: 400 · Redox says: .* · log: log-7 · /)
    assertNoPatient(String(cause), 'the text of the cause')
  })
})

describe('messages that lack a value', () => {
  useNodeRed()

  it('cause an error with the message properties that the node reads, and the missing ones', async () => {
    const flow = await start(NOTE, { patientId: 'mrn', patientIdType: 'msg' })
    const { message } = await flow.fail(photo(), 'REDOX_INVALID_MESSAGE')
    assert.match(message, /Not set, or empty: .*Patient ID \(msg\.mrn\)/)
    const nested = await start(NOTE, { patientId: 'patient.mrn', patientIdType: 'msg' })
    assert.match(
      (await nested.fail(photo(), 'REDOX_BAD_INPUT')).message,
      /^Patient ID is not set: msg\.patient\.mrn does not exist/,
    )
    const fhir = await start(FHIR_RESULT, { destination: 'to.slug', destinationType: 'flow' })
    assert.match(
      (await fhir.fail(photo(), 'REDOX_BAD_INPUT')).message,
      /^Destination is missing: flow\.to\.slug is not set/,
    )
  })

  it('cause an error with the name of an unset variable in a field of type env', async () => {
    const flow = await start(NOTE, { documentType: 'REDOX_NOT_SET', documentTypeType: 'env' })
    const { message } = await flow.fail(photo(), 'REDOX_BAD_INPUT')
    assert.match(message, /^Document type is not set: it refers to the environment variable REDOX_NOT_SET/)
  })

  it('cause an error with the name of a variable that is empty or has a wrong value', async () => {
    process.env['REDOX_EMPTY'] = ' '
    process.env['REDOX_WRONG'] = '31.01.1990'
    try {
      const empty = await start(NOTE, { patientId: 'REDOX_EMPTY', patientIdType: 'env' })
      const { message } = await empty.fail(photo(), 'REDOX_INVALID_MESSAGE')
      assert.match(message, /^Patient ID is empty: it comes from the environment variable REDOX_EMPTY \(/)
      assert.match(message, /Give that variable a value\./)
      assert.doesNotMatch(message, /Fill in/)
      await empty.showsStatus((text) => text === 'sandbox · Patient ID missing')
      const wrong = await start(NOTE, { dob: 'REDOX_WRONG', dobType: 'env' })
      assert.match(
        (await wrong.fail(photo(), 'REDOX_INVALID_MESSAGE')).message,
        /^Birth date is not valid .*YYYY-MM-DD\. The value comes from the environment variable REDOX_WRONG\./,
      )
      const fhir = await start(FHIR_RESULT, { destination: 'REDOX_EMPTY', destinationType: 'env' })
      assert.match(
        (await fhir.fail(photo(), 'REDOX_BAD_INPUT')).message,
        /^Destination is missing: the environment variable REDOX_EMPTY is not set, or is empty\. Give/,
      )
    } finally {
      delete process.env['REDOX_EMPTY']
      delete process.env['REDOX_WRONG']
    }
  })

  const document = (part: string): string[] =>
    ['DocumentType', 'DocumentID', 'Provider'].map((name) => `${part}.${name}`)
  const LACKING: [SendNode, Settings, string[]][] = [
    [NOTE, { documentIdType: 'str' }, ['Meta.Destinations', 'Patient', ...document('Note')]],
    [MEDIA, { documentIdType: 'str' }, ['Meta.Destinations', 'Patient', ...document('Media')]],
    [RESULTS, {}, ['Meta.Destinations', 'Patient', 'Orders[0].ID', 'Orders[0].Results[0].Code']],
    [FHIR_RESULT, { destination: 'x' }, ['entry[1].resource.code (DiagnosticReport)', 'entry']],
    [
      NOTE,
      { ...NOTE.node, dob: '19.7.1931', availability: 'here', patientId: '' },
      ['Patient.Demographics.DOB', 'Patient.Identifiers'],
    ],
    [
      FHIR_RESULT,
      { ...FHIR_RESULT.node, birthDate: PATIENT.last, gender: PATIENT.last, resourceStatus: PATIENT.last },
      [
        'entry[1].resource.status (DiagnosticReport)',
        'entry[2].resource.gender (Patient)',
        'entry[2].resource.birthDate (Patient)',
      ],
    ],
  ]

  for (const [{ type }, node, expected] of LACKING) {
    it(`of ${type}: REDOX_INVALID_MESSAGE lists all ${expected.length} paths at once: ${expected[0]} …`, async () => {
      const flow = await start({ ...NOTE, type, node })
      const error = await flow.fail(photo(), 'REDOX_INVALID_MESSAGE')
      assert.deepEqual(pathsOf(error).sort(), [...expected].sort())
      for (const { path, problem, fix } of error.cause.problems!) {
        assert.ok(problem.length > 0 && fix.length > 0)
        assert.ok(error.message.includes(` ${problem} (${path.replace(/ \((\w+)\)$/, ', $1')}). ${fix}`))
      }
    })
  }
})

describe('error without a Catch node', () => {
  useNodeRed()
  useServer()

  it('leaves no patient data in the log', async () => {
    server.script('send', reply(400, metaErrors()))
    const { type, node } = NOTE
    const flow = await startFlowTo(server.url, { type, node, catches: false })
    flow.node.receive(photo())
    while (!logged().some((line) => line.includes('department 7'))) await nextTurn()
    assertNoPatient(logged().join(), 'the log')
  })
})

describe('message that Node-RED cannot copy', () => {
  useNodeRed()
  useServer()

  const throws = (): never => {
    throw new Error('not to be looked at')
  }
  const deep = (): unknown => {
    let value: unknown[] = []
    for (let depth = 0; depth < 100_000; depth++) value = [value]
    return value
  }
  const HOSTILE: [string, (message: Message) => Message][] = [
    [
      'a getter that throws',
      (message) => Object.defineProperty(message, 'own', { get: throws, enumerable: true }),
    ],
    [
      'a getter inside that throws',
      (message) => ({
        ...message,
        own: Object.defineProperty({}, 'inside', { get: throws, enumerable: true }),
      }),
    ],
    ['a value nested 100 000 deep', (message) => ({ ...message, own: deep() })],
    ['a Proxy that tells nothing', (message) => ({ ...message, own: new Proxy({}, { ownKeys: throws }) })],
    ['frozen, with such a value', (message) => Object.freeze({ ...message, own: deep() })],
    [
      'itself a Proxy that takes nothing',
      (message) => new Proxy({ ...message, own: deep() }, { set: throws, deleteProperty: throws }),
    ],
  ]

  for (const [what, hostile] of HOSTILE) {
    for (const isRefused of [false, true]) {
      it(`ends exactly once: ${what}, ${isRefused ? 'refused' : 'delivered'}`, async () => {
        if (isRefused) server.script('send', reply(400, { message: 'no' }))
        const flow = await startTo(server, NOTE)
        // Node-RED clones the message for each wire except the first, so the second wire gets a clone.
        await flow.redeploy('nodes', { node: { wires: [['nowhere', 'emitted']] } })
        const res = { is: 'kept' }
        flow.node.receive(hostile({ ...fileMessage(), _msgid: 'hostile', res }))
        while (flow.caught.length + flow.completed.length === 0) await nextTurn()
        for (let turn = 0; turn < 5; turn++) await nextTurn()
        assert.deepEqual([flow.caught.length, flow.completed.length], isRefused ? [1, 0] : [0, 1])
        const [told] = isRefused ? flow.caught : flow.completed
        assert.deepEqual([told!['_msgid'], told!['res'], 'own' in told!], ['hostile', res, false])
        if (isRefused) assert.equal(told!['error'].code, 'REDOX_REJECTED')
        assert.equal(flow.emitted.length, isRefused ? 0 : 1)
        for (const { _msgid, statusCode, res: kept } of flow.emitted)
          assert.deepEqual([_msgid, statusCode, kept], ['hostile', 200, res])
        assert.deepEqual(
          logged().filter((line) => /passed on/.test(line)),
          [],
        )
      })
    }
  }

  it('ends also with a single wire, which gets the message itself', async () => {
    const flow = await startTo(server, NOTE)
    const own = deep()
    flow.node.receive({ ...fileMessage(), _msgid: 'hostile', own })
    while (flow.completed.length === 0) await nextTurn()
    assert.equal(flow.completed[0]!['_msgid'], 'hostile')
    assert.deepEqual(
      flow.emitted.map(({ statusCode, own: same }) => [statusCode, same === own]),
      [[200, true]],
    )
  })
})
