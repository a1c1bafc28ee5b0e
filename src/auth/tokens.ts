import { backoff } from '../transport/retry'

/** What a token endpoint gave. Times are those of the monotonic clock (`performance.now()`). */
export interface AccessToken {
  token: string
  expiresAt: number
  obtainedAt: number
  /** legacy keys only (docs/redox-api.md#legacy-api-key) */
  refreshToken?: string
}

/** The end of a token that a server refused before its time. */
export const REFUSED = -Infinity

/** Fetches a token, given the one before (its refresh token may save the secret's way over the wire). */
export type FetchToken = (previous: AccessToken | undefined) => Promise<AccessToken>

// Clients in production renew 10 s to 5 min ahead (docs/redox-api.md#legacy-api-key, #oauth-api-key). OAuth tokens live
// 300 s.
const RENEW_AHEAD_MS = 60_000
const RENEW_AHEAD_SHARE = 0.2
/** In the last part of that time no request begins with the old one: it has to last until the request is there. */
const WAIT_SHARE = 0.25

/**
 * One access token for all who send over one connection: fetched once however many wait for it, renewed ahead
 * of its end. No message waits for that renewal, or fails with it, as long as the old one can be used.
 */
export class TokenCache {
  #current: AccessToken | undefined
  #previous: AccessToken | undefined
  #pending: Promise<AccessToken> | undefined
  /** renewals that failed in a row, and when the next one ahead of time may begin (monotonic clock) */
  #failures = 0
  #renewFrom = -Infinity
  readonly #fetch: FetchToken

  constructor(fetch: FetchToken) {
    this.#fetch = fetch
  }

  /** The token, if there is one that can be used. */
  get usable(): string | undefined {
    if (this.#current === undefined) return undefined
    const left = this.#current.expiresAt - performance.now()
    const ahead = aheadOf(this.#current)
    // A failure is told to those who wait, once nothing else is left.
    if (left <= ahead && performance.now() >= this.#renewFrom) this.#renew().catch(() => undefined)
    return left > ahead * WAIT_SHARE ? this.#current.token : undefined
  }

  async get(): Promise<string> {
    return this.usable ?? (await this.#renew()).token
  }

  /** A server refused this token. Others may have renewed it meanwhile: then theirs stays. */
  invalidate(token: string): void {
    if (this.#current?.token === token) this.#current = { ...this.#current, expiresAt: REFUSED }
  }

  /** What it holds and has held last: a request may still be under way with the one before. */
  secrets(): string[] {
    return [this.#current, this.#previous].flatMap((known) =>
      known ? [known.token, known.refreshToken ?? ''] : [],
    )
  }

  #renew(): Promise<AccessToken> {
    this.#pending ??= this.#fetch(this.#current)
      .then(
        (token) => {
          this.#failures = 0
          this.#renewFrom = -Infinity
          this.#previous = this.#current
          return (this.#current = token)
        },
        (error: unknown) => {
          // While the old token can be used, an endpoint that fails is not asked once more for each message.
          this.#renewFrom = performance.now() + backoff(++this.#failures)
          throw error
        },
      )
      .finally(() => (this.#pending = undefined))
    return this.#pending
  }
}

/** How many milliseconds before its end a token is renewed. */
const aheadOf = ({ obtainedAt, expiresAt }: AccessToken): number =>
  Math.max(0, Math.min(RENEW_AHEAD_MS, (expiresAt - obtainedAt) * RENEW_AHEAD_SHARE))
