// The file of a cell: the same for all contestants, in memory or on the disk.
const PDF = Buffer.from('%PDF-1.7\n')

/**
 * Returns a PDF with bytes that do not repeat, so that compression saves nothing. The same size gives the same bytes.
 * @param {number} size size in bytes
 */
export function fileOf(size) {
  const file = Buffer.allocUnsafe(size)
  let state = size >>> 0 || 1
  for (let at = 0; at < size; at++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    file[at] = state
  }
  PDF.copy(file)
  file.write('\n%%EOF\n', size - 7)
  return file
}
