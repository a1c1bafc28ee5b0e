/** What all endpoints of the sandbox share: calls, answers, refusals, bounded bodies, plain JSON helpers. */
import type { IncomingMessage } from 'node:http'

/**
 * Whole request to the Data Model or FHIR API, in bytes (docs/redox-api.md#sizes; 1 MB read as 10^6, the stricter way).
 */
export const REQUEST_LIMIT = 40_000_000
/** One uploaded file, in bytes (docs/redox-api.md#binary, #blob-upload, #sizes). */
export const FILE_LIMIT = 30_000_000

const MAX_JSON_DEPTH = 100
const MIME_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(\s*;.*)?$/
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const WEB_URL = /^\s*https?:\/\/\S*\s*$/i

export type Json = Record<string, unknown>

/** One request on its way through the sandbox. */
export interface Call {
  request: IncomingMessage
  /** Path without the query. */
  path: string
  /** The parts of the path that the route's pattern captured. */
  params: string[]
  /** `http://host:port` under which the client reached this server. */
  origin: string
  /** Lower-case ids of the Data Model destinations that have a subscription; all when undefined. */
  subscribed?: ReadonlySet<string> | undefined
  /** The fault that is played on it, as the plan names it. */
  fault?: string
}

export interface Answer {
  status: number
  /** An object is sent as JSON (a FHIR resource as such), a string as the plain text Redox marks as HTML, '' as nothing. */
  body: Json | string
  headers?: Record<string, string>
  /** The bytes that are sent, when a fault makes them others than those of the body. */
  payload?: Buffer
}

/** One thing that is wrong with a request. Texts never repeat values of the request. */
export interface Problem {
  text: string
  /** FHIR element path below the Bundle. */
  path?: string
  /** FHIR issue type; `invalid` unless told. */
  code?: string
  /** Data Model API: what the entry of `Meta.Errors` has otherwise than usual (docs/redox-api.md#error-bodies). */
  error?: { Type?: string; Module?: string; DestinationStatusCode?: number }
}

/**
 * A request that is not accepted. Each API words it in its own body shape (docs/redox-api.md#legacy-api-key,
 * #oauth-api-key, #fhir-answers, #error-bodies).
 */
export class Refusal extends Error {
  readonly problems: Problem[]

  /** `echo` is what a Data Model answer repeats of the request's `Meta`. */
  constructor(
    readonly status: number,
    problems: string | Problem[],
    readonly echo: Json = {},
  ) {
    super(`refused with ${status}`)
    this.problems = typeof problems === 'string' ? [{ text: problems }] : problems
  }

  get text(): string {
    return this.problems.map((problem) => problem.text).join('; ')
  }
}

export const tooLarge = (limit: number): Refusal =>
  new Refusal(413, [{ text: `Payload too large, the limit is ${limit / 1_000_000} MB`, code: 'too-long' }])

/** What Redox does besides sending files, or does not do at all: its absence here says nothing of Redox. */
export const notPlayed = (what: string): Refusal =>
  new Refusal(404, [
    {
      text: `${what} not simulated here: this sandbox simulates only the sending of files`,
      code: 'not-supported',
    },
  ])

/** Fails at once if the announced length is over the limit, so that nothing of the body is kept. */
export function refuseAnnouncedLength(request: IncomingMessage, limit: number): void {
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge(limit)
}

/** The whole body, at most `limit` bytes of it; what comes after a refusal is read and thrown away. */
export async function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  refuseAnnouncedLength(request, limit)
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= limit) chunks.push(chunk)
      else {
        chunks.length = 0
        reject(tooLarge(limit))
      }
    })
    request.once('end', () => resolve(Buffer.concat(chunks)))
    request.once('error', reject)
    request.resume()
  })
}

/** The media type without parameters, in lower case; empty if there is none. */
export function mediaType(request: IncomingMessage): string {
  return ((request.headers['content-type'] ?? '').split(';')[0] ?? '').trim().toLowerCase()
}

export function parseJson(bytes: Buffer): Json {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw new Refusal(400, 'Malformed JSON')
  }
  if (!isObject(value)) throw new Refusal(400, 'Body must be a JSON object')
  // Everything after this walks the value recursively, so depth is bounded once, here.
  if (isDeeperThan(value, MAX_JSON_DEPTH)) throw new Refusal(400, 'JSON nested too deeply')
  return value
}

function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return levels === 0 || Object.values(value).some((child) => isDeeperThan(child, levels - 1))
}

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
/** The value if it is an object, else an empty one. */
export const objectOf = (value: unknown): Json => (isObject(value) ? value : {})
/** The items of a list, what is no object as an empty one; none if it is not a list. */
export const objectsOf = (value: unknown): Json[] => (Array.isArray(value) ? value.map(objectOf) : [])
/** The value if it is a string with something in it. */
export const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined
/** The same for a field of the Data Model API, where a number stands for its text (docs/redox-api.md#leniency). */
export const scalarOf = (value: unknown): string | undefined =>
  textOf(typeof value === 'number' ? String(value) : value)

export const isUuid = (value: unknown): value is string => typeof value === 'string' && UUID.test(value)
export const isMimeType = (value: unknown): value is string =>
  typeof value === 'string' && MIME_TYPE.test(value)
/** Whether a text is nothing but an http(s) URL, which in a file's place can only mean a reference. */
export const isWebUrl = (value: string): boolean => WEB_URL.test(value)

/**
 * The bytes of base64 (docs/redox-api.md#file-types, #leniency): standard alphabet, padded, no `data:` prefix, at least
 * one byte; line breaks and other white space do not count. Node decodes leniently, so only a text that encodes back to
 * itself is base64.
 */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length === 0) return undefined
  const encoded = bytes.toString('base64')
  return encoded === text || encoded === text.replace(/\s+/g, '') ? bytes : undefined
}
