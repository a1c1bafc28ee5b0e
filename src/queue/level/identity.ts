/**
 * Identity file next to LevelDB, with the id of the store and the number of flushes. The number shows if data is
 * missing: LevelDB silently skips parts of its log that it cannot read, and starts a new log if the file is missing.
 *
 * The number is overwritten in place, within one disk sector, and always after the flush: after a crash it may be too
 * low, but never too high.
 */
import { randomUUID } from 'node:crypto'
import { open, readdir, readFile, rename, stat, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { systemCodeOf, damagedStore, failed } from './errors'

const NAME = 'identity'
/** Names of the files and folders in the folder of a store. */
export const PARTS = ['messages', 'files', NAME, 'reserve']
const FLUSHED_AT = 37
const PATTERN = /^([\da-f-]{36}) (\d{16})\n$/

export interface Identity {
  /** random id of this store */
  identity: string
  /** number of times that LevelDB was flushed */
  flushed: number
}

/**
 * Reads the identity file.
 * @returns undefined if there is none
 */
export async function readIdentity(folder: string): Promise<Identity | undefined> {
  const text = await readFile(path.join(folder, NAME), 'latin1').catch((error: unknown) =>
    isAbsent(error) ? undefined : failed(error),
  )
  if (text === undefined) return undefined
  const [, identity, flushed] = PATTERN.exec(text) ?? []
  if (identity === undefined) throw damagedStore()
  return { identity, flushed: Number(flushed) }
}

/** Writes the identity file completely, or not at all. */
export async function writeIdentity(folder: string, { identity, flushed }: Identity): Promise<void> {
  await writeWhole(path.join(folder, NAME), `${identity} ${digits(flushed)}\n`)
}

export class IdentityFile {
  private constructor(private readonly handle: FileHandle) {}

  static async open(folder: string): Promise<IdentityFile> {
    return new IdentityFile(await open(path.join(folder, NAME), 'r+').catch(failed))
  }

  async flushed(flushed: number): Promise<void> {
    await this.handle.write(digits(flushed), FLUSHED_AT, 'latin1')
    await this.handle.datasync()
  }

  close(): Promise<void> {
    return this.handle.close()
  }
}

/**
 * Returns the device and inode numbers of the files and folders of a store; undefined if one of them is missing. A
 * change shows that the open files are no longer the ones at this path.
 */
export async function inodesOf(folder: string): Promise<string | undefined> {
  try {
    const [names, ...found] = await Promise.all([
      readdir(path.join(folder, 'messages')),
      ...[NAME, 'messages/CURRENT', 'files'].map((one) => stat(path.join(folder, one), { bigint: true })),
    ])
    // LevelDB creates a new log before it removes the old one, so there is always at least one.
    if (!names.some((name) => name.endsWith('.log'))) return undefined
    return found.map(({ dev, ino }) => `${dev} ${ino}`).join(', ')
  } catch (error) {
    return isAbsent(error) ? undefined : failed(error)
  }
}

/**
 * Returns true if the folder contains parts of a store, even damaged ones. Files of a LevelDB whose creation was
 * interrupted do not count.
 */
export async function hasTraces(folder: string): Promise<boolean> {
  const [messages = [], files = []] = await Promise.all(
    ['messages', 'files'].map((name) => namesIn(path.join(folder, name))),
  )
  return files.length > 0 || messages.some((name) => name === 'CURRENT' || /\.(log|ldb|sst)$/.test(name))
}

export const hasDatabase = async (folder: string): Promise<boolean> =>
  (await namesIn(path.join(folder, 'messages'))).includes('CURRENT')

/** Returns the names in a folder; none if there is no such folder. */
export const namesIn = (folder: string): Promise<string[]> =>
  readdir(folder).catch((error: unknown) => (isAbsent(error) ? [] : failed(error)))

/** Writes a file so that after a power failure it is complete, or does not exist. */
export async function writeWhole(file: string, text: string): Promise<void> {
  const draft = `${file}.${randomUUID()}`
  const handle = await open(draft, 'wx', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(draft, file)
  await syncFolder(path.dirname(file))
}

/**
 * Syncs a folder, because a renamed file is durable only after that. On Windows this is not possible, and not needed.
 */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  await handle.sync().finally(() => handle.close())
}

/** Formats a number with 16 digits, so that numbers sort correctly as strings. */
export const digits = (number: number): string => String(Math.max(0, Math.floor(number))).padStart(16, '0')

const isAbsent = (error: unknown): boolean => ['ENOENT', 'ENOTDIR'].includes(String(systemCodeOf(error)))
