/**
 * One test for each requirement of the two Redox pages on which this project is based; `test/seeds.md` maps their
 * sentences to these tests. The requests are recorded on their way to the sandbox.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { takeMemory, type MessageFile } from '../../src/file/file'
import type { DataModel, FieldValue } from '../../src/message/datamodel'
import type { FhirInput, FhirOperation } from '../../src/message/fhir-operations'
import { RedoxClient } from '../../src/redox/client'
import { uploadDirect } from '../../src/redox/direct-delivery'
import { fixture, sha256, sizedFile } from '../lib/fixtures'
import { failing, isToken, never, TOKEN_PATH } from '../lib/redox'
import { connect, connection, DESTINATION, DOCUMENT, emit, fileOf, OBSERVATION, place } from './sending'
import { prepareData, prepareResource, referenceTo, REPORT, sandbox, SOURCE, uploadKind } from './sending'
import { useWire, wire, type Api } from './sending'

type Json = any

const PDF = fixture('gingival-mass.pdf')
const BASE64 = PDF.toString('base64')
const MODELS: DataModel[] = ['Notes', 'Results', 'Media']
const OPERATIONS = [
  [REPORT, 'DiagnosticReport'],
  [OBSERVATION, 'Observation'],
] as const
const ENVIRONMENTS = ['Development', 'Staging', 'Production']

/** Last request of the client. */
const last = () => wire.requests.at(-1)!
/** Body of the client's last request. */
const emitted = (): Json => JSON.parse(last().body.toString())
/** SHA-256 of the files in the message that the sandbox received last. */
const delivered = (): string[] => sandbox.received.at(-1)!.files.map((file) => file.sha256)

const fields = (part: string, values: Record<string, unknown>): FieldValue[] =>
  Object.entries(values).map(([name, value]) => ({ path: `${part}.${name}`, value }))
const PATIENT = fields('Patient', { 'Identifiers[0]': { ID: '0000000001', IDType: 'MR' } })
const DOCUMENT_FIELDS = { DocumentType: 'Consent Form', DocumentID: 'doc-1', Provider: { ID: '4356789876' } }
const FORMS: Record<DataModel, FieldValue[]> = {
  Notes: fields('Note', DOCUMENT_FIELDS),
  Media: fields('Media', DOCUMENT_FIELDS),
  Results: fields('Orders[0]', { ID: '157968300', 'Results[0]': { Code: '11502-2' } }),
}

type Wanted = 'auto' | 'embed' | 'upload'

async function sendData(
  model: DataModel,
  file: MessageFile = fileOf(PDF),
  wanted: Wanted = 'embed',
  { form = FORMS[model], by = connection } = {},
) {
  const files = [place(file, 'datamodel', wanted)]
  const message = prepareData({ model, eventType: 'New', fields: [...PATIENT, ...form], files })
  return (await emit(message, by)).delivery
}

async function sendFhir(
  operation: FhirOperation,
  file: MessageFile = fileOf(PDF),
  wanted: Wanted = 'embed',
  { by = connection, ...parts }: Partial<FhirInput> & { by?: typeof connection } = {},
) {
  const code = operation === DOCUMENT ? 'type.text' : 'code.text'
  const form = [...fields('main', { [code]: 'Report' }), ...fields('Patient', { 'identifier[0].value': '1' })]
  const files = [place(file, 'fhir', wanted, by)]
  return (await emit(prepareResource({ operation, fields: form, files, ...parts }, by), by)).delivery
}

const upload = (api: Api, by = connection) =>
  uploadDirect(by.client, fileOf(PDF), { kind: uploadKind(api), signal: never() })

/** Resource of this type in the last sent message. */
const resource = (type: string): Json =>
  emitted()
    .entry.map((entry: Json) => entry.resource)
    .find((one: Json) => one.resourceType === type)
const contentsIn = (model: DataModel): string =>
  model === 'Results'
    ? emitted().Orders[0].Results[0].Value
    : (emitted().Note ?? emitted().Media).FileContents

describe('seed: send results or vitals via the Redox FHIR API', () => {
  useWire()

  it('results go to DiagnosticReport$diagnosticreport-create and Observation$observation-create, generic files to DocumentReference', async () => {
    for (const operation of [REPORT, OBSERVATION, DOCUMENT] as const) {
      assert.equal((await sendFhir(operation)).status, 200)
      assert.equal(last().path, `/fhir/R4/redox-fhir-sandbox/Development/${operation}`)
      assert.deepEqual(delivered(), [sha256(PDF)])
    }
  })

  it('either upload a file, then include the URL reference, or embed it', async () => {
    await sendFhir(REPORT, await referenceTo(fileOf(PDF), 'fhir'))
    assert.equal(resource('DiagnosticReport').presentedForm[0].data, undefined)
    assert.deepEqual(delivered(), [sha256(PDF)])
    await sendFhir(REPORT, fileOf(PDF), 'embed')
    assert.equal(resource('DiagnosticReport').presentedForm[0].url, undefined)
    assert.deepEqual(delivered(), [sha256(PDF)])
  })

  it('an upload has up to 30 MB, separate from the limit of the request', async () => {
    const by = connect({ requestMb: 0.01 })
    await sendFhir(REPORT, fileOf(sizedFile(30_000_000)), 'upload', { by })
    assert.equal(sandbox.received.at(-1)!.files[0]!.size, 30_000_000)
    const tooLarge = () => sendFhir(REPORT, fileOf(sizedFile(30_000_001)), 'upload', { by })
    await failing('REDOX_TOO_LARGE', tooLarge, /the limit is 30 MB/)
  })

  it('an embedded file must fit within the size limit of the request', async () => {
    const by = connect({ requestMb: 1 })
    await sendFhir(REPORT, fileOf(sizedFile(740_000)), 'embed', { by })
    const tooLarge = () => sendFhir(REPORT, fileOf(sizedFile(750_000)), 'embed', { by })
    await failing('REDOX_TOO_LARGE', tooLarge, /the limit is 1 MB/)
  })

  it('files over 200 KB are not embedded unless that is asked for', async () => {
    const wayOf = async (size: number, wanted: Wanted) =>
      (await sendFhir(REPORT, fileOf(sizedFile(size)), wanted)).files[0]!.way
    assert.equal(await wayOf(200_000, 'auto'), 'embed')
    assert.equal(await wayOf(200_001, 'auto'), 'upload')
    assert.equal(await wayOf(200_001, 'embed'), 'embed')
  })

  it('an upload is sent as it is, an embedded file as a base64 encoded string', async () => {
    await upload('fhir')
    assert.equal(sha256(last().body), sha256(PDF))
    await sendFhir(REPORT)
    assert.equal(resource('DiagnosticReport').presentedForm[0].data, BASE64)
  })

  it('{{ENVIRONMENT-FLAG}} is Development, Staging or Production, in uploads and operations', async () => {
    for (const environment of ENVIRONMENTS) {
      const by = connect({ environment })
      await upload('fhir', by)
      assert.equal(last().path, `/fhir/R4/redox/${environment}/Binary`)
      await sendFhir(REPORT, fileOf(PDF), 'embed', { by })
      assert.equal(last().path, `/fhir/R4/redox-fhir-sandbox/${environment}/${REPORT}`)
    }
    await failing('REDOX_CONFIGURATION', () => connect({ environment: 'Test' }), /must be Development/)
  })

  it('$API_TOKEN is the access token, in every request', async () => {
    const by = connect({})
    const before = wire.requests.length
    await upload('fhir', by)
    await sendFhir(REPORT, fileOf(PDF), 'upload', { by })
    const requests = wire.requests.slice(before)
    assert.deepEqual(requests.map(isToken), [true, false, false, false])
    const tokens = new Set(requests.slice(1).map(({ headers }) => headers.authorization))
    assert.equal(tokens.size, 1)
    assert.match([...tokens][0]!, /^Bearer \S+$/)
  })

  it('the Redox-source-Id header is there when a source is set, and only then', async () => {
    for (const sourceId of [SOURCE, undefined]) {
      const by = connect(sourceId === undefined ? {} : { sourceId })
      const before = wire.requests.length
      await sendFhir(REPORT, fileOf(PDF), 'upload', { by })
      const sources = wire.requests.slice(before).map(({ headers }) => headers['redox-source-id'])
      assert.deepEqual(sources, [undefined, sourceId, sourceId])
      if (sourceId) assert.equal(sandbox.received.at(-1)!.source, sourceId)
    }
  })

  it('an upload keeps redox in the slug, and its reference is the location header of the 201', async () => {
    const { url, status, headers } = await upload('fhir')
    assert.match(last().path, /^\/fhir\/R4\/redox\/Development\/Binary$/)
    assert.equal(last().headers['content-type'], 'application/pdf')
    assert.deepEqual([status, headers.location], [201, url])
  })

  it('url is the reference unchanged, contentType a MIME type, title the name of the file', async () => {
    const uploaded = await referenceTo(fileOf(PDF), 'fhir')
    const attachment = { contentType: 'application/pdf', url: uploaded.url, title: 'report.pdf' }
    for (const [operation, type] of OPERATIONS) {
      await sendFhir(operation, uploaded)
      assert.deepEqual(resource(type).presentedForm, [attachment])
      assert.deepEqual(delivered(), [sha256(PDF)])
    }
  })

  it('entry.resource.presentedForm has contentType and data, in both operations', async () => {
    const attachment = { contentType: 'application/pdf', data: BASE64, title: 'report.pdf' }
    for (const [operation, type] of OPERATIONS) {
      await sendFhir(operation)
      assert.deepEqual(resource(type).presentedForm, [attachment])
    }
  })

  it('a file can be embedded in any FHIR resource containing an Attachment', async () => {
    const subject = { reference: 'Patient/p1' }
    const common = [
      { resourceType: 'DiagnosticReport', code: { text: 'x' } },
      { resourceType: 'Patient', id: 'p1' },
    ]
    const document = { resourceType: 'DocumentReference', status: 'current', content: [{ attachment: {} }] }
    const media = { resourceType: 'Media', status: 'completed', subject, content: {} }
    const places: [string, object[], (bundle: Json) => Json][] = [
      ['Patient.photo[]', [], (bundle) => bundle.entry[2].resource.photo[0]],
      ['entry[2].resource.photo[]', [], (bundle) => bundle.entry[2].resource.photo[0]],
      [
        'DocumentReference.content[].attachment',
        [document],
        (bundle) => bundle.entry[3].resource.content[0].attachment,
      ],
      ['Media.content', [media], (bundle) => bundle.entry[3].resource.content],
    ]
    for (const [attachmentPlace, more, found] of places) {
      await sendFhir(REPORT, fileOf(PDF), 'embed', { data: [...common, ...more], place: attachmentPlace })
      assert.equal(found(emitted()).data, BASE64, attachmentPlace)
      assert.deepEqual(delivered(), [sha256(PDF)], attachmentPlace)
    }
  })

  it('the rest of the message is as the user populates it', async () => {
    const coding = [{ system: 'urn:x', code: '1' }]
    const more = { conclusion: 'benign', performer: [{ display: 'Acme' }] }
    const data = { resourceType: 'DiagnosticReport', ...more, code: { coding } }
    await sendFhir(REPORT, fileOf(PDF), 'embed', { data })
    const { conclusion, performer, code } = resource('DiagnosticReport')
    assert.deepEqual({ conclusion, performer }, more)
    assert.deepEqual(code, { coding, text: 'Report' })
  })

  it('{{DESTINATION-SLUG}} is the safe name of the destination, in the URL', async () => {
    await sendFhir(REPORT, fileOf(PDF), 'embed', { slug: 'my-ehr_2' })
    assert.equal(last().path, `/fhir/R4/my-ehr_2/Development/${REPORT}`)
    for (const slug of ['redox', DESTINATION, 'a/b'])
      await failing('REDOX_BAD_INPUT', () => sendFhir(REPORT, fileOf(PDF), 'embed', { slug }))
  })
})

describe('seed: free accounts', () => {
  useWire({ account: 'free' })

  it('get a 403 for uploads in Development, which says so, and upload in Staging and Production', async () => {
    for (const api of ['fhir', 'datamodel'] as const) {
      const { cause } = await failing('REDOX_FORBIDDEN', () => upload(api), /Free accounts cannot upload/)
      assert.equal(cause.status, 403)
    }
    for (const environment of ['Staging', 'Production'])
      assert.equal((await upload('fhir', connect({ environment }))).status, 201)
  })

  it('embed in any environment', async () => {
    for (const environment of ENVIRONMENTS)
      await sendFhir(REPORT, fileOf(PDF), 'embed', { by: connect({ environment }) })
    assert.deepEqual(
      sandbox.received.map((message) => message.environment),
      ENVIRONMENTS,
    )
  })
})

describe('seed: send a file with the Redox Data Model API', () => {
  useWire()

  it('a file of less than 10 MB is embedded in Notes, Results and Media, one of 10 MB is not', async () => {
    const [largest, tooLarge] = [fileOf(sizedFile(9_999_999)), fileOf(sizedFile(10_000_000))]
    for (const model of MODELS) {
      await sendData(model, largest)
      assert.equal(sandbox.received.at(-1)!.files[0]!.size, 9_999_999)
      const before = wire.requests.length
      await failing('REDOX_TOO_LARGE', () => sendData(model, tooLarge), /must be smaller than 10 MB/)
      assert.equal(wire.requests.length, before)
    }
  })

  it('a larger file is uploaded first and referred to in Notes, Results and Media', async () => {
    const content = sizedFile(10_000_000)
    for (const model of MODELS) {
      const { files } = await sendData(model, fileOf(content), 'auto')
      assert.equal(contentsIn(model), files[0]!.url)
      assert.deepEqual(delivered(), [sha256(content)])
    }
  })

  it('in place of the base64 encoded string stands the URI, and nothing else changes', async () => {
    const uploaded = await referenceTo(fileOf(PDF), 'datamodel')
    for (const model of MODELS) {
      const bodies: string[] = []
      for (const file of [fileOf(PDF), uploaded]) {
        await sendData(model, file)
        const body = emitted()
        delete body.Meta.EventDateTime
        bodies.push(JSON.stringify(body))
        assert.deepEqual(delivered(), [sha256(PDF)])
      }
      assert.equal(bodies[1], bodies[0]!.replace(BASE64, uploaded.url))
    }
  })

  it('the upload is authenticated, and its 201 has the URI in the body', async () => {
    const { url, status } = await upload('datamodel')
    assert.equal(last().path, '/upload')
    assert.match(last().headers.authorization!, /^Bearer \S+$/)
    assert.match(last().headers['content-type']!, /^multipart\/form-data; boundary=/)
    assert.equal(status, 201)
    assert.match(url, /^https:\/\/blob\.redoxengine\.com\/\d+$/)
  })

  it('Note has ContentType Base64 Encoded, FileContents, FileName, DocumentType, DocumentID and Provider.ID', async () => {
    await sendData('Notes', fileOf(PDF))
    assert.deepEqual(emitted().Note, {
      ContentType: 'Base64 Encoded',
      FileContents: BASE64,
      FileName: 'report.pdf',
      FileType: 'PDF',
      ...DOCUMENT_FIELDS,
    })
  })

  it('Orders[].Results[] has Value, ValueType Encapsulated Data and FileType', async () => {
    await sendData('Results', fileOf(PDF))
    const [result] = emitted().Orders[0].Results
    assert.deepEqual(result, {
      Code: '11502-2',
      Value: BASE64,
      ValueType: 'Encapsulated Data',
      FileType: 'PDF',
      Status: 'Final',
    })
  })

  it('Media has FileType, FileName, FileContents, DocumentType, DocumentID, Provider.ID and Availability', async () => {
    await sendData('Media', fileOf(fixture('photo.jpg'), 'photo.jpg'))
    assert.deepEqual(emitted().Media, {
      FileType: 'JPG',
      FileName: 'photo.jpg',
      FileContents: fixture('photo.jpg').toString('base64'),
      Availability: 'Available',
      ...DOCUMENT_FIELDS,
    })
  })

  it('required document fields that are missing are named, and nothing is sent', async () => {
    const before = wire.requests.length
    const required: [DataModel, string[]][] = [
      ['Notes', ['Note.DocumentType', 'Note.DocumentID', 'Note.Provider']],
      ['Media', ['Media.DocumentType', 'Media.DocumentID', 'Media.Provider']],
      ['Results', ['Orders[0].ID', 'Orders[0].Results[0].Code']],
    ]
    for (const [model, paths] of required) {
      const { cause } = await failing('REDOX_INVALID_MESSAGE', () =>
        sendData(model, fileOf(PDF), 'embed', { form: [] }),
      )
      assert.deepEqual(cause.problems!.map((problem) => problem.path).sort(), paths.sort())
    }
    const untyped = takeMemory(Buffer.from([0, 1]), { where: 'x' }).file
    for (const model of ['Results', 'Media'] as const)
      await failing('REDOX_INVALID_MESSAGE', () => sendData(model, untyped), /FileType/)
    assert.equal(wire.requests.length, before)
  })

  it('Availability is Available, Unavailable, Obsolete, Deleted or Cancelled', async () => {
    const sendAs = (Availability: string) =>
      sendData('Media', fileOf(PDF), 'embed', {
        form: [...FORMS.Media, ...fields('Media', { Availability })],
      })
    for (const value of ['Available', 'Unavailable', 'Obsolete', 'Deleted', 'Cancelled']) {
      await sendAs(value)
      assert.equal(emitted().Media.Availability, value)
    }
  })

  it('the Data Model API takes a legacy key, and an OAuth key', async () => {
    const { apiKey, secret } = sandbox.legacyKey
    const urls = {
      authenticateUrl: `${wire.url}/auth/authenticate`,
      refreshUrl: `${wire.url}/auth/refreshToken`,
    }
    const credentials = { kind: 'legacy' as const, apiKey, secret, ...urls }
    const client = new RedoxClient({ ...connection.client.settings, credentials })
    for (const model of MODELS) {
      await sendData(model, fileOf(PDF), 'upload', { by: { ...connection, client } })
      assert.equal(sandbox.received.at(-1)!.source, apiKey)
    }
    const oauth = connect({})
    await sendData('Notes', fileOf(PDF), 'upload', { by: oauth })
    assert.deepEqual([wire.to('/auth/authenticate').length, wire.to(TOKEN_PATH).length], [1, 1])
    await client.close()
  })
})

describe('table of the seed documents, test/seeds.md', () => {
  const TESTS = path.join(__dirname, '../../../test')
  const read = (name: string): string => readFileSync(path.join(TESTS, name), 'utf8')
  const rows = (): string[][] =>
    read('seeds.md')
      .split('\n')
      .filter((line) => /^\| [FD]\d/.test(line))
      .map((line) => line.split('|').map((cell) => cell.trim()))
  const titlesIn = (tests: string): string[] => [...tests.matchAll(/`([^`]+)`/g)].map(([, title]) => title!)

  it('contains only titles of existing tests', () => {
    const names = readdirSync(TESTS, { recursive: true, encoding: 'utf8' })
    const sources = names.filter((name) => name.endsWith('.test.ts')).map(read)
    const stands = (title: string): boolean =>
      sources.some((text) => ["'", '"'].some((quote) => text.includes(`(${quote}${title}${quote},`)))
    const titles = rows().flatMap(([, , , tests]) => titlesIn(tests!))
    assert.ok(titles.length > 80, String(titles.length))
    assert.deepEqual(
      titles.filter((title) => !stands(title)),
      [],
    )
  })

  it('has a test or a public text for every sentence', () => {
    const bare = rows().filter(
      ([, , , tests, elsewhere]) => titlesIn(tests!).length === 0 && elsewhere === '',
    )
    assert.deepEqual(bare, [])
  })
})
