/**
 * Clock of a store, used for all times in the store. The clock never goes back, because times that were stored earlier
 * would then be reached too late.
 */
export interface StoreClock {
  /** returns the time in milliseconds since 1970 */
  now(): number
  /** milliseconds that this clock is ahead of the wall clock (system time) */
  readonly ahead: number
}

/** Converts a time of the store's clock to the wall clock (system time). */
export const toWallTime = ({ ahead }: StoreClock, time: number): number => time - ahead

/** Converts a time of the wall clock (system time) to the store's clock. */
export const toStoreTime = ({ ahead }: StoreClock, time: number): number => time + ahead

/** State of a {@link SteadyClock} that is stored for the next process. */
export interface ClockReading {
  ahead: number
  /** latest time that the clock has returned */
  now: number
}

/** Smallest change of the wall clock that counts as a jump, in milliseconds. Gradual corrections are smaller. */
const JUMP_MS = 1000
/**
 * Longest pause between two clock reads that belong together, in milliseconds. After a longer pause, e.g. when the
 * process was suspended, the clocks are read again.
 */
const PAUSE_MS = 100

/**
 * Clock of a single process. It follows the wall clock, but ignores its jumps, which are detected with the monotonic
 * clock of the machine or, at the start of a process, with the last stored reading.
 */
export class SteadyClock implements StoreClock {
  #ahead: number
  #last: { now: number; monotonic: number }

  constructor(last?: ClockReading) {
    const { wall, monotonic } = readClocks()
    this.#ahead = last === undefined ? 0 : Math.max(last.ahead, last.now - wall)
    this.#last = { now: wall + this.#ahead, monotonic }
  }

  get ahead(): number {
    return this.#ahead
  }

  now(): number {
    const { wall, monotonic } = readClocks()
    const expected = this.#last.now + monotonic - this.#last.monotonic
    if (Math.abs(wall + this.#ahead - expected) > JUMP_MS) this.#ahead = Math.round(expected - wall)
    this.#last = { now: wall + this.#ahead, monotonic }
    return this.#last.now
  }
}

/** Reads the wall clock and the monotonic clock at (nearly) the same moment. */
function readClocks(): { wall: number; monotonic: number } {
  for (;;) {
    const before = performance.now()
    const wall = Date.now()
    const monotonic = performance.now()
    if (monotonic - before < PAUSE_MS) return { wall, monotonic }
  }
}
