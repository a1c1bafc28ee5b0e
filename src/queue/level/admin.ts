import type { WaitingReason } from '../../shared/outbox-api'
import { toWallTime, type StoreClock } from '../store-clock'
import { assertStorable } from '../store-errors'
import { ALL_DESTINATIONS, type AuditContext, type AuditLine } from '../audit'
import {
  isDecidable,
  type Action,
  type AdminStore,
  type Criteria,
  type DecisionTerms,
  type DestinationState,
  type MessageState,
  type Query,
  type MessageStatus,
  type StoredMessage,
} from '../types'
import type { Acceptance } from './acceptance'
import type { LevelBlobs } from './blobs'
import type { LevelDatabase } from './database'
import { folderSize } from './folder-size'
import { fileMissing, messageLost } from './errors'
import { digits } from './identity'
import { bytes, del, escaped, json, KEY, put, under, type Change } from './keys'
import type { Retention } from './retention'
import { applyActionToRow, withoutLease, hasStatus, union, type LevelRow } from './rows'
import { MessageSearch } from './search'
import { waitingReasons } from './blockers'
import { lastAuditNumber } from './counters'

/** Admin functions of the embedded store: searches, actions of people, and the audit log. */
export class LevelAdmin implements AdminStore {
  readonly #search: MessageSearch

  constructor(
    private readonly database: LevelDatabase,
    private readonly clock: StoreClock,
    private readonly parts: { acceptance: Acceptance; blobs: LevelBlobs; retention: Retention },
  ) {
    this.#search = new MessageSearch(database)
  }

  // ---- Looking ----------------------------------------------------------------------------------------

  find(query: Query): Promise<StoredMessage[]> {
    return this.#search.find(query)
  }

  ids(criteria: Criteria, states: readonly MessageState[]): Promise<string[]> {
    return this.#search.ids(criteria, states)
  }

  destinations(): Promise<DestinationState[]> {
    return this.#search.destinations()
  }

  waitingReasons(ids: readonly string[]): Promise<ReadonlyMap<string, WaitingReason>> {
    return waitingReasons(ids, this.database)
  }

  async counts(): Promise<Record<MessageState, number>> {
    return { ...this.database.counters.states }
  }

  async refusedLater(): Promise<number> {
    return this.database.counters.refusedLater
  }

  size(): Promise<number> {
    return folderSize(this.database.folder)
  }

  used(): Promise<number> {
    return this.size()
  }

  // ---- Deciding ---------------------------------------------------------------------------------------

  applyAction(
    id: string,
    action: Action,
    context: AuditContext,
    { notes, tags = [], deadline, seen }: DecisionTerms = {},
  ): Promise<void> {
    return this.database.reliably(async () => {
      const row = await this.database.reader.row(id)
      const isPossible = row && isDecidable(row, action)
      const isFutile = action === 'extend' && (deadline ?? 0) <= (row?.deadline ?? 0)
      if (!isPossible || isFutile || (seen && !hasStatus(row, seen))) throw messageLost(`the message ${id}`)
      if (action === 'resend')
        for (const name of row.files) if (!(await this.parts.blobs.hasFile(name))) throw fileMissing()
      const next = { ...applyActionToRow(row, action, context.now, deadline), tags: union(row.tags, tags) }
      await this.database.move(
        [[row, next]],
        [
          this.#line(action, id, context),
          ...(notes ? [put(KEY.notes(id), notes)] : []),
          ...tags.map((tag) => put(KEY.tag(tag, row.sequence), bytes(id))),
        ],
      )
    })
  }

  async pause(destination: string, isPaused: boolean, context: AuditContext): Promise<void> {
    assertStorable(destination)
    const key = KEY.paused(destination)
    const action = isPaused ? 'pause' : 'resume'
    await this.database.reliably(() =>
      this.database.write([
        isPaused ? put(key, bytes(destination)) : del(key),
        this.#line(action, destination, context),
      ]),
    )
  }

  tryNow(destination: string | undefined, context: AuditContext): Promise<number> {
    if (destination !== undefined) assertStorable(destination)
    return this.database.reliably(async () => {
      const { openDestinations } = this.database.counters
      const destinations = destination === undefined ? openDestinations : [destination]
      const late = await Promise.all(destinations.map((one) => this.#dueLater(one, context.now)))
      const rows = late.flat()
      await this.database.move(
        rows.map((row) => [row, { ...row, dueAt: context.now }]),
        [this.#line('try-now', destination ?? ALL_DESTINATIONS, context)],
      )
      return rows.length
    })
  }

  /** Returns the messages of a destination that would be sent now if they were due, but are due later. */
  async #dueLater(destination: string, now: number): Promise<LevelRow[]> {
    const { reader } = this.database
    const [first] = await reader.rows(`line!${escaped(destination)}`, 1)
    const isLate = first?.ordered && first.state === 'waiting' && first.dueAt > now
    // The indexes of unordered messages, and of the first ones of their order keys.
    const late = ['due', 'first'].map(async (index) => {
      const range = under(`${index}!${escaped(destination)}`)
      return reader.rowsIn({ ...range, gt: `${range.gt}${digits(now)}"` }, -1)
    })
    const found = (await Promise.all(late)).flat()
    return isLate && first.orderKey === undefined ? [first, ...found] : found
  }

  recordAccess(id: string, action: 'look' | 'look-up', context: AuditContext): Promise<void> {
    return this.database.reliably(() => this.database.write([this.#line(action, id, context)]))
  }

  recordReplacement(setAside: string, context: AuditContext): Promise<void> {
    return this.database.reliably(() => this.database.write([this.#line('begin-new', setAside, context)]))
  }

  async audit({ skip, limit }: { skip: number; limit: number }): Promise<AuditLine[]> {
    const range = { gt: KEY.audit(skip), lt: under('audit').lt, limit }
    const lines = await this.database.reader.allValues(range)
    return lines.map((line) => JSON.parse(line.toString()) as AuditLine)
  }

  /**
   * Returns the number of the last line in the audit log. Lines are numbered from 1 without gaps, and never deleted.
   */
  auditLength(): Promise<number> {
    return lastAuditNumber(this.database.reader)
  }

  // ---- Moving to another store ------------------------------------------------------------------------

  async insertMoved(message: StoredMessage): Promise<void> {
    await this.parts.acceptance.store(message)
  }

  setStatus(
    id: string,
    { notes, ...standing }: MessageStatus & { notes: Buffer },
    line?: AuditLine,
  ): Promise<void> {
    return this.database.reliably(async () => {
      const row = await this.database.reader.row(id)
      if (!row || (row.leasedUntil ?? 0) > this.clock.now()) throw messageLost(`the message ${id}`)
      const { reason: _reason, endedAt: _endedAt, ...kept } = withoutLease(row)
      const also = [put(KEY.notes(id), notes), ...(line ? [this.#write(line)] : [])]
      await this.database.move([[row, { ...kept, ...standing }]], also)
    })
  }

  remove(id: string): Promise<void> {
    return this.database.alone(() => this.parts.retention.forget([id]))
  }

  #line(action: AuditLine['action'], subject: string, { who, reason, now }: AuditContext): Change {
    return this.#write({ at: toWallTime(this.clock, now), who, action, subject, reason })
  }

  #write(line: AuditLine): Change {
    return put(KEY.audit(++this.database.counters.auditLines), json(line))
  }
}
