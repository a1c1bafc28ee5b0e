import assert from 'node:assert/strict'
import { takeMemory } from '../../src/file/file'
import { draftFhir, prepareFhir } from '../../src/message/fhir'
import { formatPath, getAt } from '../../src/message/json'
import type { JsonObject } from '../../src/message/json'
import { failing } from '../lib/redox'

const PDF = takeMemory(Buffer.from('%PDF-1.7'), { where: 'x', filename: 'a.pdf' }).file
const NOW = new Date('2026-01-31T10:00:00Z')
const DESTINATION = 'af394f14-b34a-464f-8d24-895f370af4c9'

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

  it('report every problem at once, without values', async () => {
    const data = [{ resourceType: 'DiagnosticReport', status: 'CANARY' }]
    const { cause, message } = await failing('REDOX_INVALID_MESSAGE', () => prepare({ data }))
    const at = (path: string) => cause.problems!.some((problem) => problem.path.startsWith(path))
    assert.ok(at('entry[1].resource.status') && at('entry[1].resource.code'), message)
    assert.match(message, /entry is missing/)
    assert.doesNotMatch(JSON.stringify([cause, message]), /CANARY/)
  })

  it('are about the patient of the form, even when the report refers to a missing one', () => {
    const subject = { reference: 'Patient/77' }
    const data = { resourceType: 'DiagnosticReport', code: { text: 'x' }, subject }
    const fields = [{ path: 'Patient.identifier[0].value', value: '1' }]
    const entries = prepare({ data, fields }).body.entry as { resource: JsonObject }[]
    assert.deepEqual(entries.map(({ resource }) => [resource.resourceType, resource.id]).at(-1), [
      'Patient',
      '77',
    ])
  })

  it('report dates that do not exist, and resources whose type is a JavaScript property', async () => {
    const data = [
      { resourceType: 'Patient', birthDate: '1990-02-31' },
      { resourceType: 'DiagnosticReport', effectiveDateTime: '2026-04-31T10:00:00Z', id: { toString: 1 } },
      { resourceType: 'constructor' },
    ]
    const { cause } = await failing('REDOX_INVALID_MESSAGE', () => prepare({ data }))
    const fixes = cause.problems!.filter(({ fix }) => /does not exist/.test(fix))
    assert.equal(fixes.length, 2)
  })

  it('never replace another value at the path of an Attachment', () => {
    const data = { resourceType: 'DiagnosticReport', presentedForm: ['text'] }
    const files = [{ file: PDF, way: 'embed' as const }]
    return failing(
      'REDOX_BAD_INPUT',
      () => prepare({ data, files }),
      /^Attachment is not an object: .*presentedForm\[0\]/,
    )
  })

  it('keep the values of an Attachment, and add the name of the file if it has no title', () => {
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

  it('report a value with a false length', () => {
    const odd = { length: { toString: 'x' } }
    for (const [data, words] of [
      [{ ...report, id: 'r', presentedForm: [{ title: odd }] }, /presentedForm\[0\]\.title .*is not text/],
      [{ ...report, code: { coding: odd } }, /code\.coding .*is not a list/],
      [{ ...report, code: { coding: [] } }, /code\.coding .*is empty/],
    ] as const)
      refuses(data, FORM, words)
  })

  it('are about the Patient of the subject, whatever entry is first', () => {
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

  it('are about the Patient on the server of the report, and the one that a search finds', () => {
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

  it('fill an Attachment that has only a data-absent-reason', () => {
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

  it('refuse two Patients without a subject, and a subject that refers to another Patient', () => {
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
    it(`link a report to its Patient by ${what}`, () => {
      const others = entries.length > 0 ? [entry(mother), ...entries] : [entry(child)]
      const data = { resourceType: 'Bundle', entry: [entry(about(subject)), ...others] }
      const all = resourcesIn(data, [['Patient.name[0].family', 'Neu']])
      assert.deepEqual(all.find(({ id }) => id === 'child')!.name, filled.name)
      assert.equal(all.filter(({ resourceType }) => resourceType === 'Patient').length, others.length)
    })

  it('link a report to a contained patient, and to the patient of the form', () => {
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

  it('refuse a reference to a resource version that the Bundle does not have', () =>
    refuses(
      [about({ reference: 'Patient/child/_history/3' }), { ...child, meta: { versionId: '2' } }],
      FORM,
      /does not match the patient of the message/,
    ))

  it('may be about a patient that the destination knows, with a warning when only the reference identifies it', () => {
    const known = draft(about({ reference: 'Patient/at-destination' }))
    assert.deepEqual(known.problems, [])
    assert.match(known.warnings.join(), /Only the subject/)
    assert.doesNotMatch(known.warnings.join(), /at-destination/)
    assert.deepEqual(draft(about({ reference: 'Patient/x', identifier: ssn })).warnings, [])
    assert.deepEqual(draft(about({ identifier: ssn })).problems, [])
    refuses(report, [], /entry is missing/)
  })

  it('set fields of the form in the identifier of the same system and the name of the right use', () => {
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

  it('put a file into the resource of its path, never into the first of several', async () => {
    const media = ['a', 'b'].map((id) => ({ resourceType: 'Media', id }))
    const placed = (place: string) =>
      prepareFhir(
        {
          ...{ operation, ...input, place, data: [report, mother, ...media] },
          files: [{ file: PDF, way: 'embed' }],
        },
        sender,
      ).attachments.map(({ path }) => formatPath(path))
    assert.deepEqual(placed('Media[0].content'), ['entry[3].resource.content.data'])
    assert.deepEqual(placed('Media[1].content'), ['entry[4].resource.content.data'])
    await failing(
      'REDOX_BAD_INPUT',
      () => placed('Media.content'),
      /^Attachment is ambiguous: the message has 2 Media/,
    )
  })

  it('are about the report in focus; two reports without a focus are refused', () => {
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

  it('replace code and category of the same system', () => {
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

  it('add no code system to a code that does not belong to it', () => {
    for (const code of ['PDF', 'LP29684-5', 'LA6576-8', '123', '1-'])
      assert.deepEqual(
        getAt(resourcesIn([{ ...report, code: { coding: [{ code }] } }, mother])[1], ['code', 'coding', 0]),
        { code },
      )
  })

  const ABSENT = {
    extension: [{ url: 'http://hl7.org/fhir/StructureDefinition/data-absent-reason', valueCode: 'unknown' }],
  }
  it('accept everything that R4 allows', async () => {
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

  it('add nothing beside an element with a reason for its absence, except a value of the form', () => {
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

  it("keep the source of the data, and refuse a source ID that is not the connection's", async () => {
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

  it('have sender, event and focus in a header that is the first entry', () => {
    const fields = [
      { path: 'main.code.text', value: 'x' },
      { path: 'Patient.identifier[0].value', value: '1' },
    ]
    const lab = { ...sender, sourceId: DESTINATION, sourceName: 'Lab' }
    const { body } = prepareFhir({ operation, ...input, fields }, lab)
    const [header, created] = body.entry as { fullUrl: string; resource: JsonObject }[]
    const { id: _, ...rest } = header!.resource
    const reference = `DiagnosticReport/${String(created!.resource.id)}`
    assert.deepEqual(rest, {
      resourceType: 'MessageHeader',
      eventUri: 'https://fhir.redoxengine.com/EventDefinition/DiagnosticReportCreate',
      source: { name: 'Lab', endpoint: `urn:uuid:${DESTINATION}` },
      focus: [{ reference }],
    })
    assert.equal(created!.fullUrl, `${sender.fhirBase}/redox-fhir-sandbox/Staging/${reference}`)
  })
})
