import { crc32 } from 'node:zlib'
import { badInput } from '../errors'
import { turn } from '../turns'
import { describe, emptyFile } from './describe'
import type { FileDescription, FileHints, FileSource, IntakeResult } from './types'

// Larger pieces save no time. A multiple of 3.
export const PIECE = 510 * 1024

/** A Uint8Array is only a view to us: same memory, no copy. */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** A file in memory, described by what its bytes, its name and its declared type tell. */
export function takeMemory(bytes: Buffer, hints: FileHints): IntakeResult<FileSource> {
  if (bytes.length === 0) throw emptyFile(hints)
  const description = describe(bytes, bytes.length, hints)
  // Views: nothing is copied.
  let step = description.next()
  while (step.done !== true) {
    const { at, length } = step.value
    step = description.next(bytes.subarray(at, at + length))
  }
  const { description: described, ...told } = step.value
  return { file: bufferSource(bytes, described), ...told }
}

/** Pieces are views: the bytes are never copied. */
function bufferSource(bytes: Buffer, description: FileDescription): FileSource {
  const before = fingerprint(bytes)
  return {
    kind: 'file',
    ...description,
    size: bytes.length,
    inMemory: true,
    async *read() {
      for (let at = 0; at < bytes.length; at += PIECE) {
        const piece = bytes.subarray(at, at + PIECE)
        await turn(piece.length)
        // Before the last piece leaves: a request that lacks bytes is never taken for complete.
        if (at + PIECE >= bytes.length && fingerprint(bytes) !== before) throw overwritten()
        yield piece
      }
    },
  }
}

const overwritten = (): Error =>
  badInput(
    'The file was overwritten in memory while it waited, so it was not sent: another branch of the flow writes into ' +
      'the same Buffer (Node-RED does not copy it for each). Let that branch work on a copy: Buffer.from(msg.payload).',
  )

/** Up to here all bytes count. */
const WHOLE = 1024 * 1024
const WINDOWS = 64
const WINDOW = WHOLE / WINDOWS

/**
 * Tells whether bytes changed, not how: a checksum of all of them, above 1 MB of 64 windows of 16 KB that are spread
 * evenly, the first and the last bytes among them. It takes a fraction of a millisecond.
 */
function fingerprint(bytes: Buffer): number {
  if (bytes.length <= WHOLE) return crc32(bytes)
  const step = (bytes.length - WINDOW) / (WINDOWS - 1)
  let sum = 0
  for (let window = 0; window < WINDOWS; window++) {
    const at = Math.round(window * step)
    sum = crc32(bytes.subarray(at, at + WINDOW), sum)
  }
  return sum
}
