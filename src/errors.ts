import { inspect } from 'node:util'
import { ERROR_CODES, type RedoxErrorCode, type Retry } from './error-codes'

export type { RedoxErrorCode } from './error-codes'

/** One defect of a message at one path. The object never contains the wrong value itself, which may be patient data. */
export interface Problem {
  /** path in the message, e.g. `Note.DocumentID` or `entry[1].resource.status (Observation)` */
  path: string
  /** the defect, as the rest of a sentence that begins with the field name, e.g. `is missing` */
  problem: string
  /** advice on correcting the defect, as a whole sentence */
  fix: string
}

/**
 * Details of an error, which a Catch node receives as `msg.error.cause`. Contains only plain data, because Node-RED
 * clones the cause for every Catch node and drops everything else.
 */
export interface RedoxErrorDetail {
  /** advice on sending the message again */
  retry?: Retry
  /** request that failed: `token`, `upload`, or the operation of the message */
  operation?: string
  /** property of the redox-config node that is wrong, e.g. `keyId` */
  field?: string
  /** seconds that this machine's clock is ahead of the token server's (negative: behind), if that caused the error */
  clockSkewSeconds?: number
  /** HTTP status of the response */
  status?: number
  /** all defects of the message, for REDOX_INVALID_MESSAGE */
  problems?: Problem[]
  /** error texts from Redox, with all values of the sent message redacted */
  reasons?: string[]
  /** stage of a delivery in which it failed */
  stage?: string
  /** ids for the log search of the Redox dashboard */
  logIds?: string[]
  /** `Meta.Message.ID` of a response without log ids */
  messageId?: string
  /** header `redox-trace-id` of the response */
  traceId?: string
  /** seconds that the server asked to wait (`Retry-After`) */
  retryAfterSeconds?: number
  /** reference URLs of files that were uploaded before the failure */
  uploaded?: string[]
  /** identifiers in the request, by which a message with an unknown outcome can be looked up */
  identifiers?: Record<string, string>
  /** SHA-256 (hex) of the files, in the order of the files in the message */
  sha256?: string[]
  /** system error code of a network failure, e.g. `ECONNREFUSED`; codes of proxy failures begin with `PROXY_` */
  fault?: string
  /** number of HTTP requests, including requests repeated with a new token */
  attempts?: number
  /** start time of the last attempt, ISO 8601 */
  at?: string
  /** durable delivery: id of the parked message in the outbox */
  outbox?: { id: string; acceptedAt: string; attempts: number }
  /** durable delivery: earlier message with the same document */
  duplicateOf?: { id: string; state: string; acceptedAt: string }
  /** destinations or entries of a partial delivery; `delivered` is missing if Redox does not report the result */
  parts?: { part: string; delivered?: boolean; status?: number }[]
  /**
   * Body of Redox's response, unredacted. The body may repeat patient data, so it is available to flows that handle
   * errors, but never part of an error text or a log line.
   */
  answer?: unknown
}

/**
 * Adds `toString` and an inspection method to the details, for `${cause}`, the debug sidebar (which shows `cause + ""`)
 * and the console. Both methods are not enumerable, so that JSON, structured clones and Node-RED's copies contain only
 * the plain data.
 */
function readable<T extends RedoxErrorDetail>(detail: T): T {
  const value = (): string => textOf(detail)
  return Object.defineProperties(detail, { toString: { value }, [inspect.custom]: { value } })
}

/**
 * Formats error details as one line, without `answer`, `identifiers` and `sha256`, which repeat or identify the
 * message.
 */
function textOf(detail: RedoxErrorDetail): string {
  const { operation, field, status, fault, problems = [], reasons = [], logIds = [], parts = [] } = detail
  const { messageId, traceId, clockSkewSeconds, retryAfterSeconds, attempts, at, outbox, duplicateOf } =
    detail
  const known: [name: string, value: string | number | undefined][] = [
    ['operation', operation],
    ['HTTP status', status],
    ['fault', fault],
    ['setting', field],
    ['problems', joined(problems.map(({ path, problem }) => `${path} ${problem}`))],
    ['Redox says', joined(reasons)],
    ['parts', joined(parts.map(({ part, delivered }) => `${part} ${ARRIVED.get(delivered)}`))],
    ['log', logIds.join(', ') || undefined],
    ['message', messageId],
    ['trace', traceId],
    ['clock ahead, s', clockSkewSeconds],
    ['retry after, s', retryAfterSeconds],
    ['attempts', attempts],
    ['at', at],
    ['parked in the outbox', outbox?.id],
    ['same as in the outbox', duplicateOf?.id],
  ]
  const shown = known.filter(([, value]) => value !== undefined).map(([name, value]) => `${name}: ${value}`)
  return shown.join(' · ') || 'no details'
}

const joined = (texts: string[]): string | undefined => texts.join(' | ') || undefined

const ARRIVED = new Map([
  [true, 'arrived'],
  [false, 'did not arrive'],
  [undefined, 'unknown'],
])

export type ErrorSummary = 'text' | 'path' | 'folder' | 'notAccepted'

/**
 * The only error class of this package. The error message names the defect, the wrong value's path or setting, and a
 * remedy, without patient data.
 */
export class RedoxError extends Error {
  override readonly name = 'RedoxError'
  override readonly cause: RedoxErrorDetail & { retry: Retry }
  /**
   * key of a shorter status text for a frequent mistake; the node shows it instead of the status text of the error code
   */
  inBrief?: ErrorSummary

  constructor(
    readonly code: RedoxErrorCode,
    message: string,
    detail: RedoxErrorDetail = {},
  ) {
    super(message)
    this.cause = readable({ retry: ERROR_CODES[code].retry, ...detail })
  }

  /**
   * Returns the message without the class name. Node-RED uses this string as `msg.error.message`, and shows only the
   * beginning.
   */
  override toString(): string {
    return this.message
  }

  /** `msg.statusCode` of the message that a Catch node receives. Redox's own HTTP status is `cause.status`. */
  get statusCode(): number {
    return ERROR_CODES[this.code].statusCode
  }

  /** Returns a copy of this error with more details, e.g. with the files that were uploaded before the send failed. */
  with(detail: RedoxErrorDetail): RedoxError {
    const error = new RedoxError(this.code, this.message, { ...this.cause, ...detail })
    if (this.stack !== undefined) error.stack = this.stack
    return error
  }
}

export const NOTHING_SENT = 'Nothing was sent.'

/**
 * Error for unusable input (REDOX_BAD_INPUT).
 * @param message begins with the defect: Node-RED's debug sidebar shows the first 30 characters
 */
export const badInput = (message: string): RedoxError =>
  new RedoxError('REDOX_BAD_INPUT', `${message} ${NOTHING_SENT}`)

/** Error for an unusable file (REDOX_BAD_INPUT), for which the node shows a status text of its own. */
export function badFile(message: string, inBrief: ErrorSummary): RedoxError {
  const error = badInput(message)
  error.inBrief = inBrief
  return error
}

/** Error for a file or request that exceeds a size limit (REDOX_TOO_LARGE). */
export const tooLargeError = (message: string): RedoxError =>
  new RedoxError('REDOX_TOO_LARGE', `${message} ${NOTHING_SENT}`)

/**
 * Returns a copy of a configuration error for a flow that tried to send a message: the error message adds that nothing
 * was sent.
 */
export function notSent(error: RedoxError): RedoxError {
  const extended = new RedoxError(error.code, `${error.message} ${NOTHING_SENT}`, error.cause)
  if (error.stack !== undefined) extended.stack = error.stack
  return extended
}

/** Formats a size for error texts: 1 MB = 1 000 000 bytes (docs/redox-api.md#sizes, the stricter interpretation). */
export function formatSize(bytes: number): string {
  if (bytes >= 1_000_000) return `${+(bytes / 1_000_000).toFixed(2)} MB`
  if (bytes >= 1_000) return `${+(bytes / 1_000).toFixed(1)} KB`
  return `${bytes} bytes`
}
