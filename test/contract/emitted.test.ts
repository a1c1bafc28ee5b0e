/**
 * Every request that the client sends, recorded on its way to the sandbox: valid according to code that is independent
 * of the client, accepted by the sandbox, and with unchanged files.
 */
import assert from 'node:assert/strict'
import { pathOf, typedFields } from '../../nodes/lib/fields/lookup'
import type { Table } from '../../nodes/lib/fields/types'
import { fields as mediaFields } from '../../nodes/redox-datamodel-media/fields'
import { fields as noteFields } from '../../nodes/redox-datamodel-note/fields'
import { fields as resultsFields } from '../../nodes/redox-datamodel-results/fields'
import { fields as fhirDocumentFields } from '../../nodes/redox-fhir-document/fields'
import { fields as fhirResultFields } from '../../nodes/redox-fhir-result/fields'
import { takeFile, takePath, type MessageFile } from '../../src/file/file'
import type { DataModel, FieldValue } from '../../src/message/datamodel'
import { FHIR_OPERATIONS, type FhirOperation } from '../../src/message/fhir-operations'
import type { FileToSend, Way } from '../../src/message/prepared'
import { uploadDirect } from '../../src/redox/direct-delivery'
import { fhirFixture, fixture, fixturePath, sha256, sizedFile } from '../lib/fixtures'
import { failing, never, type Recorded } from '../lib/redox'
import { emptyValues, judgeDataModel, judgeFhir, judgeRedoxMessage } from './judges'
import { asArray, asObject, copyWith, type JsonObject } from './json'
import { medplumJudge } from './medplum'
import { fhirMessage, mediaMessage, noteMessage, resultsMessage } from './samples'
import {
  connect,
  connection,
  DESTINATION,
  emit,
  fileOf,
  place,
  prepareData,
  prepareResource,
} from './sending'
import { referenceTo, REPORT, SLUG, SOURCE, useWire, wire, type Api, type Emitted } from './sending'

const FILES = ['gingival-mass.pdf', 'photo.jpg', 'chart.png', 'scan.tiff', 'letter.rtf', 'note.txt']
const WAYS: Way[] = ['embed', 'upload', 'reference']
const CONFIG = { sourceId: SOURCE, sourceName: 'Example Lab' }

// ---- Verdicts ------------------------------------------------------------------------------------------

/** Asserts that the SHA-256 of the sent files is also in the sandbox's record and in the result of the client. */
function assertDelivered({ delivery, received }: Emitted, ways: Way[], contents: Buffer[]): void {
  const expected = contents.map((content, index) => [ways[index], sha256(content)])
  const asReceived = expected.map(([way, hash]) => [way === 'embed' ? 'embedded' : 'referenced', hash])
  const seen = (files: { way: string; sha256?: string }[]) => files.map((file) => [file.way, file.sha256])
  assert.deepEqual(seen(received.files), asReceived)
  assert.deepEqual(seen(delivery.files), expected)
}

function assertDataModel({ body, request }: Emitted): void {
  assert.deepEqual([...judgeDataModel(body), ...emptyValues(body)], [])
  assert.equal(request.path, '/endpoint')
  assert.equal(request.headers['content-type'], 'application/json')
  const { Source, Destinations } = asObject(body['Meta'])
  assert.deepEqual([Source, Destinations], [{ ID: SOURCE, Name: 'Example Lab' }, [{ ID: DESTINATION }]])
}

const judgeByMedplum = medplumJudge() ?? ((): string[] => [])

function assertFhir({ body, request }: Emitted, operation: string): void {
  const { problems, deviations } = judgeFhir(body)
  const others = [...judgeRedoxMessage(body), ...emptyValues(body), ...judgeByMedplum(body)]
  assert.deepEqual([...problems, ...others], [])
  // `Observation.presentedForm`, an element that Redox adds, is the only deviation from FHIR.
  const ofRedox = /^entry\[\d\]\.Observation\.presentedForm: not in FHIR R4, an element of Redox$/
  assert.equal(deviations.length, operation.startsWith('Observation/') ? 1 : 0, deviations.join('\n'))
  for (const deviation of deviations) assert.match(deviation, ofRedox)
  assert.equal(request.path, `/fhir/R4/${SLUG}/Development/${operation}`)
  assert.equal(request.headers['content-type'], 'application/fhir+json')
  assert.equal(request.headers['redox-source-id'], SOURCE)
}

// ---- Files ---------------------------------------------------------------------------------------------

/** Functions that provide a test file in each form that a node accepts, e.g. as base64. The tests use them in turn. */
const SOURCES: ((name: string) => Promise<MessageFile>)[] = [
  async (name) => fileOf(fixture(name), name),
  async (name) =>
    (await takeFile(fixture(name).toString('base64'), { filename: name, where: 'msg.payload' })).file,
  async (name) =>
    (
      await takeFile(`data:;base64,${fixture(name).toString('base64')}`, {
        filename: name,
        where: 'msg.file',
      })
    ).file,
  async (name) => (await takePath(name, { where: 'msg.filename' }, [fixturePath('.')])).file,
]

let turn = 0

/** Next test files, one for each element of `ways` (embed, upload, reference). After the last file, starts again. */
async function nextFiles(ways: Way[], api: Api) {
  const [placed, contents]: [FileToSend[], Buffer[]] = [[], []]
  for (const way of ways) {
    const name = FILES[turn % FILES.length]!
    const file = await SOURCES[turn++ % SOURCES.length]!(name)
    contents.push(fixture(name))
    placed.push(
      way === 'reference' ? place(await referenceTo(file, api), api, 'auto') : place(file, api, way),
    )
  }
  return { placed, contents }
}

// ---- Data Model API ------------------------------------------------------------------------------------

/** Values of fields with a restricted format. */
const VALUES: Record<string, unknown> = {
  patientId: 1234567890,
  visitNumber: 1234,
  dob: '1990-01-01',
  birthDate: '1990-01-01',
  gender: 'female',
  availability: 'Available',
  resourceStatus: 'final',
  patientIdSystem: 'urn:redox:redox-fhir-sandbox:MR',
  codeSystem: 'http://loinc.org',
  identifierSystem: 'urn:example:reports',
}

/** Fields that {@link filled} leaves empty: they have a default, or their values change the rest of the message. */
const LEFT_OUT = ['noteContentType', 'orderStatus', 'resultStatus']

/** Values for all fields of a field table, as a dialog with no empty field has them. */
const filled = (table: Table, values = VALUES): FieldValue[] =>
  typedFields(table)
    .filter(({ name, withoutFile }) => !withoutFile && !LEFT_OUT.includes(name))
    .flatMap((field) => {
      const path = pathOf(field)
      return path === undefined ? [] : [{ path, value: values[field.name] ?? `Zoë "${field.name}"` }]
    })

const forEvent = (fields: FieldValue[], event: string): FieldValue[] =>
  fields.filter(({ path }) => event === 'Replace' || !path.endsWith('.OriginalDocumentID'))

const FORMS: Record<DataModel, FieldValue[]> = {
  Notes: filled(noteFields),
  Media: filled(mediaFields),
  Results: filled(resultsFields),
}

/** Data object that a flow passes to the node: many properties, but no file. */
function dataOf(model: DataModel, event: string): JsonObject {
  const message = { Notes: noteMessage, Media: mediaMessage, Results: resultsMessage }[model](event)
  const range = { Low: 3.1, High: 7, Text: '3.1 to 7' }
  const result = { Code: 'PDF', Status: 'Preliminary', Notes: ['seen'], ReferenceRange: range }
  if (model === 'Notes') asObject(message['Note'])['Components'] = [{ ID: '1', Name: 'Plan', Value: 'rest' }]
  if (model === 'Media') asObject(message['Media'])['CreationDateTime'] = new Date(0)
  for (const part of ['Note', 'Media']) delete asObject(message[part])['FileContents']
  for (const order of asArray(message['Orders'])) asObject(order)['Results'] = [result]
  const Visit = { VisitNumber: '9', Location: { Type: 'Inpatient', Room: '136', Bed: 'B' } }
  return { ...message, Meta: { FacilityCode: 'F1' }, Visit }
}

const EVENTS: [DataModel, string][] = [
  ['Notes', 'New'],
  ['Notes', 'Replace'],
  ['Media', 'New'],
  ['Media', 'Replace'],
  ['Results', 'New'],
  ['Results', 'NewUnsolicited'],
]

function dataModelCases(): void {
  for (const [model, eventType] of EVENTS) {
    const fields = forEvent(FORMS[model], eventType)
    const inputs: [string, { data?: unknown; fields: FieldValue[] }][] = [
      ['every field of the form', { fields }],
      ['data with the form over it', { data: dataOf(model, eventType), fields: fields.slice(0, 2) }],
    ]
    for (const way of WAYS) {
      for (const [input, parts] of inputs) {
        it(`${model}:${eventType}, ${way}, from ${input}`, async () => {
          const { placed, contents } = await nextFiles([way], 'datamodel')
          const emitted = await emit(prepareData({ model, eventType, ...parts, files: placed }))
          assertDataModel(emitted)
          assertDelivered(emitted, [way], contents)
        })
      }
    }
  }

  for (const [model, part, sentBefore] of [
    ['Notes', 'Note', noteMessage()],
    ['Media', 'Media', mediaMessage()],
  ] as const) {
    it(`${model}:Delete, from the form and from the message that was sent, without a file`, async () => {
      const described = ['FileName', 'FileType'].map((name) => ({ path: `${part}.${name}`, value: 'PDF' }))
      const fields = [...forEvent(FORMS[model], 'Delete'), ...described]
      for (const parts of [{ fields }, { data: sentBefore }]) {
        const emitted = await emit(prepareData({ model, eventType: 'Delete', ...parts }))
        assertDataModel(emitted)
        assert.equal('FileContents' in asObject(emitted.body[part]), false)
      }
    })
  }

  for (const [ContentType, name] of [
    ['Plain Text', 'note.txt'],
    ['Rich Text', 'letter.rtf'],
  ] as const) {
    for (const eventType of ['New', 'Replace']) {
      it(`Notes:${eventType}, ${ContentType}, as text in the note and as an upload`, async () => {
        const fields = [...forEvent(FORMS.Notes, eventType), { path: 'Note.ContentType', value: ContentType }]
        const text = fixture(name).toString('utf8')
        const embedded = await emit(prepareData({ model: 'Notes', eventType, fields, text }))
        assertDataModel(embedded)
        assert.equal(asObject(embedded.body['Note'])['FileContents'], text)
        assert.equal(embedded.received.files[0]!.sha256, sha256(text))
        const files = [place(fileOf(fixture(name), name), 'datamodel', 'upload')]
        const uploaded = await emit(prepareData({ model: 'Notes', eventType, fields, files }))
        assertDataModel(uploaded)
        assertDelivered(uploaded, ['upload'], [fixture(name)])
        assert.equal(asObject(uploaded.body['Note'])['ContentType'], ContentType)
      })
    }
  }

  it('several files are several results of one order, each its own way', async () => {
    const ways: Way[] = ['upload', 'embed', 'reference', 'embed']
    const { placed, contents } = await nextFiles(ways, 'datamodel')
    const input = { model: 'Results', eventType: 'New', fields: FORMS.Results, files: placed } as const
    const emitted = await emit(prepareData(input))
    assertDataModel(emitted)
    assertDelivered(emitted, ways, contents)
    const [order, ...others] = asArray(emitted.body['Orders']).map(asObject)
    const statuses = asArray(order!['Results']).map((result) => asObject(result)['Status'])
    assert.deepEqual([others, statuses], [[], Array(4).fill('Final')])
  })
}

// ---- FHIR API ------------------------------------------------------------------------------------------

const OPERATIONS = Object.keys(FHIR_OPERATIONS) as FhirOperation[]

/** HL7's example resource with references to this patient, and with absolute URLs in all other references. */
function example(name: string, patient: string): JsonObject {
  const referring = (value: unknown, key: string): unknown => {
    if (key !== 'reference' || typeof value !== 'string' || !/^[A-Z]\w+\//.test(value)) return value
    return value.startsWith('Patient/') ? `Patient/${patient}` : `https://ehr.example.org/fhir/${value}`
  }
  const { contained: _, ...resource } = asObject(copyWith(fhirFixture(name), referring))
  return 'content' in resource ? { ...resource, author: undefined, content: undefined } : resource
}

const EXAMPLES = {
  DiagnosticReport: ['DiagnosticReport-f001', 'example'],
  Observation: ['Observation-body-temperature', 'example'],
  DocumentReference: ['DocumentReference-example', 'glossy'],
} as const

function resourcesFor(operation: FhirOperation): JsonObject[] {
  const [main, patient] = EXAMPLES[FHIR_OPERATIONS[operation].type]
  return [main, `Patient-${patient}`, 'Encounter-f201'].map((name) => example(name, patient))
}

/** Bundle that is complete except for the file. */
function bundleFor(operation: FhirOperation): JsonObject {
  const { event, type } = FHIR_OPERATIONS[operation]
  const bundle = fhirMessage(type)
  const [header, main] = asArray(bundle['entry']).map((entry) => asObject(asObject(entry)['resource']))
  header!['eventUri'] = `https://fhir.redoxengine.com/EventDefinition/${event}`
  if (type === 'DocumentReference') main!['content'] = [{ attachment: { language: 'de', title: 'Befund' } }]
  else delete main!['presentedForm']
  return bundle
}

function formFor(operation: FhirOperation): FieldValue[] {
  const isDocument = FHIR_OPERATIONS[operation].type === 'DocumentReference'
  const values = { ...VALUES, date: new Date(0), effective: '2026-01-31T09:00:00+01:00' }
  return isDocument
    ? filled(fhirDocumentFields, { ...values, resourceStatus: 'current' })
    : filled(fhirResultFields, { ...values, resourceStatus: 'corrected' })
}

function fhirCases(): void {
  for (const operation of OPERATIONS) {
    const inputs: [string, { data?: unknown; fields?: FieldValue[] }][] = [
      ['every field of the form', { fields: formFor(operation) }],
      ['resources', { data: resourcesFor(operation) }],
      ['a complete Bundle', { data: bundleFor(operation) }],
    ]
    const mixed: Way[] = ['embed', 'reference', 'upload', 'embed']
    for (const ways of [...WAYS.map((way) => [way]), mixed]) {
      for (const [input, parts] of inputs) {
        it(`${operation}, ${ways.join(' and ')}, from ${input}`, async () => {
          const { placed, contents } = await nextFiles(ways, 'fhir')
          const emitted = await emit(prepareResource({ operation, ...parts, files: placed }))
          assertFhir(emitted, operation)
          assertDelivered(emitted, ways, contents)
        })
      }
    }
  }

  it('complete Bundle whose entries have ids of their own and no fullUrl', async () => {
    const bundle = bundleFor(REPORT)
    const entries = asArray(bundle['entry']).map(asObject)
    asObject(entries[0]!['resource'])['id'] = 'header-1'
    const data = { ...bundle, entry: entries.map(({ resource }) => ({ resource })) }
    const { placed } = await nextFiles(['embed'], 'fhir')
    assertFhir(await emit(prepareResource({ operation: REPORT, data, files: placed })), REPORT)
  })
}

// ---- Sizes ---------------------------------------------------------------------------------------------

function send(api: Api, placed: FileToSend, by = connection, more: FieldValue[] = []): Promise<Emitted> {
  const files = [placed]
  const fields = [...(api === 'fhir' ? formFor(REPORT) : forEvent(FORMS.Media, 'New')), ...more]
  const message =
    api === 'fhir'
      ? prepareResource({ operation: REPORT, fields, files }, by)
      : prepareData({ model: 'Media', eventType: 'New', fields, files })
  return emit(message, by)
}

function sizeCases(): void {
  const sizes: [Api, 'auto' | 'embed' | 'upload', number, Way | 'refused'][] = [
    ['datamodel', 'auto', 200_000, 'embed'],
    ['datamodel', 'auto', 200_001, 'upload'],
    ['datamodel', 'embed', 9_999_999, 'embed'],
    ['datamodel', 'embed', 10_000_000, 'refused'],
    ['datamodel', 'upload', 30_000_000, 'upload'],
    ['datamodel', 'upload', 30_000_001, 'refused'],
    ['datamodel', 'auto', 30_000_001, 'refused'],
    ['fhir', 'auto', 200_000, 'embed'],
    ['fhir', 'auto', 200_001, 'upload'],
    ['fhir', 'embed', 10_000_000, 'embed'],
    ['fhir', 'upload', 30_000_000, 'upload'],
    ['fhir', 'upload', 30_000_001, 'refused'],
  ]
  for (const [api, wanted, size, outcome] of sizes) {
    it(`${api}, ${wanted}: a file of ${size} bytes: ${outcome}`, async () => {
      const content = sizedFile(size)
      const sending = () => send(api, place(fileOf(content), api, wanted))
      if (outcome !== 'refused') return assertDelivered(await sending(), [outcome], [content])
      await failing('REDOX_TOO_LARGE', sending, / MB/)
      assert.equal(wire.requests.length, 0)
    })
  }

  it('an upload is refused by the client itself too, before a byte is sent', async () => {
    const file = fileOf(sizedFile(30_000_001))
    for (const kind of ['blob', 'binary'] as const)
      await failing('REDOX_TOO_LARGE', () => uploadDirect(connection.client, file, { kind, signal: never() }))
    assert.equal(wire.requests.length, 0)
  })

  it('an empty file is refused', async () => {
    const hints = { where: 'msg.payload' }
    await failing('REDOX_BAD_INPUT', () => takeFile(fixture('empty.bin'), hints), /empty/)
    await failing('REDOX_BAD_INPUT', () => takePath('empty.bin', hints, [fixturePath('.')]), /empty/)
  })

  it('FHIR embeds up to a request of exactly 40 MB, and not a byte more', async () => {
    const sendPadded = (size: number, padding: number) => {
      const more = [{ path: 'main.conclusion', value: 'x'.repeat(padding) }]
      return send('fhir', place(fileOf(sizedFile(size)), 'fhir', 'embed'), connection, more)
    }
    const { request } = await sendPadded(30, 1)
    const room = 40_000_000 - (request.body.length - 40)
    const [size, padding] = [Math.floor(room / 4) * 3, 1 + (room % 4)]
    const emitted = await sendPadded(size, padding)
    assert.equal(emitted.request.body.length, 40_000_000)
    assertDelivered(emitted, ['embed'], [sizedFile(size)])
    const before = wire.requests.length
    await failing('REDOX_TOO_LARGE', () => sendPadded(size, padding + 1), /the limit is 40 MB/)
    assert.equal(wire.requests.length, before)
  })
}

// ---- Forms of a Binary ---------------------------------------------------------------------------------

const PDF = fixture('gingival-mass.pdf')

const BINARY_FORMS: Record<string, (request: Recorded) => void> = {
  raw({ headers, body }) {
    assert.equal(headers['content-type'], 'application/pdf')
    assert.ok(body.equals(PDF))
  },
  'fhir-json'({ headers, body }) {
    assert.equal(headers['content-type'], 'application/fhir+json')
    const entry = [{ resource: JSON.parse(body.toString()) as unknown }]
    const verdict = judgeFhir({ resourceType: 'Bundle', type: 'collection', entry })
    assert.deepEqual(verdict, { problems: [], deviations: [] })
  },
  multipart({ headers }) {
    assert.match(headers['content-type']!, /^multipart\/form-data; boundary=/)
  },
}

function binaryCases(): void {
  for (const [binaryForm, look] of Object.entries(BINARY_FORMS)) {
    it(`as ${binaryForm} is accepted, referenced and delivered`, async () => {
      const by = connect({ ...CONFIG, binaryForm })
      const emitted = await send('fhir', place(fileOf(PDF), 'fhir', 'upload', by), by)
      assertFhir(emitted, REPORT)
      assertDelivered(emitted, ['upload'], [PDF])
      const upload = wire.requests.at(-2)!
      assert.equal(upload.path, '/fhir/R4/redox/Development/Binary')
      assert.equal(upload.headers['redox-source-id'], SOURCE)
      look(upload)
    })
  }
}

describe('everything that is emitted is valid, accepted and delivered', () => {
  useWire({}, CONFIG)
  describe('Data Model API', dataModelCases)
  describe('FHIR API', fhirCases)
  describe('sizes', sizeCases)
  describe('a Binary', binaryCases)
})
