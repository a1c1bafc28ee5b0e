import type { HttpAnswer } from '../transport/http'
import type { AnswerFacts } from './read-answer'

/**
 * Values of a successful answer for the node status, the log, `msg.redox` and the outbox, apart from the HTTP status,
 * the headers ({@link publicHeaders}) and the body. The fields are fixed, and the server makes up all their values, so
 * they need no redaction against the message (ADR 9).
 */
export interface PublicFacts {
  /** ids for the log search of the Redox dashboard */
  logIds: string[]
  /** Data Model API: older id (`Meta.Message.ID`), for answers without log ids */
  messageId?: string
  traceId?: string
  /** FHIR: locations of the created resources, which flows use as references */
  locations: string[]
}

/** Headers of a successful answer that are copied to `msg.redox.headers`. */
const PUBLIC_HEADERS = [
  'content-location',
  'content-type',
  'date',
  'etag',
  'last-modified',
  'location',
  'retry-after',
  'x-ratelimit-limit',
  'x-ratelimit-remaining',
  'x-ratelimit-reset',
]

/** Pattern of a UUID, 24 to 64 hexadecimal digits, or a `traceparent` (W3C Trace Context, section 3.2). */
const RANDOM_ID =
  /^(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{24,64}|[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})$/i

/**
 * Returns an id that Redox generated: random, or a JSON number. A short text could be a patient identifier: undefined.
 */
export function generatedId(id: string | number | undefined): string | undefined {
  if (typeof id === 'number') return Number.isSafeInteger(id) && id >= 0 ? String(id) : undefined
  return id !== undefined && RANDOM_ID.test(id) ? id : undefined
}

/** Extracts the public values of an answer. Ids without the form of a generated id are left out. */
export function publicFacts(facts: AnswerFacts): PublicFacts {
  const logIds = facts.logIds.flatMap((id) => generatedId(id) ?? [])
  const messageId = logIds.length === 0 ? generatedId(facts.messageId) : undefined
  const traceId = generatedId(facts.traceId)
  return {
    logIds,
    ...(messageId !== undefined && { messageId }),
    ...(traceId !== undefined && { traceId }),
    locations: facts.locations,
  }
}

/** Copies the headers in {@link PUBLIC_HEADERS}. */
export const publicHeaders = (headers: HttpAnswer['headers']): HttpAnswer['headers'] =>
  Object.fromEntries(
    PUBLIC_HEADERS.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]])),
  )
