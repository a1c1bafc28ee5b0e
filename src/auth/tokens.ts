/** What a token endpoint gave. Times in milliseconds since 1970. */
export interface AccessToken {
  token: string
  expiresAt: number
  obtainedAt: number
  /** legacy keys only (facts 2.2) */
  refreshToken?: string
}

/** Fetches a token, given the one before (its refresh token may save the secret's way over the wire). */
export type FetchToken = (previous: AccessToken | undefined) => Promise<AccessToken>

// Clients in production renew 10 s to 5 min ahead (facts 2.2, 2.3). OAuth tokens live 300 s.
const RENEW_AHEAD_MS = 60_000
const RENEW_AHEAD_SHARE = 0.2

/**
 * One access token for all who send over one connection: fetched once however many wait for it, renewed ahead
 * of its end.
 */
export class TokenCache {
  #current: AccessToken | undefined
  #previous: AccessToken | undefined
  #pending: Promise<AccessToken> | undefined
  readonly #fetch: FetchToken

  constructor(fetch: FetchToken) {
    this.#fetch = fetch
  }

  /** The token, if it can still be used for a while. */
  get fresh(): string | undefined {
    return this.#current && Date.now() < renewAt(this.#current) ? this.#current.token : undefined
  }

  async get(): Promise<string> {
    return this.fresh ?? (await this.#renew()).token
  }

  /** A server refused this token. Others may have renewed it meanwhile: then theirs stays. */
  invalidate(token: string): void {
    if (this.#current?.token === token) this.#current = { ...this.#current, expiresAt: 0 }
  }

  /** What it holds and has held last: a request may still be under way with the one before. */
  secrets(): string[] {
    return [this.#current, this.#previous].flatMap((known) =>
      known ? [known.token, known.refreshToken ?? ''] : [],
    )
  }

  #renew(): Promise<AccessToken> {
    this.#pending ??= this.#fetch(this.#current)
      .then((token) => {
        this.#previous = this.#current
        return (this.#current = token)
      })
      .finally(() => (this.#pending = undefined))
    return this.#pending
  }
}

const renewAt = ({ obtainedAt, expiresAt }: AccessToken): number =>
  expiresAt - Math.min(RENEW_AHEAD_MS, (expiresAt - obtainedAt) * RENEW_AHEAD_SHARE)
