/**
 * LevelDB leaves out records of its log that it cannot read, and goes on with the next block, without a word: a message
 * that was delivered would be sent again. This looks at the log before LevelDB does.
 *
 * A log is a row of blocks. Each record, or part of one, has a checksum (4 bytes), a length (2), a type (1) and its
 * bytes; see https://github.com/google/leveldb/blob/main/doc/log_format.md.
 */
import { open, readdir } from 'node:fs/promises'
import path from 'node:path'
import { damagedStore, failed } from './errors'

const BLOCK = 32_768
const HEADER = 7

/**
 * What was written after the last flush may be torn after a power failure; what is torn before one is damage.
 * @param flush is in each record of a flush
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

/** As LevelDB reads them: behind one that is damaged (undefined) the rest of the block is left out. */
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

// CRC-32C, which Node.js has not, in the disguise that LevelDB stores it in.
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
