import assert from 'node:assert/strict'
import { emptyValues } from '../contract/judges'
import { sha256 } from '../lib/fixtures'
import { lastReceived, pathsOf, PATIENT, sandbox, startFlow, useNodeRed } from '../lib/flow'
import type { Message } from '../lib/flow'
import { ScriptedServer } from '../lib/scripted-server'
import { DESTINATION, fileMessage, OTHER_DESTINATION, PDF, SLUG, type SendNode } from '../lib/send-nodes'
import {
  FHIR_DOCUMENT,
  FHIR_RESULT,
  MEDIA,
  NOTE,
  RESULTS,
  SEND_NODES,
  start,
  startTo,
  UPLOAD,
} from '../lib/send-nodes'

/** Sends one file with this node, and returns the request body that the sandbox has received. */
async function sent(node: SendNode, settings: Message = {}, message: Message = {}): Promise<Message> {
  await (await start(node, settings)).send({ ...fileMessage(), ...message })
  return (await lastReceived()).request.body as Message
}

const resourcesOf = (bundle: Message): Message[] =>
  bundle['entry'].map((entry: Message) => entry['resource'] as Message)
const resource = (bundle: Message, type: string): Message =>
  resourcesOf(bundle).find(({ resourceType }) => resourceType === type)!

describe('event types', () => {
  useNodeRed()

  for (const [node, part] of [
    [NOTE, 'Note'],
    [MEDIA, 'Media'],
  ] as const) {
    it(`${node.type}: New does not send the hidden field for the original's ID`, async () => {
      const body = await sent(node, { originalDocumentId: 'doc-0' })
      assert.equal(body['Meta'].EventType, 'New')
      assert.ok(!('OriginalDocumentID' in body[part]))
    })

    it(`${node.type}: Replace needs and sends the ID of the replaced document`, async () => {
      const body = await sent(node, { eventType: 'Replace', originalDocumentId: 'doc-0' })
      assert.equal(body['Meta'].EventType, 'Replace')
      assert.deepEqual([body[part].DocumentID, body[part].OriginalDocumentID], ['doc-1', 'doc-0'])
      assert.equal((await lastReceived()).files[0]!.sha256, sha256(PDF))
      const flow = await start(node, { eventType: 'Replace' })
      const error = await flow.fail(fileMessage(), 'REDOX_INVALID_MESSAGE')
      assert.deepEqual(pathsOf(error), [`${part}.OriginalDocumentID`])
    })

    for (const fileFrom of ['message', 'none']) {
      it(`${node.type}: Delete carries no file (from ${fileFrom})`, async () => {
        const settings = { eventType: 'Delete', fileFrom, way: 'upload', redoxFileType: 'PDF' }
        const body = await sent(node, settings, { data: { [part]: { FileContents: 'x' } } })
        assert.equal(body['Meta'].EventType, 'Delete')
        assert.ok(!('FileContents' in body[part]))
        assert.equal(body[part].FileName, `${PATIENT.last}.pdf`)
        const paths = (await sandbox()).requests.map(({ path }) => path)
        assert.ok(!paths.includes('/upload'), 'something was uploaded')
      })
    }
  }

  it('redox-datamodel-results: New needs the order ID, NewUnsolicited the order ID of the application', async () => {
    const body = await sent(RESULTS, {
      eventType: 'NewUnsolicited',
      orderId: '',
      applicationOrderId: 'app-1',
    })
    assert.equal(body['Meta'].EventType, 'NewUnsolicited')
    assert.deepEqual([body['Orders'][0].ID, body['Orders'][0].ApplicationOrderID], [undefined, 'app-1'])
    const flow = await start(RESULTS, { orderId: '' })
    assert.deepEqual(pathsOf(await flow.fail(fileMessage(), 'REDOX_INVALID_MESSAGE')), ['Orders[0].ID'])
  })
})

describe('FHIR operations', () => {
  useNodeRed()

  const OPERATIONS: [SendNode, operation: string, event: string, status: string][] = [
    [FHIR_RESULT, 'DiagnosticReport/$diagnosticreport-create', 'DiagnosticReportCreate', 'final'],
    [FHIR_RESULT, 'DiagnosticReport/$diagnosticreport-amend', 'DiagnosticReportAmend', 'amended'],
    [FHIR_RESULT, 'Observation/$observation-create', 'ObservationCreate', 'final'],
    [FHIR_DOCUMENT, 'DocumentReference/$documentreference-create', 'DocumentReferenceCreate', 'current'],
  ]

  for (const [node, operation, event, status] of OPERATIONS) {
    it(`send ${operation} with the form alone`, async () => {
      const body = await sent(node, { operation })
      const [type] = operation.split('/')
      const [header, main, patient] = resourcesOf(body) as [Message, Message, Message]
      assert.deepEqual(
        resourcesOf(body).map(({ resourceType }) => resourceType),
        ['MessageHeader', type, 'Patient'],
      )
      assert.equal(body['type'], 'message')
      assert.equal(header['eventUri'], `https://fhir.redoxengine.com/EventDefinition/${event}`)
      assert.deepEqual(header['focus'], [{ reference: `${type}/${main['id']}` }])
      assert.equal(main['status'], status)
      assert.equal((main['code'] ?? main['type']).coding[0].system, 'http://loinc.org')
      assert.deepEqual(main['subject'], { reference: `Patient/${patient['id']}` })
      const { request, files } = await lastReceived()
      assert.equal(request.path, `/fhir/R4/${SLUG}/Development/${operation}`)
      assert.deepEqual([files[0]!.place, files[0]!.sha256], [node.place, sha256(PDF)])
    })
  }

  it('need a slug, neither an ID nor the slug for uploads', async () => {
    for (const destination of ['', DESTINATION, 'redox', 'a/b', 'a b', '../x', 'a?b'])
      await (await start(FHIR_RESULT, { destination })).fail(fileMessage(), 'REDOX_BAD_INPUT')
    assert.deepEqual((await sandbox()).requests, [])
  })

  it('send without a file when the node is set to none', async () => {
    const body = await sent(FHIR_RESULT, { fileFrom: 'none', resourceStatus: 'registered' })
    assert.ok(!('presentedForm' in resource(body, 'DiagnosticReport')))
  })
})

describe('unknown settings', () => {
  useNodeRed()

  const WRONG: [SendNode, Message][] = [
    ...[NOTE, RESULTS, MEDIA].map((node): [SendNode, Message] => [node, { eventType: 'Explode' }]),
    [FHIR_RESULT, { operation: 'Patient/$patient-create' }],
    [NOTE, { way: 'fax' }],
    [NOTE, { fileFrom: 'url' }],
    [UPLOAD, { api: 'soap' }],
  ]

  for (const [node, settings] of WRONG) {
    it(`yield REDOX_BAD_INPUT: ${node.type} ${JSON.stringify(settings)}`, async () => {
      await (await start(node, settings)).fail(fileMessage(), 'REDOX_BAD_INPUT')
    })
  }
})

describe('FHIR data', () => {
  useNodeRed()

  const report = {
    resourceType: 'DiagnosticReport',
    id: 'report-1',
    status: 'preliminary',
    code: { text: 'Biopsy' },
    subject: { reference: 'Patient/patient-1' },
    presentedForm: [{ contentType: 'text/plain', data: 'SGVsbG8=', title: 'First' }],
  }
  const patient = { resourceType: 'Patient', id: 'patient-1', identifier: [{ value: PATIENT.id }] }
  const document = {
    resourceType: 'DocumentReference',
    id: 'document-1',
    status: 'current',
    content: [{ attachment: { title: 'Given title' } }],
  }
  const header = {
    resourceType: 'MessageHeader',
    id: 'header-1',
    eventUri: 'https://fhir.redoxengine.com/EventDefinition/DiagnosticReportCreate',
    source: { name: 'Lab', endpoint: 'urn:oid:1.2.3' },
    focus: [{ reference: 'DiagnosticReport/report-1' }],
  }
  const bundle = (...resources: Message[]): Message => ({
    resourceType: 'Bundle',
    id: 'bundle-1',
    type: 'message',
    timestamp: '2026-01-31T10:00:00Z',
    entry: structuredClone(resources).map((one) => ({
      fullUrl: `https://example.com/${one['resourceType']}/${one['id']}`,
      resource: one,
    })),
  })
  const message = (data: unknown): Message => ({ ...fileMessage(), filename: 'scan.pdf', data })
  const BARE: SendNode = { ...FHIR_RESULT, node: { destination: SLUG, way: 'embed' } }
  const sentWith = async (data: unknown, settings: Message = {}): Promise<Message> =>
    sent(BARE, settings, message(data))
  // In the bodies that it keeps, the sandbox replaces a file by a short string.
  const first = { ...report.presentedForm[0]!, data: '<base64, 5 bytes>' }
  const added = { contentType: 'application/pdf', data: `<base64, ${PDF.length} bytes>`, title: 'scan.pdf' }

  it('may be a complete Bundle, which gets only the Attachment', async () => {
    const expected = bundle(header, { ...report, presentedForm: [first, added] }, patient)
    assert.deepEqual(await sentWith(bundle(header, report, patient)), expected)
  })

  it('may be one or several resources; the rest of the Bundle is built', async () => {
    for (const data of [
      [report, patient],
      [patient, report],
    ]) {
      const body = await sentWith(data)
      assert.equal(resourcesOf(body)[0]!['resourceType'], 'MessageHeader')
      assert.deepEqual(resource(body, 'DiagnosticReport'), { ...report, presentedForm: [first, added] })
    }
    const body = await sentWith(report, { patientId: 'p-1', code: '1-8', resourceStatus: 'final' })
    const { code, status } = resource(body, 'DiagnosticReport')
    assert.deepEqual(code, { text: 'Biopsy', coding: [{ code: '1-8', system: 'http://loinc.org' }] })
    assert.equal(status, 'final')
  })

  it('keep their lists, and filled fields go into the element of the same system', async () => {
    const two = {
      ...patient,
      identifier: [{ value: 'second' }, { system: 'urn:x', value: 'old', use: 'usual' }],
    }
    const body = await sentWith([report, two], { patientId: 'new', patientIdSystem: 'urn:x' })
    assert.deepEqual(resource(body, 'Patient')['identifier'], [
      { value: 'second' },
      { system: 'urn:x', value: 'new', use: 'usual' },
    ])
  })

  it('must be resources', async () => {
    const flow = await start(BARE)
    for (const data of ['text', 7, [1], [{ id: 'no type' }], { resourceType: 'Bundle', entry: [{}] }])
      await flow.fail(message(data), 'REDOX_BAD_INPUT')
    const collection = { ...bundle(header, report, patient), type: 'collection' }
    assert.deepEqual(pathsOf(await flow.fail(message(collection), 'REDOX_INVALID_MESSAGE')), ['type'])
  })

  const PLACES: [place: string, arrived: string][] = [
    ['', 'entry[1].resource.presentedForm[1]'],
    ['presentedForm[]', 'entry[1].resource.presentedForm[1]'],
    ['DiagnosticReport.presentedForm[]', 'entry[1].resource.presentedForm[1]'],
    ['Patient.photo[]', 'entry[2].resource.photo[0]'],
    ['entry[2].resource.photo[]', 'entry[2].resource.photo[0]'],
    ['DocumentReference.content[].attachment', 'entry[3].resource.content[0].attachment'],
    ['DocumentReference.content[0].attachment', 'entry[3].resource.content[0].attachment'],
  ]

  for (const [place, arrived] of PLACES) {
    it(`take the file at ${place || 'the documented place'}`, async () => {
      // Redox refuses an Attachment that has neither `data` nor `url`.
      const others = place.startsWith('Document') ? [patient, document] : [patient]
      const body = await sentWith(bundle(header, report, ...others), { place })
      const found = (await lastReceived()).files.find((one) => one.sha256 === sha256(PDF))!
      assert.deepEqual([found.place, found.name], [arrived, others[1] ? 'Given title' : 'scan.pdf'])
      assert.deepEqual(resource(body, 'DiagnosticReport')['presentedForm'][0], first)
    })
  }

  it('refuse an unknown or occupied path for the file', async () => {
    const places = ['presentedForm[', 'a[].b[].c', '__proto__.polluted', 'Patient.__proto__[]']
    places.push('constructor.prototype.x', 'Media.content', 'DocumentReference[1].content[].attachment')
    places.push('entry[9].resource.photo[]', 'presentedForm[0]')
    const data = bundle(header, report, patient, document)
    for (const place of places) await (await start(BARE, { place })).fail(message(data), 'REDOX_BAD_INPUT')
    assert.equal(({} as Message)['polluted'], undefined)
    assert.deepEqual((await sandbox()).requests, [])
  })
})

describe('data object of a message', () => {
  useNodeRed()

  it('is refused with a file reference to a foreign host, or one that parsers read differently', async () => {
    const foreign = 'https://blob.redoxengine.com\\@evil.example/1'
    const data: [SendNode, Message][] = [
      [NOTE, { Note: { FileContents: foreign } }],
      [MEDIA, { Media: { FileContents: 'https://evil.example/1' } }],
      [RESULTS, { Orders: [{ Results: [{ ValueType: 'Encapsulated Data', Value: foreign }] }] }],
      [FHIR_RESULT, { resourceType: 'DiagnosticReport', presentedForm: [{ url: foreign }] }],
    ]
    for (const [node, given] of data) {
      const error = await (
        await start(node, { fileFrom: 'none' })
      ).fail({ ...fileMessage(), data: given }, 'REDOX_INVALID_MESSAGE')
      assert.match(error.message, / is a URL.*\((.*FileContents|.*Value|.*presentedForm\[0\]\.url)\)/)
      assert.doesNotMatch(error.message, /evil/)
    }
    assert.deepEqual((await sandbox()).requests, [])
  })

  it('is merged by key; lists are kept and fields go into the element of their type', async () => {
    const identifiers = [
      { ID: 'under', IDType: 'EPI', Extra: 1 },
      { ID: 'second', IDType: 'MR' },
    ]
    const data = {
      Meta: { FacilityCode: 'F1' },
      Patient: { Identifiers: identifiers, Demographics: { LastName: 'Under', Race: 'Other Race' } },
      Visit: { PatientClass: 'Inpatient' },
      Note: {
        Provider: { ID: 'under', FirstName: 'Gregory' },
        Status: 'Authenticated',
        FileName: 'under.pdf',
      },
      Orders: [{ ID: 'o-1' }],
    }
    const body = await sent(NOTE, { typeOfPatientId: 'MR', lastName: '', dob: '' }, { data })
    assert.equal(body['Meta'].FacilityCode, 'F1')
    assert.deepEqual(body['Patient'], {
      Identifiers: [identifiers[0], { ...identifiers[1], ID: PATIENT.id }],
      Demographics: { LastName: 'Under', Race: 'Other Race', FirstName: PATIENT.first, Sex: 'Female' },
    })
    assert.deepEqual(body['Visit'], data.Visit)
    assert.deepEqual(body['Note'].Provider, { ID: '4356789876', FirstName: 'Gregory' })
    assert.deepEqual([body['Note'].Status, body['Note'].FileName], ['Authenticated', `${PATIENT.last}.pdf`])
    assert.deepEqual(body['Orders'], data.Orders)
  })

  it('gives the file its name when neither the form nor the message does', async () => {
    const named = await sent(NOTE, {}, { filename: undefined, data: { Note: { FileName: 'under.pdf' } } })
    assert.equal(named['Note'].FileName, 'under.pdf')
    const unnamed = await sent(NOTE, {}, { filename: undefined })
    assert.equal(unnamed['Note'].FileName, 'document.pdf')
  })

  it('keeps its results and orders', async () => {
    const second = { Code: 'second', Value: '7', ValueType: 'Numeric' }
    const other = { ID: 'o-2', Status: 'New', Results: [second] }
    const data = { Orders: [{ Results: [{ Units: 'mg' }, second], Priority: 'Stat' }, other] }
    const { Orders } = await sent(RESULTS, {}, { data })
    assert.deepEqual([Orders[0].ID, Orders[0].Priority, Orders[0].Status], ['order-1', 'Stat', 'Resulted'])
    assert.deepEqual([Orders[0].Results[0].Units, Orders[0].Results[0].Code], ['mg', '11502-2'])
    assert.deepEqual([Orders[0].Results[1], Orders[1]], [second, other])
  })

  it('never loses a measured value to a file', async () => {
    const measured = { Code: 'K', Value: '7', ValueType: 'Numeric' }
    const { Orders } = await sent(RESULTS, {}, { data: { Orders: [{ Results: [measured] }] } })
    assert.deepEqual([Orders[0].Results[0], Orders[0].Results[1].Code], [measured, '11502-2'])
  })

  it('gives the upload its source, too', async () => {
    const server = await ScriptedServer.start()
    const data = { Meta: { Source: { ID: OTHER_DESTINATION } } }
    await (await startTo(server, NOTE, { way: 'upload' })).send({ ...fileMessage(), data })
    for (const purpose of ['upload', 'send'] as const)
      assert.equal(server.of(purpose)[0]!.headers['redox-source-id'], OTHER_DESTINATION, purpose)
    const own = await startTo(server, NOTE, {}, { sourceId: DESTINATION })
    const { message } = await own.fail({ ...fileMessage(), data }, 'REDOX_INVALID_MESSAGE')
    assert.ok(message.includes(OTHER_DESTINATION) && message.includes(DESTINATION))
    assert.equal(server.of('send').length, 1)
    await server.close()
  })

  it('may name a patient that the destination knows; the message is sent with a warning', async () => {
    const server = await ScriptedServer.start()
    const subject = { reference: 'Patient/known-there' }
    const data = { resourceType: 'DiagnosticReport', code: { text: 'Biopsy' }, subject }
    const empty = { patientId: '', patientIdSystem: '', family: '', given: '', birthDate: '', gender: '' }
    const { redox } = await (await startTo(server, FHIR_RESULT, empty)).send({ ...fileMessage(), data })
    assert.match(redox.warnings.join(), /Only the subject/)
    const body = JSON.parse(server.of('send')[0]!.body.toString()) as Message
    assert.deepEqual(resource(body, 'DiagnosticReport')['subject'], subject)
    assert.equal(resource(body, 'Patient'), undefined)
    await server.close()
  })

  it('is used only where the node is set so; a stray msg.data changes nothing', async () => {
    const stray = { Note: { DocumentID: 'stray' }, Visit: { VisitNumber: 'stray' }, Extra: 'stray' }
    const flow = await startFlow({ type: NOTE.type, node: NOTE.node })
    await flow.send({ ...fileMessage(), data: stray })
    assert.doesNotMatch(JSON.stringify((await lastReceived()).delivered), /stray/)
  })

  it('must be an object of plain data', async () => {
    const flow = await start(NOTE)
    for (const data of [[], 'x', 7, { Note: { FileContents: PDF } }, { a: NaN }, { a: () => 1 }])
      await flow.fail({ ...fileMessage(), data }, 'REDOX_BAD_INPUT')
    const polluting = await start(NOTE, { data: '{"a": {"__proto__": {"polluted": 1}}}', dataType: 'json' })
    await polluting.fail(fileMessage(), 'REDOX_BAD_INPUT')
    assert.equal(({} as Message)['polluted'], undefined)
  })
})

describe('fields', () => {
  useNodeRed()

  const strays = 'destination way fileFrom file fileType connection environment eventType operation place api'
  const STRAYS = {
    ...Object.fromEntries(
      `${strays} patientId contentType code status id type url`.split(' ').map((name) => [name, 'x']),
    ),
    redox: { environment: 'Production', url: 'http://example.com' },
    headers: { authorization: 'Bearer stranger', 'redox-source-id': DESTINATION },
    statusCode: 500,
    error: { message: 'old' },
  }
  /** Last message that the sandbox has received, without ids, times and other values that differ in each message. */
  const comparable = async (): Promise<unknown> => {
    const { request, files } = await lastReceived()
    const text = JSON.stringify({ request, files: files.map(({ way, place }) => [way, place]) })
    return text.replace(/[0-9a-f-]{36}|\d{4}-\d\d-\d\dT[\d:.]+Z|127\.0\.0\.1:\d+|\d{8}\b/g, '*')
  }

  for (const node of SEND_NODES) {
    it(`of ${node.type} that are blank or refer to a missing value are left out`, async () => {
      const optional = [
        'sex',
        'gender',
        'visitNumber',
        'documentDescription',
        'codeDisplay',
        'category',
        'date',
      ]
      const settings = optional.flatMap((name, index) => [
        [name, ['missing', 'empty', 'blank', 'nil'][index % 4]],
        [`${name}Type`, 'msg'],
      ])
      const body = await sent(node, Object.fromEntries(settings), { empty: '', blank: ' ', nil: null })
      assert.deepEqual(emptyValues(body), [])
    })

    it(`of ${node.type} are not changed by stray properties of a message`, async () => {
      await sent(node)
      const expected = await comparable()
      await sent(node, {}, STRAYS)
      assert.equal(await comparable(), expected)
    })

    it(`of ${node.type} accept numbers from a message as text`, async () => {
      const body = await sent(node, { patientId: 'mrn', patientIdType: 'msg' }, { mrn: 4711 })
      assert.ok(JSON.stringify(body).includes('"4711"'))
    })
  }

  const TYPES: [type: string, value: string, expected: string][] = [
    ['str', 'a text', 'a text'],
    ['msg', 'ids[0].document', 'in the message'],
    ['flow', 'ids.document', 'in the flow'],
    ['global', 'ids.document', 'in the global context'],
    ['jsonata', '$uppercase(ids[0].document)', 'IN THE MESSAGE'],
    ['env', 'DOCUMENT', 'in the environment'],
  ]

  for (const [type, documentId, expected] of TYPES) {
    it(`can have the type ${type}`, async () => {
      const node = { ...NOTE.node, documentId, documentIdType: type }
      const flow = await startFlow({ type: NOTE.type, node, env: { DOCUMENT: 'in the environment' } })
      flow.node.context().flow.set('ids', { document: 'in the flow' })
      flow.node.context().global.set('ids', { document: 'in the global context' })
      await flow.send({ ...fileMessage(), ids: [{ document: 'in the message' }] })
      assert.equal(((await lastReceived()).request.body as Message)['Note'].DocumentID, expected)
    })
  }

  it('can have the type json', async () => {
    const data = JSON.stringify({ Visit: { VisitNumber: 'v-1' } })
    const destination = JSON.stringify([{ ID: DESTINATION }])
    const body = await sent(NOTE, { data, dataType: 'json', destination, destinationType: 'json' })
    assert.equal(body['Visit'].VisitNumber, 'v-1')
    assert.deepEqual(body['Meta'].Destinations, [{ ID: DESTINATION }])
  })

  const BROKEN: [type: string, value: string][] = [
    ['jsonata', '$$[('],
    ['jsonata', '$number(secret)'],
    ['jsonata', '$error(secret)'],
    ['json', `{"${PATIENT.last}": `],
    ['msg', 'secret['],
    ['str', '${REDOX_TEST_UNSET}'],
  ]

  for (const [type, documentId] of BROKEN) {
    it(`that cannot be evaluated yield REDOX_BAD_INPUT without the value: ${type} ${documentId}`, async () => {
      const flow = await start(NOTE, { documentId, documentIdType: type })
      const { message } = await flow.fail({ ...fileMessage(), secret: PATIENT.last }, 'REDOX_BAD_INPUT')
      assert.match(message, /^Document ID /)
    })
  }
})

describe('Meta, source and destinations', () => {
  useNodeRed()

  const SOURCE = '11111111-2222-4333-8444-555555555555'

  const TEST_FLAGS: [
    environment: string,
    testFlag: string,
    inData: boolean | undefined,
    expected: boolean,
  ][] = [
    ['Sandbox', 'auto', undefined, true],
    ['Sandbox', 'false', undefined, false],
    ['Sandbox', 'auto', false, false],
    ['Staging', 'auto', undefined, true],
    ['Production', 'auto', undefined, false],
    ['Production', 'true', undefined, true],
    ['Production', 'auto', true, true],
  ]

  for (const [environment, testFlag, Test, expected] of TEST_FLAGS) {
    it(`Meta.Test in ${environment}, set to ${testFlag}, in the data ${Test}: ${expected}`, async () => {
      const server = await ScriptedServer.start()
      const flow = await startTo(server, NOTE, {}, { environment, testFlag })
      const { redox } = await flow.send({ ...fileMessage(), data: { Meta: { Test } } })
      const isSandbox = environment === 'Sandbox'
      const body = isSandbox
        ? (await lastReceived()).request.body
        : JSON.parse(String(server.of('send')[0]!.body))
      assert.equal((body as Message)['Meta'].Test, expected)
      assert.equal(redox.environment, isSandbox ? 'sandbox' : environment)
      await server.close()
    })
  }

  for (const node of SEND_NODES) {
    it(`source of the connection in header and body, or in neither: ${node.type}`, async () => {
      const config = { sourceId: SOURCE, sourceName: 'My clinic' }
      await (await start(node, { way: 'upload' }, config)).send(fileMessage())
      const { request, source } = await lastReceived()
      assert.equal(source, SOURCE)
      const sourceIds = (await sandbox()).requests.map(({ headers }) => headers['redox-source-id'])
      assert.deepEqual(sourceIds, [undefined, SOURCE, SOURCE], 'token, upload, message')
      const body = request.body as Message
      const expected = { ID: SOURCE, Name: 'My clinic' }
      if (node.api === 'datamodel') assert.deepEqual(body['Meta'].Source, expected)
      else {
        const { name, endpoint } = resource(body, 'MessageHeader')['source']
        assert.deepEqual({ ID: endpoint, Name: name }, { ...expected, ID: `urn:uuid:${SOURCE}` })
      }
    })
  }

  it('no source without a setting; always model, event and time', async () => {
    const { Meta } = await sent(NOTE)
    const { EventDateTime, ...rest } = Meta
    const Destinations = [{ ID: DESTINATION }]
    assert.deepEqual(rest, { DataModel: 'Notes', EventType: 'New', Destinations, Test: true })
    assert.ok(Math.abs(Date.parse(EventDateTime) - Date.now()) < 60_000)
    assert.equal((await lastReceived()).request.headers['redox-source-id'], undefined)
  })

  const BOTH = [{ ID: DESTINATION }, { ID: OTHER_DESTINATION }]
  const LISTS: [title: string, value: unknown][] = [
    ['a text with commas', `${DESTINATION}, ${OTHER_DESTINATION}`],
    ['lines', `${DESTINATION}\n${OTHER_DESTINATION}\n`],
    ['an array', [DESTINATION, OTHER_DESTINATION]],
    ['an array of objects', BOTH],
  ]

  for (const [title, to] of LISTS) {
    it(`several destinations as ${title}, one log each`, async () => {
      const flow = await start(NOTE, { destination: 'to', destinationType: 'msg' })
      const { redox } = await flow.send({ ...fileMessage(), to })
      assert.deepEqual(((await lastReceived()).request.body as Message)['Meta'].Destinations, BOTH)
      assert.equal(redox.logIds.length, 2)
    })
  }

  it('destinations from the data object, replaced by a filled field', async () => {
    const data = { Meta: { Destinations: [{ ID: OTHER_DESTINATION, Name: 'Other' }] } }
    const fromData = await sent(NOTE, { destination: '' }, { data })
    assert.deepEqual(fromData['Meta'].Destinations, data.Meta.Destinations)
    const fromField = await sent(NOTE, {}, { data })
    assert.equal(fromField['Meta'].Destinations[0].ID, DESTINATION)
  })

  it('destination that is empty or a slug: refused', async () => {
    for (const destination of [SLUG, '']) {
      const error = await (await start(NOTE, { destination })).fail(fileMessage(), 'REDOX_INVALID_MESSAGE')
      assert.match(pathsOf(error)[0]!, /^Meta\.Destinations/)
    }
  })
})
