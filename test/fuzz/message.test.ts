import assert from 'node:assert/strict'
import { serialize } from 'node:v8'
import fc from 'fast-check'
import { takeMemory } from '../../src/file/file'
import { DATA_MODEL_SCHEMAS } from '../../src/message/datamodel-schemas'
import { draftDataModel, type DataModel, type FieldValue } from '../../src/message/datamodel'
import { draftFhir } from '../../src/message/fhir'
import { FHIR_OPERATIONS, type FhirOperation } from '../../src/message/fhir-operations'
import { formatPath, parsePath } from '../../src/message/json'
import { validMessage, type Draft, type FileToSend } from '../../src/message/prepared'
import {
  assertSilent,
  CANARY,
  fileNames,
  holds,
  json,
  keys,
  MONSTERS,
  oddities,
  settled,
  texts,
} from './support'

const NOW = new Date('2026-01-31T10:00:00Z')
const SENDER = {
  test: true,
  sourceName: 'Lab',
  fhirBase: 'https://x.example/fhir/R4',
  environment: 'Staging',
}

const DATA_MODEL_PATHS = [
  ...['Patient.Identifiers[0].ID', 'Patient.Demographics.DOB', 'Visit.VisitNumber', 'Note.DocumentID'],
  ...['Note.Provider.ID', 'Media.Provider.IDType', 'Orders[0].ID', 'Orders[0].Results[0].Code', 'Meta.Test'],
]
const FHIR_PATHS = [
  ...['Patient.identifier[0].value', 'Patient.name[0].given[0]', 'Patient.birthDate', 'main.status'],
  ...['main.code.coding[0].code', 'main.category[0].coding[0].code', 'main.identifier[0].system'],
]
const steps = fc.oneof(keys, fc.constantFrom('a', 'b-c', 'x[0]', 'x[3][1]', 'x[99999999999]', '', ' '))
const oddPaths = fc
  .tuple(fc.constantFrom('main', 'Patient', 'Note', 'x'), steps, steps)
  .map((all) => all.join('.'))

const fieldsAt = (paths: string[]): fc.Arbitrary<FieldValue[]> =>
  fc.array(
    fc.record({
      path: fc.oneof({ arbitrary: fc.constantFrom(...paths), weight: 9 }, oddPaths),
      value: fc.oneof(texts, fc.constant(CANARY), fc.double(), json(), oddities),
    }),
    { maxLength: 4 },
  )

const placed: fc.Arbitrary<FileToSend> = fc
  .tuple(fileNames, fc.constantFrom('embed' as const, 'upload' as const, 'reference' as const))
  .map(([name, way]) => {
    const filename = name.replace(/\p{Cc}/gu, '')
    const { file } = takeMemory(Buffer.from('%PDF-1.7'), { where: 'x', filename })
    const url = {
      kind: 'reference' as const,
      url: 'https://blob.example/1',
      contentType: 'a/b',
      name: file.name,
    }
    return { file: way === 'reference' ? url : file, way }
  })

/** Generator of objects with the structure of a message, in which any value can occur at any path. */
const shaped = (shape: unknown): fc.Arbitrary<unknown> => {
  const strange = fc.oneof(json(), oddities)
  const good = Array.isArray(shape)
    ? fc.tuple(...shape.map(shaped))
    : typeof shape === 'object' && shape !== null
      ? fc.record(Object.fromEntries(Object.entries(shape).map(([key, value]) => [key, shaped(value)])), {
          requiredKeys: [],
        })
      : fc.constant(shape)
  return fc.oneof({ arbitrary: good, weight: 12 }, { arbitrary: strange, weight: 1 })
}

const dataModelData = shaped({
  Meta: { Destinations: [{ ID: 'x' }], Source: { ID: 'x' }, EventDateTime: CANARY },
  Patient: { Identifiers: [{ ID: CANARY, IDType: 'MR' }], Demographics: { DOB: '1990-02-31' } },
  Visit: {},
  Note: { DocumentID: 'x', Provider: { ID: 'x' }, FileContents: CANARY },
  Media: { DocumentID: 'x', Provider: { ID: 'x' } },
  Orders: [{ ID: 'x', Results: [{ Code: 'x' }, { Code: 'y', Value: CANARY }] }],
})

const resource = (resourceType: string): object => ({
  ...{ resourceType, id: 'x', status: 'final', code: { text: 'x', coding: [{ code: 'x' }] } },
  ...{
    subject: { reference: 'Patient/x' },
    presentedForm: [{ title: CANARY }],
    content: [{ attachment: {} }],
  },
  ...{
    birthDate: '1990-02-31',
    name: [{ family: CANARY }],
    source: { endpoint: 'x' },
    focus: [{ reference: 'x' }],
  },
})
const RESOURCES = [
  'DiagnosticReport',
  'Observation',
  'DocumentReference',
  'Patient',
  'MessageHeader',
  'constructor',
]
const fhirData = fc.oneof(
  shaped(RESOURCES.map(resource)),
  shaped({
    resourceType: 'Bundle',
    entry: RESOURCES.map((type) => ({ fullUrl: `urn:${type}`, resource: resource(type) })),
  }),
  ...RESOURCES.map((type) => shaped(resource(type))),
)

/** Value in which a placeholder replaces the ids that are new in each message. */
const withoutNewIds = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value).replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'id'))

const builtins = (): string =>
  [Object.prototype, Array.prototype, Function.prototype].flatMap(Reflect.ownKeys).map(String).join()

/** Asserts the properties that every message draft must have, regardless of the data from which it was built. */
async function assertDraft(data: unknown, draft: () => Draft): Promise<void> {
  const before = snapshot(data)
  const prototypes = builtins()
  const result = await settled(draft)
  assert.deepEqual(snapshot(data), before, 'the data of the message were changed')
  assert.equal(builtins(), prototypes, 'a prototype was polluted')
  const again = await settled(draft)
  if ('error' in result) {
    assertSilent(result.error.message)
    assert.ok('error' in again && again.error.message === result.error.message)
    return
  }
  assert.ok('value' in again)
  const { message, problems } = result.value
  assert.deepEqual(
    withoutNewIds(again.value.message),
    withoutNewIds(message),
    'another message out of the same',
  )
  assertPlain(message.body)
  assertSilent(problems.map(({ problem, fix }) => problem + fix).join())
  for (const { path } of message.attachments) assert.deepEqual(parsePath(formatPath(path)), path)
  const whole = await settled(() => validMessage(result.value))
  assert.equal('error' in whole, problems.length > 0)
}

/** Asserts that every nested object has the prototype of a plain object or array. */
function assertPlain(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  assert.equal(Object.getPrototypeOf(value), Array.isArray(value) ? Array.prototype : Object.prototype)
  Object.values(value).forEach(assertPlain)
}

/** Serialized form of a value, to detect changes of the value; undefined if the value cannot be serialized. */
function snapshot(value: unknown): Buffer | undefined {
  try {
    return serialize(value)
  } catch {
    return undefined
  }
}

describe('message that expands to billions of values', () => {
  for (const [what, make] of Object.entries(MONSTERS)) {
    it(`is refused soon: ${what}`, async () => {
      const input = { fields: [], files: [], now: NOW }
      for (const data of [make(), { Note: { x: make() } }, { resourceType: 'Patient', x: make() }]) {
        const note = { model: 'Notes' as const, eventType: 'New', destinations: [] }
        const result = await settled(() => draftDataModel({ ...note, ...input, data }, SENDER))
        assert.ok('error' in result)
        const operation = 'Observation/$observation-create'
        assert.ok(
          'error' in (await settled(() => draftFhir({ operation, slug: 'x', ...input, data }, SENDER))),
        )
      }
    }).timeout(10_000)
  }
})

describe('any message', () => {
  const models = Object.entries(DATA_MODEL_SCHEMAS).flatMap(([model, events]) =>
    [...Object.keys(events), 'constructor', 'toString'].map((eventType) => ({
      model: model as DataModel,
      eventType,
    })),
  )
  const data = fc.oneof({ arbitrary: dataModelData, weight: 4 }, json(), oddities)

  it('of the Data Model API becomes a draft or a clear error', () =>
    holds(
      1500,
      fc.tuple(
        fc.constantFrom(...models),
        data,
        fieldsAt(DATA_MODEL_PATHS),
        fc.array(placed, { maxLength: 3 }),
      ),
      ([{ model, eventType }, given, fields, files]) =>
        assertDraft(given, () =>
          draftDataModel(
            { model, eventType, destinations: ['x'], data: given, fields, files, now: NOW },
            SENDER,
          ),
        ),
    ))

  const operations = fc.constantFrom(...(Object.keys(FHIR_OPERATIONS) as FhirOperation[]))
  const places = fc.oneof(
    { arbitrary: fc.constant(''), weight: 4 },
    fc.constantFrom(
      ...[
        'presentedForm[]',
        'DocumentReference.content[].attachment',
        'Media[1].content',
        'code.text',
        'toString[]',
      ],
      ...['entry[1].resource.photo[]', 'entry[9].resource.photo', 'x[4000000000].y[]', 'id[]', '__proto__.x'],
    ),
    texts,
  )
  it('of the FHIR API becomes a draft or a clear error', () =>
    holds(
      1500,
      fc.tuple(
        operations,
        fc.oneof({ arbitrary: fhirData, weight: 4 }, json(), oddities),
        fieldsAt(FHIR_PATHS),
        fc.array(placed, { maxLength: 3 }),
        places,
        fc.oneof({ arbitrary: fc.constant('clinic'), weight: 9 }, texts),
      ),
      ([operation, given, fields, files, place, slug]) =>
        assertDraft(given, () =>
          draftFhir({ operation, slug, data: given, fields, files, place, now: NOW }, SENDER),
        ),
    ))
})
