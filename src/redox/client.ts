import { setTimeout as sleep } from 'node:timers/promises'
import { unlessAborted } from '../abort'
import { tokenFetcher } from '../auth/credentials'
import { TokenCache, type FetchToken } from '../auth/tokens'
import { RedoxError } from '../errors'
import type { FileSource } from '../file/file'
import { withValueAt, type JsonObject } from '../message/json'
import type { PreparedMessage } from '../message/prepared'
import { Http } from '../transport/http'
import { backoff, isRetried, Pace, type PaceKeeper } from '../transport/retry'
import { failureDetail, hasFailed, readAnswer, refused, undelivered } from './answers'
import { allSent, attempt, identified, phaseOf, type Answered, type Failure } from './attempt'
import type { Delivery, DeliveredFile, DeliveryOptions, Progress, RequestOptions, Uploaded } from './delivery'
import { pauseTooLong, stoppedBefore } from './failures'
import { publicFacts, publicHeaders } from './public-facts'
import {
  heldBytes,
  previewOf,
  RequestSpecs,
  sourceOf,
  textLength,
  tokenRequest,
  type RequestPreview,
  type RequestSpec,
} from './requests'
import type { Gate, Entry } from './semaphore'
import { describeSent, digestsOf, fillDigests, withFiles } from './sent-files'
import type { RedoxSettings } from './settings'
import { newSuccession } from './shared-limits'
import { referenceOf, uploadKind, type UploadKind } from './uploads'

/**
 * One connection to Redox: its token, its sockets, its limits. The only place that knows the shapes of the
 * APIs. `upload` and `deliver` do all I/O; messages come in prepared (src/message).
 */
export class RedoxClient {
  readonly settings: RedoxSettings
  readonly #requests: RequestSpecs
  readonly #http: Http
  readonly #fetchToken: FetchToken
  readonly #tokens: TokenCache
  readonly #gate: Gate
  readonly #intake: Gate
  readonly #pace: PaceKeeper
  readonly #closing = new AbortController()
  /** stops each message that waits or is under way */
  readonly #underWay = new Set<() => void>()
  #onIdle = (): void => undefined
  /** see {@link Succession} */
  readonly uploadOrigins: Set<string>

  /**
   * @param succession of the clients before it
   * @param pace where more than one process shares the limit of requests
   */
  constructor(settings: RedoxSettings, succession = newSuccession(settings), pace?: PaceKeeper) {
    this.settings = settings
    this.#requests = new RequestSpecs(settings)
    this.#http = new Http(settings.http, settings.gate.width)
    this.#gate = succession.gate
    this.#gate.limits = settings.gate
    this.#intake = succession.intake
    this.#intake.limits = settings.gate
    this.uploadOrigins = succession.uploadOrigins
    this.#pace = pace ?? new Pace(settings.perFiveMinutes, succession.requests)
    this.#fetchToken = tokenFetcher(settings.credentials, (url, body) =>
      this.#request(async () => tokenRequest(url, await body()), { signal: this.#closing.signal }).then(
        ({ answer }) => answer,
      ),
    )
    this.#tokens = new TokenCache(this.#fetchToken)
  }

  /**
   * Uploads a file (docs/redox-api.md#binary, #blob-upload).
   * @throws RedoxError
   */
  upload(file: FileSource, kind: UploadKind, options: RequestOptions): Promise<Uploaded> {
    const entry = { operation: 'upload', bytes: heldBytes([file]) }
    return this.#inTurn(entry, options, (inTurn) => this.#upload(file, kind, inTurn))
  }

  /**
   * Uploads what is to be uploaded, then sends the message.
   * @throws RedoxError
   */
  deliver(message: PreparedMessage, options: DeliveryOptions): Promise<Delivery> {
    const { operation, body, attachments } = message
    const bytes = heldBytes(attachments.map(({ file }) => file)) + textLength(body)
    return this.#inTurn({ operation, bytes }, options, (inTurn) => this.#deliver(message, inTurn))
  }

  /**
   * Refuses what {@link deliver} would refuse before its first request.
   * @throws RedoxError REDOX_TOO_LARGE, REDOX_CONFIGURATION for a key that the API does not take
   */
  async assertDeliverable(message: PreparedMessage): Promise<void> {
    await this.#requests.checkedMessage(message)
  }

  /**
   * Fetches a token that nobody will use, to see whether the credentials are right.
   * @throws RedoxError
   */
  async authenticate(): Promise<void> {
    await this.#fetchToken(undefined)
  }

  /** The requests that {@link deliver} would make. Nothing is sent, no file is read. */
  preview(message: PreparedMessage): Promise<RequestPreview[]> {
    return this.#requests.preview(message)
  }

  /** The request that {@link upload} would make. */
  previewUpload(file: FileSource, kind: UploadKind): RequestPreview[] {
    return [previewOf(this.#requests.upload(file, kind))]
  }

  /** Closes the sockets once all that was given to it has ended. */
  async end(): Promise<void> {
    if (this.#underWay.size > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve))
    await this.close()
  }

  /** Stops what is under way and closes the sockets. */
  async close(): Promise<void> {
    this.#closing.abort(new DOMException('closed', 'AbortError'))
    this.#underWay.forEach((abort) => abort())
    await this.#http.close()
  }

  /**
   * Waits until a message may be prepared and sent: as many at once as are sent at once, so that the others hold
   * nothing but what they came with.
   * @returns what gives the place back
   * @throws RedoxError REDOX_QUEUE_FULL
   */
  async admit(signal: AbortSignal, { bytes, onWait = () => undefined }: Entry): Promise<() => void> {
    const [either, release] = this.#untilClosed(signal)
    try {
      const leave = await this.#intake.enter(either, { bytes, onWait })
      return () => {
        leave()
        release()
      }
    } catch (error) {
      release()
      throw either.aborted ? stoppedBefore('the message') : error
    }
  }

  async #inTurn<T, O extends RequestOptions>(
    { operation, bytes }: { operation: string; bytes: number },
    options: O,
    task: (options: O) => Promise<T>,
  ): Promise<T> {
    const [signal, release] = this.#untilClosed(options.signal)
    const onWait = (): void => options.onProgress?.(WAITING)
    try {
      return await this.#gate.pass(() => task({ ...options, signal }), signal, { bytes, onWait })
    } catch (error) {
      if (error instanceof RedoxError || !signal.aborted) throw error
      throw stoppedBefore(operation)
    } finally {
      release()
    }
  }

  /** A signal that is aborted with the given one, and when the client is closed; and what ends its use. */
  #untilClosed(signal: AbortSignal): [either: AbortSignal, release: () => void] {
    const stop = new AbortController()
    const abort = (): void => stop.abort(new DOMException('closed', 'AbortError'))
    if (signal.aborted || this.#closing.signal.aborted) abort()
    // Not `AbortSignal.any`: on Node 20 each call leaves something behind in a signal that lives on.
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
    { source, once = false, ...options }: RequestOptions & { source?: string | undefined; once?: boolean },
  ): Promise<Uploaded> {
    const step = { ...this.#requests.checkedUpload(file, kind, source), once }
    const { answer, attempts, at } = await this.#request(() => step, options)
    const facts = readAnswer(answer)
    if (facts.refusals > 0) {
      const detail = failureDetail(step.operation, answer, facts, await allSent(step))
      throw refused({ ...detail, attempts, at })
    }
    const url = counting({ attempts, at }, () => referenceOf(answer, step.url, kind))
    this.uploadOrigins.add(new URL(url).origin)
    return {
      url,
      status: answer.status,
      headers: publicHeaders(answer.headers),
      sha256: step.body.sha256()[0]!,
      attempts,
    }
  }

  async #deliver(message: PreparedMessage, options: DeliveryOptions): Promise<Delivery> {
    // Before anything is uploaded for it. The connection of an accepted message may have got another key since.
    const checked = await this.#requests.checkedMessage(message)
    const files: DeliveredFile[] = []
    const { body, attempts } = await this.#uploadAll(message, options, files)
    const sent = { ...message, body }
    const request = body === message.body ? checked : this.#requests.sized(await this.#requests.message(sent))
    const delivery = await this.#send(sent, request, { ...options, files })
    return { ...delivery, attempts: attempts + delivery.attempts }
  }

  /**
   * Uploads the files that are to be uploaded, and are not yet.
   * @param files gets one entry for each attachment
   * @returns the body with the references, and how many requests it took
   */
  async #uploadAll(
    message: PreparedMessage,
    { checkpoints, ...options }: DeliveryOptions,
    files: DeliveredFile[],
  ): Promise<{ body: JsonObject; attempts: number }> {
    let { body } = message
    let attempts = 0
    const uploading = { ...options, source: sourceOf(message), once: checkpoints !== undefined }
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
    checked: RequestSpec,
    { files, checkpoints, ...options }: DeliveryOptions & { files: DeliveredFile[] },
  ): Promise<Delivery> {
    const request: RequestSpec = {
      ...checked,
      ...(checkpoints && { once: true, onBegin: () => checkpoints.onSending() }),
    }
    try {
      const { answer, attempts, at } = await this.#request(() => request, options)
      const found = readAnswer(answer)
      if (hasFailed(found)) {
        const error = undelivered(message, answer, found, await allSent(request))
        throw error.with({ attempts, at, ...identified(request) })
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
      // Whoever looks it up needs them, however little of the request was read.
      const isUnknown = error.code === 'REDOX_OUTCOME_UNKNOWN'
      throw withFiles(error, files, isUnknown ? await digestsOf(request) : request.body.sha256())
    }
  }

  /**
   * One request of any kind, until it is answered, refused for good, or given up: the one place where the table of
   * outcomes turns into retries. A token that is refused is renewed once, and the request replayed.
   * @param stepOf asked before every attempt
   */
  async #request(
    stepOf: () => RequestSpec | Promise<RequestSpec>,
    { signal, onProgress = () => undefined }: RequestOptions,
  ): Promise<Answered & { attempts: number }> {
    const giveUpAt = performance.now() + this.settings.retry.deadlineSeconds * 1000
    let replayed = false
    // Once an attempt may have been delivered, no later failure can take that back.
    let unknown: RedoxError | undefined
    let last: RedoxError | undefined
    for (let attempts = 1; ; attempts++) {
      const step = await stepOf()
      const result = await this.#turn(step, { giveUpAt, signal, onProgress }).catch((error: unknown) => {
        // A pause that is too long says less than the failure before it.
        const isPause = error instanceof RedoxError && error.code === 'REDOX_RATE_LIMITED'
        throw unknown ?? (isPause ? last : undefined) ?? error
      })
      if ('answer' in result) return { ...result, attempts }
      if (result.outcome === 'unknown') unknown = result.error
      const error = (unknown ?? result.error).with({ attempts })
      unknown &&= error
      last = error
      if (result.outcome === 'unauthorised' && !replayed) {
        replayed = true
        continue
      }
      const wait = this.#waitAfter(result, replayed ? attempts - 1 : attempts, giveUpAt)
      if (wait === undefined || step.once) throw error
      onProgress({ phase: 'retry', sent: 0, total: 0 })
      await sleep(wait, undefined, { signal }).catch((stopped: unknown) => {
        throw unknown ?? stopped
      })
    }
  }

  /** One attempt when it may be made, with the shared token. */
  async #turn(
    step: RequestSpec,
    { giveUpAt, signal, onProgress }: Required<RequestOptions> & { giveUpAt: number },
  ): Promise<Answered | Failure> {
    const tokenFor = async (): Promise<string | undefined> =>
      step.purpose === 'token'
        ? undefined
        : (this.#tokens.usable ?? unlessAborted(this.#tokens.get(), signal))
    await tokenFor()
    if (this.#pace.wait() > 0) onProgress(WAITING)
    const wait = await this.#pace.turn(signal, giveUpAt)
    if (wait > 0) throw pauseTooLong(step.operation, wait)
    // It may have run out in the pause.
    const token = await tokenFor()
    await step.onBegin?.()
    onProgress({ phase: phaseOf(step), sent: 0, total: step.body.length })
    const tokenSecrets = (): string[] => this.#tokens.secrets()
    const { settings } = this
    const result = await attempt(step, {
      ...{ http: this.#http, settings, token, tokenSecrets, signal, onProgress },
    })
    if ('outcome' in result && result.outcome === 'unauthorised') this.#tokens.invalidate(token!)
    return result
  }

  /** Milliseconds until the next attempt; undefined: there is none. */
  #waitAfter({ error, outcome }: Failure, attempts: number, giveUpAt: number): number | undefined {
    const { retry } = this.settings
    const wait = backoff(attempts, error.cause.retryAfterSeconds)
    // Whoever is told to slow down speaks for all who send over this connection.
    if (error.code === 'REDOX_RATE_LIMITED') this.#pace.pause(wait)
    const isLast = attempts >= retry.attempts || performance.now() + wait > giveUpAt
    return isLast || !isRetried(outcome, retry) ? undefined : wait
  }
}

const WAITING: Progress = { phase: 'wait', sent: 0, total: 0 }

/** An error about an answer tells how many requests it took to get it, and when the last one began. */
function counting<T>(told: { attempts: number; at: string }, judge: () => T): T {
  try {
    return judge()
  } catch (error) {
    throw error instanceof RedoxError ? error.with(told) : error
  }
}
