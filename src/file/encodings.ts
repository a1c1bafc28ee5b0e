import { present } from '../shared/present'
import { badInput } from '../errors'
import { decodeDataUri, decodeLoosely, type DataUri } from './base64'
import { concatenateText, subText, slicesOf, textIn, trimmed, type Text } from './text'
import { contentTypeOfName, sniffContentType } from './content-types'
import { unsupportedEncodingOf } from './unsupported-encodings'
import type { FileHints } from './types'

/** Encoding of a file as text that is decoded automatically. */
export type Encoding = 'base64' | 'hex' | 'data: URI'

/** Number of characters that are examined at the start of a string. */
const START = 512

/** Beginning of a `data:` URI with a type or a parameter. "Data:, 0.9 NaCl" is ordinary text. */
const DATA_URI = /^data:(?:[\w.+-]+\/[\w.+-]+|;\s*[\w-]+)(?:[^,"]|"[^"]*")*,/i
const BASE64 = /^[\sA-Za-z0-9+/=_-]+"?$/
const HEX = /^(?:\\x|0x)?[\s0-9a-f]+$/i

/**
 * Returns the encoding of a file whose bytes are encoded text; undefined unless the decoded bytes begin like a known
 * file type, or are themselves encoded text.
 */
export function encodingOf(bytes: Buffer): Encoding | undefined {
  const text = textOf(bytes)
  return text === undefined ? undefined : encodingOfText(text)
}

/**
 * Returns the encoding of a file that is encoded text; undefined unless the decoded bytes begin like a known file type,
 * or are themselves encoded text.
 */
export function encodingOfText(text: Text): Encoding | undefined {
  const start = text.slice(0, START).replace(/^"/, '')
  if (DATA_URI.test(start)) return 'data: URI'
  if (BASE64.test(start) && proves(base64Bytes(start))) return 'base64'
  return HEX.test(start) && proves(hexBytes(start)) ? 'hex' : undefined
}

const proves = (head: Buffer): boolean =>
  sniffContentType(head) !== undefined || encodingOf(head) !== undefined

// The examined beginning of the text may end inside a group of base64 digits. The decoder ignores an incomplete group.
const base64Bytes = (text: string): Buffer => Buffer.from(text.replace(/[\s"]+/g, ''), 'base64')

const hexBytes = (text: string): Buffer => Buffer.from(text.replace(/^(?:\\x|0x)|\s+/gi, ''), 'hex')

/** Decodes bytes that are encoded text. */
export const decode = (bytes: Buffer, encoding: Encoding, where: string): Promise<DataUri> =>
  decodeText(present(textOf(bytes), 'the text of an encoding'), encoding, where)

/**
 * Decodes an encoded text.
 * @throws RedoxError REDOX_BAD_INPUT if the encoding is valid only at the beginning
 */
export async function decodeText(given: Text, encoding: Encoding, where: string): Promise<DataUri> {
  const whole = await trimmed(given)
  const text = whole.slice(0, 1) === '"' || encoding !== 'data: URI' ? withoutQuotes(whole) : whole
  if (encoding === 'data: URI') return decodeDataUri(text, where)
  const found = await (encoding === 'hex' ? wholeHex(text) : decodeLoosely(text))
  if (found !== undefined) return { bytes: found }
  throw badInput(
    `File is damaged: ${where} begins as ${encoding}, but does not end as ${encoding}. Provide the bytes of the file as a Buffer.`,
  )
}

function withoutQuotes(text: Text): Text {
  const { length } = text
  const isLast = text.slice(length - 1, length) === '"'
  return subText(text, text.slice(0, 1) === '"' ? 1 : 0, isLast ? length - 1 : length)
}

async function wholeHex(text: Text): Promise<Buffer | undefined> {
  const [mark = ''] = /^(?:\\x|0x)?/i.exec(text.slice(0, 2)) ?? []
  const pieces: Buffer[] = []
  let rest = ''
  for await (const slice of slicesOf(subText(text, mark.length, text.length))) {
    const digits = rest + slice.replace(/\s+/g, '')
    if (!/^[0-9a-f]*$/i.test(digits)) return undefined
    const whole = digits.length - (digits.length % 2)
    pieces.push(Buffer.from(digits.slice(0, whole), 'hex'))
    rest = digits.slice(whole)
  }
  return rest === '' ? concatenateText(pieces) : undefined
}

/**
 * Interprets bytes as text, without byte order mark and leading white space; undefined if they cannot be encoded text.
 */
function textOf(bytes: Buffer): Text | undefined {
  const isBig = bytes[0] === 0 || (bytes[0] === 0xfe && bytes[1] === 0xff)
  const isWide = isBig || bytes[1] === 0 || (bytes[0] === 0xff && bytes[1] === 0xfe)
  // The first byte of nearly all files shows that they are not encoded text.
  if (!isWide && !/[\s\\"\xefA-Za-z0-9+/_-]/.test(String.fromCharCode(bytes[0] ?? 0))) return undefined
  const text = textIn(bytes, isBig ? 'utf16be' : isWide ? 'utf16le' : 'latin1')
  const [before = ''] = /^(?:\ufeff|\xef\xbb\xbf)?\s*/.exec(text.slice(0, START)) ?? []
  return subText(text, before.length, text.length)
}

const WRAPPERS: [what: string, start: RegExp][] = [
  ['a part of a MIME message', /^(?:MIME-Version|Content-(?:Type|Disposition|Transfer-Encoding)):/i],
  ['a multipart body', /^--[^\r\n]{1,200}\r?\nContent-(?:Type|Disposition|Transfer-Encoding):/i],
  ['a uuencoded text', /^begin [0-7]{3,4} \S/],
  ['a Buffer written as JSON', /^\{\s*"type"\s*:\s*"Buffer"\s*,\s*"data"\s*:/],
]

/**
 * Throws for a file in a known text encoding that is not decoded automatically.
 * @throws RedoxError REDOX_BAD_INPUT
 */
export function assertNoWrapper(bytes: Buffer, { where, filename = '', contentType }: FileHints): void {
  const start = bytes.toString('latin1', 0, START).trimStart()
  const type = contentType ?? contentTypeOfName(filename) ?? ''
  // A file that is declared as a mail message or multipart body is not unpacked but sent as a whole.
  if (/^(message|multipart)\//i.test(type)) return
  const wrapper =
    WRAPPERS.find(([, pattern]) => pattern.test(start))?.[0] ??
    unsupportedEncodingOf(bytes, /[/+]json\b/i.test(type))
  if (wrapper === undefined) return
  throw badInput(
    `File is wrapped: ${where} is ${wrapper}, and the file is inside it. Extract the file before this node, and provide its bytes as a Buffer.`,
  )
}

/**
 * Throws if a file on the disk is encoded text. Only files in memory are decoded.
 * @throws RedoxError REDOX_BAD_INPUT
 */
export function assertNotEncoded(head: Buffer, hints: FileHints): void {
  const encoding = encodingOf(head)
  if (encoding === undefined) return assertNoWrapper(head, hints)
  throw badInput(
    `File holds ${encoding === 'data: URI' ? 'a data: URI' : `${encoding} text`}, not bytes (path in ${hints.where}). Read it ` +
      'with a "read file" node that is set to "a single Buffer object". It is then decoded.',
  )
}
