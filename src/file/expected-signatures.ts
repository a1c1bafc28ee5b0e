// Signatures of further formats. A file without the signature is not of the format, but a file with the signature may
// be of another one.
import { looksLikeText } from './signatures'

/** Signature bytes as latin1 text, at the start of the file or at the given position. */
type BytesAtPosition = string | readonly [at: number, bytes: string]

const CFB = '\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1'
const ZIP = 'PK\x03\x04'
const EBML = '\x1a\x45\xdf\xa3'
const ASF = '\x30\x26\xb2\x75\x8e\x66\xcf\x11'
/** Types of the first box (atom) in ISO base media files and older QuickTime files. */
const ATOMS: BytesAtPosition[] = ['ftyp', 'moov', 'mdat', 'wide', 'free', 'skip', 'pnot'].map((atom) => [
  4,
  atom,
])
/** Start of AAC, and of MPEG audio without an ID3 tag: eleven or twelve bits with the value 1. */
const FRAMES: BytesAtPosition[] = [
  '\xfb',
  '\xfa',
  '\xf3',
  '\xf2',
  '\xe3',
  '\xe2',
  '\xf1',
  '\xf9',
  '\xf0',
  '\xf8',
].map((second) => `\xff${second}`)

const MARKS: Record<string, BytesAtPosition[]> = {
  'image/bmp': ['BM'],
  'image/vnd.microsoft.icon': ['\0\0\x01\0'],
  'image/x-icon': ['\0\0\x01\0'],
  'image/vnd.adobe.photoshop': ['8BPS'],
  'image/jp2': ['\0\0\0\x0cjP', '\xff\x4f\xff\x51'],
  'image/jpx': ['\0\0\0\x0cjP', '\xff\x4f\xff\x51'],
  'image/jxl': ['\xff\x0a', '\0\0\0\x0cJXL'],
  'image/wmf': ['\xd7\xcd\xc6\x9a', '\x01\0\x09\0', '\x02\0\x09\0'],
  'image/emf': ['\x01\0\0\0'],
  'audio/mpeg': ['ID3', ...FRAMES],
  'audio/aac': ['ID3', 'ADIF', ...FRAMES],
  'audio/amr': ['#!AMR'],
  'audio/flac': ['fLaC', 'ID3'],
  'audio/x-flac': ['fLaC', 'ID3'],
  'audio/ogg': ['OggS'],
  'video/ogg': ['OggS'],
  'application/ogg': ['OggS'],
  'audio/mp4': ATOMS,
  'audio/x-m4a': ATOMS,
  'video/x-m4v': ATOMS,
  'video/quicktime': ATOMS,
  'video/3gpp': ATOMS,
  'video/3gpp2': ATOMS,
  'video/x-msvideo': [[8, 'AVI ']],
  'video/webm': [EBML],
  'audio/webm': [EBML],
  'video/x-matroska': [EBML],
  'video/x-ms-wmv': [ASF],
  'video/x-ms-asf': [ASF],
  'audio/x-ms-wma': [ASF],
  'video/mpeg': ['\0\0\x01\xba', '\0\0\x01\xb3'],
  'application/x-7z-compressed': ['7z\xbc\xaf\x27\x1c'],
  'application/vnd.rar': ['Rar!\x1a\x07'],
  'application/x-rar-compressed': ['Rar!\x1a\x07'],
  'application/x-bzip2': ['BZh'],
  'application/x-xz': ['\xfd7zXZ\0'],
  'application/x-tar': [[257, 'ustar']],
  'application/postscript': ['%!', '\xc5\xd0\xd3\xc6', '\x04%!'],
  'application/epub+zip': [ZIP],
  'application/java-archive': [ZIP],
  'application/vnd.ms-xpsdocument': [ZIP],
  'application/vnd.ms-outlook': [CFB],
  'application/vnd.visio': [CFB],
  'application/vnd.ms-project': [CFB],
}

/**
 * Content types of Office files. Files of the older types may also contain plain text, markup, or the newer (ZIP)
 * format.
 */
const OFFICE = /^application\/vnd\.ms-(excel|powerpoint|word)(\.|$)/

/**
 * Returns true if a file begins with a signature of its content type; undefined for a type without a known signature.
 */
export function hasExpectedSignature(contentType: string, head: Buffer): boolean | undefined {
  if (OFFICE.test(contentType)) return [CFB, ZIP].some((mark) => isAt(head, mark)) || looksLikeText(head)
  const marks = Object.hasOwn(MARKS, contentType) ? MARKS[contentType] : undefined
  return marks?.some((mark) => isAt(head, mark))
}

function isAt(head: Buffer, mark: BytesAtPosition): boolean {
  const [at, bytes] = typeof mark === 'string' ? ([0, mark] as const) : mark
  return head.toString('latin1', at, at + bytes.length) === bytes
}
