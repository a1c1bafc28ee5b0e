/** Sets of allowed values that both the runtime and the edit dialogs use. */

const ENDED = ['cancelled', 'entered-in-error', 'unknown'] as const

/** Values of `DiagnosticReport.status` in FHIR R4. */
export const REPORT_STATUS = [
  ...(['registered', 'partial', 'preliminary', 'final', 'amended', 'corrected', 'appended'] as const),
  ...ENDED,
] as const

/** Values of `Observation.status` in FHIR R4. */
export const OBSERVATION_STATUS = [
  ...(['registered', 'preliminary', 'final', 'amended', 'corrected'] as const),
  ...ENDED,
] as const

/** Values of `DocumentReference.status` in FHIR R4. */
export const DOCUMENT_STATUS = ['current', 'superseded', 'entered-in-error'] as const

/** Values of `Patient.gender` in FHIR R4. */
export const GENDERS = ['female', 'male', 'other', 'unknown'] as const

/** Code system URI of LOINC in FHIR. */
export const LOINC = 'http://loinc.org'

/** Content type of any bytes, which contains no information about the format. */
export const OCTET_STREAM = 'application/octet-stream'

/** Values of `Note.ContentType` in the Notes messages of the Data Model API. */
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

/** Actions in the audit log: those about messages, and those about destinations, contents, logs and stores. */
export type AuditedAction =
  Action | 'pause' | 'resume' | 'try-now' | 'look' | 'look-up' | 'move' | 'begin-new'

/**
 * Status of a delivery in Redox's logs. `unknown`: Redox gave no status of an attempt, a status that is not documented,
 * or two that contradict.
 */
export type LogStatus = 'succeeded' | 'failed' | 'filtered' | 'pending' | 'unknown'

/**
 * Verdict of Redox's logs about a delivered message: all its destinations accepted it, at least one refused it, or it is
 * not known of all. The codes are those of the errors of redox-log.
 */
export const VERDICTS = ['accepted', 'REDOX_NOT_DELIVERED', 'REDOX_NOT_CONFIRMED'] as const
export type Verdict = (typeof VERDICTS)[number]

/** Returns true if a destination refused the message after Redox had accepted it: a person has to decide about it. */
export const isRefusedLater = ({
  state,
  reason,
}: {
  state: MessageState
  reason?: string | undefined
}): boolean => state === 'delivered' && reason === ('REDOX_NOT_DELIVERED' satisfies Verdict)

/** Last known status of the delivery to one destination. */
export interface LogVerdict {
  logId: string
  status: LogStatus
  /** stage of a failed delivery, and code of the destination's answer, e.g. its HTTP status */
  stage?: string
  code?: string
}

/** Store keys of the published example flows. They are public, so only connections to the sandbox accept them. */
export const PUBLISHED_KEYS: ReadonlySet<string> = new Set(['known to everybody, for the sandbox only'])

/** Minimum length of a store key, in characters. */
export const MIN_STORE_KEY_LENGTH = 16

/**
 * Settings of a database server that decide what a store there costs or keeps: `synchronous_commit=off`, replicas that
 * a commit does not wait for, and `fsync=off`.
 */
export type StoreWarning = 'commitOff' | 'asynchronous' | 'fsyncOff'

/** Fraction of its limit from which a store counts as nearly full. */
export const NEARLY_FULL = 0.8
/** Fraction of its limit below which a store no longer counts as nearly full: less, so that the state does not change often. */
export const NO_LONGER_NEARLY_FULL = 0.7
