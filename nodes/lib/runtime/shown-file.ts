/** Files in responses of admin routes: which of them the editor may show, and the headers with which no code in them runs. */
import { isUtf8 } from 'node:buffer'
import type { OutgoingHttpHeaders } from 'node:http'
import { OCTET_STREAM } from '../../../src/shared/values'
import { hasSignature, type SignedType } from '../../../src/shared/signatures'

/** Description of a file by its sender, which the bytes may contradict. */
export interface DeclaredFile {
  contentType?: string | undefined
  /** `FileType` of the Data Model API */
  fileType?: string | undefined
  name?: string | undefined
}

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
export function shownType(file: DeclaredFile, bytes: Buffer): string | undefined {
  const declared = declaredType(file)
  if (declared === undefined) return [...SHOWN].find(([, isIt]) => isIt(bytes))?.[0]
  const type = OTHER_NAMES[declared] ?? declared
  return SHOWN.get(type)?.(bytes) ? type : undefined
}

function declaredType({ contentType = '', fileType, name }: DeclaredFile): string | undefined {
  const [mime = ''] = contentType.split(';', 1).map((type) => type.trim().toLowerCase())
  // `application/octet-stream` is the default type of uploads and says nothing about the file.
  if (mime !== '' && mime !== OCTET_STREAM) return mime
  return (fileType ?? /\.([^.]+)$/.exec(name ?? '')?.[1])?.trim().toLowerCase()
}

function isText(bytes: Buffer): boolean {
  return isUtf8(bytes) && !/[\0-\x08\x0b\x0e-\x1a\x1c-\x1f]/.test(bytes.toString('latin1'))
}

// ---- Headers ------------------------------------------------------------------------------------------

/**
 * Returns the headers of a response that contains a file.
 * @param type MIME type for showing the file, see {@link shownType}; undefined: the browser only saves the file
 * @param index position of the file in its message, for a file without a name
 */
export const fileHeaders = (
  name: string | undefined,
  index: number,
  type: string | undefined,
): OutgoingHttpHeaders => ({
  'Content-Type': type === 'text/plain' ? 'text/plain; charset=utf-8' : (type ?? OCTET_STREAM),
  'Content-Disposition': `${type ? 'inline' : 'attachment'}; ${safeName(name, index)}`,
  'Content-Security-Policy': policyOf(type),
})

/**
 * Returns the Content-Security-Policy for a file, in case a user opens the URL of the file directly. Without the
 * sandbox directive for PDF, because Chromium shows no PDF in a CSP sandbox.
 */
function policyOf(type: string | undefined): string {
  const nothing = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
  return type === 'application/pdf' ? nothing : `${nothing}; sandbox`
}

/**
 * Returns the file name parameters of Content-Disposition (RFC 6266, RFC 5987), with a base name that is safe in a
 * header.
 */
function safeName(name: string | undefined, index: number): string {
  const base = Buffer.from(name ?? '')
    .toString()
    .replace(/^.*[/\\]/s, '')
    .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '')
    .replace(/^[\s.]+/, '')
  const safe = [...base].slice(-150).join('') || `file-${index + 1}`
  const ascii = safe.replace(/[^\w. -]/g, '_')
  const encoded = encodeURIComponent(safe).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `filename="${ascii}"; filename*=UTF-8''${encoded}`
}
