// Messages of the contestants that do not use our nodes, as small as Redox accepts. `build` gets the value of the file
// field (base64, or the reference of an upload), the name of this field in FHIR, and the MIME type. The source code of
// these functions is also the code of the function nodes in the core flow, so they must not use anything from outside.

/**
 * @typedef {object} MessageForm
 * @property {string} type data model, or type of the resource
 * @property {(contents: string, field: string, type: string) => object} build
 * @property {boolean} isFhir
 * @property {string} contentType
 * @property {string} path of the message
 * @property {string} upload path of the upload
 */

/** @type {MessageForm['build']} */
function buildDataModel(contents, _field, type) {
  const file = { FileContents: contents, FileName: 'scan.pdf', FileType: 'PDF' }
  const document = { DocumentType: 'Bench', DocumentID: 'bench-1', Provider: { ID: '1' } }
  return {
    Meta: {
      DataModel: type,
      EventType: 'New',
      EventDateTime: new Date().toISOString(),
      Test: true,
      Destinations: [{ ID: 'af394f14-b34a-464f-8d24-895f370af4c9' }],
    },
    Patient: { Identifiers: [{ ID: 'bench', IDType: 'MR' }] },
    ...(type === 'Notes'
      ? { Note: { ContentType: 'Base64 Encoded', ...file, ...document } }
      : { Media: { Availability: 'Available', ...file, ...document } }),
  }
}

/** @type {MessageForm['build']} */
function buildFhir(contents, field, type) {
  const attachment = { contentType: 'application/pdf', [field]: contents, title: 'scan.pdf' }
  const code = { coding: [{ system: 'http://loinc.org', code: '11502-2' }] }
  const own =
    type === 'DocumentReference'
      ? { status: 'current', content: [{ attachment }] }
      : { status: 'final', code, presentedForm: [attachment] }
  const patient = { identifier: [{ system: 'urn:redox:bench:MR', value: 'bench' }] }
  const header = {
    resourceType: 'MessageHeader',
    eventUri: `https://fhir.redoxengine.com/EventDefinition/${type}Create`,
    source: { name: 'Bench', endpoint: 'urn:uuid:22222222-2222-4222-8222-222222222222' },
    focus: [{ reference: `${type}/bench-1` }],
  }
  const base = 'https://api.redoxengine.com/fhir/R4/bench/Development'
  return {
    resourceType: 'Bundle',
    type: 'message',
    timestamp: new Date().toISOString(),
    entry: [
      { fullUrl: 'urn:uuid:11111111-1111-4111-8111-111111111111', resource: header },
      {
        fullUrl: `${base}/${type}/bench-1`,
        resource: { resourceType: type, id: 'bench-1', subject: { reference: 'Patient/patient-1' }, ...own },
      },
      {
        fullUrl: `${base}/Patient/patient-1`,
        resource: { resourceType: 'Patient', id: 'patient-1', ...patient },
      },
    ],
  }
}

/**
 * @param {string} type
 * @returns {MessageForm}
 */
const dataModel = (type) => ({
  ...{ type, build: buildDataModel, isFhir: false, contentType: 'application/json' },
  ...{ path: '/endpoint', upload: '/upload' },
})
/**
 * @param {string} type
 * @returns {MessageForm}
 */
const fhir = (type) => ({
  ...{ type, build: buildFhir, isFhir: true, contentType: 'application/fhir+json' },
  path: `/fhir/R4/bench/Development/${type}/$${type.toLowerCase()}-create`,
  upload: '/fhir/R4/redox/Development/Binary',
})

export const MESSAGES = {
  note: dataModel('Notes'),
  media: dataModel('Media'),
  report: fhir('DiagnosticReport'),
  observation: fhir('Observation'),
  document: fhir('DocumentReference'),
}

const BOUNDARY = 'bench-boundary'

/** Returns a file as multipart form data, as the blob host accepts it. */
export const MULTIPART = {
  type: `multipart/form-data; boundary=${BOUNDARY}`,
  head: `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="scan.pdf"\r\nContent-Type: application/pdf\r\n\r\n`,
  tail: `\r\n--${BOUNDARY}--\r\n`,
}
