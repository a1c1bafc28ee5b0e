import type { HttpAnswer } from '../transport/http'
import type { AnswerFacts } from './read-answer'

/**
 * What is told of a success beside its HTTP status, its headers ({@link publicHeaders}) and its body: in the status, the
 * log, `msg.redox` and the outbox. It is a fixed list of values that the server makes up itself, so that nothing has to
 * be compared with the message (ADR 9).
 */
export interface PublicFacts {
  /** ids for the dashboard's log search */
  logIds: string[]
  /** Data Model API: the older id, which answers without log ids may have */
  messageId?: string
  traceId?: string
  /** FHIR: locations of the resources made, which flows need as references */
  locations: string[]
}

/** The headers of a success that flows may read in `msg.redox.headers`. */
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

/** A UUID, 24 to 64 hexadecimal digits, or a `traceparent` (W3C Trace Context, section 3.2). */
const RANDOM_ID =
  /^(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{24,64}|[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})$/i

/** An id that Redox has made: random, or a JSON number. A short text may be an identifier of the patient. */
function idOf(id: string | number | undefined): string | undefined {
  if (typeof id === 'number') return Number.isSafeInteger(id) && id >= 0 ? String(id) : undefined
  return id !== undefined && RANDOM_ID.test(id) ? id : undefined
}

/** Ids that do not look like an id are left out. */
export function publicFacts(facts: AnswerFacts): PublicFacts {
  const logIds = facts.logIds.flatMap((id) => idOf(id) ?? [])
  const messageId = logIds.length === 0 ? idOf(facts.messageId) : undefined
  const traceId = idOf(facts.traceId)
  return {
    logIds,
    ...(messageId !== undefined && { messageId }),
    ...(traceId !== undefined && { traceId }),
    locations: facts.locations,
  }
}

/** Those of {@link PUBLIC_HEADERS} that an answer has. */
export const publicHeaders = (headers: HttpAnswer['headers']): HttpAnswer['headers'] =>
  Object.fromEntries(
    PUBLIC_HEADERS.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]])),
  )
