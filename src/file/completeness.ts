// Detection of truncated files by their structure. Reads as little of a file as possible.
import { hasSignature } from '../shared/signatures'
import { isType } from './content-types'
import { pdfStart } from './signatures'

/** Range of bytes in a file. May extend beyond the end of the file; the result then contains fewer bytes. */
export interface ByteRange {
  at: number
  length: number
}

/** Generator that yields byte ranges of a file and receives the bytes of each range, from memory or from the disk. */
export type Examination<T> = Generator<ByteRange, T, Buffer>

export interface Findings {
  /** set if the file is certainly truncated: the proof, as part of an error text */
  cutShort?: string
  /** warnings: signs that a receiver may not be able to open the file, which do not prove that it is truncated */
  signs: string[]
}

/** Number of bytes at the end of a PDF that are searched for its end marker. */
const PDF_END = 64 * 1024
/**
 * Maximum number of parts of a file (segments, chunks, table entries) that are read one after the other, because this
 * blocks the event loop. Only a specially made file has more parts; for such a file the check ends without a result.
 */
const MOST_STEPS = 20_000
/** Number of bytes that are read at a position of the file for a check that only leads to a warning. */
const NEAR = 2048

/**
 * Checks whether a file is complete, by the structure of its type.
 * @param head first bytes of the file, as many as the type detection needs
 * @param size size of the file, in bytes
 */
export function* examine(contentType: string, head: Buffer, size: number): Examination<Findings> {
  if (isType(contentType, 'application/pdf')) return yield* examinePdf(head, size)
  const proof = yield* cutShort(contentType, head, size)
  return { signs: [], ...(proof !== undefined && { cutShort: proof }) }
}

function* cutShort(contentType: string, head: Buffer, size: number): Examination<string | undefined> {
  if (isType(contentType, 'image/png') && hasSignature('image/png', head)) return yield* cutPng(size)
  if (isType(contentType, 'image/jpeg') && isJpeg(head)) return yield* cutJpeg(size)
  if (isType(contentType, 'image/tiff')) return yield* cutTiff(head, size)
  return undefined
}

// ---- PDF --------------------------------------------------------------------------------------------------------

function* examinePdf(head: Buffer, size: number): Examination<Findings> {
  const begin = pdfStart(head)
  if (begin < 0) return { signs: [] }
  const end = yield { at: Math.max(begin, size - PDF_END), length: PDF_END }
  const near = end.subarray(-NEAR)
  const isMarked = end.includes('%%EOF') || end.includes('startxref')
  const start = yield { at: begin, length: NEAR }
  const parts = [start, near]
  for (const at of tablePositions(near, begin)) parts.push(yield { at, length: NEAR })
  const isEncrypted = parts.some((part) => part.includes('/Encrypt') && ENCRYPTED.test(latin1(part)))
  return {
    ...(!isMarked && { cutShort: 'its last 64 KB have neither %%EOF nor startxref' }),
    signs: [
      ...(isMarked && !near.includes('%%EOF') ? ['seems to be truncated: %%EOF is missing at its end'] : []),
      ...(isEncrypted ? ['is encrypted: the receiver may not be able to open or store it'] : []),
    ],
  }
}

/**
 * Positions of a PDF's last cross-reference table. In new files the table is a stream, whose dictionary has the
 * encryption entry, not necessarily near the end of the file. Positions count from the start of the PDF, but some
 * programs count from the start of the file, so both positions are returned.
 */
function tablePositions(end: Buffer, begin: number): number[] {
  const last = [...latin1(end).matchAll(/startxref\s+(\d{1,15})\s+%%EOF/g)].pop()
  return last ? [...new Set([Number(last[1]) + begin, Number(last[1])])] : []
}

/** Encryption entry in a trailer or a cross-reference stream: a reference, or the dictionary itself. */
const ENCRYPTED = /\/Encrypt\s*(\d+\s+\d+\s+R\b|<<)/

const latin1 = (bytes: Buffer): string => bytes.toString('latin1')

// ---- PNG --------------------------------------------------------------------------------------------------------

const PNG_SIGNATURE_LENGTH = 8
/** Last chunk of a PNG: length, type and checksum. */
const PNG_END = Buffer.from('\0\0\0\0IEND\xae\x42\x60\x82', 'latin1')
const CHUNK_OVERHEAD = 12
const BROKEN_CHUNK = 'its last chunk is incomplete'

/** Follows the chunks of a PNG: length, type, data, checksum. Bytes after IEND are ignored. */
function* cutPng(size: number): Examination<string | undefined> {
  const end = yield { at: Math.max(0, size - NEAR), length: NEAR }
  if (end.includes(PNG_END)) return undefined
  let steps = 0
  for (let at = PNG_SIGNATURE_LENGTH; at < size;) {
    if (++steps > MOST_STEPS) return undefined
    const chunk = yield { at, length: 8 }
    if (chunk.length < 8) return BROKEN_CHUNK
    const type = latin1(chunk.subarray(4))
    // Invalid chunk type: the file is damaged, but that does not prove that bytes are missing.
    if (!/^[A-Za-z]{4}$/.test(type)) return undefined
    at += CHUNK_OVERHEAD + chunk.readUInt32BE(0)
    if (at > size) return BROKEN_CHUNK
    if (type === 'IEND') return undefined
  }
  return 'its last chunk, IEND, is missing'
}

// ---- JPEG -------------------------------------------------------------------------------------------------------

const JPEG_END = Buffer.from([0xff, 0xd9])
const SCAN = 0xda
/** Number of bytes that are searched at once for the end marker. */
const STEP = 512 * 1024

/** JPEG markers without a length: TEM, RST0 to RST7, SOI. */
const isBare = (marker: number): boolean => marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)

const isJpeg = (head: Buffer): boolean => head[0] === 0xff && head[1] === 0xd8 && head[2] === 0xff

/**
 * Searches a JPEG for its end marker. The marker cannot occur inside scan data, where 0xFF is followed by 0. The marker
 * may occur in a segment before the first scan, such as a camera's preview image, so these segments are skipped by
 * their lengths.
 */
function* cutJpeg(size: number): Examination<string | undefined> {
  const scan = yield* firstScan(size)
  if (typeof scan !== 'number') return scan
  const near = Math.max(scan, size - NEAR)
  if ((yield { at: near, length: NEAR }).includes(JPEG_END)) return undefined
  // The search continues to the beginning of the file, because some cameras append megabytes after the end marker.
  for (let at = scan; at < size; at += STEP - 1)
    if ((yield { at, length: STEP }).includes(JPEG_END)) return undefined
  return 'the end marker after its last scan is missing'
}

/**
 * Position of the first scan's data in a JPEG; if the file is certainly truncated, the proof (part of an error text);
 * undefined if the file is not a valid JPEG.
 */
function* firstScan(size: number): Examination<number | string | undefined> {
  let steps = 0
  for (let at = 2; at < size;) {
    if (++steps > MOST_STEPS) return undefined
    const segment = yield { at, length: 4 }
    if (segment.length > 0 && segment[0] !== 0xff) return undefined
    const marker = segment[1]
    if (marker === JPEG_END[1]) return undefined
    if (marker === undefined || segment.length < 4) break
    // Fill bytes and markers without data have no length.
    at += marker === 0xff ? 1 : isBare(marker) ? 2 : 2 + segment.readUInt16BE(2)
    if (at > size) break
    if (marker === SCAN) return at
  }
  return 'it ends before its image data'
}

// ---- TIFF -------------------------------------------------------------------------------------------------------

/** Layout of a TIFF 6.0 or BigTIFF file: byte order, and widths of its numbers in bytes. */
interface Layout {
  little: boolean
  /** width of a file offset, and of the number of values in an entry, in bytes */
  offset: 4 | 8
  /** width of the number of entries in a directory, in bytes */
  entries: 2 | 8
}

const VALUE_SIZES = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8]
const DIRECTORIES = 1000
const MOST_ENTRIES = 4096
/** Maximum number of entries and picture parts (strips, tiles) that are checked in all directories together. */
const MOST_NUMBERS = 10 * MOST_STEPS
/** TIFF tags with the offsets and the lengths of the picture data, which is stored in strips or tiles. */
const DATA_TAGS = new Map([
  [273, 279],
  [324, 325],
])
/** Maximum number of strips or tiles of one picture that are checked. */
const MOST_PARTS = 65_536

function layoutOf(head: Buffer): Layout | undefined {
  const mark = latin1(head.subarray(0, 4))
  const little = mark.startsWith('II')
  if (mark === 'II*\0' || mark === 'MM\0*') return { little, offset: 4, entries: 2 }
  return mark === 'II+\0' || mark === 'MM\0+' ? { little, offset: 8, entries: 8 } : undefined
}

function numberAt(bytes: Buffer, at: number, width: number, little: boolean): number {
  if (width === 8) return Number(little ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at))
  return little ? bytes.readUIntLE(at, width) : bytes.readUIntBE(at, width)
}

const BEYOND = 'it refers to bytes after its end'

/** Reads the directories of a TIFF one after the other, and checks the positions in their entries. */
function* cutTiff(head: Buffer, size: number): Examination<string | undefined> {
  const layout = layoutOf(head)
  if (layout === undefined) return undefined
  const { little, offset } = layout
  const first = offset === 4 ? 4 : 8
  if (head.length < first + offset) return BEYOND
  const seen = new Set<number>()
  const budget = { left: MOST_NUMBERS }
  let at = numberAt(head, first, offset, little)
  while (at !== 0 && !seen.has(at) && seen.size < DIRECTORIES && budget.left > 0) {
    seen.add(at)
    const next = yield* directory(layout, at, size, budget)
    if (next === undefined) return BEYOND
    at = next
  }
  return undefined
}

interface TagEntry {
  count: number
  width: number
  /** position of the entry's values in the file */
  at: number
}

/**
 * Checks one directory of a TIFF.
 * @returns position of the next directory, 0 for none; undefined if the directory refers to data beyond the end of the
 *   file
 */
function* directory(
  layout: Layout,
  at: number,
  size: number,
  budget: { left: number },
): Examination<number | undefined> {
  const { little, offset, entries } = layout
  if (at + entries > size) return undefined
  const count = numberAt(yield { at, length: entries }, 0, entries, little)
  const length = 4 + 2 * offset
  const end = at + entries + count * length
  if (end + offset > size) return undefined
  // No real picture has so many entries: the file is damaged, but that does not prove that it is truncated.
  if (count > MOST_ENTRIES) return 0
  budget.left -= count
  const table = yield { at: at + entries, length: count * length + offset }
  const found = new Map<number, TagEntry>()
  for (let index = 0; index < count; index++) {
    const from = index * length
    const width = VALUE_SIZES[numberAt(table, from + 2, 2, little)] ?? 0
    const values = numberAt(table, from + 4, offset, little)
    const isInside = width * values <= offset
    const place = isInside
      ? at + entries + from + 4 + offset
      : numberAt(table, from + 4 + offset, offset, little)
    if (width > 0 && place + width * values > size) return undefined
    found.set(numberAt(table, from, 2, little), { count: values, width, at: place })
  }
  for (const tag of [...DATA_TAGS].flat()) budget.left -= Math.min(found.get(tag)?.count ?? 0, MOST_PARTS)
  for (const [offsets, lengths] of DATA_TAGS)
    if (yield* areBeyond(layout, found.get(offsets), found.get(lengths), size)) return undefined
  return numberAt(table, count * length, offset, little)
}

function* areBeyond(
  { little }: Layout,
  offsets: TagEntry | undefined,
  lengths: TagEntry | undefined,
  size: number,
): Examination<boolean> {
  if (offsets === undefined || lengths === undefined) return false
  const starts = yield* valuesOf(offsets, little)
  const sizes = yield* valuesOf(lengths, little)
  return starts.some((start, index) => start + (sizes[index] ?? 0) > size)
}

function* valuesOf({ count, width, at }: TagEntry, little: boolean): Examination<number[]> {
  if (![2, 4, 8].includes(width)) return []
  const length = Math.min(count, MOST_PARTS)
  const bytes = yield { at, length: length * width }
  return Array.from({ length: Math.floor(bytes.length / width) }, (_, index) =>
    numberAt(bytes, index * width, width, little),
  )
}
