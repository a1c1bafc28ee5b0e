import { present } from '../shared/present'
import type { RedoxErrorCode, Retry } from '../error-codes'

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

/** What a delivery does after a failed attempt. `ifChosen`: again, if the connection repeats what may have arrived. */
type Next = 'again' | 'end' | 'ifChosen'

/**
 * What the two kinds of delivery do after an error. Direct delivery ends with the error; durable delivery parks the
 * message. What only a change of the connection can mend waits in durable delivery until _Retry for_ is over, so that a
 * withdrawn key does not park ten thousand messages.
 */
const NEXT: Readonly<Record<Retry, { direct: Next; durable: Next }>> = {
  never: { direct: 'end', durable: 'end' },
  safe: { direct: 'again', durable: 'again' },
  connection: { direct: 'end', durable: 'again' },
  unknown: { direct: 'ifChosen', durable: 'ifChosen' },
}

/** Whether a message is tried again after an error. */
export function isTriedAgain(
  retry: Retry,
  delivery: 'direct' | 'durable',
  { repeatUnknown }: { repeatUnknown: boolean },
): boolean {
  const next = NEXT[retry][delivery]
  return next === 'again' || (next === 'ifChosen' && repeatUnknown)
}

export interface Row {
  /** HTTP status, or the first and the last of a range */
  status?: number | readonly [number, number]
  fault?: Fault
  /** only when bytes of the request have left, or only when none have */
  sent?: boolean
  /** only when the source is refused, not the token */
  ofSource?: true
  purpose?: Purpose
  /** `error.cause.retry` */
  retry: Retry
  /** the token is refused: the request is sent once more with a new one, before that counts */
  renewsToken?: true
  code: RedoxErrorCode
  /** what is wrong: the text of the error begins with it */
  says: string
}

/**
 * The outcomes of docs/design/outcomes.md as one table: the first row that fits decides. Columns from left to right:
 * how the attempt ended, what it was for, whether it may be tried again, and how the error is called and begins.
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

/** The row of the table that an ending falls under. */
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
