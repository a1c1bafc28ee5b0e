/** Fields of nodes that send messages to the FHIR API. In a path, `main` is the operation's main resource. */
import { GENDERS, LOINC } from '../../../src/shared/values'
import { contentType, filename, way, WITH_FILE } from './file'
import { section, type Field } from './types'

export const SLUG = {
  name: 'destination',
  kind: 'typed',
  icon: 'map-marker',
  types: ['str', 'msg', 'flow', 'global', 'jsonata', 'env'],
  hint: 'slug',
  checks: ['needed', 'slug'],
  sample: 'sample-destination',
} as const satisfies Field

/** Fields for the patient identifier, by which the receiver finds the patient. */
export const PATIENT_ID = [
  {
    name: 'patientId',
    kind: 'typed',
    icon: 'id-card-o',
    set: 'identifierOfPatient',
    checks: ['required'],
    // A Bundle without a Patient is reported as a problem at the path `entry`.
    problemsAt: ['entry', 'Patient.identifier'],
    sample: '0000000001',
  },
  {
    name: 'patientIdSystem',
    kind: 'typed',
    icon: 'id-card-o',
    set: 'identifierSystemOfPatient',
    with: 'patientId',
  },
] as const satisfies readonly Field[]

export const PATIENT = section('patient', [
  {
    name: 'given',
    kind: 'typed',
    icon: 'user',
    set: 'givenName',
    sample: 'Sample',
  },
  {
    name: 'family',
    kind: 'typed',
    icon: 'user',
    set: 'familyName',
    sample: 'Patient',
  },
  {
    name: 'birthDate',
    kind: 'typed',
    icon: 'birthday-cake',
    path: 'Patient.birthDate',
    checks: ['date'],
    sample: '2000-01-31',
  },
  {
    name: 'gender',
    kind: 'typed',
    icon: 'user-o',
    path: 'Patient.gender',
    checks: ['gender'],
    suggest: GENDERS,
    sample: 'unknown',
  },
])

/**
 * Returns the fields for the file of a FHIR message.
 * @param hintOfPlace catalogue key of the hint for the field `place`, the path of the attachment in the resource
 */
export const fhirFile = <const H extends string>(hintOfPlace: H) =>
  section('file', [
    filename(WITH_FILE),
    contentType(WITH_FILE),
    way({}),
    { name: 'place', kind: 'text', icon: 'crosshairs', hint: hintOfPlace, when: WITH_FILE },
  ])

/** Sample time in the FHIR formats `instant` and `dateTime`. */
export const SAMPLE_TIME = '2026-01-31T09:00:00Z'

export const CODE_SYSTEMS = [LOINC, 'http://snomed.info/sct'] as const

export const CATEGORY = {
  name: 'category',
  kind: 'typed',
  icon: 'folder-o',
  set: 'categoryCode',
  problemsAt: ['main.category', 'main.category.coding'],
  suggest: ['LAB', 'RAD', 'CG', 'PAT', 'vital-signs', 'laboratory', 'imaging'],
} as const satisfies Field

/** Returns the fields for the identifier that the sender gives to the resource. */
export const identifierRows = <const H extends string>(hint: H) =>
  [
    {
      name: 'identifier',
      kind: 'typed',
      icon: 'hashtag',
      hint,
      set: 'identifier',
      problemsAt: ['main.identifier'],
    },
    {
      name: 'identifierSystem',
      kind: 'typed',
      icon: 'hashtag',
      set: 'identifierSystem',
      with: 'identifier',
    },
  ] as const satisfies readonly Field[]

export const DATA = section('data', [
  {
    name: 'data',
    kind: 'typed',
    icon: 'cubes',
    types: ['msg', 'flow', 'global', 'json', 'jsonata'],
    valueType: 'msg',
    checks: ['json'],
    sample: {
      resourceType: 'Patient',
      identifier: [{ value: '0000000001' }],
      name: [{ family: 'Patient', given: ['Sample'] }],
      birthDate: '2000-01-31',
      gender: 'unknown',
    },
  },
])
