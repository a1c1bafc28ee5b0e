import { setTimeout as sleep } from 'node:timers/promises'
import { unlessAborted } from '../abort'
import { tokenFetcher } from '../auth/credentials'
import { TokenCache, type FetchToken } from '../auth/tokens'
import { RedoxError } from '../errors'
import type { FileSource, MessageFile } from '../file/file'
import { withValueAt } from '../message/json'
import type { PreparedMessage } from '../message/prepared'
import { Http } from '../transport/http'
import { backoff, isRetried, Pace, type PaceKeeper } from '../transport/retry'
import { failureDetail, hasFailed, readAnswer, refused, undelivered } from './answers'
import { allSent, attempt, identified, phaseOf, type Answered, type Failure } from './attempt'
import type { Delivery, DeliveredFile, Journal, OnProgress, Progress, Uploaded } from './delivery'
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
      this.#request(async () => tokenRequest(url, await body()), this.#closing.signal).then(
        ({ answer }) => answer,
      ),
    )
    this.#tokens = new TokenCache(this.#fetchToken)
  }

  /**
   * Uploads a file (facts 3.5, 4.2).
   * @throws RedoxError
   */
  upload(
    file: FileSource,
    kind: UploadKind,
    signal: AbortSignal,
    onProgress?: OnProgress,
  ): Promise<Uploaded> {
    return this.#inTurn('upload', heldBytes([file]), signal, onProgress, (both) =>
      this.#upload(file, kind, both, onProgress),
    )
  }

  /**
   * Uploads what is to be uploaded, then sends the message.
   * @param files in the order of `message.files`
   * @param journal each request is made once: whoever keeps it decides what is repeated, and when
   * @throws RedoxError
   */
  deliver(
    message: PreparedMessage,
    files: MessageFile[],
    signal: AbortSignal,
    onProgress?: OnProgress,
    journal?: Journal,
  ): Promise<Delivery> {
    return this.#inTurn(
      message.operation,
      heldBytes(files) + textLength(message.body),
      signal,
      onProgress,
      (both) => this.#deliver(message, files, both, onProgress, journal),
    )
  }

  /**
   * Refuses what {@link deliver} would refuse before its first request.
   * @throws RedoxError REDOX_TOO_LARGE, REDOX_CONFIGURATION for a key that the API does not take
   */
  async assertDeliverable(message: PreparedMessage, files: MessageFile[]): Promise<void> {
    await this.#requests.checkedMessage(message, files)
  }

  /**
   * Fetches a token that nobody will use, to see whether the credentials are right.
   * @throws RedoxError
   */
  async authenticate(): Promise<void> {
    await this.#fetchToken(undefined)
  }

  /** The requests that {@link deliver} would make. Nothing is sent, no file is read. */
  preview(message: PreparedMessage, files: MessageFile[]): Promise<RequestPreview[]> {
    return this.#requests.preview(message, files)
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

  async #inTurn<T>(
    operation: string,
    bytes: number,
    signal: AbortSignal,
    onProgress: OnProgress = () => undefined,
    task: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const [either, release] = this.#untilClosed(signal)
    try {
      return await this.#gate.pass(() => task(either), either, { bytes, onWait: () => onProgress(WAITING) })
    } catch (error) {
      if (error instanceof RedoxError || !either.aborted) throw error
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
    signal: AbortSignal,
    onProgress?: OnProgress,
    { once = false, source }: { once?: boolean; source?: string | undefined } = {},
  ): Promise<Uploaded> {
    const step = { ...this.#requests.checkedUpload(file, kind, source), once }
    const { answer, attempts, at } = await this.#request(() => step, signal, onProgress)
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

  async #deliver(
    message: PreparedMessage,
    files: MessageFile[],
    signal: AbortSignal,
    onProgress?: OnProgress,
    journal?: Journal,
  ): Promise<Delivery> {
    const delivered: DeliveredFile[] = []
    let body = message.body
    let attempts = 0
    // Before anything is uploaded for it. The connection of an accepted message may have got another key since.
    let step = await this.#requests.checkedMessage(message, files)
    const uploading = { once: journal !== undefined, source: sourceOf(message) }
    for (const [index, { way, path }] of message.files.entries()) {
      const file = files[index]!
      if (way !== 'upload' || file.kind !== 'file') {
        delivered.push({ way, ...describeSent(file) })
        continue
      }
      const known = journal?.uploaded[index]
      const uploaded =
        known ??
        (await this.#upload(file, uploadKind(message.api), signal, onProgress, uploading).catch(
          (error: unknown) => {
            throw error instanceof RedoxError ? withFiles(error, delivered, []) : error
          },
        ))
      if (known === undefined) {
        attempts += uploaded.attempts
        await journal?.onUploaded(index, uploaded)
      }
      body = withValueAt(body, path, uploaded.url)
      delivered.push({ way, size: file.size, sha256: uploaded.sha256, url: uploaded.url })
    }
    if (body !== message.body) {
      step = this.#requests.sized(await this.#requests.message(message, body, files))
    }
    if (journal) step = { ...step, once: true, onBegin: () => journal.onSending() }
    try {
      const sent = await this.#request(() => step, signal, onProgress)
      const found = readAnswer(sent.answer)
      if (hasFailed(found)) {
        const { attempts, at } = sent
        const error = undelivered({ ...message, body }, sent.answer, found, await allSent(step))
        throw error.with({ attempts, at, ...identified(step) })
      }
      fillDigests(delivered, step.body.sha256())
      const { status, headers, body: answered } = sent.answer
      return {
        status,
        headers: publicHeaders(headers),
        body: answered,
        facts: publicFacts(found),
        files: delivered,
        attempts: attempts + sent.attempts,
      }
    } catch (error) {
      if (!(error instanceof RedoxError)) throw error
      // Whoever looks it up needs them, however little of the request was read.
      const isUnknown = error.code === 'REDOX_OUTCOME_UNKNOWN'
      throw withFiles(error, delivered, isUnknown ? await digestsOf(step) : step.body.sha256())
    }
  }

  /**
   * One request of any kind, until it is answered, refused for good, or given up: the one place where the table of
   * outcomes turns into retries. A token that is refused is renewed once, and the request replayed.
   * @param stepOf asked before every attempt
   */
  async #request(
    stepOf: () => RequestSpec | Promise<RequestSpec>,
    signal: AbortSignal,
    onProgress: OnProgress = () => undefined,
  ): Promise<Answered & { attempts: number }> {
    const giveUpAt = performance.now() + this.settings.retry.deadlineSeconds * 1000
    let replayed = false
    // Once an attempt may have been delivered, no later failure can take that back.
    let unknown: RedoxError | undefined
    let last: RedoxError | undefined
    for (let attempts = 1; ; attempts++) {
      const step = await stepOf()
      const result = await this.#turn(step, giveUpAt, signal, onProgress).catch((error: unknown) => {
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
    giveUpAt: number,
    signal: AbortSignal,
    onProgress: OnProgress,
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
