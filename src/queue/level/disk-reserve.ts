/**
 * Disk space that is reserved for settling and deleting messages. On a full disk the reserve is given up, so that
 * accepted messages can still be delivered and deleted. No message is accepted until the reserve is restored.
 */
import { randomBytes } from 'node:crypto'
import { readdir, rm, stat, statfs, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { asFailure, failed, diskFull } from './errors'

/** Name of the file that takes up the reserve. */
export const RESERVE_FILE = 'reserve'
/**
 * Greatest size of the reserve, in bytes. LevelDB merges about 20 MB at once when it frees space, and writes the merged
 * data before it removes the old files.
 */
const LARGEST = 33_554_432
/** Divisor for small disks: the reserve takes at most a quarter of the disk. */
const PART = 4
const PIECE = 1_048_576
/**
 * Free space, in bytes, above which the space is not checked again for PLENTY_FOR_MS: messages that are accepted in
 * that time cannot fill the disk.
 */
const PLENTY = 1_073_741_824
const PLENTY_FOR_MS = 500

export class DiskReserve {
  /** bytes of the last write that was refused for lack of space; 0: no write was refused */
  refused = 0
  #plentyUntil = 0
  #restoring: Promise<boolean> | undefined

  private constructor(
    private readonly folder: string,
    private readonly size: number,
  ) {}

  static async of(folder: string): Promise<DiskReserve> {
    const { blocks, bsize } = await statfs(folder).catch(failed)
    return new DiskReserve(folder, Math.floor(Math.min(LARGEST, (blocks * bsize) / PART)))
  }

  /**
   * Bytes that LevelDB may keep in its log before it writes them to a table. The reserve has room for the log and the
   * table.
   */
  get writeBufferSize(): number {
    return Math.ceil(this.size / 8)
  }

  async giveUp(): Promise<void> {
    await this.#restoring?.catch(() => undefined)
    this.#plentyUntil = 0
    await rm(this.#file, { force: true }).catch(failed)
  }

  /** Returns true if `bytes` can be accepted without the reserve. Restores the reserve first, if possible. */
  async hasRoomFor(bytes: number): Promise<boolean> {
    // Twice the bytes, because LevelDB stores them for a time both in its log and in a table. In addition, free space
    // of the reserve's size is left, so that LevelDB never needs the reserve for accepted messages.
    const needed = this.size + 2 * bytes
    if (performance.now() < this.#plentyUntil && needed <= PLENTY / 2) return true
    if (!(await this.#restore())) return false
    const free = await this.#free()
    this.#plentyUntil = free >= PLENTY ? performance.now() + PLENTY_FOR_MS : 0
    return free >= needed
  }

  /**
   * Throws if the disk has no room for a write without the reserve.
   * @param written bytes of the same file that are already written
   * @throws RedoxError REDOX_STORE_FULL
   */
  async assertRoomFor(bytes: number, written = 0): Promise<void> {
    if (await this.hasRoomFor(bytes)) return
    this.refused = written + bytes
    throw diskFull()
  }

  /**
   * Checks that there is enough free space to open LevelDB, which then writes the data of its log to a table.
   * @throws RedoxError REDOX_STORE_FULL
   */
  async assertRoomToOpen(messages: string): Promise<void> {
    const logs = (await readdir(messages).catch(failed)).filter((name) => name.endsWith('.log'))
    const sizes = await Promise.all(
      logs.map((name) =>
        stat(path.join(messages, name)).then(
          ({ size }) => size,
          () => 0,
        ),
      ),
    )
    const needed = sizes.reduce((sum, size) => sum + size, OPENING_BYTES)
    if ((await this.#free()) < needed) throw diskFull()
  }

  #restore(): Promise<boolean> {
    this.#restoring ??= this.#isThereOrMade().finally(() => (this.#restoring = undefined))
    return this.#restoring
  }

  async #isThereOrMade(): Promise<boolean> {
    const found = await stat(this.#file).catch(() => undefined)
    return found?.size === this.size || this.#make()
  }

  async #make(): Promise<boolean> {
    // The reserve is restored only if the same amount of space then remains free. Otherwise the next write would use
    // the reserve up again.
    if ((await this.#free()) < 2 * this.size) return false
    try {
      await writeFile(this.#file, this.#pieces(), { mode: 0o600 })
      return true
    } catch (error) {
      await rm(this.#file, { force: true }).catch(failed)
      if (asFailure(error).code === 'REDOX_STORE_FULL') return false
      throw asFailure(error)
    }
  }

  /** Yields random bytes, because zeros take no space on a file system with compression. */
  async *#pieces(): AsyncGenerator<Buffer> {
    const piece = randomBytes(PIECE)
    for (let left = this.size; left > 0; left -= PIECE) yield await Promise.resolve(piece.subarray(0, left))
  }

  async #free(): Promise<number> {
    const { bavail, bsize } = await statfs(this.folder).catch(failed)
    return bavail * bsize
  }

  get #file(): string {
    return path.join(this.folder, RESERVE_FILE)
  }
}

/** Space that LevelDB needs to be opened, in bytes: for a manifest and the beginning of a log. */
const OPENING_BYTES = 65_536
