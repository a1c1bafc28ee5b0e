import { badInput } from '../errors'
import { yieldFor } from '../event-loop'
import { describe, emptyFile } from './describe'
import { fingerprint } from './fingerprint'
import type { FileDescription, FileHints, FileSource, IntakeResult } from './types'

// Chunk size in bytes. Larger chunks save no time. Must be a multiple of 3, see FileSource.read().
export const CHUNK_SIZE = 510 * 1024

/** Uint8Array as a Buffer on the same memory, without a copy. */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Takes a file in memory, and describes it by its bytes, its name and its declared type. */
export function takeMemory(bytes: Buffer, hints: FileHints): IntakeResult<FileSource> {
  if (bytes.length === 0) throw emptyFile(hints)
  const description = describe(bytes, bytes.length, hints)
  // The chunks are views on the same memory, so nothing is copied.
  let step = description.next()
  while (step.done !== true) {
    const { at, length } = step.value
    step = description.next(bytes.subarray(at, at + length))
  }
  const { description: described, ...result } = step.value
  return { file: bufferSource(bytes, described, hints.fingerprints?.of(bytes)), ...result }
}

/**
 * File source on bytes in memory. Its chunks are views: the bytes are never copied.
 * @param before fingerprint of the bytes when the message arrived
 */
function bufferSource(bytes: Buffer, description: FileDescription, before = fingerprint(bytes)): FileSource {
  return {
    kind: 'file',
    ...description,
    size: bytes.length,
    inMemory: true,
    async *read() {
      for (let at = 0; at < bytes.length; at += CHUNK_SIZE) {
        const piece = bytes.subarray(at, at + CHUNK_SIZE)
        await yieldFor(piece.length)
        // The fingerprint is compared before the last chunk is yielded. If the bytes have changed, the request remains
        // incomplete, so the server cannot accept it.
        if (at + CHUNK_SIZE >= bytes.length && fingerprint(bytes) !== before) throw overwritten()
        yield piece
      }
    },
  }
}

export const overwritten = (): Error =>
  badInput(
    'File changed in memory while the message waited: another branch of the flow writes to the same Buffer, which ' +
      'Node-RED does not copy for each branch. Let that branch work on a copy: Buffer.from(msg.payload).',
  )
