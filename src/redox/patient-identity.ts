import { isObject, type JsonObject } from '../message/json'
import type { PreparedMessage } from '../message/prepared'
import { containedIn, entriesOf, parseReference, resourceOf, searchedIdentifier } from '../message/references'

/** Identifiers of a patient in a message: each pair is a type or system and a value. In any order, without repetitions. */
type PatientIdentifiers = [type: string, value: string][]

/**
 * Returns a text that is the same for all messages with the same identifiers of their patient, in whatever order they
 * are; undefined for a message whose patient has none. Contains patient data.
 *
 * Data Model: `Patient.Identifiers`, with ID and type. FHIR: the identifiers of the Patient that is the subject of the
 * operation's resource; if it has none, or is not in the Bundle, the reference `Patient/<id>`.
 */
export function patientIdentityOf({
  api,
  operation,
  body,
}: Pick<PreparedMessage, 'api' | 'operation' | 'body'>): string | undefined {
  const identity = api === 'fhir' ? ofBundle(body, operation) : ofDataModel(body)
  const pairs = [...new Set(identity.map((pair) => JSON.stringify(pair)))].sort()
  return pairs.length === 0 ? undefined : JSON.stringify(pairs)
}

const ofDataModel = ({ Patient }: JsonObject): PatientIdentifiers =>
  isObject(Patient) ? pairsIn(Patient.Identifiers, 'IDType', 'ID') : []

function ofBundle({ entry }: JsonObject, operation: string): PatientIdentifiers {
  const entries = (Array.isArray(entry) ? entry : []).filter(
    (one): one is JsonObject => isObject(one) && isObject(one.resource),
  )
  const [type] = operation.split('/')
  const found = entries.map(resourceOf).filter(({ resourceType }) => resourceType === type)
  const [first = [], ...others] = found.map((main) => ofSubject(entries, main))
  // Resources about different patients name no one patient.
  return others.some((other) => JSON.stringify(other) !== JSON.stringify(first)) ? [] : first
}

function ofSubject(entries: JsonObject[], main: JsonObject): PatientIdentifiers {
  const subject = isObject(main.subject) ? main.subject : {}
  const referred = typeof subject.reference === 'string' ? byReference(entries, main, subject.reference) : []
  return referred.length > 0 ? referred : pairsIn([subject.identifier], 'system', 'value')
}

function byReference(entries: JsonObject[], main: JsonObject, text: string): PatientIdentifiers {
  const searched = searchedIdentifier(text)
  if (searched !== undefined) return pairsIn([searched], 'system', 'value')
  const reference = parseReference(text)
  if (reference === undefined) return []
  const { contained, type, id } = reference
  const [entry] = entriesOf(entries, reference, main)
  const patient = contained === undefined ? entry && resourceOf(entry) : containedIn(main, contained)
  const identifiers = pairsIn(patient?.identifier, 'system', 'value')
  if (identifiers.length > 0) return identifiers
  // A URN is new in each Bundle, so that it does not name the patient in other messages.
  return type === 'Patient' && id !== undefined ? [['Patient', id]] : []
}

const pairsIn = (list: unknown, type: string, value: string): PatientIdentifiers =>
  (Array.isArray(list) ? list : []).flatMap((one: unknown): PatientIdentifiers => {
    if (!isObject(one) || typeof one[value] !== 'string' || one[value] === '') return []
    return [[typeof one[type] === 'string' ? one[type] : '', one[value]]]
  })
