import { setTimeout as sleep } from 'node:timers/promises'

export interface RetryPolicy {
  /** requests for one upload or message at most; replays with a fresh token are not counted */
  attempts: number
  /** seconds after which no new attempt begins */
  deadlineSeconds: number
  /** a message whose outcome is unknown is sent again: it may then arrive twice */
  repeatUnknown: boolean
}

const BASE_MS = 1000
const CAP_MS = 300_000

export interface BackoffBounds {
  /** seconds that the server asked to wait: the least */
  retryAfterSeconds?: number | undefined
  /** milliseconds of the longest wait, unless the server asks for more */
  longestMs?: number
}

/**
 * Milliseconds to wait after a failed attempt, for direct and durable delivery: full jitter (a random part of a wait that
 * doubles), so that many that failed together do not come back together; never less than the server asked for.
 * @param attempt the one that failed, counted from 1
 */
export function backoff(
  attempt: number,
  { retryAfterSeconds = 0, longestMs = CAP_MS }: BackoffBounds = {},
): number {
  const wait = Math.random() * Math.min(CAP_MS, BASE_MS * 2 ** (attempt - 1))
  return Math.max(Math.min(wait, longestMs), retryAfterSeconds * 1000)
}

/** A server that asks for a longer wait is asked again after it. */
export const LONGEST_RETRY_AFTER_SECONDS = 3600

/** What Redox counts requests in, milliseconds (docs/redox-api.md#rates-and-times). */
export const WINDOW_MS = 300_000

/**
 * When the next request may be made: after the pause that a 429 asked for, which holds for everybody on the
 * connection, and not more than so many in any five minutes (docs/redox-api.md#rates-and-times).
 */
export interface PaceKeeper {
  /** At most as long as the window that Redox counts in: no more is needed, whatever a server says. */
  pause(milliseconds: number): void

  /**
   * Waits until a request may be made, and counts it. Rejects when the signal is aborted.
   * @param until no wait ends later (by the monotonic clock: `performance.now()`)
   * @returns 0; or, at once, the milliseconds that would be left to wait then: the request may not be made
   */
  turn(signal: AbortSignal, until?: number): Promise<number>

  /** Milliseconds until a request may be made, as far as is known; 0 or less: now. */
  wait(): number
}

/** What one or more paces know of the requests that were made. Times are those of the monotonic clock. */
export interface RequestLog {
  pausedUntil: number
  /** when each of the last was made, oldest first */
  made: number[]
}

/** The pace of one process. */
export class Pace implements PaceKeeper {
  /**
   * @param perWindow requests in any five minutes; 0: as many as come
   * @param log shared with other paces
   */
  constructor(
    private readonly perWindow: number,
    private readonly log: RequestLog = { pausedUntil: 0, made: [] },
  ) {}

  pause(milliseconds: number): void {
    const until = performance.now() + Math.min(milliseconds, WINDOW_MS)
    this.log.pausedUntil = Math.max(this.log.pausedUntil, until)
  }

  async turn(signal: AbortSignal, until = Infinity): Promise<number> {
    for (let wait = this.wait(); wait > 0; wait = this.wait()) {
      if (performance.now() + wait > until) return wait
      await sleep(wait, undefined, { signal })
    }
    if (this.perWindow > 0) this.log.made.push(performance.now())
    return 0
  }

  wait(): number {
    const { made, pausedUntil } = this.log
    const now = performance.now()
    while (made[0] !== undefined && made[0] <= now - WINDOW_MS) made.shift()
    const [oldest] = this.perWindow > 0 && made.length >= this.perWindow ? made : []
    return Math.max(pausedUntil - now, oldest === undefined ? 0 : oldest + WINDOW_MS - now)
  }
}
