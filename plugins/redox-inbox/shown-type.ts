import { isUtf8 } from 'node:buffer'
import type { DeliveredFile } from '../../src/sandbox'

const starts = (magic: string) => (bytes: Buffer) => bytes.toString('latin1', 0, magic.length) === magic

/** What the editor may show in its own origin, each with the proof that it is what it says: no html, svg, xml. */
const SHOWN = new Map<string, (bytes: Buffer) => boolean>([
  ['application/pdf', starts('%PDF-')],
  ['image/png', starts('\x89PNG\r\n\x1a\n')],
  ['image/jpeg', starts('\xff\xd8\xff')],
  ['image/gif', (bytes) => /^GIF8[79]a/.test(bytes.toString('latin1', 0, 6))],
  ['image/webp', (bytes) => /^RIFF....WEBP/s.test(bytes.toString('latin1', 0, 12))],
  ['image/bmp', starts('BM')],
  ['text/plain', isText],
])

/** Other names of these types: of other MIME spellings, of Redox' `FileType`, of file name extensions. */
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
 * The MIME type that a file may be shown as, without parameters; undefined when it is only to be downloaded.
 * What the message says of the file and its first bytes have to agree. A message that says nothing at all (the
 * text of a note) is taken by its bytes.
 */
export function shownType(file: DeliveredFile): string | undefined {
  const declared = declaredType(file)
  if (declared === undefined) return [...SHOWN].find(([, isShown]) => isShown(file.bytes))?.[0]
  const type = OTHER_NAMES[declared] ?? declared
  return SHOWN.get(type)?.(file.bytes) ? type : undefined
}

function declaredType({ contentType = '', fileType, name }: DeliveredFile): string | undefined {
  const mime = (contentType.split(';')[0] ?? '').trim().toLowerCase()
  // Uploads whose sender did not care are of this type: it says nothing.
  if (mime !== '' && mime !== 'application/octet-stream') return mime
  return (fileType ?? /\.([^.]+)$/.exec(name ?? '')?.[1])?.trim().toLowerCase()
}

function isText(bytes: Buffer): boolean {
  return isUtf8(bytes) && !/[\0-\x08\x0b\x0e-\x1a\x1c-\x1f]/.test(bytes.toString('latin1'))
}
