import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { Json } from './support'
import * as support from './support'
import {
  bearer,
  DESTINATION,
  legacyToken,
  media,
  notes,
  PDF,
  postJson,
  put,
  results,
  sandbox,
  sha256,
  token,
  uploadBinary,
  uploadBlob,
} from './support'

const BASE64 = PDF.toString('base64')
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

const post = async (message: unknown, source?: string): Promise<Response> =>
  postJson('/endpoint', message, bearer(await token(), source))

async function accepted(message: Json, source?: string): Promise<Json> {
  const answer = await post(message, source)
  const text = await answer.text()
  assert.equal(answer.status, 200, text)
  return JSON.parse(text) as Json
}

/** Sends a message that the sandbox must refuse without keeping any of it. Returns the error texts of the response. */
async function refused(message: unknown, status = 400): Promise<string[]> {
  const answer = await post(message)
  const body = await answer.text()
  assert.equal(answer.status, status, body)
  assert.equal(sandbox().received.length, 0)
  const errors: Json[] = JSON.parse(body).Meta.Errors
  for (const { ID, Text, Type, Module } of errors) {
    assert.deepEqual([typeof ID, typeof Text, Type, Module], ['number', 'string', 'message', 'DataModels'])
  }
  return errors.map(({ Text }) => Text)
}

describe('sandbox: Data Model API', () => {
  support.useSandbox()

  it('answers a message with a log for each destination, and its Meta', async () => {
    const message = notes(BASE64)
    const second = randomUUID()
    message['Meta'].Destinations.push({ ID: second })
    const { Meta } = await accepted(message)
    assert.deepEqual([Meta.DataModel, Meta.EventType], ['Notes', 'New'])
    assert.deepEqual(Meta.Destinations, message['Meta'].Destinations)
    assert.match(Meta.Source.ID, UUID)
    assert.equal(typeof Meta.Message.ID, 'number')
    assert.equal(Meta.Errors, undefined)
    assert.equal(Meta.Logs.length, 2)
    for (const { ID, AttemptID } of Meta.Logs) assert.ok(UUID.test(ID) && UUID.test(AttemptID))
    const [received] = sandbox().received
    assert.deepEqual(
      received!.logIds,
      Meta.Logs.map(({ ID }: Json) => ID),
    )
    assert.deepEqual(received!.destinations, [DESTINATION, second])
    assert.equal(received!.source, Meta.Source.ID)
    assert.equal(received!.environment, 'Development')
    assert.equal(received!.patient, 'Doe, Jane · 1990-01-01 · MR 0000000001')
    assert.equal(received!.document, 'Consent Form · consent.pdf · ID doc-1')
  })

  const shapes: [string, () => Json, string?][] = [
    ['Notes:New', () => notes(BASE64), 'Note.FileContents'],
    [
      'Notes:Replace',
      () => put(notes(BASE64, 'Replace'), 'Note.OriginalDocumentID', 'doc-0'),
      'Note.FileContents',
    ],
    ['Notes:Delete', () => put(notes('', 'Delete'), 'Note.FileContents', undefined)],
    ['Media:New', () => media(BASE64), 'Media.FileContents'],
    [
      'Media:Replace',
      () => put(media(BASE64, 'Replace'), 'Media.OriginalDocumentID', 'doc-0'),
      'Media.FileContents',
    ],
    ['Media:Delete', () => put(media('', 'Delete'), 'Media.FileContents', undefined)],
    ['Results:New', () => results(BASE64), 'Orders[0].Results[0].Value'],
    [
      'Results:NewUnsolicited',
      () =>
        put(
          put(results(BASE64, 'NewUnsolicited'), 'Orders.0.ID', undefined),
          'Orders.0.ApplicationOrderID',
          '7',
        ),
      'Orders[0].Results[0].Value',
    ],
  ]
  for (const [operation, make, place] of shapes) {
    it(`delivers ${operation}`, async () => {
      await accepted(make())
      const [received] = sandbox().received
      assert.deepEqual([received!.api, received!.operation], ['datamodel', operation])
      const files = received!.files.map((file) => [
        file.place,
        file.way,
        file.fileType,
        file.size,
        file.sha256,
      ])
      assert.deepEqual(files, place ? [[place, 'embedded', 'PDF', PDF.length, sha256(PDF)]] : [])
    })
  }

  for (const [model, make, place] of [
    ['Notes', notes, 'Note.FileContents'],
    ['Media', media, 'Media.FileContents'],
    ['Results', results, 'Orders.0.Results.0.Value'],
  ] as const) {
    it(`resolves a reference in ${model}`, async () => {
      const uri = await uploadBlob(PDF)
      await accepted(make(uri))
      const { files, request, delivered } = sandbox().received[0]!
      assert.equal(files.length, 1)
      assert.deepEqual([files[0]!.way, files[0]!.contentType], ['referenced', 'application/pdf'])
      assert.deepEqual([files[0]!.sha256, files[0]!.bytes], [sha256(PDF), PDF])
      const at = (body: unknown): unknown =>
        place.split('.').reduce((inner, step) => inner[step], body as Json)
      assert.equal(at(request.body), uri)
      assert.equal(at(delivered), `<base64, ${PDF.length} bytes>`)
    })

    it(`refuses references of other sources in ${model}`, async () => {
      const own = await uploadBlob(PDF)
      const wrong = [
        `${own}0`,
        `${own}\n`,
        'https://blob.redoxengine.com/14652614',
        own.replace('http:', 'https:'),
      ]
      for (const reference of wrong) {
        const [text, ...others] = await refused(make(reference))
        assert.match(text!, /^Referenced file not found - /)
        assert.deepEqual(others, [])
      }
    })

    it(`reports in ${model} whether source or API is the reason for a missing file`, async () => {
      const [foreign] = await refused(make(await uploadBlob(PDF, randomUUID())))
      assert.match(foreign!, /^Referenced file not found \(another source uploaded it: use the same source/)
      const [binary] = await refused(make(await uploadBinary(PDF)))
      assert.match(binary!, /^Referenced file not found \(it is a Binary of the FHIR API\) - /)
    })
  }

  it('finds a reference of the source that uploaded the file, named in the header or in the body', async () => {
    const source = randomUUID()
    const uri = await uploadBlob(PDF, source)
    await accepted(notes(uri), source.toUpperCase())
    await accepted(put(notes(uri), 'Meta.Source', { ID: source, Name: 'Mine' }))
    assert.deepEqual(
      sandbox().received.map((message) => message.source),
      [source, source],
    )
  })

  it('accepts text, and a reference, as Plain Text and Rich Text', async () => {
    const text = 'See https://example.org for more. Grüße'
    for (const type of ['Plain Text', 'Rich Text']) {
      await accepted(put(put(notes(text), 'Note.ContentType', type), 'Note.FileName', undefined))
      await accepted(put(notes(await uploadBlob(PDF)), 'Note.ContentType', type))
    }
    const [note, reference] = sandbox().received
    assert.equal(note!.files[0]!.bytes.toString(), text)
    assert.equal((note!.delivered as Json)['Note'].FileContents, `<text, ${Buffer.byteLength(text)} bytes>`)
    assert.equal((reference!.delivered as Json)['Note'].FileContents, `<base64, ${PDF.length} bytes>`)
    const elsewhere = put(notes('https://example.org/a.pdf'), 'Note.ContentType', 'Plain Text')
    sandbox().clear()
    assert.deepEqual(await refused(elsewhere), ['Referenced file not found - Note.FileContents in Notes:New'])
  })

  it('accepts results without files unchanged', async () => {
    const message = results(BASE64)
    message['Orders'][0].Results.unshift({ Code: '1', Value: 'https://example.org', ValueType: 'String' })
    await accepted(message)
    assert.deepEqual(
      sandbox().received[0]!.files.map(({ place }) => place),
      ['Orders[0].Results[1].Value'],
    )
  })

  it('keeps no file contents in its bodies', async () => {
    await accepted(notes(BASE64))
    const { request, delivered } = sandbox().received[0]!
    assert.ok(!JSON.stringify([request, delivered]).includes(BASE64))
    assert.equal((request.body as Json)['Note'].FileContents, `<base64, ${PDF.length} bytes>`)
    assert.deepEqual([request.method, request.path], ['POST', '/endpoint'])
    assert.equal(request.headers['authorization'], undefined)
  })

  const optional: [string, unknown][] = [
    ['Patient.Demographics.DOB', ''],
    ['Patient.Demographics.DOB', null],
    ['Patient.Demographics.IsDeceased', ''],
    ['Patient.Demographics.DeathDateTime', '2026-02-28T10:00:00+01:00'],
    ['Patient.Demographics.Sex', 'Any text'],
    ['Visit', undefined],
    ['Visit.VisitDateTime', '2026-01-31'],
    ['Meta.Source', { ID: '', Name: null }],
    ['Meta.EventDateTime', '2026-01-31T10:00Z'],
    ['Note.FileType', undefined],
    ['Note.FileContents', undefined],
    ['Note.Availability', null],
    ['Note.Status', 'Any text'],
    ['Note.Unknown', { anything: [1] }],
    ['Note.Notifications', []],
    ['Visit.VisitNumber', 42],
    ['Visit.Location', { Facility: 1, FacilityIdentifiers: [{ ID: 2, IDType: 3 }] }],
    ['Patient.Identifiers', [{ ID: 12345, IDType: 'MR' }]],
    ['Patient.Demographics.Address', { ZIP: 53703 }],
    ['Meta.FacilityCode', 7],
    ['Note.DocumentID', 0],
    ['Note.Components', [{ ID: 7 }]],
    ['Note.FileName', 7],
    ['Meta.EventDateTime', '2007-04-05T12:30-0200'],
    ['Meta.EventDateTime', '2026-01-31T10:00:00+0100'],
    ['Note.ServiceDateTime', '2026-01-31T10:00+01:00'],
  ]
  for (const [place, value] of optional) {
    it(`accepts ${place} ${JSON.stringify(value)}`, async () => {
      await accepted(put(notes(BASE64), place, value))
    })
  }

  it('accepts numbers in place of texts in the other models too', async () => {
    const order = { Priority: 1, Notes: [2], Procedure: { Code: 3 } }
    const message = put(results(BASE64), 'Patient.Contacts', [{ FirstName: 1, PhoneNumber: { Home: 2 } }])
    Object.assign(message['Orders'][0], order, { ID: 157968300 })
    message['Orders'][0].Results.push({ Code: 1, Value: 5.4, ValueType: 'Numeric', Units: 1 })
    await accepted(message)
    await accepted(put(put(media(BASE64), 'Media.DocumentID', 7), 'Media.FileName', 8))
    const [received, document] = sandbox().received
    assert.equal(received!.files.length, 1)
    assert.equal(document!.document, 'Treatment Plan · 8 · ID 7')
  })

  it('accepts any Media.Availability', async () => {
    await accepted(put(media(BASE64), 'Media.Availability', 'Archived'))
  })

  type Change = [make: () => Json, place: string, value: unknown, text: string]
  const missing = (make: () => Json, places: string[], event: string): Change[] =>
    places.flatMap((place) =>
      [undefined, ''].map((value): Change => {
        const path = place.replace(/\.(\d+)/g, '[$1]')
        return [make, place, value, `Required field missing - ${path} in ${event}`]
      }),
    )
  const shared = ['Patient.Identifiers.0.ID', 'Patient.Identifiers.0.IDType', 'Meta.Destinations.0.ID']
  const inNote = ['DocumentType', 'DocumentID', 'Provider.ID', 'FileName'].map((name) => `Note.${name}`)
  const inMedia = [
    'FileType',
    'FileName',
    'FileContents',
    'DocumentType',
    'DocumentID',
    'Provider.ID',
    'Availability',
  ]
  const inResults = ['Code', 'Value', 'FileType'].map((name) => `Orders.0.Results.0.${name}`)
  const invalid = (place: string, value: unknown, what: string, inside = ''): Change => {
    const path = place.replace(/\.(\d+)/g, '[$1]') + inside
    return [() => notes(BASE64), place, value, `Invalid value, expected ${what} - ${path} in Notes:New`]
  }
  const changes: Change[] = [
    ...missing(
      () => notes(BASE64),
      [...shared, ...inNote.filter((place) => place !== 'Note.ContentType')],
      'Notes:New',
    ),
    ...missing(() => notes(BASE64, 'Replace'), ['Note.OriginalDocumentID'], 'Notes:Replace'),
    ...missing(() => media(BASE64), [...shared, ...inMedia.map((name) => `Media.${name}`)], 'Media:New'),
    ...missing(() => media(BASE64, 'Replace'), ['Media.OriginalDocumentID'], 'Media:Replace'),
    ...missing(() => results(BASE64), [...shared, 'Orders.0.ID', 'Orders.0.Status'], 'Results:New'),
    ...missing(
      () => results(BASE64),
      inResults.filter((place) => !place.endsWith('ValueType')),
      'Results:New',
    ),
    ...missing(
      () => results(BASE64, 'NewUnsolicited'),
      ['Orders.0.ApplicationOrderID'],
      'Results:NewUnsolicited',
    ),
    [
      () => notes(BASE64),
      'Note.Provider',
      undefined,
      'Required field missing - Note.Provider.ID in Notes:New',
    ],
    [() => notes(BASE64), 'Patient', undefined, 'Required field missing - Patient.Identifiers in Notes:New'],
    [
      () => notes(BASE64),
      'Patient.Identifiers',
      [],
      'Required field missing - Patient.Identifiers in Notes:New',
    ],
    [() => notes(BASE64), 'Meta.Destinations', [], 'Required field missing - Meta.Destinations in Notes:New'],
    [() => results(BASE64), 'Orders', [], 'Required field missing - Orders in Results:New'],
    [
      () => notes('', 'Delete'),
      'Note.FileContents',
      BASE64,
      'Field not allowed - Note.FileContents in Notes:Delete',
    ],
    [
      () => media('', 'Delete'),
      'Media.FileContents',
      BASE64,
      'Field not allowed - Media.FileContents in Media:Delete',
    ],
    [
      () => media(BASE64),
      'Media.Authenticated',
      true,
      'Invalid value, expected a string - Media.Authenticated in Media:New',
    ],
    invalid('Note.ContentType', 'PDF', 'one of Plain Text, Rich Text, Base64 Encoded'),
    invalid('Note.Availability', 'Gone', 'one of Available, Unavailable, Obsolete, Deleted, Cancelled'),
    invalid('Note.DocumentID', true, 'a string'),
    invalid('Note.DocumentID', ['x'], 'a string'),
    invalid('Note.FileContents', 7, 'a string'),
    invalid('Visit.VisitNumber', false, 'a string'),
    [
      () => results(BASE64),
      'Orders.0.Results.0.Value',
      1234,
      'Invalid base64 - Orders[0].Results[0].Value in Results:New',
    ],
    [
      () => results(BASE64),
      'Patient.Contacts',
      [{ FirstName: true }],
      'Invalid value, expected a string - Patient.Contacts[0].FirstName in Results:New',
    ],
    invalid('Note.Provider', 'Dr. No', 'an object'),
    invalid('Note.Provider', null, 'an object'),
    invalid('Note.Notifications', {}, 'an array'),
    invalid('Note.Components', [{ ID: {} }], 'a string', '[0].ID'),
    invalid('Meta.Test', 'true', 'a boolean'),
    invalid('Meta.Destinations.0.ID', 'redox-emr', 'a UUID'),
    invalid('Meta.Source', { ID: 'my-source' }, 'a UUID', '.ID'),
    invalid('Meta.EventDateTime', '31.01.2026', 'an ISO 8601 date and time'),
    invalid('Meta.EventDateTime', '2026-02-30T10:00:00Z', 'an ISO 8601 date and time'),
    invalid('Meta.EventDateTime', '2026-01-31T25:00:00Z', 'an ISO 8601 date and time'),
    invalid('Note.ServiceDateTime', 1769853600, 'an ISO 8601 date and time'),
    invalid('Patient.Demographics.DOB', '01/31/1990', 'a date (YYYY-MM-DD)'),
    invalid('Patient.Demographics.EmailAddresses', [null], 'a string', '[0]'),
  ]
  for (const [make, place, value, text] of changes) {
    it(`refuses ${place} ${JSON.stringify(value)?.slice(0, 30)}: ${text}`, async () => {
      const message = make()
      if (message['Meta'].EventType === 'NewUnsolicited') message['Orders'][0].ApplicationOrderID = '7'
      assert.deepEqual(await refused(put(message, place, value)), [text])
    })
  }

  it('reports all problems at once', async () => {
    const message = notes('not base64')
    for (const place of ['Note.DocumentID', 'Note.DocumentType', 'Patient.Identifiers.0.ID'])
      put(message, place, '')
    put(message, 'Patient.Demographics.DOB', 'yesterday')
    const texts = await refused(message)
    assert.equal(texts.length, 5)
    assert.ok(texts.includes('Invalid base64 - Note.FileContents in Notes:New'))
    assert.ok(texts.includes('Required field missing - Note.DocumentID in Notes:New'))
  })

  it('reports every missing field of a missing object', async () => {
    const texts = await refused(put(notes(''), 'Note', undefined))
    const names = ['ContentType', 'DocumentType', 'DocumentID', 'Provider.ID']
    assert.deepEqual(
      texts,
      names.map((name) => `Required field missing - Note.${name} in Notes:New`),
    )
  })

  it('repeats Meta but no patient values in a refusal', async () => {
    const message = notes('CANARY')
    message['Patient'] = {
      Identifiers: [{ ID: true, IDType: 'CANARY' }],
      Demographics: { DOB: 'CANARY', Sex: ['CANARY'] },
    }
    message['Note'].ContentType = 'CANARY'
    const text = await (await post(message)).text()
    assert.ok(!text.includes('CANARY'))
    assert.deepEqual(JSON.parse(text).Meta.Destinations, message['Meta'].Destinations)
    for (const place of ['Meta.DataModel', 'Meta.EventType']) {
      assert.ok(!(await (await post(put(notes(BASE64), place, 'CANARY'))).text()).includes('CANARY'))
    }
  })

  it('refuses unknown models and events', async () => {
    for (const [place, value] of [
      ['Meta.DataModel', 'PatientAdmin'],
      ['Meta.EventType', 'Query'],
      ['Meta.DataModel', 'constructor'],
    ]) {
      assert.deepEqual(await refused(put(notes(BASE64), place!, value)), [
        'Data model or event type not simulated here: this sandbox simulates only the sending of files - Meta',
      ])
    }
    for (const place of ['Meta.DataModel', 'Meta.EventType']) {
      assert.deepEqual(await refused(put(notes(BASE64), place, 7)), [
        `Invalid value, expected a string - ${place}`,
      ])
    }
    assert.deepEqual(await refused({}), [
      'Required field missing - Meta.DataModel',
      'Required field missing - Meta.EventType',
      'Required field missing - Meta.Destinations',
    ])
  })

  const goodBase64 = {
    'line breaks': BASE64.replace(/.{10}/g, '$&\r\n'),
    'a trailing newline': `${BASE64}\n`,
    spaces: BASE64.replace(/.{8}/g, '$& '),
  }
  for (const [what, contents] of Object.entries(goodBase64)) {
    it(`accepts base64 with ${what}`, async () => {
      for (const message of [notes(contents), media(contents), results(contents)]) await accepted(message)
      for (const { files } of sandbox().received) assert.deepEqual(files[0]!.bytes, PDF)
    })
  }

  const badBase64 = {
    'white space alone': ' \n',
    'no padding': 'QQ',
    'the url-safe alphabet': '_-_-',
    'a data: prefix': `data:application/pdf;base64,${BASE64}`,
    'stray bits': 'QR==',
    text: 'hello world!',
  }
  for (const [what, contents] of Object.entries(badBase64)) {
    it(`refuses base64 with ${what}`, async () => {
      assert.ok(contents !== BASE64)
      assert.deepEqual(await refused(notes(contents)), ['Invalid base64 - Note.FileContents in Notes:New'])
      assert.deepEqual(await refused(media(contents)), ['Invalid base64 - Media.FileContents in Media:New'])
      assert.deepEqual(await refused(results(contents)), [
        'Invalid base64 - Orders[0].Results[0].Value in Results:New',
      ])
    })
  }

  it('requires FileType and FileName with a reference in a note', async () => {
    const message = notes(await uploadBlob(PDF))
    put(put(message, 'Note.FileType', ''), 'Note.FileName', undefined)
    assert.deepEqual(await refused(message), [
      'Required field missing - Note.FileName in Notes:New',
      'Required field missing - Note.FileType in Notes:New',
    ])
  })

  it('refuses an embedded file of exactly 10 MB, accepts one byte less', async () => {
    await refused(notes(Buffer.alloc(10_000_000).toString('base64')), 413)
    await refused(put(notes('x'.repeat(10_000_000)), 'Note.ContentType', 'Plain Text'), 413)
    await accepted(notes(Buffer.alloc(9_999_999).toString('base64')))
  })

  it('refuses a request of more than 40 MB, accepts exactly 40 MB', async () => {
    const padded = (bytes: number): string => {
      const message = JSON.stringify(put(notes(BASE64), 'Note.Padding', ''))
      return message.replace('"Padding":""', `"Padding":"${'x'.repeat(bytes - Buffer.byteLength(message))}"`)
    }
    assert.equal(Buffer.byteLength(padded(40_000_000)), 40_000_000)
    assert.equal((await post(padded(40_000_000))).status, 200)
    assert.equal((await post(padded(40_000_001))).status, 413)
    assert.equal(sandbox().received.length, 1)
  })

  it('refuses a body that is not a JSON object', async () => {
    for (const body of ['{', '', '[]', '"x"', 'null']) await refused(body)
    assert.deepEqual(await refused(`{"a":${'['.repeat(5000)}${']'.repeat(5000)}}`), [
      'JSON nested too deeply',
    ])
    const notUtf8 = Buffer.from(JSON.stringify(put(notes(BASE64), 'Note.DocumentID', '\xff')), 'latin1')
    const headers = { ...bearer(await token()), 'content-type': 'application/json' }
    const init = { method: 'POST', headers, body: new Uint8Array(notUtf8) }
    assert.equal((await fetch(`${sandbox().url}/endpoint`, init)).status, 400)
    headers['content-type'] = 'text/plain'
    const asText = await fetch(`${sandbox().url}/endpoint`, { ...init, body: JSON.stringify(notes(BASE64)) })
    assert.equal(asText.status, 400)
  })

  it('refuses a header and a body with different sources', async () => {
    const message = put(notes(BASE64), 'Meta.Source', { ID: randomUUID() })
    const answer = await post(message, randomUUID())
    assert.equal(answer.status, 400)
    assert.match(((await answer.json()) as Json)['Meta'].Errors[0].Text, /differ/)
  })

  it('limits a legacy key to its one source, which is the published sample source', async () => {
    const { accessToken } = await legacyToken()
    const send = (source: Json): Promise<Response> =>
      postJson('/endpoint', put(notes(BASE64), 'Meta.Source', source), bearer(accessToken))
    assert.equal((await send({ ID: sandbox().legacyKey.apiKey })).status, 200)
    assert.equal((await send({ ID: '7ce6f387-c33c-417d-8682-81e83628cbd9' })).status, 200)
    for (const { source } of sandbox().received) assert.equal(source, sandbox().legacyKey.apiKey)
    const answer = await send({ ID: randomUUID() })
    assert.equal(answer.status, 401)
    assert.equal(await answer.text(), 'This source is not authorized.')
  })
})
