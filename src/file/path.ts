import { constants, type BigIntStats } from 'node:fs'
import { lstat, open, readlink, realpath } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { badFile, badInput, RedoxError } from '../errors'
import { turn } from '../event-loop'
import type { Examination, Range } from './completeness'
import { HEAD_LENGTH } from './content-types'
import { assertNotEncoded } from './encodings'
import { describe, emptyFile, type Described } from './describe'
import { PIECE } from './memory'
import { DRAINED_FROM, Scratch } from './scratch'
import type { FileDescription, FileHints, FileSource, IntakeResult } from './types'

/** How long a file is waited for that is still being written. */
export interface Settling {
  /** milliseconds that it must have stood still for; 0: it is taken as it is */
  settleMs?: number
  /** ends the wait */
  signal?: AbortSignal
  /** awaited when the file has stood still, before it is opened */
  onSettled?: () => Promise<void>
  /** the node that takes the file: of several messages of it that wait for one file, the last takes it */
  owner?: string
}

export interface PathOptions extends Settling {
  /** milliseconds that a piece of it may take */
  readMs?: number
}

/**
 * A file on this machine, read piece by piece when it is sent. One that is still being written is waited for.
 * @param filePath absolute, or relative to one of the folders
 * @param folders the only folders that files may come from; absolute. None: no path is accepted.
 * @throws RedoxError REDOX_BAD_INPUT, and the signal's reason
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
  const look = (): Promise<Look> => lookAt(place.real, hints)
  const waiting = new WaitingMessage(`${owner} ${place.real}`)
  const before = await settled(look, hints, { settleMs, waiting, signal }).finally(() => waiting.leave())
  await onSettled?.()
  const named = { ...hints, filename: hints.filename ?? path.basename(filePath) }
  const { description, ...told } = await describePath(place, before, named)
  return { file: pathSource(place, before, description, readMs), ...told }
}

/** A file inside an allowed folder, both without links. */
interface Place {
  real: string
  folder: string
}

/** What a look at a file tells: which file it is, and its state. Times by the clock of its disk. */
type Look = BigIntStats

/** By its name, without opening it: the program that writes it may have it for itself. */
async function lookAt(real: string, hints: FileHints): Promise<Look> {
  const found = await lstat(real, { bigint: true }).catch(unreadable)
  if (!found.isFile())
    throw badInput(`Path is not a regular file (${hints.where}). Provide the path of a file.`)
  return found
}

/** A file that is written to for as long is none that a node can wait for. */
const MOST_SETTLE_MS = 60_000

interface Wait {
  settleMs: number
  waiting: WaitingMessage
  signal: AbortSignal | undefined
}

/**
 * The file when it has stood still: when neither its size nor its times changed for so long. A file that is still being
 * written would be sent in part, and once more with each part. Its times are compared with this machine's clock only to
 * tell that it is old: a share's clock may be ahead.
 */
async function settled(
  look: () => Promise<Look>,
  hints: FileHints,
  { settleMs, waiting, signal }: Wait,
): Promise<Look> {
  const began = performance.now()
  const first = await look()
  let before = first
  for (;;) {
    const age = Math.max(0, Date.now() - Number(latest(before.mtimeMs, before.ctimeMs)))
    if (age < settleMs) await sleep(settleMs - age, undefined, { ...(signal && { signal }) })
    const after = age < settleMs ? await look() : before
    if (!isSame(after, first) && waiting.hasSuccessor) throw superseded(hints)
    if (isSame(after, before)) break
    if (performance.now() - began >= MOST_SETTLE_MS) throw stillWritten(hints)
    before = after
  }
  if (before.size === 0n) throw emptyFile(hints)
  return before
}

/**
 * A message that waits for a file. A node that watches a folder sends a message for each part that is written to a file:
 * each would send the whole file in the end.
 */
class WaitingMessage {
  static readonly #files = new Map<string, { count: number; last: number }>()
  readonly #file: { count: number; last: number }
  readonly #number: number

  /** @param key of the node and the file */
  constructor(private readonly key: string) {
    this.#file = WaitingMessage.#files.get(key) ?? { count: 0, last: 0 }
    WaitingMessage.#files.set(key, this.#file)
    this.#file.count++
    this.#number = ++this.#file.last
  }

  /** Whether another message of the node came later for the same file. */
  get hasSuccessor(): boolean {
    return this.#file.last > this.#number
  }

  leave(): void {
    if (--this.#file.count === 0) WaitingMessage.#files.delete(this.key)
  }
}

const superseded = ({ where }: FileHints): Error =>
  badInput(
    `File is sent with a later message: it changed after this message arrived, and the later message has the same path ` +
      `(${where}). This message needs no action.`,
  )

const latest = (one: bigint, other: bigint): bigint => (one > other ? one : other)

/** The same file, as it was: a program may set the size and the time of a change back, but not the ctime. */
const isSame = (one: Look, other: Look, parts: readonly (keyof Look)[] = STATE): boolean =>
  parts.every((part) => one[part] === other[part])

const CONTENT = ['dev', 'ino', 'size', 'mtimeNs'] as const
const STATE = [...CONTENT, 'ctimeNs'] as const

const stillWritten = ({ where }: FileHints): Error =>
  badInput(
    `File is still being written: it kept changing for 60 s (path in ${where}). Send it when it is complete. Have the program ` +
      'that writes it move it into the folder when it is complete.',
  )

async function describePath(place: Place, before: Look, hints: FileHints): Promise<Described> {
  const handle = await openAgain(place, before)
  const size = Number(before.size)
  const readAt = async ({ at, length }: Range): Promise<Buffer> => {
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
  readAt: (range: Range) => Promise<Buffer>,
): Promise<T> {
  let step = examination.next()
  while (step.done !== true) step = examination.next(await readAt(step.value))
  return step.value
}

// Longer than any disk or share needs that works. One that is gone would hold a message, and its place, for ever.
const READ_MS = 60_000

const unreadable = (error: unknown): never => {
  if (error instanceof RedoxError) throw error
  const { code } = error as { code?: unknown }
  throw badInput(`File cannot be read (${String(code)}). Check the permissions of the file.`)
}

// ---- Opening ----------------------------------------------------------------------------------------------------

// A path is a name, and what it names can be exchanged at any time by a user who may write into the folder: for a link
// that leads out of it, or for a FIFO, whose opening would hold one of the few threads for files until it is written to.
// Windows has neither flag: they are undefined there, which adds nothing.
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** What opening tells when something else stands at the path: nothing, a link, a socket, no directory on the way. */
const EXCHANGED = new Set(['ENOENT', 'ELOOP', 'EMLINK', 'ENXIO', 'ENOTDIR'])

/**
 * Opens a file that was looked at before.
 * @throws RedoxError REDOX_BAD_INPUT when it is not the same file any more, as it was, inside its folder
 */
async function openAgain(place: Place, before: Look): Promise<FileHandle> {
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
 * Whether an open file is inside its folder: any directory on the way to it may have been exchanged for a link. The
 * kernel of Linux knows where what is open is. Elsewhere the path is resolved once more.
 */
async function isInside(file: FileHandle, place: Place): Promise<boolean> {
  const real = await pathOf(file).catch(() => undefined)
  if (real === undefined) return isStillThere(file, place)
  const folder = await open(place.folder, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    return isBelow(await pathOf(folder), real)
  } finally {
    await folder.close()
  }
}

const isStillThere = async (file: FileHandle, { real }: Place): Promise<boolean> =>
  (await realpath(real)) === real && isSame(await lstat(real, { bigint: true }), await look(file))

const pathOf = (handle: FileHandle): Promise<string> => readlink(`/proc/self/fd/${handle.fd}`)

function isBelow(folder: string, file: string): boolean {
  const inside = path.relative(folder, file)
  const isOutside = inside.split(path.sep)[0] === '..' || path.isAbsolute(inside)
  return inside !== '' && !isOutside
}

const look = (handle: FileHandle): Promise<Look> => handle.stat({ bigint: true })

async function assertUnchanged(handle: FileHandle, before: Look): Promise<void> {
  const after = await look(handle)
  if (!after.isFile() || !isSame(after, before)) throw changed()
}

/** What is open is read to its end also when its name is gone meanwhile, which changes its ctime. */
async function assertSameContent(handle: FileHandle, before: Look): Promise<void> {
  const after = await look(handle)
  if (!isSame(after, before, after.nlink === before.nlink ? STATE : CONTENT)) throw changed()
}

// ---- Resolving --------------------------------------------------------------------------------------------------

async function resolveInside(filePath: string, where: string, folders: string[]): Promise<Place> {
  for (const folder of folders) {
    const real = await existing(path.resolve(folder, filePath))
    const base = await realpath(folder).catch(() => undefined)
    if (real === undefined || base === undefined) continue
    if (isBelow(base, real)) return { real, folder: base }
  }
  // One answer for "does not exist" and "lies elsewhere", so that a message cannot probe the disk.
  throw badInput(
    `File not found (path in ${where}): it is not a file in the folders that the connection allows. Check the path and the folders.`,
  )
}

/**
 * The resolved path, of a name in either Unicode form: macOS and some shares keep `ü` as two characters (NFD), most
 * programs write it as one (NFC).
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

function pathSource(place: Place, before: Look, description: FileDescription, readMs: number): FileSource {
  const size = Number(before.size)
  return {
    kind: 'file',
    ...description,
    size,
    inMemory: false,
    async *read() {
      const handle = await opened(openAgain(place, before), readMs)
      const scratch = pieces.take()
      const read = (piece: Buffer, position: number): Promise<Buffer> =>
        inTime(readPiece(handle, piece, position).catch(unreadable), readMs)
      let last: Buffer
      try {
        let at = 0
        for (; size - at > PIECE; at += PIECE) {
          const piece = await read(scratch, at)
          await turn(piece.length)
          yield piece
        }
        const rest = size - at
        last = await read(rest < DRAINED_FROM ? Buffer.allocUnsafe(rest) : scratch.subarray(0, rest), at)
        // Looked at before the last piece leaves: a request that lacks bytes is never taken for complete.
        await inTime(assertSameContent(handle, before), readMs)
      } finally {
        // It waits for a read that hangs.
        await inTime(handle.close(), CLOSE_MS).catch(() => undefined)
      }
      // Closed before the last piece: a body that still runs when the answer comes costs the kept-alive socket.
      await turn(last.length)
      yield last
      pieces.give(scratch)
    },
  }
}

/** An open file; one that opens too late is closed. */
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

const stalled = (): Error =>
  badInput(
    'File cannot be read to its end: the disk or the share does not answer. Send it again when it does.',
  )

const changed = (): Error =>
  badInput('File changed while it was read from the disk. Send it when it is complete.')
