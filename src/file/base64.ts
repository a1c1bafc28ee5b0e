import { badInput } from '../errors'
import { sniffContentType } from './content-types'

/** Whether white space stands between lines of one length. Words are no base64: they would become noise. */
function isInLines(text: string): boolean {
  const lines = text.trim().split(/\s+/)
  const last = lines.pop()!
  const { length } = lines[0] ?? ''
  return (
    lines.length === 0 ||
    (length >= 16 && last.length <= length && lines.every((line) => line.length === length))
  )
}

const CANONICAL = /^[A-Za-z0-9+/]*={0,2}$/

const decoded = (text: string): Buffer | undefined => {
  // Nearly always it is, and megabytes need not be looked through once more.
  const compact = CANONICAL.test(text) ? text : canonical(text)
  if (compact === undefined) return undefined
  const padded = compact.endsWith('=') ? compact.length % 4 === 0 : compact.length % 4 !== 1
  return padded ? Buffer.from(compact, 'base64') : undefined
}

/** Line breaks, spaces and the url-safe alphabet are all seen in practice (HL7's own examples have spaces). */
function canonical(text: string): string | undefined {
  if (!isInLines(text)) return undefined
  const compact = text.replace(/\s+/g, '').replace(/-/g, '+').replace(/_/g, '/')
  return CANONICAL.test(compact) ? compact : undefined
}

/**
 * Bytes of a base64 text. Line breaks, spaces, missing padding and the url-safe alphabet are accepted; what we
 * send is always encoded anew, so it is canonical.
 * @throws RedoxError REDOX_BAD_INPUT when the text is not base64
 */
export function decodeBase64(text: string, where: string): Buffer {
  const bytes = decoded(text)
  if (bytes === undefined) {
    throw badInput(
      `${where} is a text and no file: set the "read file" node to "a single Buffer object". (It is not base64. ` +
        'A file comes as a Buffer, as base64 text or as a data: URI.)',
    )
  }
  return bytes
}

/**
 * The file inside a base64 text that was given as bytes (encoded twice, or a Buffer of base64 text), if its
 * first bytes prove that there is one.
 */
export function decodeTwice(bytes: Buffer): Buffer | undefined {
  const start = bytes.toString('latin1', 0, 512)
  // Of nearly all files the first byte tells.
  if (!/^[\sA-Za-z0-9+/=_-]*$/.test(start)) return undefined
  const head = decoded(start.replace(/\s+/g, '').slice(0, 256))
  if (head === undefined || sniffContentType(head) === undefined) return undefined
  return decoded(bytes.toString('latin1').trim())
}

/** Media type and bytes of a `data:` URI (RFC 2397), base64 or percent-encoded. */
export function decodeDataUri(uri: string, where: string): { bytes: Buffer; contentType?: string } {
  const comma = uri.indexOf(',')
  if (comma < 0) throw badInput(`${where} is a data: URI without a comma: nothing can be read from it.`)
  const parameters = uri.slice(5, comma)
  const base64 = /;\s*base64\s*$/i.test(parameters)
  const contentType = parameters.replace(/;\s*base64\s*$/i, '').trim()
  const content = uri.slice(comma + 1)
  // Base64 may be percent-encoded too: `%2B` and `%3D` are what some tools make of `+` and `=`.
  const decode = (): Buffer => percentDecoded(content, where)
  const bytes = !base64
    ? decode()
    : decodeBase64(content.includes('%') ? decode().toString('latin1') : content, where)
  return { bytes, ...(contentType !== '' && !contentType.startsWith(';') && { contentType }) }
}

/** Whether UTF-8 can carry a text: half a surrogate pair would become another character. */
const isWellFormed = (text: string): boolean => Buffer.from(text, 'utf8').toString('utf8') === text

function percentDecoded(text: string, where: string): Buffer {
  if (/%(?![0-9a-f]{2})/i.test(text))
    throw badInput(`${where} is a data: URI whose percent-encoding is broken.`)
  if (!isWellFormed(text))
    throw badInput(`${where} is a data: URI with half a character (a lone surrogate). Percent-encode it.`)
  // Any byte may be encoded, not only those of UTF-8 text.
  const octets = Buffer.from(text, 'utf8').toString('latin1')
  const decode = (_: string, hex: string): string => String.fromCharCode(parseInt(hex, 16))
  return Buffer.from(octets.replace(/%([0-9a-f]{2})/gi, decode), 'latin1')
}
