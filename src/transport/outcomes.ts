import { present } from '../shared/present'
import type { RedoxErrorCode, Retry } from '../error-codes'

/**
 * Kind of a request, which decides on the consequences of a failure: only a repeated message can file a second copy in
 * a chart.
 */
export type Purpose = 'token' | 'upload' | 'send'

/**
 * Failure of an attempt that got no usable 2xx. `sent`: bytes of the request have left this machine. `ofSource`: the
 * answer refuses the source, which a new token cannot change.
 */
export type Ending = { status: number; ofSource?: boolean } | { fault: Fault; sent: boolean }

/**
 * Cause of a failure. With `tls` and `proxyRefused` Redox has read nothing. `unreadable` and `unclear` are 2xx answers
 * that are neither a success nor an error of Redox: the first are not JSON, the second are JSON of unknown shape
 * (answers to messages only).
 */
export type Fault =
  'connect' | 'tls' | 'proxy' | 'proxyRefused' | 'network' | 'timeout' | 'unreadable' | 'unclear' | 'aborted'

/**
 * Next step of a delivery after a failed attempt. `ifChosen`: another attempt, if the connection repeats messages whose
 * outcome is unknown.
 */
type Next = 'again' | 'end' | 'ifChosen'

/**
 * Next step of direct and durable delivery by `error.cause.retry`. Direct delivery ends with the error; durable
 * delivery parks the message. Errors of the connection (key, certificate) are retried in durable delivery until _Retry
 * for_ is over, so that a revoked key delays ten thousand messages instead of parking them.
 */
const NEXT: Readonly<Record<Retry, { direct: Next; durable: Next }>> = {
  never: { direct: 'end', durable: 'end' },
  safe: { direct: 'again', durable: 'again' },
  connection: { direct: 'end', durable: 'again' },
  unknown: { direct: 'ifChosen', durable: 'ifChosen' },
}

/** Returns true if a message is sent again after an error. */
export function isTriedAgain(
  retry: Retry,
  delivery: 'direct' | 'durable',
  { repeatUnknown }: { repeatUnknown: boolean },
): boolean {
  const next = NEXT[retry][delivery]
  return next === 'again' || (next === 'ifChosen' && repeatUnknown)
}

export interface Row {
  /** HTTP status, or first and last status of a range */
  status?: number | readonly [number, number]
  fault?: Fault
  /** condition: true if bytes of the request must have left, false if none may have left */
  sent?: boolean
  /** condition: the source is refused, not the token */
  ofSource?: true
  purpose?: Purpose
  /** `error.cause.retry` */
  retry: Retry
  /** the token is refused: the request is sent once more with a new token before the error counts */
  renewsToken?: true
  code: RedoxErrorCode
  /** beginning of the error text */
  says: string
}

/**
 * Table of outcomes (docs/design/outcomes.md); the first matching row decides. Columns from left to right: conditions
 * on the failure and the kind of request, advice on a repeat, error code and beginning of the error text.
 */
// prettier-ignore
export const OUTCOMES: readonly Row[] = [
  { fault: 'aborted', sent: false,                  retry: 'safe', code: 'REDOX_ABORTED', says: 'Stopped before sending' },
  { fault: 'aborted', purpose: 'send',              retry: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', says: 'Outcome unknown: stopped while sending' },
  { fault: 'aborted',                               retry: 'safe', code: 'REDOX_ABORTED', says: 'Stopped' },

  { fault: 'connect',                               retry: 'safe', code: 'REDOX_NETWORK', says: 'Server not reachable' },
  { fault: 'tls', sent: false,                      retry: 'safe', code: 'REDOX_TLS', says: 'TLS connection not trusted' },
  { fault: 'tls',                                   retry: 'connection', code: 'REDOX_TLS', says: 'TLS refused by the server' },
  { fault: 'proxy',                                 retry: 'safe', code: 'REDOX_NETWORK', says: 'Proxy not reachable' },
  { fault: 'proxyRefused',                          retry: 'connection', code: 'REDOX_CONFIGURATION', says: 'Refused by the proxy' },
  { fault: 'network', purpose: 'send',              retry: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', says: 'Outcome unknown: connection lost before the answer' },
  { fault: 'network',                               retry: 'safe', code: 'REDOX_NETWORK', says: 'Connection lost' },
  { fault: 'timeout', sent: false,                  retry: 'safe', code: 'REDOX_TIMEOUT', says: 'Timeout before sending' },
  { fault: 'timeout', purpose: 'send',              retry: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', says: 'Outcome unknown: no answer in time' },
  { fault: 'timeout',                               retry: 'safe', code: 'REDOX_TIMEOUT', says: 'No answer in time' },
  { fault: 'unreadable', purpose: 'send',           retry: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', says: 'Outcome unknown: answer unreadable' },
  { fault: 'unclear',                               retry: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', says: 'Outcome unknown: answer not understood' },
  { fault: 'unreadable',                            retry: 'safe', code: 'REDOX_UNAVAILABLE', says: 'Answer unreadable' },

  { status: 400, purpose: 'token',                  retry: 'connection', code: 'REDOX_AUTHENTICATION', says: 'Login refused by Redox' },
  { status: 401, purpose: 'token',                  retry: 'connection', code: 'REDOX_AUTHENTICATION', says: 'Login refused by Redox' },
  { status: 403, purpose: 'token',                  retry: 'connection', code: 'REDOX_AUTHENTICATION', says: 'Login refused by Redox' },
  { status: 401, ofSource: true,                    retry: 'connection', code: 'REDOX_AUTHENTICATION', says: 'Source not authorized' },
  { status: 401,                                    retry: 'connection', renewsToken: true, code: 'REDOX_AUTHENTICATION', says: 'Access token not accepted' },
  { status: 403,                                    retry: 'never', code: 'REDOX_FORBIDDEN', says: 'Forbidden by Redox' },
  { status: 408, purpose: 'send',                   retry: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', says: 'Outcome unknown: Redox timed out' },
  { status: 408,                                    retry: 'safe', code: 'REDOX_TIMEOUT', says: 'No answer in time' },
  { status: 413,                                    retry: 'never', code: 'REDOX_TOO_LARGE', says: 'Too large for Redox' },
  { status: 429,                                    retry: 'safe', code: 'REDOX_RATE_LIMITED', says: 'Too many requests' },
  { status: 502,                                    retry: 'safe', code: 'REDOX_UNAVAILABLE', says: 'Redox is unavailable' },
  { status: 503,                                    retry: 'safe', code: 'REDOX_UNAVAILABLE', says: 'Redox is unavailable' },
  { status: [500, 599], purpose: 'send',            retry: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', says: 'Outcome unknown: Redox failed' },
  { status: [500, 599],                             retry: 'safe', code: 'REDOX_UNAVAILABLE', says: 'Redox failed' },
  { status: [0, 999],                               retry: 'never', code: 'REDOX_REJECTED', says: 'Rejected by Redox' },
]

/** Returns the first row of the table that matches a failure. */
export function classify(ending: Ending, purpose: Purpose): Row {
  const found = OUTCOMES.find((row) => (row.purpose ?? purpose) === purpose && fits(row, ending))
  return present(found, 'the outcome of a request')
}

function fits(row: Row, ending: Ending): boolean {
  if ('fault' in ending) return row.fault === ending.fault && (row.sent ?? ending.sent) === ending.sent
  if (row.status === undefined || (row.ofSource && !ending.ofSource)) return false
  const [first, last] = typeof row.status === 'number' ? [row.status, row.status] : row.status
  return first <= ending.status && ending.status <= last
}
