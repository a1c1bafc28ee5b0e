/**
 * Check of LevelDB's log before LevelDB opens it. LevelDB silently skips records that it cannot read, and continues
 * with the next block, so that a delivered message would be sent again.
 *
 * A log is a sequence of blocks. Each record, or part of one, has a checksum (4 bytes), a length (2), a type (1) and
 * its data; see https://github.com/google/leveldb/blob/main/doc/log_format.md.
 */
import { open, readdir } from 'node:fs/promises'
import path from 'node:path'
import { damagedStore, failed } from './errors'

const BLOCK = 32_768
const HEADER = 7

/**
 * Throws if a log is damaged. A power failure can tear records that were written after the last flush; a torn record
 * before a flush means damage.
 * @param messages folder of LevelDB
 * @param flush string that each flush record contains
 * @throws RedoxError REDOX_STORE_UNREADABLE
 */
export async function assertLogsIntact(messages: string, flush: string): Promise<void> {
  const names = await readdir(messages).catch(failed)
  for (const name of names.filter((one) => one.endsWith('.log')))
    if (!(await isIntact(path.join(messages, name), flush))) throw damagedStore()
}

async function isIntact(file: string, flush: string): Promise<boolean> {
  const handle = await open(file, 'r').catch(failed)
  const block = Buffer.allocUnsafe(BLOCK)
  let isTorn = false
  try {
    for (;;) {
      const { bytesRead } = await handle.read(block, 0, BLOCK).catch(failed)
      for (const record of recordsOf(block.subarray(0, bytesRead))) {
        if (record === undefined) isTorn = true
        else if (isTorn && record.includes(flush)) return false
      }
      if (bytesRead < BLOCK) return true
    }
  } finally {
    await handle.close()
  }
}

/**
 * Yields the records of a block as LevelDB reads them: undefined for a damaged record, after which the rest of the
 * block is skipped.
 */
function* recordsOf(block: Buffer): Generator<Buffer | undefined> {
  for (let at = 0; at + HEADER <= block.length;) {
    const end = at + HEADER + block.readUInt16LE(at + 4)
    if (end > block.length || checksum(block.subarray(at + HEADER - 1, end)) !== block.readUInt32LE(at)) {
      yield undefined
      return
    }
    yield block.subarray(at + HEADER, end)
    at = end
  }
}

// CRC-32C, which Node.js does not have. LevelDB stores it rotated, with a constant added.
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc
})

function checksum(bytes: Buffer): number {
  let crc = 0xffffffff
  // eslint-disable-next-line @typescript-eslint/no-non-null-assertion -- 256 rows, for each byte of the log
  for (const byte of bytes) crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 0xff]!
  crc = ~crc >>> 0
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}
