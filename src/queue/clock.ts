/**
 * The clock of a store: what is stored goes by it. It never goes back, so that nothing in a store lies further in the
 * future than was meant.
 */
export interface StoreClock {
  /** milliseconds since 1970, by this clock */
  now(): number
  /** milliseconds that it is ahead of the clock on the wall, which people set */
  readonly ahead: number
}

/** A time of the clock as the clock on the wall tells it. */
export const onTheWall = ({ ahead }: StoreClock, time: number): number => time - ahead

/** A time that the clock on the wall tells, by the clock. */
export const byTheClock = ({ ahead }: StoreClock, time: number): number => time + ahead

/** What outlives the process of a {@link SteadyClock}. */
export interface ClockReading {
  ahead: number
  /** it has been so late already */
  now: number
}

/** More than a clock is corrected by bit by bit. */
const JUMP_MS = 1000
/** The process was not run between two looks at clocks that belong together. */
const PAUSE_MS = 100

/**
 * The clock of a process: it follows the clock on the wall, but its jumps. Those are told by the monotonic clock of the
 * machine, or, from one process to the next, by what was read last.
 */
export class SteadyClock implements StoreClock {
  #ahead: number
  #last: { now: number; monotonic: number }

  constructor(last?: ClockReading) {
    const { wall, monotonic } = look()
    this.#ahead = last === undefined ? 0 : Math.max(last.ahead, last.now - wall)
    this.#last = { now: wall + this.#ahead, monotonic }
  }

  get ahead(): number {
    return this.#ahead
  }

  now(): number {
    const { wall, monotonic } = look()
    const expected = this.#last.now + monotonic - this.#last.monotonic
    if (Math.abs(wall + this.#ahead - expected) > JUMP_MS) this.#ahead = Math.round(expected - wall)
    this.#last = { now: wall + this.#ahead, monotonic }
    return this.#last.now
  }
}

/** Both clocks at the same moment. */
function look(): { wall: number; monotonic: number } {
  for (;;) {
    const before = performance.now()
    const wall = Date.now()
    const monotonic = performance.now()
    if (monotonic - before < PAUSE_MS) return { wall, monotonic }
  }
}
