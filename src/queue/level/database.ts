import path from 'node:path'
import { present } from '../../shared/present'
import type { ClockReading, StoreClock } from '../clock'
import { Counters } from './counters'
import {
  asFailure,
  closed,
  cutShort,
  earlierCopy,
  failed,
  notInPlace,
  openingFailed,
  otherStore,
} from './errors'
import { digits, IdentityFile, placeOf, readIdentity, writeIdentity } from './identity'
import { bytes, del, json, KEY, put, type Change, type Database, type Range } from './layout'
import { migrate } from './migrations'
import type { Opened } from './open'
import { Reader } from './reader'
import type { Reserve } from './reserve'
import { placesOf, type Row } from './rows'
import { Serial, shared } from './tasks'

export interface WriteOptions {
  /** Counts what was written. */
  count?: () => void
  /** Rejects if the reserve may not be used for it. */
  isAllowed?: () => Promise<void>
}

/**
 * The LevelDB of a store: writes in batches, waits for the disk, and opens it anew after a write that failed. It says no
 * to writes while the folder of the store is away, or another one in its place.
 */
export class LevelDatabase {
  readonly reader: Reader
  readonly counters = new Counters()
  readonly reserve: Reserve
  readonly identity: string
  readonly folder: string
  readonly #db: Database
  #identityFile: IdentityFile | undefined
  /** the files and folders that it was opened in */
  #place = ''
  #flushed = 0
  #isBroken = false
  /** it broke because the disk was full */
  #isFull = false
  #isClosed = false
  /** what reads and then writes goes one after the other */
  readonly #tasks = new Serial()
  /** a flush with a lower number never comes last, and none meets a database that is being reopened */
  readonly #disk = new Serial()

  /** @param inspect looks whether all is there that belongs to what is in it */
  constructor(
    { db, folder, reserve, identity }: Opened,
    private readonly clock: StoreClock,
    private readonly inspect: (reader: Reader) => Promise<void>,
  ) {
    this.#db = db
    this.folder = folder
    this.reserve = reserve
    this.identity = identity
    this.reader = new Reader(db)
  }

  /** A write failed, and nothing was repaired yet. */
  get isBroken(): boolean {
    return this.#isBroken
  }

  /**
   * Brings it to the layout of this release, checks and counts what is in it.
   * @param isNew it has no identity file yet
   */
  async begin(isNew: boolean): Promise<void> {
    if (isNew) {
      await migrate(this.#db, isNew)
      await this.#db.batch([put(KEY.identity, bytes(this.identity))], { sync: true }).catch(failed)
      // The file comes last: where it is, LevelDB is there too.
      await writeIdentity(this.folder, { identity: this.identity, flushed: 0 })
    }
    await this.#assertWhole()
    if (!isNew) await migrate(this.#db, isNew)
    await this.#count()
  }

  /** Runs a task when those before have ended; a database that broke is repaired before. */
  alone<T>(task: () => Promise<T>): Promise<T> {
    return this.#tasks.run(async () => {
      await this.#repair()
      return task()
    })
  }

  /** As {@link alone}, and on the disk when it resolves. */
  async durably<T>(task: () => Promise<T>): Promise<T> {
    const result = await this.alone(task)
    await this.#flush()
    return result
  }

  /**
   * As {@link durably}, and found again: for what is accepted and decided. What is on its way goes on without, as far as
   * LevelDB can read and write the files that it has open.
   */
  async reliably<T>(task: () => Promise<T>): Promise<T> {
    const result = await this.alone(task)
    await Promise.all([this.#flush(), this.assertInPlace()])
    return result
  }

  /**
   * All or nothing. Survives this process at once, and a power failure after the next flush. On a full disk it is written
   * where the reserve was.
   */
  async write(changes: Change[], { count, isAllowed }: WriteOptions = {}): Promise<void> {
    if (changes.length === 0) return
    try {
      await this.#db.batch(changes)
    } catch (error) {
      if (!this.#isFullBy(error)) failed(error)
      await this.#repair()
      await isAllowed?.()
      await this.#db.batch(changes).catch((again: unknown) => this.#broken(again))
      return this.counters.recount(this.reader)
    }
    count?.()
  }

  /** Writes rows as they stand now. */
  async move(rows: [from: Row, to: Row][], also: Change[] = []): Promise<void> {
    const changes = rows.flatMap(([from, to]) => [
      ...placesOf(from).map(del),
      ...placesOf(to).map((key) => put(key, bytes(to.id))),
      put(KEY.row(to.id), json(to)),
    ])
    const count = (): void => {
      for (const [from, to] of rows) {
        this.counters.add(from, -1)
        this.counters.add(to, 1)
      }
    }
    await this.write([...changes, ...also], { count })
  }

  /** Gives the disk back what was under keys that are not there any more. */
  compact({ gt, lt }: Range): Promise<void> {
    return this.#db.compactRange(gt, lt).catch(failed)
  }

  /** What is written now is found again under the path of the store. */
  readonly assertInPlace = shared(async () => {
    const place = await placeOf(this.folder)
    if (place === this.#place) return
    // What came back as other files, e.g. a copy, is opened before anything else is written.
    if (place !== undefined && (await readIdentity(this.folder))?.identity === this.identity)
      this.#isBroken = true
    throw notInPlace()
  })

  /** Writes to the disk what was written so far. The identity file comes after, so that it is never ahead of it. */
  sync(): Promise<void> {
    return this.#disk.run(async () => {
      const flushed = this.#flushed + 1
      const reading: ClockReading = { now: this.clock.now(), ahead: this.clock.ahead }
      await this.#db
        .batch([put(KEY.flushed, bytes(digits(flushed))), put(KEY.clock, json(reading))], { sync: true })
        .catch((error: unknown) => this.#broken(error))
      if (!this.#identityFile) throw closed()
      await this.#identityFile.flushed(flushed).catch((error: unknown) => this.#broken(error))
      this.#flushed = flushed
    })
  }

  async close(): Promise<void> {
    await this.#tasks.idle()
    this.#isClosed = true
    await this.#flush().catch(() => undefined)
    await this.release()
  }

  /** Closes the files, whatever was written. */
  async release(): Promise<void> {
    await this.#closeIdentity()
    await this.#db.close().catch(failed)
  }

  /**
   * Waits for the disk, once for all who have written by then: the log is written in order, so that the last record of it
   * brings all before it along. Other tasks run meanwhile.
   */
  readonly #flush = shared(async () => {
    try {
      // Behind a record that was not written as a whole LevelDB reads no other.
      if (!this.#isBroken) return await this.sync()
    } catch (error) {
      if (!this.#isFull) throw error
    }
    // Repaired, and the reserve given up, before the next task.
    await this.alone(() => this.sync())
  })

  /** It is the store that its identity file names, and was not cut short since. */
  async #assertWhole(): Promise<void> {
    await this.#closeIdentity()
    this.#identityFile = await IdentityFile.open(this.folder)
    const { identity, flushed } = present(await readIdentity(this.folder), 'the identity of the store')
    const own = (await this.reader.get(KEY.identity))?.toString()
    if (identity !== this.identity || own !== this.identity) throw otherStore()
    const found = await this.reader.number(KEY.flushed)
    // The flush that met a write that failed may be unreadable: it was behind that one.
    if (found < flushed - Number(this.#isBroken)) throw cutShort()
    this.#flushed = Math.max(this.#flushed, found)
  }

  async #count(): Promise<void> {
    await this.counters.recount(this.reader)
    await this.inspect(this.reader)
    const place = await placeOf(this.folder)
    if (place === undefined) throw notInPlace()
    this.#place = place
  }

  async #closeIdentity(): Promise<void> {
    const file = this.#identityFile
    this.#identityFile = undefined
    // What it was told last was synced then.
    await file?.close().catch(() => undefined)
  }

  #broken(error: unknown): never {
    this.#isFullBy(error)
    return failed(error)
  }

  #isFullBy(error: unknown): boolean {
    this.#isBroken = true
    return (this.#isFull ||= asFailure(error).code === 'REDOX_STORE_FULL')
  }

  /** After a failed write LevelDB refuses all others until it is opened anew. Until it can be, it stays readable. */
  async #repair(): Promise<void> {
    if (this.#isClosed) throw closed()
    if (!this.#isBroken) return
    const found = (await placeOf(this.folder)) === undefined ? undefined : await readIdentity(this.folder)
    if (found?.identity !== this.identity) throw notInPlace()
    if (found.flushed < this.#flushed) throw earlierCopy()
    if (this.#isFull) await this.reserve.giveUp()
    await this.reserve.assertRoomToOpen(path.join(this.folder, 'messages'))
    await this.#disk.run(async () => {
      await this.#db.close().catch(failed)
      await this.#db.open({ createIfMissing: false }).catch(openingFailed)
      await this.#assertWhole()
      await this.#count()
    })
    this.#isBroken = this.#isFull = false
  }
}
