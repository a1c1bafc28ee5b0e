import { badInput } from '../errors'

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

/** Bytes of base64 in one line, in the alphabet of RFC 4648; undefined when its length is none. */
function decodeCompact(compact: string): Buffer | undefined {
  const isWhole = compact.endsWith('=') ? compact.length % 4 === 0 : compact.length % 4 !== 1
  return isWhole ? Buffer.from(compact, 'base64') : undefined
}

/** Line breaks, spaces and the url-safe alphabet are all seen in practice (HL7's own examples have spaces). */
const compacted = (text: string): string => text.replace(/\s+/g, '').replace(/-/g, '+').replace(/_/g, '/')

/** Bytes of base64 whose white space may stand anywhere: only for what proves to be a file. */
export function decodeLoosely(text: string): Buffer | undefined {
  // Nearly always it is in one line, and megabytes need not be looked through once more.
  if (CANONICAL.test(text)) return decodeCompact(text)
  const compact = compacted(text)
  return CANONICAL.test(compact) ? decodeCompact(compact) : undefined
}

/** Bytes of base64 in one line or in lines of one length; undefined for what is none. */
export const decodeInLines = (text: string): Buffer | undefined =>
  CANONICAL.test(text) || isInLines(text) ? decodeLoosely(text) : undefined

/**
 * Bytes of a base64 text. Line breaks, spaces, missing padding and the url-safe alphabet are accepted; what we
 * send is always encoded anew, so it is canonical.
 * @throws RedoxError REDOX_BAD_INPUT when the text is not base64
 */
export function decodeBase64(text: string, where: string): Buffer {
  const bytes = decodeInLines(text)
  if (bytes !== undefined) return bytes
  throw badInput(
    `${where} is a text and no file: set the "read file" node to "a single Buffer object". (It is not base64. ` +
      'A file comes as a Buffer, as base64 text or as a data: URI.)',
  )
}

/** What a `data:` URI holds. */
export interface DataUri {
  bytes: Buffer
  /** without parameters, except for the charset */
  contentType?: string
  /** of the parameter `filename` or `name`, which browsers and libraries add */
  name?: string
}

/** The part before the comma: a comma may stand in a quoted parameter. */
const DATA_URI = /^data:((?:[^,"]|"[^"]*"){0,2000}),/i

/** Media type and bytes of a `data:` URI (RFC 2397), base64 or percent-encoded. */
export function decodeDataUri(uri: string, where: string): DataUri {
  const [start, described] = DATA_URI.exec(uri) ?? []
  if (start === undefined || described === undefined)
    throw badInput(`${where} is a data: URI without a comma: nothing can be read from it.`)
  const [type = '', ...parameters] = parametersOf(described)
  const isBase64 = parameters.some((one) => /^base64$/i.test(one))
  const content = uri.slice(start.length)
  // Base64 may be percent-encoded too: `%2B` and `%3D` are what some tools make of `+` and `=`.
  const decode = (): Buffer => percentDecoded(content, where)
  const bytes = !isBase64
    ? decode()
    : declaredBase64(content.includes('%') ? decode().toString('latin1') : content, where)
  const charset = parameter(parameters, 'charset')
  const name = parameter(parameters, 'filename') ?? parameter(parameters, 'name')
  const isCharset = charset !== undefined && /^[\w.:+-]+$/.test(charset)
  return {
    bytes,
    ...(type !== '' && { contentType: isCharset ? `${type};charset=${charset}` : type }),
    ...(name !== undefined && { name }),
  }
}

function declaredBase64(text: string, where: string): Buffer {
  const bytes = decodeLoosely(text)
  if (bytes !== undefined) return bytes
  throw badInput(`${where} is a data: URI whose base64 is broken (it is not base64 to its end).`)
}

/** A semicolon, too, may stand in a quoted parameter. */
const parametersOf = (described: string): string[] =>
  described.split(/;(?=(?:[^"]*"[^"]*")*[^"]*$)/).map((one) => one.trim())

function parameter(parameters: string[], name: string): string | undefined {
  const found = parameters.find((one) => one.toLowerCase().startsWith(`${name}=`))
  const value = found?.slice(name.length + 1).replace(/^"(.*)"$/, '$1')
  if (value === undefined || value === '') return undefined
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
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
