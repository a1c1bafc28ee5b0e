import { extension as extensionOf, lookup } from 'mime-types'

interface KnownType {
  contentType: string
  /** Redox `FileType` (facts section 7; the list is open, these are the usual spellings) */
  fileType: string
  /** other spellings of the same content type in use */
  aliases?: string[]
}

const KNOWN: KnownType[] = [
  { contentType: 'application/pdf', fileType: 'PDF', aliases: ['application/x-pdf'] },
  { contentType: 'image/jpeg', fileType: 'JPG', aliases: ['image/jpg', 'image/pjpeg'] },
  { contentType: 'image/png', fileType: 'PNG', aliases: ['image/x-png'] },
  { contentType: 'image/tiff', fileType: 'TIFF', aliases: ['image/tif', 'image/x-tiff'] },
  { contentType: 'image/gif', fileType: 'GIF' },
  { contentType: 'image/bmp', fileType: 'BMP', aliases: ['image/x-ms-bmp', 'image/x-bmp'] },
  { contentType: 'text/plain', fileType: 'TEXT' },
  { contentType: 'application/rtf', fileType: 'RTF', aliases: ['text/rtf'] },
  { contentType: 'text/html', fileType: 'HTML' },
  { contentType: 'application/xml', fileType: 'XML', aliases: ['text/xml'] },
  { contentType: 'application/msword', fileType: 'DOC' },
  {
    contentType: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    fileType: 'DOCX',
  },
  { contentType: 'application/dicom', fileType: 'DCM' },
]

const OCTETS = 'application/octet-stream'

interface Signature {
  contentType: string
  at: number
  bytes: Buffer
  /** the bytes prove a container or a markup family, not the type itself: a file name may say more */
  family?: true
}

const signature = (contentType: string, bytes: string, at = 0, family?: true): Signature => ({
  contentType,
  at,
  bytes: Buffer.from(bytes, 'latin1'),
  ...(family && { family }),
})

// The first bytes of the formats that people send to EHRs. `file-type` would know more, but its kept
// versions need Node 22.
const SIGNATURES: Signature[] = [
  signature('application/pdf', '%PDF-'),
  signature('image/jpeg', '\xff\xd8\xff'),
  signature('image/png', '\x89PNG\r\n\x1a\n'),
  signature('image/tiff', 'II*\0'),
  signature('image/tiff', 'MM\0*'),
  signature('image/tiff', 'II+\0'),
  signature('image/tiff', 'MM\0+'),
  signature('image/gif', 'GIF87a'),
  signature('image/gif', 'GIF89a'),
  signature('application/dicom', 'DICM', 128),
  signature('application/rtf', '{\\rtf'),
  signature('image/webp', 'WEBP', 8),
  signature('audio/wav', 'WAVE', 8, true),
  ...['heic', 'heix', 'mif1', 'msf1'].map((brand) => signature('image/heic', `ftyp${brand}`, 4)),
  signature('image/avif', 'ftypavif', 4),
  signature('video/mp4', 'ftyp', 4, true),
  signature('audio/mpeg', 'ID3', 0, true),
  signature('application/zip', 'PK\x03\x04', 0, true),
  signature('application/x-cfb', '\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1', 0, true),
  signature('application/xml', '<?xml', 0, true),
  signature('text/html', '<!DOCTYPE html', 0, true),
  signature('text/html', '<html', 0, true),
]

/** Bytes needed from the start of a file to tell its type: a PDF may begin so late (ISO 32000-1, H.3.4.1). */
export const HEAD_LENGTH = 1024

function find(head: Buffer): Signature | undefined {
  const has = ({ bytes }: Signature, at: number): boolean =>
    head.subarray(at, at + bytes.length).equals(bytes)
  const start = textStart(head)
  return SIGNATURES.find((one) => has(one, one.at) || (MARKUP.has(one.contentType) && has(one, start)))
}

const MARKUP = new Set(['application/rtf', 'application/xml', 'text/html'])

/** Behind a byte order mark and white space. */
function textStart(head: Buffer): number {
  let at = head.subarray(0, 3).equals(BOM) ? BOM.length : 0
  while (' \t\r\n'.includes(String.fromCharCode(head[at] ?? 0))) at++
  return at
}
const BOM = Buffer.from('\ufeff')

/** What begins otherwise is not of these types, whatever it is called. */
const PROVABLE = new Set([
  ...['application/pdf', 'image/jpeg', 'image/png', 'image/tiff', 'image/gif', 'image/webp'],
  'application/rtf',
])

/** Content type that the first bytes prove, if they prove one. */
export const sniffContentType = (head: Buffer): string | undefined => find(head)?.contentType

/** True when the head is UTF-8 (or ASCII) text without control characters. */
export function looksLikeText(head: Buffer): boolean {
  // The head may end inside a character: at most three bytes of one are missing.
  for (let cut = 0; cut < 4 && cut <= head.length; cut++) {
    const text = head.subarray(0, head.length - cut).toString('utf8')
    if (!text.includes('\ufffd')) return !/[\0-\x08\x0e-\x1a\x1c-\x1f]/.test(text)
  }
  return false
}

/** A content type without its parameters; they may hold a file name. */
export const plainType = (contentType: string): string => contentType.split(';')[0]!.trim().toLowerCase()

const knownType = (contentType: string): KnownType | undefined => {
  const plain = plainType(contentType)
  return KNOWN.find((type) => type.contentType === plain || type.aliases?.includes(plain))
}

const isProvable = (contentType: string): boolean =>
  PROVABLE.has(knownType(contentType)?.contentType ?? plainType(contentType))

const sameType = (one: string, other: string): boolean =>
  (knownType(one)?.contentType ?? plainType(one)) === (knownType(other)?.contentType ?? plainType(other))

/** Content type that a file name's ending stands for. */
export const contentTypeOfName = (name: string | undefined): string | undefined => {
  if (name === undefined || !name.includes('.')) return undefined
  return lookup(name) || undefined
}

export interface DetectedType {
  contentType: string
  /** what the first bytes are, when they cannot be of the type that is declared */
  contradiction?: string
  warning?: string
}

/**
 * Content type of a file: what is declared, else what the first bytes prove, else what the name says (unless the
 * first bytes would have to prove it), else text or octets.
 */
export function detectContentType(head: Buffer, name?: string, declared?: string): DetectedType {
  const found = find(head)
  const named = contentTypeOfName(name)
  // A PDF that begins late; but so does a signed or packed one, and a text may speak of it.
  const late = found === undefined && head.includes('%PDF-') ? 'application/pdf' : undefined
  const seen = found?.contentType ?? (looksLikeText(head) ? 'text/plain' : (late ?? OCTETS))
  const isPossible = (contentType: string): boolean =>
    // Of a reference there are none.
    head.length === 0 ||
    [seen, late].some((one) => one !== undefined && sameType(one, contentType)) ||
    (!isProvable(contentType) && (found === undefined || found.family === true))
  if (declared !== undefined) {
    const contradicts = plainType(declared) !== OCTETS && !isPossible(declared)
    return { contentType: declared, ...(contradicts && { contradiction: seen }) }
  }
  if (named === undefined) return { contentType: seen }
  if (isPossible(named)) return { contentType: found && !found.family ? seen : named }
  return {
    contentType: seen,
    warning: `the file's extension stands for ${named}, but its first bytes are ${seen}: sent as ${seen}`,
  }
}

const extensionOfName = (name: string | undefined): string | undefined =>
  /\.([A-Za-z0-9]{1,10})$/.exec(name ?? '')?.[1]

/** Redox `FileType` for a content type; undefined when neither the type nor the name tells one. */
export function fileTypeOf(contentType: string, name?: string): string | undefined {
  const known = knownType(contentType)
  if (known) return known.fileType
  const ending =
    extensionOfName(name) ??
    (plainType(contentType) === OCTETS ? undefined : extensionOf(contentType) || undefined)
  return ending?.toUpperCase()
}

/** Ending for a file that came without a name. */
export const extensionFor = (contentType: string): string => extensionOf(contentType) || 'bin'

/** A MIME type as RFC 2045 writes it; parameters allowed, on one line: it travels in a header. */
export const isContentType = (text: string): boolean =>
  /^[a-z0-9!#$&^_.+-]+\/[a-z0-9!#$&^_.+-]+([ \t]*;[ \t]*[a-z0-9!#$&^_.+-]+=("[ !#-~]*"|[a-z0-9!#$&^_.+-]+))*$/i.test(
    text,
  )
