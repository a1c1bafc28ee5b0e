import { setTimeout as sleep } from 'node:timers/promises'

/** Length of the window in which Redox counts requests, in milliseconds (docs/redox-api.md#rates-and-times). */
export const WINDOW_MS = 300_000

/**
 * Rate limiter of a connection. Requests wait for the end of the pause after a 429, which applies to the whole
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

  /** Milliseconds until a request may be made, by what is known now; 0 or less: at once. */
  millisecondsLeft(): number
}

/** Requests of one or more rate limiters that share it. Times in ms of the monotonic clock. */
export interface RequestLog {
  pausedUntil: number
  /** start times of the last requests, oldest first */
  made: number[]
}

/** Rate limiter within one process. */
export class LocalRateLimiter implements RateLimiter {
  /**
   * Creates a limiter, by default with no earlier requests.
   * @param perWindow HTTP requests in any five minutes; 0: unlimited
   * @param log requests that count, shared with other limiters
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
