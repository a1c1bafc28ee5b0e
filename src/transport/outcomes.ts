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
 * What becomes of a failed attempt (docs/design/outcomes.md):
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
  /** what is wrong: the text of the error begins with it */
  says: string
}

/**
 * The outcomes of docs/design/outcomes.md as one table: the first row that fits decides. Columns from left to right:
 * how the attempt ended, what it was for, what becomes of it, and how the error is called and begins.
 */
// prettier-ignore
export const OUTCOMES: readonly Row[] = [
  { fault: 'aborted', sent: false,                  outcome: 'stopped', code: 'REDOX_ABORTED', says: 'Stopped before sending' },
  { fault: 'aborted', purpose: 'send',              outcome: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', says: 'Outcome unknown: stopped while sending' },
  { fault: 'aborted',                               outcome: 'stopped', code: 'REDOX_ABORTED', says: 'Stopped' },

  { fault: 'connect',                               outcome: 'again', code: 'REDOX_NETWORK', says: 'Server not reachable' },
  { fault: 'tls', sent: false,                      outcome: 'again', code: 'REDOX_TLS', says: 'TLS connection not trusted' },
  { fault: 'tls',                                   outcome: 'rejected', code: 'REDOX_TLS', says: 'TLS refused by the server' },
  { fault: 'proxy',                                 outcome: 'again', code: 'REDOX_NETWORK', says: 'Proxy not reachable' },
  { fault: 'proxyRefused',                          outcome: 'rejected', code: 'REDOX_CONFIGURATION', says: 'Refused by the proxy' },
  { fault: 'network', purpose: 'send',              outcome: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', says: 'Outcome unknown: connection lost before the answer' },
  { fault: 'network',                               outcome: 'again', code: 'REDOX_NETWORK', says: 'Connection lost' },
  { fault: 'timeout', sent: false,                  outcome: 'again', code: 'REDOX_TIMEOUT', says: 'Timeout before sending' },
  { fault: 'timeout', purpose: 'send',              outcome: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', says: 'Outcome unknown: no answer in time' },
  { fault: 'timeout',                               outcome: 'again', code: 'REDOX_TIMEOUT', says: 'No answer in time' },
  { fault: 'unreadable', purpose: 'send',           outcome: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', says: 'Outcome unknown: answer unreadable' },
  { fault: 'unclear',                               outcome: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', says: 'Outcome unknown: answer not understood' },
  { fault: 'unreadable',                            outcome: 'again', code: 'REDOX_UNAVAILABLE', says: 'Answer unreadable' },

  { status: 400, purpose: 'token',                  outcome: 'rejected', code: 'REDOX_AUTHENTICATION', says: 'Login refused by Redox' },
  { status: 401, purpose: 'token',                  outcome: 'rejected', code: 'REDOX_AUTHENTICATION', says: 'Login refused by Redox' },
  { status: 403, purpose: 'token',                  outcome: 'rejected', code: 'REDOX_AUTHENTICATION', says: 'Login refused by Redox' },
  { status: 401, ofSource: true,                    outcome: 'rejected', code: 'REDOX_AUTHENTICATION', says: 'Source not authorized' },
  { status: 401,                                    outcome: 'unauthorised', code: 'REDOX_AUTHENTICATION', says: 'Access token not accepted' },
  { status: 403,                                    outcome: 'rejected', code: 'REDOX_FORBIDDEN', says: 'Forbidden by Redox' },
  { status: 408, purpose: 'send',                   outcome: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', says: 'Outcome unknown: Redox timed out' },
  { status: 408,                                    outcome: 'again', code: 'REDOX_TIMEOUT', says: 'No answer in time' },
  { status: 413,                                    outcome: 'rejected', code: 'REDOX_TOO_LARGE', says: 'Too large for Redox' },
  { status: 429,                                    outcome: 'again', code: 'REDOX_RATE_LIMITED', says: 'Too many requests' },
  { status: 502,                                    outcome: 'again', code: 'REDOX_UNAVAILABLE', says: 'Redox is unavailable' },
  { status: 503,                                    outcome: 'again', code: 'REDOX_UNAVAILABLE', says: 'Redox is unavailable' },
  { status: [500, 599], purpose: 'send',            outcome: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', says: 'Outcome unknown: Redox failed' },
  { status: [500, 599],                             outcome: 'again', code: 'REDOX_UNAVAILABLE', says: 'Redox failed' },
  { status: [0, 999],                               outcome: 'rejected', code: 'REDOX_REJECTED', says: 'Rejected by Redox' },
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
