import { types } from 'node:util'
import { crc32 } from 'node:zlib'

/** Size in bytes up to which the checksum includes all bytes of a file. */
const WHOLE = 1024 * 1024
const WINDOWS = 64
const WINDOW = WHOLE / WINDOWS

/**
 * Checksum that detects changed bytes: for up to 1 MB, all bytes are included; for more, 64 evenly spread ranges of 16
 * KB, with the first and the last bytes. Computing the checksum takes a fraction of a millisecond.
 */
export function fingerprint(bytes: Uint8Array): number {
  if (bytes.length <= WHOLE) return crc32(bytes)
  const step = (bytes.length - WINDOW) / (WINDOWS - 1)
  let sum = 0
  for (let window = 0; window < WINDOWS; window++) {
    const at = Math.round(window * step)
    sum = crc32(bytes.subarray(at, at + WINDOW), sum)
  }
  return sum
}

/** Properties in which an object, or an element of a list of files, stores its bytes. */
const PLACES = ['file', 'buffer', 'data', 'content'] as const
/** Maximum number of files in one message, and maximum nesting depth of the objects that contain them. */
const MOST_FILES = 1000
const MOST_DEPTH = 3

/**
 * Fingerprints of a message's files at the time when the message arrives at the node. Node-RED gives the same memory to
 * all branches of a flow, so another branch may change the bytes while the message waits.
 */
export class Fingerprints {
  readonly #known = new Map<ArrayBufferLike, Map<string, number>>()

  /**
   * Stores the fingerprints of all bytes in a value (a file, an object that contains a file, or a list of files),
   * unless they are known already.
   */
  take(value: unknown, depth = 0): void {
    if (typeof value !== 'object' || value === null || depth > MOST_DEPTH) return
    if (types.isAnyArrayBuffer(value)) return this.#remember(new Uint8Array(value))
    if (ArrayBuffer.isView(value)) return this.#remember(viewOf(value))
    if (Array.isArray(value)) {
      for (const one of value.slice(0, MOST_FILES)) this.take(one, depth + 1)
      return
    }
    // Property descriptors are read, so that no getter is called. A Proxy may still throw.
    try {
      for (const place of PLACES) this.take(Object.getOwnPropertyDescriptor(value, place)?.value, depth + 1)
    } catch {
      return
    }
  }

  /** Fingerprint of bytes at the arrival of the message; undefined if the message did not contain these bytes. */
  of({ buffer, byteOffset, byteLength }: Uint8Array): number | undefined {
    return this.#known.get(buffer)?.get(`${byteOffset} ${byteLength}`)
  }

  #remember(bytes: Uint8Array): void {
    const { buffer, byteOffset, byteLength } = bytes
    const parts = this.#known.get(buffer) ?? new Map<string, number>()
    this.#known.set(buffer, parts)
    const key = `${byteOffset} ${byteLength}`
    if (!parts.has(key)) parts.set(key, fingerprint(bytes))
  }
}

/** Bytes of a view, as a Uint8Array on the same memory, without a copy. */
export const viewOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)
