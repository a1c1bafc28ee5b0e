import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  randomBytes,
  type CipherGCM,
  type DecipherGCM,
} from 'node:crypto'
import { RedoxError } from '../errors'
import { stringifyInChunks, parseInChunks } from '../json-chunks'
import { concatenate, yieldFor } from '../event-loop'

// Stores are on disks that are copied, backed up and thrown away, so the content of the stores is encrypted. AES in GCM
// mode (NIST SP 800-38D) also detects data that was changed, or encrypted with another key.
const ALGORITHM = 'aes-256-gcm'
const NONCE = 12
const TAG = 16

/**
 * Number of bytes of a file that are encrypted as one chunk. A multiple of 3, so that the base64 strings of the chunks
 * can be joined.
 */
export const CHUNK = 255 * 1024

/**
 * Encryption of stored data with keys that are derived from one secret. Without the secret, data cannot be read, and
 * cannot be changed or swapped unnoticed.
 */
export class Seal {
  readonly #recordKey: Buffer
  readonly #fileKey: Buffer
  readonly #nameKey: Buffer

  /**
   * Derives the keys for records, files and names.
   * @param secret at least 16 bytes that cannot be guessed
   */
  constructor(secret: string) {
    const key = (requestKind: string): Buffer =>
      Buffer.from(hkdfSync('sha256', secret, '', `redox ${requestKind}`, 32))
    this.#recordKey = key('records')
    this.#fileKey = key('files')
    this.#nameKey = key('names')
  }

  /**
   * Returns a keyed hash (HMAC) of a secret string, such as the SHA-256 of a file. The same string always gets the same
   * hash.
   */
  nameFor(text: string): string {
    return createHmac('sha256', this.#nameKey).update(text).digest('hex')
  }

  /**
   * Encrypts a value as JSON.
   * @param place kind and id of the record, which are authenticated: decryption with another kind or id fails, so that
   *   records cannot be swapped
   */
  async encrypt(value: unknown, place: string): Promise<Buffer> {
    const { nonce, cipher } = cipherFor(this.#recordKey, place)
    const pieces = [nonce]
    for await (const piece of stringifyInChunks(value)) pieces.push(cipher.update(piece, 'utf8'))
    return concatenate([...pieces, cipher.final(), cipher.getAuthTag()])
  }

  /**
   * Decrypts a value.
   * @throws RedoxError REDOX_STORE_UNREADABLE if the key is another one, or if the bytes were changed
   */
  async decrypt(sealed: Buffer, place: string): Promise<unknown> {
    return parseInChunks(await decryptInTurns(this.#recordKey, sealed, place))
  }

  /**
   * Encrypts a file in chunks. Each chunk's number, and the fact that a chunk is the last one, are authenticated, so
   * that chunks cannot be removed or swapped unnoticed. The last chunk is shorter than the others; it may be empty.
   */
  async *encryptFile(pieces: AsyncIterable<Buffer>, place: string): AsyncGenerator<Buffer> {
    const chunk = Buffer.allocUnsafe(CHUNK)
    let used = 0
    let number = 0
    for await (const piece of pieces) {
      for (let at = 0; at < piece.length;) {
        const copied = piece.copy(chunk, used, at)
        used += copied
        at += copied
        if (used < CHUNK) continue
        yield this.#closeChunk(chunk, place, number++, false)
        used = 0
      }
    }
    yield this.#closeChunk(chunk.subarray(0, used), place, number, true)
  }

  /**
   * Decrypts a file.
   * @param chunks encrypted chunks, one by one
   * @throws RedoxError REDOX_STORE_UNREADABLE, also if the file was cut short
   */
  async *decryptFile(chunks: AsyncIterable<Buffer>, place: string): AsyncGenerator<Buffer> {
    let number = 0
    let isLast = false
    for await (const sealed of chunks) {
      isLast = sealed.length < sealedLength(CHUNK)
      yield this.#openChunk(sealed, place, number++, isLast)
    }
    if (!isLast) throw unreadable()
  }

  #closeChunk(chunk: Buffer, place: string, number: number, isLast: boolean): Buffer {
    return encrypt(this.#fileKey, chunk, chunkPlace(place, number, isLast))
  }

  #openChunk(sealed: Buffer, place: string, number: number, isLast: boolean): Buffer {
    return decrypt(this.#fileKey, sealed, chunkPlace(place, number, isLast))
  }
}

/** Returns the length of a chunk after encryption, in bytes. */
export const sealedLength = (bytes: number): number => NONCE + bytes + TAG

const chunkPlace = (place: string, number: number, isLast: boolean): string => `${place} ${number} ${isLast}`

function encrypt(key: Buffer, plain: Buffer, place: string): Buffer {
  const { nonce, cipher } = cipherFor(key, place)
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

function decrypt(key: Buffer, sealed: Buffer, place: string): Buffer {
  try {
    const decipher = decipherFor(key, sealed, place)
    const plain = decipher.update(sealed.subarray(NONCE, -TAG))
    // final() returns no more bytes, but checks the authentication tag.
    decipher.final()
    return plain
  } catch {
    throw unreadable()
  }
}

async function decryptInTurns(key: Buffer, sealed: Buffer, place: string): Promise<Buffer> {
  if (sealed.length <= sealedLength(CHUNK)) return decrypt(key, sealed, place)
  try {
    const decipher = decipherFor(key, sealed, place)
    const pieces: Buffer[] = []
    for (const piece of piecesOf(sealed.subarray(NONCE, -TAG))) {
      await yieldFor(piece.length)
      pieces.push(decipher.update(piece))
    }
    decipher.final()
    return await concatenate(pieces)
  } catch {
    throw unreadable()
  }
}

function cipherFor(key: Buffer, place: string): { nonce: Buffer; cipher: CipherGCM } {
  const nonce = randomBytes(NONCE)
  return { nonce, cipher: createCipheriv(ALGORITHM, key, nonce).setAAD(Buffer.from(place)) }
}

function decipherFor(key: Buffer, sealed: Buffer, place: string): DecipherGCM {
  const decipher = createDecipheriv(ALGORITHM, key, sealed.subarray(0, NONCE), { authTagLength: TAG })
  return decipher.setAAD(Buffer.from(place)).setAuthTag(sealed.subarray(-TAG))
}

function* piecesOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += CHUNK) yield bytes.subarray(at, at + CHUNK)
}

const unreadable = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNREADABLE',
    'Store cannot be decrypted: its content was changed, or encrypted with a different key. Set the store key in the ' +
      'connection to the key that encrypted it.',
  )
