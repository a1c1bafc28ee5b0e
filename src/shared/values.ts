/** Value sets that both the runtime and the dialogs use. */

const ENDED = ['cancelled', 'entered-in-error', 'unknown'] as const

/** FHIR R4, `DiagnosticReport.status`. */
export const REPORT_STATUS = [
  ...(['registered', 'partial', 'preliminary', 'final', 'amended', 'corrected', 'appended'] as const),
  ...ENDED,
] as const

/** FHIR R4, `Observation.status`. */
export const OBSERVATION_STATUS = [
  ...(['registered', 'preliminary', 'final', 'amended', 'corrected'] as const),
  ...ENDED,
] as const

/** FHIR R4, `DocumentReference.status`. */
export const DOCUMENT_STATUS = ['current', 'superseded', 'entered-in-error'] as const

/** FHIR R4, `Patient.gender`. */
export const GENDERS = ['female', 'male', 'other', 'unknown'] as const

/** The system of LOINC's codes in FHIR. */
export const LOINC = 'http://loinc.org'

/** The content type that says no more than "bytes". */
export const OCTET_STREAM = 'application/octet-stream'

/** Redox Data Model Notes, `Note.ContentType`. */
export const NOTE_CONTENT_TYPES = ['Base64 Encoded', 'Plain Text', 'Rich Text'] as const

/** Environments of Redox. */
export const ENVIRONMENTS = ['Development', 'Staging', 'Production'] as const
export type Environment = (typeof ENVIRONMENTS)[number]

/** Targets of a connection: the sandbox of this package, or an environment of Redox. */
export const TARGETS = ['Sandbox', ...ENVIRONMENTS] as const
export type TargetEnvironment = (typeof TARGETS)[number]

/**
 * States of a job:
 * - `waiting`: to be sent when it is due, and when it is the first of its destination if it is ordered
 * - `sending`: a process has leased it and is sending it
 * - `parked`: not sent until a person decides, because Redox refused it, it could not be sent in time, or its outcome
 *   is unknown
 * - `delivered`, `discarded`: done; still stored for some time, so that people can look it up
 */
export const MESSAGE_STATES = ['waiting', 'sending', 'parked', 'delivered', 'discarded'] as const
export type MessageState = (typeof MESSAGE_STATES)[number]

/** Actions that a person can apply to a message. */
export const ACTIONS = ['resend', 'mark-delivered', 'discard', 'extend'] as const
export type Action = (typeof ACTIONS)[number]

/** Store keys of the published example flows. They are public, so only connections to the sandbox accept them. */
export const PUBLISHED_KEYS: ReadonlySet<string> = new Set(['known to everybody, for the sandbox only'])

/** Smallest number of characters of a store key. */
export const MIN_STORE_KEY_LENGTH = 16
