import { createHash, randomUUID } from 'node:crypto'
import { present } from '../shared/present'
import { base64Length } from '../file/base64'
import type { FileSource } from '../file/file'
import { stringifyInChunks } from '../json-chunks'
import { concatenate, yieldFor } from '../event-loop'
import { MIN_REUSABLE_CHUNK, BufferPool } from '../file/buffer-pool'

/**
 * Request body that can be read several times: each attempt sends every byte again. `length` is exact and becomes
 * `content-length`.
 */
export interface RequestBody {
  length: number
  contentType: string
  /**
   * Returns the bytes of the body in chunks. A chunk is valid until the next one is requested, which must not happen
   * before the socket has drained.
   * @param onPiece called with the length of each chunk before the chunk is yielded and not after it, because the
   *   generator may not be resumed after the last chunk
   */
  open(onPiece?: OnChunk): AsyncIterable<Buffer>
  /** body for people to read, in which each file is replaced by a placeholder such as `<base64, 12345 bytes>` */
  shortened(): string
  /** SHA-256 (hex) of each file in the body, as computed when the body was last read to its end */
  sha256(): string[]
}

type OnChunk = (bytes: number) => void

// Copies of a file's bytes on their way to the socket:
// 1. From the disk into pooled buffers (src/file). This copy cannot be avoided. A file in memory is not copied: its
//    chunks are views. In both cases sha256 reads a chunk while it is in the processor's cache.
// 2. Embedded file: as base64 into a string, because V8 encodes into strings only, and from there into pooled buffers,
//    because a socket takes bytes. The JSON around the file goes into the same buffers: a copy costs less than a write.
//    Uploaded file: no copy, the socket gets the chunk itself.
// 3. By the socket into kernel memory; with TLS first, encrypted, into OpenSSL's memory.

// Number of bytes of base64 that are written to the socket at once. More than the socket buffers without draining
// ({@link DRAINED_FROM}), and less than V8's limit for large objects (128 KiB): longer strings cost twice the CPU time
// (docs/design/performance.md).
const BUFFER_SIZE = 80 * 1024
const buffers = new BufferPool(BUFFER_SIZE)

const ignoreChunk: OnChunk = () => undefined

/** Body of strings with a base64 file between every two strings. There is one string more than files. */
function embeddingBody(contentType: string, texts: Buffer[], files: FileSource[] = []): RequestBody {
  const sizes = [...texts.map((text) => text.length), ...files.map(({ size }) => base64Length(size))]
  const length = sizes.reduce((sum, size) => sum + size)
  let digests: string[] = []
  return {
    contentType,
    length,
    sha256: () => digests,
    shortened: () =>
      texts.map((text, at) => `${text}${files[at] ? `<base64, ${files[at].size} bytes>` : ''}`).join(''),
    async *open(onPiece = ignoreChunk) {
      const found: string[] = []
      const packer = new Base64Writer(length)
      for (const [at, text] of texts.entries()) {
        for (let done = 0; done < text.length;) {
          done += packer.add(text, done)
          if (!packer.isFull) continue
          await yieldFor(BUFFER_SIZE)
          yield packer.take(onPiece)
        }
        const file = files[at]
        if (file === undefined) continue
        const hash = createHash('sha256')
        for await (const piece of file.read()) {
          hash.update(piece)
          for (let done = 0; done < piece.length;) {
            done += packer.encode(piece, done)
            if (packer.isFull) yield packer.take(onPiece)
          }
        }
        found.push(hash.digest('hex'))
        if (found.length === files.length) digests = found
      }
      if (!packer.isEmpty) yield packer.takeLast(onPiece)
      packer.end()
    },
  }
}

/**
 * Writes strings and base64 into buffers without gaps. For a body that is too short to make the socket drain, the
 * buffer is not taken from the pool.
 */
class Base64Writer {
  readonly #pack: Buffer
  readonly #isPooled: boolean
  #used = 0

  constructor(length: number) {
    this.#isPooled = length >= MIN_REUSABLE_CHUNK
    this.#pack = this.#isPooled ? buffers.acquire() : Buffer.allocUnsafeSlow(length + MARGIN)
  }

  get isEmpty(): boolean {
    return this.#used === 0
  }

  get isFull(): boolean {
    return this.#pack.length - this.#used < MARGIN
  }

  /**
   * Copies a part of a string into the buffer.
   * @returns number of copied bytes
   */
  add(text: Buffer, from: number): number {
    const copied = text.copy(this.#pack, this.#used, from)
    this.#used += copied
    return copied
  }

  /**
   * Writes a part of a file's chunk into the buffer as base64.
   * @returns number of encoded bytes: a multiple of 3, or all remaining bytes of the chunk
   */
  encode(piece: Buffer, from: number): number {
    const room = Math.floor((this.#pack.length - this.#used) / 4) * 3
    const end = Math.min(piece.length, from + room)
    this.#used += this.#pack.write(piece.toString('base64', from, end), this.#used, 'latin1')
    return end - from
  }

  take(onPiece: OnChunk): Buffer {
    const piece = this.#pack.subarray(0, this.#used)
    this.#used = 0
    onPiece(piece.length)
    return piece
  }

  /**
   * Returns the last chunk. A short one is copied out of the pooled buffer, because the socket may keep it without
   * draining while another body uses that buffer.
   */
  takeLast(onPiece: OnChunk): Buffer {
    const piece = this.take(onPiece)
    return this.#isPooled && piece.length < MIN_REUSABLE_CHUNK ? Buffer.from(piece) : piece
  }

  /** Returns the buffer to the pool, after all chunks were yielded and the socket has drained. */
  end(): void {
    if (this.#isPooled) buffers.release(this.#pack)
  }
}

// Free bytes below which the buffer counts as full: the length of one group of base64 characters.
const MARGIN = 4

/** Body of a file's unencoded bytes between two strings. */
function fileBody(contentType: string, head: Buffer, file: FileSource, tail: Buffer): RequestBody {
  let digests: string[] = []
  return {
    contentType,
    length: head.length + file.size + tail.length,
    sha256: () => digests,
    shortened: () => `${head}<${file.size} bytes>${tail}`,
    async *open(onPiece = ignoreChunk) {
      if (head.length > 0) yield reportingChunks(head, onPiece)
      const hash = createHash('sha256')
      let read = 0
      for await (const piece of file.read()) {
        hash.update(piece)
        read += piece.length
        if (read === file.size) digests = [hash.digest('hex')]
        if (read === file.size && tail.length === 0) yield* withSmallLastChunk(piece, onPiece)
        else yield reportingChunks(piece, onPiece)
      }
      if (tail.length > 0) yield reportingChunks(tail, onPiece)
    },
  }
}

/**
 * Yields the last byte of a large chunk separately. After a large write, undici waits until the socket has drained
 * before it treats the body as sent. Over TLS a response can come earlier, and then undici closes the connection
 * instead of keeping it.
 */
function* withSmallLastChunk(piece: Buffer, onPiece: OnChunk): Generator<Buffer> {
  if (piece.length > MIN_REUSABLE_CHUNK) yield reportingChunks(piece.subarray(0, -1), onPiece)
  yield reportingChunks(piece.length > MIN_REUSABLE_CHUNK ? Buffer.from(piece.subarray(-1)) : piece, onPiece)
}

function reportingChunks(piece: Buffer, onPiece: OnChunk): Buffer {
  onPiece(piece.length)
  return piece
}

/** File to embed in a JSON body, and its path of object keys and array indexes. */
export interface Embedding {
  path: readonly (string | number)[]
  file: FileSource
}

/**
 * JSON body with files inserted as base64 while it is sent. No file is ever a string as a whole, and the JSON around
 * them is serialized in chunks, so that the event loop runs between them.
 * @param set returns a copy of the JSON value with a different value at a path
 */
export async function jsonBody(
  contentType: string,
  value: unknown,
  embeddings: Embedding[],
  set: (value: unknown, path: readonly (string | number)[], leaf: string) => unknown,
): Promise<RequestBody> {
  const marked = embeddings.reduce((json, { path }, index) => set(json, path, `${MARKER}:${index}`), value)
  const texts: Buffer[][] = [[]]
  const files: FileSource[] = []
  // A marker is never split between two chunks, because short strings are not split.
  for await (const piece of stringifyInChunks(marked)) {
    for (const [at, part] of piece.split(MARKED).entries()) {
      if (at % 2 === 0) present(texts.at(-1), 'a text').push(Buffer.from(part, 'utf8'))
      else {
        files.push(present(embeddings[Number(part)], 'an embedded file').file)
        texts.push([])
      }
    }
  }
  const whole: Buffer[] = []
  for (const parts of texts) whole.push(await concatenate(parts))
  return embeddingBody(contentType, whole, files)
}

// Marker of a file's position in the JSON. It cannot occur in a message: it is random, differs in each process and is
// never sent.
const MARKER = randomUUID()
const MARKED = new RegExp(`${MARKER}:(\\d+)`)

const NOTHING = Buffer.alloc(0)

/** Body of a file's unencoded bytes. */
export const rawBody = (file: FileSource): RequestBody => fileBody(file.contentType, NOTHING, file, NOTHING)

/** FHIR JSON `Binary` with the file as base64 (docs/redox-api.md#binary, second form). */
export const fhirBinaryBody = (file: FileSource): RequestBody => {
  const { contentType } = file
  const [head, tail] = JSON.stringify({ resourceType: 'Binary', contentType, data: '|' }).split('"|"') as [
    string,
    string,
  ]
  const texts = [`${head}"`, `"${tail}`].map((text) => Buffer.from(text, 'utf8'))
  return embeddingBody('application/fhir+json', texts, [file])
}

/** `multipart/form-data` body with a single part `file` (docs/redox-api.md#blob-upload). */
export function multipartBody(file: FileSource): RequestBody {
  const boundary = `redox-${randomUUID()}`
  const head =
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${multipartName(file.name)}"\r\n` +
    `Content-Type: ${file.contentType}\r\n\r\n`
  const contentType = `multipart/form-data; boundary=${boundary}`
  return fileBody(
    contentType,
    Buffer.from(head, 'utf8'),
    file,
    Buffer.from(`\r\n--${boundary}--\r\n`, 'latin1'),
  )
}

// RFC 7578 section 4.2: file names are UTF-8, with quotes and line breaks percent-encoded.
const multipartName = (name: string): string =>
  name.replace(/"/g, '%22').replace(/\r/g, '%0D').replace(/\n/g, '%0A')

/** Body of a short string. */
export const textBody = (contentType: string, text: string): RequestBody =>
  embeddingBody(contentType, [Buffer.from(text, 'utf8')])
