/**
 * Code that all endpoints of the sandbox share: request and response types, refusals, bodies of limited size, JSON
 * helpers.
 */
import type { IncomingMessage } from 'node:http'
import type { DeliveryTerms } from './deliveries'
import type { Profile } from './profiles'

const MAX_JSON_DEPTH = 100
const MIME_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(\s*;.*)?$/
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const WEB_URL = /^\s*https?:\/\/\S*\s*$/i

export type JsonRecord = Record<string, unknown>

/** Request to the sandbox, with the values that handlers need. */
export interface SandboxRequest {
  request: IncomingMessage
  /** Path of the request, without the query. */
  path: string
  /** Values of the groups in the route's pattern, in their order. */
  params: string[]
  /** Origin in the URL that the client used for this server: `http://host:port`. */
  origin: string
  /** Lower-case ids of the Data Model destinations that have a subscription; undefined: all have one. */
  subscribed?: ReadonlySet<string> | undefined
  profile: Profile
  /** Host of Redox that the listening port stands for; undefined: all hosts. */
  host?: 'api' | 'blob' | undefined
  /** Name of the fault that is simulated for the request, as written in the fault plan. */
  fault?: string
  /** How the message of the request is delivered, if it is accepted. */
  terms: DeliveryTerms
}

export interface SandboxAnswer {
  status: number
  /**
   * Body of the response: an object is sent as JSON (a FHIR resource as FHIR JSON), a string as plain text with the
   * type `text/html`, as Redox does, and '' as an empty body.
   */
  body: JsonRecord | string
  headers?: Record<string, string>
  /** Bytes to send in place of `body`, if the simulated fault changes the body. */
  payload?: Buffer
}

/** Problem of a request. Its error text never repeats a value of the request. */
export interface RequestProblem {
  text: string
  /** FHIR element path inside the Bundle. */
  path?: string
  /** FHIR issue type. Default `invalid`. */
  code?: string
  /**
   * Data Model API only: fields of the entry in `Meta.Errors` that differ from the defaults
   * (docs/redox-api.md#error-bodies).
   */
  error?: { Type?: string; Module?: string; DestinationStatusCode?: number }
}

/**
 * Refusal of a request. Each API has its own body shape for a refusal (docs/redox-api.md#legacy-api-key,
 * #oauth-api-key, #fhir-answers, #error-bodies).
 */
export class Refusal extends Error {
  readonly problems: RequestProblem[]

  /** `echo` contains the fields of the request's `Meta` that a Data Model response repeats. */
  constructor(
    readonly status: number,
    problems: string | RequestProblem[],
    readonly echo: JsonRecord = {},
  ) {
    super(`refused with ${status}`)
    this.problems = typeof problems === 'string' ? [{ text: problems }] : problems
  }

  get text(): string {
    return this.problems.map((problem) => problem.text).join('; ')
  }
}

export const refuseTooLarge = (limit: number): Refusal =>
  new Refusal(413, [{ text: `Payload too large, the limit is ${limit / 1_000_000} MB`, code: 'too-long' }])

/** Refusal of a request that the sandbox does not simulate. Redox itself may support such a request. */
export const notSimulated = (what: string): Refusal =>
  new Refusal(404, [
    {
      text: `${what} not simulated here: this sandbox simulates only the sending of files`,
      code: 'not-supported',
    },
  ])

/** Refuses a request whose Content-Length is over the limit, before any of the body is stored. */
export function refuseAnnouncedLength(request: IncomingMessage, limit: number): void {
  if (Number(request.headers['content-length'] ?? 0) > limit) throw refuseTooLarge(limit)
}

/**
 * Reads a whole body of at most `limit` bytes. If the body is longer, the request is refused, and the rest of the body
 * is read and dropped.
 */
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
        reject(refuseTooLarge(limit))
      }
    })
    request.once('end', () => resolve(Buffer.concat(chunks)))
    request.once('error', reject)
    request.resume()
  })
}

/** Returns the media type without parameters, in lower case; an empty string if there is none. */
export function mediaType(request: IncomingMessage): string {
  return ((request.headers['content-type'] ?? '').split(';')[0] ?? '').trim().toLowerCase()
}

export function parseJson(bytes: Buffer): JsonRecord {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw new Refusal(400, 'Malformed JSON')
  }
  if (!isObject(value)) throw new Refusal(400, 'Body must be a JSON object')
  // The code that uses the JSON value traverses it recursively, so the depth of the value is limited here.
  if (isDeeperThan(value, MAX_JSON_DEPTH)) throw new Refusal(400, 'JSON nested too deeply')
  return value
}

function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return levels === 0 || Object.values(value).some((child) => isDeeperThan(child, levels - 1))
}

export const isObject = (value: unknown): value is JsonRecord =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
/** Returns the value if it is an object, otherwise an empty object. */
export const objectOf = (value: unknown): JsonRecord => (isObject(value) ? value : {})
/**
 * Returns the items of a list, with an empty object for an item that is not an object; an empty list for other values.
 */
export const objectsOf = (value: unknown): JsonRecord[] => (Array.isArray(value) ? value.map(objectOf) : [])
/** Returns the value if it is a string that is not empty. */
export const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined
/**
 * Returns the value of a Data Model field as a string. Numbers are converted, because Redox accepts numbers for strings
 * (docs/redox-api.md#leniency).
 */
export const scalarOf = (value: unknown): string | undefined =>
  textOf(typeof value === 'number' ? String(value) : value)

export const isUuid = (value: unknown): value is string => typeof value === 'string' && UUID.test(value)
export const isMimeType = (value: unknown): value is string =>
  typeof value === 'string' && MIME_TYPE.test(value)
/**
 * Returns true if a string consists only of an http(s) URL. In a file field such a string is always a reference to an
 * uploaded file.
 */
export const isWebUrl = (value: string): boolean => WEB_URL.test(value)

/**
 * Returns the bytes of base64 (docs/redox-api.md#file-types, #leniency): standard alphabet, padded, no `data:` prefix,
 * at least one byte; white space is ignored. Node decodes leniently, so a string is accepted only if encoding the
 * decoded bytes gives the same string.
 */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length === 0) return undefined
  const encoded = bytes.toString('base64')
  return encoded === text || encoded === text.replace(/\s+/g, '') ? bytes : undefined
}
