/**
 * Space on the disk of a store that only what ends messages may use: on a full disk it is given up, so that what was
 * accepted can still be delivered and forgotten. Nothing is accepted until it is there again.
 */
import { randomBytes } from 'node:crypto'
import { readdir, rm, stat, statfs, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { asFailure, failed, full } from './errors'

const NAME = 'reserve'
/** LevelDB merges some 20 MB at once when it makes room, and writes all of it anew before it removes the old. */
const LARGEST = 33_554_432
/** Of a very small disk it takes no more than this part. */
const PART = 4
const PIECE = 1_048_576
/** Where this much is free it is not asked for each message: what comes within so long does not fill it. */
const PLENTY = 1_073_741_824
const PLENTY_FOR_MS = 500

export class Reserve {
  /** bytes that there was no room for when something was accepted last; 0: there was */
  refused = 0
  #plentyUntil = 0
  #restoring: Promise<boolean> | undefined

  private constructor(
    private readonly folder: string,
    private readonly size: number,
  ) {}

  static async of(folder: string): Promise<Reserve> {
    const { blocks, bsize } = await statfs(folder).catch(failed)
    return new Reserve(folder, Math.floor(Math.min(LARGEST, (blocks * bsize) / PART)))
  }

  /** What LevelDB may keep in its log before it writes it to a table: there has to be room for both. */
  get writeBufferSize(): number {
    return Math.ceil(this.size / 8)
  }

  async giveUp(): Promise<void> {
    await this.#restoring?.catch(() => undefined)
    this.#plentyUntil = 0
    await rm(this.#file, { force: true }).catch(failed)
  }

  /** So many bytes can be accepted, and the reserve stays untouched. Takes the space for it if it can. */
  async hasRoomFor(bytes: number): Promise<boolean> {
    // Until LevelDB has written it to a table it is there twice; and as much as the reserve stays free, so that LevelDB
    // never needs it for what is accepted.
    const needed = this.size + 2 * bytes
    if (performance.now() < this.#plentyUntil && needed <= PLENTY / 2) return true
    if (!(await this.#restore())) return false
    const free = await this.#free()
    this.#plentyUntil = free >= PLENTY ? performance.now() + PLENTY_FOR_MS : 0
    return free >= needed
  }

  /**
   * @param written of the same, already
   * @throws RedoxError REDOX_STORE_FULL
   */
  async assertRoomFor(bytes: number, written = 0): Promise<void> {
    if (await this.hasRoomFor(bytes)) return
    this.refused = written + bytes
    throw full()
  }

  /** LevelDB writes its log to a table when it is opened. @throws RedoxError REDOX_STORE_FULL */
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
    if ((await this.#free()) < needed) throw full()
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
    // As much again has to be left, or it would be given up at once.
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

  /** Random: zeros take no room on a file system that compresses. */
  async *#pieces(): AsyncGenerator<Buffer> {
    const piece = randomBytes(PIECE)
    for (let left = this.size; left > 0; left -= PIECE) yield await Promise.resolve(piece.subarray(0, left))
  }

  async #free(): Promise<number> {
    const { bavail, bsize } = await statfs(this.folder).catch(failed)
    return bavail * bsize
  }

  get #file(): string {
    return path.join(this.folder, NAME)
  }
}

/** For a manifest and the beginning of a log. */
const OPENING_BYTES = 65_536
