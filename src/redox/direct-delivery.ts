import { setTimeout as sleep } from 'node:timers/promises'
import { RedoxError, type RedoxErrorCode } from '../errors'
import type { FileSource } from '../file/file'
import type { PreparedMessage } from '../message/prepared'
import { isTriedAgain } from '../transport/outcomes'
import { backoff, type RetryPolicy } from '../transport/retry'
import type { RedoxClient } from './client'
import type { CheckpointHooks, SendResult, AttemptOptions, UploadResult } from './client-types'
import { slotDemandOf, uploadSlotDemandOf } from './requests'
import type { UploadKind } from './uploads'

interface DirectOptions extends AttemptOptions {
  /** called after each failed attempt that made a request, with the code of the failure */
  onFailure?: (code: RedoxErrorCode) => void
}

/**
 * Sends a message now, with up to the connection's number of attempts for each request. The message keeps its slot
 * until the end. Files that were uploaded in an earlier attempt are not uploaded again.
 * @throws RedoxError
 */
export function deliverDirect(
  client: RedoxClient,
  message: PreparedMessage,
  options: DirectOptions,
): Promise<SendResult> {
  return client.inSlot(slotDemandOf(message), options, (inSlot) => {
    const retries = new Retries(client, inSlot)
    const uploaded: Record<number, UploadResult> = {}
    const checkpoints: CheckpointHooks = {
      uploaded,
      onUploaded: async (index, one) => {
        uploaded[index] = one
        retries.goOn(one.attempts)
      },
      onSending: async () => undefined,
    }
    return retries.run((limits) => client.deliver(message, { ...inSlot, ...limits, checkpoints }))
  })
}

/**
 * Uploads a file now, with up to the connection's number of attempts.
 * @throws RedoxError
 */
export function uploadDirect(
  client: RedoxClient,
  file: FileSource,
  { kind, ...options }: DirectOptions & { kind: UploadKind },
): Promise<UploadResult> {
  return client.inSlot(uploadSlotDemandOf(file), options, (inSlot) =>
    new Retries(client, inSlot).run((limits) => client.upload(file, kind, { ...inSlot, ...limits })),
  )
}

type AttemptLimits = Required<Pick<AttemptOptions, 'giveUpAt' | 'attempt'>>

interface AttemptCount {
  /** number of failed attempts */
  attempts: number
  /** number of HTTP requests of these attempts, including requests repeated with a new token */
  requests: number
}

/**
 * Repeats the attempts of one message or upload. Token requests, each upload and the message have separate attempt
 * counts.
 */
class Retries {
  #giveUpAt: number
  readonly #counts = new Map<string, AttemptCount>()
  /** number of HTTP requests of failed attempts, without token requests */
  #requests = 0
  /** number of HTTP requests for uploads in the current attempt */
  #uploads = 0
  /**
   * error of an attempt that may have delivered the message; kept after later failures, because they do not prove that
   * the message has not arrived
   */
  #unknown: RedoxError | undefined
  #last: RedoxError | undefined
  private readonly policy: RetryPolicy

  constructor(
    private readonly client: RedoxClient,
    private readonly options: DirectOptions,
  ) {
    this.policy = client.settings.retry
    this.#giveUpAt = this.#deadline()
  }

  /** Restarts the time limit and the attempt counts after a successful upload. */
  goOn(requests: number): void {
    this.#uploads += requests
    this.#giveUpAt = this.#deadline()
    this.#counts.clear()
  }

  /**
   * Repeats `attempt` until it succeeds or must not be repeated.
   * @returns the result of the successful attempt, with the number of HTTP requests of all attempts
   */
  async run<T extends { attempts: number }>(attempt: (limits: AttemptLimits) => Promise<T>): Promise<T> {
    const giveUpAt = (): number => this.#giveUpAt
    for (let number = 1; ; number++) {
      try {
        const result = await attempt({ giveUpAt, attempt: number })
        return { ...result, attempts: this.#requests + result.attempts }
      } catch (error) {
        if (error instanceof RedoxError && error.cause.attempts !== undefined)
          this.options.onFailure?.(error.code)
        const wait = this.#waitAfter(error)
        if (error instanceof RedoxError) this.client.activity.retried(error.code)
        await this.#wait(wait, error)
      }
    }
  }

  #deadline(): number {
    return performance.now() + this.policy.deadlineSeconds * 1000
  }

  /** Milliseconds until the next attempt. Throws the final error if no further attempt is allowed. */
  #waitAfter(error: unknown): number {
    if (!(error instanceof RedoxError)) throw this.#unknown ?? error
    const { operation = '', attempts, retry, retryAfterSeconds } = error.cause
    if (attempts === undefined) throw this.#withoutRequest(error)
    const count = this.#counted(operation, attempts)
    const counted = error.with({ attempts: count.requests })
    if (retry === 'unknown') this.#unknown = counted
    this.#unknown &&= this.#unknown.with({ attempts: count.requests })
    this.#last = this.#unknown ?? counted
    const wait = backoff(count.attempts, { retryAfterSeconds })
    const isLast = count.attempts >= this.policy.attempts || performance.now() + wait > this.#giveUpAt
    const isStopped = error.code === 'REDOX_ABORTED'
    if (isLast || isStopped || !isTriedAgain(retry, 'direct', this.policy)) throw this.#last
    return wait
  }

  /**
   * Returns the most helpful error when the last attempt made no HTTP request: the earlier failure, if there is one,
   * instead of the error that the rate-limit pause is too long.
   */
  #withoutRequest(error: RedoxError): RedoxError {
    const isPause = error.code === 'REDOX_RATE_LIMITED'
    return this.#unknown ?? (isPause ? this.#last : undefined) ?? error
  }

  #counted(operation: string, requests: number): AttemptCount {
    const before = this.#counts.get(operation) ?? { attempts: 0, requests: 0 }
    const count = { attempts: before.attempts + 1, requests: before.requests + requests }
    this.#counts.set(operation, count)
    this.#requests += this.#uploads + (operation === 'token' ? 0 : requests)
    this.#uploads = 0
    return count
  }

  async #wait(milliseconds: number, after: unknown): Promise<void> {
    const { onProgress, signal: stop } = this.options
    // After a 429, all requests wait for the rate limiter, so an earlier attempt would wait there.
    const canEnd = !(after instanceof RedoxError && after.code === 'REDOX_RATE_LIMITED')
    const end = new AbortController()
    const endWait = (): void => end.abort()
    onProgress?.({ phase: 'retry', sent: 0, total: 0, waitMs: milliseconds, ...(canEnd && { endWait }) })
    const signal = stop ? AbortSignal.any([stop, end.signal]) : end.signal
    await sleep(milliseconds, undefined, { signal }).catch((stopped: unknown) => {
      if (stop?.aborted || !end.signal.aborted) throw this.#unknown ?? stopped
    })
    onProgress?.({ phase: 'wait', sent: 0, total: 0 })
  }
}
