// Encodings of files as text that are not decoded, but recognized and refused.
import { sniffContentType } from './content-types'
import { looksLikeText } from './signatures'

/** Number of bytes that are examined at the start of a file. */
const START = 512

type Reading = readonly [what: string, read: (start: string) => Buffer | undefined]

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

/** Decodes the base64 digits at the start of a string, which may be followed by other characters. */
function base64Run(text: string): Buffer | undefined {
  const [run] = /^[A-Za-z0-9+/_-]{12,}/.exec(text.replace(/[\r\n]+/g, '')) ?? []
  return run === undefined ? undefined : Buffer.from(run, 'base64')
}

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

function base32Run(text: string): Buffer | undefined {
  const [run] = /^[A-Z2-7]{24,}/.exec(text.replace(/[\r\n]+/g, '')) ?? []
  if (run === undefined) return undefined
  const bits = [...run].map((digit) => BASE32.indexOf(digit).toString(2).padStart(5, '0')).join('')
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)))
}

/** Decodes Ascii85 that begins with `<~`: five digits to the base 85 encode four bytes. */
function ascii85Run(text: string): Buffer | undefined {
  const [, run = ''] = /^<~([!-u\s]{20,})/.exec(text) ?? []
  const groups = run.replace(/\s+/g, '').match(/.{5}/g)
  const numbers = groups?.map((group) => [...latin1(group)].reduce((sum, digit) => sum * 85 + digit - 33, 0))
  return (
    numbers &&
    Buffer.concat(numbers.map((number) => Buffer.from((number >>> 0).toString(16).padStart(8, '0'), 'hex')))
  )
}

const withoutPercents = (text: string): string =>
  text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))

const QUOTED = /=([0-9A-F]{2})/g

/**
 * Characters that come before the encoded digits in Python, SQL and CSV (such as a quote), and in strings that name the
 * encoding.
 */
const PREFIX = /^(?:base64\s*[,:=]\s*|[bBxX]?['"`]|[[({])+/

const READINGS: Reading[] = [
  [
    'percent-encoded text',
    (text) => (/%[0-9a-f]{2}/i.test(text) ? latin1(withoutPercents(text)) : undefined),
  ],
  ['percent-encoded base64', (text) => (text.includes('%') ? base64Run(withoutPercents(text)) : undefined)],
  ['base64 with something around it', (text) => base64Run(text.replace(/\\+[nrt]/g, '').replace(PREFIX, ''))],
  ['base64 between BEGIN and END', (text) => base64Run(text.replace(/^-----BEGIN [^-\r\n]+-----\s*/, ''))],
  ['base32 text', base32Run],
  ['Ascii85 text', ascii85Run],
  [
    'hex text with something between its digits',
    (text) => {
      const [run] = /^(?:(?:0x|\\x|[xX]?['"]|[:,;\s[{(-])*[0-9a-f]{2}){8,}/i.exec(text) ?? []
      return run === undefined ? undefined : Buffer.from(run.replace(/0x|[^0-9a-f]/gi, ''), 'hex')
    },
  ],
  [
    'a list of numbers',
    (text) => {
      const [run] = /^[[({]?\s*-?\d{1,3}(?:\s*,\s*-?\d{1,3}){7,}/.exec(text) ?? []
      return run === undefined ? undefined : Buffer.from((run.match(/-?\d+/g) ?? []).map(Number))
    },
  ],
  [
    'quoted-printable text',
    (text) =>
      QUOTED.test(text)
        ? latin1(
            text
              .replace(/=\r?\n/g, '')
              .replace(QUOTED, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
          )
        : undefined,
  ],
]

const IN_JSON: Reading = [
  'JSON around base64',
  (text) => {
    const [, run] =
      /^\{[^]*?"(?:data|content|contents|buffer|body|file|base64|contentBytes)"\s*:\s*"([^"]{12,})/.exec(
        text,
      ) ?? []
    return run === undefined ? undefined : base64Run(run.replace(/^data:[^,]*,/, ''))
  },
]

/** Encodings that are recognized by their first line, each with the pattern of that line. */
const FIRST_LINES: [what: string, start: RegExp][] = [
  ['yEnc text', /^=ybegin .*name=/],
  ['BinHex text', /^\(This file must be converted with BinHex/],
]

/**
 * Returns true for a PDF in quoted-printable encoding. It is recognized by its soft line breaks, as its signature stays
 * readable.
 */
const isQuotedPdf = (head: Buffer, text: string): boolean =>
  sniffContentType(head) === 'application/pdf' && /=\r?\n/.test(text) && /=[0-9A-F]{2}/.test(text)

/**
 * Name of the unsupported encoding of a file; undefined if the bytes are not an encoded file of a known type.
 * @param isJson the file is declared as JSON, so files inside it are allowed
 */
export function unsupportedEncodingOf(bytes: Buffer, isJson: boolean): string | undefined {
  const head = bytes.subarray(0, START)
  if (!looksLikeText(head)) return undefined
  const text = head.toString('latin1').replace(/^(?:\xef\xbb\xbf)?\s*/, '')
  if (sniffContentType(head) !== undefined)
    return isQuotedPdf(head, bytes.toString('latin1', 0, 4 * START)) ? 'quoted-printable text' : undefined
  const line = FIRST_LINES.find(([, start]) => start.test(text))?.[0]
  const readings = isJson ? READINGS : [...READINGS, IN_JSON]
  return line ?? readings.find(([, read]) => isFile(read(text)))?.[0]
}

const isFile = (start: Buffer | undefined): boolean =>
  start !== undefined && sniffContentType(start) !== undefined
