/** Upload endpoints for blobs and Binaries, and the files that they store (docs/redox-api.md#binary, #blob-upload). */
import { randomInt, randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { Busboy } from '@fastify/busboy'
import type { BusboyInstance } from '@fastify/busboy'
import {
  decodeBase64,
  isMimeType,
  mediaType,
  notSimulated,
  parseJson,
  readBody,
  Refusal,
  refuseAnnouncedLength,
  refuseTooLarge,
} from './http'
import type { SandboxAnswer, SandboxRequest, JsonRecord } from './http'
import type { BinaryBody, Profile } from './profiles'

const MAX_FILES = 64
const MAX_BYTES = 256_000_000
/** Bytes that a request may have in addition to a file of the full size: part headers, or other fields of a Binary. */
const ENVELOPE = 64_000

interface FileBody {
  bytes: Buffer
  contentType: string
  name?: string | undefined
}

export interface UploadedFile extends FileBody {
  kind: 'blob' | 'binary'
  /** UUID of the source that uploaded the file; messages of other sources cannot refer to it. */
  source: string
}

/** Result of looking up a file that exists, but that another source uploaded (docs/redox-api.md#blob-upload). */
export const OF_ANOTHER_SOURCE = 'of another source'
type UploadLookup = UploadedFile | typeof OF_ANOTHER_SOURCE | undefined

/** Returns the error text for a file reference that cannot be used in a message. */
export function notFoundText(found: UploadLookup): string {
  if (found === undefined) return 'Referenced file not found'
  if (found !== OF_ANOTHER_SOURCE) return 'Referenced file not found (it is a Binary of the FHIR API)'
  return 'Referenced file not found (another source uploaded it: use the same source for the upload and the message)'
}

export class Uploads {
  #files = new Map<string, UploadedFile>()
  #bytes = 0
  #nextBlob = randomInt(10_000_000, 90_000_000)

  /**
   * `origins`: the `http://host:port` of all listening ports of this sandbox; the set changes when ports are opened or
   * closed.
   */
  constructor(
    private readonly origins: ReadonlySet<string>,
    private readonly account: 'paid' | 'free',
  ) {}

  /**
   * Handles `POST /upload` (docs/redox-api.md#blob-upload). Its path names no environment; the sandbox assumes
   * Development.
   */
  async receiveBlob({ request, origin, profile }: SandboxRequest, source: string): Promise<SandboxAnswer> {
    this.#refuseFreeAccount('Development')
    const path = `/${this.#nextBlob++}`
    this.#keep(path, { ...(await readMultipart(request, profile.limits.upload)), kind: 'blob', source })
    return { status: 201, body: { URI: origin + path } }
  }

  /**
   * Handles `POST /fhir/R4/redox/{Environment}/Binary`: raw bytes, a FHIR Binary, or multipart
   * (docs/redox-api.md#binary).
   */
  async receiveBinary(
    { request, origin, path, profile, host }: SandboxRequest,
    environment: string,
    source: string,
  ): Promise<SandboxAnswer> {
    if (host !== undefined && host !== profile.binary.host) throw notSimulated('A Binary on this host is')
    this.#refuseFreeAccount(environment)
    const file = await readBinary(request, profile)
    const id = randomUUID()
    this.#keep(`${path}/${id}`, { ...file, kind: 'binary', source })
    const answer = { status: 201, body: { resourceType: 'Binary', id, contentType: file.contentType } }
    const { reference } = profile.binary
    if (reference === 'body') return answer
    const location = `${reference === 'location' ? origin : ''}${path}/${id}`
    return { ...answer, headers: { location } }
  }

  /**
   * Returns the file for a reference, if the reference is exactly as returned by the upload and this source may use it.
   */
  find(reference: string, source: string): UploadLookup {
    const origin = [...this.origins].find((candidate) => reference.startsWith(`${candidate}/`))
    const file = origin === undefined ? undefined : this.#files.get(reference.slice(origin.length))
    return file && file.source !== source ? OF_ANOTHER_SOURCE : file
  }

  #refuseFreeAccount(environment: string): void {
    if (this.account === 'free' && environment === 'Development') {
      throw new Refusal(403, [{ text: 'File upload is not available for free accounts', code: 'forbidden' }])
    }
  }

  #keep(path: string, file: UploadedFile): void {
    this.#files.set(path, file)
    this.#bytes += file.bytes.length
    for (const [oldest, { bytes }] of this.#files) {
      if (this.#files.size <= MAX_FILES && this.#bytes <= MAX_BYTES) return
      this.#files.delete(oldest)
      this.#bytes -= bytes.length
    }
  }
}

/** Builds the error body of the host for blob uploads (docs/redox-api.md#blob-upload, #error-bodies). */
export const blobError = (refusal: Refusal): JsonRecord => ({ errorDetail: refusal.text })

const FORMS = new Map<string, BinaryBody>([
  ['multipart/form-data', 'multipart'],
  ['application/fhir+json', 'fhir-json'],
])

async function readBinary(request: IncomingMessage, { binary, limits }: Profile): Promise<FileBody> {
  const type = mediaType(request)
  if (!isMimeType(type)) throw new Refusal(400, 'Content-Type must be the MIME type of the file')
  const form = FORMS.get(type) ?? 'raw'
  if (!binary.forms.includes(form)) throw new Refusal(400, 'This body of a Binary is not supported')
  if (form === 'multipart') return readMultipart(request, limits.upload)
  if (form === 'fhir-json') {
    // base64 needs four bytes for three.
    const limit = Math.ceil(limits.upload / 3) * 4 + ENVELOPE
    return binaryResource(parseJson(await readBody(request, limit)), limits.upload)
  }
  return usable({ bytes: await readBody(request, limits.upload), contentType: type }, limits.upload)
}

function binaryResource({ resourceType, contentType, data }: JsonRecord, limit: number): FileBody {
  if (resourceType !== 'Binary') throw new Refusal(400, 'Resource must be a Binary')
  if (!isMimeType(contentType)) throw new Refusal(400, 'Binary.contentType must be a MIME type')
  const bytes = typeof data === 'string' ? decodeBase64(data) : undefined
  if (!bytes) throw new Refusal(400, 'Binary.data must be base64')
  return usable({ bytes, contentType }, limit)
}

function usable(file: FileBody, limit: number): FileBody {
  if (file.bytes.length > limit) throw refuseTooLarge(limit)
  if (file.bytes.length === 0) throw new Refusal(400, 'The file is empty')
  return file
}

/** Returns the file of a multipart form. The form must have exactly one part, with the name `file`. */
async function readMultipart(request: IncomingMessage, limit: number): Promise<FileBody> {
  refuseAnnouncedLength(request, limit + ENVELOPE)
  const parser = multipartParser(request, limit)
  const files: FileBody[] = []
  let strangers = 0
  await new Promise<void>((resolve, reject) => {
    const fail = (refusal: Error): void => {
      request.unpipe(parser)
      reject(refusal)
    }
    const malformed = (): void => fail(new Refusal(400, 'Malformed multipart body'))
    parser.on('field', () => strangers++)
    parser.on('file', (field, stream, name, ...[, contentType]) => {
      const chunks: Buffer[] = []
      if (field !== 'file') strangers++
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('limit', () => fail(refuseTooLarge(limit)))
      stream.on('error', malformed)
      stream.on('end', () => files.push({ bytes: Buffer.concat(chunks), contentType, name }))
    })
    parser.on('filesLimit', () => fail(new Refusal(400, 'One file per request')))
    parser.on('error', malformed)
    parser.on('finish', resolve)
    request.once('error', reject)
    request.pipe(parser)
  })
  const [file] = files
  if (!file || strangers > 0) throw new Refusal(400, 'The form must have one part, a file named "file"')
  return usable(file, limit)
}

function multipartParser(request: IncomingMessage, limit: number): BusboyInstance {
  const contentType = request.headers['content-type'] ?? ''
  if (mediaType(request) !== 'multipart/form-data') {
    throw new Refusal(400, 'multipart/form-data content-type required')
  }
  try {
    return new Busboy({
      headers: { ...request.headers, 'content-type': contentType },
      isPartAFile: (_field, _type, fileName) => fileName !== undefined,
      limits: { fileSize: limit, files: 1, fieldSize: 1000, parts: 10 },
    })
  } catch {
    throw new Refusal(400, 'Malformed multipart header')
  }
}
