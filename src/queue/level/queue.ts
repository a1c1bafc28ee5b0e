import type { EqualCheck, EqualMessage } from '../equal-message'
import type { EvictionKind } from '../eviction'
import { LocalRateLimiter, type RateLimiter, type RequestLog } from '../../transport/rate-limiter'
import type { Lease, NewMessage, QueueStore, Settlement, StoredMessage, VerdictChange } from '../types'
import type { Acceptance } from './acceptance'
import type { Announcements } from './announcements'
import type { LevelDatabase } from './database'
import { KEY, put } from './keys'
import type { Leases } from './leases'
import type { Retention } from './retention'
import { UNTRIED } from './rows'

/** Queue of the embedded store. */
export class LevelQueue implements QueueStore {
  readonly #requests: RequestLog = { pausedUntil: 0, made: [] }

  constructor(
    private readonly database: LevelDatabase,
    private readonly parts: {
      acceptance: Acceptance
      leases: Leases
      announcements: Announcements
      retention: Retention
    },
  ) {}

  /**
   * Checks that messages can be accepted. On a full disk, makes room by deleting done messages before the end of their
   * retention time.
   */
  async check(): Promise<void> {
    const { reserve } = this.database
    await this.database.alone(() => this.database.assertInPlace())
    if (!(await reserve.hasRoomFor(reserve.refused))) await this.parts.retention.makeRoom()
    await reserve.assertRoomFor(reserve.refused)
    reserve.refused = 0
  }

  accept(message: NewMessage, check?: EqualCheck): Promise<EqualMessage | undefined> {
    return this.parts.acceptance.store({ ...message, ...UNTRIED }, check)
  }

  claim(lease: Lease & { except: string[] }): Promise<StoredMessage[]> {
    return this.parts.leases.claim(lease)
  }

  /** Does nothing: no other process can read an open embedded store, so none needs the time of the last use. */
  touch(): Promise<void> {
    return Promise.resolve()
  }

  renew(holder: string, ids: string[], leaseMs: number): Promise<void> {
    return this.parts.leases.renew(holder, ids, leaseMs)
  }

  recordRequestStart(id: string, holder: string): Promise<void> {
    return this.parts.leases.recordRequestStart(id, holder)
  }

  recordNotes(id: string, holder: string, notes: Buffer): Promise<void> {
    return this.parts.leases.recordNotes(id, holder, notes)
  }

  settle(id: string, holder: string, settlement: Settlement, now: number): Promise<void> {
    const onSettled = (): void => this.parts.announcements.endLease(id)
    return this.parts.leases.settle({ id, holder, now, onSettled }, settlement)
  }

  recordVerdict(id: string, { reason, notes, seen }: VerdictChange): Promise<boolean> {
    return this.database.durably(async () => {
      const row = await this.database.reader.row(id)
      const known = await this.database.reader.get(KEY.notes(id))
      const isOver = row?.state !== 'delivered' || row.reason === 'mark-delivered'
      if (isOver || !known?.equals(seen)) return false
      await this.database.move([[row, { ...row, reason }]], [put(KEY.notes(id), notes)])
      return true
    })
  }

  nextDue(now: number, except: string[]): Promise<number | undefined> {
    return this.parts.leases.nextDue(now, except)
  }

  claimUnannounced(lease: Lease & { owners: string[] }): Promise<StoredMessage[]> {
    return this.parts.announcements.take(lease)
  }

  markAnnounced(id: string): Promise<void> {
    return this.parts.announcements.markAnnounced(id)
  }

  releaseUnannounced(id: string): Promise<void> {
    return this.parts.announcements.release(id)
  }

  purge(before: number, now: number): Promise<number> {
    return this.parts.retention.purge(before, now)
  }

  evict(kind: EvictionKind, limit: number, now: number): Promise<number> {
    return this.parts.retention.evict(kind, limit, now)
  }

  sweep(now: number): Promise<void> {
    return this.parts.retention.sweep(now)
  }

  rateLimiter(perFiveMinutes: number): RateLimiter {
    return new LocalRateLimiter(perFiveMinutes, this.#requests)
  }
}
