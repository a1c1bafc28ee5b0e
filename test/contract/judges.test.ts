import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { fhirFixture, fixture, fixturePath, sha256, sizedFile } from '../lib/fixtures'
import { isCanonicalBase64 } from './attachments'
import { emptyValues, judgeDataModel, judgeFhir, judgeRedoxMessage } from './judges'
import { asArray, asObject, type JsonObject } from './json'
import { howToRunMedplum, medplumJudge } from './medplum'
import { attachment, collection, fhirMessage, mediaMessage, noteMessage, resultsMessage } from './samples'
import { skip } from '../lib/skip'

/** Test case: name, function that makes a valid sample invalid, and patterns that the reported problems must match. */
type Case = [name: string, spoil: (message: JsonObject) => void, ...seen: RegExp[]]

function part(message: JsonObject, ...keys: (string | number)[]): JsonObject {
  const found = keys.reduce<unknown>((node, key) => (node as Record<string | number, unknown>)[key], message)
  return found as JsonObject
}

function put(value: unknown, ...keys: (string | number)[]): (message: JsonObject) => void {
  return (message) => {
    part(message, ...keys.slice(0, -1))[String(keys.at(-1))] = value
  }
}

function drop(...keys: (string | number)[]): (message: JsonObject) => void {
  return (message) => {
    delete part(message, ...keys.slice(0, -1))[String(keys.at(-1))]
  }
}

function assertSeen(problems: string[], seen: RegExp[]): void {
  for (const pattern of seen) {
    const found = problems.some((problem) => pattern.test(problem))
    assert.ok(found, `no judge said ${String(pattern)}, only: ${problems.join('\n') || '(nothing)'}`)
  }
}

/** Defines one test per case, which changes a new sample and passes it to the validator. */
function table(make: () => JsonObject, judge: (message: unknown) => string[], cases: Case[]): void {
  for (const [name, spoil, ...seen] of cases) {
    it(name, () => {
      const message = make()
      spoil(message)
      assertSeen(judge(message), seen)
    })
  }
}

const fhirProblems = (bundle: unknown): string[] => judgeFhir(bundle).problems

describe('judge of the data models', () => {
  const good: [string, (event: string) => JsonObject, string[]][] = [
    ['Notes', noteMessage, ['New', 'Replace', 'Delete']],
    ['Media', mediaMessage, ['New', 'Replace', 'Delete']],
    ['Results', resultsMessage, ['New', 'NewUnsolicited']],
  ]
  for (const [model, make, events] of good) {
    for (const event of events) {
      it(`accepts a valid ${model}/${event}`, () => {
        assert.deepEqual(judgeDataModel(make(event)), [])
        assert.deepEqual(emptyValues(make(event)), [])
      })
    }
  }

  describe('rejects a message', () => {
    table(noteMessage, judgeDataModel, [
      ['of an unknown model', put('Scheduling', 'Meta', 'DataModel'), /no schema for Scheduling\/New/],
      ['of an unknown event', put('Query', 'Meta', 'EventType'), /no schema for Notes\/Query/],
      ['without Meta', drop('Meta'), /no schema for undefined\/undefined/],
      ['without destination', put([], 'Meta', 'Destinations'), /Destinations: must NOT have fewer than 1/],
      ['with a destination without ID', drop('Meta', 'Destinations', 0, 'ID'), /property 'ID'/],
      ['with a bad time', put('31.01.2026', 'Meta', 'EventDateTime'), /EventDateTime: must match format/],
      ['with a text for Test', put('true', 'Meta', 'Test'), /Meta\/Test: must be boolean/],
      ['without patient identifiers', drop('Patient', 'Identifiers'), /property 'Identifiers'/],
      ['with an identifier without type', drop('Patient', 'Identifiers', 0, 'IDType'), /property 'IDType'/],
    ])
    it('that is no object', () => assertSeen(judgeDataModel('Notes'), [/no schema/]))
    it('with several faults, and reports all of them', () => {
      const message = noteMessage()
      message['Note'] = { FileContents: 1 }
      assertSeen(judgeDataModel(message), [
        /'ContentType'/,
        /'DocumentType'/,
        /'Provider'/,
        /FileContents: must be/,
      ])
    })
  })

  describe('checks Notes', () => {
    table(noteMessage, judgeDataModel, [
      [
        'with an unknown content type',
        put('PDF', 'Note', 'ContentType'),
        /ContentType: must be equal to one of/,
      ],
      ['without document id', drop('Note', 'DocumentID'), /property 'DocumentID'/],
      ['without id of the provider', drop('Note', 'Provider', 'ID'), /Provider: .*property 'ID'/],
      [
        'with a data URL',
        put('data:application/pdf;base64,JVBE', 'Note', 'FileContents'),
        /neither canonical/,
      ],
      ['with a line end in base64', put('JVBERi0xLjcK\n', 'Note', 'FileContents'), /neither canonical/],
    ])
    table(() => noteMessage('Replace'), judgeDataModel, [
      ['Replace without original', drop('Note', 'OriginalDocumentID'), /property 'OriginalDocumentID'/],
      [
        'Replace with an empty original',
        put('', 'Note', 'OriginalDocumentID'),
        /OriginalDocumentID: must NOT/,
      ],
    ])
    table(() => noteMessage('Delete'), judgeDataModel, [
      ['Delete with a file', put('JVBERi0xLjcK', 'Note', 'FileContents'), /FileContents: .*false/],
    ])
  })

  describe('checks Media', () => {
    table(mediaMessage, judgeDataModel, [
      ['without file', drop('Media', 'FileContents'), /property 'FileContents'/],
      ['without availability', drop('Media', 'Availability'), /property 'Availability'/],
      ['with an unpadded file', put('JVBERi0xLjc', 'Media', 'FileContents'), /neither canonical/],
      ['with a boolean Authenticated', put(true, 'Media', 'Authenticated'), /Authenticated: must be/],
    ])
    table(() => mediaMessage('Replace'), judgeDataModel, [
      ['Replace without original', drop('Media', 'OriginalDocumentID'), /property 'OriginalDocumentID'/],
      ['Replace without file', drop('Media', 'FileContents'), /property 'FileContents'/],
    ])
    table(() => mediaMessage('Delete'), judgeDataModel, [
      ['Delete with a file', put('JVBERi0xLjcK', 'Media', 'FileContents'), /FileContents: .*false/],
      ['Delete without file type', drop('Media', 'FileType'), /property 'FileType'/],
    ])
  })

  describe('checks Results', () => {
    const result = ['Orders', 0, 'Results', 0]
    table(resultsMessage, judgeDataModel, [
      ['without orders', put([], 'Orders'), /Orders: must NOT have fewer than 1/],
      ['without order id', drop('Orders', 0, 'ID'), /property 'ID'/],
      ['without value', drop(...result, 'Value'), /property 'Value'/],
      ['with a file without type', drop(...result, 'FileType'), /property 'FileType'/],
      [
        'with a text limit of the range',
        put({ Low: '3.1' }, ...result, 'ReferenceRange'),
        /Low: must be number/,
      ],
      ['with spaces in base64', put('JVBE Ri0x', ...result, 'Value'), /Results\/0\/Value: neither canonical/],
    ])
    table(() => resultsMessage('NewUnsolicited'), judgeDataModel, [
      ['unsolicited without filler id', drop('Orders', 0, 'ApplicationOrderID'), /'ApplicationOrderID'/],
    ])
  })

  describe('finds empty values', () => {
    table(noteMessage, emptyValues, [
      ['an empty string', put('', 'Note', 'FileName'), /^Note\.FileName: an empty string$/],
      ['a blank string', put(' ', 'Visit', 'VisitNumber'), /^Visit\.VisitNumber: an empty string$/],
      ['an empty object', put({}, 'Visit'), /^Visit: an empty object$/],
      ['an empty array', put([], 'Note', 'Notifications'), /^Note\.Notifications: an empty array$/],
      ['null', put(null, 'Meta', 'FacilityCode'), /^Meta\.FacilityCode: null$/],
      [
        'an empty string in an array',
        put([''], 'Patient', 'Notes'),
        /^Patient\.Notes\[0\]: an empty string$/,
      ],
    ])
    it('but not zero, false and undefined', () => {
      assert.deepEqual(emptyValues({ zero: 0, no: false, nothing: undefined }), [])
    })
  })
})

/** Faults of a FHIR message, with the validators that must find them: the libraries find different faults. */
const MAIN = ['entry', 1, 'resource']
const FORM = [...MAIN, 'presentedForm', 0]
const FHIR_CASES: Case[] = [
  ['missing status', drop(...MAIN, 'status'), /^fhir: .*status: Missing/, /^solara: entry\[1\].*\.status:/],
  ['bad status', put('done', ...MAIN, 'status'), /^fhir: .*"done" not found/, /^solara: .*\.status:/],
  ['missing code', drop(...MAIN, 'code'), /^fhir: .*code: Missing/, /^solara: .*\.code:/],
  ['unknown field', put(1, ...MAIN, 'foo'), /^fhir: .*foo: Unexpected/, /^solara: .*"foo"/],
  [
    'no array',
    put(attachment(), ...MAIN, 'presentedForm'),
    /^fhir: .*not an array/,
    /^solara: .*expected array/,
  ],
  ['null', put(null, ...MAIN, 'subject'), /^fhir: .*failed/, /^solara: .*\.subject:/],
  [
    'data URL',
    put('data:application/pdf;base64,JVBE', ...FORM, 'data'),
    /^solara: .*\.data:/,
    /^own: .*\.data:/,
  ],
  ['line end in base64', put('JVBE\n', ...FORM, 'data'), /^solara: .*\.data:/, /^own: .*\.data:/],
  ['URL-safe base64', put('JV-_', ...FORM, 'data'), /^solara: .*\.data:/, /^own: .*\.data:/],
  ['left-over bits in base64', put('QUJ=', ...FORM, 'data'), /^own: .*\.data: not canonical/],
  ['bad dateTime', put('31.01.2026', ...MAIN, 'effectiveDateTime'), /^own: .*effectiveDateTime: not a FHIR/],
  [
    'time without zone',
    put('2026-01-31T09:00:00', ...MAIN, 'effectiveDateTime'),
    /^own: .*effectiveDateTime/,
  ],
  ['date for an instant', put('2026-01-31', ...MAIN, 'issued'), /^solara: .*\.issued:/],
  ['bad birth date', put('01/31/1990', 'entry', 2, 'resource', 'birthDate'), /^solara: .*\.birthDate:/],
  [
    'bad gender',
    put('F', 'entry', 2, 'resource', 'gender'),
    /^fhir: .*"F" not found/,
    /^solara: .*\.gender:/,
  ],
  [
    'unknown resource',
    put('Person2', 'entry', 2, 'resource', 'resourceType'),
    /^fhir: .*/,
    /^solara: .*unknown/,
  ],
  [
    'missing source',
    drop('entry', 0, 'resource', 'source'),
    /^fhir: .*source: Missing/,
    /^solara: .*\.source:/,
  ],
  ['bad type of bundle', put('msg', 'type'), /^fhir: Bundle.type/, /^solara: Bundle.type/],
  ['unknown field of the bundle', put(1, 'foo'), /^fhir: Bundle.foo/, /^solara: Bundle: .*"foo"/],
  ['no bundle', put('Patient', 'resourceType'), /^own: a Bundle is expected/],
  ['text for an entry', put(['x'], 'entry'), /^solara: Bundle.entry\[0\]/],
  ['text for a resource', put('x', 'entry', 1, 'resource'), /^own: entry\[1\].resource: not an object/],
]

/** Faults that concern several resources of a message, which no FHIR validator finds. */
const REDOX_CASES: Case[] = [
  ['another type of bundle', put('transaction', 'type'), /Bundle.type: must be message/],
  ['no patient', (message) => asArray(message['entry']).pop(), /no Patient/],
  ['header not first', (message) => asArray(message['entry']).reverse(), /begins with its MessageHeader/],
  ['unknown event', put('urn:x', 'entry', 0, 'resource', 'eventUri'), /eventUri: unknown to Redox: urn:x/],
  ['no endpoint', drop('entry', 0, 'resource', 'source', 'endpoint'), /endpoint: missing/],
  ['no focus', drop('entry', 0, 'resource', 'focus'), /focus: missing/],
  ['focus on nothing', put('Patient/other', 'entry', 0, 'resource', 'focus', 0, 'reference'), /no entry is/],
  [
    'focus on the patient',
    put('Patient/patient-1', 'entry', 0, 'resource', 'focus', 0, 'reference'),
    /instead of/,
  ],
  ['urn:uuid of nothing', put('urn:uuid:0', ...MAIN, 'subject', 'reference'), /no entry is urn:uuid:0/],
  ['attachment without type', drop(...FORM, 'contentType'), /presentedForm\[0\]: contentType is missing/],
  ['attachment without file', drop(...FORM, 'data'), /needs either data or url/],
  ['attachment with both', put('https://x/Binary/1', ...FORM, 'url'), /needs either data or url/],
]

describe('judges of FHIR messages', () => {
  for (const type of ['DiagnosticReport', 'Observation', 'DocumentReference']) {
    it(`accept a valid message about a ${type}`, () => {
      assert.deepEqual(fhirProblems(fhirMessage(type)), [])
      assert.deepEqual(judgeRedoxMessage(fhirMessage(type)), [])
      assert.deepEqual(emptyValues(fhirMessage(type)), [])
    })
  }

  it('accept the official examples', () => {
    assert.deepEqual(judgeFhir(collection(examples())), { problems: [], deviations: [] })
  })

  describe('find', () => table(fhirMessage, fhirProblems, FHIR_CASES))
  describe("find by Redox's rules", () => table(fhirMessage, judgeRedoxMessage, REDOX_CASES))

  it('report Observation.presentedForm as a deviation and judge its attachments', () => {
    const message = fhirMessage('Observation')
    assertSeen(judgeFhir(message).deviations, [/^entry\[1\]\.Observation\.presentedForm: not in FHIR/])
    part(message, ...FORM)['titel'] = 'typing error'
    assertSeen(fhirProblems(message), [
      /^fhir: entry\[1\].*titel: Unexpected/,
      /^solara: entry\[1\].*"titel"/,
    ])
    assert.deepEqual(judgeFhir(fhirMessage()).deviations, [])
  })

  it('do not take the numbers of SampledData for base64', () => {
    const message = fhirMessage('Observation')
    const valueSampledData = { origin: { value: 0 }, period: 10, dimensions: 1, data: '1 2 E' }
    Object.assign(part(message, ...MAIN), { valueSampledData })
    assert.deepEqual(fhirProblems(message), [])
  })

  it('do not change the message', () => {
    const message = fhirMessage('Observation')
    judgeFhir(message)
    assert.deepEqual(message, fhirMessage('Observation'))
  })

  it('find one bad character at the end of a long attachment', () => {
    const message = fhirMessage()
    const data = sizedFile(10_000_000).toString('base64')
    put(data, ...FORM, 'data')(message)
    assert.deepEqual(fhirProblems(message), [])
    put(`${data}\n`, ...FORM, 'data')(message)
    assertSeen(fhirProblems(message), [/^own: .*\.data: not canonical/, /^solara: .*\.data:/])
  })

  it("reject the spaces in the base64 of HL7's own example", () => {
    const message = fhirMessage()
    const text = fixture('gingival-mass.pdf').toString('base64')
    put(text.replace(/.{76}/g, '$& '), ...FORM, 'data')(message)
    assertSeen(fhirProblems(message), [/^own: .*\.data: not canonical/])
  })
})

describe('Medplum as third judge', () => {
  let judge: ((bundle: unknown) => string[]) | undefined

  before(function () {
    judge = medplumJudge()
    if (judge) return
    skip(this, `medplum as third judge: ${howToRunMedplum}`)
  })

  const verdict = (bundle: unknown): string[] => judge?.(bundle) ?? []

  it('accepts valid messages, also with a file of 10 MB', () => {
    for (const type of ['DiagnosticReport', 'Observation', 'DocumentReference']) {
      assert.deepEqual(verdict(fhirMessage(type)), [])
    }
    const message = fhirMessage()
    put(sizedFile(10_000_000).toString('base64'), ...FORM, 'data')(message)
    assert.deepEqual(verdict(message), [])
  })

  it('accepts the official examples', () => assert.deepEqual(verdict(collection(examples())), []))

  describe('finds', () =>
    table(fhirMessage, verdict, [
      ['missing status', drop(...MAIN, 'status'), /\.status: Missing required/],
      ['missing code', drop(...MAIN, 'code'), /\.code: Missing required/],
      ['unknown field', put(1, ...MAIN, 'foo'), /\.foo: Invalid additional/],
      ['bad dateTime', put('31.01.2026', ...MAIN, 'effectiveDateTime'), /effective\[x\]: Invalid dateTime/],
      ['bad birth date', put('01/31/1990', 'entry', 2, 'resource', 'birthDate'), /birthDate: Invalid date/],
      ['data URL', put('data:application/pdf;base64,JVBE', ...FORM, 'data'), /\.data: Invalid base64Binary/],
      ['line end in base64', put('JVBE\n', ...FORM, 'data'), /\.data: Invalid base64Binary/],
      ['null', put(null, ...MAIN, 'subject'), /\.subject: Invalid null/],
      ['no array', put(attachment(), ...MAIN, 'presentedForm'), /presentedForm: Expected array/],
      ['header not first', (message) => asArray(message['entry']).reverse(), /bdl-12/],
      [
        'the same fullUrl twice',
        put(`urn:uuid:${'1'.repeat(8)}-1111-4111-8111-${'1'.repeat(12)}`, 'entry', 1, 'fullUrl'),
        /bdl-7/,
      ],
      ['an empty entry', (message) => asArray(message['entry']).push({}), /bdl-5/],
    ]))

  it('finds a fault in Observation.presentedForm', () => {
    const message = fhirMessage('Observation')
    part(message, ...FORM)['titel'] = 'typing error'
    assertSeen(verdict(message), [/titel: Invalid additional/])
  })
})

function examples(): JsonObject[] {
  return readdirSync(fixturePath('fhir')).map((name) => fhirFixture(name.replace(/\.json$/, '')))
}

describe('fixtures', () => {
  it('are the files of their README', () => {
    const rows = [
      ...fixture('README.md')
        .toString('utf8')
        .matchAll(/^\| `([^`]+)` .*`([0-9a-f]{64})` +\|$/gm),
    ]
    const described = Object.fromEntries<unknown>(rows.map(([, name = '', hash]) => [name, hash]))
    const files = [
      ...readdirSync(fixturePath('.')),
      ...['fhir', 'flows', 'tls'].flatMap((folder) =>
        readdirSync(fixturePath(folder)).map((name) => `${folder}/${name}`),
      ),
    ]
    const expected = files.filter((name) => !/^(README\.md|fhir|flows|tls|\.gitattributes)$/.test(name))
    assert.deepEqual(described, Object.fromEntries(expected.map((name) => [name, sha256(fixture(name))])))
  })

  it('include the real report with the size that HL7 published', () => {
    assert.equal(fixture('gingival-mass.pdf').length, 551_998)
    assert.equal(asObject(fhirFixture('DiagnosticReport-gingival-mass'))['status'], 'final')
    assert.ok(existsSync(fixturePath('empty.bin')))
  })

  it('can be generated in any size, with the same content each time', () => {
    for (const size of [0, 5, 200_000, 200_001, 10_000_000, 10_000_001, 30_000_000, 30_000_001]) {
      assert.equal(sizedFile(size).length, size)
    }
    const file = sizedFile(200_000)
    assert.equal(file.subarray(0, 8).toString('latin1'), '%PDF-1.7')
    assert.equal(sha256(file), sha256(sizedFile(200_000)))
    assert.equal(sha256(file), 'd047c08fb916b2a5a076289de44b7baba013c0fc474835f5b0c21705a521f0a6')
    assert.ok(isCanonicalBase64(file.toString('base64')))
  })
})
