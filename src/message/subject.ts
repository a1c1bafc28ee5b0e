import type { Problem } from '../errors'
import { isBlank, isSame } from './fields'
import { getAt, isObject, type Json, type JsonObject } from './json'
import {
  containedIn,
  entriesOf,
  parseReference,
  resourceOf,
  searchedIdentifier,
  type Reference,
} from './references'

export interface Subject {
  /** Patient resource of the message that the main resource refers to; it receives the values of the form */
  patient?: JsonObject
  /** true if a reference to the patient must still be set in the main resource */
  needsLink?: boolean
  /** true if a patient is identified, in the message or by a reference to the destination */
  isIdentified: boolean
  /** true if the patient is identified only by a reference to a resource at the destination */
  isOnlyReferredTo?: boolean
}

/** Patient fields that a user filled in in the form of the node. */
export interface FormPatient {
  isGiven: boolean
  /** identifier of the patient in the form */
  identifier?: JsonObject
}

const NO_PATIENT_NAMED: Subject = { isIdentified: false }

/**
 * Finds the Patient of a report. The Patient is the report's subject, independently of the order of the entries.
 * Without a subject, the only Patient of the message is used. If the data has no Patient, one is created from the form.
 */
export function subjectOf(
  entries: JsonObject[],
  main: JsonObject,
  form: FormPatient,
  problems: Problem[],
): Subject {
  const path = `${String(main.resourceType)}.subject`
  const refuse = (problem: string, fix: string): Subject => {
    problems.push({ path, problem, fix })
    return { isIdentified: true }
  }
  const { subject } = main
  const patients = entries.filter((entry) => resourceOf(entry).resourceType === 'Patient')
  const given = isObject(subject) ? subject : {}
  if (typeof given.reference === 'string' && given.reference !== '')
    return byReference(given.reference, { entries, patients, main, form, refuse })
  if (isObject(given.identifier) && !isBlank(given.identifier.value))
    return byIdentifier(given.identifier, { entries, patients, main, form, refuse })
  const [only, ...others] = patients
  if (others.length > 0) {
    return refuse(
      `is missing, and the data has ${patients.length} Patients`,
      'Refer to one of them, e.g. by Patient/<id>, or remove the others from the data.',
    )
  }
  const isOther = given.extension !== undefined || given._reference !== undefined || !isPatient(given.type)
  if (isOther && form.isGiven) return refuse(...NOT_TIED)
  if (only === undefined && !form.isGiven) return NO_PATIENT_NAMED
  const patient = only === undefined ? addPatient(entries, {}) : resourceOf(only)
  return { patient, needsLink: !isOther, isIdentified: true }
}

interface SubjectSearch {
  entries: JsonObject[]
  patients: JsonObject[]
  main: JsonObject
  form: FormPatient
  refuse: (problem: string, fix: string) => Subject
}

const NOT_TIED: [string, string] = [
  'does not match the patient of the message',
  'Refer to the Patient of the Bundle by Patient/<id> or by its fullUrl, or leave the subject out.',
]

const isPatient = (type: Json | undefined): boolean => isBlank(type) || type === 'Patient'

function byReference(text: string, search: SubjectSearch): Subject {
  const { entries, patients, main, form, refuse } = search
  const searched = searchedIdentifier(text)
  if (searched !== undefined) return byIdentifier(searched, search)
  const reference = parseReference(text)
  if (reference === undefined) return refuse(...NOT_TIED)
  if (reference.contained !== undefined) {
    const contained = containedIn(main, reference.contained)
    if (contained?.resourceType !== 'Patient') return refuse(...NOT_TIED)
    return { patient: contained, isIdentified: true }
  }
  const [found, ...others] = entriesOf(entries, reference, main)
  if (others.length > 0) {
    return refuse(
      'is ambiguous: it refers to several entries of the Bundle',
      'Give each entry its own id and fullUrl, and refer to one of them by its fullUrl.',
    )
  }
  const type = found === undefined ? reference.type : resourceOf(found).resourceType
  if (!isPatient(type)) {
    // The subject is not a Patient (e.g. a Group or Device), so only a Patient resource in the message can identify the
    // patient.
    return form.isGiven || patients.length === 0 ? refuse(...NOT_TIED) : { isIdentified: true }
  }
  if (found !== undefined) return linkedSubject(found, reference)
  const [only, ...more] = patients
  if (only === undefined) return form.isGiven ? added(entries, reference) : atDestination(reference, search)
  const isAnonymous = more.length === 0 && isBlank(only.fullUrl) && isBlank(resourceOf(only).id)
  return isAnonymous ? linkedSubject(only, reference) : refuse(...NOT_TIED)
}

/** Sets a Patient entry's id and fullUrl to the values in a reference, if the entry has no fullUrl. */
function linkedSubject(entry: JsonObject, { id, url }: Reference): Subject {
  const patient = resourceOf(entry)
  if (id !== undefined && isBlank(entry.fullUrl)) patient.id ??= id
  if (url !== undefined && isBlank(entry.fullUrl)) entry.fullUrl = url
  return { patient, isIdentified: true }
}

const added = (entries: JsonObject[], { id, url }: Reference): Subject => ({
  patient: addPatient(entries, { ...(id !== undefined && { id }) }, url),
  isIdentified: true,
})

function addPatient(entries: JsonObject[], given: JsonObject, fullUrl?: string): JsonObject {
  const resource: JsonObject = { resourceType: 'Patient', ...given }
  entries.push({ ...(fullUrl !== undefined && { fullUrl }), resource })
  return resource
}

// Publicly available clients of Redox identify the patient only by the resource id at the destination
// (docs/redox-api.md#leniency).
function atDestination({ url }: Reference, { main, refuse }: SubjectSearch): Subject {
  if (url !== undefined && /^urn:/i.test(url)) {
    return refuse(
      'refers to no entry of the Bundle',
      'Add the Patient with that fullUrl, or refer to a patient at the destination by Patient/<id>.',
    )
  }
  const isOnlyReferredTo = isBlank(getAt(main, ['subject', 'identifier', 'value']))
  return { isIdentified: true, isOnlyReferredTo }
}

const isSameIdentifier = (one: JsonObject, other: JsonObject): boolean =>
  isSame(one.system, other.system) && one.value === other.value

function byIdentifier(identifier: JsonObject, search: SubjectSearch): Subject {
  const { entries, patients, form, refuse } = search
  const found = patients.filter((entry) => {
    const { identifier: own } = resourceOf(entry)
    return (Array.isArray(own) ? own : []).some((one) => isObject(one) && isSameIdentifier(one, identifier))
  })
  const own = form.identifier
  const isOfForm = own !== undefined && isSameIdentifier(own, identifier)
  const [only, ...others] = found.length === 0 && isOfForm ? patients : found
  if (others.length > 0) return refuse(...NOT_TIED)
  if (only !== undefined) return { patient: resourceOf(only), isIdentified: true }
  if (patients.length > 0) return refuse(...NOT_TIED)
  if (!form.isGiven) return { isIdentified: true }
  if (own !== undefined && !isOfForm && isSame(own.system, identifier.system)) {
    return refuse(
      'does not match the Patient ID of the node',
      'Correct the subject, or the Patient ID field.',
    )
  }
  return { patient: addPatient(entries, { identifier: [structuredClone(identifier)] }), isIdentified: true }
}
