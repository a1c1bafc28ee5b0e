import {
  EVICTION_ORDER,
  evictionKindOf,
  REFUSED_LATER_MS,
  UNANNOUNCED_MS,
  type EvictionKind,
} from '../eviction'
import { toWallTime, type StoreClock } from '../store-clock'
import { isRefusedLater } from '../../shared/values'
import type { LevelBlobs } from './blobs'
import type { LevelDatabase } from './database'
import { bytes, del, KEY, put, under } from './keys'
import { digits } from './identity'
import { orderKeyChanges } from './order-keys'
import { indexKeysOf, type LevelRow } from './rows'

const NEW_FILE_MS = 3_600_000
const FORGOTTEN_AT_ONCE = 100
/** Number of messages whose deletion at once frees enough space, about 4 KB each, to rewrite the tables. */
const COMPACTED_FROM = 1000
/** Greatest number of batches that are deleted in one run, to free space. */
const FORGETTINGS = 10

/** Returns the check if a message may be deleted: its result was announced, or waited long enough for its node. */
const isDeletableAt =
  (now: number) =>
  ({ announced, endedAt = 0 }: LevelRow): boolean =>
    announced || endedAt < now - UNANNOUNCED_MS

/** Deletes messages of the embedded store, and files without a message. */
export class Retention {
  constructor(
    private readonly database: LevelDatabase,
    private readonly blobs: LevelBlobs,
    private readonly clock: StoreClock,
  ) {}

  /**
   * Deletes messages that ended before a time, see {@link QueueStore.purge}.
   * @returns number of deleted messages
   */
  async purge(before: number, now: number): Promise<number> {
    const isDeletable = isDeletableAt(now)
    const isOld = (row: LevelRow): boolean =>
      !isRefusedLater(row) || (row.endedAt ?? 0) < now - REFUSED_LATER_MS
    const isWanted = (row: LevelRow): boolean => isDeletable(row) && isOld(row)
    const purged = await this.#forgetEnded(before, isWanted, Infinity)
    // LevelDB rewrites its tables by itself only when much is written.
    if (purged >= COMPACTED_FROM) await this.#compact()
    return purged
  }

  /** Deletes the oldest ended messages of a kind, see {@link QueueStore.evict}. */
  async evict(kind: EvictionKind, limit: number, now: number): Promise<number> {
    const isDeletable = isDeletableAt(now)
    const isWanted = (row: LevelRow): boolean => evictionKindOf(row) === kind && isDeletable(row)
    const evicted = await this.#forgetEnded(now, isWanted, limit)
    if (evicted > 0) await this.#compact()
    return evicted
  }

  /**
   * Deletes done and announced messages, the least needed first, until there is room for the write that failed because
   * the disk was full.
   */
  async makeRoom(): Promise<void> {
    const { reserve } = this.database
    let batches = 0
    for (const kind of EVICTION_ORDER) {
      const isWanted = (row: LevelRow): boolean => row.announced && evictionKindOf(row) === kind
      while (batches++ < FORGETTINGS) {
        if ((await this.#forgetEnded(this.clock.now(), isWanted, FORGOTTEN_AT_ONCE)) === 0) break
        if (await reserve.hasRoomFor(reserve.refused)) return
        await this.#compact()
        if (await reserve.hasRoomFor(reserve.refused)) return
      }
    }
  }

  /**
   * Deletes messages that ended before a time, oldest first. Deleted contents take up space until LevelDB rewrites the
   * tables that contain them.
   * @returns number of deleted messages
   */
  async #forgetEnded(before: number, isWanted: (row: LevelRow) => boolean, limit: number): Promise<number> {
    let forgotten = 0
    while (forgotten < limit) {
      const ids = await this.#ended(before, isWanted, Math.min(limit - forgotten, FORGOTTEN_AT_ONCE))
      if (ids.length === 0) break
      await this.database.alone(() => this.forget(ids))
      forgotten += ids.length
    }
    return forgotten
  }

  /**
   * Deletes messages, and their files after the deletion is synced to disk, so that after a power failure no message is
   * left without its files. Call it inside a database task.
   */
  async forget(ids: string[]): Promise<void> {
    const files = new Set<string>()
    let isAny = false
    for (const id of ids) {
      const row = await this.database.reader.row(id)
      if (row === undefined) continue
      await this.#forgetRow(row)
      isAny = true
      for (const name of row.files) files.add(name)
    }
    if (isAny) await this.database.sync()
    for (const name of files) await this.removeUnused(name)
  }

  /** Removes a file unless a message contains it. Call it inside a database task. */
  async removeUnused(name: string): Promise<void> {
    const used = await this.database.reader.firstKey(`file!${name}`)
    // The folder at this path may now belong to another store, whose files must not be removed.
    await this.database.assertInPlace()
    if (used === undefined) await this.blobs.remove(name)
  }

  async #forgetRow(row: LevelRow): Promise<void> {
    const { counters } = this.database
    const changes = [
      put(KEY.forgotten, bytes(digits(counters.forgotten + 1))),
      ...[KEY.row(row.id), KEY.content(row.id), KEY.notes(row.id)].map(del),
      ...indexKeysOf(row).map(del),
      ...row.tags.map((tag) => del(KEY.tag(tag, row.sequence))),
      ...row.files.map((name) => del(KEY.file(name, row.id))),
      ...(await orderKeyChanges(this.database.reader, [{ from: row }])),
    ]
    const count = (): void => {
      counters.forgotten++
      counters.add(row, -1)
    }
    await this.database.write(changes, { count })
  }

  #compact(): Promise<void> {
    return this.database.compact({ gt: 'content!', lt: under('content').lt })
  }

  /** Returns the ids of messages that ended before a time, oldest first. */
  async #ended(before: number, isWanted: (row: LevelRow) => boolean, limit: number): Promise<string[]> {
    const ids: string[] = []
    for await (const row of this.database.reader.each({ gt: 'ended!', lt: `ended!${digits(before)}` }))
      if (isWanted(row) && ids.push(row.id) === limit) break
    return ids
  }

  /** Removes unfinished files, and files whose message was never accepted, see {@link QueueStore.sweep}. */
  async sweep(now: number): Promise<void> {
    const used = new Set<string>()
    for await (const key of this.database.reader.keys('file')) used.add(key.split('!')[1] ?? '')
    await this.database.assertInPlace()
    // File times are by the wall clock, which may have been changed.
    const before = Math.min(now, toWallTime(this.clock, now)) - NEW_FILE_MS
    for (const name of await this.blobs.names()) {
      if (used.has(name)) continue
      const storedAt = await this.blobs.storedAt(name)
      // A new file may belong to a message that is about to be accepted.
      if (storedAt !== undefined && storedAt < before)
        await this.database.alone(() => this.removeUnused(name))
    }
  }
}
