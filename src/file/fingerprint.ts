import { types } from 'node:util'
import { crc32 } from 'node:zlib'

/** Up to here all bytes count. */
const WHOLE = 1024 * 1024
const WINDOWS = 64
const WINDOW = WHOLE / WINDOWS

/**
 * Tells whether bytes changed, not how: a checksum of all of them, above 1 MB of 64 windows of 16 KB that are spread
 * evenly, the first and the last bytes among them. It takes a fraction of a millisecond.
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

/** Where an object, or one of several files, keeps its bytes. */
const PLACES = ['file', 'buffer', 'data', 'content'] as const
/** Files in one message, and how deep the objects around them may be. */
const MOST_FILES = 1000
const MOST_DEPTH = 3

/**
 * What the bytes of a message's files were when the message came. Node-RED hands the same memory to all branches of a
 * flow, and a message may wait before its files are looked at.
 */
export class Fingerprints {
  readonly #known = new Map<ArrayBufferLike, Map<string, number>>()

  /** Remembers all bytes in a value (a file, an object around one, a list of them), unless they are known already. */
  take(value: unknown, depth = 0): void {
    if (typeof value !== 'object' || value === null || depth > MOST_DEPTH) return
    if (types.isAnyArrayBuffer(value)) return this.#remember(new Uint8Array(value))
    if (ArrayBuffer.isView(value)) return this.#remember(viewOf(value))
    if (Array.isArray(value)) {
      for (const one of value.slice(0, MOST_FILES)) this.take(one, depth + 1)
      return
    }
    // Without calling getters; a Proxy may fail.
    try {
      for (const place of PLACES) this.take(Object.getOwnPropertyDescriptor(value, place)?.value, depth + 1)
    } catch {
      return
    }
  }

  /** Undefined for bytes that were not in the message. */
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

/** The bytes of a view: same memory, no copy. */
export const viewOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)
