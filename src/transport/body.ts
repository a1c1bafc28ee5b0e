import { createHash, randomUUID } from 'node:crypto'
import { present } from '../shared/present'
import { base64Length } from '../file/base64'
import type { FileSource } from '../file/file'
import { jsonInTurns } from '../json-chunks'
import { joined, turn } from '../event-loop'
import { DRAINED_FROM, Scratch } from '../file/scratch'

/**
 * A request body that can be made again: a replayed request carries every byte again. `length` is exact and
 * becomes `content-length`.
 */
export interface RequestBody {
  length: number
  contentType: string
  /**
   * Its bytes. A piece is good until the next one is asked for, and that is to be done after the socket has drained.
   * @param onPiece hears of each piece before it is handed over: after the last one the generator need not be resumed
   */
  open(onPiece?: OnPiece): AsyncIterable<Buffer>
  /** the body as a person reads it: files stand as `<base64, 12345 bytes>` */
  shortened(): string
  /** sha256 (hex) of each file in the body, as it was sent by the last complete pass */
  sha256(): string[]
}

type OnPiece = (bytes: number) => void

// The path of a file's byte, and where it is copied:
// 1. From the disk into pooled scratch (src/file): there is no other way to get hold of it. A file in memory is not
//    copied, its pieces are views. Either way sha256 reads a piece while it is in the processor's cache.
// 2. Embedded: as base64 into a string, because V8 encodes into strings only, and from there into pooled scratch,
//    because a socket takes bytes. The JSON around it goes into the same scratch: a copy is cheaper than a write.
//    Uploaded: not at all, the socket gets the piece itself.
// 3. By the socket into the kernel's memory; with TLS before that, encrypted, into OpenSSL's.

// Base64 that is handed over at once. Above what a socket holds back (see scratch.ts), and below V8's limit for large
// objects (128 KiB): strings beyond it cost twice the CPU (docs/design/performance.md).
const PACK = 80 * 1024
const packs = new Scratch(PACK)

const unheard: OnPiece = () => undefined

/** Texts with files between them, as base64. There is one text more than files. */
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
    async *open(onPiece = unheard) {
      const found: string[] = []
      const packer = new Packer(length)
      for (const [at, text] of texts.entries()) {
        for (let done = 0; done < text.length;) {
          done += packer.add(text, done)
          if (!packer.isFull) continue
          await turn(PACK)
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

/** Packs texts and base64 close together. What is too short to be drained is one piece in memory of its own. */
class Packer {
  readonly #pack: Buffer
  readonly #isPooled: boolean
  #used = 0

  constructor(length: number) {
    this.#isPooled = length >= DRAINED_FROM
    this.#pack = this.#isPooled ? packs.take() : Buffer.allocUnsafeSlow(length + MARGIN)
  }

  get isEmpty(): boolean {
    return this.#used === 0
  }

  get isFull(): boolean {
    return this.#pack.length - this.#used < MARGIN
  }

  /** @returns how many bytes found room */
  add(text: Buffer, from: number): number {
    const copied = text.copy(this.#pack, this.#used, from)
    this.#used += copied
    return copied
  }

  /** @returns how many bytes found room as base64: a multiple of 3, up to the piece's end */
  encode(piece: Buffer, from: number): number {
    const room = Math.floor((this.#pack.length - this.#used) / 4) * 3
    const end = Math.min(piece.length, from + room)
    this.#used += this.#pack.write(piece.toString('base64', from, end), this.#used, 'latin1')
    return end - from
  }

  take(onPiece: OnPiece): Buffer {
    const piece = this.#pack.subarray(0, this.#used)
    this.#used = 0
    onPiece(piece.length)
    return piece
  }

  /** Too short to be drained: not in memory that another body may get. */
  takeLast(onPiece: OnPiece): Buffer {
    const piece = this.take(onPiece)
    return this.#isPooled && piece.length < DRAINED_FROM ? Buffer.from(piece) : piece
  }

  /** All was handed over, and the socket has drained. */
  end(): void {
    if (this.#isPooled) packs.give(this.#pack)
  }
}

// What four characters of base64 may find too little.
const MARGIN = 4

/** A file's own bytes with texts around them. */
function fileBody(contentType: string, head: Buffer, file: FileSource, tail: Buffer): RequestBody {
  let digests: string[] = []
  return {
    contentType,
    length: head.length + file.size + tail.length,
    sha256: () => digests,
    shortened: () => `${head}<${file.size} bytes>${tail}`,
    async *open(onPiece = unheard) {
      if (head.length > 0) yield told(head, onPiece)
      const hash = createHash('sha256')
      let read = 0
      for await (const piece of file.read()) {
        hash.update(piece)
        read += piece.length
        if (read === file.size) digests = [hash.digest('hex')]
        if (read === file.size && tail.length === 0) yield* endingSmall(piece, onPiece)
        else yield told(piece, onPiece)
      }
      if (tail.length > 0) yield told(tail, onPiece)
    },
  }
}

/**
 * The last byte by itself. After a large piece, undici waits until the socket has drained before it takes the body as
 * sent. Over TLS an answer can be faster than that, and then undici closes the connection instead of keeping it.
 */
function* endingSmall(piece: Buffer, onPiece: OnPiece): Generator<Buffer> {
  if (piece.length > DRAINED_FROM) yield told(piece.subarray(0, -1), onPiece)
  yield told(piece.length > DRAINED_FROM ? Buffer.from(piece.subarray(-1)) : piece, onPiece)
}

function told(piece: Buffer, onPiece: OnPiece): Buffer {
  onPiece(piece.length)
  return piece
}

/** Where a file goes into a JSON body: path of object keys and array indexes. */
export interface Embedding {
  path: readonly (string | number)[]
  file: FileSource
}

/**
 * JSON text with files spliced in as base64 while it is sent: the files are never held as text, and the JSON is
 * written without them, in turns.
 * @param set puts a value at a path of the JSON value without changing the given value
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
  // A text as short as a marker is never cut apart.
  for await (const piece of jsonInTurns(marked)) {
    for (const [at, part] of piece.split(MARKED).entries()) {
      if (at % 2 === 0) present(texts.at(-1), 'a text').push(Buffer.from(part, 'utf8'))
      else {
        files.push(present(embeddings[Number(part)], 'an embedded file').file)
        texts.push([])
      }
    }
  }
  const whole: Buffer[] = []
  for (const parts of texts) whole.push(await joined(parts))
  return embeddingBody(contentType, whole, files)
}

// In no message: it is made up anew in each process, and never leaves it.
const MARKER = randomUUID()
const MARKED = new RegExp(`${MARKER}:(\\d+)`)

const NOTHING = Buffer.alloc(0)

/** The file's own bytes. */
export const rawBody = (file: FileSource): RequestBody => fileBody(file.contentType, NOTHING, file, NOTHING)

/** FHIR JSON `Binary` (docs/redox-api.md#binary, second form). */
export const fhirBinaryBody = (file: FileSource): RequestBody => {
  const { contentType } = file
  const [head, tail] = JSON.stringify({ resourceType: 'Binary', contentType, data: '|' }).split('"|"') as [
    string,
    string,
  ]
  const texts = [`${head}"`, `"${tail}`].map((text) => Buffer.from(text, 'utf8'))
  return embeddingBody('application/fhir+json', texts, [file])
}

/** `multipart/form-data` with the one part `file` (docs/redox-api.md#blob-upload). */
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

// RFC 7578 section 4.2: UTF-8 as it is, quotes and line breaks percent-encoded.
const multipartName = (name: string): string =>
  name.replace(/"/g, '%22').replace(/\r/g, '%0D').replace(/\n/g, '%0A')

/** A small body that is known as text. */
export const textBody = (contentType: string, text: string): RequestBody =>
  embeddingBody(contentType, [Buffer.from(text, 'utf8')])
