/** Made-up patient, file and messages that redox-check sends. */
import { randomUUID } from 'node:crypto'
import { takeMemory, type FileSource } from '../file/file'
import { prepareDataModel, type DataModel } from '../message/datamodel'
import { prepareFhir } from '../message/fhir'
import type { FhirOperation } from '../message/fhir-operations'
import type { JsonObject } from '../message/json'
import type { PreparedMessage, Way } from '../message/prepared'
import { LOINC } from '../shared/values'
import type { CheckSettings } from './settings'

/** Patient in the samples that Redox publishes (docs/redox-api.md#sample-identifiers). No such person exists. */
const PATIENT = { id: '0000000001', first: 'Timothy', last: 'Bixby', birthDate: '2008-01-06' }
const PROVIDER = { ID: '4356789876', IDType: 'NPI' }
const LABEL = 'redox-check test'
const REPORT_CODE = '11502-2'

/** Values of the made-up patient that a report must not contain. */
export const PATIENT_VALUES = Object.values(PATIENT)

/**
 * PDF of one empty page, filled up to a size with a comment.
 * @param size bytes; default: as small as possible
 */
export function sampleFile(size = 0): FileSource {
  const bytes = Buffer.from(pdf(Math.max(0, size - pdf(0).length)), 'latin1')
  return takeMemory(bytes, { where: 'the sample', filename: 'redox-check.pdf' }).file
}

function pdf(padding: number): string {
  const objects = [
    '<</Type/Catalog/Pages 2 0 R>>',
    '<</Type/Pages/Kids[3 0 R]/Count 1>>',
    '<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Resources<<>>>>',
  ]
  let text = `%PDF-1.4\n%${'x'.repeat(padding)}\n`
  // Offsets have ten digits, so the padding does not change the length of the rest.
  const offsets = objects.map((object, index) => {
    const at = text.length
    text += `${index + 1} 0 obj${object}endobj\n`
    return `${String(at).padStart(10, '0')} 00000 n \n`
  })
  const start = String(text.length).padStart(10, '0')
  const table = `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${offsets.join('')}`
  return `${text}${table}trailer<</Size ${objects.length + 1}/Root 1 0 R>>\nstartxref\n${start}\n%%EOF\n`
}

// ---- FHIR ---------------------------------------------------------------------------------------------------------

/** Place of the file in an Observation message, and the resource that has to be added for it. */
export interface SamplePlace {
  /** value of the field Attachment path */
  path: string
  resource?: JsonObject
}

const SUBJECT = { reference: 'Patient/redox-check' }
export const OBSERVATION_PLACES: SamplePlace[] = [
  { path: 'presentedForm[]' },
  { path: 'valueAttachment' },
  {
    path: 'DocumentReference.content[].attachment',
    resource: {
      resourceType: 'DocumentReference',
      id: 'redox-check-file',
      status: 'current',
      subject: SUBJECT,
    },
  },
  {
    path: 'Media.content',
    resource: { resourceType: 'Media', id: 'redox-check-file', status: 'completed', subject: SUBJECT },
  },
]

export interface FhirSample {
  operation: FhirOperation
  way: Way
  file?: FileSource
  place?: SamplePlace
  /** subject of the main resource; the Bundle then has no Patient entry */
  subject?: JsonObject
}

export function fhirSample(settings: CheckSettings, sample: FhirSample): PreparedMessage {
  const { environment, hosts, slug, sourceId } = settings
  const { operation, way, file = sampleFile(), place, subject } = sample
  const resources = [
    mainResource(operation, sample),
    ...(subject === undefined ? [patientResource(settings)] : []),
    ...(place?.resource === undefined ? [] : [place.resource]),
  ]
  return prepareFhir(
    {
      ...{ operation, slug, data: resources, fields: [], now: new Date() },
      files: [{ file, way }],
      ...(place !== undefined && { place: place.path }),
    },
    { test: true, environment, fhirBase: hosts.fhirBase, ...(sourceId !== undefined && { sourceId }) },
  )
}

function mainResource(operation: FhirOperation, { place, subject = SUBJECT }: FhirSample): JsonObject {
  const [resourceType = ''] = operation.split('/')
  const now = new Date().toISOString()
  const coded = { coding: [{ system: LOINC, code: REPORT_CODE, display: 'Laboratory report' }], text: LABEL }
  const common = {
    ...{ resourceType, id: randomUUID(), subject },
    identifier: [{ system: 'urn:redox-check', value: randomUUID() }],
  }
  if (resourceType === 'DocumentReference')
    return { ...common, status: 'current', type: coded, date: now, description: LABEL }
  const clinical = { ...common, status: 'final', code: coded, effectiveDateTime: now, issued: now }
  if (place?.resource === undefined) return clinical
  const { resourceType: type, id } = place.resource as { resourceType: string; id: string }
  return { ...clinical, derivedFrom: [{ reference: `${type}/${id}` }] }
}

const identifierOf = ({ slug }: CheckSettings): JsonObject => ({
  system: `urn:redox:${slug}:MR`,
  value: PATIENT.id,
})

const patientResource = (settings: CheckSettings): JsonObject => ({
  ...{ resourceType: 'Patient', id: 'redox-check', identifier: [identifierOf(settings)] },
  name: [{ family: PATIENT.last, given: [PATIENT.first] }],
  gender: 'male',
  birthDate: PATIENT.birthDate,
})

/**
 * Subject of a Bundle without a Patient entry.
 * @param location location of the Patient that an earlier message created at the destination
 */
export function subjectWithoutEntry(settings: CheckSettings, location: string | undefined): JsonObject {
  const [reference] = /Patient\/[A-Za-z0-9.-]{1,64}/.exec(location ?? '') ?? []
  return reference === undefined ? { type: 'Patient', identifier: identifierOf(settings) } : { reference }
}

// ---- Data Model ---------------------------------------------------------------------------------------------------

const DEMOGRAPHICS = {
  Identifiers: [{ ID: PATIENT.id, IDType: 'MR' }],
  Demographics: {
    FirstName: PATIENT.first,
    LastName: PATIENT.last,
    ...{ DOB: PATIENT.birthDate, Sex: 'Male' },
  },
}

const PARTS: Record<DataModel, () => JsonObject> = {
  Notes: () => ({ Visit: { VisitNumber: '1234' }, Note: document() }),
  Media: () => ({ Visit: { VisitNumber: '1234' }, Media: document() }),
  Results: () => ({
    Orders: [
      {
        ...{ ID: randomUUID(), Status: 'Resulted', ResultsStatus: 'Final' },
        Results: [{ Code: REPORT_CODE, Codeset: 'LOINC', Description: LABEL }],
      },
    ],
  }),
}

const document = (): JsonObject => ({
  ...{ DocumentType: LABEL, DocumentID: randomUUID(), DocumentDescription: LABEL },
  ...{ Provider: PROVIDER, Availability: 'Available' },
})

export interface DataModelSample {
  model: DataModel
  destination: string
  /** file of the message; without it, a Note of text */
  file?: FileSource
  way?: Way
}

export function dataModelSample({ sourceId }: CheckSettings, sample: DataModelSample): PreparedMessage {
  const { model, destination, file, way = 'embed' } = sample
  const data = { Patient: DEMOGRAPHICS, ...PARTS[model]() }
  const text = file === undefined ? { text: LABEL } : {}
  if (file === undefined) Object.assign(data, { Note: { ...document(), ContentType: 'Plain Text' } })
  return prepareDataModel(
    {
      ...{ model, eventType: 'New', destinations: [destination], data, fields: [], now: new Date() },
      files: file === undefined ? [] : [{ file, way }],
      ...text,
    },
    { test: true, ...(sourceId !== undefined && { sourceId }) },
  )
}
