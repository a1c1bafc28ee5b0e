import { present } from '../shared/present'
import { unlessAborted } from '../abort'
import { tokenFetcher } from '../auth/credentials'
import { TokenCache, type FetchToken } from '../auth/tokens'
import { RedoxError } from '../errors'
import type { FileSource } from '../file/file'
import { withValueAt, type JsonObject } from '../message/json'
import type { PreparedMessage } from '../message/prepared'
import { Http } from '../transport/http'
import { backoff, Pace, type PaceKeeper } from '../transport/retry'
import { failureDetail, refused, undelivered } from './answers'
import { hasFailed, readAnswer } from './read-answer'
import { allSent, attempt, identified, phaseOf, type Answered, type Failure } from './attempt'
import type { Delivery, DeliveredFile, DeliveryOptions, Progress, RequestOptions, Uploaded } from './delivery'
import { pauseTooLong, stoppedBefore } from './failures'
import { publicFacts, publicHeaders } from './public-facts'
import {
  previewOf,
  RequestSpecs,
  sourceOf,
  tokenRequest,
  type RequestPreview,
  type RequestSpec,
  type SlotEntry,
} from './requests'
import type { Gate, Entry } from './semaphore'
import { describeSent, digestsOf, fillDigests, withFiles } from './sent-files'
import type { RedoxSettings } from './settings'
import { newSuccession } from './shared-limits'
import { referenceOf, uploadKind, type UploadKind } from './uploads'

/**
 * One connection to Redox: its token, its sockets, its limits. The only place that knows the shapes of the
 * APIs. `upload` and `deliver` do all I/O, once; messages come in
 * prepared (src/message). Repetitions are a matter of direct (`direct.ts`) and durable delivery (src/queue).
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
      this.#request(tokenRequest(url, body), { signal: this.#closing.signal }).then(({ answer }) => answer),
    )
    this.#tokens = new TokenCache(this.#fetchToken)
  }

  /**
   * Uploads a file (docs/redox-api.md#binary, #blob-upload): one attempt, in a slot of the caller (see {@link inSlot}).
   * @throws RedoxError `cause.retry` says whether it may be tried again
   */
  upload(file: FileSource, kind: UploadKind, options: RequestOptions): Promise<Uploaded> {
    return this.#upload(file, kind, options)
  }

  /**
   * Uploads what is to be uploaded, then sends the message: one attempt, in a slot of the caller (see {@link inSlot}).
   * @throws RedoxError `cause.retry` says whether it may be tried again
   */
  async deliver(message: PreparedMessage, options: DeliveryOptions): Promise<Delivery> {
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
   * Does a task in one of the slots of the connection, when one is free.
   * @param task gets the options with a signal that is aborted, too, when the client is closed
   * @throws RedoxError REDOX_QUEUE_FULL; REDOX_ABORTED in place of an AbortError
   */
  async inSlot<T, O extends RequestOptions>(
    { operation, bytes }: SlotEntry,
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

  /**
   * Refuses what {@link deliver} would refuse before its first request.
   * @throws RedoxError REDOX_TOO_LARGE, REDOX_CONFIGURATION for a key that the API does not take
   */
  async assertDeliverable(message: PreparedMessage): Promise<void> {
    await this.#requests.checkedMessage(message)
  }

  /**
   * Fetches a token that is not used, to see whether the credentials are right.
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
    { source, ...options }: RequestOptions & { source?: string | undefined },
  ): Promise<Uploaded> {
    const step = this.#requests.checkedUpload(file, kind, source)
    const { answer, attempts, at } = await this.#request(step, options)
    const facts = readAnswer(answer)
    if (facts.refusals > 0) {
      const detail = failureDetail(step.operation, answer, facts, { sent: await allSent(step) })
      throw refused({ ...detail, attempts, at })
    }
    const url = counting({ attempts, at }, () => referenceOf(answer, step.url, kind))
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
    { files, checkpoints, ...options }: DeliveryOptions & { files: DeliveredFile[] },
  ): Promise<Delivery> {
    const onBegin = (): Promise<void> | undefined => checkpoints?.onSending()
    try {
      const { answer, attempts, at } = await this.#request(request, { ...options, onBegin })
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
      // A person who looks the message up needs them, however little of the request was read.
      const isUnknown = error.code === 'REDOX_OUTCOME_UNKNOWN'
      throw withFiles(error, files, isUnknown ? await digestsOf(request) : request.body.sha256())
    }
  }

  /** One attempt at a request of any kind. One whose token is refused is sent once more with a new one. */
  async #request(request: RequestSpec, options: OneRequest): Promise<Answered & { attempts: number }> {
    const first = await this.#requestOnce(request, options)
    if ('answer' in first) return { ...first, attempts: 1 }
    if (!first.renewsToken) throw first.error
    const second = await this.#requestOnce(request, options).catch((error: unknown) => {
      // A pause that is too long says less than the failure before it.
      throw error instanceof RedoxError && error.code === 'REDOX_RATE_LIMITED' ? first.error : error
    })
    if ('answer' in second) return { ...second, attempts: 2 }
    throw second.error.with({ attempts: 2 })
  }

  /** One request when it may be made, with the shared token. */
  async #requestOnce(
    request: RequestSpec,
    { signal, onProgress = () => undefined, giveUpAt, attempt: number = 1, onBegin }: OneRequest,
  ): Promise<Answered | Failure> {
    const { settings } = this
    const tokenFor = async (): Promise<string | undefined> =>
      request.purpose === 'token'
        ? undefined
        : (this.#tokens.usable ?? unlessAborted(this.#tokens.get(), signal))
    const until = giveUpAt?.() ?? performance.now() + settings.retry.deadlineSeconds * 1000
    await tokenFor()
    if (this.#pace.wait() > 0) onProgress(WAITING)
    const wait = await this.#pace.turn(signal, until)
    if (wait > 0) throw pauseTooLong(request.operation, wait)
    // It may have run out in the pause.
    const token = await tokenFor()
    await onBegin?.()
    onProgress({ phase: phaseOf(request), sent: 0, total: request.body.length })
    const tokenSecrets = (): string[] => this.#tokens.secrets()
    const context = { http: this.#http, settings, token, tokenSecrets, signal, onProgress }
    const result = await attempt(request, context)
    if (!('error' in result)) return result
    if (result.renewsToken && token !== undefined) this.#tokens.invalidate(token)
    const { code, cause } = result.error
    // A request that is told to slow down speaks for all that go over this connection.
    if (code === 'REDOX_RATE_LIMITED') this.#pace.pause(backoff(number, cause))
    return result
  }
}

interface OneRequest extends RequestOptions {
  /** waited for before the request is made */
  onBegin?: () => Promise<void> | undefined
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
