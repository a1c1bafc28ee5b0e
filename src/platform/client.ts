import { setMaxListeners } from 'node:events'
import { tokenFetcher, type OAuthCredentials } from '../auth/credentials'
import { TokenCache } from '../auth/tokens'
import { unlessAborted } from '../abort'
import { RedoxError } from '../errors'
import { textBody, type RequestBody } from '../transport/body'
import { Http, HttpFault, type HttpAnswer, type HttpOptions } from '../transport/http'
import { PLATFORM_QUOTA } from '../redox/settings'
import { LocalRateLimiter, type RequestLog } from '../transport/rate-limiter'
import { backoff } from '../transport/retry'
import { classifyFailure } from '../transport/outcomes'
import type { LogStatus } from '../shared/values'
import { logIn, pageIn, type DeliveryLog, type SearchPage } from './answers'
import { lookupError, lookupFault, ofPlatform, tokenRefusal } from './errors'

export interface PlatformSettings {
  /** base of `/v2/auth/token` and `/platform/v1`, without a trailing slash */
  apiBase: string
  /** key of a user, not of an environment */
  credentials: OAuthCredentials
  organizationId: string
  /** needed for searches only */
  environmentId: string
  /** network settings; the answer timeout is that of the Platform API */
  http: HttpOptions
}

/** Part of the limit that followed logs may use. The rest is left for lookups that a person waits for. */
const FOLLOWING_QUOTA = 400

/** Timeout of an answer: the Platform API takes up to about a minute (docs/redox-api.md#delivery-status). */
const PLATFORM_ANSWER_SECONDS = 60

/** Criteria of a search. A missing one is not restricted. */
export interface SearchCriteria {
  createdAfter?: Date
  createdBefore?: Date
  dataModel?: string
  eventType?: string
  sourceId?: string
  destinationId?: string
  status?: Exclude<LogStatus, 'unknown'>
}

export interface SearchOptions {
  signal: AbortSignal
  /** number of logs on a page */
  count?: number
  /** `nextCursor` of the previous page */
  cursor?: string
}

const SOCKETS = 4
const PAGE_SIZE = 50
// Longest wait for the rate limit: a person or a follower of a log can ask again.
const LONGEST_WAIT_MS = 60_000

/** Client of the Platform API, with its own token, sockets and rate limit. It reads only. */
export class PlatformClient {
  readonly #http: Http
  readonly #tokens: TokenCache
  readonly #rateLimiter: LocalRateLimiter
  /** limit of the followed logs, for the same requests */
  readonly #followingLimiter: LocalRateLimiter
  readonly #closing = new AbortController()
  /** lookups under way, by log id: callers that ask for the same log share one request */
  readonly #lookups = new Map<string, Promise<DeliveryLog | undefined>>()

  /** @param requests requests that count, shared with the previous clients of a connection */
  constructor(
    private readonly settings: PlatformSettings,
    requests: RequestLog = { pausedUntil: 0, made: [] },
  ) {
    // Each lookup adds a listener, so Node.js must not warn about their number.
    setMaxListeners(0, this.#closing.signal)
    this.#http = new Http({ ...settings.http, answerTimeoutSeconds: PLATFORM_ANSWER_SECONDS }, SOCKETS)
    this.#rateLimiter = new LocalRateLimiter(PLATFORM_QUOTA, requests)
    this.#followingLimiter = new LocalRateLimiter(FOLLOWING_QUOTA, requests)
    this.#tokens = new TokenCache(
      tokenFetcher(settings.credentials, (url, body) => this.#postForToken(url, body)),
    )
  }

  /**
   * Requests an access token, to check the key.
   * @throws RedoxError
   */
  async authenticate(): Promise<void> {
    await this.#named(async () => void (await this.#tokens.get()))
  }

  /**
   * Returns what became of a message by one of its log ids; undefined if Redox has no such log, or not yet.
   * @throws RedoxError REDOX_CONFIGURATION, REDOX_AUTHENTICATION, REDOX_FORBIDDEN; other codes are temporary
   */
  async logById(logId: string, signal: AbortSignal): Promise<DeliveryLog | undefined> {
    let lookup = this.#lookups.get(logId)
    if (lookup === undefined) {
      lookup = this.#named(() => this.#logById(logId)).finally(() => this.#lookups.delete(logId))
      this.#lookups.set(logId, lookup)
    }
    return unlessAborted(lookup, signal)
  }

  /**
   * Returns the same as {@link logById} for a log that is followed: without a wait for the limit of requests, of which
   * followed logs have a part.
   * @throws RedoxError as {@link logById}
   */
  async followedLog(logId: string): Promise<DeliveryLog | undefined> {
    return this.#named(async () => {
      const left = this.#followingLimiter.millisecondsLeft()
      if (left > 0) throw tooManyRequests('log lookup', left)
      return this.#logById(logId)
    })
  }

  async #logById(logId: string): Promise<DeliveryLog | undefined> {
    const organization = needed(this.settings.organizationId, 'Organization ID', 'organizationId')
    const path = `organizations/${encodeURIComponent(organization)}/logs/${encodeURIComponent(logId)}`
    const answer = await this.#lookup('log lookup', path, this.#closing.signal)
    if (answer === undefined) return undefined
    return usable(logIn(answer.body), 'log lookup', answer)
  }

  /**
   * Returns a page of the logs that meet all criteria. A search is never without doubt: the metadata of two messages may
   * be the same.
   * @throws RedoxError as {@link logById}
   */
  async search(
    criteria: SearchCriteria,
    { signal, count = PAGE_SIZE, cursor }: SearchOptions,
  ): Promise<SearchPage> {
    return this.#named(async () => {
      const environment = needed(this.settings.environmentId, 'Environment ID', 'environmentId')
      const query = new URLSearchParams({
        _count: String(count),
        ...(cursor !== undefined && { _cursor: cursor }),
      })
      const path = `environments/${encodeURIComponent(environment)}/logs/search/metadata?${query}`
      const either = AbortSignal.any([signal, this.#closing.signal])
      const body = textBody('application/json', JSON.stringify(criteria))
      const answer = await this.#lookup('log search', path, either, body)
      if (answer === undefined) throw lookupError({ status: 404 }, 'log search')
      return usable(pageIn(answer.body), 'log search', answer)
    })
  }

  /** Aborts all requests and closes the sockets. */
  async close(): Promise<void> {
    this.#closing.abort(new DOMException('closed', 'AbortError'))
    await this.#http.close()
  }

  async #named<T>(task: () => Promise<T>): Promise<T> {
    try {
      return await task()
    } catch (error) {
      throw error instanceof RedoxError ? ofPlatform(error) : error
    }
  }

  /** Makes one lookup; with a new token, once more if Redox refused the token. Returns undefined for a 404. */
  async #lookup(
    operation: string,
    path: string,
    signal: AbortSignal,
    body?: RequestBody,
  ): Promise<HttpAnswer | undefined> {
    const first = await this.#attempt(operation, path, signal, body)
    const isRefused = 'refusal' in first && first.renewsToken
    const last = isRefused ? await this.#attempt(operation, path, signal, body) : first
    if ('answer' in last) return last.answer
    if (last.refusal.cause.status === 404) return undefined
    throw last.refusal
  }

  async #attempt(
    operation: string,
    path: string,
    signal: AbortSignal,
    body?: RequestBody,
  ): Promise<{ answer: HttpAnswer } | { refusal: RedoxError; renewsToken: boolean }> {
    const token = await unlessAborted(this.#tokens.get(), signal)
    await this.#acquire(operation, signal)
    const url = `${this.settings.apiBase}/platform/v1/${path}`
    const request = { url, headers: { accept: 'application/json', authorization: `Bearer ${token}` }, signal }
    const answer = await this.#exchange(operation, () =>
      body ? this.#http.post({ ...request, body }) : this.#http.get(request),
    )
    if (isSuccess(answer)) return { answer }
    const failure = { status: answer.status }
    const { renewsToken = false } = classifyFailure(failure, 'lookup')
    if (renewsToken) this.#tokens.invalidate(token)
    const refusal = lookupError(failure, operation, answer)
    if (answer.status === 429) this.#pause(refusal)
    return { refusal, renewsToken }
  }

  async #postForToken(url: string, body: RequestBody): Promise<HttpAnswer> {
    const { signal } = this.#closing
    await this.#acquire('token', signal)
    const request = { url, headers: { accept: 'application/json' }, body, signal }
    const answer = await this.#exchange('token', () => this.#http.post(request))
    if (isSuccess(answer)) return answer
    const refusal = tokenRefusal(answer, [this.settings.credentials.privateKey])
    if (answer.status === 429) this.#pause(refusal)
    throw refusal
  }

  /** Runs a request, and converts the failure of one that got no answer to a RedoxError. */
  async #exchange(operation: string, run: () => Promise<HttpAnswer>): Promise<HttpAnswer> {
    try {
      return await run()
    } catch (error) {
      throw error instanceof HttpFault ? lookupFault(error.failure, operation, error.systemCode) : error
    }
  }

  /** Waits until the rate limit allows a request. */
  async #acquire(operation: string, signal: AbortSignal): Promise<void> {
    const left = await this.#rateLimiter.acquire(signal, performance.now() + LONGEST_WAIT_MS)
    if (left > 0) throw tooManyRequests(operation, left)
  }

  #pause({ cause }: RedoxError): void {
    this.#rateLimiter.pause(backoff(1, cause))
  }
}

function tooManyRequests(operation: string, milliseconds: number): RedoxError {
  const seconds = Math.ceil(milliseconds / 1000)
  return new RedoxError(
    'REDOX_RATE_LIMITED',
    `Too many requests (${operation}): the next one is possible in ${seconds} s. Look it up again later.`,
    { operation, retryAfterSeconds: seconds },
  )
}

const isSuccess = ({ status }: HttpAnswer): boolean => status >= 200 && status < 300

function needed(value: string, label: string, field: string): string {
  const trimmed = value.trim()
  if (trimmed !== '') return trimmed
  throw new RedoxError(
    'REDOX_CONFIGURATION',
    `${label} is missing. Copy it from the Redox dashboard into the connection.`,
    { field },
  )
}

/** Returns what an answer contains; a success that the Platform API does not give is an error. */
function usable<T>(found: T | undefined, operation: string, answer: HttpAnswer): T {
  if (found !== undefined) return found
  throw lookupError({ fault: 'unreadable', sent: true }, operation, answer)
}
