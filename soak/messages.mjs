// Messages of the soaks: file sizes, files, and pseudo-random numbers.
import { randomFillSync } from 'node:crypto'

/** @typedef {{ node: string, bytes: number }} PlannedMessage id of the send node, and size of the file */

/**
 * Returns send nodes and file sizes for messages; the same seed gives the same messages.
 * @param {object} options
 * @param {number} options.count number of messages
 * @param {number} options.bytes approximate total size of all files
 * @param {number} options.large fraction of the messages (0 to 1) with files larger than 50 KB
 * @param {string[]} options.nodes ids of the send nodes, which are used in turn
 * @param {number} options.seed
 * @returns {PlannedMessage[]}
 */
export function messagesOf({ count, bytes, large, nodes, seed }) {
  const random = mulberry32(seed)
  const SMALLEST = 1000
  const SMALL = 50_000
  const isLarge = Array.from({ length: count }, () => random() < large)
  const howMany = isLarge.filter(Boolean).length
  const smallMean = large === 0 ? bytes / count : (SMALLEST + SMALL) / 2
  // Sizes of large files are distributed uniformly between the smallest size and about twice the mean.
  const largeMean = howMany === 0 ? 0 : (bytes - (count - howMany) * smallMean) / howMany
  const largeMost = Math.max(2 * largeMean - SMALL, SMALL + 1)
  const between = (/** @type {number} */ from, /** @type {number} */ to) =>
    Math.floor(from + random() * (to - from))
  return isLarge.map((is, index) => ({
    node: nodes[index % nodes.length] ?? '',
    bytes: is ? between(SMALL, largeMost) : between(SMALLEST, 2 * smallMean - SMALLEST),
  }))
}

/**
 * Returns a well-known small generator of pseudo-random numbers from 0 to below 1, so that a run can be repeated.
 * @param {number} seed
 */
export function mulberry32(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/**
 * Returns a PDF of random bytes, so that each file is different.
 * @param {number} bytes
 */
export function pdf(bytes) {
  const file = Buffer.allocUnsafe(bytes)
  randomFillSync(file)
  file.write('%PDF-1.7\n')
  file.write('\n%%EOF\n', bytes - 7)
  return file
}

/**
 * Returns the number of ids that are smaller than their predecessor.
 * @param {string[]} ids
 */
export function inversions(ids) {
  return ids.filter((id, index) => id < (ids[index - 1] ?? '')).length
}
