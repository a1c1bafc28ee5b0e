import { extension as extensionOf, lookup } from 'mime-types'
import { OCTET_STREAM } from '../shared/values'
import { hasExpectedSignature } from './expected-signatures'
import { HEAD_LENGTH, isPdfInText, looksLikeText, pdfStart, signatureOf } from './signatures'
import type { Signature } from './types'

export { HEAD_LENGTH, looksLikeText } from './signatures'

interface KnownType {
  contentType: string
  /** Redox `FileType` (docs/redox-api.md#file-types; the list is open, these are the usual spellings) */
  fileType: string
  /** other names in use for the content type */
  aliases?: string[]
}

const KNOWN: KnownType[] = [
  {
    contentType: 'application/pdf',
    fileType: 'PDF',
    aliases: [
      ...['application/x-pdf', 'application/acrobat', 'application/vnd.pdf', 'applications/vnd.pdf'],
      ...['text/pdf', 'text/x-pdf', 'image/pdf'],
    ],
  },
  {
    contentType: 'image/jpeg',
    fileType: 'JPG',
    aliases: [
      ...[
        'image/jpg',
        'image/pjpeg',
        'image/jpe',
        'image/jfif',
        'image/x-jpeg',
        'image/x-jpg',
        'image/x-jpe',
      ],
      ...[
        'image/x-citrix-jpeg',
        'application/jpg',
        'application/x-jpg',
        'application/jpeg',
        'application/x-jpeg',
      ],
    ],
  },
  {
    contentType: 'image/png',
    fileType: 'PNG',
    aliases: [
      ...['image/x-png', 'image/x-citrix-png', 'image/apng', 'image/vnd.mozilla.apng'],
      ...['application/png', 'application/x-png'],
    ],
  },
  {
    contentType: 'image/tiff',
    fileType: 'TIFF',
    aliases: [
      'image/tif',
      'image/x-tiff',
      'image/x-tif',
      'image/tiff-fx',
      'application/tiff',
      'application/x-tiff',
    ],
  },
  { contentType: 'image/gif', fileType: 'GIF', aliases: ['image/x-gif'] },
  {
    contentType: 'image/bmp',
    fileType: 'BMP',
    aliases: ['image/x-ms-bmp', 'image/x-bmp', 'image/x-windows-bmp'],
  },
  { contentType: 'text/plain', fileType: 'TEXT' },
  {
    contentType: 'application/rtf',
    fileType: 'RTF',
    aliases: ['text/rtf', 'application/x-rtf', 'text/x-rtf'],
  },
  { contentType: 'text/html', fileType: 'HTML' },
  { contentType: 'application/xml', fileType: 'XML', aliases: ['text/xml'] },
  { contentType: 'application/msword', fileType: 'DOC' },
  {
    contentType: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    fileType: 'DOCX',
  },
  {
    contentType: 'application/dicom',
    fileType: 'DCM',
    aliases: ['application/x-dicom', 'application/dcm', 'image/dicom', 'image/x-dicom', 'image/dcm'],
  },
]

/** Content types without a Redox `FileType`, with their other names. HEIF and HEIC differ in their brands only. */
const ALIASES: Record<string, string> = {
  'image/heif': 'image/heic',
  'image/heic-sequence': 'image/heic',
  'image/heif-sequence': 'image/heic',
  'image/avif-sequence': 'image/avif',
  'image/x-webp': 'image/webp',
  'audio/x-wav': 'audio/wav',
  'audio/wave': 'audio/wav',
  'audio/vnd.wave': 'audio/wav',
  'audio/mp3': 'audio/mpeg',
  'audio/x-mp3': 'audio/mpeg',
  'audio/x-mpeg': 'audio/mpeg',
  'application/x-zip': 'application/zip',
  'application/x-zip-compressed': 'application/zip',
  'application/x-gzip': 'application/gzip',
}

/** Content types that mean only "bytes" or "save as a file". Programs declare them when they do not know the type. */
const SAYS_NOTHING =
  /^(?:application|binary|bytes?|content|data|file|octet|unknown|undefined|null)\/(?:x-|vnd\.)?(?:oct(?:et)?s?(?:-?stream)?|stream|bin(?:ary)?|bytes?|blob|data|object|file|unknown(?:-content-type)?|unspecified|undefined|null|none|any|default|save|(?:force-?)?download|file-?download|file-to-save|msdownload)$/

/** Returns true if a declared content type contains no information about the file. */
export const isUninformative = (contentType: string): boolean => SAYS_NOTHING.test(plainType(contentType))

/** Content types with a mandatory signature: a file without the signature is not of this type, whatever its name. */
const PROVABLE = new Set([
  ...['application/pdf', 'image/jpeg', 'image/png', 'image/tiff', 'image/gif', 'image/webp'],
  'application/rtf',
])

/** Further content types with a mandatory signature, each with the signatures that a complete file may have. */
const SIGNED: Record<string, string[]> = {
  'application/dicom': ['application/dicom'],
  'application/msword': [
    'application/x-cfb',
    'application/rtf',
    'text/html',
    'application/xml',
    'application/zip',
  ],
  'image/heic': ['image/heic'],
  'image/avif': ['image/avif'],
  'audio/wav': ['audio/wav'],
  'video/mp4': ['video/mp4'],
  'application/gzip': ['application/gzip'],
  'application/zip': ['application/zip'],
}

// An Office file with a password is a CFB container.
const isOfficeZip = (contentType: string): boolean =>
  /^application\/(vnd\.openxmlformats|vnd\.oasis\.opendocument)/.test(contentType)

/** Returns true if the first bytes of a file lack the signature of its type; false for types without a signature. */
export function lacksSignature(contentType: string, head: Buffer): boolean {
  const type = canonicalType(contentType)
  const found = signatureOf(head)?.contentType
  const proofs = isOfficeZip(type) ? ['application/zip', 'application/x-cfb'] : SIGNED[type]
  if (type === 'application/pdf' && pdfStart(head) >= 0) return false
  if (proofs === undefined && !PROVABLE.has(type)) return hasExpectedSignature(type, head) === false
  return found === undefined || !(proofs ?? [type]).includes(canonicalType(found))
}

/** Returns true if a content type has a charset other than UTF-8. In such a charset any bytes may be valid text. */
export const hasOtherCharset = (contentType: string): boolean => /;\s*charset=(?!"?utf-?8)/i.test(contentType)

/** Returns true if a file's content type means UTF-8 text, but the first bytes are not UTF-8 text. */
export const lacksText = (contentType: string, head: Buffer): boolean =>
  isTextType(canonicalType(contentType)) &&
  !hasOtherCharset(contentType) &&
  !looksLikeText(head, isWhole(head)) &&
  !(head[0] === 0xff && head[1] === 0xfe) &&
  !(head[0] === 0xfe && head[1] === 0xff)

/** Returns true if the head (the first bytes that were read) is the whole file. */
export const isWhole = (head: Buffer): boolean => head.length < HEAD_LENGTH

const isTextType = (type: string): boolean =>
  /^(text|message)\/|^application\/(json|x-ndjson|xml|javascript)$|\+(xml|json)$/.test(type)

/** Content type by the signature in the first bytes; undefined without a known signature. */
export const sniffContentType = (head: Buffer): string | undefined => signatureOf(head)?.contentType

/** Returns a content type without its parameters, which may contain a file name. */
export const plainType = (contentType: string): string =>
  (contentType.split(';')[0] ?? '').trim().toLowerCase()

const knownType = (contentType: string): KnownType | undefined => {
  const plain = plainType(contentType)
  return KNOWN.find((type) => type.contentType === plain || type.aliases?.includes(plain))
}

/** Usual name of a content type that may have other names, without parameters. */
export const canonicalType = (contentType: string): string => {
  const plain = plainType(contentType)
  return knownType(plain)?.contentType ?? ALIASES[plain] ?? plain
}

const sameType = (one: string, other: string): boolean => canonicalType(one) === canonicalType(other)

/** Returns true if a content type is `type` or another name of `type`. */
export const isType = (contentType: string, type: string): boolean => canonicalType(contentType) === type

/** Content type by the extension of a file name. */
export const contentTypeOfName = (name: string | undefined): string | undefined => {
  if (name === undefined || !name.includes('.')) return undefined
  return lookup(name) || undefined
}

export interface DetectedType {
  contentType: string
  /** content type by the first bytes, if they contradict the declared type */
  contradiction?: string
  warning?: string
}

/**
 * Detects the content type of a file: the first that exists of the declared type, the type by signature, and the type
 * by file name (unless that type requires a signature); otherwise text or octet-stream. A declared type without
 * information is ignored.
 * @param head first bytes of the file; empty for a reference, whose bytes are not available
 */
export function detectContentType(head: Buffer, name?: string, declaredType?: string): DetectedType {
  const declared = declaredType !== undefined && isUninformative(declaredType) ? undefined : declaredType
  const named = contentTypeOfName(name)
  if (head.length === 0) return { contentType: declared ?? named ?? declaredType ?? OCTET_STREAM }
  const found = signatureOf(head)
  // A PDF may begin after other bytes. But signed files and archives also contain a PDF, and text may mention `%PDF-`.
  const late = pdfStart(head) >= 0 ? 'application/pdf' : undefined
  const isOther = looksLikeText(head, isWhole(head)) && !isPdfInText(head)
  const seen = found?.contentType ?? (isOther ? 'text/plain' : (late ?? OCTET_STREAM))
  const isPossible = (contentType: string): boolean =>
    [seen, late].some((one) => one !== undefined && sameType(one, contentType)) ||
    (!PROVABLE.has(canonicalType(contentType)) && (found === undefined || isCompatible(found, contentType)))
  if (declared !== undefined)
    return { contentType: declared, ...(!isPossible(declared) && { contradiction: seen }) }
  if (named === undefined || isUninformative(named)) return { contentType: seen }
  if (isPossible(named))
    return { contentType: found && !found.family && sameType(seen, named) ? seen : named }
  return {
    contentType: seen,
    warning: `The file name indicates ${named}, but the first bytes are ${seen}. The file is sent as ${seen}.`,
  }
}

/**
 * Returns true if a file with the signature of a container (such as ZIP) or of markup may be of the given, more
 * specific type.
 */
function isCompatible({ contentType: found, family }: Signature, contentType: string): boolean {
  if (family === undefined) return false
  const type = canonicalType(contentType)
  const proofs = SIGNED[type]
  if (proofs !== undefined && !proofs.includes(found)) return false
  if (found.startsWith('video/')) return /^(video|audio)\//.test(type) || type === 'application/mp4'
  if (found.startsWith('audio/')) return type.startsWith('audio/')
  const isApplication = /^(application|model|chemical)\//.test(type)
  const isMarkup = MARKUP.has(found)
  if (isMarkup)
    return (
      /[/+]xml$|^image\/svg\+xml$/.test(type) ||
      MARKUP_TEXT.has(type) ||
      (isApplication && !isTextType(type) && !isOfficeZip(type))
    )
  return isApplication && !isTextType(type)
}

const MARKUP = new Set(['application/xml', 'text/html'])
/** Text types that may contain markup. Tables and calendars may not. */
const MARKUP_TEXT = new Set(['text/plain', 'text/html', 'text/markdown', 'application/xml', 'message/rfc822'])

/** Extension of a file name, without the dot. */
export const extensionOfName = (name: string | undefined): string | undefined =>
  /\.([A-Za-z0-9]{1,10})$/.exec(name ?? '')?.[1]

/** Redox `FileType` by content type, otherwise by the extension of the file name; undefined if both are unknown. */
export function fileTypeOf(contentType: string, name?: string): string | undefined {
  const known = knownType(contentType)
  if (known) return known.fileType
  const named = contentTypeOfName(name)
  const own = isUninformative(contentType) ? undefined : extensionOf(contentType) || undefined
  // If the content type contradicts the file name, the extension of the name is less reliable than the usual extension
  // of the content type.
  const isNamed =
    (named === undefined && own === undefined) ||
    (named !== undefined &&
      (isUninformative(contentType) ? !PROVABLE.has(canonicalType(named)) : sameType(named, contentType)))
  const ending = (isNamed ? extensionOfName(name) : undefined) ?? own
  return ending?.toUpperCase()
}

/** Extension for the default name of a file without a name. */
export const extensionFor = (contentType: string): string =>
  extensionOf(contentType) || extensionOf(canonicalType(contentType)) || 'bin'

/**
 * Returns true for a MIME type in the syntax of RFC 2045, with optional parameters. Line breaks are not allowed,
 * because the type is put into an HTTP header.
 */
export const isContentType = (text: string): boolean =>
  /^[a-z0-9!#$&^_.+-]+\/[a-z0-9!#$&^_.+-]+([ \t]*;[ \t]*[a-z0-9!#$&^_.+-]+=("[ !#-~]*"|[a-z0-9!#$&^_.+-]+))*$/i.test(
    text,
  )
