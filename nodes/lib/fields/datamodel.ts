/** Fields of nodes that send messages to the Data Model API. */
import { contentType, filename, redoxFileType, way, WITH_FILE } from './file'
import { section, type Field } from './types'

export const DESTINATION_IDS = {
  name: 'destination',
  kind: 'typed',
  icon: 'map-marker',
  types: ['str', 'msg', 'flow', 'global', 'json', 'jsonata', 'env'],
  hint: 'destinationId',
  checks: ['required', 'destinationId'],
  problemsAt: ['Meta.Destinations', 'Meta.Destinations.ID'],
  sample: '00000000-0000-4000-8000-000000000000',
} as const satisfies Field

/** Fields for the patient identifier, by which the receiver finds the patient. */
export const PATIENT_ID = [
  {
    name: 'patientId',
    kind: 'typed',
    icon: 'id-card-o',
    set: 'patientIdentifier',
    checks: ['required'],
    problemsAt: ['Patient', 'Patient.Identifiers'],
    sample: '0000000001',
  },
  {
    name: 'typeOfPatientId',
    kind: 'typed',
    icon: 'id-card-o',
    set: 'patientIdentifierType',
    with: 'patientId',
    value: 'MR',
    suggest: ['MR', 'MRN', 'EHRID', 'NIST', 'EPI'],
    sample: 'MR',
  },
] as const satisfies readonly Field[]

export const PATIENT = section('patient', [
  {
    name: 'firstName',
    kind: 'typed',
    icon: 'user',
    path: 'Patient.Demographics.FirstName',
    sample: 'Sample',
  },
  {
    name: 'lastName',
    kind: 'typed',
    icon: 'user',
    path: 'Patient.Demographics.LastName',
    sample: 'Patient',
  },
  {
    name: 'dob',
    kind: 'typed',
    icon: 'birthday-cake',
    path: 'Patient.Demographics.DOB',
    checks: ['date'],
    sample: '2000-01-31',
  },
  {
    name: 'sex',
    kind: 'typed',
    icon: 'user-o',
    path: 'Patient.Demographics.Sex',
    suggest: ['Female', 'Male', 'Nonbinary', 'Other', 'Unknown'],
    sample: 'Unknown',
  },
  { name: 'visitNumber', kind: 'typed', icon: 'hospital-o', path: 'Visit.VisitNumber' },
])

export const DATA = section('data', [
  {
    name: 'data',
    kind: 'typed',
    icon: 'cubes',
    types: ['msg', 'flow', 'global', 'json', 'jsonata'],
    valueType: 'msg',
    checks: ['json'],
    sample: {
      Patient: {
        Identifiers: [{ ID: '0000000001', IDType: 'MR' }],
        Demographics: { FirstName: 'Sample', LastName: 'Patient', DOB: '2000-01-31', Sex: 'Unknown' },
      },
    },
  },
])

// ---- Documents: fields that Notes and Media share -------------------------------------------------------

export const EVENT_TYPES = {
  name: 'eventType',
  kind: 'choice',
  icon: 'list',
  options: ['New', 'Replace', 'Delete'],
  literal: true,
} as const satisfies Field

/** Condition under which a message contains a file: for every event type except Delete. */
export const HAS_FILE = { eventType: ['New', 'Replace'] } as const

/**
 * Returns the fields that describe a document.
 * @param part top-level property of the message that contains the document, e.g. `Media`
 */
export const documentRows = <const P extends string>(part: P) =>
  [
    {
      name: 'documentType',
      kind: 'typed',
      icon: 'file-text-o',
      path: `${part}.DocumentType`,
      checks: ['required'],
      suggest: ['Consent Form', 'Treatment Plan', 'Progress Note', 'Discharge Summary', 'Lab Report'],
    },
    {
      name: 'documentId',
      kind: 'typed',
      icon: 'hashtag',
      types: ['str', 'msg', 'flow', 'global', 'jsonata', 'env', 'content'],
      valueType: 'content',
      path: `${part}.DocumentID`,
      checks: ['madeOfFile', 'required'],
    },
    {
      name: 'originalDocumentId',
      kind: 'typed',
      icon: 'history',
      path: `${part}.OriginalDocumentID`,
      when: { eventType: ['Replace'] },
      checks: ['required'],
    },
    {
      name: 'providerId',
      kind: 'typed',
      icon: 'user-md',
      path: `${part}.Provider.ID`,
      checks: ['required'],
      problemsAt: [`${part}.Provider`],
    },
  ] as const satisfies readonly Field[]

export const documentFile = (part: string) =>
  [
    filename({}, { path: `${part}.FileName`, withoutFile: true }),
    contentType({ ...HAS_FILE, ...WITH_FILE }),
    redoxFileType({}, { path: `${part}.FileType`, withoutFile: true }),
    way(HAS_FILE),
  ] as const

export const documentDetails = <const P extends string>(part: P) =>
  section('document', [
    {
      name: 'documentDescription',
      kind: 'typed',
      icon: 'comment-o',
      path: `${part}.DocumentDescription`,
    },
    {
      name: 'availability',
      kind: 'typed',
      icon: 'eye',
      path: `${part}.Availability`,
      suggest: ['Available', 'Unavailable', 'Obsolete', 'Deleted', 'Cancelled'],
      sample: null,
    },
    {
      name: 'typeOfProviderId',
      kind: 'typed',
      icon: 'user-md',
      path: `${part}.Provider.IDType`,
      with: 'providerId',
      suggest: ['NPI'],
    },
  ])
