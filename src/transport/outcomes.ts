import { present } from '../shared/present'
import type { RedoxErrorCode, Retry } from '../error-codes'

/**
 * Kind of a request, which decides on the consequences of a failure: a message that is sent twice can end up twice in a
 * chart; repeating other requests is harmless.
 */
export type RequestKind = 'token' | 'upload' | 'send'

/**
 * Failure of an attempt that got no usable 2xx. `sent`: bytes of the request have been sent. `ofSource`: the response
 * refuses the source, which a new token cannot change.
 */
export type AttemptFailure = { status: number; ofSource?: boolean } | { fault: TransportFault; sent: boolean }

/**
 * Cause of a failure. With `tls` and `proxyRefused` Redox has read nothing. `unreadable` and `unclear` are 2xx
 * responses that are neither a success nor an error of Redox: the first are not JSON, the second are JSON of unknown
 * shape (responses to messages only).
 */
export type TransportFault =
  'connect' | 'tls' | 'proxy' | 'proxyRefused' | 'network' | 'timeout' | 'unreadable' | 'unclear' | 'aborted'

/**
 * Next step of a delivery after a failed attempt. `ifChosen`: another attempt only if the connection repeats messages
 * whose outcome is unknown.
 */
type NextStep = 'again' | 'end' | 'ifChosen'

/**
 * Next step of direct and of durable delivery after a failure, by its `error.cause.retry`. Direct delivery ends with
 * the error; durable delivery parks the message. Errors of the connection (key, certificate) are retried in durable
 * delivery until _Retry for_ is over, so that a revoked key delays the queued messages instead of parking them all.
 */
const NEXT_STEPS: Readonly<Record<Retry, { direct: NextStep; durable: NextStep }>> = {
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
  const next = NEXT_STEPS[retry][delivery]
  return next === 'again' || (next === 'ifChosen' && repeatUnknown)
}

export interface OutcomeRule {
  /** HTTP status, or first and last status of a range */
  status?: number | readonly [number, number]
  fault?: TransportFault
  /**
   * condition: true if bytes of the request must have been sent, false if none must have been sent; undefined: no
   * condition
   */
  sent?: boolean
  /** condition: the server refuses the source ID, not the token */
  ofSource?: true
  requestKind?: RequestKind
  /** value of `error.cause.retry` */
  retry: Retry
  /** the server refuses the token: the request is sent once more with a new token, and fails only if this fails, too */
  renewsToken?: true
  code: RedoxErrorCode
  /** beginning of the error text */
  message: string
}

/**
 * Table of outcomes (docs/design/outcomes.md); the first row that matches a failure is used. Columns from left to
 * right: conditions on the failure and the kind of request, advice on a repeat, error code and beginning of the error
 * text.
 */
// prettier-ignore
export const OUTCOMES: readonly OutcomeRule[] = [
  { fault: 'aborted', sent: false,                  retry: 'safe', code: 'REDOX_ABORTED', message: 'Stopped before sending' },
  { fault: 'aborted', requestKind: 'send',              retry: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', message: 'Outcome unknown: stopped while sending' },
  { fault: 'aborted',                               retry: 'safe', code: 'REDOX_ABORTED', message: 'Stopped' },

  { fault: 'connect',                               retry: 'safe', code: 'REDOX_NETWORK', message: 'Server not reachable' },
  { fault: 'tls', sent: false,                      retry: 'safe', code: 'REDOX_TLS', message: 'TLS connection not trusted' },
  { fault: 'tls',                                   retry: 'connection', code: 'REDOX_TLS', message: 'TLS refused by the server' },
  { fault: 'proxy',                                 retry: 'safe', code: 'REDOX_NETWORK', message: 'Proxy not reachable' },
  { fault: 'proxyRefused',                          retry: 'connection', code: 'REDOX_CONFIGURATION', message: 'Refused by the proxy' },
  { fault: 'network', requestKind: 'send',              retry: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', message: 'Outcome unknown: connection lost before the answer' },
  { fault: 'network',                               retry: 'safe', code: 'REDOX_NETWORK', message: 'Connection lost' },
  { fault: 'timeout', sent: false,                  retry: 'safe', code: 'REDOX_TIMEOUT', message: 'Timeout before sending' },
  { fault: 'timeout', requestKind: 'send',              retry: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', message: 'Outcome unknown: no answer in time' },
  { fault: 'timeout',                               retry: 'safe', code: 'REDOX_TIMEOUT', message: 'No answer in time' },
  { fault: 'unreadable', requestKind: 'send',           retry: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', message: 'Outcome unknown: answer unreadable' },
  { fault: 'unclear',                               retry: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', message: 'Outcome unknown: answer not understood' },
  { fault: 'unreadable',                            retry: 'safe', code: 'REDOX_UNAVAILABLE', message: 'Answer unreadable' },

  { status: 400, requestKind: 'token',                  retry: 'connection', code: 'REDOX_AUTHENTICATION', message: 'Login refused by Redox' },
  { status: 401, requestKind: 'token',                  retry: 'connection', code: 'REDOX_AUTHENTICATION', message: 'Login refused by Redox' },
  { status: 403, requestKind: 'token',                  retry: 'connection', code: 'REDOX_AUTHENTICATION', message: 'Login refused by Redox' },
  { status: 401, ofSource: true,                    retry: 'connection', code: 'REDOX_AUTHENTICATION', message: 'Source not authorized' },
  { status: 401,                                    retry: 'connection', renewsToken: true, code: 'REDOX_AUTHENTICATION', message: 'Access token not accepted' },
  { status: 403,                                    retry: 'never', code: 'REDOX_FORBIDDEN', message: 'Forbidden by Redox' },
  { status: 408, requestKind: 'send',                   retry: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', message: 'Outcome unknown: Redox timed out' },
  { status: 408,                                    retry: 'safe', code: 'REDOX_TIMEOUT', message: 'No answer in time' },
  { status: 413,                                    retry: 'never', code: 'REDOX_TOO_LARGE', message: 'Too large for Redox' },
  { status: 429,                                    retry: 'safe', code: 'REDOX_RATE_LIMITED', message: 'Too many requests' },
  { status: 502,                                    retry: 'safe', code: 'REDOX_UNAVAILABLE', message: 'Redox is unavailable' },
  { status: 503,                                    retry: 'safe', code: 'REDOX_UNAVAILABLE', message: 'Redox is unavailable' },
  { status: [500, 599], requestKind: 'send',            retry: 'unknown', code: 'REDOX_OUTCOME_UNKNOWN', message: 'Outcome unknown: Redox failed' },
  { status: [500, 599],                             retry: 'safe', code: 'REDOX_UNAVAILABLE', message: 'Redox failed' },
  { status: [0, 999],                               retry: 'never', code: 'REDOX_REJECTED', message: 'Rejected by Redox' },
]

/**
 * Returns the first row of the table that matches a failure. A `lookup` reads from Redox and changes nothing: only rows
 * for every kind of request apply to it.
 */
export function classifyFailure(failure: AttemptFailure, requestKind: RequestKind | 'lookup'): OutcomeRule {
  const found = OUTCOMES.find(
    (row) => (row.requestKind ?? requestKind) === requestKind && matches(row, failure),
  )
  return present(found, 'the outcome of a request')
}

function matches(row: OutcomeRule, failure: AttemptFailure): boolean {
  if ('fault' in failure) return row.fault === failure.fault && (row.sent ?? failure.sent) === failure.sent
  if (row.status === undefined || (row.ofSource && !failure.ofSource)) return false
  const [first, last] = typeof row.status === 'number' ? [row.status, row.status] : row.status
  return first <= failure.status && failure.status <= last
}
