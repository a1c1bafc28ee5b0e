import assert from 'node:assert/strict'
import { runInNewContext } from 'node:vm'
import { takeFile } from '../../src/file/file'
import { attachmentPaths, parsePlace } from '../../src/message/attachment-place'
import { prepareDataModel } from '../../src/message/datamodel'
import { prepareFhir } from '../../src/message/fhir'
import { copyJson, formatPath, getAt, parsePath, setAt, withValueAt } from '../../src/message/json'
import type { JsonObject } from '../../src/message/json'
import { assertKnownHost } from '../../src/message/prepared'
import { assertReferenceKind } from '../../src/redox/client'
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
    ['a Buffer', { Note: { FileContents: Buffer.from('x') } }, /data\.Note\.FileContents is a Buffer/],
    ['a circle', circle, /nested too deeply or refers to itself/],
    ['NaN', { a: [NaN] }, /data\.a\[0\] is not a finite number/],
    ['an invalid date', { a: new Date(NaN) }, /invalid date/],
    ['a function', { a: () => 1 }, /a function/],
    ['a Map', { a: new Map([[1, 2]]) }, /data\.a is a Map/],
    ['a typed array', { a: new Uint16Array(2) }, /data\.a is a Uint16Array/],
    ['a property that fails', { a: Object.defineProperty({}, 'b', failingGetter) }, /data\.a cannot be read/],
    ['a list of holes', { a: Object.assign([], { length: 4_000_000_000 }) }, /data\.a is a list of too many/],
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
    it(`"${bad}" is none`, () => failing('REDOX_BAD_INPUT', () => parsePath(bad), /not a path/))

  it('make objects and arrays on the way', () => {
    const root: JsonObject = { b: null }
    setAt(root, ['a', 'b', 0, 'c'], 1)
    setAt(root, ['b', 'x'], 2)
    assert.deepEqual(root, { a: { b: [{ c: 1 }] }, b: { x: 2 } })
    assert.equal(getAt(root, ['a', 'b', 0, 'c']), 1)
    assert.equal(getAt(root, ['a', 'none', 0]), undefined)
  })

  const lost: [JsonObject, string, RegExp][] = [
    [{ a: 'text' }, 'a.b', /^a in the data of the message is a string, but a\.b is .* has to be an object/],
    [{ a: [] }, 'a.b', /^a in .* is a list/],
    [{ a: [{ b: {} }] }, 'a[0].b[0].c', /^a\[0\]\.b in .* is an object, .* has to be a list/],
  ]
  for (const [root, path, words] of lost)
    it(`replace nothing that stands on the way to ${path}`, async () => {
      const before = structuredClone(root)
      const { message } = await failing('REDOX_BAD_INPUT', () => setAt(root, parsePath(path), 1), words)
      assert.doesNotMatch(message, /text/)
      assert.deepEqual(root, before)
    })

  it('do not count without end', () =>
    failing('REDOX_BAD_INPUT', () => parsePath('a[4000000000].b'), /no message has a list/))

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
    [
      'DocumentReference.content[].attachment',
      { entry: { kind: 'type', type: 'DocumentReference', nth: 0 }, list },
    ],
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
    await failing('REDOX_BAD_INPUT', one({ content: { url: 'x' } }, 1), /already has data or a url/)
    await failing('REDOX_BAD_INPUT', one({}, 2), /need a list of Attachments/)
  })
})

const PDF = takeFile(Buffer.from('%PDF-1.7'), { where: 'x', filename: 'a.pdf' }).file
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

  it('never replace a measured value by a file', () => {
    const data = { Orders: [{ ID: '1', Results: [{ Code: 'K', Value: '4.1', ValueType: 'Numeric' }] }] }
    const files = [{ file: PDF, way: 'embed' as const }]
    return failing('REDOX_BAD_INPUT', () => prepare({ model: 'Results', data, files }), /already has a Value/)
  })

  it('tell of a date that does not exist', () =>
    failing(
      'REDOX_INVALID_MESSAGE',
      () => prepare({ data: { Patient: { Demographics: { DOB: '1990-02-31' } } } }),
      /Demographics\.DOB: is not valid\. Correct it: there is no such date/,
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
      /Results\[0\] in the data/,
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
    const { file } = takeFile(Buffer.from([1, 2, 0]), { where: 'x' })
    const Note = { DocumentType: 'x', DocumentID: 'x', Provider: { ID: 'x' } }
    const data = { Patient: { Identifiers: [{ ID: '1', IDType: 'MR' }] }, Note }
    const files = [{ file, way: 'upload' as const }]
    return failing('REDOX_INVALID_MESSAGE', () => prepare({ data, files }), /Note\.FileType: is missing/)
  })
})

describe('FHIR messages', () => {
  const input = { slug: 'redox-fhir-sandbox', fields: [], files: [], now: NOW }
  const sender = { test: true, fhirBase: 'https://api.redoxengine.com/fhir/R4', environment: 'Staging' }
  const operation = 'DiagnosticReport/$diagnosticreport-create'
  const prepare = (parts: Partial<Parameters<typeof prepareFhir>[0]>) =>
    prepareFhir({ operation, ...input, ...parts }, sender)

  const slugs: [string, RegExp][] = [
    [DESTINATION, /takes the destination slug/],
    ['redox', /slug for uploads/],
    ['', /missing/],
    ['a/b', /characters that no slug has/],
    ['..', /characters that no slug has/],
    ['a\r\nb', /characters that no slug has/],
    ['a?b', /characters that no slug has/],
  ]
  for (const [slug, words] of slugs)
    it(`refuse the slug ${JSON.stringify(slug)}`, () =>
      failing('REDOX_BAD_INPUT', () => prepare({ slug }), words))

  it('tell every problem at once, and no value', async () => {
    const data = [{ resourceType: 'DiagnosticReport', status: 'CANARY' }]
    const { cause, message } = await failing('REDOX_INVALID_MESSAGE', () => prepare({ data }))
    const at = (path: string) => cause.problems!.some((problem) => problem.path.startsWith(path))
    assert.ok(at('entry[1].resource.status') && at('entry[1].resource.code'), message)
    assert.match(message, /no Patient/)
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
    const fixes = cause.problems!.filter(({ fix }) => /no such date/.test(fix))
    assert.equal(fixes.length, 2)
  })

  it('never replace what stands in the place of an Attachment', () => {
    const data = { resourceType: 'DiagnosticReport', presentedForm: ['text'] }
    const files = [{ file: PDF, way: 'embed' as const }]
    return failing('REDOX_BAD_INPUT', () => prepare({ data, files }), /presentedForm\[0\] .* no Attachment/)
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

  it('point to the configured hosts only', async () => {
    assertKnownHost(reference('https://blob.redoxengine.com/1'), 'x', origins)
    const strangers = [
      'https://evil.example/1',
      'http://blob.redoxengine.com/1',
      'https://blob.redoxengine.com.evil.example/1',
      'https://blob.redoxengine.com@evil.example/1',
      'https://blob.redoxengine.com:444/1',
      'https://blob.redoxengine.com/1\r\nX: 1',
      'file:///etc/passwd',
      '/1',
    ]
    // The origin of an upload that was answered with no address of a host.
    origins.push('null')
    for (const url of strangers)
      await failing('REDOX_BAD_INPUT', () => assertKnownHost(reference(url), 'x', origins), /Redox hosts/)
  })

  it('belong to the API that made them', async () => {
    const blob = { ...reference('https://blob.redoxengine.com/1'), upload: 'blob' as const }
    assertReferenceKind(blob, 'datamodel', 'x')
    assertReferenceKind(reference('https://x'), 'fhir', 'x')
    await failing('REDOX_BAD_INPUT', () => assertReferenceKind(blob, 'fhir', 'x'), /blob upload/)
  })
})
