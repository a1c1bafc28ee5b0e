import { RedoxError, type RedoxErrorDetail } from '../errors'
import { adviceOn } from '../transport/network-advice'
import { classifyFailure, type AttemptFailure, type RequestKind } from '../transport/outcomes'
import { logReference, reasonSentence } from './answer-errors'
import type { RequestSpec } from './requests'

/** Advice to send the message again, by error code. Left out for a message that is retried automatically. */
const SEND_AGAIN: Partial<Record<RedoxError['code'], string>> = {
  REDOX_RATE_LIMITED: 'Wait, then send again.',
  REDOX_UNAVAILABLE: 'Send again later.',
  REDOX_TIMEOUT: 'Send again later, or raise the Connect timeout or the Response timeout in the connection.',
}

/** Advice for a flow, whose Catch node gets the cause of the error. */
const LOOK_UP =
  'Look it up in the Redox dashboard before you send it again (error.cause has its identifiers).'

const ADVICE: Partial<Record<RedoxError['code'], string>> = {
  ...SEND_AGAIN,
  REDOX_AUTHENTICATION:
    'Check the credentials in the connection, and that the key is active in the Redox dashboard.',
  REDOX_FORBIDDEN: 'Check the destination, the environment and the permissions of the key.',
  REDOX_TOO_LARGE: 'Upload the file instead of embedding it, or make it smaller.',
  REDOX_NETWORK: 'Check the network and the hosts in the connection.',
  REDOX_OUTCOME_UNKNOWN: `The message may have arrived. ${LOOK_UP}`,
  REDOX_ABORTED: 'The flow was stopped or deployed. Send it again.',
}

/** Error text of a parked message, without the advice to look it up: the outbox has buttons and sentences for that. */
export const messageOfParked = ({ message }: Pick<RedoxError, 'message'>): string =>
  message.replace(` ${LOOK_UP}`, '')

/** Error text of a message that is retried automatically, without the advice to send again. */
export function messageOfRetried({ code, message }: Pick<RedoxError, 'code' | 'message'>): string {
  const advice = SEND_AGAIN[code]
  return advice === undefined ? message : message.replace(` ${advice}`, '')
}

/**
 * Error of a failed attempt. Its text has the failure, Redox's reasons, a log reference and advice.
 * @param shape description of a 2xx body that is neither a success nor an error of Redox, see `shapeOf`
 */
export function attemptError(
  failure: AttemptFailure,
  { kind, operation }: Pick<RequestSpec, 'kind' | 'operation'>,
  detail: RedoxErrorDetail,
  shape?: string,
): RedoxError {
  const { code, message } = classifyFailure(failure, kind)
  const what = { token: 'request for an access token', upload: 'file upload', send: operation }[kind]
  const how =
    'status' in failure
      ? `HTTP ${failure.status}, `
      : shape !== undefined
        ? `HTTP ${detail.status} with ${shape}, `
        : detail.fault === undefined
          ? ''
          : `${detail.fault}, `
  const isSpoken = 'status' in failure || (shape !== undefined && detail.reasons !== undefined)
  const reasons = isSpoken ? ` ${reasonSentence(detail.reasons)}` : ''
  const where = logReference(detail)
  const wait =
    detail.retryAfterSeconds === undefined ? '' : ` Redox asks for a wait of ${detail.retryAfterSeconds} s.`
  const advice = 'sent' in failure ? adviceOn(detail.fault ?? '', failure.sent) : undefined
  const action =
    detail.clockSkewSeconds === undefined
      ? (advice ?? adviceFor(code, kind, failure)) + (shape === undefined ? '' : OTHER_ANSWER)
      : clockAction(detail.clockSkewSeconds)
  const text = [
    `${message} (${how}${what}).${reasons}`,
    where,
    `${wait} ${action}`.trim(),
    isUnsent(failure) ? 'Nothing was sent.' : '',
  ].filter((part) => part !== '')
  return new RedoxError(code, text.join(' '), { operation, ...detail })
}

export const stoppedBeforeSending = (operation: string): RedoxError =>
  attemptError({ fault: 'aborted', sent: false }, { kind: 'send', operation }, {})

/**
 * Returns true if Redox certainly received no request. The error text then ends with "Nothing was sent.".
 * @param failure failure of the attempt; a refusal by Redox never counts as unsent
 */
const isUnsent = (failure: AttemptFailure): boolean =>
  'fault' in failure && (!failure.sent || failure.fault === 'tls' || failure.fault === 'proxyRefused')

const clockAction = (skew: number): string =>
  `The clock of this machine is ${Math.abs(skew)} s ${skew > 0 ? 'ahead of' : 'behind'} the server. Set the clock.`

const SOURCE_REFUSED =
  'Check the source ID in the connection. In the Redox dashboard, check that the source belongs to this key and is ' +
  'enabled.'

// The three causes of a 404 from Redox (docs/redox-api.md#status-codes).
const NOT_FOUND: Record<RequestKind, string> = {
  token: 'Check the API base URL in the connection.',
  upload: 'Check the Blob upload URL, the Binary base URL and the environment in the connection.',
  send: 'Check the destination slug, the environment and the operation.',
}

const UPLOAD_FORBIDDEN =
  'Free accounts cannot upload files in Development: embed the file, use Staging, or ask Redox for an upgrade. Otherwise ' +
  'check the environment and the permissions of the key.'

const OTHER_ANSWER =
  ' If this destination always answers like this, set "Other 2xx answers" in the connection to "success".'

function adviceFor(code: RedoxError['code'], requestKind: RequestKind, failure: AttemptFailure): string {
  const { status = undefined, ofSource = false } = 'status' in failure ? failure : {}
  if (ofSource) return SOURCE_REFUSED
  if (code === 'REDOX_TOO_LARGE' && requestKind === 'upload') return 'Make the file smaller, or split it.'
  if (code === 'REDOX_FORBIDDEN' && requestKind === 'upload') return UPLOAD_FORBIDDEN
  return ADVICE[code] ?? (status === 404 ? NOT_FOUND[requestKind] : '')
}

/** Error for a rate-limit pause beyond the time for retries, thrown before the wait instead of after it. */
export function pauseTooLong(operation: string, milliseconds: number): RedoxError {
  const seconds = Math.ceil(milliseconds / 1000)
  return new RedoxError(
    'REDOX_RATE_LIMITED',
    `Too many requests: the limit is reached, and the next request is possible in ${seconds} s. That is longer than the ` +
      'connection lets a message wait. Send it again later. Nothing was sent.',
    { operation, retryAfterSeconds: seconds },
  )
}
