import { present } from '../shared/present'
import { unlessAborted } from '../abort'
import { tokenFetcher } from '../auth/credentials'
import { TokenCache, type FetchToken } from '../auth/tokens'
import { RedoxError } from '../errors'
import type { FileSource } from '../file/file'
import { withValueAt, type JsonObject } from '../message/json'
import type { PreparedMessage } from '../message/prepared'
import { Http } from '../transport/http'
import { backoff } from '../transport/retry'
import { LocalRateLimiter, type RateLimiter } from '../transport/rate-limiter'
import { failureDetail, rejectedError, undeliveredError } from './answer-errors'
import { hasFailed, readAnswer } from './read-answer'
import {
  sentValues,
  attemptRequest,
  identifiersDetail,
  phaseOf,
  type TimedAnswer,
  type FailedRequest,
} from './request-attempt'
import type {
  SendResult,
  SentFile,
  DeliveryOptions,
  Progress,
  AttemptOptions,
  UploadResult,
} from './client-types'
import { Activity } from './activity'
import { pauseTooLong, stoppedBeforeSending } from './attempt-errors'
import { publicFacts, publicHeaders } from './public-facts'
import {
  previewOf,
  RequestSpecs,
  sourceOf,
  tokenRequest,
  type RequestPreview,
  type RequestSpec,
  type SlotDemand,
} from './requests'
import type { Semaphore, SlotRequest } from './semaphore'
import { describeSent, digestsOf, fillDigests, withFiles } from './sent-files'
import type { RedoxSettings } from './settings'
import { newSharedLimits } from './shared-limits'
import { referenceOf, uploadKind, type UploadKind } from './uploads'

/**
 * Client of one connection to Redox, with its token, sockets and limits. Only this class and the modules that it uses
 * know the shapes of Redox's requests and responses. `upload` and `deliver` make one attempt each, with all its I/O;
 * messages are prepared in src/message. Direct delivery (`deliverDirect`) and durable delivery (src/queue) repeat
 * attempts.
 */
export class RedoxClient {
  readonly settings: RedoxSettings
  readonly #requests: RequestSpecs
  readonly #http: Http
  readonly #fetchToken: FetchToken
  readonly #tokens: TokenCache
  readonly #requestSlots: Semaphore
  readonly #preparationSlots: Semaphore
  readonly #rateLimiter: RateLimiter
  readonly #closing = new AbortController()
  /** abort functions of all messages that wait or are being sent */
  readonly #underWay = new Set<() => void>()
  #onIdle = (): void => undefined
  /** upload origins shared with the previous clients of this connection, see {@link SharedLimits} */
  readonly uploadOrigins: Set<string>

  /**
   * Creates the client for a deployed connection.
   * @param sharedLimits limits shared with the previous clients of this connection
   * @param rateLimiter rate limiter shared by several processes; default: one for this process
   * @param activity counts of the connection, shared with the previous clients of this connection
   */
  constructor(
    settings: RedoxSettings,
    sharedLimits = newSharedLimits(settings),
    rateLimiter?: RateLimiter,
    readonly activity = new Activity(''),
  ) {
    this.settings = settings
    this.#requests = new RequestSpecs(settings)
    this.#http = new Http(settings.http, settings.slots.concurrency)
    this.#requestSlots = sharedLimits.requestSlots
    this.#requestSlots.limits = settings.slots
    this.#preparationSlots = sharedLimits.preparationSlots
    this.#preparationSlots.limits = settings.slots
    this.uploadOrigins = sharedLimits.uploadOrigins
    this.#rateLimiter = rateLimiter ?? new LocalRateLimiter(settings.perFiveMinutes, sharedLimits.requests)
    const fetchToken = tokenFetcher(settings.credentials, (url, body) =>
      this.#request(tokenRequest(url, body), { signal: this.#closing.signal }).then(({ answer }) => answer),
    )
    this.#fetchToken = (previous) => watched(fetchToken(previous), activity)
    this.#tokens = new TokenCache(this.#fetchToken)
  }

  /**
   * Uploads a file (docs/redox-api.md#binary, #blob-upload): one attempt. The caller must have acquired a slot, see
   * {@link inSlot}.
   * @throws RedoxError; `cause.retry` indicates if the upload may be repeated
   */
  upload(file: FileSource, kind: UploadKind, options: AttemptOptions): Promise<UploadResult> {
    return this.#upload(file, kind, options)
  }

  /**
   * Uploads those of the message's files that are not embedded, then sends the message: one attempt. The caller must
   * have acquired a slot, see {@link inSlot}.
   * @throws RedoxError; `cause.retry` indicates if the message may be sent again
   */
  async deliver(message: PreparedMessage, options: DeliveryOptions): Promise<SendResult> {
    // The request is checked before any file is uploaded, because the connection's key may have changed since the
    // message was accepted.
    const checked = await this.#requests.checkedMessage(message)
    const files: SentFile[] = []
    const { body, attempts } = await this.#uploadAll(message, options, files)
    const sent = { ...message, body }
    const request = body === message.body ? checked : this.#requests.sized(await this.#requests.message(sent))
    const delivery = await this.#send(sent, request, { ...options, files })
    return { ...delivery, attempts: attempts + delivery.attempts }
  }

  /**
   * Runs a task in one of the connection's request slots, as soon as a slot is free.
   * @param task receives the options with a signal that also aborts when the client is closed
   * @throws RedoxError REDOX_QUEUE_FULL; REDOX_ABORTED in place of an AbortError
   */
  async inSlot<T, O extends AttemptOptions>(
    { operation, bytes }: SlotDemand,
    options: O,
    task: (options: O) => Promise<T>,
  ): Promise<T> {
    const [signal, release] = this.#untilClosed(options.signal)
    const onWait = (): void => options.onProgress?.(WAITING)
    try {
      return await this.#requestSlots.run(() => task({ ...options, signal }), signal, { bytes, onWait })
    } catch (error) {
      if (error instanceof RedoxError || !signal.aborted) throw error
      throw stoppedBeforeSending(operation)
    } finally {
      release()
    }
  }

  /**
   * Throws the errors that {@link deliver} would throw before its first request.
   * @throws RedoxError REDOX_TOO_LARGE, REDOX_CONFIGURATION for a key that the API does not accept
   */
  async assertDeliverable(message: PreparedMessage): Promise<void> {
    await this.#requests.checkedMessage(message)
  }

  /**
   * Requests an access token that is not used otherwise, to check the credentials.
   * @throws RedoxError
   */
  async authenticate(): Promise<void> {
    await this.#fetchToken(undefined)
  }

  /** Returns the requests that {@link deliver} would make, without sending them or reading a file. */
  preview(message: PreparedMessage): Promise<RequestPreview[]> {
    return this.#requests.preview(message)
  }

  /** Returns the request that {@link upload} would make. */
  previewUpload(file: FileSource, kind: UploadKind): RequestPreview[] {
    return [previewOf(this.#requests.upload(file, kind))]
  }

  /** Closes the sockets after all current tasks have ended. */
  async end(): Promise<void> {
    if (this.#underWay.size > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve))
    await this.close()
  }

  /** Aborts all current tasks and closes the sockets. */
  async close(): Promise<void> {
    this.#closing.abort(new DOMException('closed', 'AbortError'))
    this.#underWay.forEach((abort) => abort())
    await this.#http.close()
  }

  /**
   * Waits for a preparation slot. The number of messages that are prepared at once is limited like the number that are
   * sent at once, so that waiting messages use no memory beyond their input.
   * @returns function that releases the slot
   * @throws RedoxError REDOX_QUEUE_FULL, REDOX_ABORTED
   */
  async admit(signal: AbortSignal, { bytes, onWait = () => undefined }: SlotRequest): Promise<() => void> {
    const [either, release] = this.#untilClosed(signal)
    try {
      const leave = await this.#preparationSlots.acquire(either, { bytes, onWait })
      return () => {
        leave()
        release()
      }
    } catch (error) {
      release()
      throw either.aborted ? stoppedBeforeSending('the message') : error
    }
  }

  /**
   * Returns a signal that aborts with the given signal or when the client is closed, and a function to call when the
   * signal is no longer needed.
   */
  #untilClosed(signal: AbortSignal): [either: AbortSignal, release: () => void] {
    const stop = new AbortController()
    const abort = (): void => stop.abort(new DOMException('closed', 'AbortError'))
    if (signal.aborted || this.#closing.signal.aborted) abort()
    // Not `AbortSignal.any`: on Node.js 20 each call leaks memory in a long-lived source signal.
    signal.addEventListener('abort', abort)
    this.#underWay.add(abort)
    const release = (): void => {
      signal.removeEventListener('abort', abort)
      this.#underWay.delete(abort)
      if (this.#underWay.size === 0) this.#onIdle()
    }
    return [stop.signal, release]
  }

  async #upload(
    file: FileSource,
    kind: UploadKind,
    { source, ...options }: AttemptOptions & { source?: string | undefined },
  ): Promise<UploadResult> {
    const step = this.#requests.checkedUpload(file, kind, source)
    const { answer, attempts, at } = await this.#request(step, options)
    const facts = readAnswer(answer)
    if (facts.refusals > 0) {
      const detail = failureDetail(step.operation, answer, facts, { sent: await sentValues(step) })
      throw rejectedError({ ...detail, attempts, at })
    }
    const url = withAttempts({ attempts, at }, () => referenceOf(answer, step.url, kind))
    this.uploadOrigins.add(new URL(url).origin)
    return {
      url,
      status: answer.status,
      headers: publicHeaders(answer.headers),
      sha256: present(step.body.sha256()[0], 'the hash of the file'),
      attempts,
    }
  }

  /**
   * Uploads the attachments that have to be uploaded, except those that an earlier attempt has uploaded.
   * @param files receives one element for each attachment
   * @returns the message body with the references to the uploaded files, and the number of HTTP requests
   */
  async #uploadAll(
    message: PreparedMessage,
    { checkpoints, ...options }: DeliveryOptions,
    files: SentFile[],
  ): Promise<{ body: JsonObject; attempts: number }> {
    let { body } = message
    let attempts = 0
    const uploading = { ...options, source: sourceOf(message) }
    for (const [index, { way, path, file }] of message.attachments.entries()) {
      if (way !== 'upload' || file.kind !== 'file') {
        files.push({ way, ...describeSent(file) })
        continue
      }
      let uploaded = checkpoints?.uploaded[index]
      if (uploaded === undefined) {
        uploaded = await this.#upload(file, uploadKind(message.api), uploading).catch((error: unknown) => {
          throw error instanceof RedoxError ? withFiles(error, files, []) : error
        })
        attempts += uploaded.attempts
        await checkpoints?.onUploaded(index, uploaded)
      }
      body = withValueAt(body, path, uploaded.url)
      files.push({ way, size: file.size, sha256: uploaded.sha256, url: uploaded.url })
    }
    return { body, attempts }
  }

  async #send(
    message: PreparedMessage,
    request: RequestSpec,
    { files, checkpoints, ...options }: DeliveryOptions & { files: SentFile[] },
  ): Promise<SendResult> {
    const onBegin = (): Promise<void> | undefined => checkpoints?.onSending()
    try {
      const { answer, attempts, at } = await this.#request(request, { ...options, onBegin })
      const found = readAnswer(answer)
      if (hasFailed(found)) {
        const error = undeliveredError(message, answer, found, await sentValues(request))
        throw error.with({ attempts, at, ...identifiersDetail(request) })
      }
      fillDigests(files, request.body.sha256())
      const { status, headers, body } = answer
      return {
        ...{ status, body, files, attempts },
        headers: publicHeaders(headers),
        facts: publicFacts(found),
      }
    } catch (error) {
      if (!(error instanceof RedoxError)) throw error
      // The SHA-256 of all files is needed to look up the message, even if the request body was only partly read.
      const isUnknown = error.code === 'REDOX_OUTCOME_UNKNOWN'
      throw withFiles(error, files, isUnknown ? await digestsOf(request) : request.body.sha256())
    }
  }

  /**
   * Makes one attempt at a request of any kind. If the server refuses the token, the request is sent once more with a
   * new token.
   */
  async #request(request: RequestSpec, options: OneRequest): Promise<TimedAnswer & { attempts: number }> {
    const first = await this.#requestOnce(request, options)
    if ('answer' in first) return { ...first, attempts: 1 }
    if (!first.renewsToken) throw first.error
    const second = await this.#requestOnce(request, options).catch((error: unknown) => {
      // If the rate limiter would delay the second request for too long, the error of the first one is more helpful.
      throw error instanceof RedoxError && error.code === 'REDOX_RATE_LIMITED' ? first.error : error
    })
    if ('answer' in second) return { ...second, attempts: 2 }
    throw second.error.with({ attempts: 2 })
  }

  /** Makes one HTTP request with the shared token, as soon as the rate limiter allows it. */
  async #requestOnce(
    request: RequestSpec,
    { signal, onProgress = () => undefined, giveUpAt, attempt: number = 1, onBegin }: OneRequest,
  ): Promise<TimedAnswer | FailedRequest> {
    const { settings } = this
    const tokenFor = async (): Promise<string | undefined> =>
      request.kind === 'token'
        ? undefined
        : (this.#tokens.usable ?? unlessAborted(this.#tokens.get(), signal))
    const until = giveUpAt?.() ?? performance.now() + settings.retry.deadlineSeconds * 1000
    await tokenFor()
    if (this.#rateLimiter.millisecondsLeft() > 0) onProgress(WAITING)
    const wait = await this.#rateLimiter.acquire(signal, until)
    if (wait > 0) throw pauseTooLong(request.operation, wait)
    // The token may have expired during the pause.
    const token = await tokenFor()
    await onBegin?.()
    onProgress({ phase: phaseOf(request), sent: 0, total: request.body.length })
    const tokenSecrets = (): string[] => this.#tokens.secrets()
    const context = { http: this.#http, settings, token, tokenSecrets, signal, onProgress }
    const began = performance.now()
    const result = await attemptRequest(request, context)
    const failure = 'error' in result ? result.error.code : undefined
    const seconds = (performance.now() - began) / 1000
    this.activity.requestEnded({ kind: request.kind, code: failure, seconds, bytes: request.body.length })
    if (!('error' in result)) return result
    if (result.renewsToken && token !== undefined) this.#tokens.invalidate(token)
    const { code, cause } = result.error
    // A 429 counts for the whole connection, so all its requests pause.
    if (code === 'REDOX_RATE_LIMITED') this.#rateLimiter.pause(backoff(number, cause))
    return result
  }
}

interface OneRequest extends AttemptOptions {
  /** called and awaited immediately before the HTTP request */
  onBegin?: () => Promise<void> | undefined
}

const WAITING: Progress = { phase: 'wait', sent: 0, total: 0 }

/** Records the outcome of a request for an access token. */
async function watched<T>(fetching: Promise<T>, activity: Activity): Promise<T> {
  try {
    const token = await fetching
    activity.tokenObtained()
    return token
  } catch (error) {
    activity.tokenFailed(error instanceof RedoxError ? error.code : 'REDOX_INTERNAL')
    throw error
  }
}

/** Runs `judge`. If it throws, adds the number of HTTP requests and the start time of the last attempt to the error. */
function withAttempts<T>(detail: { attempts: number; at: string }, judge: () => T): T {
  try {
    return judge()
  } catch (error) {
    throw error instanceof RedoxError ? error.with(detail) : error
  }
}
