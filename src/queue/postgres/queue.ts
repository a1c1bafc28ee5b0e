import type { EqualCheck, EqualMessage } from '../equal-message'
import { REFUSED_LATER_MS, UNANNOUNCED_MS, type EvictionKind } from '../eviction'
import { present } from '../../shared/present'
import type { RateLimiter } from '../../transport/rate-limiter'
import { WINDOW_MS } from '../../transport/rate-limiter'
import { RedoxError } from '../../errors'
import { assertStorable, textsOf } from '../store-errors'
import type { Lease, NewMessage, QueueStore, Settlement, StoredMessage, VerdictChange } from '../types'
import type { DatabaseClock } from './clock'
import type { DatabaseConnection } from './connection'
import { SharedRateLimiter } from './rate-limiter'
import { sortedMessages, type PostgresAcceptance, type PostgresRow } from './rows'

const AN_HOUR_MS = 3_600_000
/** Number of messages that one statement deletes; each message may have a file of 30 MB. */
const FORGOTTEN_AT_ONCE = 100

/** Queue of the PostgreSQL store. Each call is one statement. */
export class PostgresQueue implements QueueStore {
  /**
   * Last acceptance in progress, by destination and order key. Ordered messages are accepted one after the other: parallel statements
   * could be stored in another order, and would use all connections of the pool.
   */
  readonly #accepting = new Map<string, Promise<unknown>>()

  constructor(
    private readonly connection: DatabaseConnection,
    private readonly clock: DatabaseClock,
  ) {}

  /** Does nothing: if the database cannot be used, the next statement rejects. */
  check(): Promise<void> {
    return Promise.resolve()
  }

  async accept(message: NewMessage, check?: EqualCheck): Promise<EqualMessage | undefined> {
    if (!message.ordered) return this.#accept(message, check)
    const turn = message.orderKey ?? message.destination
    const before = this.#accepting.get(turn) ?? Promise.resolve()
    const accepted = before.catch(() => undefined).then(() => this.#accept(message, check))
    this.#accepting.set(turn, accepted)
    try {
      return await accepted
    } finally {
      if (this.#accepting.get(turn) === accepted) this.#accepting.delete(turn)
    }
  }

  async #accept(message: NewMessage, check?: EqualCheck): Promise<EqualMessage | undefined> {
    assertStorable(...textsOf(message))
    const { id, destination, ordered, orderKey = null } = message
    const { owner, acceptedAt, deadline, files, tags, content } = message
    const { tag = null, deliveredSince = null, acceptsEqual = true } = check ?? {}
    const [row] = await this.connection.ask<PostgresAcceptance>(
      'SELECT * FROM redox.accept($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)',
      [
        ...[id, destination, ordered, orderKey, owner, acceptedAt, deadline, files, tags, content],
        ...[tag, deliveredSince, acceptsEqual],
      ],
    )
    const {
      has_files: hasFiles,
      equal_id: equalId,
      equal_state: state,
    } = present(row, 'the answer of accept')
    if (!hasFiles)
      throw new RedoxError(
        'REDOX_STORE_LOST',
        `File is missing: a file of the message ${id} is no longer in the store.`,
      )
    return equalId === null ? undefined : { id: equalId, state }
  }

  async claim({ holder, leaseMs, limit, except }: Lease & { except: string[] }): Promise<StoredMessage[]> {
    const claim = 'SELECT * FROM redox.claim($1, $2, $3, $4, $5)'
    return sortedMessages(await this.connection.ask<PostgresRow>(claim, [holder, leaseMs, limit, except]))
  }

  async renew(holder: string, ids: string[], leaseMs: number): Promise<void> {
    await this.connection.ask(
      `UPDATE redox.message SET held_until = redox.now($1) + $4::bigint
       WHERE queue = $1 AND holder = $2 AND id = ANY ($3) AND state = 'sending'`,
      [holder, ids, leaseMs],
    )
  }

  async recordRequestStart(id: string, holder: string): Promise<void> {
    await this.#change(id, holder, 'begun = true', [])
  }

  async recordNotes(id: string, holder: string, notes: Buffer): Promise<void> {
    await this.#change(id, holder, 'notes = $4', [notes])
  }

  async settle(id: string, holder: string, settlement: Settlement, now: number): Promise<void> {
    const { state, notes } = settlement
    const reason = state === 'delivered' ? null : settlement.reason
    const dueAt = state === 'waiting' ? settlement.dueAt : null
    const endedAt = state === 'waiting' ? null : now
    const tags = state === 'waiting' ? [] : (settlement.tags ?? [])
    await this.#change(
      id,
      holder,
      `state = $4, reason = $5, due_at = coalesce($6, due_at), notes = coalesce($7, notes), ended_at = $8,
       tags = tags || array(SELECT unnest($9::text[]) EXCEPT SELECT unnest(tags)), attempts = attempts + 1,
       begun = false, holder = NULL, held_until = NULL`,
      [state, reason, dueAt, notes ?? null, endedAt, tags],
    )
  }

  async recordVerdict(id: string, { reason, notes, seen }: VerdictChange): Promise<boolean> {
    const changed = await this.connection.ask(
      `UPDATE redox.message SET reason = $3, notes = $4
       WHERE queue = $1 AND id = $2 AND state = 'delivered' AND notes = $5
         AND reason IS DISTINCT FROM 'mark-delivered' RETURNING id`,
      [id, reason, notes, seen],
    )
    return changed.length > 0
  }

  /**
   * Changes a message that is leased to this holder.
   * @throws RedoxError REDOX_STORE_LOST if the holder has lost the lease
   */
  async #change(id: string, holder: string, set: string, values: unknown[]): Promise<void> {
    const changed = await this.connection.ask(
      `UPDATE redox.message SET ${set} WHERE queue = $1 AND id = $2 AND holder = $3 AND state = 'sending' RETURNING id`,
      [id, holder, ...values],
    )
    if (changed.length === 0)
      throw new RedoxError(
        'REDOX_STORE_LOST',
        `Message is taken: another process is sending the message ${id}.`,
      )
  }

  async nextDue(now: number, except: string[]): Promise<number | undefined> {
    const [row] = await this.connection.ask<{ due: string | null; now: string; ahead: string }>(
      'SELECT redox.next_due($1, $2) AS due, redox.now($1) AS now, ahead FROM redox.queue WHERE queue = $1',
      [except],
    )
    const { due, now: storeNow, ahead } = present(row, 'the row of the queue')
    this.clock.set(Number(storeNow), Number(ahead))
    return due === null ? undefined : Math.max(now, Number(due))
  }

  async claimUnannounced({
    holder,
    leaseMs,
    limit,
    owners,
  }: Lease & { owners: string[] }): Promise<StoredMessage[]> {
    const rows = await this.connection.ask<PostgresRow>(
      `WITH taken AS (
         SELECT sequence FROM redox.message
         WHERE queue = $1 AND owner = ANY ($5) AND NOT told AND state IN ('parked', 'delivered')
           AND (teller IS NULL OR teller = $2 OR telling_until <= redox.now($1))
         ORDER BY ended_at, sequence LIMIT $4 FOR UPDATE SKIP LOCKED
       )
       UPDATE redox.message m SET teller = $2, telling_until = redox.now($1) + $3::bigint
       FROM taken WHERE m.sequence = taken.sequence RETURNING m.*`,
      [holder, leaseMs, limit, owners],
    )
    return sortedMessages(rows, ({ ended_at: endedAt }) => Number(endedAt))
  }

  async markAnnounced(id: string): Promise<void> {
    await this.connection.ask(
      `UPDATE redox.message SET told = true, teller = NULL, telling_until = NULL
       WHERE queue = $1 AND id = $2 AND state IN ('parked', 'delivered')`,
      [id],
    )
  }

  async releaseUnannounced(id: string, holder: string): Promise<void> {
    await this.connection.ask(
      `UPDATE redox.message SET teller = NULL, telling_until = NULL WHERE queue = $1 AND id = $2 AND teller = $3`,
      [id, holder],
    )
  }

  async touch(): Promise<void> {
    await this.connection.ask('UPDATE redox.queue SET seen_at = redox.now($1) WHERE queue = $1', [])
  }

  purge(before: number, now: number): Promise<number> {
    return this.#forget('SELECT redox.purge($1, $2, $3, $4, $5) AS gone', [
      ...[before, now - UNANNOUNCED_MS, now - REFUSED_LATER_MS],
    ])
  }

  evict(kind: EvictionKind, limit: number, now: number): Promise<number> {
    return this.#forget('SELECT redox.evict($1, $2, $3, $4) AS gone', [kind, now - UNANNOUNCED_MS], limit)
  }

  /**
   * Deletes messages in batches.
   * @param values parameters of the statement from `$2` on, without the last one: the number of messages in a batch
   * @returns number of deleted messages
   */
  async #forget(text: string, values: unknown[], limit = Infinity): Promise<number> {
    let forgotten = 0
    for (let batch = 0, last = 0; last === batch && forgotten < limit; forgotten += last) {
      batch = Math.min(limit - forgotten, FORGOTTEN_AT_ONCE)
      const [row] = await this.connection.ask<{ gone: number }>(text, [...values, batch])
      last = present(row, 'the number of deleted messages').gone
    }
    return forgotten
  }

  async sweep(now: number): Promise<void> {
    await this.connection.ask('SELECT redox.forget_files($1, $2)', [now - AN_HOUR_MS])
  }

  rateLimiter(perFiveMinutes: number): RateLimiter {
    const wait = async (text: string, values: unknown[]): Promise<number> => {
      const [row] = await this.connection.ask<{ wait: string }>(text, values)
      return Number(present(row, 'the wait of the queue').wait)
    }
    const paused =
      'SELECT greatest(0, paused_until - redox.now($1)) AS wait FROM redox.queue WHERE queue = $1'
    const pause = `UPDATE redox.queue SET paused_until = greatest(paused_until, redox.now($1) + $2) WHERE queue = $1`
    return new SharedRateLimiter(
      {
        acquire: (perWindow) => wait('SELECT redox.turn($1, $2, $3) AS wait', [perWindow, WINDOW_MS]),
        paused: () => wait(paused, []),
        pause: async (milliseconds) => void (await this.connection.ask(pause, [Math.ceil(milliseconds)])),
      },
      perFiveMinutes,
    )
  }
}
