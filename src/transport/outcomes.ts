import type { RedoxErrorCode } from '../errors'

/** What a request was for decides what a failure means: only a message can put a second copy into a chart. */
export type Purpose = 'token' | 'upload' | 'send'

/** How an attempt ended that gave no usable 2xx. `sent` = bytes of the request left this machine. */
export type Ending =
  { status: number } | { fault: 'connect' | 'network' | 'timeout' | 'unreadable' | 'aborted'; sent: boolean }

interface Row {
  when: (ending: Ending) => boolean
  purpose?: Purpose
  code: RedoxErrorCode
  says: string
}

const status =
  (...codes: number[]) =>
  (ending: Ending): boolean =>
    'status' in ending && codes.includes(ending.status)
const statusRange =
  (from: number, to: number) =>
  (ending: Ending): boolean =>
    'status' in ending && ending.status >= from && ending.status <= to
const fault =
  (kind: string, sent?: boolean) =>
  (ending: Ending): boolean =>
    'fault' in ending && ending.fault === kind && (sent === undefined || ending.sent === sent)

/**
 * The outcomes of design/SAFETY as one table: the first row that fits decides. A message whose bytes left and
 * whose answer cannot be read may be in the chart: it ends as unknown and is never repeated silently.
 */
export const OUTCOMES: readonly Row[] = [
  { when: fault('aborted', false), code: 'REDOX_ABORTED', says: 'was stopped before anything was sent' },
  {
    when: fault('aborted'),
    purpose: 'send',
    code: 'REDOX_OUTCOME_UNKNOWN',
    says: 'was stopped while it was under way',
  },
  { when: fault('aborted'), code: 'REDOX_ABORTED', says: 'was stopped' },
  { when: fault('connect'), code: 'REDOX_NETWORK', says: 'could not reach the server' },
  {
    when: fault('network', false),
    code: 'REDOX_NETWORK',
    says: 'lost the connection before anything was sent',
  },
  { when: fault('timeout', false), code: 'REDOX_TIMEOUT', says: 'timed out before anything was sent' },
  {
    when: fault('timeout'),
    purpose: 'send',
    code: 'REDOX_OUTCOME_UNKNOWN',
    says: 'was sent, but no answer came in time',
  },
  { when: fault('timeout'), code: 'REDOX_TIMEOUT', says: 'got no answer in time' },
  {
    when: fault('network'),
    purpose: 'send',
    code: 'REDOX_OUTCOME_UNKNOWN',
    says: 'was sent, but the connection broke before the answer came',
  },
  { when: fault('network'), code: 'REDOX_NETWORK', says: 'lost the connection' },
  {
    when: fault('unreadable'),
    purpose: 'send',
    code: 'REDOX_OUTCOME_UNKNOWN',
    says: 'was accepted by the server, but its answer cannot be read',
  },
  { when: fault('unreadable'), code: 'REDOX_UNAVAILABLE', says: 'got an answer that cannot be read' },
  { when: status(400, 401, 403), purpose: 'token', code: 'REDOX_AUTHENTICATION', says: 'was refused' },
  { when: status(401), code: 'REDOX_AUTHENTICATION', says: 'was refused: the access token was not accepted' },
  { when: status(403), code: 'REDOX_FORBIDDEN', says: 'was forbidden' },
  { when: status(413), code: 'REDOX_TOO_LARGE', says: 'was refused as too large' },
  {
    when: status(429),
    code: 'REDOX_RATE_LIMITED',
    says: 'was refused: too many requests (limit per rolling 5 minutes)',
  },
  { when: status(502, 503), code: 'REDOX_UNAVAILABLE', says: 'was not processed: Redox is not available' },
  {
    when: status(408),
    purpose: 'send',
    code: 'REDOX_OUTCOME_UNKNOWN',
    says: 'was sent, but Redox gave up waiting',
  },
  {
    when: statusRange(500, 599),
    purpose: 'send',
    code: 'REDOX_OUTCOME_UNKNOWN',
    says: 'was sent, but Redox failed while it worked on it',
  },
  { when: statusRange(500, 599), code: 'REDOX_UNAVAILABLE', says: 'failed inside Redox' },
  { when: () => true, code: 'REDOX_REJECTED', says: 'was rejected' },
]

/** The row of the table that an ending falls under. */
export function classify(ending: Ending, purpose: Purpose): { code: RedoxErrorCode; says: string } {
  const row = OUTCOMES.find(
    ({ when, purpose: only }) => (only === undefined || only === purpose) && when(ending),
  )
  return { code: row!.code, says: row!.says }
}
