import { inspect } from 'node:util'
import { ERROR_CODES, type RedoxErrorCode, type Retry } from './error-codes'

export type { RedoxErrorCode } from './error-codes'

/** One thing that is wrong with a message, at one place. Never holds the value itself: it may be patient data. */
export interface Problem {
  /** where, as a path into the message, e.g. `Note.DocumentID` or `entry[1].resource.status (Observation)` */
  path: string
  /** what is wrong, as the rest of a sentence that begins with the name of the field, e.g. `is missing` */
  problem: string
  /** what would be right */
  fix: string
}

/**
 * What a Catch node gets as `msg.error.cause`: plain data only, because Node-RED passes nothing else of an
 * error on, and clones it for every Catch node.
 */
export interface RedoxErrorDetail {
  /** whether the message may be sent again */
  retry?: Retry
  /** what was being done: `token`, `upload`, or the operation sent */
  operation?: string
  /** the field of the redox-config node that is at fault, as the node saves it, e.g. `keyId` */
  field?: string
  /** seconds that this machine's clock is ahead of the token server's (behind: negative), when that matters */
  clockSkewSeconds?: number
  /** HTTP status of the answer */
  status?: number
  /** every problem found, for REDOX_INVALID_MESSAGE */
  problems?: Problem[]
  /** Redox's own words, with everything masked that stood in the message sent */
  reasons?: string[]
  /** ids for the log search of the Redox dashboard */
  logIds?: string[]
  /** `Meta.Message.ID` of an answer without log ids */
  messageId?: string
  /** `redox-trace-id` of the answer */
  traceId?: string
  /** seconds that the server asked to wait (`Retry-After`) */
  retryAfterSeconds?: number
  /** reference URLs of files that were uploaded before the failure */
  uploaded?: string[]
  /** the request's identifiers, to look an unknown outcome up */
  identifiers?: Record<string, string>
  /** sha256 of the files, hex, in the order of the message */
  sha256?: string[]
  /** the system's code of a network fault, e.g. `ECONNREFUSED`; what the proxy caused begins with `PROXY_` */
  fault?: string
  /** requests made, replays included */
  attempts?: number
  /** when the last attempt began, ISO 8601 */
  at?: string
  /** durable delivery: the message was accepted, and is parked in the outbox under this id */
  outbox?: { id: string; acceptedAt: string; attempts: number }
  /** parts of a partial delivery: which arrived and which did not; without `delivered`: Redox does not say */
  parts?: { part: string; delivered?: boolean; status?: number }[]
  /**
   * The answer's body as Redox gave it. It may repeat patient data: it is here for flows that handle errors,
   * and is in no message text and in no log.
   */
  answer?: unknown
}

/**
 * Gives a detail a text form: for `${cause}`, the debug sidebar, which shows `cause + ""`, and the console. Both are not
 * enumerable, so that JSON, structured clones and Node-RED's copies are the plain data alone.
 */
function readable<T extends RedoxErrorDetail>(detail: T): T {
  const value = (): string => textOf(detail)
  return Object.defineProperties(detail, { toString: { value }, [inspect.custom]: { value } })
}

/** One line, without `answer`, `identifiers` and `sha256`: these repeat the message or identify it. */
function textOf(detail: RedoxErrorDetail): string {
  const { operation, field, status, fault, problems = [], reasons = [], logIds = [], parts = [] } = detail
  const { messageId, traceId, clockSkewSeconds, retryAfterSeconds, attempts, at, outbox } = detail
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
  ]
  const told = known.filter(([, value]) => value !== undefined).map(([name, value]) => `${name}: ${value}`)
  return told.join(' · ') || 'no details'
}

const joined = (texts: string[]): string | undefined => texts.join(' | ') || undefined

const ARRIVED = new Map([
  [true, 'arrived'],
  [false, 'did not arrive'],
  [undefined, 'unknown'],
])

export type InBrief = 'text' | 'path' | 'folder'

/** The one error class of this package. The text names what, where and what to do, and no patient data. */
export class RedoxError extends Error {
  override readonly name = 'RedoxError'
  override readonly cause: RedoxErrorDetail & { retry: Retry }
  /** of the most frequent faults, what the status shows in place of the code's phrase */
  inBrief?: InBrief

  constructor(
    readonly code: RedoxErrorCode,
    message: string,
    detail: RedoxErrorDetail = {},
  ) {
    super(message)
    this.cause = readable({ retry: ERROR_CODES[code].retry, ...detail })
  }

  /** Node-RED makes `msg.error.message` of it: what is wrong comes first, and not the name of the class. */
  override toString(): string {
    return this.message
  }

  /** `msg.statusCode` of the message that it is told with. Redox's own status is `cause.status`. */
  get statusCode(): number {
    return ERROR_CODES[this.code].statusCode
  }

  /** The same error with more of the story, e.g. what was uploaded before the send failed. */
  with(detail: RedoxErrorDetail): RedoxError {
    const error = new RedoxError(this.code, this.message, { ...this.cause, ...detail })
    if (this.stack !== undefined) error.stack = this.stack
    return error
  }
}

export const NOTHING_SENT = 'Nothing was sent.'

/** @param message begins with what is wrong: Node-RED's debug sidebar shows the first 30 characters */
export const badInput = (message: string): RedoxError =>
  new RedoxError('REDOX_BAD_INPUT', `${message} ${NOTHING_SENT}`)

/** The same with a phrase of its own for the status. */
export function badFile(message: string, inBrief: InBrief): RedoxError {
  const error = badInput(message)
  error.inBrief = inBrief
  return error
}

/** The same for sizes. */
export const tooLarge = (message: string): RedoxError =>
  new RedoxError('REDOX_TOO_LARGE', `${message} ${NOTHING_SENT}`)

/** The same error, of a setting, told to a flow that wants to send. */
export function notSent(error: RedoxError): RedoxError {
  const told = new RedoxError(error.code, `${error.message} ${NOTHING_SENT}`, error.cause)
  if (error.stack !== undefined) told.stack = error.stack
  return told
}

/** Sizes as people write them: 1 MB = 1 000 000 bytes (docs/redox-api.md#sizes, the stricter reading). */
export function formatSize(bytes: number): string {
  if (bytes >= 1_000_000) return `${+(bytes / 1_000_000).toFixed(2)} MB`
  if (bytes >= 1_000) return `${+(bytes / 1_000).toFixed(1)} KB`
  return `${bytes} bytes`
}
