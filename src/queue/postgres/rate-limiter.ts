import { setTimeout as sleep } from 'node:timers/promises'
import { WINDOW_MS, type RateLimiter } from '../../transport/rate-limiter'

/** Request count and pause shared by all processes that use the same database. All times are in milliseconds. */
export interface SharedRequestCount {
  /**
   * Counts a request if the limit allows one now, and resolves with 0. Otherwise resolves with the time until a request
   * is allowed.
   */
  acquire(perWindow: number): Promise<number>
  /** Resolves with the time until the pause ends, without counting a request. */
  paused(): Promise<number>
  pause(milliseconds: number): Promise<void>
}

/** Longest time, in milliseconds, until this process learns of a pause that another process started. */
const LEARN_EVERY_MS = 1000

/** Rate limiter for all processes that share a database. */
export class SharedRateLimiter implements RateLimiter {
  /** end of the pause or wait, as far as this process knows (monotonic clock) */
  #until = 0
  #learntAt = 0

  /**
   * Creates the rate limiter of one process.
   * @param perWindow greatest number of requests of all processes in any five minutes; 0: no limit
   */
  constructor(
    private readonly shared: SharedRequestCount,
    private readonly perWindow: number,
  ) {}

  pause(milliseconds: number): void {
    const pause = Math.min(milliseconds, WINDOW_MS)
    this.#waitFor(pause)
    // Errors are ignored: if the pause cannot be stored for the other processes, they pause when Redox responds to
    // their next request with 429.
    this.shared.pause(pause).catch(() => undefined)
  }

  async acquire(signal: AbortSignal, until = Infinity): Promise<number> {
    for (;;) {
      signal.throwIfAborted()
      const known = this.millisecondsLeft()
      const wait = known > 0 ? known : await this.#ask()
      if (wait <= 0) return 0
      if (performance.now() + wait > until) return wait
      await sleep(wait, undefined, { signal })
    }
  }

  millisecondsLeft(): number {
    return this.#until - performance.now()
  }

  async #ask(): Promise<number> {
    if (this.perWindow === 0 && performance.now() - this.#learntAt < LEARN_EVERY_MS) return 0
    this.#learntAt = performance.now()
    const wait = await (this.perWindow === 0 ? this.shared.paused() : this.shared.acquire(this.perWindow))
    this.#waitFor(wait)
    return wait
  }

  #waitFor(milliseconds: number): void {
    if (milliseconds > 0) this.#until = Math.max(this.#until, performance.now() + milliseconds)
  }
}
