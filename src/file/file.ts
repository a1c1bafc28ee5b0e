import { createHash } from 'node:crypto'
import { types } from 'node:util'
import { badFile, badInput, formatSize, RedoxError, tooLargeError } from '../errors'
import { yieldFor } from '../event-loop'
import { unseenFile } from './accepted-types'
import { decodeDataUri, decodeInLines, type DataUri } from './base64'
import {
  contentTypeOfName,
  extensionOfName,
  hasOtherCharset,
  HEAD_LENGTH,
  lacksSignature,
  lacksText,
  plainType,
  isUninformative,
  sniffContentType,
} from './content-types'
import { cleanFileName, describeReference, emptyFile } from './describe'
import { assertNoWrapper, decode, decodeText, encodingOf, encodingOfText } from './encodings'
import { fingerprint } from './fingerprint'
import { asBuffer, overwritten, takeMemory } from './memory'
import { fileObjectOf, WrittenBuffer, type GivenReference } from './file-objects'
import { trimmed, utf8Of, type Text } from './text'
import type { FileHints, FileReference, FileSource, IntakeResult } from './types'

export { cleanFileName } from './describe'
export { takeMemory } from './memory'
export { takePath } from './path'
export type * from './types'

/**
 * Takes a file from a message: a Buffer, a base64 string, a `data:` URI, a reference, or an object that contains one of
 * these. Only the type of the value decides.
 * @throws RedoxError REDOX_BAD_INPUT, REDOX_TOO_LARGE
 */
export async function takeFile(value: unknown, hints: FileHints): Promise<IntakeResult> {
  if (value === undefined || value === null) {
    throw badInput(
      `File is missing: there is none in ${hints.where}. Set the File field to where the file is. A file that was uploaded to an "http in" node is in msg.req.files[0].buffer.`,
    )
  }
  if (typeof value === 'string') return takeText(value, hints)
  // `instanceof` is not used: values from a Function node belong to another realm (VM context).
  if (types.isUint8Array(value)) return takeBytes(asBuffer(value), hints)
  if (value instanceof WrittenBuffer) return takeBytes(await bytesOf(value, hints), hints)
  const found = fileObjectOf(value, hints.where)
  if ('content' in found) return takeFile(found.content, withDefaults(hints, found))
  return takeReference(found.reference, hints)
}

/** Adds the file's own name and type to the hints. Settings of the node have priority. */
const withDefaults = (hints: FileHints, own: Pick<FileHints, 'filename' | 'contentType'>): FileHints => ({
  ...hints,
  ...((hints.filename ?? own.filename) && { filename: hints.filename ?? own.filename }),
  ...((hints.contentType ?? own.contentType) && { contentType: hints.contentType ?? own.contentType }),
})

// ---- Text -------------------------------------------------------------------------------------------------------

/** Maximum number of nested encodings that are removed. A deeper nesting indicates a mistake in the flow. */
const MOST_DECODINGS = 2

/** Number of characters that are examined at the start of a string. */
const START = 5000

async function takeText(whole: string, hints: FileHints): Promise<IntakeResult> {
  assertWithin(whole.length, hints)
  const text = await trimmed(whole)
  if (text.length === 0) throw emptyFile(hints)
  if (hints.isText) return takeMemory(await utf8Of(whole), hints)
  const start = text.slice(0, START)
  if (/^https?:\/\//i.test(start)) return takeReference({ url: text.slice(0, text.length) }, hints)
  if (text.length < START && start === hints.filename?.slice(0, START).trim())
    throw noFile(start, hints.where)
  const { bytes, contentType, name } = await decodedText(text, start, hints.where)
  const found = await unwrap(bytes, withUri(hints, contentType, name), 1)
  const taken = takeMemory(found.bytes, found.hints)
  assertPlausible(found.bytes.subarray(0, HEAD_LENGTH), found.hints, start)
  return { ...taken, warnings: [...found.warnings, ...taken.warnings] }
}

/** Maximum number of characters that encode one byte: three, in percent-encoding. */
const CHARACTERS_PER_BYTE = 3
/** Number of additional characters that are allowed for the part of a `data:` URI before its content. */
const MARGIN = 10_000

/**
 * Throws, before decoding, if the length of a string shows that it encodes more bytes than a file may have.
 * @throws RedoxError REDOX_TOO_LARGE
 */
function assertWithin(length: number, { where, maxBytes = Infinity, isText }: FileHints): void {
  if (length <= (isText ? maxBytes : maxBytes * CHARACTERS_PER_BYTE + MARGIN)) return
  throw tooLargeError(
    `File too large: ${where} is text of ${formatSize(length)}, and the connection allows files of ` +
      `${formatSize(maxBytes)}. Make the file smaller, or provide it as a Buffer or a path.`,
  )
}

async function decodedText(text: Text, start: string, where: string): Promise<DataUri> {
  if (/^data:/i.test(start)) return decodeDataUri(text, where)
  const encoding = encodingOfText(text)
  if (encoding !== undefined) return decodeText(text, encoding, where)
  const bytes = await decodeInLines(text)
  if (bytes === undefined) throw noFile(start, where)
  return { bytes }
}

/**
 * Adds the content type and the name from a data: URI to the hints. An invalid name is ignored and causes no error,
 * because it is optional.
 */
function withUri(hints: FileHints, contentType: string | undefined, name: string | undefined): FileHints {
  const filename = name === undefined || /\p{Cc}/u.test(name) ? undefined : name
  return withDefaults(hints, { ...(contentType && { contentType }), ...(filename && { filename }) })
}

/**
 * Throws for a string that is probably not a file. Nearly any word is valid base64, so a string counts as a file only
 * if the decoded bytes have a known signature, or if the file name or the declared type gives a content type. Both must
 * not contradict the bytes: `msg.filename` is often left over from an earlier file.
 */
function assertPlausible(head: Buffer, { where, filename = '', contentType }: FileHints, text: string): void {
  const name = cleanFileName(filename, where)
  const declared = contentType !== undefined && !isUninformative(contentType) ? contentType : undefined
  const hasEnding = extensionOfName(name) !== undefined
  if (sniffContentType(head) === undefined && declared === undefined && !hasEnding) throw noFile(text, where)
  // The declared type may contain a charset, a file name does not.
  const isOtherText = declared !== undefined && hasOtherCharset(declared)
  for (const type of [declared, contentTypeOfName(name)]) {
    if (type === undefined) continue
    if (!lacksSignature(type, head) && (isOtherText || !lacksText(type, head))) continue
    throw looksLikePath(text)
      ? noFile(text, where)
      : badInput(
          `Text is not ${plainType(type)}, although the content type or the file name of ${where} says so. Provide the ` +
            'file as a Buffer, or correct its name or type. msg.filename may be left over from another file.',
        )
  }
}

function looksLikePath(text: string): boolean {
  if (text.length > 1000 || /[\r\n]/.test(text)) return false
  return /^([a-z]:[\\/]|\\\\|\.{0,2}\/|~\/|file:)/i.test(text) || contentTypeOfName(text) !== undefined
}

const capitalized = (where: string): string => where.replace(/^the /, 'The ')

const noFile = (text: string, where: string): Error =>
  looksLikePath(text)
    ? badFile(
        `${capitalized(where)} is a path, not a file. Set "Read file from" to a path on this machine, and add its folder to the connection ` +
          '(section "Files on this machine"). Or put a "read file" node before this node, and set it to "a single Buffer ' +
          'object". (The text is not base64 of a known file.)',
        'path',
      )
    : badFile(
        `${capitalized(where)} is text, not a file. Set the "read file" node to "a single Buffer object". After an "http in" node, ` +
          'select "Accept file uploads" there and use msg.req.files[0].buffer, or select "Do not parse request body" ' +
          'for a raw body. (The text is not base64 of a known format. Base64 of a format without a signature needs a ' +
          'content type or a file name.)',
        'text',
      )

// ---- Bytes ------------------------------------------------------------------------------------------------------

async function takeBytes(bytes: Buffer, hints: FileHints): Promise<IntakeResult<FileSource>> {
  if (bytes.length === 0) throw emptyFile(hints)
  const now = fingerprint(bytes)
  const before = hints.fingerprints?.of(bytes) ?? now
  // The fingerprint is compared first: if another node has changed the bytes, other checks would fail with a misleading
  // error.
  if (now !== before) throw overwritten()
  const isChanged = (): boolean => fingerprint(bytes) !== before
  const whole = await unwrap(bytes, hints, 0).catch((error: unknown) => {
    throw isChanged() ? overwritten() : error
  })
  // The decoded bytes are a copy, which later checks cannot compare with the original. So the fingerprint of the
  // original is compared once more.
  if (whole.bytes !== bytes && isChanged()) throw overwritten()
  const taken = takeMemory(whole.bytes, whole.hints)
  return { ...taken, warnings: [...whole.warnings, ...taken.warnings] }
}

/** Number of values that are copied without letting the event loop run. */
const STEP = 64 * 1024

/** Converts a Buffer that was serialized as JSON to bytes. */
async function bytesOf({ data }: WrittenBuffer, hints: FileHints): Promise<Buffer> {
  assertWithin(data.length, hints)
  const bytes = Buffer.alloc(data.length)
  for (let from = 0; from < data.length; from += STEP) {
    await yieldFor(STEP)
    for (let at = from; at < Math.min(from + STEP, data.length); at++) {
      const one = data[at]
      bytes[at] = one as number
      if (bytes[at] !== one)
        throw badInput(
          `Buffer is damaged: ${hints.where} is a Buffer written as JSON, and some of its values are not bytes.`,
        )
    }
  }
  return bytes
}

interface Unwrapped {
  bytes: Buffer
  hints: FileHints
  warnings: string[]
}

/**
 * Removes the text encodings of a file, because the receiver cannot open a file that is base64 text.
 * @param decodings number of encodings that were removed already
 */
async function unwrap(given: Buffer, hints: FileHints, decodings: number): Promise<Unwrapped> {
  if (hints.isText) return { bytes: given, hints, warnings: [] }
  const { where } = hints
  const encoding = encodingOf(given)
  if (encoding === undefined) {
    assertNoWrapper(given, hints)
    return { bytes: given, hints, warnings: [] }
  }
  if (decodings === MOST_DECODINGS)
    throw badInput(
      `File is encoded too often: ${where} is encoded more than twice (last ${encoding}). Provide the bytes of the file as a Buffer.`,
    )
  assertWithin(given.length, hints)
  const { bytes, contentType, name } = await decode(given, encoding, where)
  const whole = await unwrap(bytes, withUri(hints, contentType, name), decodings + 1)
  const what = encoding === 'data: URI' ? 'a data: URI' : `${encoding} text`
  return {
    ...whole,
    warnings: [`${where} contained ${what} instead of the bytes of the file. It was decoded.`],
  }
}

// ---- References -------------------------------------------------------------------------------------------------

const filled = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined

function takeReference(value: GivenReference, hints: FileHints): IntakeResult<FileReference> {
  if (hints.accepted !== undefined) throw unseenFile(hints.where, hints.accepted)
  const filename = hints.filename ?? filled(value.name)
  const contentType = hints.contentType ?? filled(value.contentType)
  const fileType = hints.fileType ?? filled(value.fileType)
  if (contentType === undefined && contentTypeOfName(filename) === undefined) {
    throw badInput(
      `Content type is missing: the file reference in ${hints.where} has none. Fill in the Content type field, e.g. application/pdf.`,
    )
  }
  const { description, warnings } = describeReference({
    ...hints,
    ...(filename !== undefined && { filename }),
    ...(contentType !== undefined && { contentType }),
    ...(fileType !== undefined && { fileType }),
  })
  const { size, sha256, upload } = value
  return {
    file: {
      kind: 'reference',
      ...description,
      url: value.url,
      ...(typeof size === 'number' && { size }),
      ...(typeof sha256 === 'string' && { sha256 }),
      ...((upload === 'blob' || upload === 'binary') && { upload }),
    },
    warnings,
  }
}

/** Reads a whole text file, for a Notes message that contains text instead of a file. */
export async function readText(file: FileSource, where: string): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let read = ''
  try {
    for await (const piece of file.read()) read += decoder.decode(piece, { stream: true })
    return noteText(read + decoder.decode(), where)
  } catch (error) {
    if (error instanceof RedoxError) throw error
    throw badInput(
      `Text is not UTF-8: ${where} cannot be sent as text. Convert it to UTF-8, or set "Note format" to "Base64 Encoded".`,
    )
  }
}

/**
 * Prepares the text of a Notes message: removes the byte order mark, as is done for a text file.
 * @throws RedoxError REDOX_BAD_INPUT if the text contains a NUL character
 */
export function noteText(text: string, where: string): string {
  if (text.includes('\0'))
    throw badInput(
      `Text has NUL characters: ${where} is not text, or it is UTF-16. Convert it to UTF-8, or set "Note format" to "Base64 Encoded".`,
    )
  return text.startsWith('\ufeff') ? text.slice(1) : text
}

/** SHA-256 (hex) of a whole file. The event loop runs between the chunks. */
export async function sha256Of(file: FileSource): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of file.read()) hash.update(piece)
  return hash.digest('hex')
}
