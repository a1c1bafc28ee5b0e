import type { RedoxError, RedoxErrorCode } from '../errors'
import { backoff } from '../transport/retry'

/** An outage may last for hours; when it ends, no message is to wait for long. */
const LONGEST_REST_MS = 60_000

/**
 * Back-off per destination: how often in a row nothing got through, and until when (monotonic clock) it is left alone.
 * Not persisted: after a restart every destination is tried at once.
 */
export class DestinationRests {
  readonly #resting = new Map<string, { failures: number; until: number; code: RedoxErrorCode }>()

  /** One more failure. Returns the milliseconds until the destination is tried again. */
  rest(lane: string, { code, cause: { retryAfterSeconds = 0 } }: RedoxError): number {
    const failures = (this.#resting.get(lane)?.failures ?? 0) + 1
    const rest = Math.ceil(backoff(failures, { retryAfterSeconds, longestMs: LONGEST_REST_MS }))
    this.#resting.set(lane, { failures, until: performance.now() + rest, code })
    return rest
  }

  /** One message got through, so that others may now, too. */
  gotThrough(lane: string): void {
    this.#resting.delete(lane)
    for (const resting of this.#resting.values()) resting.until = 0
  }

  /** Those that are left alone now. */
  lanes(): string[] {
    const now = performance.now()
    return [...this.#resting].flatMap(([lane, { until }]) => (until > now ? [lane] : []))
  }

  /** Milliseconds until each of them may be tried; 0 or less: now. */
  waits(): number[] {
    return [...this.#resting.values()].map(({ until }) => until - performance.now())
  }

  /** Milliseconds until the destination may be tried; 0 or less: now. */
  waitOf(lane: string): number {
    return (this.#resting.get(lane)?.until ?? 0) - performance.now()
  }

  /** Why the last attempt failed, of each destination that nothing gets through to. */
  get codes(): ReadonlyMap<string, RedoxErrorCode> {
    return new Map([...this.#resting].map(([lane, { code }]) => [lane, code]))
  }

  /** Forgets all but these. */
  keepOnly(lanes: Set<string>): void {
    for (const lane of this.#resting.keys()) if (!lanes.has(lane)) this.#resting.delete(lane)
  }

  clear(): void {
    this.#resting.clear()
  }
}
