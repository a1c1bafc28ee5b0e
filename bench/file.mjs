// The file of a cell: the same for everybody, in memory or on the disk.
const PDF = Buffer.from('%PDF-1.7\n')

/** Bytes that do not repeat, so that nothing in between can do less. The same for the same size. */
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
