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
import { jsonInTurns, parseInTurns } from '../json-chunks'
import { joined, turn } from '../event-loop'

// What is stored lies on disks that are copied, backed up and thrown away. GCM (NIST SP 800-38D) refuses what was
// changed, and what another key has sealed.
const ALGORITHM = 'aes-256-gcm'
const NONCE = 12
const TAG = 16

/** Bytes of a file that are sealed together. A multiple of 3, so that what is read back can be joined as base64. */
export const CHUNK = 255 * 1024

/** Seals what is stored. Its keys are made from one secret; who has not got it can read, change or swap nothing. */
export class Seal {
  readonly #recordKey: Buffer
  readonly #fileKey: Buffer
  readonly #nameKey: Buffer

  /** @param secret at least 16 bytes that cannot be guessed */
  constructor(secret: string) {
    const key = (purpose: string): Buffer =>
      Buffer.from(hkdfSync('sha256', secret, '', `redox ${purpose}`, 32))
    this.#recordKey = key('records')
    this.#fileKey = key('files')
    this.#nameKey = key('names')
  }

  /** A name for something that must not be told, such as the hash of a file: the same for the same. */
  nameFor(text: string): string {
    return createHmac('sha256', this.#nameKey).update(text).digest('hex')
  }

  /** @param place what it is and of what, so that no record can stand in for another */
  async close(value: unknown, place: string): Promise<Buffer> {
    const { nonce, cipher } = cipherFor(this.#recordKey, place)
    const pieces = [nonce]
    for await (const piece of jsonInTurns(value)) pieces.push(cipher.update(piece, 'utf8'))
    return joined([...pieces, cipher.final(), cipher.getAuthTag()])
  }

  /** @throws RedoxError REDOX_STORE_UNREADABLE for another key, or bytes that were changed */
  async open(sealed: Buffer, place: string): Promise<unknown> {
    return parseInTurns(await decryptInTurns(this.#recordKey, sealed, place))
  }

  /**
   * The pieces of a file, sealed. Each knows its number and whether it is the last, so that none can be left out. The
   * last is the one that is shorter than the others, if need be an empty one.
   */
  async *closeFile(pieces: AsyncIterable<Buffer>, place: string): AsyncGenerator<Buffer> {
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
   * @param chunks as they were sealed, one by one
   * @throws RedoxError REDOX_STORE_UNREADABLE, also for a file that was cut short
   */
  async *openFile(chunks: AsyncIterable<Buffer>, place: string): AsyncGenerator<Buffer> {
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

/** Bytes that a chunk takes when it is sealed. */
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
    // Gives nothing more, but checks the tag.
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
      await turn(piece.length)
      pieces.push(decipher.update(piece))
    }
    decipher.final()
    return await joined(pieces)
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
