import { randomFillSync } from 'node:crypto'

/**
 * Which node gets a file of which size, the same for the same seed.
 * @param count of messages; all together are about `bytes`
 * @param large part of them that is beyond 50 KB
 */
export function messagesOf({ count, bytes, large, nodes, seed }) {
  const random = mulberry32(seed)
  const SMALLEST = 1000
  const SMALL = 50_000
  const isLarge = Array.from({ length: count }, () => random() < large)
  const howMany = isLarge.filter(Boolean).length
  const smallMean = large === 0 ? bytes / count : (SMALLEST + SMALL) / 2
  // Uniform between the smallest and twice the mean.
  const largeMean = howMany === 0 ? 0 : (bytes - (count - howMany) * smallMean) / howMany
  const largeMost = Math.max(2 * largeMean - SMALL, SMALL + 1)
  const between = (from, to) => Math.floor(from + random() * (to - from))
  return isLarge.map((is, index) => ({
    node: nodes[index % nodes.length],
    bytes: is ? between(SMALL, largeMost) : between(SMALLEST, 2 * smallMean - SMALLEST),
  }))
}

/** A small well-known generator, so that a run can be made again. */
export function mulberry32(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/** A file that no other is the same as. */
export function pdf(bytes) {
  const file = Buffer.allocUnsafe(bytes)
  randomFillSync(file)
  file.write('%PDF-1.7\n')
  file.write('\n%%EOF\n', bytes - 7)
  return file
}

/** How often one comes before an earlier one. */
export function inversions(ids) {
  return ids.filter((id, index) => index > 0 && id < ids[index - 1]).length
}
