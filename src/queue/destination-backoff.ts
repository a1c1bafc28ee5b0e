import type { RedoxError, RedoxErrorCode } from '../errors'
import { backoff } from '../transport/retry'

/**
 * Longest back-off, in milliseconds. An outage may last for hours, but after its end no message should wait for long.
 */
const LONGEST_BACKOFF_MS = 60_000

/**
 * Back-off per destination: number of failures in a row, and end of the back-off (monotonic clock). Not persisted:
 * after a restart every destination is tried at once.
 */
export class DestinationBackoff {
  readonly #backoffs = new Map<string, { failures: number; until: number; code: RedoxErrorCode }>()

  /**
   * Counts another failure of a destination.
   * @returns milliseconds until the destination is tried again
   */
  recordFailure(destination: string, { code, cause: { retryAfterSeconds = 0 } }: RedoxError): number {
    const failures = (this.#backoffs.get(destination)?.failures ?? 0) + 1
    const rest = Math.ceil(backoff(failures, { retryAfterSeconds, longestMs: LONGEST_BACKOFF_MS }))
    this.#backoffs.set(destination, { failures, until: performance.now() + rest, code })
    return rest
  }

  /**
   * Ends the back-off of a destination after a delivery. All other destinations may be tried at once, too, because the
   * outage may be over.
   */
  reset(destination: string): void {
    this.#backoffs.delete(destination)
    for (const resting of this.#backoffs.values()) resting.until = 0
  }

  /** Returns the destinations whose back-off is in progress. */
  destinations(): string[] {
    const now = performance.now()
    return [...this.#backoffs].flatMap(([destination, { until }]) => (until > now ? [destination] : []))
  }

  /** Returns the milliseconds until each destination may be tried; 0 or less: at once. */
  waits(): number[] {
    return [...this.#backoffs.values()].map(({ until }) => until - performance.now())
  }

  /** Returns the milliseconds until a destination may be tried; 0 or less: at once. */
  waitOf(destination: string): number {
    return (this.#backoffs.get(destination)?.until ?? 0) - performance.now()
  }

  /** Error codes of the last attempts, by destination, for destinations with failures since their last delivery. */
  get codes(): ReadonlyMap<string, RedoxErrorCode> {
    return new Map([...this.#backoffs].map(([destination, { code }]) => [destination, code]))
  }

  /** Ends the back-off of all destinations except the given ones. */
  keepOnly(destinations: Set<string>): void {
    for (const destination of this.#backoffs.keys())
      if (!destinations.has(destination)) this.#backoffs.delete(destination)
  }

  /** Ends the back-off of one destination; undefined: of all. */
  clear(destination?: string): void {
    if (destination === undefined) this.#backoffs.clear()
    else this.#backoffs.delete(destination)
  }
}
