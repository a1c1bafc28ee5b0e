export interface RetryPolicy {
  /**
   * maximum number of attempts for one upload or message; a request that is repeated with a new token counts as one
   * attempt
   */
  attempts: number
  /** seconds after the start, or after the last successful upload, after which no new attempt begins */
  deadlineSeconds: number
  /** true: a message whose outcome is unknown is sent again, so it may arrive twice */
  repeatUnknown: boolean
}

const BASE_MS = 1000
const CAP_MS = 300_000

export interface BackoffBounds {
  /** minimum pause in seconds, requested by the server */
  retryAfterSeconds?: number | undefined
  /** maximum pause in milliseconds, unless the server requests more */
  longestMs?: number
}

/**
 * Returns the pause after a failed attempt in milliseconds, for direct and durable delivery. Full jitter (a random part
 * of a time that doubles with each attempt), so that messages that failed together are not repeated together. The pause
 * is never shorter than the server requested.
 * @param attempt number of the failed attempt, from 1
 */
export function backoff(
  attempt: number,
  { retryAfterSeconds = 0, longestMs = CAP_MS }: BackoffBounds = {},
): number {
  const wait = Math.random() * Math.min(CAP_MS, BASE_MS * 2 ** (attempt - 1))
  return Math.max(Math.min(wait, longestMs), retryAfterSeconds * 1000)
}

/**
 * Maximum pause in seconds that a server can request with `Retry-After`. If the server requests more, the next request
 * is made after this maximum.
 */
export const LONGEST_RETRY_AFTER_SECONDS = 3600
<<<<<<< HEAD
=======

/** Length of the window in which Redox counts requests, in milliseconds (docs/redox-api.md#rates-and-times). */
export const WINDOW_MS = 300_000

/**
 * Rate limiter of a connection. A request waits until the pause after a 429 has ended, which applies to the whole
 * connection, and until the number of requests in the last five minutes is below the limit
 * (docs/redox-api.md#rates-and-times).
 */
export interface RateLimiter {
  /**
   * Delays all requests of the connection, at most for the window in which Redox counts requests, even if a server
   * requests a longer pause.
   */
  pause(milliseconds: number): void

  /**
   * Waits until a request may be made, and counts the request. Rejects when the signal aborts.
   * @param until latest end of the wait, in ms of the monotonic clock (`performance.now()`)
   * @returns 0 if the request may be made; otherwise the remaining milliseconds of a wait that would end after `until`:
   * the request must not be made
   */
  acquire(signal: AbortSignal, until?: number): Promise<number>

  /** Milliseconds until a request may be made, as far as is known now; 0 or less: at once. */
  millisecondsLeft(): number
}

/** Log of the requests of one or more rate limiters that share the log. Times in ms of the monotonic clock. */
export interface RequestLog {
  pausedUntil: number
  /** start times of the last requests, oldest first */
  made: number[]
}

/** Rate limiter within one process. */
export class LocalRateLimiter implements RateLimiter {
  /**
   * Creates a rate limiter.
   * @param perWindow maximum number of HTTP requests in any five minutes; 0: unlimited
   * @param log requests that count, shared with other rate limiters; default: none yet
   */
  constructor(
    private readonly perWindow: number,
    private readonly log: RequestLog = { pausedUntil: 0, made: [] },
  ) {}

  pause(milliseconds: number): void {
    const until = performance.now() + Math.min(milliseconds, WINDOW_MS)
    this.log.pausedUntil = Math.max(this.log.pausedUntil, until)
  }

  async acquire(signal: AbortSignal, until = Infinity): Promise<number> {
    for (let wait = this.millisecondsLeft(); wait > 0; wait = this.millisecondsLeft()) {
      if (performance.now() + wait > until) return wait
      await sleep(wait, undefined, { signal })
    }
    if (this.perWindow > 0) this.log.made.push(performance.now())
    return 0
  }

  millisecondsLeft(): number {
    const { made, pausedUntil } = this.log
    const now = performance.now()
    while (made[0] !== undefined && made[0] <= now - WINDOW_MS) made.shift()
    const [oldest] = this.perWindow > 0 && made.length >= this.perWindow ? made : []
    return Math.max(pausedUntil - now, oldest === undefined ? 0 : oldest + WINDOW_MS - now)
  }
}
>>>>>>> mU
