import { badInput } from '../errors'
import { turn } from '../event-loop'
import { describe, emptyFile } from './describe'
import { fingerprint } from './fingerprint'
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
  return { file: bufferSource(bytes, described, hints.fingerprints?.of(bytes)), ...told }
}

/**
 * Pieces are views: the bytes are never copied.
 * @param before their fingerprint when the message came
 */
function bufferSource(bytes: Buffer, description: FileDescription, before = fingerprint(bytes)): FileSource {
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

export const overwritten = (): Error =>
  badInput(
    'File changed in memory while the message waited: another branch of the flow writes to the same Buffer, which ' +
      'Node-RED does not copy for each branch. Let that branch work on a copy: Buffer.from(msg.payload).',
  )
