import path from 'node:path'
import { present } from '../../shared/present'
import type { ClockReading, StoreClock } from '../store-clock'
import { Counters } from './counters'
import {
  asFailure,
  storeClosed,
  storeCutShort,
  earlierCopy,
  failed,
  notInPlace,
  openingFailed,
  otherStore,
} from './errors'
import { digits, IdentityFile, inodesOf, readIdentity, writeIdentity } from './identity'
import { bytes, del, json, KEY, put, type Change, type Database, type KeyRange } from './keys'
import { migrate } from './migrations'
import type { OpenedFolder } from './open-folder'
import { orderKeyChanges } from './order-keys'
import { Reader } from './reader'
import type { DiskReserve } from './disk-reserve'
import { indexKeysOf, type LevelRow } from './rows'
import { SerialTasks, coalesced } from './serial-tasks'

export interface WriteOptions {
  /** updates the message counters; called after the write */
  count?: () => void
  /**
   * rejects if the disk has no room for the write apart from the disk reserve; undefined: the write may use the reserve
   */
  isAllowed?: () => Promise<void>
}

/**
 * LevelDB of a store. Writes in batches, waits for the disk, and reopens the database after a failed write. Refuses
 * writes while the folder of the store is missing, or belongs to another store.
 */
export class LevelDatabase {
  readonly reader: Reader
  readonly counters = new Counters()
  readonly reserve: DiskReserve
  readonly identity: string
  readonly folder: string
  readonly #db: Database
  #identityFile: IdentityFile | undefined
  /** device and inode numbers of the files and folders that the database was opened in */
  #place = ''
  #flushed = 0
  #isBroken = false
  /** true: a write failed because the disk was full */
  #isFull = false
  #isClosed = false
  /** tasks that read and then write; they run one after the other */
  readonly #tasks = new SerialTasks()
  /**
   * flushes; they run one after the other so that their numbers only grow, and never while the database is being
   * reopened
   */
  readonly #disk = new SerialTasks()

  /**
   * Creates the database object for an opened folder. Call `begin` before other methods.
   * @param inspect checks that the files of the messages exist
   */
  constructor(
    { db, folder, reserve, identity }: OpenedFolder,
    private readonly clock: StoreClock,
    private readonly inspect: (reader: Reader) => Promise<void>,
  ) {
    this.#db = db
    this.folder = folder
    this.reserve = reserve
    this.identity = identity
    this.reader = new Reader(db)
  }

  /** True from the time of a failed write until the database is repaired. */
  get isBroken(): boolean {
    return this.#isBroken
  }

  /**
   * Migrates the store to the layout of this release, and checks and counts its messages.
   * @param isNew true: the store has no identity file yet
   */
  async begin(isNew: boolean): Promise<void> {
    if (isNew) {
      await migrate(this.#db, isNew)
      await this.#db.batch([put(KEY.identity, bytes(this.identity))], { sync: true }).catch(failed)
      // The identity file is written last: if it exists, LevelDB exists, too.
      await writeIdentity(this.folder, { identity: this.identity, flushed: 0 })
    }
    await this.#assertWhole()
    if (!isNew) await migrate(this.#db, isNew)
    await this.#count()
  }

  /** Runs a task after all earlier ones. Repairs a broken database first. */
  alone<T>(task: () => Promise<T>): Promise<T> {
    return this.#tasks.run(async () => {
      await this.#repair()
      return task()
    })
  }

  /** Runs a task like {@link alone}, and resolves when its changes are synced to disk. */
  async durably<T>(task: () => Promise<T>): Promise<T> {
    const result = await this.alone(task)
    await this.#flush()
    return result
  }

  /**
   * Runs a task like {@link durably}, and checks that its changes are in the folder of the store. Used for accepted
   * messages and actions of people. Attempts in progress do not need this check. They continue as long as LevelDB can
   * use its open files.
   */
  async reliably<T>(task: () => Promise<T>): Promise<T> {
    const result = await this.alone(task)
    await Promise.all([this.#flush(), this.assertInPlace()])
    return result
  }

  /**
   * Writes a batch completely or not at all. The batch survives the end of this process at once, and a power failure
   * after the next flush. On a full disk, the space of the reserve is used for it.
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

  /** Replaces rows by their new versions, and updates their index keys. */
  async move(rows: [from: LevelRow, to: LevelRow][], also: Change[] = []): Promise<void> {
    const changes = rows.flatMap(([from, to]) => [
      ...indexKeysOf(from).map(del),
      ...indexKeysOf(to).map((key) => put(key, bytes(to.id))),
      put(KEY.row(to.id), json(to)),
    ])
    changes.push(
      ...(await orderKeyChanges(
        this.reader,
        rows.map(([from, to]) => ({ from, to })),
      )),
    )
    const count = (): void => {
      for (const [from, to] of rows) {
        this.counters.add(from, -1)
        this.counters.add(to, 1)
      }
    }
    await this.write([...changes, ...also], { count })
  }

  /** Frees the disk space of deleted keys in a range. */
  compact({ gt, lt }: KeyRange): Promise<void> {
    return this.#db.compactRange(gt, lt).catch(failed)
  }

  /**
   * Rejects unless the open files are the ones at the path of the store. Otherwise data that is written now would not
   * be found after a restart.
   */
  readonly assertInPlace = coalesced(async () => {
    const place = await inodesOf(this.folder)
    if (place === this.#place) return
    // The files were replaced, e.g. by a copy of the store. The database is reopened before the next write.
    if (place !== undefined && (await readIdentity(this.folder))?.identity === this.identity)
      this.#isBroken = true
    throw notInPlace()
  })

  /**
   * Syncs all earlier writes to disk. The identity file is updated after that, so that its flush number is never ahead.
   */
  sync(): Promise<void> {
    return this.#disk.run(async () => {
      const flushed = this.#flushed + 1
      const reading: ClockReading = { now: this.clock.now(), ahead: this.clock.ahead }
      await this.#db
        .batch([put(KEY.flushed, bytes(digits(flushed))), put(KEY.clock, json(reading))], { sync: true })
        .catch((error: unknown) => this.#broken(error))
      if (!this.#identityFile) throw storeClosed()
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

  /** Closes LevelDB and the identity file, without syncing earlier writes to disk. */
  async release(): Promise<void> {
    await this.#closeIdentity()
    await this.#db.close().catch(failed)
  }

  /**
   * Waits until all earlier writes are synced to disk, with one sync for all present callers: the log is written in
   * order, so syncing its last record syncs all earlier ones. Other tasks may run during the wait.
   */
  readonly #flush = coalesced(async () => {
    try {
      // A broken database is repaired before the sync: LevelDB does not read log records that come after an incomplete
      // one.
      if (!this.#isBroken) return await this.sync()
    } catch (error) {
      if (!this.#isFull) throw error
    }
    // alone() repairs the database first and, if the disk is full, deletes the disk reserve.
    await this.alone(() => this.sync())
  })

  /**
   * Checks that LevelDB belongs to the identity file, and contains all flushes that the file counts.
   * @throws RedoxError REDOX_STORE_UNREADABLE
   */
  async #assertWhole(): Promise<void> {
    await this.#closeIdentity()
    this.#identityFile = await IdentityFile.open(this.folder)
    const { identity, flushed } = present(await readIdentity(this.folder), 'the identity of the store')
    const own = (await this.reader.get(KEY.identity))?.toString()
    if (identity !== this.identity || own !== this.identity) throw otherStore()
    const found = await this.reader.number(KEY.flushed)
    // After a failed write, the record of the last flush may be missing, because LevelDB reads nothing after a damaged
    // record.
    if (found < flushed - Number(this.#isBroken)) throw storeCutShort()
    this.#flushed = Math.max(this.#flushed, found)
  }

  async #count(): Promise<void> {
    await this.counters.recount(this.reader)
    await this.inspect(this.reader)
    const place = await inodesOf(this.folder)
    if (place === undefined) throw notInPlace()
    this.#place = place
  }

  async #closeIdentity(): Promise<void> {
    const file = this.#identityFile
    this.#identityFile = undefined
    // Errors are ignored: the last flush number was synced to disk when it was written.
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

  /**
   * Reopens LevelDB after a failed write, because LevelDB refuses all further writes. Until this succeeds, the database
   * can still be read.
   */
  async #repair(): Promise<void> {
    if (this.#isClosed) throw storeClosed()
    if (!this.#isBroken) return
    const found = (await inodesOf(this.folder)) === undefined ? undefined : await readIdentity(this.folder)
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
