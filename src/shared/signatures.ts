/**
 * Signatures: the bytes by which file formats are recognized. A file is accepted as a format, and displayed, only if it
 * has the format's signature. Bytes are written as latin1 strings, one character for each byte. Signatures are compared
 * in the file's own buffer, without a copy.
 */

interface Mark {
  at: number
  bytes: Uint8Array
}

/** Signature of a PDF. It may also come after other bytes, see `pdfStart` in src/file. */
export const PDF_MARK = '%PDF-'

const mark = (latin1: string, at = 0): Mark => ({
  at,
  bytes: Uint8Array.from(latin1, (character) => character.charCodeAt(0)),
})

/** Signature of a format that begins with one of several byte sequences. */
const anyOf = (...beginnings: string[]): Mark[][] => beginnings.map((latin1) => [mark(latin1)])

const riff = (format: string): Mark[][] => [[mark('RIFF'), mark(format, 8)]]

/** Alternative signatures by content type. A file matches a signature if all byte sequences of it are present. */
const SIGNATURES = {
  'application/dicom': [[mark('DICM', 128)]],
  'application/pdf': anyOf(PDF_MARK),
  'image/jpeg': anyOf('\xff\xd8\xff'),
  'image/png': anyOf('\x89PNG\r\n\x1a\n'),
  'image/tiff': anyOf('II*\0', 'MM\0*', 'II+\0', 'MM\0+'),
  'image/gif': anyOf('GIF87a', 'GIF89a'),
  'image/webp': riff('WEBP'),
  'image/bmp': anyOf('BM'),
  'audio/wav': riff('WAVE'),
  'audio/mpeg': anyOf('ID3'),
  // The second and third signature: an archive without files, and the first volume of a multi-volume archive.
  'application/zip': anyOf('PK\x03\x04', 'PK\x05\x06', 'PK\x07\x08'),
  'application/gzip': anyOf('\x1f\x8b\x08'),
  'application/x-cfb': anyOf('\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1'),
} as const satisfies Record<string, readonly (readonly Mark[])[]>

export type SignedType = keyof typeof SIGNATURES

/**
 * Returns true if a file has a signature of the content type.
 * @param bytes first bytes of the file, or the whole file
 */
export function hasSignature(contentType: SignedType, bytes: Uint8Array): boolean {
  const ways: readonly (readonly Mark[])[] = SIGNATURES[contentType]
  return ways.some((marks) => marks.every((one) => isThere(one, bytes)))
}

const isThere = ({ at, bytes: wanted }: Mark, bytes: Uint8Array): boolean =>
  wanted.every((byte, index) => bytes[at + index] === byte)
