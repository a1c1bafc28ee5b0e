/**
 * The file beside LevelDB that says which store this is, and how far LevelDB had been written: LevelDB leaves out what
 * it cannot read of its log without a word, and begins a log that is lost anew.
 *
 * It is overwritten in place, within one sector, and always after what it tells of is on the disk: it may be behind in
 * a crash, never ahead.
 */
import { randomUUID } from 'node:crypto'
import { open, readdir, readFile, rename, stat, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { codeOf, damagedStore, failed } from './errors'

const NAME = 'identity'
/** What the folder of a store has. */
export const PARTS = ['messages', 'files', NAME, 'reserve']
const FLUSHED_AT = 37
const PATTERN = /^([\da-f-]{36}) (\d{16})\n$/

export interface Identity {
  /** random; of this store alone */
  identity: string
  /** how many times LevelDB was flushed */
  flushed: number
}

/** @returns undefined where there is none */
export async function readIdentity(folder: string): Promise<Identity | undefined> {
  const text = await readFile(path.join(folder, NAME), 'latin1').catch((error: unknown) =>
    isAbsent(error) ? undefined : failed(error),
  )
  if (text === undefined) return undefined
  const [, identity, flushed] = PATTERN.exec(text) ?? []
  if (identity === undefined) throw damagedStore()
  return { identity, flushed: Number(flushed) }
}

/** Whole, or not at all. */
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
 * Which files and folders the paths of a store lead to at this moment; undefined where one of them is missing. What is
 * written to others goes elsewhere, or nowhere.
 */
export async function placeOf(folder: string): Promise<string | undefined> {
  try {
    const [names, ...found] = await Promise.all([
      readdir(path.join(folder, 'messages')),
      ...[NAME, 'messages/CURRENT', 'files'].map((one) => stat(path.join(folder, one), { bigint: true })),
    ])
    // LevelDB has another log before it removes one.
    if (!names.some((name) => name.endsWith('.log'))) return undefined
    return found.map(({ dev, ino }) => `${dev} ${ino}`).join(', ')
  } catch (error) {
    return isAbsent(error) ? undefined : failed(error)
  }
}

/** Something of a store lies here, be it damaged. What LevelDB leaves when its making is interrupted is nothing yet. */
export async function hasTraces(folder: string): Promise<boolean> {
  const [messages = [], files = []] = await Promise.all(
    ['messages', 'files'].map((name) => namesIn(path.join(folder, name))),
  )
  return files.length > 0 || messages.some((name) => name === 'CURRENT' || /\.(log|ldb|sst)$/.test(name))
}

export const hasDatabase = async (folder: string): Promise<boolean> =>
  (await namesIn(path.join(folder, 'messages'))).includes('CURRENT')

/** None, where there is no such folder. */
export const namesIn = (folder: string): Promise<string[]> =>
  readdir(folder).catch((error: unknown) => (isAbsent(error) ? [] : failed(error)))

/** Writes a file that is there as a whole after a power failure, or not at all. */
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

/** Renaming is durable only when the folder is. Windows cannot and need not. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  await handle.sync().finally(() => handle.close())
}

/** So that they are sorted as text, and as long as each other. */
export const digits = (number: number): string => String(Math.max(0, Math.floor(number))).padStart(16, '0')

const isAbsent = (error: unknown): boolean => ['ENOENT', 'ENOTDIR'].includes(String(codeOf(error)))
