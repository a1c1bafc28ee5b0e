import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, stat, writeFile, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import type { BlobStore } from '../types'
import type { LevelDatabase } from './database'
import { systemCodeOf, damagedFile, failed, fileMissing, filesMissing } from './errors'
import { namesIn, syncFolder } from './identity'
import type { Reader } from './reader'
import { isForgettable } from './rows'

/** Size of the header before each chunk, which contains the chunk's length, in bytes. */
const HEADER = 4
/** Greatest length of a chunk, in bytes. A greater length in a header means that the file is damaged. */
const LONGEST_CHUNK = 1_000_000
const UNFINISHED = 'unfinished-'

export const filesFolderOf = (folder: string): string => path.join(folder, 'files')
// File names are keyed hashes. basename() makes sure that no name leads out of the folder.
const pathOf = (files: string, name: string): string => path.join(files, path.basename(name))

/**
 * Files of the embedded store, in a folder next to LevelDB. Each chunk follows a header that contains the chunk's
 * length.
 */
export class LevelBlobs implements BlobStore {
  readonly #files: string
  /** names of files that are renamed, but not yet synced to disk */
  readonly #unsynced = new Set<string>()

  constructor(private readonly database: LevelDatabase) {
    this.#files = filesFolderOf(database.folder)
  }

  async putFile(name: string, chunks: AsyncIterable<Buffer>): Promise<void> {
    if (await this.hasFile(name)) return
    await this.database.assertInPlace()
    const draft = path.join(this.#files, `${UNFINISHED}${randomUUID()}`)
    let broken: { error: unknown } | undefined
    const framed = this.#framesOf(chunks, (error) => (broken = { error }))
    try {
      await writeSynced(draft, framed)
      if (!(await this.#isThere(name))) this.#unsynced.add(name)
      await rename(draft, pathOf(this.#files, name))
      await syncFolder(this.#files)
    } catch (error) {
      await rm(draft, { force: true }).catch(() => undefined)
      // Reading the chunks failed, not writing the file.
      if (broken) throw broken.error
      // Windows does not replace a file that is being read. The existing file has the same content.
      if (!(await this.hasFile(name))) failed(error)
    } finally {
      this.#unsynced.delete(name)
    }
  }

  async hasFile(name: string): Promise<boolean> {
    return !this.#unsynced.has(name) && this.#isThere(name)
  }

  async *readFile(name: string): AsyncGenerator<Buffer> {
    const handle = await open(pathOf(this.#files, name), 'r').catch((error: unknown) =>
      systemCodeOf(error) === 'ENOENT' ? this.#noFile() : failed(error),
    )
    try {
      for (;;) {
        const header = await readFully(handle, HEADER)
        if (header.length === 0) return
        const length = header.length < HEADER ? Infinity : header.readUInt32BE()
        const chunk = length > LONGEST_CHUNK ? header : await readFully(handle, length)
        if (chunk.length !== length) throw damagedFile()
        yield chunk
      }
    } finally {
      await handle.close()
    }
  }

  /** Returns the names of all files, including unfinished ones. */
  names(): Promise<string[]> {
    return readdir(this.#files).catch(failed)
  }

  /**
   * Returns the time at which a file was stored by the wall clock (system time); undefined if there is no such file.
   */
  async storedAt(name: string): Promise<number | undefined> {
    return (await stat(pathOf(this.#files, name)).catch(() => undefined))?.mtimeMs
  }

  async remove(name: string): Promise<void> {
    await rm(pathOf(this.#files, name), { force: true }).catch(failed)
  }

  #isThere(name: string): Promise<boolean> {
    return stat(pathOf(this.#files, name)).then(
      () => true,
      () => false,
    )
  }

  /**
   * Throws an error for a missing file. If the whole folder is missing, throws the error of a missing store instead,
   * with which the message waits and is not parked.
   */
  async #noFile(): Promise<never> {
    await this.database.assertInPlace()
    throw fileMissing()
  }

  async *#framesOf(
    chunks: AsyncIterable<Buffer>,
    onBroken: (error: unknown) => void,
  ): AsyncGenerator<Buffer> {
    let written = 0
    try {
      for await (const chunk of chunks) {
        await this.database.reserve.assertRoomFor(chunk.length, written)
        written += chunk.length
        const header = Buffer.alloc(HEADER)
        header.writeUInt32BE(chunk.length)
        yield header
        yield chunk
      }
    } catch (error) {
      onBroken(error)
      throw error
    }
  }
}

/**
 * Checks that all files of open and parked messages exist, except those of messages that are parked because of a
 * missing file. Creates the folder if there is none.
 * @throws RedoxError REDOX_STORE_UNREADABLE if files are missing
 */
export async function inspectFiles(reader: Reader, folder: string): Promise<void> {
  const files = filesFolderOf(folder)
  const there = new Set(await namesIn(files))
  const without = new Set<string>()
  for await (const key of reader.keys('file')) {
    const [, name = '', id = ''] = key.split('!')
    if (there.has(name) || without.has(id)) continue
    const row = await reader.row(id)
    if (row && !isForgettable(row.state) && row.reason !== 'REDOX_STORE_LOST') without.add(id)
  }
  if (without.size > 0) throw filesMissing(without.size)
  await mkdir(files, { recursive: true, mode: 0o700 }).catch(failed)
}

async function writeSynced(file: string, chunks: AsyncIterable<Buffer>): Promise<void> {
  const handle = await open(file, 'wx', 0o600)
  try {
    await writeFile(handle, chunks)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Reads `length` bytes from a file, or fewer if the file ends before. */
async function readFully(handle: FileHandle, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length)
  let read = 0
  while (read < length) {
    const { bytesRead } = await handle.read(bytes, read, length - read).catch(failed)
    if (bytesRead === 0) break
    read += bytesRead
  }
  return bytes.subarray(0, read)
}
