import type { StoreClock } from '../store-clock'

/**
 * Clock of the database for one queue. Between two statements it is continued with the monotonic clock of this machine.
 */
export class DatabaseClock implements StoreClock {
  #read = { now: 0, monotonic: 0 }
  ahead = 0

  set(now: number, ahead: number): void {
    this.#read = { now, monotonic: performance.now() }
    this.ahead = ahead
  }

  now(): number {
    return Math.floor(this.#read.now + performance.now() - this.#read.monotonic)
  }
}
