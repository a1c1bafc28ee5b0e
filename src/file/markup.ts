import type { Signature } from './types'

const XML: Signature = { contentType: 'application/xml', family: true }
const HTML: Signature = { contentType: 'text/html', family: true }
const RTF: Signature = { contentType: 'application/rtf' }

/**
 * Signature of markup at the start of a file, in upper or lower case, in UTF-8 or UTF-16, with or without a
 * declaration.
 */
export function markupOf(head: Buffer): Signature | undefined {
  const text = textOf(head)
  if (text === undefined) return undefined
  if (/^\{\\rtf/i.test(text)) return RTF
  if (!text.startsWith('<')) return undefined
  const content = text.replace(PROLOGUE, '')
  if (/^<\?xml[\s?]/i.test(text)) return XML
  if (/^<!doctype\s+html\b/i.test(content) || HTML_TAG.test(content)) return HTML
  return /^<!doctype\s/i.test(content) || isElement(content) ? XML : undefined
}

/** Comments, processing instructions and white space before a document type or the first element. */
const PROLOGUE = /^(?:\s|<!--[\s\S]*?-->|<\?[\s\S]*?\?>)+/

const HTML_TAG =
  /^<(html|head|body|title|meta|link|style|script|table|div|h[1-6]|p|pre|ul|ol|center|font|iframe|form)[\s/>]/i

const ATTRIBUTES = /^<([a-z_][\w.:-]*)((?:\s+[\w.:-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*\/?>/i

/**
 * Returns true if a text begins with an XML element. "<John Smith> wrote" and "<5 mg" do not: an element has attributes
 * or child elements, or is closed.
 */
function isElement(text: string): boolean {
  const [tag, name, attributes] = ATTRIBUTES.exec(text) ?? []
  if (tag === undefined) return false
  const isEmpty = tag.endsWith('/>')
  return (
    attributes !== '' ||
    isEmpty ||
    /^\s*<[a-z_!/?]/i.test(text.slice(tag.length)) ||
    text.includes(`</${name}>`)
  )
}

/**
 * Returns the head (first bytes) of a file as a string, without byte order mark and leading white space; undefined if
 * the file cannot be markup.
 */
function textOf(head: Buffer): string | undefined {
  const [first = 0, second = 0] = head
  const isLittle = (first === 0xff && second === 0xfe) || (first !== 0 && second === 0)
  const isBig = (first === 0xfe && second === 0xff) || (first === 0 && second !== 0)
  const text = isBig
    ? Buffer.from(head.subarray(0, head.length & ~1))
        .swap16()
        .toString('utf16le')
    : head.toString(isLittle ? 'utf16le' : 'utf8')
  const start = text.replace(/^\ufeff?\s*/, '')
  return start.startsWith('<') || start.startsWith('{') ? start : undefined
}
