import { setTimeout as sleep } from 'node:timers/promises'
import { unlessAborted } from '../abort'
import { tokenFetcher } from '../auth/credentials'
import { TokenCache, type FetchToken } from '../auth/tokens'
import { badInput, RedoxError, type RedoxErrorDetail } from '../errors'
import { sha256Of, type FileReference, type FileSource, type MessageFile } from '../file/file'
import { getAt, isObject, withValueAt, type JsonObject } from '../message/json'
import { assertRequestSize, assertUploadable, type PreparedMessage, type Way } from '../message/prepared'
import { fhirBinaryBody, jsonBody, multipartBody, rawBody, type RequestBody } from '../transport/body'
import { adviceOn } from '../transport/faults'
import { Http, HttpFault, type HttpAnswer } from '../transport/http'
import { classify, type Ending, type Outcome, type Purpose } from '../transport/outcomes'
import { backoff, isRetried, Pace, type PaceKeeper, type RequestLog } from '../transport/retry'
import {
  failureDetail,
  faultOf,
  hasFailed,
  keepingSecrets,
  lookUp,
  readAnswer,
  refused,
  shapeOf,
  spoken,
  undelivered,
} from './answers'
import { Gate, type Entry } from './semaphore'
import { publicFacts, publicHeaders, type PublicFacts } from './public-facts'
import { masked } from './redaction'
import { assertFhirKey, type RedoxSettings } from './settings'

export type UploadKind = 'blob' | 'binary'

export interface Uploaded {
  /** the reference, exactly as Redox gave it */
  url: string
  status: number
  headers: HttpAnswer['headers']
  sha256: string
  attempts: number
}

export interface DeliveredFile {
  way: Way
  size?: number
  sha256?: string
  url?: string
}

/** How far a message is. */
export interface Progress {
  /** `wait`: as many as may are under way before it; `retry`: until the next attempt */
  phase: 'wait' | 'upload' | 'send' | 'retry'
  /** bytes of the request's body */
  sent: number
  total: number
  /** bytes of this request may have left, and no answer has come: what is stopped now may have arrived */
  hasLeft?: boolean
}

export type OnProgress = (progress: Progress) => void

/** A request that would be made, for people to read. */
export interface RequestPreview {
  method: 'POST'
  url: string
  /** without the token */
  headers: Record<string, string>
  /** files stand as `<base64, 12345 bytes>` */
  body: string
}

export interface Delivery {
  status: number
  headers: HttpAnswer['headers']
  /** the answer's body, parsed */
  body: unknown
  facts: PublicFacts
  files: DeliveredFile[]
  /** requests made for uploads and the message together, replays included, token calls not */
  attempts: number
}

/** What is kept of a message while it is sent, so that another process can go on where this one ended. */
export interface Journal {
  /** uploads that were answered before, by the index of the file: they are not made again */
  uploaded: Record<number, Uploaded>
  onUploaded(index: number, uploaded: Uploaded): Promise<void>
  /** the request with the message begins next: from now on it may have arrived */
  onSending(): Promise<void>
}

/**
 * What clients have in common that follow one another: Redox counts what comes from all of them, and what one has
 * begun goes on beside the next.
 */
export interface Succession {
  /** requests at once */
  gate: Gate
  /** messages at once that are prepared and sent */
  intake: Gate
  requests: RequestLog
  /** Origins that uploads were answered with: which host they name is not documented (facts 9.1). */
  uploadOrigins: Set<string>
}

export const newSuccession = ({ gate }: Pick<RedoxSettings, 'gate'>): Succession => ({
  gate: new Gate(gate),
  intake: new Gate(gate),
  requests: { pausedUntil: 0, made: [] },
  uploadOrigins: new Set(),
})

interface Step {
  purpose: Purpose
  /** for error texts and `cause.operation` */
  operation: string
  url: string
  headers: Record<string, string>
  body: RequestBody
  /** what must not be repeated in error texts: the message, and the files in it */
  sent?: JsonObject
  files?: FileSource[]
  /** what identifies the message when its outcome is unknown */
  identifiers?: Record<string, string>
  /** whoever asked repeats it later, if need be */
  once?: boolean
  /** waited for before every request */
  onBegin?: () => Promise<void>
}

/**
 * One connection to Redox: its token, its sockets, its limits. The only place that knows the shapes of the
 * APIs. `upload` and `deliver` do all I/O; messages come in prepared (src/message).
 */
export class RedoxClient {
  readonly settings: RedoxSettings
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
    this.#http = new Http(settings.http, settings.gate.width)
    this.#gate = succession.gate
    this.#gate.limits = settings.gate
    this.#intake = succession.intake
    this.#intake.limits = settings.gate
    this.uploadOrigins = succession.uploadOrigins
    this.#pace = pace ?? new Pace(settings.perFiveMinutes, succession.requests)
    this.#fetchToken = tokenFetcher(settings.credentials, (url, body) =>
      this.#request(async () => tokenStep(url, await body()), this.#closing.signal).then(
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
    await this.#deliverable(message, files)
  }

  /** The request of a message before its files are uploaded: their references will only make it a little longer. */
  async #deliverable(message: PreparedMessage, files: MessageFile[]): Promise<Step> {
    if (message.api === 'fhir') assertFhirKey(this.settings)
    const { limits } = this.settings
    // Before it is written as JSON, which takes no fewer bytes than the texts in it have characters.
    assertRequestSize(textLength(message.body), limits)
    const step = await this.#sendStep(message, message.body, files)
    assertRequestSize(step.body.length, limits)
    return step
  }

  /**
   * Fetches a token that nobody will use, to see whether the credentials are right.
   * @throws RedoxError
   */
  async authenticate(): Promise<void> {
    await this.#fetchToken(undefined)
  }

  /** The requests that {@link deliver} would make. Nothing is sent, no file is read. */
  async preview(message: PreparedMessage, files: MessageFile[]): Promise<RequestPreview[]> {
    const uploads: RequestPreview[] = []
    let body = message.body
    for (const [index, { way, path }] of message.files.entries()) {
      const file = files[index]!
      if (way !== 'upload' || file.kind !== 'file') continue
      uploads.push(previewOf(this.#uploadStep(file, uploadKind(message.api), sourceOf(message))))
      body = withValueAt(body, path, '<reference that the upload returns>')
    }
    return [...uploads, previewOf(await this.#sendStep(message, body, files))]
  }

  /** The request that {@link upload} would make. */
  previewUpload(file: FileSource, kind: UploadKind): RequestPreview[] {
    return [previewOf(this.#uploadStep(file, kind))]
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
    if (kind === 'binary') assertFhirKey(this.settings)
    assertUploadable(file, this.settings.limits)
    const step = { ...this.#uploadStep(file, kind, source), once }
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

  #uploadStep(file: FileSource, kind: UploadKind, source?: string): Step {
    const { hosts, environment, binaryForm } = this.settings
    const binaryBody = { raw: rawBody, 'fhir-json': fhirBinaryBody, multipart: multipartBody }[binaryForm]
    const url =
      kind === 'blob' ? hosts.blobUploadUrl : `${hosts.binaryUploadBase}/redox/${environment}/Binary`
    return {
      purpose: 'upload',
      operation: 'upload',
      url,
      headers: {
        ...this.#sourceHeader(source),
        accept: kind === 'blob' ? 'application/json' : 'application/fhir+json',
      },
      body: kind === 'blob' ? multipartBody(file) : binaryBody(file),
      sent: { name: file.name },
      files: [file],
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
    let step = await this.#deliverable(message, files)
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
      step = await this.#sendStep(message, body, files)
      assertRequestSize(step.body.length, this.settings.limits)
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

  async #sendStep(message: PreparedMessage, body: JsonObject, files: MessageFile[]): Promise<Step> {
    const { hosts, environment } = this.settings
    const fhir = message.api === 'fhir'
    const contentType = fhir ? 'application/fhir+json' : 'application/json'
    const embeddings = message.files.flatMap(({ way, path }, index) => {
      const file = files[index]!
      return way === 'embed' && file.kind === 'file' ? [{ path, file }] : []
    })
    return {
      purpose: 'send',
      operation: message.operation,
      url: fhir
        ? `${hosts.fhirBase}/${message.slug}/${environment}/${message.operation}`
        : `${hosts.apiBase}/endpoint`,
      headers: { ...this.#sourceHeader(sourceOf(message)), accept: contentType },
      body: await jsonBody(contentType, body, embeddings, withValueAt),
      sent: body,
      files: embeddings.map(({ file }) => file),
      identifiers: identifiersOf(body),
    }
  }

  #sourceHeader(id = this.settings.source.id): Record<string, string> {
    return id === undefined ? {} : { 'redox-source-id': id }
  }

  /**
   * One request of any kind, until it is answered, refused for good, or given up: the one place where the table of
   * outcomes turns into retries. A token that is refused is renewed once, and the request replayed.
   * @param stepOf asked before every attempt
   */
  async #request(
    stepOf: () => Step | Promise<Step>,
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
    step: Step,
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
    if (wait > 0) throw paused(step, wait)
    // It may have run out in the pause.
    const token = await tokenFor()
    await step.onBegin?.()
    onProgress({ phase: phaseOf(step), sent: 0, total: step.body.length })
    const result = await this.#attempt(step, token, signal, onProgress)
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

  /** One request; anything but a 2xx becomes the error that the table of outcomes names. */
  async #attempt(
    step: Step,
    token: string | undefined,
    signal: AbortSignal,
    onProgress: OnProgress,
  ): Promise<Answered | Failure> {
    const at = new Date().toISOString()
    const headers = { ...step.headers, ...(token !== undefined && bearer(token)) }
    let sent = 0
    const progress = (): Progress => ({ phase: phaseOf(step), sent, total: step.body.length })
    const onSent = (bytes: number): void => {
      sent += bytes
      onProgress({ ...progress(), hasLeft: true })
    }
    let answer: HttpAnswer
    let fault: ReturnType<typeof faultOf>
    try {
      answer = await this.#http.post(step.url, headers, step.body, signal, onSent)
      if (step.purpose === 'send') fault = this.#faultOf(answer)
      // What comes back goes to messages and errors.
      if (step.purpose !== 'token') answer = keepingSecrets(answer, this.#secrets())
    } catch (error) {
      if (!(error instanceof HttpFault)) throw error
      return failed(step, error.ending, { fault: error.systemCode, at })
    } finally {
      onProgress(progress())
    }
    if (isYes(answer) && fault === undefined) return { answer, at }
    const hidden = await allSent(step)
    const told = failureDetail(step.operation, answer, readAnswer(answer), hidden, this.#secrets())
    // What a token endpoint says may repeat the assertion or the secret.
    if (step.purpose === 'token') delete told.answer
    // A legacy key is no matter of time: only an assertion has one in it.
    const isAssertion = step.purpose === 'token' && this.settings.credentials.kind === 'oauth'
    const skew = isAssertion && [400, 401, 403].includes(answer.status) ? clockSkew(answer) : undefined
    const detail = { ...told, at, ...(skew !== undefined && { clockSkewSeconds: skew }) }
    if (fault === undefined)
      return failed(step, { status: answer.status, ofSource: isOfSource(answer) }, detail)
    const [shape] = masked([shapeOf(answer.body)], hidden, this.#secrets())
    return failed(step, { fault, sent: true }, detail, fault === 'unclear' ? shape : undefined)
  }

  #faultOf(answer: HttpAnswer): ReturnType<typeof faultOf> {
    const fault = isYes(answer) ? faultOf(answer) : undefined
    return fault === 'unclear' && this.settings.otherAnswers === 'accepted' ? undefined : fault
  }

  /** All that a server could repeat, if it wanted to. */
  #secrets(): string[] {
    return [...secretsOf(this.settings.credentials), ...this.#tokens.secrets()]
  }
}

interface Answered {
  answer: HttpAnswer
  /** when the attempt began, ISO 8601 */
  at: string
}

interface Failure {
  error: RedoxError
  outcome: Outcome
}

function failed(step: Step, ending: Ending, detail: RedoxErrorDetail, shape?: string): Failure {
  const known = { ...detail, attempts: 1, ...identified(step) }
  return {
    error: failure(ending, step.purpose, step.operation, known, shape),
    outcome: classify(ending, step.purpose).outcome,
  }
}

const isYes = ({ status }: HttpAnswer): boolean => status >= 200 && status < 300

const identified = ({ identifiers }: Step): RedoxErrorDetail => (identifiers ? { identifiers } : {})

/** A pause that outlasts the time for retries: better told now than after the wait. */
function paused({ operation }: Step, milliseconds: number): RedoxError {
  const seconds = Math.ceil(milliseconds / 1000)
  return new RedoxError(
    'REDOX_RATE_LIMITED',
    `Too many requests: the limit is reached, and the next request is possible in ${seconds} s. That is longer than the ` +
      'connection lets a message wait. Send it again later. Nothing was sent.',
    { operation, retryAfterSeconds: seconds },
  )
}

/** What the texts of a message hold, such as a note that is a text itself. */
function textLength(value: unknown): number {
  if (typeof value === 'string') return value.length
  if (typeof value !== 'object' || value === null) return 0
  return Object.values(value).reduce((sum: number, one) => sum + textLength(one), 0)
}

/** What the files of a message hold in memory while it waits. */
const heldBytes = (files: MessageFile[]): number =>
  files.reduce((sum, file) => sum + (file.kind === 'file' && file.inMemory ? file.size : 0), 0)

// An answer that repeats a file begins where it begins.
const HEAD = 48_000

/** What an answer must not repeat in its words. */
async function allSent({ sent, files = [] }: Step): Promise<JsonObject | undefined> {
  if (sent === undefined) return undefined
  const heads = await Promise.all(files.map(headOf))
  return { ...sent, heads: heads.flatMap((head) => [head.toString(), head.toString('base64')]) }
}

/** A file is found only by the source that uploaded it: a Data Model message names its source itself. */
function sourceOf({ api, body }: PreparedMessage): string | undefined {
  const id = api === 'datamodel' ? getAt(body, ['Meta', 'Source', 'ID']) : undefined
  return typeof id === 'string' && id !== '' ? id : undefined
}

async function headOf(file: FileSource): Promise<Buffer> {
  try {
    for await (const piece of file.read()) return piece.subarray(0, HEAD)
  } catch {
    // It has changed on the disk: whoever sends it is told so.
  }
  return Buffer.alloc(0)
}

/** Facts 2.2: `This source is not authorized.` is another 401 than that of a token that has run out. */
const isOfSource = ({ status, text }: HttpAnswer): boolean =>
  status === 401 && /\bsource\b[^.]{0,40}\bnot authori[sz]ed\b/i.test(text.slice(0, HEAD))

const stoppedBefore = (operation: string): RedoxError =>
  failure({ fault: 'aborted', sent: false }, 'send', operation, {})

const WAITING: Progress = { phase: 'wait', sent: 0, total: 0 }

const uploadKind = (api: PreparedMessage['api']): UploadKind => (api === 'fhir' ? 'binary' : 'blob')

const previewOf = ({ url, headers, body }: Step): RequestPreview => ({
  method: 'POST',
  url,
  headers: {
    authorization: 'Bearer …',
    ...headers,
    'content-type': body.contentType,
    'content-length': String(body.length),
  },
  body: body.shortened(),
})

const phaseOf = ({ purpose }: Step): Progress['phase'] => (purpose === 'upload' ? 'upload' : 'send')

// Redox allows 10 s of difference (facts 2.3, `iat`).
const CLOCK_TOLERANCE_SECONDS = 10

/** Seconds that this machine's clock is ahead of the server's (behind: negative), when that is too much. */
function clockSkew({ headers }: HttpAnswer): number | undefined {
  const skew = Math.round((Date.now() - Date.parse(String(headers.date))) / 1000)
  return Math.abs(skew) > CLOCK_TOLERANCE_SECONDS ? skew : undefined
}

const secretsOf = (credentials: RedoxSettings['credentials']): string[] =>
  credentials.kind === 'oauth' ? [credentials.privateKey] : [credentials.apiKey, credentials.secret]

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` })

const tokenStep = (url: string, body: RequestBody): Step => ({
  purpose: 'token',
  operation: 'token',
  url,
  headers: { accept: 'application/json' },
  body,
})

const describeSent = (file: MessageFile): Omit<DeliveredFile, 'way'> =>
  file.kind === 'reference'
    ? {
        url: file.url,
        ...(file.size !== undefined && { size: file.size }),
        ...(file.sha256 !== undefined && { sha256: file.sha256 }),
      }
    : { size: file.size }

type Digests = (string | undefined)[]

function fillDigests(delivered: DeliveredFile[], digests: Digests): void {
  const embedded = delivered.filter(({ way }) => way === 'embed')
  embedded.forEach((file, index) => {
    const sha256 = digests[index]
    if (sha256 !== undefined) file.sha256 = sha256
  })
}

// Enough for 30 MB of a disk; what hangs must not keep an error from being told.
const DIGEST_MS = 1000

/** Of the embedded files, also those that were not read to their ends; of one that is gone or hangs there is none. */
function digestsOf({ body, files = [] }: Step): Promise<Digests> {
  const known = body.sha256()
  const digest = async (file: FileSource, index: number): Promise<string | undefined> =>
    known[index] ?? sha256Of(file).catch(() => undefined)
  return Promise.race([Promise.all(files.map(digest)), sleep(DIGEST_MS, known, { ref: false })])
}

/** An error about an answer tells how many requests it took to get it, and when the last one began. */
function counting<T>(told: { attempts: number; at: string }, judge: () => T): T {
  try {
    return judge()
  } catch (error) {
    throw error instanceof RedoxError ? error.with(told) : error
  }
}

function withFiles(error: RedoxError, delivered: DeliveredFile[], digests: Digests): RedoxError {
  fillDigests(delivered, digests)
  const uploaded = delivered.flatMap(({ way, url }) => (way === 'upload' && url !== undefined ? [url] : []))
  const sha256 = delivered.flatMap((file) => (file.sha256 === undefined ? [] : [file.sha256]))
  return error.with({ ...(uploaded.length > 0 && { uploaded }), ...(sha256.length > 0 && { sha256 }) })
}

/** What finds a message again in Redox's log: the ids that the flow or the builder gave it. */
export function identifiersOf(body: JsonObject): Record<string, string> {
  const document = isObject(body.Note) ? body.Note : isObject(body.Media) ? body.Media : {}
  const found: [name: string, value: unknown][] = [
    ['DocumentID', document.DocumentID],
    ...objectsIn(body.Orders).flatMap(orderIds),
    ...(body.resourceType === 'Bundle' ? [['BundleID', body.id] as [string, unknown]] : []),
    ...objectsIn(body.entry).flatMap(resourceIds),
  ]
  return Object.fromEntries(found.filter((pair): pair is [string, string] => typeof pair[1] === 'string'))
}

const objectsIn = (value: unknown): Record<string, unknown>[] =>
  Array.isArray(value) ? value.filter(isObject) : []

function orderIds(order: Record<string, unknown>, index: number): [string, unknown][] {
  const place = index === 0 ? '' : `Orders[${index}].`
  return [
    [index === 0 ? 'OrderID' : `${place}ID`, order.ID],
    [`${place}ApplicationOrderID`, order.ApplicationOrderID],
  ]
}

/** What is sent to be filed; the identifiers of a patient are none of these. */
const FILED = new Set(['DiagnosticReport', 'Observation', 'DocumentReference'])

function resourceIds({ resource }: Record<string, unknown>, entry: number): [string, unknown][] {
  if (!isObject(resource) || !FILED.has(String(resource.resourceType))) return []
  const place = `entry[${entry}].${String(resource.resourceType)}.identifier`
  return objectsIn(resource.identifier).map(({ value }, index) => [`${place}[${index}]`, value])
}

/**
 * The reference in an upload's answer, as Redox gave it: `Location` of a Binary, `URI` of a blob, else what
 * comes near (facts 9.1).
 */
function referenceOf(answer: HttpAnswer, requestUrl: string, kind: UploadKind): string {
  const body = isObject(answer.body) ? answer.body : {}
  const { location } = answer.headers
  const first = kind === 'blob' ? [body.URI, location] : [location, body.URI]
  const candidates = [...first, body.url, body.fullUrl, body.id]
  for (const found of candidates) {
    if (typeof found !== 'string' || found === '') continue
    if (URL.canParse(found)) return found
    const base = found === body.id ? `${requestUrl}/` : requestUrl
    if (URL.canParse(found, base)) return new URL(found, base).href
  }
  throw new RedoxError(
    'REDOX_REJECTED',
    `Upload without a reference: Redox answered ${answer.status}, but the answer has no Location header and no URI. ` +
      'Check the Blob upload URL, the Binary base URL and the Binary upload body in the connection.',
    { operation: 'upload', status: answer.status, ...(answer.body !== '' && { answer: answer.body }) },
  )
}

const ACTIONS: Partial<Record<RedoxError['code'], string>> = {
  REDOX_AUTHENTICATION:
    'Check the credentials in the connection, and that the key is active in the Redox dashboard.',
  REDOX_FORBIDDEN: 'Check the destination, the environment and the permissions of the key.',
  REDOX_TOO_LARGE: 'Upload the file instead of embedding it, or make it smaller.',
  REDOX_RATE_LIMITED: 'Wait, then send again.',
  REDOX_UNAVAILABLE: 'Send again later.',
  REDOX_NETWORK: 'Check the network and the hosts in the connection.',
  REDOX_TIMEOUT: 'Send again later, or raise the Connect timeout or the Response timeout in the connection.',
  REDOX_OUTCOME_UNKNOWN:
    'The message may have arrived. Look it up in the Redox dashboard before you send it again (error.cause has its ' +
    'identifiers).',
  REDOX_ABORTED: 'The flow was stopped or deployed. Send it again.',
}

/** What only those have to do whose messages nothing sends again by itself. */
export const ADVICE_TO_SEND_AGAIN = (
  ['REDOX_RATE_LIMITED', 'REDOX_UNAVAILABLE', 'REDOX_TIMEOUT'] as const
).map((code) => ACTIONS[code]!)

/** @param shape of a 2xx that says neither yes nor no */
function failure(
  ending: Ending,
  purpose: Purpose,
  operation: string,
  detail: RedoxErrorDetail,
  shape?: string,
): RedoxError {
  const { code, says } = classify(ending, purpose)
  const what = { token: 'request for an access token', upload: 'file upload', send: operation }[purpose]
  const how =
    'status' in ending
      ? `HTTP ${ending.status}, `
      : shape !== undefined
        ? `HTTP ${detail.status} with ${shape}, `
        : detail.fault === undefined
          ? ''
          : `${detail.fault}, `
  const isSpoken = 'status' in ending || (shape !== undefined && detail.reasons !== undefined)
  const reasons = isSpoken ? ` ${spoken(detail.reasons)}` : ''
  const where = lookUp(detail)
  const wait =
    detail.retryAfterSeconds === undefined ? '' : ` Redox asks for a wait of ${detail.retryAfterSeconds} s.`
  const advice = 'sent' in ending ? adviceOn(detail.fault ?? '', ending.sent) : undefined
  const action =
    detail.clockSkewSeconds === undefined
      ? (advice ?? actionFor(code, purpose, ending)) + (shape === undefined ? '' : OTHER_ANSWER)
      : clockAction(detail.clockSkewSeconds)
  const text = [
    `${says} (${how}${what}).${reasons}`,
    where,
    `${wait} ${action}`.trim(),
    isUnsent(ending) ? 'Nothing was sent.' : '',
  ].filter((part) => part !== '')
  return new RedoxError(code, text.join(' '), { operation, ...detail })
}

/** Certainly nothing that Redox has read: of what it refused, the text says so itself. */
const isUnsent = (ending: Ending): boolean =>
  'fault' in ending && (!ending.sent || ending.fault === 'tls' || ending.fault === 'proxyRefused')

const clockAction = (skew: number): string =>
  `The clock of this machine is ${Math.abs(skew)} s ${skew > 0 ? 'ahead of' : 'behind'} the server. Set the clock.`

const SOURCE_REFUSED =
  'Check the source ID in the connection. In the Redox dashboard, check that the source belongs to this key and is ' +
  'enabled.'

// Facts 6.3: Redox answers 404 for these three.
const NOT_FOUND: Record<Purpose, string> = {
  token: 'Check the API base URL in the connection.',
  upload: 'Check the Blob upload URL, the Binary base URL and the environment in the connection.',
  send: 'Check the destination slug, the environment and the operation.',
}

const UPLOAD_FORBIDDEN =
  'Free accounts cannot upload files in Development: embed the file, use Staging, or ask Redox for an upgrade. Otherwise ' +
  'check the environment and the permissions of the key.'

const OTHER_ANSWER =
  ' If this destination always answers like this, set "Other 2xx answers" in the connection to "success".'

function actionFor(code: RedoxError['code'], purpose: Purpose, ending: Ending): string {
  const { status = undefined, ofSource = false } = 'status' in ending ? ending : {}
  if (ofSource) return SOURCE_REFUSED
  if (code === 'REDOX_TOO_LARGE' && purpose === 'upload') return 'Make the file smaller, or split it.'
  if (code === 'REDOX_FORBIDDEN' && purpose === 'upload') return UPLOAD_FORBIDDEN
  return ACTIONS[code] ?? (status === 404 ? NOT_FOUND[purpose] : '')
}

/** The file reference that `redox-upload` emits (plain data, for `msg.payload`). */
export function referenceFor(
  file: FileSource,
  uploaded: Uploaded,
  kind: UploadKind,
): Omit<FileReference, 'kind'> {
  const { contentType, fileType, name, size } = file
  const { url, sha256 } = uploaded
  return { url, contentType, ...(fileType !== undefined && { fileType }), name, size, sha256, upload: kind }
}

/** @throws RedoxError when a file reference was made by an upload for the other API */
export function assertReferenceKind(
  reference: FileReference,
  api: PreparedMessage['api'],
  where: string,
): void {
  const wanted = api === 'fhir' ? 'binary' : 'blob'
  if (reference.upload === undefined || reference.upload === wanted) return
  throw badInput(
    `File reference of another API: ${where} is a ${reference.upload} upload, but this node needs a ${wanted} upload. ` +
      `Set the redox-upload node to "${api === 'fhir' ? 'FHIR API' : 'Data Model API'}".`,
  )
}
