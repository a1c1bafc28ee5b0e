import assert from 'node:assert/strict'
import { takeMemory } from '../../src/file/file'
import { draftDataModel, prepareDataModel } from '../../src/message/datamodel'
import { getAt } from '../../src/message/json'
import type { JsonObject } from '../../src/message/json'
import { failing } from '../lib/redox'

const PDF = takeMemory(Buffer.from('%PDF-1.7'), { where: 'x', filename: 'a.pdf' }).file
const NOW = new Date('2026-01-31T10:00:00Z')
const DESTINATION = 'af394f14-b34a-464f-8d24-895f370af4c9'

describe('Data Model messages', () => {
  const input = { destinations: [DESTINATION], fields: [], files: [], now: NOW }
  const prepare = (parts: Partial<Parameters<typeof prepareDataModel>[0]>) =>
    prepareDataModel({ model: 'Notes', eventType: 'New', ...input, ...parts }, { test: true })

  it('report a value with a false length', () => {
    const odd = { length: { toString: 'x' } }
    const { problems } = draftDataModel(
      {
        ...{ model: 'Notes', eventType: 'New', destinations: [], fields: [], files: embedded(1), now: NOW },
        data: { Patient: { Identifiers: odd }, Note: { DocumentType: odd }, Visit: { VisitNumber: odd } },
      },
      { test: true },
    )
    const found = problems.map(({ path, problem }) => `${path} ${problem}`).join('\n')
    assert.match(found, /Patient\.Identifiers is not a list/)
    assert.match(found, /Note\.DocumentType is not text/)
    assert.match(found, /Visit\.VisitNumber is not text/)
  })

  it('report every problem at once, with path and advice and without values', async () => {
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

  it('need an ID where a slug was given', () =>
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
      // If the code is replaced, Codeset and Description of the old code are removed.
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

  it('change only the order of the form', async () => {
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

  it("use the identifier of the form's type, add one if there is none, and refuse two", async () => {
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

  it('have a DocumentID that does not depend on an order', () => {
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
    // A message with one order keeps the DocumentID that it had before messages with several orders were supported.
    assert.equal(idOf([one]), '60079e0a-1f43-8ecf-8a76-971456604d92')
  })

  it('accept numbers in place of texts, and no other types', async () => {
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

  it("have date-times in Redox's format", async () => {
    const at = (ServiceDateTime: string) => note({ Note: { ...NOTE, ServiceDateTime } })
    for (const good of ['2007-04-05T12:30-0200', '2026-01-31T10:00Z', '2026-01-31T10:00:00+01:00']) at(good)
    for (const bad of ['2026-01-31T10:00:00', '2026-02-31T10:00Z', '2026-01-31T25:00Z', '31.1.2026'])
      await failing('REDOX_INVALID_MESSAGE', () => at(bad), /Note\.ServiceDateTime/)
  })

  it('have the source of the connection, and refuse another one', async () => {
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

  it('report a date that does not exist', () =>
    failing(
      'REDOX_INVALID_MESSAGE',
      () => prepare({ data: { Patient: { Demographics: { DOB: '1990-02-31' } } } }),
      /DOB is not valid \(Patient\.Demographics\.DOB\)\. Correct the date: it does not exist/,
    ))

  it('refuse a Date and a Map', async () => {
    for (const data of [new Date(0), new Map()]) await failing('REDOX_BAD_INPUT', () => prepare({ data }))
  })

  it('never replace a result that is not an object', () => {
    const files = [{ file: PDF, way: 'embed' as const }]
    const data = { Orders: [{ ID: '1', Results: ['4.1'] }] }
    return failing(
      'REDOX_BAD_INPUT',
      () => prepare({ model: 'Results', data, files }),
      /is needed: Orders\[0\]\.Results\[0\]/,
    )
  })

  it('have known event types only', () =>
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
