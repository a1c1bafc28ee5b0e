/** One thing that is wrong with a message, at one place. Never holds the value itself: it may be patient data. */
export interface Problem {
  /** where, as a path into the message, e.g. `Note.DocumentID` or `entry[1].resource.status` */
  path: string
  /** what is wrong */
  problem: string
  /** what would be right */
  fix: string
}

/**
 * The stable error codes. Flows branch on them (`msg.error.code` behind a Catch node), so a code is never
 * renamed and never given a second meaning.
 */
export type RedoxErrorCode =
  | 'REDOX_CONFIGURATION'
  | 'REDOX_BAD_INPUT'
  | 'REDOX_INVALID_MESSAGE'
  | 'REDOX_TOO_LARGE'
  | 'REDOX_AUTHENTICATION'
  | 'REDOX_FORBIDDEN'
  | 'REDOX_REJECTED'
  | 'REDOX_PARTIAL'
  | 'REDOX_QUEUE_FULL'
  | 'REDOX_RATE_LIMITED'
  | 'REDOX_UNAVAILABLE'
  | 'REDOX_NETWORK'
  | 'REDOX_TLS'
  | 'REDOX_TIMEOUT'
  | 'REDOX_OUTCOME_UNKNOWN'
  | 'REDOX_ABORTED'
  | 'REDOX_OTHER_ACCOUNT'
  | 'REDOX_STORE_UNAVAILABLE'
  | 'REDOX_STORE_LOCKED'
  | 'REDOX_STORE_UNREADABLE'
  | 'REDOX_STORE_NEWER'
  | 'REDOX_STORE_FULL'
  | 'REDOX_STORE_LOST'
  | 'REDOX_INTERNAL'

/**
 * What a Catch node gets as `msg.error.cause`: plain data only, because Node-RED passes nothing else of an
 * error on, and clones it for every Catch node.
 */
export interface RedoxErrorDetail {
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

/** The one error class of this package. The text names what, where and what to do, and no patient data. */
export class RedoxError extends Error {
  override readonly name = 'RedoxError'
  override readonly cause: RedoxErrorDetail

  constructor(
    readonly code: RedoxErrorCode,
    message: string,
    detail: RedoxErrorDetail = {},
  ) {
    super(message)
    this.cause = detail
  }

  /** The same error with more of the story, e.g. what was uploaded before the send failed. */
  with(detail: RedoxErrorDetail): RedoxError {
    const error = new RedoxError(this.code, this.message, { ...this.cause, ...detail })
    if (this.stack !== undefined) error.stack = this.stack
    return error
  }
}

export const badInput = (message: string): RedoxError => new RedoxError('REDOX_BAD_INPUT', message)

/** All problems at once, in the text (the first few) and in `cause.problems` (all). @param note a sentence that follows */
export function invalidMessage(what: string, problems: Problem[], note = ''): RedoxError {
  const shown = problems.slice(0, 5).map(({ path, problem, fix }) => `${path}: ${problem}. ${fix}`)
  const more = problems.length > shown.length ? ` (and ${problems.length - shown.length} more)` : ''
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`
  return new RedoxError(
    'REDOX_INVALID_MESSAGE',
    `${what} was not sent, it has ${count}: ${[`${shown.join(' | ')}${more}`, note].join(' ').trim()}`,
    { problems },
  )
}

/** Sizes as people write them: 1 MB = 1 000 000 bytes (facts section 6.1, the stricter reading). */
export function formatSize(bytes: number): string {
  if (bytes >= 1_000_000) return `${+(bytes / 1_000_000).toFixed(2)} MB`
  if (bytes >= 1_000) return `${+(bytes / 1_000).toFixed(1)} KB`
  return `${bytes} bytes`
}
