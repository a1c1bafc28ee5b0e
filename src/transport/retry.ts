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
