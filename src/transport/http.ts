import { setImmediate as nextTurn } from 'node:timers/promises'
import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate } from 'node:zlib'
import { Agent, request as undiciRequest, type Dispatcher } from 'undici'
import type { RequestBody } from './body'
import { connector, type TlsOptions } from './connector'
import { proxyFault, tlsFault } from './faults'
import type { Ending } from './outcomes'
import type { Proxy } from './proxy'

export interface HttpAnswer {
  status: number
  /** lower-case names; cookies left out, they are secrets */
  headers: Record<string, string | string[]>
  /** parsed JSON, or the text when it is not JSON */
  body: unknown
  text: string
}

const WHOLE_SECONDS_MS = 2000

/** What the clock of the server says, milliseconds since 1970; this machine's clock where it agrees or is all there is. */
export function serverTime({ headers }: Pick<HttpAnswer, 'headers'>): number {
  const now = Date.now()
  const told = Date.parse(String(headers.date))
  // The header tells whole seconds: a clock that agrees with it knows better.
  return Math.abs(told - now) > WHOLE_SECONDS_MS ? told : now
}

export interface HttpRequest {
  url: string
  headers: Record<string, string>
  body: RequestBody
  signal: AbortSignal
}

/** An attempt that ended without an answer. The message names the system's code only, never an address. */
export class HttpFault extends Error {
  constructor(
    readonly ending: Extract<Ending, { fault: unknown }>,
    /** e.g. `ECONNREFUSED`, `UND_ERR_HEADERS_TIMEOUT`, `CERT_HAS_EXPIRED`, `PROXY_407` */
    readonly systemCode: string,
  ) {
    super(systemCode)
  }
}

export interface HttpOptions {
  /**
   * seconds to wait for an answer after the last byte of the request, and from its first byte to its last; Redox may
   * take 120 (docs/redox-api.md#rates-and-times)
   */
  answerTimeoutSeconds: number
  connectTimeoutSeconds: number
  tls?: TlsOptions
  proxy?: Proxy
}

// Answers are small. A larger one is a mistake or an attack, and must not fill the memory.
const MAX_ANSWER_BYTES = 10_000_000

// undici takes whole milliseconds only.
const milliseconds = (seconds: number): number => Math.round(seconds * 1000)

/** POSTs to Redox over kept-alive connections. One per connection settings; `close` ends its sockets. */
export class Http {
  readonly #agent: Agent
  readonly #answerMs: number

  /**
   * @param connections sockets at once
   * @throws RedoxError REDOX_CONFIGURATION for certificates or keys that cannot be used
   */
  constructor(options: HttpOptions, connections: number) {
    this.#answerMs = milliseconds(options.answerTimeoutSeconds)
    this.#agent = new Agent({
      connections,
      // undici 8 would take HTTP/2: all messages on one socket, which takes them all along when it breaks.
      allowH2: false,
      connect: connector(milliseconds(options.connectTimeoutSeconds), options.tls, options.proxy),
      headersTimeout: this.#answerMs,
      bodyTimeout: this.#answerMs,
      maxResponseSize: MAX_ANSWER_BYTES,
    })
  }

  /**
   * One attempt. Redirects are not followed: the token goes to the configured hosts only.
   * @param onSent hears of every piece of the body that is handed to the socket; of no bytes, when the first one may be
   * @throws HttpFault when no complete answer came
   */
  async post(
    { url, headers, body, signal }: HttpRequest,
    onSent: (bytes: number) => void = () => undefined,
  ): Promise<HttpAnswer> {
    let sent = false
    let handed = 0
    let head: { statusCode: number; headers: HttpAnswer['headers'] } | undefined
    const onPiece = (bytes: number): void => {
      handed += bytes
      onSent(bytes)
    }
    const pieces: AsyncIterable<Buffer> = {
      [Symbol.asyncIterator]() {
        // undici opens the body only once it writes to a connected socket: before that nothing has left.
        sent = true
        onSent(0)
        return body.open(onPiece)[Symbol.asyncIterator]()
      },
    }
    try {
      const answer = await undiciRequest(url, {
        dispatcher: this.#agent,
        method: 'POST',
        headers: {
          ...headers,
          'accept-encoding': 'identity',
          'content-type': body.contentType,
          'content-length': String(body.length),
        },
        body: pieces as never,
        signal,
      })
      head = { statusCode: answer.statusCode, headers: plainHeaders(answer.headers) }
      // A 2xx that comes before the whole body was sent cannot be an answer to this message.
      if (head.statusCode < 300 && handed < body.length) throw new BadAnswer('EARLY_ANSWER')
      const text = await textOf(await this.#bytesOf(answer.body), head.headers)
      // undici gives the socket back a moment later: a message that is sent at once would open another one.
      await nextTurn()
      return answerOf(head.statusCode, head.headers, text)
    } catch (error) {
      if (isOwnError(error)) throw error
      // A refusal whose text is cut short is still a refusal.
      if (head && head.statusCode >= 300 && !signal.aborted)
        return { status: head.statusCode, headers: head.headers, body: '', text: '' }
      throw new HttpFault(endingOf(error, signal, sent, head !== undefined), systemCodeOf(error))
    }
  }

  /** undici waits for each piece anew: an answer that drips would never end. */
  async #bytesOf(body: Dispatcher.ResponseData['body']): Promise<Buffer> {
    const late = setTimeout(() => body.destroy(new BadAnswer('LATE_ANSWER')), this.#answerMs)
    try {
      return Buffer.from(await body.arrayBuffer())
    } finally {
      clearTimeout(late)
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }
}

class BadAnswer extends Error {
  get code(): string {
    return this.message
  }
}

// An error of ours thrown while the body was read (the file changed on the disk) is not a network fault.
const isOwnError = (error: unknown): boolean => error instanceof Error && error.name === 'RedoxError'

function endingOf(
  error: unknown,
  signal: AbortSignal,
  sent: boolean,
  answered: boolean,
): Extract<Ending, { fault: unknown }> {
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

/** The first code found in an error, its causes and the parts of an AggregateError. */
function systemCodeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'UNKNOWN'
  const { code } = error as Error & { code?: unknown }
  if (typeof code === 'string' && code !== 'UND_ERR_SOCKET') return code
  if (error instanceof AggregateError && error.errors.length > 0) return systemCodeOf(error.errors[0])
  if (error.cause instanceof Error) return systemCodeOf(error.cause)
  return typeof code === 'string' ? code : error.name
}

// What servers and gateways are known to use, asked for or not.
type Decode = (bytes: Buffer, bound: { maxOutputLength: number }) => Promise<Buffer>
const DECODERS = new Map<string, Decode>([
  ['gzip', promisify(gunzip)],
  ['x-gzip', promisify(gunzip)],
  ['deflate', promisify(inflate)],
  ['br', promisify(brotliDecompress)],
])

/**
 * The text of an answer. One that came compressed although the request did not ask for it is read all the same: else what was
 * delivered would be taken for unknown.
 */
async function textOf(bytes: Buffer, headers: HttpAnswer['headers']): Promise<string> {
  const decode = DECODERS.get(String(headers['content-encoding']).trim().toLowerCase())
  const plain =
    decode && bytes.length > 0 ? await decode(bytes, { maxOutputLength: MAX_ANSWER_BYTES }) : bytes
  return new TextDecoder().decode(plain)
}

function plainHeaders(headers: Record<string, string | string[] | undefined>): HttpAnswer['headers'] {
  const plain: HttpAnswer['headers'] = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && name !== 'set-cookie') plain[name] = value
  }
  return plain
}

export const answerOf = (status: number, headers: HttpAnswer['headers'], text: string): HttpAnswer => ({
  status,
  headers,
  body: parse(text),
  text,
})

/** Deeper than any FHIR resource. What is nested by the thousands cannot be walked, copied or written as JSON. */
const DEEPEST = 500

/** Whether brackets of a JSON text, those in its strings left aside, are nested too deep. */
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

/** Where the string ends that begins there; a quote after an odd number of backslashes belongs to it. */
function endOfString(text: string, begin: number): number {
  for (let end = text.indexOf('"', begin + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let before = end
    while (text[before - 1] === '\\') before--
    if ((end - before) % 2 === 0) return end
  }
  return text.length
}

/** What cannot be handled as JSON stays the text that it is. */
function parse(text: string): unknown {
  try {
    return isTooDeep(text) ? text : JSON.parse(text)
  } catch {
    return text
  }
}
