import { constants } from 'node:fs'
import { lstat, open, readlink, realpath } from 'node:fs/promises'
import path from 'node:path'
import { badFile, badInput, RedoxError } from '../errors'
import { yieldFor } from '../event-loop'
import type { Examination, ByteRange } from './completeness'
import { HEAD_LENGTH } from './content-types'
import { assertNotEncoded } from './encodings'
import { describe, type Described } from './describe'
import { CHUNK_SIZE } from './memory'
import { MIN_REUSABLE_CHUNK, BufferPool } from './buffer-pool'
import { CONTENT, isSame, waitUntilSettled, STATE, WaitingMessage, type FileState } from './settle'
import type { FileDescription, FileHints, FileSource, IntakeResult } from './types'

/** Options for waiting until a file is completely written. */
export interface SettleOptions {
  /** milliseconds for which a file must be unchanged before it is used; 0: no wait */
  settleMs?: number
  /** aborts the wait */
  signal?: AbortSignal
  /** called and awaited after the wait, before the file is opened */
  onSettled?: () => Promise<void>
  /**
   * id of the node that uses the file: if several messages of this node wait for the same file, only the last of them
   * gets the file
   */
  owner?: string
}

export interface PathOptions extends SettleOptions {
  /** timeout for reading one chunk, in milliseconds */
  readMs?: number
}

/**
 * Describes a file on this machine by its first bytes. The file is read in chunks when it is sent. Waits while the file
 * is still being written.
 * @param filePath absolute, or relative to one of the folders
 * @param folders allowed folders (absolute paths); if empty, every path is refused
 * @throws RedoxError REDOX_BAD_INPUT, or the reason of the aborted signal
 */
export async function takePath(
  filePath: unknown,
  hints: FileHints,
  folders: string[],
  { readMs = READ_MS, settleMs = 0, signal, onSettled, owner = '' }: PathOptions = {},
): Promise<IntakeResult<FileSource>> {
  if (typeof filePath !== 'string' || filePath === '') {
    throw badInput(`Path is missing in ${hints.where}. "Read file from" is set to a path on this machine.`)
  }
  if (folders.length === 0) {
    throw badFile(
      'No folder is allowed for paths. Add the folder of the file to the connection (section "Files on this machine").',
      'folder',
    )
  }
  const place = await resolveInside(filePath, hints.where, folders)
  const look = (): Promise<FileState> => lookAt(place.real, hints)
  const waiting = new WaitingMessage(`${owner} ${place.real}`)
  const before = await waitUntilSettled(look, hints, { settleMs, waiting, signal }).finally(() =>
    waiting.leave(),
  )
  await onSettled?.()
  const named = { ...hints, filename: hints.filename ?? path.basename(filePath) }
  const { description, ...result } = await describePath(place, before, named)
  return { file: pathSource(place, before, description, readMs), ...result }
}

/** Path of a file in an allowed folder, and path of this folder, with all symbolic links in both paths resolved. */
interface AllowedPath {
  real: string
  folder: string
}

/** Reads the state of a file by its path, without opening it: a program that is writing the file may have locked it. */
async function lookAt(real: string, hints: FileHints): Promise<FileState> {
  const found = await lstat(real, { bigint: true }).catch(unreadable)
  if (!found.isFile())
    throw badInput(`Path is not a regular file (${hints.where}). Provide the path of a file.`)
  return found
}

async function describePath(place: AllowedPath, before: FileState, hints: FileHints): Promise<Described> {
  const handle = await openAgain(place, before)
  const size = Number(before.size)
  const readAt = async ({ at, length }: ByteRange): Promise<Buffer> => {
    const wanted = Math.max(0, Math.min(length, size - at))
    return wanted === 0 ? Buffer.alloc(0) : readPiece(handle, Buffer.allocUnsafe(wanted), at)
  }
  try {
    const head = await readAt({ at: 0, length: HEAD_LENGTH })
    if (!hints.isText) assertNotEncoded(head, hints)
    return await examineWith(describe(head, size, hints), readAt)
  } catch (error) {
    return unreadable(error)
  } finally {
    await handle.close()
  }
}

async function examineWith<T>(
  examination: Examination<T>,
  readAt: (range: ByteRange) => Promise<Buffer>,
): Promise<T> {
  let step = examination.next()
  while (step.done !== true) step = examination.next(await readAt(step.value))
  return step.value
}

// Timeout for opening and closing a file, in milliseconds: more than a working disk or network share needs. An
// unreachable share would otherwise block a message and its slot forever.
const READ_MS = 60_000

const unreadable = (error: unknown): never => {
  if (error instanceof RedoxError) throw error
  const { code } = error as { code?: unknown }
  throw badInput(`File cannot be read (${String(code)}). Check the permissions of the file.`)
}

// ---- Opening ----------------------------------------------------------------------------------------------------

// A user with write access to the folder can replace the file at any time: by a link to a file outside the folder, or
// by a FIFO, whose opening would block one of the few file-system threads. O_NOFOLLOW and O_NONBLOCK prevent this. On
// Windows both are undefined, which has no effect.
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/**
 * System error codes of opening a file that was replaced after it was found: the path is missing, a link or a socket,
 * or no longer inside a directory.
 */
const EXCHANGED = new Set(['ENOENT', 'ELOOP', 'EMLINK', 'ENXIO', 'ENOTDIR'])

/**
 * Opens a file whose state was read before.
 * @throws RedoxError REDOX_BAD_INPUT if the file was replaced or changed, or is no longer inside its folder
 */
async function openAgain(place: AllowedPath, before: FileState): Promise<FileHandle> {
  const handle = await open(place.real, FLAGS).catch((error: unknown) => {
    throw EXCHANGED.has(String((error as { code?: unknown }).code)) ? changed() : unreadable(error)
  })
  try {
    await assertUnchanged(handle, before)
    if (!(await isInside(handle, place))) throw changed()
    return handle
  } catch (error) {
    await handle.close()
    return unreadable(error)
  }
}

/**
 * Returns true if an open file is inside its folder, although a parent directory may have been replaced by a link.
 * Linux returns the path of an open file; on other systems the path is resolved once more.
 */
async function isInside(file: FileHandle, place: AllowedPath): Promise<boolean> {
  const real = await pathOf(file).catch(() => undefined)
  if (real === undefined) return isStillThere(file, place)
  const folder = await open(place.folder, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    return isBelow(await pathOf(folder), real)
  } finally {
    await folder.close()
  }
}

const isStillThere = async (file: FileHandle, { real }: AllowedPath): Promise<boolean> =>
  (await realpath(real)) === real && isSame(await lstat(real, { bigint: true }), await look(file))

const pathOf = (handle: FileHandle): Promise<string> => readlink(`/proc/self/fd/${handle.fd}`)

function isBelow(folder: string, file: string): boolean {
  const inside = path.relative(folder, file)
  const isOutside = inside.split(path.sep)[0] === '..' || path.isAbsolute(inside)
  return inside !== '' && !isOutside
}

const look = (handle: FileHandle): Promise<FileState> => handle.stat({ bigint: true })

async function assertUnchanged(handle: FileHandle, before: FileState): Promise<void> {
  const after = await look(handle)
  if (!after.isFile() || !isSame(after, before)) throw changed()
}

/**
 * Throws if the content of an open file has changed. A file that was deleted after it was opened has a different ctime,
 * but is still read to the end.
 */
async function assertSameContent(handle: FileHandle, before: FileState): Promise<void> {
  const after = await look(handle)
  if (!isSame(after, before, after.nlink === before.nlink ? STATE : CONTENT)) throw changed()
}

// ---- Resolving --------------------------------------------------------------------------------------------------

async function resolveInside(filePath: string, where: string, folders: string[]): Promise<AllowedPath> {
  for (const folder of folders) {
    const real = await existing(path.resolve(folder, filePath))
    const base = await realpath(folder).catch(() => undefined)
    if (real === undefined || base === undefined) continue
    if (isBelow(base, real)) return { real, folder: base }
  }
  // The error is the same for a missing file and a file outside the folders, so that a message cannot be used to find
  // out which files exist.
  throw badInput(
    `File not found (path in ${where}): it is not a file in the folders that the connection allows. Check the path and the folders.`,
  )
}

/**
 * Resolves a path whose names may be in either Unicode form: macOS and some shares store `ü` as two characters (NFD),
 * most programs use one (NFC). Returns undefined if the path does not exist.
 */
async function existing(absolute: string): Promise<string | undefined> {
  const found = await realpath(absolute).catch(() => undefined)

  if (found !== undefined || /^[\0-\x7f]*$/.test(absolute)) return found
  const { root } = path.parse(absolute)
  let place = root
  for (const part of absolute.slice(root.length).split(path.sep)) {
    const forms = [...new Set([part, part.normalize('NFC'), part.normalize('NFD')])]
    const there = await Promise.all(forms.map((form) => isThere(path.join(place, form))))
    const form = forms.find((_, index) => there[index])
    if (form === undefined) return undefined
    place = path.join(place, form)
  }
  return realpath(place).catch(() => undefined)
}

const isThere = (name: string): Promise<boolean> =>
  lstat(name).then(
    () => true,
    () => false,
  )

// ---- Reading ----------------------------------------------------------------------------------------------------

function pathSource(
  place: AllowedPath,
  before: FileState,
  description: FileDescription,
  readMs: number,
): FileSource {
  const size = Number(before.size)
  return {
    kind: 'file',
    ...description,
    size,
    inMemory: false,
    async *read() {
      const handle = await opened(openAgain(place, before), readMs)
      const scratch = pieces.acquire()
      const read = (piece: Buffer, position: number): Promise<Buffer> =>
        inTime(readPiece(handle, piece, position).catch(unreadable), readMs)
      let last: Buffer
      try {
        let at = 0
        for (; size - at > CHUNK_SIZE; at += CHUNK_SIZE) {
          const piece = await read(scratch, at)
          await yieldFor(piece.length)
          yield piece
        }
        const rest = size - at
        last = await read(
          rest < MIN_REUSABLE_CHUNK ? Buffer.allocUnsafe(rest) : scratch.subarray(0, rest),
          at,
        )
        // The file is checked before the last chunk is yielded. If the file has changed, the request remains
        // incomplete, so the server cannot accept it.
        await inTime(assertSameContent(handle, before), readMs)
      } finally {
        // close() waits for a read that hangs, so it has a timeout, too.
        await inTime(handle.close(), CLOSE_MS).catch(() => undefined)
      }
      // The file is closed before the last chunk is yielded: if the body were still being read when the response comes,
      // undici would close the kept-alive socket.
      await yieldFor(last.length)
      yield last
      pieces.release(scratch)
    },
  }
}

/** Waits until a file is opened. If a timeout ends the wait, the file is closed as soon as it has been opened. */
async function opened(opening: Promise<FileHandle>, milliseconds: number): Promise<FileHandle> {
  try {
    return await inTime(opening, milliseconds)
  } catch (error) {
    opening.then((handle) => handle.close()).catch(() => undefined)
    throw error
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

const pieces = new BufferPool(CHUNK_SIZE)

/** Fills a buffer with the bytes of a file from a position on. */
async function readPiece(handle: FileHandle, piece: Buffer, position: number): Promise<Buffer> {
  for (let filled = 0; filled < piece.length;) {
    const { bytesRead } = await handle.read(piece, filled, piece.length - filled, position + filled)
    if (bytesRead === 0) throw changed()
    filled += bytesRead
  }
  return piece
}

const stalled = (): Error =>
  badInput(
    'File cannot be read to its end: the disk or the share does not answer. Send it again when it does.',
  )

const changed = (): Error =>
  badInput('File changed while it was read from the disk. Send it when it is complete.')
