import { setImmediate as nextTurn } from 'node:timers/promises'
import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate } from 'node:zlib'
import { Agent } from 'undici'
import { present } from '../shared/present'
import type { RequestBody } from './body'
import { connector, type TlsOptions } from './connector'
import { AnswerError, exchange, type Outgoing, type ReceivedHeaders } from './exchange'
import { proxyFault, tlsFault } from './network-advice'
import type { AttemptFailure } from './outcomes'
import type { Proxy } from './proxy'

export interface HttpAnswer {
  status: number
  /** headers with lower-case names; without cookies, which are secrets */
  headers: Record<string, string | string[]>
  /** parsed JSON, or the text if it is not JSON */
  body: unknown
  text: string
}

const WHOLE_SECONDS_MS = 2000

/**
 * Server time from the `Date` header, in ms since 1970. The time of this machine, if the header is missing or the two
 * clocks agree.
 */
export function serverTime({ headers }: Pick<HttpAnswer, 'headers'>): number {
  const now = Date.now()
  const fromHeader = Date.parse(String(headers.date))
  // The `Date` header has whole seconds, so the local clock is more precise if the two agree.
  return Math.abs(fromHeader - now) > WHOLE_SECONDS_MS ? fromHeader : now
}

interface HttpGet {
  url: string
  headers: Record<string, string>
  signal: AbortSignal
}

export interface HttpRequest extends HttpGet {
  body: RequestBody
}

/**
 * Failure of an attempt that got no response. Its message is only the system error code, never a host or IP address.
 */
export class HttpFault extends Error {
  constructor(
    readonly failure: Extract<AttemptFailure, { fault: unknown }>,
    /** system error code, e.g. `ECONNREFUSED`, `UND_ERR_HEADERS_TIMEOUT`, `CERT_HAS_EXPIRED`, `PROXY_407` */
    readonly systemCode: string,
  ) {
    super(systemCode)
  }
}

export interface HttpOptions {
  /**
   * maximum seconds from the end of the request to the response, and from the response's first byte to its last; Redox
   * may take 120 (docs/redox-api.md#rates-and-times)
   */
  answerTimeoutSeconds: number
  connectTimeoutSeconds: number
  tls?: TlsOptions
  proxy?: Proxy
}

/** State of a request while it is sent. */
interface ExchangeState {
  /** returns true if bytes of the request may have been sent */
  sent: () => boolean
  /** returns true if a response now would come before the whole body was sent */
  isEarly: () => boolean
}

// Responses of Redox are small. The limit protects the memory from a faulty or malicious server.
const MAX_ANSWER_BYTES = 10_000_000

// undici accepts whole milliseconds only.
const milliseconds = (seconds: number): number => Math.round(seconds * 1000)

/**
 * HTTP client that sends requests over kept-alive connections. Each deployed connection has its own client;
 * `close` ends its sockets.
 */
export class Http {
  readonly #agent: Agent
  readonly #answerMs: number

  /**
   * Creates the client without opening a socket.
   * @param connections maximum number of open sockets
   * @throws RedoxError REDOX_CONFIGURATION for unusable certificates or keys
   */
  constructor(options: HttpOptions, connections: number) {
    this.#answerMs = milliseconds(options.answerTimeoutSeconds)
    this.#agent = new Agent({
      connections,
      // HTTP/2, which undici 8 would use, is disabled: with it all messages would share one socket, and would all fail
      // with it.
      allowH2: false,
      connect: connector(milliseconds(options.connectTimeoutSeconds), options.tls, options.proxy),
      headersTimeout: this.#answerMs,
      bodyTimeout: this.#answerMs,
      maxResponseSize: MAX_ANSWER_BYTES,
    })
  }

  /**
   * Makes one attempt at a GET request. Redirects are not followed.
   * @throws HttpFault if no complete response came
   */
  get({ url, headers, signal }: HttpGet): Promise<HttpAnswer> {
    const sent = (): boolean => true
    return this.#answerTo({ method: 'GET', url, headers }, { sent, isEarly: () => false }, signal)
  }

  /**
   * Makes one attempt at a POST request. Redirects are not followed, so that the token goes to the configured hosts only.
   * @param onSent called with the length of each chunk of the body that is given to the socket; before that, once with
   *   0 when bytes may be sent from now on
   * @throws HttpFault if no complete response came
   */
  async post(
    { url, headers, body, signal }: HttpRequest,
    onSent: (bytes: number) => void = () => undefined,
  ): Promise<HttpAnswer> {
    let sent = false
    let handed = 0
    const onPiece = (bytes: number): void => {
      handed += bytes
      onSent(bytes)
    }
    const pieces: AsyncIterable<Buffer> = {
      [Symbol.asyncIterator]() {
        // undici opens the body only when it writes to a connected socket. Before that, no byte has been sent.
        sent = true
        onSent(0)
        return body.open(onPiece)[Symbol.asyncIterator]()
      },
    }
    const bodyHeaders = { 'content-type': body.contentType, 'content-length': String(body.length) }
    return this.#answerTo(
      { method: 'POST', url, headers: { ...headers, ...bodyHeaders }, body: pieces },
      { sent: () => sent, isEarly: () => handed < body.length },
      signal,
    )
  }

  async #answerTo(
    outgoing: Outgoing,
    { sent, isEarly }: ExchangeState,
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    let head: Pick<HttpAnswer, 'status' | 'headers'> | undefined
    const onHead = (status: number, received: ReceivedHeaders): void => {
      head = { status, headers: plainHeaders(received) }
      // A 2xx that arrives before the whole body was sent cannot be a response to this message.
      if (status < 300 && isEarly()) throw new AnswerError('EARLY_ANSWER')
    }
    try {
      const headers = { ...outgoing.headers, 'accept-encoding': 'identity' }
      const bytes = await exchange(
        this.#agent,
        { ...outgoing, headers },
        { signal, timeoutMs: this.#answerMs, onHead },
      )
      const { status, headers: received } = present(head, 'the head of a response')
      const text = await textOf(bytes, received)
      // undici frees the socket slightly later than it ends the response. Without this wait, the next message would open
      // another socket.
      await nextTurn()
      return httpAnswer(status, received, text)
    } catch (error) {
      if (isOwnError(error)) throw error
      // A refusal (3xx to 5xx) counts even if its body is truncated.
      if (head && head.status >= 300 && !signal.aborted) return { ...head, body: '', text: '' }
      throw new HttpFault(failureOf(error, signal, sent(), head !== undefined), systemCodeOf(error))
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }
}

// An error of this package while it reads the body (the file changed on the disk) is not a network failure.
const isOwnError = (error: unknown): boolean => error instanceof Error && error.name === 'RedoxError'

function failureOf(
  error: unknown,
  signal: AbortSignal,
  sent: boolean,
  answered: boolean,
): Extract<AttemptFailure, { fault: unknown }> {
  if (signal.aborted) return { fault: 'aborted', sent }
  if (answered) return { fault: 'unreadable', sent }
  const code = systemCodeOf(error)
  const proxy = proxyFault(code)
  if (proxy !== undefined) return { fault: proxy === 'unreachable' ? 'proxy' : 'proxyRefused', sent }
  if (tlsFault(code, sent) !== undefined) return { fault: 'tls', sent }
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return { fault: 'timeout', sent: false }
  if (code.endsWith('TIMEOUT') || code === 'ETIMEDOUT') return { fault: 'timeout', sent }
  return { fault: sent ? 'network' : 'connect', sent }
}

/** Returns the first system error code in an error, its causes and the errors of an AggregateError. */
function systemCodeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'UNKNOWN'
  const { code } = error as Error & { code?: unknown }
  if (typeof code === 'string' && code !== 'UND_ERR_SOCKET') return code
  if (error instanceof AggregateError && error.errors.length > 0) return systemCodeOf(error.errors[0])
  if (error.cause instanceof Error) return systemCodeOf(error.cause)
  return typeof code === 'string' ? code : error.name
}

// Content encodings that servers and gateways use, even if the request does not accept them.
type Decode = (bytes: Buffer, bound: { maxOutputLength: number }) => Promise<Buffer>
const DECODERS = new Map<string, Decode>([
  ['gzip', promisify(gunzip)],
  ['x-gzip', promisify(gunzip)],
  ['deflate', promisify(inflate)],
  ['br', promisify(brotliDecompress)],
])

/**
 * Decodes the body of a response to a string. A compressed response is decompressed although the request did not accept
 * compression: otherwise the outcome of a delivered message would be unknown.
 */
async function textOf(bytes: Buffer, headers: HttpAnswer['headers']): Promise<string> {
  const decode = DECODERS.get(String(headers['content-encoding']).trim().toLowerCase())
  const plain =
    decode && bytes.length > 0 ? await decode(bytes, { maxOutputLength: MAX_ANSWER_BYTES }) : bytes
  return new TextDecoder().decode(plain)
}

function plainHeaders(headers: ReceivedHeaders): HttpAnswer['headers'] {
  const plain: HttpAnswer['headers'] = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && name !== 'set-cookie') plain[name] = value
  }
  return plain
}

export const httpAnswer = (status: number, headers: HttpAnswer['headers'], text: string): HttpAnswer => ({
  status,
  headers,
  body: parse(text),
  text,
})

/**
 * Maximum depth of nested JSON, more than any FHIR resource has. Values with thousands of levels cannot be traversed,
 * copied or serialized.
 */
const DEEPEST = 500

/** Returns true if the brackets of a JSON text, except those in strings, are nested too deeply. */
function isTooDeep(text: string): boolean {
  let depth = 0
  for (let at = 0; at < text.length && depth <= DEEPEST; at++) {
    const character = text.charAt(at)
    if (character === '"') at = endOfString(text, at)
    else if (character === '{' || character === '[') depth++
    else if (character === '}' || character === ']') depth--
  }
  return depth > DEEPEST
}

/**
 * Returns the position of the closing quote of a JSON string. A quote that follows an odd number of backslashes is
 * escaped.
 */
function endOfString(text: string, begin: number): number {
  for (let end = text.indexOf('"', begin + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let before = end
    while (text[before - 1] === '\\') before--
    if ((end - before) % 2 === 0) return end
  }
  return text.length
}

/** Parses JSON. Returns the string unchanged if it is not JSON or nested too deeply. */
function parse(text: string): unknown {
  try {
    return text.length > 2 * DEEPEST && isTooDeep(text) ? text : JSON.parse(text)
  } catch {
    return text
  }
}
