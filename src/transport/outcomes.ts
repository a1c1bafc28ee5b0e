import type { RedoxErrorCode } from '../errors'

/** What a request was for decides what a failure means: only a message can put a second copy into a chart. */
export type Purpose = 'token' | 'upload' | 'send'

/**
 * How an attempt ended that gave no usable 2xx. `sent` = bytes of the request left this machine; `ofSource` = the answer
 * says that the source is refused, which another token cannot change.
 */
export type Ending = { status: number; ofSource?: boolean } | { fault: Fault; sent: boolean }

/**
 * With `tls` and `proxyRefused` Redox has read nothing. `unreadable` and `unclear` are 2xx that say neither yes nor no:
 * no JSON, and JSON that is no answer of Redox (of a message only).
 */
export type Fault =
  'connect' | 'tls' | 'proxy' | 'proxyRefused' | 'network' | 'timeout' | 'unreadable' | 'unclear' | 'aborted'

/**
 * What becomes of a failed attempt (design/SAFETY):
 * `rejected` and `stopped` end it; `unauthorised` is replayed once with a fresh token; `again` was not processed
 * and is retried; `unknown` may be in the chart and is repeated only where somebody chose that.
 */
export type Outcome = 'rejected' | 'unauthorised' | 'again' | 'unknown' | 'stopped'

export interface Row {
  /** HTTP status, or the first and the last of a range */
  status?: number | readonly [number, number]
  fault?: Fault
  /** only when bytes of the request have left, or only when none have */
  sent?: boolean
  /** only when the source is refused, not the token */
  ofSource?: true
  purpose?: Purpose
  outcome: Outcome
  code: RedoxErrorCode
  says: string
}

/**
 * The outcomes of design/SAFETY as one table: the first row that fits decides. Columns from left to right: how the
 * attempt ended, what it was for, what becomes of it, and how the error is called and begins.
 */
// prettier-ignore
export const OUTCOMES: readonly Row[] = [
  { fault: 'aborted', sent: false,                  outcome: 'stopped', code: 'REDOX_ABORTED', says: 'was stopped before anything was sent' },
  { fault: 'aborted', purpose: 'send',              outcome: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', says: 'was stopped while it was under way' },
  { fault: 'aborted',                               outcome: 'stopped', code: 'REDOX_ABORTED', says: 'was stopped' },

  { fault: 'connect',                               outcome: 'again', code: 'REDOX_NETWORK', says: 'could not reach the server' },
  { fault: 'tls', sent: false,                      outcome: 'again', code: 'REDOX_TLS', says: 'was not sent: there is no TLS connection that can be trusted' },
  { fault: 'tls',                                   outcome: 'rejected', code: 'REDOX_TLS', says: 'was not sent: the server refused the TLS connection' },
  { fault: 'proxy',                                 outcome: 'again', code: 'REDOX_NETWORK', says: 'could not get through the proxy' },
  { fault: 'proxyRefused',                          outcome: 'rejected', code: 'REDOX_CONFIGURATION', says: 'was not sent: the proxy refused it' },
  { fault: 'network', purpose: 'send',              outcome: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', says: 'was sent, but the connection broke before the answer came' },
  { fault: 'network',                               outcome: 'again', code: 'REDOX_NETWORK', says: 'lost the connection' },
  { fault: 'timeout', sent: false,                  outcome: 'again', code: 'REDOX_TIMEOUT', says: 'timed out before anything was sent' },
  { fault: 'timeout', purpose: 'send',              outcome: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', says: 'was sent, but no answer came in time' },
  { fault: 'timeout',                               outcome: 'again', code: 'REDOX_TIMEOUT', says: 'got no answer in time' },
  { fault: 'unreadable', purpose: 'send',           outcome: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', says: 'was accepted by the server, but its answer cannot be read' },
  { fault: 'unclear',                               outcome: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', says: 'was sent, but its answer says neither that it was taken nor that it was refused' },
  { fault: 'unreadable',                            outcome: 'again', code: 'REDOX_UNAVAILABLE', says: 'got an answer that cannot be read' },

  { status: 400, purpose: 'token',                  outcome: 'rejected', code: 'REDOX_AUTHENTICATION', says: 'was refused' },
  { status: 401, purpose: 'token',                  outcome: 'rejected', code: 'REDOX_AUTHENTICATION', says: 'was refused' },
  { status: 403, purpose: 'token',                  outcome: 'rejected', code: 'REDOX_AUTHENTICATION', says: 'was refused' },
  { status: 401, ofSource: true,                    outcome: 'rejected', code: 'REDOX_AUTHENTICATION', says: 'was refused: the source is not authorized' },
  { status: 401,                                    outcome: 'unauthorised', code: 'REDOX_AUTHENTICATION', says: 'was refused: the access token was not accepted' },
  { status: 403,                                    outcome: 'rejected', code: 'REDOX_FORBIDDEN', says: 'was forbidden' },
  { status: 408, purpose: 'send',                   outcome: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', says: 'was sent, but Redox gave up waiting' },
  { status: 408,                                    outcome: 'again', code: 'REDOX_TIMEOUT', says: 'got no answer in time' },
  { status: 413,                                    outcome: 'rejected', code: 'REDOX_TOO_LARGE', says: 'was refused as too large' },
  { status: 429,                                    outcome: 'again', code: 'REDOX_RATE_LIMITED', says: 'was refused: too many requests (limit per rolling 5 minutes)' },
  { status: 502,                                    outcome: 'again', code: 'REDOX_UNAVAILABLE', says: 'was not processed: Redox is not available' },
  { status: 503,                                    outcome: 'again', code: 'REDOX_UNAVAILABLE', says: 'was not processed: Redox is not available' },
  { status: [500, 599], purpose: 'send',            outcome: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', says: 'was sent, but Redox failed while it worked on it' },
  { status: [500, 599],                             outcome: 'again', code: 'REDOX_UNAVAILABLE', says: 'failed inside Redox' },
  { status: [0, 999],                               outcome: 'rejected', code: 'REDOX_REJECTED', says: 'was rejected' },
]

/** The row of the table that an ending falls under. */
export function classify(ending: Ending, purpose: Purpose): Row {
  return OUTCOMES.find((row) => (row.purpose ?? purpose) === purpose && fits(row, ending))!
}

function fits(row: Row, ending: Ending): boolean {
  if ('fault' in ending) return row.fault === ending.fault && (row.sent ?? ending.sent) === ending.sent
  if (row.status === undefined || (row.ofSource && !ending.ofSource)) return false
  const [first, last] = typeof row.status === 'number' ? [row.status, row.status] : row.status
  return first <= ending.status && ending.status <= last
}
