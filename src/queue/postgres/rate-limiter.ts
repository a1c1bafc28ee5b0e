import { setTimeout as sleep } from 'node:timers/promises'
import { WINDOW_MS, type PaceKeeper } from '../../transport/retry'

/** What all who share a pace keep together. Each answers with the milliseconds until a request may be made. */
export interface SharedTurns {
  /** Counts a request, if one may be made. */
  turn(perWindow: number): Promise<number>
  /** The pause alone; counts nothing. */
  paused(): Promise<number>
  pause(milliseconds: number): Promise<void>
}

/** A pause that another process was asked for is known after at most this, milliseconds. */
const LEARN_EVERY_MS = 1000

/** The pace of all processes that share a database. */
export class SharedPace implements PaceKeeper {
  /** as far as is known here */
  #until = 0
  #learntAt = 0

  /** @param perWindow requests of all together in any five minutes; 0: as many as come */
  constructor(
    private readonly shared: SharedTurns,
    private readonly perWindow: number,
  ) {}

  pause(milliseconds: number): void {
    const pause = Math.min(milliseconds, WINDOW_MS)
    this.#waitFor(pause)
    // When the others cannot be told now, each of them is asked to pause itself.
    this.shared.pause(pause).catch(() => undefined)
  }

  async turn(signal: AbortSignal, until = Infinity): Promise<number> {
    for (;;) {
      signal.throwIfAborted()
      const known = this.wait()
      const wait = known > 0 ? known : await this.#ask()
      if (wait <= 0) return 0
      if (performance.now() + wait > until) return wait
      await sleep(wait, undefined, { signal })
    }
  }

  wait(): number {
    return this.#until - performance.now()
  }

  async #ask(): Promise<number> {
    if (this.perWindow === 0 && performance.now() - this.#learntAt < LEARN_EVERY_MS) return 0
    this.#learntAt = performance.now()
    const wait = await (this.perWindow === 0 ? this.shared.paused() : this.shared.turn(this.perWindow))
    this.#waitFor(wait)
    return wait
  }

  #waitFor(milliseconds: number): void {
    if (milliseconds > 0) this.#until = Math.max(this.#until, performance.now() + milliseconds)
  }
}
