import { createHash, randomUUID } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FileSource } from '../file/file'

/**
 * A request body that can be made again: a replayed request carries every byte again. `length` is exact and
 * becomes `content-length`.
 */
export interface RequestBody {
  length: number
  contentType: string
  open(): AsyncIterable<Buffer>
  /** the body as a person reads it: files stand as `<base64, 12345 bytes>` */
  shortened(): string
  /** whether the text stands in the body, outside of the files */
  repeats(text: string): boolean
  /** sha256 (hex) of each file in the body, as it was sent by the last complete pass */
  sha256(): string[]
}

// 48 KiB of file make 64 KiB of base64; longer strings cross V8's large-object limit and cost twice the CPU
// (design/PERFORMANCE). A multiple of three, so that pieces join without padding between them.
const EMBED_PIECE = 48 * 1024
const UPLOAD_PIECE = 256 * 1024
// A drained socket resolves in microtasks: without a turn of the loop a big body would hold it to the end.
const BYTES_PER_TURN = 512 * 1024

export const base64Length = (size: number): number => Math.ceil(size / 3) * 4

type Part = Buffer | { file: FileSource; encoding: 'base64' | 'binary' }

const partLength = (part: Part): number =>
  Buffer.isBuffer(part)
    ? part.length
    : part.encoding === 'base64'
      ? base64Length(part.file.size)
      : part.file.size

const partText = (part: Part): string =>
  Buffer.isBuffer(part)
    ? part.toString('utf8')
    : `<${part.encoding === 'base64' ? 'base64, ' : ''}${part.file.size} bytes>`

function bodyOf(contentType: string, parts: Part[]): RequestBody {
  let digests: string[] = []
  return {
    contentType,
    length: parts.reduce((sum, part) => sum + partLength(part), 0),
    sha256: () => digests,
    shortened: () => parts.map(partText).join(''),
    repeats: (text) => text !== '' && parts.some((part) => Buffer.isBuffer(part) && part.includes(text)),
    async *open() {
      const found: string[] = []
      for (const part of parts) {
        if (Buffer.isBuffer(part)) yield part
        else yield* filePieces(part, (digest) => found.push(digest))
        digests = found
      }
    },
  }
}

async function* filePieces(
  { file, encoding }: Exclude<Part, Buffer>,
  onDigest: (sha256: string) => void,
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  let sinceTurn = 0
  let read = 0
  for await (const piece of file.read(encoding === 'base64' ? EMBED_PIECE : UPLOAD_PIECE)) {
    hash.update(piece)
    read += piece.length
    sinceTurn += piece.length
    if (read === file.size) onDigest(hash.digest('hex'))
    // base64: one string and one buffer a piece, because undici writes bytes, not strings. binary: a view.
    yield encoding === 'base64' ? Buffer.from(piece.toString('base64'), 'latin1') : piece
    if (sinceTurn >= BYTES_PER_TURN) {
      sinceTurn = 0
      await nextTurn()
    }
  }
}

/** Where a file goes into a JSON body: path of object keys and array indexes. */
export interface Embedding {
  path: readonly (string | number)[]
  file: FileSource
}

/**
 * JSON text with files spliced in as base64 while it is sent: the files are never held as text, and
 * `JSON.stringify` never sees them.
 * @param set puts a value at a path of the JSON value without changing the given value
 */
export function jsonBody(
  contentType: string,
  value: unknown,
  embeddings: Embedding[],
  set: (value: unknown, path: readonly (string | number)[], leaf: string) => unknown,
): RequestBody {
  const marker = randomUUID()
  const marked = embeddings.reduce((json, { path }, index) => set(json, path, `${marker}:${index}`), value)
  const pieces = JSON.stringify(marked).split(new RegExp(`${marker}:(\\d+)`))
  return bodyOf(
    contentType,
    pieces.map((piece, index): Part => {
      if (index % 2 === 0) return Buffer.from(piece, 'utf8')
      return { file: embeddings[Number(piece)]!.file, encoding: 'base64' }
    }),
  )
}

/** The file's own bytes. */
export const rawBody = (file: FileSource): RequestBody =>
  bodyOf(file.contentType, [{ file, encoding: 'binary' }])

/** FHIR JSON `Binary` (facts 9.1, second form). */
export const fhirBinaryBody = (file: FileSource): RequestBody => {
  const [head, tail] = JSON.stringify({
    resourceType: 'Binary',
    contentType: file.contentType,
    data: '|',
  }).split('"|"') as [string, string]
  return bodyOf('application/fhir+json', [
    Buffer.from(`${head}"`, 'utf8'),
    { file, encoding: 'base64' },
    Buffer.from(`"${tail}`, 'utf8'),
  ])
}

/** `multipart/form-data` with the one part `file` (facts 4.2). */
export function multipartBody(file: FileSource): RequestBody {
  const boundary = `redox-${randomUUID()}`
  const head =
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${multipartName(file.name)}"\r\n` +
    `Content-Type: ${file.contentType}\r\n\r\n`
  return bodyOf(`multipart/form-data; boundary=${boundary}`, [
    Buffer.from(head, 'utf8'),
    { file, encoding: 'binary' },
    Buffer.from(`\r\n--${boundary}--\r\n`, 'latin1'),
  ])
}

// RFC 7578 section 4.2: UTF-8 as it is, quotes and line breaks percent-encoded.
const multipartName = (name: string): string =>
  name.replace(/"/g, '%22').replace(/\r/g, '%0D').replace(/\n/g, '%0A')

/** A small body that is known as text. */
export const textBody = (contentType: string, text: string): RequestBody =>
  bodyOf(contentType, [Buffer.from(text, 'utf8')])
