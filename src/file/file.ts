import { createHash } from 'node:crypto'
import { open, realpath, stat } from 'node:fs/promises'
import path from 'node:path'
import { types } from 'node:util'
import { badInput, RedoxError } from '../errors'
import { decodeBase64, decodeDataUri, decodeTwice } from './base64'
import { END_LENGTH, endWarnings, tablePosition, type Ends } from './completeness'
import {
  contentTypeOfName,
  detectContentType,
  extensionFor,
  fileTypeOf,
  HEAD_LENGTH,
  isContentType,
  plainType,
} from './content-types'
import { DRAINED_FROM, Scratch } from './scratch'
import { turn } from '../turns'

/** What is known of a file without reading all of it. Sizes in bytes. */
export interface FileDescription {
  contentType: string
  /** Redox `FileType`, e.g. `PDF` (facts section 7) */
  fileType?: string
  /** base name, no path parts, no control characters */
  name: string
  /** nobody named the file: `name` is made up */
  unnamed?: true
}

/** A file whose bytes can be read, as often as needed: a repeated request reads them again. */
export interface FileSource extends FileDescription {
  kind: 'file'
  size: number
  /** its bytes are held in memory, not on the disk */
  inMemory: boolean
  /**
   * The file, piece by piece. Each is good until the next is asked for; what is handed to a socket as it is, until it
   * has drained. All but the last have a multiple of 3 bytes, so that their base64 can be joined.
   */
  read(): AsyncIterable<Buffer>
}

/** A file that was uploaded before: what `redox-upload` puts into `msg.payload`. Plain data. */
export interface FileReference extends FileDescription {
  kind: 'reference'
  /** the reference as Redox gave it: blob `URI` or Binary `Location` */
  url: string
  size?: number
  sha256?: string
  /** which upload made it */
  upload?: 'blob' | 'binary'
}

export type MessageFile = FileSource | FileReference

/** What a node's settings and the message say of a file, beside the file itself. */
export interface FileHints {
  filename?: string
  contentType?: string
  fileType?: string
  /** where the file was taken from, for error texts, e.g. `msg.payload` */
  where: string
}

export interface IntakeResult<T extends MessageFile = MessageFile> {
  file: T
  /** worth telling, not worth stopping for; without patient data */
  warnings: string[]
}

/**
 * Base name without path parts: `msg.filename` of a "file in" node is a whole path, and a path must not
 * travel into a chart or a multipart header.
 */
export function cleanFileName(name: string, where: string): string {
  if (/\p{Cc}/u.test(name)) {
    throw badInput(
      `The file name for ${where} has control characters (such as a line break). Give a plain name.`,
    )
  }
  const base = name.split(/[\\/]/).pop()!.trim()
  // Half a surrogate pair has no UTF-8: it would have another name in each place that it travels to.
  return /^\.{1,2}$/.test(base) ? '' : Buffer.from(base, 'utf8').toString('utf8')
}

interface Described {
  description: FileDescription
  warnings: string[]
}

function describe(ends: Ends, hints: FileHints, declaredByFile?: string): Described {
  const given = hints.filename === undefined ? '' : cleanFileName(hints.filename, hints.where)
  const declared = hints.contentType ?? declaredByFile
  if (declared !== undefined && !isContentType(declared)) {
    throw badInput(
      `The content type given for ${hints.where} is not a MIME type. Write one like application/pdf, or leave it empty.`,
    )
  }
  const head = ends.start.subarray(0, HEAD_LENGTH)
  const detected = detectContentType(head, given || undefined, declared)
  if (detected.contradiction !== undefined) {
    throw badInput(
      `${hints.where} is declared as ${plainType(detected.contentType)}, but its first bytes are ${detected.contradiction}. ` +
        'Correct the content type, or leave it empty to have it detected.',
    )
  }
  const contentType = detected.contentType
  const fileType = hints.fileType ?? fileTypeOf(contentType, given)
  return {
    description: {
      contentType,
      ...(fileType !== undefined && { fileType }),
      ...(given === ''
        ? { name: `document.${extensionFor(contentType)}`, unnamed: true as const }
        : { name: given }),
    },
    warnings: [detected.warning ?? [], endWarnings(ends, hints.where)].flat(),
  }
}

/** Views: nothing is copied. */
function endsOf(bytes: Buffer): Ends {
  const ends = { start: bytes.subarray(0, END_LENGTH), end: bytes.subarray(-END_LENGTH) }
  const at = tablePosition(ends)
  return at === undefined ? ends : { ...ends, table: bytes.subarray(at, at + END_LENGTH) }
}

// Larger pieces save no time. A multiple of 3.
const PIECE = 510 * 1024

/** A file in memory. Pieces are views: the bytes are never copied. */
function bufferSource(bytes: Buffer, description: FileDescription): FileSource {
  return {
    kind: 'file',
    ...description,
    size: bytes.length,
    inMemory: true,
    async *read() {
      for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, at + PIECE)
    },
  }
}

/**
 * A file out of a message: Buffer, base64 text, `data:` URI or reference. The kind is decided by the value's
 * type alone.
 * @throws RedoxError REDOX_BAD_INPUT
 */
export function takeFile(value: unknown, hints: FileHints): IntakeResult {
  if (value === undefined || value === null) {
    throw badInput(`There is no file in ${hints.where}. Set the node's File field to where the file is.`)
  }
  if (typeof value === 'string') return takeText(value, hints)
  // Not `instanceof`: what a Function node makes is of another realm.
  if (types.isUint8Array(value)) return takeBytes(asBuffer(value), hints)
  const reference = readReference(value, hints.where)
  if (reference !== undefined) return takeReference(reference, hints)
  throw badInput(
    `${hints.where} is ${describeKind(value)}, which is not a file. ` +
      'Pass a Buffer, base64 text, a data: URI, or the file reference that a redox-upload node emits.',
  )
}

// A Uint8Array is only a view to us: same memory, no copy.
const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const describeKind = (value: unknown): string =>
  Array.isArray(value)
    ? 'an array'
    : typeof value === 'object'
      ? 'an object without a url'
      : `a ${typeof value}`

function takeText(text: string, hints: FileHints): IntakeResult {
  const trimmed = text.trim()
  if (trimmed === '') throw empty(hints)
  if (/^data:/i.test(trimmed)) {
    const { bytes, contentType } = decodeDataUri(trimmed, hints.where)
    return takeBytes(bytes, hints, contentType)
  }
  if (/^https?:\/\//i.test(trimmed)) return takeReference({ url: trimmed }, hints)
  return takeBytes(decodeBase64(trimmed, hints.where), hints)
}

function takeBytes(bytes: Buffer, hints: FileHints, declaredByFile?: string): IntakeResult<FileSource> {
  if (bytes.length === 0) throw empty(hints)
  const inner = decodeTwice(bytes)
  const content = inner ?? bytes
  const { description, warnings } = describe(endsOf(content), hints, declaredByFile)
  return {
    file: bufferSource(content, description),
    warnings: inner
      ? [`${hints.where} held base64 text instead of the file's bytes: it was decoded once more`, ...warnings]
      : warnings,
  }
}

const empty = (hints: FileHints): Error =>
  badInput(`The file in ${hints.where} is empty (0 bytes). Nothing was sent.`)

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined

interface GivenReference extends Record<string, unknown> {
  url: string
}

function readReference(value: unknown, where: string): GivenReference | undefined {
  try {
    const { url, name, contentType, fileType, size, sha256, upload } = value as Record<string, unknown>
    return typeof url === 'string' ? { url, name, contentType, fileType, size, sha256, upload } : undefined
  } catch {
    throw badInput(`${where} is an object that cannot be read: one of its properties fails.`)
  }
}

function takeReference(value: GivenReference, hints: FileHints): IntakeResult<FileReference> {
  const filename = hints.filename ?? text(value.name)
  const contentType = hints.contentType ?? text(value.contentType)
  const fileType = hints.fileType ?? text(value.fileType)
  if (contentType === undefined && contentTypeOfName(filename) === undefined) {
    throw badInput(
      `The reference in ${hints.where} comes without a content type. Set the node's Content type, e.g. application/pdf.`,
    )
  }
  const { description, warnings } = describe(endsOf(Buffer.alloc(0)), {
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

/**
 * A file on this machine, read piece by piece when it is sent.
 * @param filePath absolute, or relative to one of the folders
 * @param folders the only folders that files may come from; absolute. None: no path is accepted.
 * @param readMs milliseconds that a piece of it may take
 * @throws RedoxError REDOX_BAD_INPUT
 */
export async function takePath(
  filePath: unknown,
  hints: FileHints,
  folders: string[],
  readMs = READ_MS,
): Promise<IntakeResult<FileSource>> {
  if (typeof filePath !== 'string' || filePath === '') {
    throw badInput(
      `${hints.where} holds no path. The node is set to read its file from a path on this machine.`,
    )
  }
  if (folders.length === 0) {
    throw badInput(
      'Files can be read from a path only inside the folders named in the redox-config node, and none is named. ' +
        'Add the folder there (section "Files on this machine").',
    )
  }
  const real = await resolveInside(filePath, hints.where, folders)
  const before = await stat(real).catch(unreadable)
  if (!before.isFile()) throw badInput(`The path in ${hints.where} is not a regular file.`)
  if (before.size === 0) throw empty(hints)
  const { description, warnings } = describe(await readEnds(real, before.size).catch(unreadable), {
    ...hints,
    filename: hints.filename ?? path.basename(filePath),
  })
  return { file: pathSource(real, before, description, readMs), warnings }
}

// Longer than any disk or share needs that works. One that is gone would hold a message, and its place, for ever.
const READ_MS = 60_000

const unreadable = (error: unknown): never => {
  const { code } = error as { code?: unknown }
  throw badInput(`The file at the path cannot be read (${String(code)}). Check its permissions.`)
}

async function resolveInside(filePath: string, where: string, folders: string[]): Promise<string> {
  for (const folder of folders) {
    const real = await realpath(path.resolve(folder, filePath)).catch(() => undefined)
    const base = await realpath(folder).catch(() => undefined)
    if (real === undefined || base === undefined) continue
    const inside = path.relative(base, real)
    const isOutside = inside.split(path.sep)[0] === '..' || path.isAbsolute(inside)
    if (inside !== '' && !isOutside) return real
  }
  // One answer for "does not exist" and "lies elsewhere", so that a message cannot probe the disk.
  throw badInput(`The path in ${where} is no file inside the folders that the redox-config node allows.`)
}

async function readEnds(file: string, size: number): Promise<Ends> {
  const handle = await open(file, 'r')
  const readAt = async (position: number): Promise<Buffer> => {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(END_LENGTH), 0, END_LENGTH, position)
    return buffer.subarray(0, bytesRead)
  }
  try {
    const ends = { start: await readAt(0), end: await readAt(Math.max(0, size - END_LENGTH)) }
    const at = tablePosition(ends)
    return at === undefined ? ends : { ...ends, table: await readAt(at) }
  } finally {
    await handle.close()
  }
}

function pathSource(
  file: string,
  before: { size: number; mtimeMs: number },
  description: FileDescription,
  readMs: number,
): FileSource {
  return {
    kind: 'file',
    ...description,
    size: before.size,
    inMemory: false,
    async *read() {
      const opening = open(file, 'r').catch(() => {
        throw changed()
      })
      const handle = await inTime(opening, readMs)
      const scratch = pieces.take()
      const read = (piece: Buffer, position: number): Promise<Buffer> =>
        inTime(readPiece(handle, piece, position), readMs)
      let last: Buffer
      try {
        let at = 0
        for (; before.size - at > PIECE; at += PIECE) yield await read(scratch, at)
        const rest = before.size - at
        last = await read(rest < DRAINED_FROM ? Buffer.allocUnsafe(rest) : scratch.subarray(0, rest), at)
        // Looked at before the last piece leaves: a request that lacks bytes is never taken for complete.
        await inTime(assertUnchanged(handle, before), readMs)
      } finally {
        // It waits for a read that hangs.
        await inTime(handle.close(), CLOSE_MS).catch(() => undefined)
      }
      // Closed before the last piece: a body that still runs when the answer comes costs the kept-alive socket.
      yield last
      pieces.give(scratch)
    },
  }
}

const CLOSE_MS = 1000

async function inTime<T>(task: Promise<T>, milliseconds: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(stalled()), milliseconds)
  })
  try {
    return await Promise.race([task, late])
  } finally {
    clearTimeout(timer)
  }
}

type FileHandle = Awaited<ReturnType<typeof open>>

const pieces = new Scratch(PIECE)

/** Fills the piece. */
async function readPiece(handle: FileHandle, piece: Buffer, position: number): Promise<Buffer> {
  for (let filled = 0; filled < piece.length;) {
    const { bytesRead } = await handle.read(piece, filled, piece.length - filled, position + filled)
    if (bytesRead === 0) throw changed()
    filled += bytesRead
  }
  return piece
}

async function assertUnchanged(handle: FileHandle, before: { size: number; mtimeMs: number }): Promise<void> {
  const after = await handle.stat()
  if (after.size !== before.size || after.mtimeMs !== before.mtimeMs) throw changed()
}

const stalled = (): Error =>
  badInput(
    'The file could not be read on, so it was not sent: its disk or share does not answer. Send it when it does.',
  )

const changed = (): Error =>
  badInput('The file changed on the disk while it was read, so it was not sent. Send it when it is complete.')

/** The whole of a text file, for notes that carry text instead of a file. */
export async function readText(file: FileSource, where: string): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let read = ''
  try {
    for await (const piece of file.read()) read += decoder.decode(piece, { stream: true })
    return read + decoder.decode()
  } catch (error) {
    if (error instanceof RedoxError) throw error
    throw badInput(
      `${where} is sent as text, but is not UTF-8 text. Convert it, or send it as Base64 Encoded.`,
    )
  }
}

/** sha256 (hex) of all of a file. Other work in the process gets its turn meanwhile. */
export async function sha256Of(file: FileSource): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of file.read()) {
    await turn(piece.length)
    hash.update(piece)
  }
  return hash.digest('hex')
}
