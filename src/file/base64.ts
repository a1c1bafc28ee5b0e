import { badInput } from '../errors'
import { concatenateText, subText, slicesOf, type Text } from './text'

/** Minimum length of a line of base64, in characters. Words of prose are shorter, so they are not taken for lines. */
const SHORTEST_LINE = 16

/**
 * Returns true if the lines of a string have the same length, except the last one, which may be shorter. Any other
 * string with white space is prose, and decoding it as base64 would yield meaningless bytes.
 */
async function isInLines(text: Text): Promise<boolean> {
  let length = 0
  let line = 0
  let isLast = false
  for await (const slice of slicesOf(text))
    for (const [found] of slice.matchAll(/\S+|\s+/g)) {
      if (/\S/.test(found)) {
        if (isLast) return false
        line += found.length
        if (length > 0 && line > length) return false
      } else if (line > 0) {
        length ||= line
        if (length < SHORTEST_LINE) return false
        isLast = line < length
        line = 0
      }
    }
  return true
}

/** Alphabets of RFC 4648, sections 4 and 5. Url-safe base64 occurs in practice. */
const DIGITS = /^([A-Za-z0-9+/_-]*)(={0,2})$/

/** Decodes base64 in slices, with white space anywhere; undefined if it is not valid base64. */
async function decodeSlices(slices: AsyncIterable<string>): Promise<Buffer | undefined> {
  const pieces: Buffer[] = []
  let rest = ''
  let padding = ''
  for await (const slice of slices) {
    // Most base64 is a single line, so the string need not be copied.
    const [, digits, ending] = DIGITS.exec(slice) ?? DIGITS.exec(slice.replace(/\s+/g, '')) ?? []
    if (digits === undefined || (digits !== '' && padding !== '')) return undefined
    padding += ending
    const all = rest + digits
    const whole = all.length - (all.length % 4)
    pieces.push(Buffer.from(all.slice(0, whole), 'base64'))
    rest = all.slice(whole)
  }
  const isWhole = padding === '' ? rest.length !== 1 : rest.length + padding.length === 4
  return isWhole ? concatenateText([...pieces, Buffer.from(rest, 'base64')]) : undefined
}

/**
 * Decodes base64 with white space anywhere. Used only for strings whose decoded beginning has the signature of a file.
 */
export const decodeLoosely = (text: Text): Promise<Buffer | undefined> => decodeSlices(slicesOf(text))

/** Decodes base64 in one line or in lines of equal length; undefined for any other string. */
export const decodeInLines = async (text: Text): Promise<Buffer | undefined> =>
  (await isInLines(text)) ? decodeLoosely(text) : undefined

/** Content of a `data:` URI. */
export interface DataUri {
  bytes: Buffer
  /** media type without parameters, except for the charset */
  contentType?: string
  /** file name from the parameter `filename` or `name`, which browsers and libraries add */
  name?: string
}

/** Maximum number of characters of a `data:` URI before the comma. */
const LONGEST_HEADER = 2000

/**
 * Part of a `data:` URI before the comma that separates it from the content. A quoted parameter may contain commas,
 * too.
 */
const DATA_URI = /^data:((?:[^,"]|"[^"]*")*),/i

/** Decodes a `data:` URI (RFC 2397), base64 or percent-encoded. */
export async function decodeDataUri(uri: Text, where: string): Promise<DataUri> {
  const [start, described] = DATA_URI.exec(uri.slice(0, LONGEST_HEADER)) ?? []
  if (start === undefined || described === undefined)
    throw badInput(
      `data: URI is not valid: the one in ${where} has no comma. Correct it, or provide a Buffer.`,
    )
  const [type = '', ...parameters] = parametersOf(described)
  const isBase64 = parameters.some((one) => /^base64$/i.test(one))
  const content = subText(uri, start.length, uri.length)
  const bytes = isBase64 ? await declaredBase64(content, where) : await percentDecoded(content, where)
  const charset = parameter(parameters, 'charset')
  const name = parameter(parameters, 'filename') ?? parameter(parameters, 'name')
  const isCharset =
    charset !== undefined && /^[\w.:+-]+$/.test(charset) && /^text\/|[/+](xml|json)$/i.test(type)
  return {
    bytes,
    ...(type !== '' && { contentType: isCharset ? `${type};charset=${charset}` : type }),
    ...(name !== undefined && { name }),
  }
}

/**
 * Decodes the base64 of a `data:` URI. The base64 may also be percent-encoded: some tools write `%2B` and `%3D` for `+`
 * and `=`.
 */
async function declaredBase64(text: Text, where: string): Promise<Buffer> {
  const bytes = await decodeSlices(withoutEscapes(text, where))
  if (bytes !== undefined) return bytes
  throw badInput(
    `data: URI is damaged: the one in ${where} is not valid base64. Correct it, or provide a Buffer.`,
  )
}

async function* withoutEscapes(text: Text, where: string): AsyncGenerator<string> {
  for await (const slice of escapedSlices(text))
    yield slice.includes('%') ? octetsOf(slice, where).toString('latin1') : slice
}

/** Splits the part of a `data:` URI before the comma at semicolons, except semicolons in quoted parameters. */
const parametersOf = (described: string): string[] =>
  [...`;${described}`.matchAll(/;((?:[^;"]|"[^"]*")*)/g)].map(([, one = '']) => one.trim())

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

async function percentDecoded(text: Text, where: string): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const slice of escapedSlices(text)) pieces.push(octetsOf(slice, where))
  return concatenateText(pieces)
}

/** Yields slices of a string. No slice ends inside a percent escape. */
async function* escapedSlices(text: Text): AsyncGenerator<string> {
  let rest = ''
  for await (const slice of slicesOf(text)) {
    const all = rest + slice
    const cut = all.indexOf('%', all.length - 2)
    rest = cut < 0 ? '' : all.slice(cut)
    yield cut < 0 ? all : all.slice(0, cut)
  }
  yield rest
}

const PERCENT = 0x25

/** Decodes a percent-encoded string to bytes, which need not be UTF-8 text. */
function octetsOf(text: string, where: string): Buffer {
  if (/%(?![0-9a-f]{2})/i.test(text))
    throw badInput(
      `data: URI is damaged: the one in ${where} has broken percent-encoding. Correct it, or provide a Buffer.`,
    )
  // UTF-8 cannot represent half a surrogate pair: it would be replaced by a different character.
  if (/\p{Surrogate}/u.test(text))
    throw badInput(`data: URI is not valid: the one in ${where} has a lone surrogate. Percent-encode it.`)
  const octets = Buffer.from(text, 'utf8')
  let used = 0
  for (let at = 0; at < octets.length; at++) {
    const isEscape = octets[at] === PERCENT
    octets[used++] = isEscape
      ? hexDigit(octets[at + 1] ?? 0) * 16 + hexDigit(octets[at + 2] ?? 0)
      : (octets[at] ?? 0)
    if (isEscape) at += 2
  }
  return octets.subarray(0, used)
}

/** Value of a hexadecimal digit, given its character code. */
const hexDigit = (code: number): number => (code & 0x0f) + (code > 0x39 ? 9 : 0)

export const base64Length = (size: number): number => Math.ceil(size / 3) * 4
