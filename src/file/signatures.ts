import { hasSignature, PDF_MARK, type SignedType } from '../shared/signatures'
import { markupOf } from './markup'
import type { Signature } from './types'

/** Signature of a format, with conditions in addition to the first bytes. */
interface Pattern extends Signature {
  contentType: SignedType
  /**
   * true if the bytes are printable: text may begin with them by chance, so a file that is text never has this format
   */
  printable?: true
  /** further check of the file's first bytes */
  framed?: (head: Buffer) => boolean
}

/**
 * Returns true for an ID3v2 header (section 3.1): version and revision are never 0xFF, each byte of the size is below
 * 0x80.
 */
const isId3 = (head: Buffer): boolean =>
  head.length >= 10 &&
  head.readUInt8(3) < 0x10 &&
  head.readUInt8(4) < 0xff &&
  head.subarray(6, 10).every((byte) => byte < 0x80)

/**
 * Returns true if a file with the marker `DICM` is DICOM. The marker is followed by the first element of group 0002 in
 * little endian; old files lack this element, but their preamble is empty or the header of a TIFF (PS3.10 section 7.1).
 */
function isDicom(head: Buffer): boolean {
  const preamble = head.toString('latin1', 0, 128)
  return (
    head.toString('latin1', 132, 134) === '\x02\0' ||
    /^\0+$/.test(preamble) ||
    hasSignature('image/tiff', head)
  )
}

// Signatures of the formats that are usually sent to EHRs. The package `file-type` 21 recognizes more formats and runs
// on Node.js 20, but it is an ES module, which the oldest supported Node.js cannot require(), and has four
// dependencies. DICOM comes first: its preamble of 128 bytes may contain the header of a TIFF (PS3.10 section 7.1).
const DICOM: Pattern = { contentType: 'application/dicom', printable: true, framed: isDicom }
const PATTERNS: Pattern[] = [
  { contentType: 'image/jpeg' },
  { contentType: 'image/png' },
  { contentType: 'image/tiff' },
  { contentType: 'image/gif', printable: true },
  { contentType: 'image/webp', printable: true },
  { contentType: 'audio/wav', printable: true, family: true },
  { contentType: 'audio/mpeg', printable: true, family: true, framed: isId3 },
  { contentType: 'application/zip', family: true },
  { contentType: 'application/gzip', family: true },
  { contentType: 'application/x-cfb', family: true },
]

/**
 * Number of bytes at the start of a file that are needed to detect its type. A PDF may begin anywhere in them (ISO
 * 32000-1, H.3.4.1).
 */
export const HEAD_LENGTH = 1024

/**
 * Position of a PDF in the first bytes of a file, -1 if there is none. PDF readers search for the start of the PDF in
 * the first 1024 bytes.
 */
export const pdfStart = (head: Buffer): number =>
  head.subarray(0, HEAD_LENGTH + PDF_MARK.length - 1).indexOf(PDF_MARK, 0, 'latin1')

/**
 * Returns true if the first bytes of a file are text and contain the start of a PDF: the marker `%PDF-` at the
 * beginning of a line, followed by an object.
 */
export const isPdfInText = (head: Buffer): boolean =>
  /[\r\n]%PDF-\d\.\d\s*[\r\n][^]*?\d \d+ obj\b/.test(head.toString('latin1'))

export function signatureOf(head: Buffer): Signature | undefined {
  if (matches(DICOM, head)) return DICOM
  const late = pdfStart(head)
  if (late >= 0 && late === textStart(head)) return { contentType: 'application/pdf' }
  const found = PATTERNS.find((one) => matches(one, head))
  if (found !== undefined) return found
  return mediaOf(head) ?? markupOf(head)
}

function matches({ contentType, printable, framed }: Pattern, head: Buffer): boolean {
  if (!hasSignature(contentType, head)) return false
  return (framed?.(head) ?? true) && !(printable && looksLikeText(head))
}

/** Position of the first character that is not a byte order mark or white space. */
function textStart(head: Buffer): number {
  let at = head.subarray(0, 3).equals(BOM) ? BOM.length : 0
  while (' \t\r\n'.includes(String.fromCharCode(head[at] ?? 0))) at++
  return at
}
const BOM = Buffer.from('\ufeff')

// Brands of ISO/IEC 23008-12 and of the AV1 Image File Format.
const HEIC = ['heic', 'heix', 'hevc', 'hevx', 'heim', 'heis', 'hevm', 'hevs']
const BRANDS: [contentType: string, brands: string[]][] = [
  ['image/avif', ['avif', 'avis']],
  ['image/heic', HEIC],
  ['image/heif', ['mif1', 'mif2', 'msf1', 'miaf']],
]

/**
 * Signature of an ISO base media file: returns the picture or video type. The major brand has priority over the
 * compatible brands.
 */
function mediaOf(head: Buffer): Signature | undefined {
  if (head.length < 12 || head.toString('latin1', 4, 8) !== 'ftyp' || looksLikeText(head)) return undefined
  const major = head.toString('latin1', 8, 12)
  const brands = [major]
  const end = Math.min(head.readUInt32BE(0), head.length)
  for (let at = 16; at + 4 <= end; at += 4) brands.push(head.toString('latin1', at, at + 4))
  const typeOf = (names: string[]): string | undefined =>
    BRANDS.find(([, known]) => names.some((name) => known.includes(name)))?.[0]
  const ofMajor = typeOf([major])
  const isPicture = ofMajor !== undefined && (ofMajor !== 'image/heif' || brands.length === 1)
  const contentType = isPicture ? ofMajor : (typeOf(brands) ?? ofMajor)
  return contentType === undefined ? { contentType: 'video/mp4', family: true } : { contentType }
}

/**
 * Returns true if the head (first bytes) of a file is UTF-8 (or ASCII) text without control characters.
 * @param isWhole true if the head is the whole file; otherwise the head may end inside a character
 */
export function looksLikeText(head: Buffer, isWhole = false): boolean {
  const end = isWhole ? head.length : head.length - begunCharacter(head)
  const text = head.toString('utf8', 0, end)
  return !text.includes('\ufffd') && !/[\0-\x08\x0e-\x1a\x1c-\x1f]/.test(text)
}

/** Number of bytes at the end of a buffer that belong to an incomplete character (RFC 3629, section 3). */
function begunCharacter(head: Buffer): number {
  for (let back = 1; back <= Math.min(3, head.length); back++) {
    const byte = head.readUInt8(head.length - back)
    if (byte >= 0x80 && byte < 0xc0) continue
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
    return length > back ? back : 0
  }
  return 0
}
