import type { WaitingReason } from '../../shared/outbox-api'
import { present } from '../../shared/present'
import { toWallTime, type StoreClock } from '../store-clock'
import { areStorable, assertStorable, isStorable, pageLost, textsOf } from '../store-errors'
import { ALL_DESTINATIONS, type AuditContext, type AuditLine } from '../audit'
import {
  DECIDABLE,
  DECIDABLE_LATER,
  MOVING,
  STATES,
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
import type { DatabaseConnection } from './connection'
import { messageLost } from './errors'
import {
  destinationStateOf,
  DESTINATIONS,
  matchingQuery,
  storedMessageOf,
  type PostgresDestination,
  type PostgresRow,
} from './rows'
import { WAITING, waitingReasonsOf, type PostgresWaiting } from './waiting-reasons'

/**
 * SQL of the columns that each action changes. $3 is the time of the action (with `extend`: the new deadline), $5 the
 * action.
 */
const DECIDED: Record<Action, string> = {
  resend: `state = 'waiting', attempts = 0, begun = false, due_at = $3, deadline = $3 + patience, told = false,
    ended_at = NULL, reason = NULL, teller = NULL, telling_until = NULL`,
  'mark-delivered': ended('delivered'),
  discard: ended('discarded'),
  extend: 'deadline = $3',
}
function ended(state: MessageState): string {
  return `state = '${state}', told = true, ended_at = $3, reason = $5, teller = NULL, telling_until = NULL`
}

/** Condition of {@link isRefusedLater}, with the constants of the index in file 0007. */
const REFUSED_LATER = `state = 'delivered' AND reason = 'REDOX_NOT_DELIVERED'`

/** Bytes of all tables in the schema of the store, with their indexes and their values outside of the tables. */
const SIZE = `
  SELECT sum(pg_total_relation_size(c.oid)) AS bytes FROM pg_class c
  WHERE c.relkind = 'r'
    AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'redox.message'::regclass)`

/** Bytes of the contents of a queue. The lengths of values outside of their table are known without reading them. */
const USED = `
  SELECT coalesce((
    SELECT sum(octet_length(content) + coalesce(octet_length(notes), 0)) FROM redox.message WHERE queue = $1
  ), 0) + coalesce((
    SELECT sum(octet_length(c.bytes)) FROM redox.file f JOIN redox.chunk c USING (file) WHERE f.queue = $1
  ), 0) AS bytes`

/** Admin functions of the PostgreSQL store: searches, actions of people, and the audit log. */
export class PostgresAdmin implements AdminStore {
  constructor(
    private readonly connection: DatabaseConnection,
    private readonly clock: StoreClock,
  ) {}

  // ---- Looking and deciding ---------------------------------------------------------------------------

  async find({ limit, ...wanted }: Query): Promise<StoredMessage[]> {
    if (!areStorable(wanted)) return []
    const { state, newestFirst, after, ...criteria } = wanted
    const behind = await this.#sequenceOf(after)
    const { found, values } = matchingQuery('*', criteria, ['state = ?', state], {
      sequence: behind,
      ...(newestFirst !== undefined && { newestFirst }),
    })
    const text = `${found} ORDER BY sequence ${newestFirst ? 'DESC' : 'ASC'} LIMIT $${values.length + 2}`
    return (await this.connection.ask<PostgresRow>(text, [...values, limit])).map(storedMessageOf)
  }

  async ids(criteria: Criteria, states: readonly MessageState[]): Promise<string[]> {
    if (!areStorable(criteria)) return []
    const behind = await this.#sequenceOf(criteria.after)
    const { found, values } = matchingQuery('id, sequence', criteria, ['state = ANY (?)', states], {
      sequence: behind,
    })
    const rows = await this.connection.ask<{ id: string }>(`${found} ORDER BY sequence`, values)
    return rows.map(({ id }) => id)
  }

  async #sequenceOf(id: string | undefined): Promise<string | undefined> {
    if (id === undefined) return undefined
    const text = 'SELECT sequence FROM redox.message WHERE queue = $1 AND id = $2'
    const [row] = isStorable(id) ? await this.connection.ask<{ sequence: string }>(text, [id]) : []
    if (row) return row.sequence
    throw pageLost()
  }

  async destinations(): Promise<DestinationState[]> {
    const rows = await this.connection.ask<PostgresDestination>(DESTINATIONS, [])
    return rows.map(destinationStateOf)
  }

  async waitingReasons(ids: readonly string[]): Promise<ReadonlyMap<string, WaitingReason>> {
    const stored = ids.filter(isStorable)
    return waitingReasonsOf(await this.connection.ask<PostgresWaiting>(WAITING, [stored]))
  }

  async counts(): Promise<Record<MessageState, number>> {
    const text = 'SELECT state, count(*) AS count FROM redox.message WHERE queue = $1 GROUP BY state'
    const rows = await this.connection.ask<{ state: MessageState; count: string }>(text, [])
    const counted = new Map(rows.map(({ state, count }) => [state, Number(count)]))
    return Object.fromEntries(STATES.map((state) => [state, counted.get(state) ?? 0])) as Record<
      MessageState,
      number
    >
  }

  async refusedLater(): Promise<number> {
    const text = `SELECT count(*) AS count FROM redox.message WHERE queue = $1 AND ${REFUSED_LATER}`
    const [row] = await this.connection.ask<{ count: string }>(text, [])
    return Number(present(row, 'the number of messages').count)
  }

  async size(): Promise<number> {
    const [row] = await this.connection.rows<{ bytes: string }>(SIZE, [])
    return Number(row?.bytes ?? 0)
  }

  async used(): Promise<number> {
    const [row] = await this.connection.ask<{ bytes: string }>(USED, [])
    return Number(row?.bytes ?? 0)
  }

  async applyAction(
    id: string,
    action: Action,
    { who, reason, now }: AuditContext,
    { notes, tags = [], deadline, seen }: DecisionTerms = {},
  ): Promise<void> {
    if (!isStorable(id)) throw messageLost(id)
    const moment = action === 'extend' ? (deadline ?? now) : now
    const lines = await this.connection.ask(
      `WITH decided AS (
         UPDATE redox.message SET ${DECIDED[action]}, notes = coalesce($8, notes),
           tags = tags || array(SELECT unnest($14::text[]) EXCEPT SELECT unnest(tags))
         WHERE queue = $1 AND id = $2 AND (state = ANY ($7) OR $13 AND ${REFUSED_LATER})
           AND reason IS DISTINCT FROM '${MOVING}' AND ($9::text IS NULL
           OR state = $9 AND reason IS NOT DISTINCT FROM $10 AND ended_at IS NOT DISTINCT FROM $11)
           ${action === 'extend' ? 'AND deadline < $3' : ''}
         RETURNING id
       )
       SELECT redox.write_line($1, $12, $4, $5, id, $6) FROM decided`,
      [
        ...[id, moment, who, action, reason, DECIDABLE[action], notes ?? null],
        ...[seen?.state ?? null, seen?.reason ?? null, seen?.endedAt ?? null, this.#wall(now)],
        ...[DECIDABLE_LATER.includes(action), tags],
      ],
    )
    if (lines.length === 0) throw messageLost(id)
  }

  async pause(destination: string, isPaused: boolean, { who, reason, now }: AuditContext): Promise<void> {
    const change = isPaused
      ? 'INSERT INTO redox.paused VALUES ($1, $2) ON CONFLICT DO NOTHING'
      : 'DELETE FROM redox.paused WHERE queue = $1 AND lane = $2'
    assertStorable(destination)
    await this.connection.ask(`WITH changed AS (${change}) SELECT redox.write_line($1, $3, $4, $5, $2, $6)`, [
      ...[destination, this.#wall(now), who, isPaused ? 'pause' : 'resume', reason],
    ])
  }

  async tryNow(destination: string | undefined, { who, reason, now }: AuditContext): Promise<number> {
    if (destination !== undefined) assertStorable(destination)
    // The messages are locked before the queue, as everywhere, and in one order.
    const [changed] = await this.connection.ask<{ count: string }>(
      `WITH late AS (
         SELECT sequence FROM redox.message
         WHERE queue = $1 AND state = 'waiting' AND due_at > $2 AND ($3::text IS NULL OR lane = $3)
         ORDER BY sequence FOR UPDATE
       ), changed AS (
         UPDATE redox.message m SET due_at = $2 FROM late WHERE m.sequence = late.sequence RETURNING m.sequence
       ), counted AS MATERIALIZED (SELECT count(*) AS count FROM changed)
       SELECT count, redox.write_line($1, $4, $5, 'try-now', $6, $7) FROM counted`,
      [now, destination ?? null, this.#wall(now), who, destination ?? ALL_DESTINATIONS, reason],
    )
    return Number(present(changed, 'the number of messages').count)
  }

  async recordAccess(
    id: string,
    action: 'look' | 'look-up',
    { who, reason, now }: AuditContext,
  ): Promise<void> {
    const values = [this.#wall(now), who, action, id, reason]
    await this.connection.ask('SELECT redox.write_line($1, $2, $3, $4, $5, $6)', values)
  }

  async recordReplacement(setAside: string, { who, reason, now }: AuditContext): Promise<void> {
    const values = [this.#wall(now), who, setAside, reason]
    await this.connection.ask(`SELECT redox.write_line($1, $2, $3, 'begin-new', $4, $5)`, values)
  }

  #wall(time: number): number {
    return toWallTime(this.clock, time)
  }

  async audit({ skip, limit }: { skip: number; limit: number }): Promise<AuditLine[]> {
    const rows = await this.connection.ask<Omit<AuditLine, 'at'> & { at: string }>(
      `SELECT at, who, action, subject, reason FROM redox.audit
       WHERE queue = $1 AND number > $2 ORDER BY number LIMIT $3`,
      [skip, limit],
    )
    return rows.map((row) => ({ ...row, at: Number(row.at) }))
  }

  /** Returns the number of lines in the audit log. Lines are numbered from 1 without gaps, and never deleted. */
  async auditLength(): Promise<number> {
    const text = 'SELECT lines FROM redox.queue WHERE queue = $1'
    const [row] = await this.connection.ask<{ lines: string }>(text, [])
    return Number(present(row, 'the row of the queue').lines)
  }

  // ---- Moving to another store ------------------------------------------------------------------------

  async insertMoved(message: StoredMessage): Promise<void> {
    assertStorable(...textsOf(message))
    const { id, destination, ordered, orderKey, owner, acceptedAt, deadline, files, tags, content } = message
    const { state, attempts, dueAt, requestStarted, reason, notes, announced, endedAt } = message
    await this.connection.ask(
      `INSERT INTO redox.message (queue, sequence, patience, id, lane, ordered, owner, accepted_at, deadline, files,
         tags, content, state, attempts, due_at, begun, reason, notes, told, ended_at, order_key)
       VALUES ($1, nextval('redox.acceptance'), $7::bigint - $6::bigint, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
         $13, $14, $15, $16, $17, $18, $19)
       ON CONFLICT (queue, id) DO NOTHING`,
      [
        ...[id, destination, ordered, owner, acceptedAt, deadline, files, tags, content],
        ...[
          state,
          attempts,
          dueAt,
          requestStarted,
          reason ?? null,
          notes ?? null,
          announced,
          endedAt ?? null,
          orderKey ?? null,
        ],
      ],
    )
  }

  async setStatus(
    id: string,
    { state, reason, dueAt, announced, endedAt, notes }: MessageStatus & { notes: Buffer },
    line?: AuditLine,
  ): Promise<void> {
    const { at, who, action, subject, reason: why } = line ?? {}
    const changed = await this.connection.ask(
      `WITH changed AS (
         UPDATE redox.message SET state = $3, reason = $4, due_at = $5, told = $6, ended_at = $7, notes = $8,
           holder = NULL, held_until = NULL, teller = NULL, telling_until = NULL
         WHERE queue = $1 AND id = $2 AND (state <> 'sending' OR held_until <= redox.now($1)) RETURNING id
       )
       SELECT CASE WHEN $9::bigint IS NULL THEN NULL ELSE redox.write_line($1, $9, $10, $11, $12, $13) END FROM changed`,
      [
        ...[id, state, reason ?? null, dueAt, announced, endedAt ?? null, notes],
        ...[at ?? null, who ?? null, action ?? null, subject ?? null, why ?? null],
      ],
    )
    if (changed.length === 0) throw messageLost(id)
  }

  async remove(id: string): Promise<void> {
    const text = 'DELETE FROM redox.message WHERE queue = $1 AND id = $2 RETURNING files'
    for (const { files } of await this.connection.ask<{ files: string[] }>(text, [id]))
      await this.connection.ask('SELECT redox.drop_unused($1, $2)', [files])
  }
}
