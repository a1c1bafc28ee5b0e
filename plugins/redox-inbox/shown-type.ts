import { isUtf8 } from 'node:buffer'
import type { DeliveredFile } from '../../src/sandbox'
import { OCTET_STREAM } from '../../src/shared/values'
import { hasSignature, type SignedType } from '../../src/shared/signatures'

/**
 * MIME types that the editor may show in its own origin, each with a check of the first bytes. HTML, SVG and XML are
 * excluded, because they can contain scripts.
 */
const SIGNED = [
  'application/pdf',
  'image/png',
  'image/jpeg',
  'image/gif',
  'image/webp',
  'image/bmp',
] as const satisfies SignedType[]
const SHOWN = new Map<string, (bytes: Buffer) => boolean>([
  ...SIGNED.map((type) => [type, (bytes: Buffer) => hasSignature(type, bytes)] as const),
  ['text/plain', isText],
])

/** Other names for these MIME types: variants of MIME types, values of Redox's `FileType`, and file name extensions. */
const OTHER_NAMES: Record<string, string> = {
  'application/x-pdf': 'application/pdf',
  'image/x-png': 'image/png',
  'image/jpg': 'image/jpeg',
  'image/pjpeg': 'image/jpeg',
  'image/x-ms-bmp': 'image/bmp',
  'image/x-bmp': 'image/bmp',
  pdf: 'application/pdf',
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  webp: 'image/webp',
  bmp: 'image/bmp',
  txt: 'text/plain',
  text: 'text/plain',
}

/**
 * Returns the MIME type for showing a file, without parameters; undefined if the file can only be downloaded. The
 * declared type and the first bytes have to agree. If no type is declared (text of a Notes message), the bytes alone
 * decide.
 */
export function shownType(file: DeliveredFile): string | undefined {
  const declared = declaredType(file)
  if (declared === undefined) return [...SHOWN].find(([, isIt]) => isIt(file.bytes))?.[0]
  const type = OTHER_NAMES[declared] ?? declared
  return SHOWN.get(type)?.(file.bytes) ? type : undefined
}

function declaredType({ contentType = '', fileType, name }: DeliveredFile): string | undefined {
  const [mime = ''] = contentType.split(';', 1).map((type) => type.trim().toLowerCase())
  // `application/octet-stream` is the default type of uploads and says nothing about the file.
  if (mime !== '' && mime !== OCTET_STREAM) return mime
  return (fileType ?? /\.([^.]+)$/.exec(name ?? '')?.[1])?.trim().toLowerCase()
}

function isText(bytes: Buffer): boolean {
  return isUtf8(bytes) && !/[\0-\x08\x0b\x0e-\x1a\x1c-\x1f]/.test(bytes.toString('latin1'))
}
