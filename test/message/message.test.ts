import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { runInNewContext } from 'node:vm'
import { plainProperties } from '../../nodes/lib/node/deliver'
import { takeMemory } from '../../src/file/file'
import { attachmentPaths, parsePlace } from '../../src/message/attachment-place'
import { draftDataModel, prepareDataModel } from '../../src/message/datamodel'
import { draftFhir, prepareFhir } from '../../src/message/fhir'
import { copyJson, formatPath, getAt, parsePath, setAt, withValueAt } from '../../src/message/json'
import type { JsonObject } from '../../src/message/json'
import { assertKnownHost } from '../../src/message/prepared'
import { attachmentProblems, contentProblems } from '../../src/message/urls'
import { assertReferenceKind } from '../../src/redox/uploads'
import { failing } from '../lib/redox'

describe('copies of messages', () => {
  it('carry what JSON carries, dates as text, undefined left out', () => {
    const shared = { a: [1, 'x', true, null, undefined], d: new Date(0), u: undefined }
    const copy = copyJson(shared, 'data') as JsonObject
    assert.deepEqual(copy, { a: [1, 'x', true, null, null], d: '1970-01-01T00:00:00.000Z' })
    setAt(copy, ['a', 0], 'changed')
    assert.equal(shared.a[0], 1)
  })

  it('take dates of a Function node, and what says itself how it is written', () => {
    const date = runInNewContext('new Date(0)') as Date
    const copy = copyJson({ date, url: new URL('https://x.example') }, 'data')
    assert.deepEqual(copy, { date: '1970-01-01T00:00:00.000Z', url: 'https://x.example/' })
  })

  const failingGetter = {
    enumerable: true,
    get: () => {
      throw new TypeError('x')
    },
  }
  const circle: Record<string, unknown> = {}
  circle.self = circle
  const refused: [string, unknown, RegExp][] = [
    [
      'a Buffer',
      { Note: { FileContents: Buffer.from('x') } },
      /Data is a Buffer \(data\.Note\.FileContents\)/,
    ],
    ['a circle', circle, /nested too deeply, or refers to itself/],
    ['NaN', { a: [NaN] }, /Data is not a finite number \(data\.a\[0\]\)/],
    ['an invalid date', { a: new Date(NaN) }, /invalid date/],
    ['a function', { a: () => 1 }, /a function/],
    ['a Map', { a: new Map([[1, 2]]) }, /Data is a Map \(data\.a\)/],
    ['a typed array', { a: new Uint16Array(2) }, /Data is a Uint16Array \(data\.a\)/],
    [
      'a property that fails',
      { a: Object.defineProperty({}, 'b', failingGetter) },
      /Data cannot be read: .* \(data\.a\)/,
    ],
    [
      'a list of holes',
      { a: Object.assign([], { length: 4_000_000_000 }) },
      /Data has too many values in a list \(data\.a\)/,
    ],
    ['a bigint', { a: 1n }, /a bigint/],
    ['the key __proto__', JSON.parse('{"a":{"__proto__":{"x":1}}}'), /not allowed/],
    ['the key constructor', { constructor: { prototype: {} } }, /not allowed/],
    ['the key prototype', { prototype: 1 }, /not allowed/],
  ]
  for (const [what, value, words] of refused)
    it(`refuse ${what}`, () => failing('REDOX_BAD_INPUT', () => copyJson(value, 'data'), words))
})

describe('paths into messages', () => {
  it('are read and written', () => {
    const text = 'Orders[0].Results[12].Specimen.Body_Site'
    assert.deepEqual(parsePath(text), ['Orders', 0, 'Results', 12, 'Specimen', 'Body_Site'])
    assert.equal(formatPath(parsePath(text)), text)
  })

  for (const bad of [
    '',
    'a b',
    ...'. a..b a. [0] a[x] a[-1] a[-2] a.__proto__.b constructor a.prototype'.split(' '),
  ])
    it(`"${bad}" is none`, () => failing('REDOX_BAD_INPUT', () => parsePath(bad), /Path is not valid/))

  it('make objects and arrays on the way', () => {
    const root: JsonObject = { b: null }
    setAt(root, ['a', 'b', 0, 'c'], 1)
    setAt(root, ['b', 'x'], 2)
    assert.deepEqual(root, { a: { b: [{ c: 1 }] }, b: { x: 2 } })
    assert.equal(getAt(root, ['a', 'b', 0, 'c']), 1)
    assert.equal(getAt(root, ['a', 'none', 0]), undefined)
  })

  const lost: [JsonObject, string, RegExp][] = [
    [{ a: 'text' }, 'a.b', /^Data has a string where an object is needed: a, to fill in a\.b\./],
    [{ a: [] }, 'a.b', /^Data has a list where an object is needed: a,/],
    [{ a: [{ b: {} }] }, 'a[0].b[0].c', /^Data has an object where a list is needed: a\[0\]\.b,/],
  ]
  for (const [root, path, words] of lost)
    it(`replace nothing that stands on the way to ${path}`, async () => {
      const before = structuredClone(root)
      const { message } = await failing('REDOX_BAD_INPUT', () => setAt(root, parsePath(path), 1), words)
      assert.doesNotMatch(message, /text/)
      assert.deepEqual(root, before)
    })

  it('do not count without end', () =>
    failing('REDOX_BAD_INPUT', () => parsePath('a[4000000000].b'), /must not exceed 9999/))

  it('change a copy and share the rest', () => {
    const root = { a: [{ b: 1 }], c: { d: 2 } }
    const changed = withValueAt(root, ['a', 0, 'b'], 'x')
    assert.deepEqual([changed, root.a], [{ a: [{ b: 'x' }], c: { d: 2 } }, [{ b: 1 }]])
    assert.equal(changed.c, root.c)
  })
})

describe('places for Attachments', () => {
  const list = { before: ['content'], after: ['attachment'] }
  const places: [string, unknown][] = [
    ['presentedForm[]', { entry: { kind: 'main' }, list: { before: ['presentedForm'], after: [] } }],
    ['DocumentReference.content[].attachment', { entry: { kind: 'type', type: 'DocumentReference' }, list }],
    ['Media[1].content', { entry: { kind: 'type', type: 'Media', nth: 1 }, element: ['content'] }],
    [
      'entry[3].resource.a[0].b[].c',
      { entry: { kind: 'index', index: 3 }, list: { before: ['a', 0, 'b'], after: ['c'] } },
    ],
  ]
  for (const [text, place] of places) it(`${text} is one`, () => assert.deepEqual(parsePlace(text), place))

  const bads = '[] a[].b[].c a[]b a[]..b Patient. a.__proto__[] entry[1].resource.'.split(' ')
  for (const bad of ['', 'a b[]', ...bads])
    it(`"${bad}" is none`, () => failing('REDOX_BAD_INPUT', () => parsePlace(bad)))

  it('free elements are filled first, filled ones are never replaced', async () => {
    const paths = (resource: JsonObject, place: string, count: number) =>
      attachmentPaths(resource, parsePlace(place), count).map(formatPath)
    const forms = { form: [{ data: 'x' }, { title: 'free' }, { url: 'y' }] }
    assert.deepEqual(paths(forms, 'form[]', 3), ['form[1]', 'form[3]', 'form[4]'])
    assert.deepEqual(paths({}, 'content[].attachment', 1), ['content[0].attachment'])
    const one = (resource: JsonObject, count: number) => () => paths(resource, 'content', count)
    await failing('REDOX_BAD_INPUT', one({ content: { url: 'x' } }, 1), /^Attachment is already filled/)
    await failing('REDOX_BAD_INPUT', one({}, 2), /^Attachment takes one file/)
  })
})

const PDF = takeMemory(Buffer.from('%PDF-1.7'), { where: 'x', filename: 'a.pdf' }).file
const NOW = new Date('2026-01-31T10:00:00Z')
const DESTINATION = 'af394f14-b34a-464f-8d24-895f370af4c9'

describe('Data Model messages', () => {
  const input = { destinations: [DESTINATION], fields: [], files: [], now: NOW }
  const prepare = (parts: Partial<Parameters<typeof prepareDataModel>[0]>) =>
    prepareDataModel({ model: 'Notes', eventType: 'New', ...input, ...parts }, { test: true })

  it('tell every problem at once, each with its path and what would be right, and no value', async () => {
    const data = { Patient: { Identifiers: [{ ID: 'CANARY' }], Demographics: { DOB: 'CANARY' } }, Note: {} }
    const preparing = () => prepare({ destinations: [], data })
    const { cause, message } = await failing('REDOX_INVALID_MESSAGE', preparing)
    assert.deepEqual(cause.problems!.map(({ path }) => path).sort(), [
      'Meta.Destinations',
      'Note.DocumentID',
      'Note.DocumentType',
      'Note.FileContents',
      'Note.Provider',
      'Patient.Demographics.DOB',
      'Patient.Identifiers[0].IDType',
    ])
    for (const { problem, fix } of cause.problems!) assert.ok(problem && fix)
    assert.doesNotMatch(JSON.stringify([cause, message]), /CANARY/)
  })

  it('want an ID where a slug was given', () =>
    failing('REDOX_INVALID_MESSAGE', () => prepare({ destinations: ['redox-emr'] }), /not the slug/))

  it('lay fields over data, over defaults; data stay as they were', () => {
    const Provider = { ID: 'p', FirstName: 'Ada' }
    const Note = { DocumentType: 'from data', DocumentID: 'from data', Provider }
    const second = { ID: '2', IDType: 'EHRID' }
    const data = { Patient: { Identifiers: [{ ID: '1', IDType: 'MR' }, second] }, Note }
    const before = structuredClone(data)
    const fields = [
      { path: 'Note.DocumentID', value: 7 },
      { path: 'Patient.Identifiers[0].ID', value: '3' },
      { path: 'Patient.Identifiers[0].IDType', value: 'MR' },
      { path: 'Note.Provider.ID', value: 'q' },
    ]
    const { body } = prepare({ data, fields, files: [{ file: PDF, way: 'embed' }] })
    assert.deepEqual(data, before)
    assert.deepEqual(body.Patient, { Identifiers: [{ ID: '3', IDType: 'MR' }, second] })
    assert.deepEqual(body.Note, {
      DocumentType: 'from data',
      DocumentID: '7',
      Provider: { ID: 'q', FirstName: 'Ada' },
      FileContents: 'file',
      FileName: 'a.pdf',
      FileType: 'PDF',
      ContentType: 'Base64 Encoded',
    })
    assert.deepEqual(body.Meta, {
      DataModel: 'Notes',
      EventType: 'New',
      Destinations: [{ ID: DESTINATION }],
      EventDateTime: '2026-01-31T10:00:00.000Z',
      Test: true,
    })
  })

  const patient = { Identifiers: [{ ID: '1', IDType: 'MR' }] }
  const embedded = (count: number) =>
    Array.from({ length: count }, () => ({ file: PDF, way: 'embed' as const }))
  const results = (Orders: unknown, parts: Partial<Parameters<typeof prepareDataModel>[0]> = {}) => {
    const data = { Patient: patient, Orders }
    const prepared = prepare({ model: 'Results', data, files: embedded(1), ...parts })
    return { ...prepared, orders: prepared.body.Orders as JsonObject[] }
  }
  const measured = { Code: 'K', Value: '4.1', ValueType: 'Numeric', Status: 'Final' }
  const CODE = { path: 'Orders[0].Results[0].Code', value: '11502-2' }
  const fileResult = { Value: 'file', ValueType: 'Encapsulated Data', FileType: 'PDF', Status: 'Final' }

  it('never replace a measured value by a file: it goes to the first result without one, else to a new one', () => {
    const waiting = { Units: 'mg' }
    for (const [before, expected] of [
      [[measured], [measured, { Code: '11502-2', ...fileResult }]],
      [
        [measured, waiting, measured],
        [measured, { ...waiting, Code: '11502-2', ...fileResult }, measured],
      ],
      [[{}], [{ Code: '11502-2', ...fileResult }]],
      // What another code means goes with it.
      [[{ Code: 'K', Codeset: 'L', Description: 'Potassium' }], [{ Code: '11502-2', ...fileResult }]],
      [
        [{ Code: '11502-2', Description: 'Report' }],
        [{ Code: '11502-2', Description: 'Report', ...fileResult }],
      ],
      [[null], [{ Code: '11502-2', ...fileResult }]],
    ]) {
      const { orders, attachments } = results([{ ID: '1', Results: before }], { fields: [CODE] })
      assert.deepEqual(orders[0]!.Results, expected)
      assert.deepEqual(getAt(orders[0], attachments[0]!.path.slice(2)), 'file')
    }
    const three = results([{ ID: '1', Results: [waiting, measured] }], { fields: [CODE], files: embedded(2) })
    const added = { ...waiting, Code: '11502-2', ...fileResult }
    assert.deepEqual(three.orders[0]!.Results, [added, measured, added])
  })

  it('carry results without a file, and the form renames none of them', () => {
    const two = [measured, { ...measured, Code: 'Na' }]
    const { message, problems, warnings } = draftDataModel(
      {
        ...{ model: 'Results', eventType: 'New', ...input, fields: [CODE] },
        data: { Patient: patient, Orders: [{ ID: '1', Results: two }] },
      },
      { test: true },
    )
    assert.deepEqual([problems, getAt(message.body, ['Orders', 0, 'Results'])], [[], two])
    assert.match(warnings.join(), /there is no file/)
  })

  it('go to the order that the form names, and to no other', async () => {
    const named = (ID: string) => [{ path: 'Orders[0].ID', value: ID }, CODE]
    const two = [
      { ID: '1', Status: 'Resulted', Results: [measured] },
      { ID: '2', Status: 'Resulted', Results: [measured] },
    ]
    const lengths = (orders: JsonObject[]) => orders.map(({ ID, Results }) => [ID, (Results as []).length])
    assert.deepEqual(lengths(results(two, { fields: named('2') }).orders), [
      ['1', 1],
      ['2', 2],
    ])
    assert.deepEqual(lengths(results(two, { fields: named('3') }).orders), [
      ['1', 1],
      ['2', 1],
      ['3', 1],
    ])
    await failing(
      'REDOX_INVALID_MESSAGE',
      () => results(two, { fields: [CODE] }),
      /^Orders is ambiguous: the data has several matching orders/,
    )
  })

  const NOTE = { DocumentType: 'x', DocumentID: 'x', Provider: { ID: 'x' }, FileContents: 'eA==' }
  const note = (data: object, parts: Partial<Parameters<typeof prepareDataModel>[0]> = {}) =>
    prepare({ data: { Patient: patient, Note: NOTE, ...data }, ...parts }).body

  it('take the identifier of the type that the form has, add one where there is none, refuse to choose', async () => {
    const [ssn, mrn] = [
      { ID: '101-01-0001', IDType: 'SS' },
      { ID: 'old', IDType: 'MR' },
    ]
    const form = (ID: string, IDType?: string) => [
      { path: 'Patient.Identifiers[0].ID', value: ID },
      ...(IDType === undefined ? [] : [{ path: 'Patient.Identifiers[0].IDType', value: IDType }]),
    ]
    const laid = (Identifiers: unknown, fields: { path: string; value: string }[]) =>
      getAt(note({ Patient: { Identifiers } }, { fields }), ['Patient', 'Identifiers'])
    const own = { ID: '5', IDType: 'MR' }
    assert.deepEqual(laid([ssn], form('5', 'MR')), [ssn, own])
    assert.deepEqual(laid([ssn, mrn], form('5', 'MR')), [ssn, own])
    assert.deepEqual(laid([mrn, ssn], form('5', 'MR')), [own, ssn])
    assert.deepEqual(laid([mrn, own], form('5', 'MR')), [mrn, own])
    const refused: [object[], { path: string; value: string }[], RegExp][] = [
      [[ssn], form('5'), /^IDType is missing \(Patient\.Identifiers\[1\]\.IDType\)/],
      [[mrn, { ID: 'x', IDType: 'MR' }], form('5', 'MR'), /^Identifiers is ambiguous/],
    ]
    for (const [identifiers, fields, words] of refused)
      await failing('REDOX_INVALID_MESSAGE', () => laid(identifiers, fields), words)
  })

  it('have a DocumentID that follows from no order', () => {
    const [one, two] = [
      { ID: '1', IDType: 'MR' },
      { ID: '2', IDType: 'EPI' },
    ]
    const documentDigest = 'ab'
    const idOf = (Identifiers: object[], fields: { path: string; value: string }[] = []) =>
      getAt(note({ Patient: { Identifiers } }, { fields, documentDigest }), ['Note', 'DocumentID'])
    const named = [
      { path: 'Patient.Identifiers[0].ID', value: '1' },
      { path: 'Patient.Identifiers[0].IDType', value: 'MR' },
    ]
    assert.equal(idOf([one, two]), idOf([two, one]))
    assert.notEqual(idOf([one, two]), idOf([one]))
    assert.equal(idOf([two, one], named), idOf([one]))
    // As it was before there was a rule for several.
    assert.equal(idOf([one]), '60079e0a-1f43-8ecf-8a76-971456604d92')
  })

  it('take numbers where the schema says text, and nothing else', async () => {
    const Contacts = [{ FirstName: 'Ada', PhoneNumber: { Home: 5550100 } }]
    const body = note({
      Patient: { Identifiers: [{ ID: 42, IDType: 'MR' }], Contacts },
      Visit: { VisitNumber: 7 },
    })
    assert.deepEqual(getAt(body, ['Patient', 'Identifiers', 0, 'ID']), '42')
    assert.deepEqual(getAt(body, ['Patient', 'Contacts', 0, 'PhoneNumber', 'Home']), '5550100')
    assert.deepEqual(body.Visit, { VisitNumber: '7' })
    const bad: [object, RegExp][] = [
      [{ Visit: { VisitNumber: true } }, /^VisitNumber is not text \(Visit\.VisitNumber\)/],
      [{ Visit: { VisitNumber: 2 ** 60 } }, /^VisitNumber is not text \(Visit\.VisitNumber\)/],
      [{ Patient: { Identifiers: [{ ID: null, IDType: 'MR' }] } }, /Identifiers\[0\]\.ID/],
    ]
    for (const [data, words] of bad) await failing('REDOX_INVALID_MESSAGE', () => note(data), words)
  })

  it('have date-times as Redox writes them', async () => {
    const at = (ServiceDateTime: string) => note({ Note: { ...NOTE, ServiceDateTime } })
    for (const good of ['2007-04-05T12:30-0200', '2026-01-31T10:00Z', '2026-01-31T10:00:00+01:00']) at(good)
    for (const bad of ['2026-01-31T10:00:00', '2026-02-31T10:00Z', '2026-01-31T25:00Z', '31.1.2026'])
      await failing('REDOX_INVALID_MESSAGE', () => at(bad), /Note\.ServiceDateTime/)
  })

  it('go as the source of the connection, and refuse another one', async () => {
    const [own, other] = [DESTINATION, '7ce6f387-c33c-417d-8682-81e83628cbd9']
    const as = (ID: string | undefined, sourceId?: string) =>
      prepareDataModel(
        {
          ...{ model: 'Notes', eventType: 'New', ...input },
          data: { Meta: { Source: { ID } }, Patient: patient, Note: NOTE },
        },
        { test: true, ...(sourceId !== undefined && { sourceId }) },
      ).body.Meta as JsonObject
    assert.deepEqual(as(own.toUpperCase(), own).Source, { ID: own })
    assert.deepEqual(as(other).Source, { ID: other })
    const { message } = await failing('REDOX_INVALID_MESSAGE', () => as(other, own), /Meta\.Source\.ID/)
    assert.ok(message.includes(own) && message.includes(other))
    await failing(
      'REDOX_INVALID_MESSAGE',
      () => as('lab\r\nX: 1'),
      /^Source ID is not a UUID \(Meta\.Source\.ID\)/,
    )
  })

  it('tell of a date that does not exist', () =>
    failing(
      'REDOX_INVALID_MESSAGE',
      () => prepare({ data: { Patient: { Demographics: { DOB: '1990-02-31' } } } }),
      /DOB is not valid \(Patient\.Demographics\.DOB\)\. Correct the date: it does not exist/,
    ))

  it('are no Date and no Map', async () => {
    for (const data of [new Date(0), new Map()]) await failing('REDOX_BAD_INPUT', () => prepare({ data }))
  })

  it('never replace a result that is no object', () => {
    const files = [{ file: PDF, way: 'embed' as const }]
    const data = { Orders: [{ ID: '1', Results: ['4.1'] }] }
    return failing(
      'REDOX_BAD_INPUT',
      () => prepare({ model: 'Results', data, files }),
      /is needed: Orders\[0\]\.Results\[0\]/,
    )
  })

  it('know their event types', () =>
    failing('REDOX_BAD_INPUT', () => prepare({ eventType: 'constructor' }), /Choose New/).then(() =>
      failing(
        'REDOX_BAD_INPUT',
        () => prepare({ eventType: 'NewUnsolicited' }),
        /Choose New, Replace, Delete/,
      ),
    ))

  it('always have a FileType with a reference, or are not sent', () => {
    const { file } = takeMemory(Buffer.from([1, 2, 0]), { where: 'x' })
    const Note = { DocumentType: 'x', DocumentID: 'x', Provider: { ID: 'x' } }
    const data = { Patient: { Identifiers: [{ ID: '1', IDType: 'MR' }] }, Note }
    const files = [{ file, way: 'upload' as const }]
    return failing(
      'REDOX_INVALID_MESSAGE',
      () => prepare({ data, files }),
      /^FileType is missing \(Note\.FileType\)/,
    )
  })
})

describe('FHIR messages', () => {
  const input = { slug: 'redox-fhir-sandbox', fields: [], files: [], now: NOW }
  const sender = { test: true, fhirBase: 'https://api.redoxengine.com/fhir/R4', environment: 'Staging' }
  const operation = 'DiagnosticReport/$diagnosticreport-create'
  const prepare = (parts: Partial<Parameters<typeof prepareFhir>[0]>) =>
    prepareFhir({ operation, ...input, ...parts }, sender)

  const slugs: [string, RegExp][] = [
    [DESTINATION, /^Destination must be a slug/],
    ['redox', /slug for uploads/],
    ['', /missing/],
    ['a/b', /^Destination is not a valid slug/],
    ['..', /^Destination is not a valid slug/],
    ['a\r\nb', /^Destination is not a valid slug/],
    ['a?b', /^Destination is not a valid slug/],
  ]
  for (const [slug, words] of slugs)
    it(`refuse the slug ${JSON.stringify(slug)}`, () =>
      failing('REDOX_BAD_INPUT', () => prepare({ slug }), words))

  it('tell every problem at once, and no value', async () => {
    const data = [{ resourceType: 'DiagnosticReport', status: 'CANARY' }]
    const { cause, message } = await failing('REDOX_INVALID_MESSAGE', () => prepare({ data }))
    const at = (path: string) => cause.problems!.some((problem) => problem.path.startsWith(path))
    assert.ok(at('entry[1].resource.status') && at('entry[1].resource.code'), message)
    assert.match(message, /entry is missing/)
    assert.doesNotMatch(JSON.stringify([cause, message]), /CANARY/)
  })

  it('are about the patient of the form, even when the report names one that is not there', () => {
    const subject = { reference: 'Patient/77' }
    const data = { resourceType: 'DiagnosticReport', code: { text: 'x' }, subject }
    const fields = [{ path: 'Patient.identifier[0].value', value: '1' }]
    const entries = prepare({ data, fields }).body.entry as { resource: JsonObject }[]
    assert.deepEqual(entries.map(({ resource }) => [resource.resourceType, resource.id]).at(-1), [
      'Patient',
      '77',
    ])
  })

  it('tell of dates that do not exist, and of resources whose type means something to JavaScript', async () => {
    const data = [
      { resourceType: 'Patient', birthDate: '1990-02-31' },
      { resourceType: 'DiagnosticReport', effectiveDateTime: '2026-04-31T10:00:00Z', id: { toString: 1 } },
      { resourceType: 'constructor' },
    ]
    const { cause } = await failing('REDOX_INVALID_MESSAGE', () => prepare({ data }))
    const fixes = cause.problems!.filter(({ fix }) => /does not exist/.test(fix))
    assert.equal(fixes.length, 2)
  })

  it('never replace what stands in the place of an Attachment', () => {
    const data = { resourceType: 'DiagnosticReport', presentedForm: ['text'] }
    const files = [{ file: PDF, way: 'embed' as const }]
    return failing(
      'REDOX_BAD_INPUT',
      () => prepare({ data, files }),
      /^Attachment is not an object: .*presentedForm\[0\]/,
    )
  })

  it('keep what an Attachment says already, and add the name of the file where it has no title', () => {
    const presentedForm = [{ title: 'Befund', language: 'de' }, {}]
    const data = [
      { resourceType: 'DiagnosticReport', code: { text: 'x' }, presentedForm },
      { resourceType: 'Patient' },
    ]
    const files = [PDF, PDF].map((file) => ({ file, way: 'embed' as const }))
    const [, report] = prepare({ data, files }).body.entry as { resource: JsonObject }[]
    const added = { contentType: 'application/pdf', data: 'file' }
    assert.deepEqual(report!.resource.presentedForm, [
      { title: 'Befund', language: 'de', ...added },
      { title: 'a.pdf', ...added },
    ])
  })

  type Parts = Partial<Parameters<typeof prepareFhir>[0]>
  const draft = (data: unknown, fields: [string, string][] = [], parts: Parts = {}) =>
    draftFhir(
      {
        ...{ operation, ...input, data },
        fields: fields.map(([path, value]) => ({ path, value })),
        ...parts,
      },
      sender,
    )
  const entriesIn = (data: unknown, fields: [string, string][] = []) => {
    const { message, problems } = draft(data, fields)
    assert.deepEqual(problems, [])
    return message.body.entry as { fullUrl: string; resource: JsonObject }[]
  }
  const resourcesIn = (data: unknown, fields: [string, string][] = []) =>
    entriesIn(data, fields).map(({ resource }) => resource)
  const refuses = (data: unknown, fields: [string, string][], words: RegExp) =>
    assert.match(
      draft(data, fields)
        .problems.map(({ path, problem }) => `${path} ${problem}`)
        .join('\n'),
      words,
    )
  const report = { resourceType: 'DiagnosticReport', id: 'r', code: { text: 'x' } }
  const about = (subject: unknown) => ({ ...report, subject })
  const mother = { resourceType: 'Patient', id: 'mother', birthDate: '1990-01-01' }
  const child = { resourceType: 'Patient', id: 'child', birthDate: '2026-01-01' }
  const FORM: [string, string][] = [
    ['Patient.identifier[0].value', 'MRN-5'],
    ['Patient.name[0].family', 'Neu'],
  ]
  const filled = { identifier: [{ value: 'MRN-5' }], name: [{ family: 'Neu' }] }

  it('are about the Patient that the subject names, whatever stands first', () => {
    for (const data of [
      [mother, child],
      [child, mother],
    ]) {
      const all = resourcesIn([about({ reference: 'Patient/child' }), ...data], FORM)
      assert.deepEqual(
        all.find(({ id }) => id === 'mother'),
        mother,
      )
      assert.deepEqual(
        all.find(({ id }) => id === 'child'),
        { ...child, ...filled },
      )
    }
  })

  it('are about the Patient on the server that the report is on, and the one that a search names', () => {
    const at = (base: string, resource: object) => ({
      fullUrl: `${base}/${(resource as { resourceType: string }).resourceType}/${(resource as { id: string }).id}`,
      resource,
    })
    const [a, b] = ['https://a.example/fhir', 'https://b.example/fhir'] as const
    const one = { resourceType: 'Patient', id: '1' }
    for (const [home, other] of [
      [a, b],
      [b, a],
    ] as const) {
      const entry = [at(other, one), at(home, about({ reference: 'Patient/1' })), at(home, one)]
      const entries = entriesIn({ resourceType: 'Bundle', type: 'message', entry }, FORM)
      assert.deepEqual(entries.find(({ fullUrl }) => fullUrl === `${home}/Patient/1`)!.resource, {
        ...one,
        ...filled,
      })
      assert.deepEqual(entries.find(({ fullUrl }) => fullUrl === `${other}/Patient/1`)!.resource, one)
    }
    const identified = { ...child, identifier: [{ system: 'urn:mr', value: 'C 1' }] }
    const search = about({ reference: 'Patient?identifier=urn:mr%7CC%201' })
    const [, , , found] = resourcesIn([search, mother, identified], FORM)
    assert.deepEqual(found!.identifier, [...identified.identifier, ...filled.identifier])
    refuses(
      [about({ reference: 'Patient?identifier=urn:mr%7CD' }), mother, identified],
      FORM,
      /DiagnosticReport.subject/,
    )
    refuses([about({ reference: 'Patient?name=Neu' }), mother, identified], FORM, /DiagnosticReport.subject/)
  })

  it('fill an Attachment that was absent', () => {
    const absent = {
      extension: [
        { url: 'http://hl7.org/fhir/StructureDefinition/data-absent-reason', valueCode: 'unknown' },
      ],
    }
    const data = [{ ...report, presentedForm: [{ _contentType: absent, _data: absent }] }, mother]
    const files = [{ file: PDF, way: 'embed' as const }]
    const [, sent] = draft(data, [], { files }).message.body.entry as { resource: JsonObject }[]
    assert.deepEqual(sent!.resource.presentedForm, [
      { contentType: 'application/pdf', title: 'a.pdf', data: 'file' },
    ])
  })

  it('refuse two Patients of whom none is named, and a subject that leads to another', () => {
    refuses([report, mother, child], FORM, /subject is missing, and the data has 2 Patients/)
    refuses([report, mother, child], [], /subject is missing, and the data has 2 Patients/)
    for (const reference of [
      'Patient/x',
      'Group/1',
      'urn:uuid:x',
      '#x',
      'Patient?identifier=1',
      'https://a/x',
    ])
      for (const fields of [FORM, reference === 'Group/1' ? FORM : []])
        refuses([about({ reference }), mother], fields, /subject does not match/)
    refuses(about({ reference: 'urn:uuid:x' }), [], /refers to no entry/)
  })

  const UUID_URL = 'urn:uuid:11111111-1111-4111-8111-111111111111'
  const HOSPITAL = 'https://fhir.hospital.example/R4/Patient/child'
  const entry = (resource: object, fullUrl?: string) => ({ ...(fullUrl && { fullUrl }), resource })
  const ssn = { system: 'urn:ssn', value: '1' }
  const ties: [string, object, object[]][] = [
    ['a version', { reference: 'Patient/child/_history/3' }, [entry(child)]],
    ['an absolute URL', { reference: HOSPITAL }, [entry(child, HOSPITAL)]],
    ['an absolute URL with a version', { reference: `${HOSPITAL}/_history/3` }, [entry(child, HOSPITAL)]],
    ['an absolute URL, the entry without one', { reference: HOSPITAL }, [entry(child)]],
    [
      'a URN',
      { reference: UUID_URL.toUpperCase().replace('URN:UUID', 'urn:uuid') },
      [entry(child, UUID_URL)],
    ],
    ['an identifier', { identifier: ssn }, [entry({ ...child, identifier: [ssn] })]],
    ['a display alone', { display: 'Kind' }, []],
    ['nothing', {}, []],
  ]
  for (const [what, subject, entries] of ties)
    it(`tie a report to its Patient by ${what}`, () => {
      const others = entries.length > 0 ? [entry(mother), ...entries] : [entry(child)]
      const data = { resourceType: 'Bundle', entry: [entry(about(subject)), ...others] }
      const all = resourcesIn(data, [['Patient.name[0].family', 'Neu']])
      assert.deepEqual(all.find(({ id }) => id === 'child')!.name, filled.name)
      assert.equal(all.filter(({ resourceType }) => resourceType === 'Patient').length, others.length)
    })

  it('tie a report to the patient it contains, and to the one of the form', () => {
    const contained = [{ resourceType: 'Patient', id: 'p' }]
    const [, inside] = resourcesIn({ ...about({ reference: '#p' }), contained }, FORM)
    assert.deepEqual(inside!.contained, [{ ...contained[0], ...filled }])
    const added = (subject: object) => entriesIn(about(subject), FORM).at(-1)!
    assert.deepEqual(added({ reference: UUID_URL }).fullUrl, UUID_URL)
    assert.deepEqual(added({ reference: `${HOSPITAL}/_history/2` }).fullUrl, HOSPITAL)
    assert.deepEqual(added({ reference: 'Patient/child/_history/2' }).resource, {
      resourceType: 'Patient',
      id: 'child',
      ...filled,
    })
    assert.deepEqual(added({ identifier: ssn }).resource.identifier, [ssn, { value: 'MRN-5' }])
    refuses(about({ identifier: { value: 'other' } }), FORM, /does not match the Patient ID/)
  })

  it('refuse a version that the Bundle does not have', () =>
    refuses(
      [about({ reference: 'Patient/child/_history/3' }), { ...child, meta: { versionId: '2' } }],
      FORM,
      /does not match the patient of the message/,
    ))

  it('are sent about a patient that the destination knows, with a warning when nothing else names it', () => {
    const known = draft(about({ reference: 'Patient/at-destination' }))
    assert.deepEqual(known.problems, [])
    assert.match(known.warnings.join(), /Only the subject/)
    assert.doesNotMatch(known.warnings.join(), /at-destination/)
    assert.deepEqual(draft(about({ reference: 'Patient/x', identifier: ssn })).warnings, [])
    assert.deepEqual(draft(about({ identifier: ssn })).problems, [])
    refuses(report, [], /entry is missing/)
  })

  it('lay the form over the identifier of its system and the name of the right use', () => {
    const maiden = { use: 'maiden', family: 'Alt' }
    const laid = (patient: object) => {
      const { identifier, name } = resourcesIn([report, { ...mother, ...patient }], FORM).at(-1)!
      return [identifier, name]
    }
    const typed = { type: { text: 'SSN' }, value: '1' }
    for (const kept of [
      ssn,
      typed,
      { use: 'old', value: '1' },
      { value: '1', period: { end: '2001-01-01' } },
    ])
      assert.deepEqual(laid({ identifier: [kept] })[0], [kept, { value: 'MRN-5' }])
    assert.deepEqual(laid({ identifier: [ssn, { value: '4' }] })[0], [ssn, { value: 'MRN-5' }])
    const names: [object[], object[]][] = [
      [[maiden], [maiden, { family: 'Neu' }]],
      [
        [maiden, { use: 'usual', family: 'U' }, { use: 'official', family: 'O' }],
        [maiden, { use: 'usual', family: 'U' }, { use: 'official', family: 'Neu' }],
      ],
      [
        [{ family: 'A' }, { use: 'usual', family: 'U' }],
        [{ family: 'A' }, { use: 'usual', family: 'Neu' }],
      ],
      [
        [maiden, { family: 'A', given: ['B'] }],
        [maiden, { family: 'Neu', given: ['B'] }],
      ],
      [[{ use: 'official', family: 'A', text: 'B A' }], [{ use: 'official', family: 'Neu' }]],
      [[{ family: 'Neu', text: 'B Neu' }], [{ family: 'Neu', text: 'B Neu' }]],
      [
        [{ family: 'A' }, { family: 'B' }],
        [{ family: 'A' }, { family: 'B' }, { family: 'Neu' }],
      ],
    ]
    for (const [before, after] of names) assert.deepEqual(laid({ name: before })[1], after)
    refuses(
      [report, { ...mother, identifier: [{ value: '1' }, { value: '2' }] }],
      FORM,
      /identifier is ambiguous: the data has several/,
    )
  })

  it('put a file into the resource that its place names, never into the first of several', async () => {
    const media = ['a', 'b'].map((id) => ({ resourceType: 'Media', id }))
    const place = (place: string) =>
      prepareFhir(
        {
          ...{ operation, ...input, place, data: [report, mother, ...media] },
          files: [{ file: PDF, way: 'embed' }],
        },
        sender,
      ).attachments.map(({ path }) => formatPath(path))
    assert.deepEqual(place('Media[0].content'), ['entry[3].resource.content.data'])
    assert.deepEqual(place('Media[1].content'), ['entry[4].resource.content.data'])
    await failing(
      'REDOX_BAD_INPUT',
      () => place('Media.content'),
      /^Attachment is ambiguous: the message has 2 Media/,
    )
  })

  it('are about the report in focus; two and no focus are refused', () => {
    const [first, second] = ['r', 's'].map((id) => ({ ...report, id, status: 'final' }))
    refuses(
      [first, second, mother],
      [['main.status', 'final']],
      /focus is ambiguous: the data has 2 DiagnosticReport/,
    )
    for (const reference of ['DiagnosticReport/s', 'DiagnosticReport/s/_history/1']) {
      const header = { resourceType: 'MessageHeader', focus: [{ reference }] }
      const all = resourcesIn([header, first, second, mother], [['main.identifier[0].value', 'i']])
      assert.deepEqual(
        all
          .filter(({ resourceType }) => resourceType === 'DiagnosticReport')
          .map(({ identifier }) => identifier),
        [undefined, [{ value: 'i' }]],
      )
    }
    refuses(
      [{ resourceType: 'MessageHeader' }, { resourceType: 'MessageHeader' }, report, mother],
      [],
      /MessageHeader is not unique/,
    )
  })

  it('lay code and category over those of the same system', () => {
    const local = { system: 'urn:local', code: 'L', display: 'Local' }
    const loinc = { system: 'http://loinc.org', code: '11502-2' }
    const given = { ...report, code: { coding: [local] }, category: [{ coding: [local] }] }
    const form: [string, string][] = [
      ['main.code.coding[0].code', '11502-2'],
      ['main.category[0].coding[0].code', 'LAB'],
    ]
    const codes = (data: object) => {
      const { code, category } = resourcesIn([data, mother], form)[1]!
      return [getAt(code, ['coding']), category]
    }
    const lab = { system: 'http://terminology.hl7.org/CodeSystem/v2-0074', code: 'LAB' }
    assert.deepEqual(codes(given), [
      [local, loinc],
      [{ coding: [local] }, { coding: [lab] }],
    ])
    const other = { ...report, code: { coding: [local, { ...loinc, code: '1-8', display: 'Other' }] } }
    assert.deepEqual(codes(other)[0], [local, loinc])
  })

  it('make up no code system for a code that is not of it', () => {
    for (const code of ['PDF', 'LP29684-5', 'LA6576-8', '123', '1-'])
      assert.deepEqual(
        getAt(resourcesIn([{ ...report, code: { coding: [{ code }] } }, mother])[1], ['code', 'coding', 0]),
        { code },
      )
  })

  const ABSENT = {
    extension: [{ url: 'http://hl7.org/fhir/StructureDefinition/data-absent-reason', valueCode: 'unknown' }],
  }
  it('are as lenient as R4', async () => {
    const valid: object[] = [
      { code: ABSENT },
      { code: { coding: [{ display: 'only a name' }] } },
      { effectiveDateTime: '2016-12-31T23:59:60Z' },
      { issued: '2016-12-31T23:59:60.5+14:00' },
      { _status: ABSENT },
    ]
    for (const parts of valid) resourcesIn([{ ...report, ...parts }, mother])
    const name = [{ given: [null, 'B'], _given: [ABSENT, null] }]
    resourcesIn([report, { ...mother, name, birthDate: undefined, _birthDate: ABSENT }])
    const invalid: [object, RegExp][] = [
      [{ code: {} }, /code/],
      [{ code: { coding: [] } }, /coding/],
      [{ issued: '2016-12-31T23:59:61Z' }, /issued/],
      [{ effectiveDateTime: '2016-12-31T23:59Z' }, /effective/],
      [{ status: 'done', _status: ABSENT }, /status/],
    ]
    for (const [parts, words] of invalid) refuses([{ ...report, ...parts }, mother], [], words)
    refuses([report, { ...mother, name: [{ given: [null] }] }], [], /given\[0\]/)
  })

  it('make nothing up beside an element that says why it has no value; the form does give one', () => {
    const absent = { ...report, _status: ABSENT, code: { coding: [{ code: '11502-2', _system: ABSENT }] } }
    const [header, kept] = resourcesIn([absent, mother])
    assert.deepEqual([kept!.status, kept!.code], [undefined, absent.code])
    assert.ok(header)
    const [, filledIn] = resourcesIn([absent, mother], [['main.status', 'final']])
    assert.deepEqual([filledIn!.status, filledIn!._status], ['final', undefined])
  })

  it('replace eventCoding by the eventUri of the operation, with a warning', () => {
    const header = { resourceType: 'MessageHeader', eventCoding: { code: 'DiagnosticReport-New' } }
    const { message, warnings } = draft([header, report, mother])
    const [first] = message.body.entry as { resource: JsonObject }[]
    assert.deepEqual(
      [first!.resource.eventCoding, first!.resource.eventUri],
      [undefined, 'https://fhir.redoxengine.com/EventDefinition/DiagnosticReportCreate'],
    )
    assert.match(warnings.join(), /eventCoding of the MessageHeader was replaced/)
  })

  it('keep the source of the data; another source ID than the connection has is refused', async () => {
    const other = '7ce6f387-c33c-417d-8682-81e83628cbd9'
    const sourceOf = (endpoint: string) => {
      const header = { resourceType: 'MessageHeader', source: { name: 'Clinic', endpoint } }
      const lab = { ...sender, sourceId: DESTINATION, sourceName: 'Lab' }
      const { body } = prepareFhir({ operation, ...input, data: [header, report, mother] }, lab)
      return (body.entry as { resource: JsonObject }[])[0]!.resource.source
    }
    for (const endpoint of ['https://clinic.example', `urn:uuid:${DESTINATION}`, DESTINATION])
      assert.deepEqual(sourceOf(endpoint), { name: 'Clinic', endpoint })
    for (const endpoint of [other, `urn:uuid:${other}`])
      await failing('REDOX_INVALID_MESSAGE', () => sourceOf(endpoint), new RegExp(`${other}.*${DESTINATION}`))
  })

  it('name sender, event and focus in a header that comes first', () => {
    const fields = [
      { path: 'main.code.text', value: 'x' },
      { path: 'Patient.identifier[0].value', value: '1' },
    ]
    const lab = { ...sender, sourceId: DESTINATION, sourceName: 'Lab' }
    const { body } = prepareFhir({ operation, ...input, fields }, lab)
    const [header, report] = body.entry as { fullUrl: string; resource: JsonObject }[]
    const { id: _, ...rest } = header!.resource
    const reference = `DiagnosticReport/${String(report!.resource.id)}`
    assert.deepEqual(rest, {
      resourceType: 'MessageHeader',
      eventUri: 'https://fhir.redoxengine.com/EventDefinition/DiagnosticReportCreate',
      source: { name: 'Lab', endpoint: `urn:uuid:${DESTINATION}` },
      focus: [{ reference }],
    })
    assert.equal(report!.fullUrl, `${sender.fhirBase}/redox-fhir-sandbox/Staging/${reference}`)
  })
})

describe('references in a message', () => {
  const reference = (url: string) => ({ kind: 'reference' as const, url, contentType: 'a/b', name: 'a' })
  const origins = ['https://blob.redoxengine.com', 'https://api.redoxengine.com']
  const strangers = [
    'https://evil.example/1',
    'http://blob.redoxengine.com/1',
    'https://blob.redoxengine.com.evil.example/1',
    'https://blob.redoxengine.com@evil.example/1',
    'https://blob.redoxengine.com:444/1',
    'https://blob.redoxengine.com/1\r\nX: 1',
    'https://blob.redoxengine.com\\@evil.example/1',
    'https:\\\\blob.redoxengine.com/1',
    'https:/\\blob.redoxengine.com\\evil.example/1',
    'https:blob.redoxengine.com/1',
    'https:/blob.redoxengine.com/1',
    'https:///blob.redoxengine.com/1',
    'https://blob.redoxengine.com',
    'https://blob.redoxengine.com/a/../1',
    'https://blob.redoxengine.com/%2e%2e/1',
    'https://BLOB.redoxengine.com/1',
    'HTTPS://blob.redoxengine.com/1',
    'https://blob.redoxengine.com:443/1',
    'https://blob.redoxengine.com./1',
    'https://user@blob.redoxengine.com/1',
    'https://:secret@blob.redoxengine.com/1',
    'https://@blob.redoxengine.com/1',
    'https://evil.example%40blob.redoxengine.com/1',
    'https://blob.redoxengine%2ecom/1',
    'https://bl\u00adob.redoxengine.com/1',
    'https://blob\u3002redoxengine\u3002com/1',
    'https://\uff42lob.redoxengine.com/1',
    'https://blob.redoxengine.com/\ufeff1',
    'https://blob.redoxengine.com/1\t',
    'https://blob.redoxengine.com\t@evil.example/1',
    'https://blob.redoxengine.com/1\n',
    ' https://blob.redoxengine.com/1',
    'https://blob.redoxengine.com/1 2',
    'https://blob.redoxengine.com/\u202e1',
    'https://blob.redoxengine.com\0/1',
    `https://blob.redoxengine.com/${'1'.repeat(3000)}`,
    'blob:https://blob.redoxengine.com/1',
    'data:,1',
    'file:///etc/passwd',
    '/1',
  ]

  it('point to the configured hosts only', async () => {
    for (const url of [
      'https://blob.redoxengine.com/1',
      'https://api.redoxengine.com/fhir/R4/Binary/1?a=b%20c#d',
    ])
      assertKnownHost(reference(url), 'x', origins)
    // The origin of an upload that was answered with no address of a host.
    origins.push('null')
    for (const url of strangers)
      await failing(
        'REDOX_BAD_INPUT',
        () => assertKnownHost(reference(url), 'x', origins),
        /File reference of another host/,
      )
  })

  const FORMS = /^\W*https?:|^\s*h/i

  it('in the data of a Data Model message: likewise, where a file belongs', () => {
    const places: [string, (text: string) => JsonObject][] = [
      ['Note.FileContents', (FileContents) => ({ Note: { FileContents } })],
      ['Note.FileContents', (text) => ({ Note: { ContentType: 'Base64 Encoded', FileContents: text } })],
      ['Media.FileContents', (FileContents) => ({ Media: { FileContents } })],
      [
        'Orders[1].Results[1].Value',
        (Value) => ({
          Orders: [{}, { Results: [{ Value: 'JVBERi0x' }, { ValueType: 'Encapsulated Data', Value }] }],
        }),
      ],
    ]
    const known = ['https://blob.redoxengine.com/1', 'JVBERi0xLjcK', '//uQxAAA', 'http', '']
    for (const [path, body] of places) {
      for (const text of known) assert.deepEqual(contentProblems(body(text), origins), [], text)
      for (const text of [...strangers.filter((one) => FORMS.test(one)), 'ht\ntps://evil.example/1'])
        assert.deepEqual(
          contentProblems(body(text), origins).map((problem) => problem.path),
          [path],
          text,
        )
    }
  })

  it('in a text of a Data Model message: only what names a Redox host without being plain', () => {
    const texts = [
      (FileContents: string) => ({ Note: { ContentType: 'Plain Text', FileContents } }),
      (FileContents: string) => ({ Note: { ContentType: 'Rich Text', FileContents } }),
      (Value: string) => ({ Orders: [{ Results: [{ ValueType: 'String', Value }] }] }),
    ]
    for (const body of texts) {
      for (const text of [
        'https://blob.redoxengine.com/1',
        'https://viewer.example/?of=https://blob.redoxengine.com/1',
        'https://viewer.example',
        'see https://blob.redoxengine.com\\@evil.example/1',
        'https://blob.redoxengine.com\\@evil.example/1 shows it',
      ])
        assert.deepEqual(contentProblems(body(text), origins), [], text)
      for (const text of [
        'https://blob.redoxengine.com\\@evil.example/1',
        'https://blob.redoxengine.com@evil.example/1',
        'HTTPS://BLOB.redoxengine.com/1',
        ' https://blob.redoxengine.com/1',
      ])
        assert.equal(contentProblems(body(text), origins).length, 1, text)
    }
  })

  it('in FHIR data: any host, a relative reference, a URN; and nothing that is read differently', () => {
    const problemsOf = (...resources: JsonObject[]): string[] =>
      attachmentProblems(resources.map((resource) => ({ resource }))).map(({ path }) => path)
    const report = (url: string): JsonObject => ({
      resourceType: 'DiagnosticReport',
      presentedForm: [{ url }],
    })
    for (const url of [
      'https://files.example/1?a=b%20c#d',
      'https://files.example:8443/1',
      ...[
        'urn:uuid:0b9f0b9f-0b9f-4b9f-8b9f-0b9f0b9f0b9f',
        'urn:oid:1.2.3',
        'Binary/1',
        '/Binary/1',
        '#1',
        '',
      ],
    ])
      assert.deepEqual(problemsOf(report(url)), [], url)
    const origin = /^https?:\/\/(blob\.redoxengine\.com(:444|\.evil\.example|\.)?|evil\.example)\/1$/
    for (const url of [
      ...strangers.filter((one) => FORMS.test(one) && !origin.test(one)),
      ...[
        '//evil.example/1',
        '\\\\evil.example\\1',
        '/\\evil.example/1',
        'Binary\\1',
        'Binary/1\t',
        'Bin\0ary/1',
      ],
    ])
      assert.deepEqual(problemsOf(report(url)), ['entry[0].resource.presentedForm[0].url'], url)
  })

  it('in FHIR data: in every Attachment; names of resources and extensions are none', () => {
    const url = 'HTTP://a b'
    const named = { resourceType: 'Library', url, extension: [{ url, valueAttachment: { url } }] }
    const report = { resourceType: 'DiagnosticReport', modifierExtension: [{ url }], contained: [named] }
    const document = { resourceType: 'DocumentReference', content: [{}, { attachment: { url } }] }
    const parameters = {
      resourceType: 'Parameters',
      parameter: [{ resource: { ...named, content: { url } } }],
    }
    const found = attachmentProblems([report, document, parameters].map((resource) => ({ resource })))
    assert.deepEqual(
      found.map(({ path }) => path),
      [
        'entry[0].resource.contained[0].extension[0].valueAttachment.url',
        'entry[1].resource.content[1].attachment.url',
        'entry[2].resource.parameter[0].resource.extension[0].valueAttachment.url',
        'entry[2].resource.parameter[0].resource.content.url',
      ],
    )
    for (const { problem, fix } of found) assert.ok(!`${problem} ${fix}`.includes('a b'))
  })

  it('belong to the API that made them', async () => {
    const blob = { ...reference('https://blob.redoxengine.com/1'), upload: 'blob' as const }
    assertReferenceKind(blob, 'datamodel', 'x')
    assertReferenceKind(reference('https://x'), 'fhir', 'x')
    await failing('REDOX_BAD_INPUT', () => assertReferenceKind(blob, 'fhir', 'x'), /blob upload/)
  })
})

describe('an object of too many values', () => {
  let looks = 0
  const values = (count: number, value: object = { get: () => ++looks, enumerable: true }): object =>
    Object.defineProperties(
      {},
      Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, value])),
    )

  beforeEach(() => (looks = 0))

  it('is refused before it is walked: of one object by its keys, of many by their sum', async () => {
    const list = new Proxy(new Array(200_000).fill(0), {
      get: (own, key) => (looks++, Reflect.get(own, key) as unknown),
    })
    for (const [data, most] of [
      [{ Extra: values(100_001) }, 0],
      [{ Extra: list }, 10],
      [Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`o${at}`, values(1000)])), 100_000],
    ] as const) {
      looks = 0
      await failing('REDOX_BAD_INPUT', () => copyJson(data, ''), /too many values/)
      assert.ok(looks <= most, `${looks} looks`)
    }
    looks = 0
    copyJson(values(99_999), '')
    assert.equal(looks, 99_999)
  })

  it('is not kept with an accepted message, which takes turns over its properties', async () => {
    const properties = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`p${at}`, values(9000)]))
    const msg = { _msgid: 'own', ...properties, large: values(10_001), last: 'kept' }
    let [turns, isDone] = [0, false]
    const kept = plainProperties(msg).finally(() => (isDone = true))
    for (; !isDone; turns++) await nextTurn()
    assert.equal(looks, 180_000)
    assert.ok(turns >= 9, `${turns} turns`)
    const { large, p19, ...others } = await kept
    assert.deepEqual([large, Object.keys(p19 as object).length, others.last], [undefined, 9000, 'kept'])
    const many = { _msgid: 'own', ...(values(20_000) as Record<string, unknown>) }
    assert.equal(Object.keys(await plainProperties(many)).length, 10_000)
  })
})
