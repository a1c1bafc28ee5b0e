import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { Json } from './support'
import * as support from './support'
import {
  bearer,
  bundle,
  legacyToken,
  PDF,
  PDF_DATA,
  postJson,
  put,
  sandbox,
  sha256,
  token,
  uploadBinary,
  uploadBlob,
} from './support'
import { REPORT_CREATE, OPERATIONS, AT_SANDBOX, FHIR_JSON, post, accepted, refused } from './fhir-requests'

describe('sandbox: FHIR API', () => {
  support.useSandbox()

  for (const [operation, event] of Object.entries(OPERATIONS)) {
    it(`delivers ${operation}`, async () => {
      const answer = await post(bundle(event), operation)
      assert.equal(answer.status, 200)
      assert.match(answer.headers.get('content-type')!, /^application\/fhir\+json/)
      assert.match(answer.headers.get('redox-trace-id')!, /^[0-9a-f-]{36}$/)
      const body = (await answer.json()) as Json
      assert.equal(body['resourceType'], 'Bundle')
      const responses: Json[] = body['entry'].map(({ response }: Json) => response)
      assert.deepEqual(
        responses.map(({ status }) => status),
        ['201 Created', '201 Created'],
      )
      const type = operation.split('/')[0]!
      assert.match(
        responses[0]!['location'],
        new RegExp(`^${sandbox().url}/.+/${type}/[0-9a-f-]{36}/_history/1$`),
      )
      const [received] = sandbox().received
      assert.deepEqual([received!.api, received!.operation], ['fhir', operation])
      assert.deepEqual(
        [received!.environment, received!.destinations],
        ['Development', ['redox-fhir-sandbox']],
      )
      assert.deepEqual(
        received!.locations,
        responses.map(({ location }) => location),
      )
      assert.equal(received!.patient, 'Doe, Jane · 1990-01-01 · 0000000001')
      assert.match(received!.document, /report\.pdf$/)
      const at = type === 'DocumentReference' ? 'content[0].attachment' : 'presentedForm[0]'
      const [file, ...others] = received!.files
      assert.deepEqual(others, [])
      assert.equal(file!.place, `entry[1].resource.${at}`)
      assert.deepEqual(
        [file!.way, file!.contentType, file!.name],
        ['embedded', 'application/pdf', 'report.pdf'],
      )
      assert.deepEqual([file!.size, file!.sha256, file!.bytes], [PDF.length, sha256(PDF), PDF])
    })

    it(`requires the eventUri of ${operation}`, async () => {
      const wrong = put(
        bundle(event),
        'entry.0.resource.eventUri',
        'https://fhir.redoxengine.com/EventDefinition/Other',
      )
      const text = 'entry[0].resource.eventUri: eventUri does not match the operation'
      assert.deepEqual(await refused(wrong, operation), [text])
    })
  }

  it('resolves Binary and blob references', async () => {
    const urls = [await uploadBinary(PDF), await uploadBlob(PDF)]
    const message = bundle()
    message['entry'][1].resource.presentedForm = urls.map((url) => ({ contentType: 'application/pdf', url }))
    await accepted(message)
    const { files, request, delivered } = sandbox().received[0]!
    assert.deepEqual(
      files.map((file) => [file.way, file.sha256]),
      Array(2).fill(['referenced', sha256(PDF)]),
    )
    assert.deepEqual(
      files.map(({ name }) => name),
      [undefined, 'report.pdf'],
    )
    const forms = (body: unknown): unknown => (body as Json)['entry'][1].resource.presentedForm
    assert.deepEqual(
      forms(request.body),
      urls.map((url) => ({ contentType: 'application/pdf', url })),
    )
    const asData = { contentType: 'application/pdf', data: `<base64, ${PDF.length} bytes>` }
    assert.deepEqual(forms(delivered), [asData, asData])
  })

  it('keeps no file contents in its bodies', async () => {
    await accepted(bundle())
    const { request, delivered } = sandbox().received[0]!
    assert.ok(!JSON.stringify([request, delivered]).includes(PDF_DATA['data']))
    assert.equal(request.headers['authorization'], undefined)
  })

  it('refuses references to other sources, hosts and files', async () => {
    const own = await uploadBinary(PDF)
    const foreign = {
      contentType: 'application/pdf',
      url: await uploadBinary(PDF, randomUUID()),
    }
    const [text] = await refused(bundle('DiagnosticReportCreate', foreign))
    assert.match(
      text!,
      /presentedForm\[0\]\.url: Referenced file not found \(another source uploaded it: use/,
    )
    const urls = [
      `${own}/`,
      own.replace('127.0.0.1', 'example.org'),
      'https://api.redoxengine.com/fhir/R4/redox/Development/Binary/1',
      7,
    ]
    for (const url of urls) {
      const message = bundle('DiagnosticReportCreate', { contentType: 'application/pdf', url })
      assert.deepEqual(await refused(message), [
        'entry[1].resource.presentedForm[0].url: Referenced file not found',
      ])
    }
  })

  it('takes the source from the header', async () => {
    const source = randomUUID()
    const message = bundle('DiagnosticReportCreate', {
      contentType: 'application/pdf',
      url: await uploadBinary(PDF, source),
    })
    await accepted(message, REPORT_CREATE, { 'redox-source-id': source })
    assert.equal(sandbox().received[0]!.source, source)
    const answer = await post(message, REPORT_CREATE, AT_SANDBOX, { 'redox-source-id': 'mine' })
    assert.equal(answer.status, 400)
    assert.equal(((await answer.json()) as Json)['resourceType'], 'OperationOutcome')
  })

  it('refuses a token of a legacy key', async () => {
    const { accessToken } = await legacyToken()
    const answer = await post(bundle(), REPORT_CREATE, AT_SANDBOX, bearer(accessToken))
    assert.equal(answer.status, 401)
    assert.equal(await answer.text(), 'Legacy API keys are not supported by the FHIR API.')
    assert.equal(sandbox().received.length, 0)
  })

  for (const environment of ['Development', 'Staging', 'Production']) {
    it(`answers a 200 without a body for other destinations (${environment})`, async () => {
      const answer = await post(bundle(), REPORT_CREATE, `my-ehr_2/${environment}`)
      assert.deepEqual([answer.status, await answer.text()], [200, ''])
      assert.deepEqual(
        ['content-length', 'content-type'].map((name) => answer.headers.get(name)),
        ['0', null],
      )
      assert.match(answer.headers.get('redox-trace-id')!, /^[0-9a-f-]{36}$/)
      const [received] = sandbox().received
      assert.deepEqual([received!.destinations, received!.locations], [['my-ehr_2'], []])
    })
  }

  it('accepts application/json, further entries, and further attachments at any path', async () => {
    const message = bundle()
    const photo = { contentType: 'image/png', data: 'AAAA' }
    message['entry'].push(
      { resource: { resourceType: 'Patient', identifier: [{ value: '2' }], photo: [photo] } },
      { resource: { resourceType: 'Binary', ...photo } },
      { resource: { resourceType: 'Communication', payload: [{ contentAttachment: photo }] } },
    )
    await accepted(message, REPORT_CREATE, { 'content-type': 'application/json' })
    const places = sandbox().received[0]!.files.map(({ place }) => place.replace('.resource', ''))
    const added = ['entry[3].photo[0]', 'entry[4]', 'entry[5].payload[0].contentAttachment']
    assert.deepEqual(places, ['entry[1].presentedForm[0]', ...added])
  })

  it('accepts urn:uuid: names, outside references and a message without a file', async () => {
    const message = bundle()
    const [patient, report] = [`urn:uuid:${randomUUID()}`, `urn:uuid:${randomUUID()}`]
    put(put(message, 'entry.2.fullUrl', patient), 'entry.1.resource.subject.reference', patient)
    put(put(message, 'entry.1.fullUrl', report), 'entry.0.resource.focus.0.reference', report)
    message['entry'][1].resource.performer = [{ reference: 'https://example.org/Organization/1' }]
    message['entry'][1].resource.code = { text: 'Report' }
    delete message['entry'][1].resource.presentedForm
    await accepted(message)
    assert.deepEqual(sandbox().received[0]!.files, [])
  })

  const main = 'entry[1].resource'
  const wrong: [string, string, unknown, string[]][] = [
    ['another resource', 'resourceType', 'Patient', ['resourceType: Resource must be a Bundle']],
    ['another type', 'type', 'transaction', ['type: Bundle type must be message']],
    [
      'no source.endpoint',
      'entry.0.resource.source',
      { name: 'x' },
      ['entry[0].resource.source.endpoint: source.endpoint is required'],
    ],
    ['no focus', 'entry.0.resource.focus', [], ['entry[0].resource.focus: focus is required']],
    [
      'a focus on the patient',
      'entry.0.resource.focus',
      [{ reference: 'Patient/patient-1' }],
      ['entry[0].resource.focus[0].reference: focus must be the DiagnosticReport of the Bundle'],
    ],
    [
      'a focus on nothing',
      'entry.0.resource.focus',
      [{ reference: 'DiagnosticReport/x' }],
      ['entry[0].resource.focus[0].reference: focus must be the DiagnosticReport of the Bundle'],
    ],
    ['no status', 'entry.1.resource.status', undefined, [`${main}.status: status is required`]],
    [
      'another status',
      'entry.1.resource.status',
      'done',
      [`${main}.status: status is not in the value set of DiagnosticReport`],
    ],
    ['no code', 'entry.1.resource.code', undefined, [`${main}.code: code with coding or text is required`]],
    [
      'an empty code',
      'entry.1.resource.code',
      { coding: [] },
      [`${main}.code: code with coding or text is required`],
    ],
    [
      'presentedForm that is no list',
      'entry.1.resource.presentedForm',
      PDF_DATA,
      [`${main}.presentedForm: presentedForm must be an array`],
    ],
    [
      'no identifier',
      'entry.2.resource.identifier',
      undefined,
      ['entry[2].resource.identifier: Patient identifier is required'],
    ],
    [
      'an identifier without value',
      'entry.2.resource.identifier',
      [{ system: 'x', value: '' }],
      ['entry[2].resource.identifier[0].value: identifier value is required'],
    ],
    [
      'a urn:uuid: to nothing',
      'entry.1.resource.subject.reference',
      'urn:uuid:x',
      [`${main}.subject.reference: reference is not in the Bundle`],
    ],
    [
      'a reference without type',
      'entry.1.resource.subject.reference',
      'patient-1',
      [`${main}.subject.reference: reference is malformed`],
    ],
    [
      'a reference that is no text',
      'entry.1.resource.subject.reference',
      7,
      [`${main}.subject.reference: reference must be a string`],
    ],
    [
      'a malformed urn:uuid: fullUrl',
      'entry.2.fullUrl',
      'urn:uuid:patient',
      ['entry[2].fullUrl: fullUrl must be absolute'],
    ],
    [
      'a relative fullUrl',
      'entry.2.fullUrl',
      'Patient/patient-1',
      ['entry[2].fullUrl: fullUrl must be absolute'],
    ],
    [
      'no contentType',
      'entry.1.resource.presentedForm.0.contentType',
      undefined,
      [`${main}.presentedForm[0].contentType: contentType must be a MIME type`],
    ],
    [
      'a contentType that is none',
      'entry.1.resource.presentedForm.0.contentType',
      'PDF',
      [`${main}.presentedForm[0].contentType: contentType must be a MIME type`],
    ],
    [
      'neither data nor url',
      'entry.1.resource.presentedForm.0.data',
      undefined,
      [`${main}.presentedForm[0]: Attachment must have either data or url`],
    ],
    [
      'data and url',
      'entry.1.resource.presentedForm.0.url',
      'https://example.org',
      [`${main}.presentedForm[0]: Attachment must have either data or url`],
    ],
    [
      'data of white space alone',
      'entry.1.resource.presentedForm.0.data',
      ' \r\n',
      [`${main}.presentedForm[0].data: data must be base64`],
    ],
    [
      'empty data',
      'entry.1.resource.presentedForm.0.data',
      '',
      [`${main}.presentedForm[0].data: data must be base64`],
    ],
    [
      'data that is no text',
      'entry.1.resource.presentedForm.0.data',
      7,
      [`${main}.presentedForm[0].data: data must be base64`],
    ],
  ]
  for (const [what, place, value, texts] of wrong) {
    it(`refuses ${what}`, async () => assert.deepEqual(await refused(put(bundle(), place, value)), texts))
  }

  it('accepts what FHIR R4 allows in place of a value', async () => {
    const absent = {
      extension: [
        { url: 'http://hl7.org/fhir/StructureDefinition/data-absent-reason', valueCode: 'unknown' },
      ],
    }
    const report = (): Json => bundle('DiagnosticReportCreate')
    const at = (name: string): string => `entry.${report()['entry'].findIndex(isReport)}.resource.${name}`
    const isReport = ({ resource }: Json): boolean => resource['resourceType'] === 'DiagnosticReport'
    assert.match((await refused(put(report(), at('code'), {}))).join(), /code with coding or text/)
    for (const [name, value] of [
      ['code', absent],
      ['code', { _text: absent }],
      ['code', { coding: [{ _code: absent }] }],
    ] as const)
      await accepted(put(report(), at(name), value))
    await accepted(put(put(report(), at('status'), undefined), at('_status'), absent))
    await accepted(put(report(), 'entry.0.resource.source', { _endpoint: absent }))
  })

  it('refuses a repeated fullUrl', async () => {
    const message = bundle()
    message['entry'][2].fullUrl = message['entry'][1].fullUrl
    assert.deepEqual(await refused(message), ['entry[2].fullUrl: fullUrl must be unique'])
  })

  it('requires a MessageHeader as first entry, a patient and the main resource', async () => {
    const turned = bundle()
    turned['entry'].reverse()
    assert.deepEqual(await refused(turned), ['entry[0].resource: First entry must be a MessageHeader'])
    for (const [operation, event] of Object.entries(OPERATIONS)) {
      const type = operation.split('/')[0]!
      const noMain = bundle(event)
      noMain['entry'].splice(1, 1)
      assert.ok((await refused(noMain, operation)).includes(`entry: ${type} entry is required`))
    }
    assert.ok((await refused(put(bundle(), 'entry', []))).includes('entry: Bundle must have entries'))
    const late = bundle()
    late['entry'].unshift({})
    assert.deepEqual(await refused(late), [
      'entry[0].resource: Entry must have a resource',
      'entry[0].resource: First entry must be a MessageHeader',
    ])
    const hollow = bundle()
    hollow['entry'].push({ fullUrl: 'urn:oid:1.2' }, 7, { resource: {} })
    const texts = [3, 4, 5].map((index) => `entry[${index}].resource: Entry must have a resource`)
    assert.deepEqual(await refused(hollow), texts)
  })

  for (const [operation, event] of Object.entries(OPERATIONS)) {
    const type = operation.split('/')[0]!
    const withoutPatient = (subject: unknown): Json => {
      const message = put(bundle(event), 'entry.1.resource.subject', subject)
      message['entry'].splice(2, 1)
      return message
    }

    it(`accepts a reference to a patient at the destination, by ${operation}`, async () => {
      const identifier = { system: 'urn:oid:1.2', value: '0000000001' }
      const subjects: [subject: Json, line: string][] = [
        [
          { reference: 'Patient/81c2f5eb-f99f-40c4-b504-59483e6148d7' },
          'Patient/81c2f5eb-f99f-40c4-b504-59483e6148d7',
        ],
        [{ reference: 'https://ehr.example/fhir/Patient/1' }, 'https://ehr.example/fhir/Patient/1'],
        [{ identifier, display: 'Jane Doe' }, 'Jane Doe · 0000000001'],
      ]
      for (const [subject] of subjects) await accepted(withoutPatient(subject), operation)
      assert.deepEqual(
        sandbox().received.map(({ patient }) => patient),
        subjects.map(([, line]) => line),
      )
    })

    it(`requires a patient, by ${operation}`, async () => {
      const text = `entry: Patient entry, or a ${type} whose subject names the patient, is required`
      const noPatient = [undefined, null, 'Patient/1', {}, { display: 'Jane Doe' }, { reference: '' }]
      for (const subject of [...noPatient, { identifier: { system: 'urn:oid:1.2' } }]) {
        assert.ok((await refused(withoutPatient(subject), operation)).includes(text), JSON.stringify(subject))
      }
    })
  }

  const atDestination = [
    'Encounter/e-1',
    'Practitioner/1/_history/2',
    'Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|1',
    'ServiceRequest/81c2f5eb-f99f-40c4-b504-59483e6148d7',
    'https://ehr.example/fhir/Encounter/1',
  ]
  for (const reference of atDestination) {
    it(`accepts a reference to a resource at the destination: ${reference.slice(0, 30)}`, async () => {
      for (const place of ['encounter', 'subject']) {
        await accepted(put(bundle(), `entry.1.resource.${place}`, { reference }))
      }
    })
  }

  it('accepts base64 with line breaks', async () => {
    const data = PDF_DATA['data'] as string
    const lines = data.replace(/.{10}/g, '$&\r\n')
    for (const text of [lines, `${data}\n`, data.replace(/.{8}/g, '$& ')]) {
      await accepted(put(bundle(), 'entry.1.resource.presentedForm.0.data', text))
      assert.deepEqual(sandbox().received.at(-1)!.files[0]!.bytes, PDF)
    }
  })

  it('shows the patient of the focus, not the first patient', async () => {
    const message = bundle()
    const mother = { identifier: [{ value: '7' }], name: [{ family: 'Mother' }] }
    const others = [
      {
        resource: { resourceType: 'DiagnosticReport', id: 'other', status: 'final', code: { text: 'Other' } },
      },
      { resource: { resourceType: 'Patient', id: 'mother', ...mother } },
    ]
    message['entry'].splice(1, 0, ...others)
    await accepted(message)
    const [received] = sandbox().received
    assert.deepEqual(
      [received!.patient, received!.document],
      ['Doe, Jane · 1990-01-01 · 0000000001', 'Laboratory report · report.pdf'],
    )
    message['entry'][3].resource.subject = { reference: 'Patient/elsewhere' }
    await accepted(message)
    assert.equal(sandbox().received[1]!.patient, 'Patient/elsewhere')
  })

  it('checks Observations and DocumentReferences too', async () => {
    const [observation, document] = [bundle('ObservationCreate'), bundle('DocumentReferenceCreate')]
    put(put(observation, `entry.1.resource.status`, 'partial'), 'entry.1.resource.code', {})
    assert.deepEqual(await refused(observation, 'Observation/$observation-create'), [
      `${main}.status: status is not in the value set of Observation`,
      `${main}.code: code with coding or text is required`,
    ])
    const create = 'DocumentReference/$documentreference-create'
    put(put(document, `entry.1.resource.status`, 'final'), 'entry.1.resource.content', [{}])
    assert.deepEqual(await refused(document, create), [
      `${main}.status: status is not in the value set of DocumentReference`,
      `${main}.content[0].attachment: attachment is required`,
    ])
    const empty = put(bundle('DocumentReferenceCreate'), 'entry.1.resource.content', [])
    assert.deepEqual(await refused(empty, create), [`${main}.content: content is required`])
  })

  it('repeats no values in a refusal', async () => {
    const message = bundle()
    const changes: [string, unknown][] = [
      ['entry.1.resource.status', 'CANARY'],
      ['entry.1.resource.subject.reference', 'of CANARY'],
      ['entry.1.resource.presentedForm.0.contentType', 'CANARY'],
      ['entry.1.resource.presentedForm.0.data', 'CANARY'],
      ['entry.2.fullUrl', 'CANARY'],
      ['entry.2.resource.identifier', ['CANARY']],
      ['entry.0.resource.eventUri', 'CANARY'],
    ]
    for (const [place, value] of changes) put(message, place, value)
    const text = await (await post(message)).text()
    assert.equal((JSON.parse(text) as Json)['issue'].length, changes.length)
    assert.ok(!text.includes('CANARY'))
  })

  it('refuses a body that is not FHIR JSON', async () => {
    for (const body of ['{', '', '[]', 'null']) await refused(body)
    const asText = await post(bundle(), REPORT_CREATE, AT_SANDBOX, { 'content-type': 'text/plain' })
    assert.equal(asText.status, 400)
  })

  const nowhere = {
    'the slug redox': `redox/Development/${REPORT_CREATE}`,
    'a UUID as slug': `${randomUUID()}/Development/${REPORT_CREATE}`,
    'a slug with a dot': `a.b/Development/${REPORT_CREATE}`,
    'an environment spelled otherwise': `redox-fhir-sandbox/development/${REPORT_CREATE}`,
    'an environment that is none': `redox-fhir-sandbox/Test/${REPORT_CREATE}`,
  }
  for (const [what, path] of Object.entries(nowhere)) {
    it(`answers 404 to ${what}`, async () => {
      const answer = await postJson(`/fhir/R4/${path}`, bundle(), bearer(await token()))
      assert.equal(answer.status, 404)
      assert.equal(((await answer.json()) as Json)['issue'][0].code, 'not-found')
    })
  }

  const otherJobs = {
    'an older operation': ['POST', `${AT_SANDBOX}/DiagnosticReport/$write`],
    'an operation of another type': ['POST', `${AT_SANDBOX}/Observation/$diagnosticreport-create`],
    'an encoded $': ['POST', `${AT_SANDBOX}/DiagnosticReport/%24diagnosticreport-create`],
    'a slash at the end': ['POST', `${AT_SANDBOX}/${REPORT_CREATE}/`],
    'an operation of another resource': ['POST', `${AT_SANDBOX}/Appointment/$appointment-create`],
    'a create': ['POST', `${AT_SANDBOX}/DiagnosticReport`],
    'a search by POST': ['POST', `${AT_SANDBOX}/Patient/_search`],
    'a search': ['GET', `${AT_SANDBOX}/Patient?family=Doe`],
    'a search for Binaries': ['GET', 'redox/Development/Binary?_id=1'],
    'a read': ['GET', `${AT_SANDBOX}/DiagnosticReport/1`],
    'an update': ['PUT', `${AT_SANDBOX}/DiagnosticReport/1`],
    'the operation by GET': ['GET', `${AT_SANDBOX}/${REPORT_CREATE}`],
  }
  for (const [what, [method, path]] of Object.entries(otherJobs)) {
    it(`answers ${what} with a text that the sandbox does not simulate it`, async () => {
      const url = `${sandbox().url}/fhir/R4/${path}`
      const answer = await fetch(url, {
        method: method!,
        headers: { ...bearer(await token()), ...FHIR_JSON },
      })
      assert.equal(answer.status, 404)
      const [issue] = ((await answer.json()) as Json)['issue']
      assert.equal(issue.code, 'not-supported')
      assert.match(
        issue.details.text,
        /is not simulated here: this sandbox simulates only the sending of files$/,
      )
    })
  }

  it('refuses a request of more than 40 MB, accepts exactly 40 MB', async () => {
    const padded = (bytes: number): string => {
      const message = JSON.stringify({ ...bundle(), id: '' })
      return message.replace('"id":""', `"id":"${'x'.repeat(bytes - Buffer.byteLength(message))}"`)
    }
    assert.equal((await post(padded(40_000_000))).status, 200)
    const answer = await post(padded(40_000_001))
    assert.equal(answer.status, 413)
    assert.equal(((await answer.json()) as Json)['issue'][0].code, 'too-long')
  })

  it('accepts an embedded file up to the limit of the request', async () => {
    await accepted(
      bundle('DiagnosticReportCreate', {
        contentType: 'image/png',
        data: Buffer.alloc(29_000_000).toString('base64'),
      }),
    )
    assert.equal(sandbox().received[0]!.files[0]!.size, 29_000_000)
  })
})
