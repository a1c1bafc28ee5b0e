import { backoff } from '../transport/retry'

/** Access token from a token endpoint. Times in ms of the monotonic clock (`performance.now()`). */
export interface AccessToken {
  token: string
  expiresAt: number
  obtainedAt: number
  /** refresh token of a legacy key (docs/redox-api.md#legacy-api-key) */
  refreshToken?: string
}

/** Expiry time that is set for a token when a server refuses it before its real expiry. */
export const EXPIRED_AT_REFUSAL = -Infinity

/**
 * Fetches an access token. If the previous token has a refresh token, the function can use it instead of sending the
 * secret again.
 */
export type FetchToken = (previous: AccessToken | undefined) => Promise<AccessToken>

// Clients in production renew tokens 10 s to 5 min before they expire (docs/redox-api.md#legacy-api-key,
// #oauth-api-key). OAuth tokens live 300 s.
const RENEW_AHEAD_MS = 60_000
const RENEW_AHEAD_SHARE = 0.2
/**
 * Last fraction of the time between the renewal of a token and its expiry. In this part the old token is no longer
 * used, because a token must still be valid when the request reaches Redox.
 */
const WAIT_SHARE = 0.25

/**
 * Cache of the access token of one connection. Concurrent callers share one token request, and the token is renewed
 * before it expires. While the old token is usable, no message waits for the renewal or fails because of it.
 */
export class TokenCache {
  #current: AccessToken | undefined
  #previous: AccessToken | undefined
  #pending: Promise<AccessToken> | undefined
  /**
   * number of consecutive failed renewals; after a failure, `#renewFrom` (ms, monotonic clock) delays the next early
   * renewal
   */
  #failures = 0
  #renewFrom = -Infinity
  readonly #fetch: FetchToken

  constructor(fetch: FetchToken) {
    this.#fetch = fetch
  }

  /**
   * Cached token; undefined if there is none or it expires too soon. Starts a renewal in the background when one is
   * due.
   */
  get usable(): string | undefined {
    if (this.#current === undefined) return undefined
    const left = this.#current.expiresAt - performance.now()
    const ahead = aheadOf(this.#current)
    // Errors are ignored here: a failed renewal is reported only to callers that need a new token.
    if (left <= ahead && performance.now() >= this.#renewFrom) this.#renew().catch(() => undefined)
    return left > ahead * WAIT_SHARE ? this.#current.token : undefined
  }

  async get(): Promise<string> {
    return this.usable ?? (await this.#renew()).token
  }

  /** Marks a token as refused by a server. A newer token in the cache stays valid. */
  invalidate(token: string): void {
    if (this.#current?.token === token) this.#current = { ...this.#current, expiresAt: EXPIRED_AT_REFUSAL }
  }

  /** Secrets of the current token and of the previous one, which a request in progress may still use. */
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
          // While the old token is usable, the token endpoint is asked again after a failure only at intervals, not for
          // each message.
          this.#renewFrom = performance.now() + backoff(++this.#failures)
          throw error
        },
      )
      .finally(() => (this.#pending = undefined))
    return this.#pending
  }
}

/** Time before its expiry at which a token is renewed, in milliseconds. */
const aheadOf = ({ obtainedAt, expiresAt }: AccessToken): number =>
  Math.max(0, Math.min(RENEW_AHEAD_MS, (expiresAt - obtainedAt) * RENEW_AHEAD_SHARE))
