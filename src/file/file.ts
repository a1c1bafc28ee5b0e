import { createHash } from 'node:crypto'
import { types } from 'node:util'
import { badInput, RedoxError } from '../errors'
import { decodeDataUri, decodeInLines, type DataUri } from './base64'
import {
  contentTypeOfName,
  extensionOfName,
  HEAD_LENGTH,
  lacksSignature,
  lacksText,
  plainType,
  saysNothing,
  sniffContentType,
} from './content-types'
import { cleanFileName, describeReference, emptyFile } from './describe'
import { assertNoWrapper, decode, decodeText, encodingOf, encodingOfText } from './encodings'
import { asBuffer, takeMemory } from './memory'
import { fileObjectOf, type GivenReference } from './objects'
import type { FileHints, FileReference, FileSource, IntakeResult } from './types'

export { cleanFileName } from './describe'
export { takePath } from './path'
export type * from './types'

/**
 * A file out of a message: Buffer, base64 text, `data:` URI, reference, or an object that holds one of them. The kind
 * is decided by the value's type alone.
 * @throws RedoxError REDOX_BAD_INPUT
 */
export function takeFile(value: unknown, hints: FileHints): IntakeResult {
  if (value === undefined || value === null) {
    throw badInput(
      `There is no file in ${hints.where}. Set the node's File field to where the file is (a file that was uploaded to an "http in" node: msg.req.files[0].buffer).`,
    )
  }
  if (typeof value === 'string') return takeText(value, hints)
  // Not `instanceof`: what a Function node makes is of another realm.
  if (types.isUint8Array(value)) return takeBytes(asBuffer(value), hints)
  const found = fileObjectOf(value, hints.where)
  if ('content' in found) return takeFile(found.content, withDefaults(hints, found))
  return takeReference(found.reference, hints)
}

/** What the node is set to goes before what stands with the file. */
const withDefaults = (hints: FileHints, own: Pick<FileHints, 'filename' | 'contentType'>): FileHints => ({
  ...hints,
  ...((hints.filename ?? own.filename) && { filename: hints.filename ?? own.filename }),
  ...((hints.contentType ?? own.contentType) && { contentType: hints.contentType ?? own.contentType }),
})

// ---- Text -------------------------------------------------------------------------------------------------------

/** As often as an encoding is taken off: what is encoded once more is no accident that is understood. */
const MOST_DECODINGS = 2

function takeText(text: string, hints: FileHints): IntakeResult {
  const trimmed = text.trim()
  if (trimmed === '') throw emptyFile(hints)
  if (hints.isText) return takeMemory(Buffer.from(text), hints)
  if (/^https?:\/\//i.test(trimmed)) return takeReference({ url: trimmed }, hints)
  if (trimmed === hints.filename?.trim()) throw noFile(trimmed, hints.where)
  const { bytes, contentType, name } = decodedText(trimmed, hints.where)
  const known = withUri(hints, contentType, name)
  const whole = unwrap(bytes, known, 1)
  const taken = takeMemory(whole.bytes, whole.hints)
  assertMeant(whole.bytes.subarray(0, HEAD_LENGTH), whole.hints, trimmed)
  return { ...taken, warnings: [...whole.warnings, ...taken.warnings] }
}

function decodedText(text: string, where: string): DataUri {
  if (/^data:/i.test(text)) return decodeDataUri(text, where)
  const encoding = encodingOfText(text)
  if (encoding !== undefined) return decodeText(text, encoding, where)
  const bytes = decodeInLines(text)
  if (bytes === undefined) throw noFile(text, where)
  return { bytes }
}

/** What a data: URI says of a file. Its name is a gift: one that cannot be used is not asked for. */
function withUri(hints: FileHints, contentType: string | undefined, name: string | undefined): FileHints {
  const filename = name === undefined || /\p{Cc}/u.test(name) ? undefined : name
  return withDefaults(hints, { ...(contentType && { contentType }), ...(filename && { filename }) })
}

/**
 * Nearly any word is base64 of something: a text is a file only when its bytes prove a type, or when its name or
 * declared type says what it is. They must not say otherwise: `msg.filename` often outlives its `msg.payload`.
 */
function assertMeant(head: Buffer, { where, filename = '', contentType }: FileHints, text: string): void {
  const name = cleanFileName(filename, where)
  const declared = contentType !== undefined && !saysNothing(contentType) ? contentType : undefined
  const hasEnding = extensionOfName(name) !== undefined
  if (sniffContentType(head) === undefined && declared === undefined && !hasEnding) throw noFile(text, where)
  for (const type of [declared, contentTypeOfName(name)]) {
    if (type === undefined || !(lacksSignature(type, head) || lacksText(type, head))) continue
    throw looksLikePath(text)
      ? noFile(text, where)
      : badInput(
          `${where} is a text, and its content type or file name stands for ${plainType(type)}, but what it holds as ` +
            'base64 does not begin like that. Give the file as a Buffer, or correct its name or type (msg.filename may ' +
            'be left from another file).',
        )
  }
}

function looksLikePath(text: string): boolean {
  if (text.length > 1000 || /[\r\n]/.test(text)) return false
  return /^([a-z]:[\\/]|\\\\|\.{0,2}\/|~\/|file:)/i.test(text) || contentTypeOfName(text) !== undefined
}

const noFile = (text: string, where: string): Error =>
  looksLikePath(text)
    ? badInput(
        `${where} is a text that looks like a path, not a file. Set the node's "File from" to a path on this machine ` +
          'and name its folder in the redox-config node (section "Files on this machine"), or put a "read file" node, ' +
          'set to "a single Buffer object", before this node. (The text is not base64 of a known file.)',
      )
    : badInput(
        `${where} is a text and no file: set the "read file" node to "a single Buffer object". (It is not base64 of ` +
          'anything that can be recognized. A file comes as a Buffer, as base64 text or as a data: URI; base64 of a ' +
          'format without a signature needs a content type or a file name with its ending.)',
      )

// ---- Bytes ------------------------------------------------------------------------------------------------------

function takeBytes(bytes: Buffer, hints: FileHints): IntakeResult<FileSource> {
  if (bytes.length === 0) throw emptyFile(hints)
  const whole = unwrap(bytes, hints, 0)
  const taken = takeMemory(whole.bytes, whole.hints)
  return { ...taken, warnings: [...whole.warnings, ...taken.warnings] }
}

interface Unwrapped {
  bytes: Buffer
  hints: FileHints
  warnings: string[]
}

/**
 * Takes the encodings off that bytes prove to be in: a file that is base64 text is not what the receiver can open.
 * @param decodings that were taken off already
 */
function unwrap(given: Buffer, hints: FileHints, decodings: number): Unwrapped {
  if (hints.isText) return { bytes: given, hints, warnings: [] }
  const { where } = hints
  const encoding = encodingOf(given)
  if (encoding === undefined) {
    assertNoWrapper(given, hints)
    return { bytes: given, hints, warnings: [] }
  }
  if (decodings === MOST_DECODINGS)
    throw badInput(
      `${where} is encoded more than twice (${encoding} in another). Give the file's bytes as a Buffer.`,
    )
  const { bytes, contentType, name } = decode(given, encoding, where)
  const whole = unwrap(bytes, withUri(hints, contentType, name), decodings + 1)
  const what = encoding === 'data: URI' ? 'a data: URI' : `${encoding} text`
  return {
    ...whole,
    warnings: [`${where} held ${what} instead of the file's bytes: it was decoded once more`],
  }
}

// ---- References -------------------------------------------------------------------------------------------------

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined

function takeReference(value: GivenReference, hints: FileHints): IntakeResult<FileReference> {
  const filename = hints.filename ?? text(value.name)
  const contentType = hints.contentType ?? text(value.contentType)
  const fileType = hints.fileType ?? text(value.fileType)
  if (contentType === undefined && contentTypeOfName(filename) === undefined) {
    throw badInput(
      `The reference in ${hints.where} comes without a content type. Set the node's Content type, e.g. application/pdf.`,
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

/** The whole of a text file, for notes that carry text instead of a file. */
export async function readText(file: FileSource, where: string): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let read = ''
  try {
    for await (const piece of file.read()) read += decoder.decode(piece, { stream: true })
    return asText(read + decoder.decode(), where)
  } catch (error) {
    if (error instanceof RedoxError) throw error
    throw badInput(
      `${where} is sent as text, but is not UTF-8 text. Convert it, or send it as Base64 Encoded.`,
    )
  }
}

/**
 * A text as a note carries it: without a byte order mark, like that of a file.
 * @throws RedoxError REDOX_BAD_INPUT for a text with a NUL character
 */
export function asText(text: string, where: string): string {
  if (text.includes('\0'))
    throw badInput(
      `${where} is sent as text, but has NUL characters: it is no text, or in UTF-16. Convert it to UTF-8, or send it ` +
        'as Base64 Encoded.',
    )
  return text.startsWith('\ufeff') ? text.slice(1) : text
}

/** sha256 (hex) of all of a file. Other work in the process gets its turn meanwhile. */
export async function sha256Of(file: FileSource): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of file.read()) hash.update(piece)
  return hash.digest('hex')
}
