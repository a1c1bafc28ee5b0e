import { createHash } from 'node:crypto'
import type { Pool, QueryResultRow } from 'pg'
import { RedoxError, type RedoxErrorCode } from '../../errors'
import { tlsFault } from '../../transport/faults'
import { WINDOW_MS, type PaceKeeper } from '../../transport/retry'
import { onTheWall, type StoreClock } from '../clock'
import { SharedPace } from './rate-limiter'
import { LOCK_MS, SCHEMA, SETUP_LOCK, UPGRADES, VERSION } from './schema'
import {
  DECIDABLE,
  MOVING,
  STATES,
  UNTOLD_MS,
  type Action,
  type AuditLine,
  type Criteria,
  type DecisionTerms,
  type DeliveryStore,
  type Hold,
  type LaneState,
  type MessageState,
  type NewMessage,
  type Query,
  type Settlement,
  type Standing,
  type StoredMessage,
} from '../types'
import { areStorable, assertStorable, assertVersion, isStorable, pageLost, textsOf } from '../store-errors'

export interface PostgresOptions {
  /** postgres://user:password@host:5432/database */
  url: string
  /** id of the redox-config node: each has its own messages, files, lanes and pace */
  queue: string
}

/** A row of redox.message. The driver gives bigint as text. */
interface MessageRow extends QueryResultRow {
  id: string
  sequence: string
  lane: string
  ordered: boolean
  owner: string
  accepted_at: string
  deadline: string
  files: string[]
  tags: string[]
  content: Buffer
  state: MessageState
  attempts: number
  due_at: string
  begun: boolean
  reason: string | null
  notes: Buffer | null
  told: boolean
  ended_at: string | null
}

const CONNECT_MS = 10_000
const CONNECTIONS = 4

const AN_HOUR_MS = 3_600_000
/** Messages that are forgotten in one statement; each may have a file of 30 MB. */
const FORGOTTEN_AT_ONCE = 100

const INSUFFICIENT_PRIVILEGE = '42501'

/** Whether the user has the rights on all tables and sequences that the statements of the store need. */
const RIGHTS = `
  SELECT bool_and(has_schema_privilege(relnamespace, 'USAGE') AND CASE relkind
    WHEN 'S' THEN has_sequence_privilege(c.oid, 'USAGE')
    ELSE has_table_privilege(c.oid, 'SELECT') AND (relname = 'version' OR has_table_privilege(c.oid, 'INSERT')
      AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')) END) AS has_all
  FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
  WHERE nspname = 'redox' AND (relkind = 'r' OR relname = 'acceptance')`

/** What becomes of a message; $3 is now, or the deadline of `extend`, and $5 the action. */
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

/**
 * The store of several processes that share a PostgreSQL database. Every call is one statement, so that no connection is
 * kept between two of them, and none of their locks outlives a process or a network.
 */
export class PostgresStore implements DeliveryStore {
  readonly #pool: Pool
  readonly #queue: string
  readonly #failed: (error: unknown) => never
  /** by lane, what is being accepted last: the pool would not keep them in order, nor leave room for others */
  readonly #accepting = new Map<string, Promise<void>>()
  readonly clock = new DatabaseClock()
  #closed: Promise<void> | undefined
  #identity = ''

  private constructor(pool: Pool, { url, queue }: PostgresOptions) {
    this.#pool = pool
    this.#queue = queue
    this.#failed = (error) => {
      throw failure(error, placeOf(url))
    }
  }

  /**
   * Makes the tables if they are not there.
   * @param known the identity that is kept elsewhere; undefined: none, so that a store may be begun here
   * @throws RedoxError
   */
  static async open(options: PostgresOptions, known?: string): Promise<PostgresStore> {
    const pool = makePool(await loadPool(), options.url)
    const store = new PostgresStore(pool, options)
    try {
      await store.#prepare(known)
      return store
    } catch (error) {
      await store.close()
      throw error
    }
  }

  async #prepare(known: string | undefined): Promise<void> {
    // Looked at before anything is made: who runs it from day to day then need not be allowed to make tables.
    const found = await this.#version()
    if (known !== undefined && found === undefined) throw otherDatabase()
    if (found === undefined || found < VERSION) await this.#setUp()
    else assertVersion(found, VERSION)
    // Now, not when the first message comes.
    const [rights] = await this.#rows<{ has_all: boolean }>(RIGHTS, [])
    if (rights?.has_all !== true) return this.#failed({ code: INSUFFICIENT_PRIVILEGE })
    const [row] = await this.#ask<{ mark: Buffer | null }>(
      'SELECT mark FROM redox.queue WHERE queue = $1',
      [],
    )
    if (known !== undefined && (!row?.mark || identityOf(row.mark) !== known)) throw otherDatabase()
    await this.#ask('INSERT INTO redox.queue (queue) VALUES ($1) ON CONFLICT DO NOTHING', [])
    await this.nextDue(0, [])
  }

  /** Of all who begin at once, one makes or changes the tables, all or none of them; the others wait for it. */
  async #setUp(): Promise<void> {
    const client = await this.#pool.connect().catch(this.#failed)
    client.on('error', () => undefined)
    try {
      await client.query(`BEGIN; SELECT pg_advisory_xact_lock(${SETUP_LOCK})`)
      const found = await this.#version(client)
      if (found !== undefined) assertVersion(found, VERSION)
      await client.query(found === undefined ? SCHEMA : upgradeFrom(found))
      await client.query('COMMIT')
    } catch (error) {
      if (codeOf(error) === INSUFFICIENT_PRIVILEGE) throw mayNotSetUp()
      this.#failed(error)
    } finally {
      // Closed, not given back: that also undoes what was left half done.
      client.release(true)
    }
  }

  async #version(database?: Pick<Pool, 'query'>): Promise<number | undefined> {
    // Not by to_regclass: it remembers that a table was missing, also beyond the lock that was waited for.
    const table = `SELECT FROM pg_tables WHERE schemaname = 'redox' AND tablename = 'version'`
    if ((await this.#rows(table, [], database)).length === 0) return undefined
    const versions = await this.#rows<{ version: number }>('SELECT version FROM redox.version', [], database)
    return versions[0]?.version ?? NaN
  }

  async mark(own: Buffer): Promise<Buffer> {
    const set = 'UPDATE redox.queue SET mark = coalesce(mark, $2) WHERE queue = $1 RETURNING mark'
    const { mark } = (await this.#ask<{ mark: Buffer }>(set, [own]))[0]!
    this.#identity = identityOf(mark)
    return mark
  }

  /** No two marks are the same: what is sealed begins with random bytes. */
  get identity(): string {
    return this.#identity
  }

  /** What can go wrong, the next statement tells. */
  check(): Promise<void> {
    return Promise.resolve()
  }

  // ---- Accepting and sending --------------------------------------------------------------------------

  async accept(message: NewMessage): Promise<void> {
    if (!message.ordered) return this.#accept(message)
    const { lane } = message
    const before = this.#accepting.get(lane) ?? Promise.resolve()
    const accepted = before.catch(() => undefined).then(() => this.#accept(message))
    this.#accepting.set(lane, accepted)
    try {
      await accepted
    } finally {
      if (this.#accepting.get(lane) === accepted) this.#accepting.delete(lane)
    }
  }

  async #accept(message: NewMessage): Promise<void> {
    assertStorable(...textsOf(message))
    const { id, lane, ordered, owner, acceptedAt, deadline, files, tags, content } = message
    const [row] = await this.#ask<{ accept: boolean }>(
      'SELECT redox.accept($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)',
      [id, lane, ordered, owner, acceptedAt, deadline, files, tags, content],
    )
    if (row?.accept !== true)
      throw new RedoxError(
        'REDOX_STORE_LOST',
        `File is missing: a file of the message ${id} is no longer in the store.`,
      )
  }

  async claim({ holder, leaseMs, limit, except }: Hold & { except: string[] }): Promise<StoredMessage[]> {
    const claim = 'SELECT * FROM redox.claim($1, $2, $3, $4, $5)'
    return inOrder(await this.#ask<MessageRow>(claim, [holder, leaseMs, limit, except]))
  }

  async renew(holder: string, ids: string[], leaseMs: number): Promise<void> {
    await this.#ask(
      `UPDATE redox.message SET held_until = redox.now($1) + $4::bigint
       WHERE queue = $1 AND holder = $2 AND id = ANY ($3) AND state = 'sending'`,
      [holder, ids, leaseMs],
    )
  }

  async begin(id: string, holder: string): Promise<void> {
    await this.#change(id, holder, 'begun = true', [])
  }

  async note(id: string, holder: string, notes: Buffer): Promise<void> {
    await this.#change(id, holder, 'notes = $4', [notes])
  }

  async settle(id: string, holder: string, settlement: Settlement, now: number): Promise<void> {
    const { state, notes } = settlement
    const reason = state === 'delivered' ? null : settlement.reason
    const dueAt = state === 'waiting' ? settlement.dueAt : null
    const endedAt = state === 'waiting' ? null : now
    await this.#change(
      id,
      holder,
      `state = $4, reason = $5, due_at = coalesce($6, due_at), notes = coalesce($7, notes), ended_at = $8,
       attempts = attempts + 1, begun = false, holder = NULL, held_until = NULL`,
      [state, reason, dueAt, notes ?? null, endedAt],
    )
  }

  /** Changes what this holder holds. */
  async #change(id: string, holder: string, set: string, values: unknown[]): Promise<void> {
    const changed = await this.#ask(
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
    const [row] = await this.#ask<{ due: string | null; now: string; ahead: string }>(
      'SELECT redox.next_due($1, $2) AS due, redox.now($1) AS now, ahead FROM redox.queue WHERE queue = $1',
      [except],
    )
    this.clock.set(Number(row!.now), Number(row!.ahead))
    const { due } = row!
    return due === null ? undefined : Math.max(now, Number(due))
  }

  // ---- Telling the nodes ------------------------------------------------------------------------------

  async untold({ holder, leaseMs, limit, owners }: Hold & { owners: string[] }): Promise<StoredMessage[]> {
    const rows = await this.#ask<MessageRow>(
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
    return inOrder(rows, ({ ended_at: endedAt }) => Number(endedAt))
  }

  async markTold(id: string): Promise<void> {
    await this.#ask(
      `UPDATE redox.message SET told = true, teller = NULL, telling_until = NULL
       WHERE queue = $1 AND id = $2 AND state IN ('parked', 'delivered')`,
      [id],
    )
  }

  async leaveUntold(id: string, holder: string): Promise<void> {
    await this.#ask(
      `UPDATE redox.message SET teller = NULL, telling_until = NULL WHERE queue = $1 AND id = $2 AND teller = $3`,
      [id, holder],
    )
  }

  async touch(): Promise<void> {
    await this.#ask('UPDATE redox.queue SET seen_at = redox.now($1) WHERE queue = $1', [])
  }

  /**
   * All that lies in a database, by the ids of the redox-config nodes. Makes nothing there.
   * @throws RedoxError
   */
  static async queues(url: string): Promise<QueueState[]> {
    const pool = makePool(await loadPool(), url)
    const store = new PostgresStore(pool, { url, queue: '' })
    try {
      const version = await store.#version()
      if (version === undefined) return []
      assertVersion(version, VERSION)
      if (version < VERSION) await store.#setUp()
      return (await store.#rows<QueueRow>(QUEUES, [])).map(queueState)
    } finally {
      await store.close()
    }
  }

  // ---- Moving to another store ------------------------------------------------------------------------

  async adopt(message: StoredMessage): Promise<void> {
    assertStorable(...textsOf(message))
    const { id, lane, ordered, owner, acceptedAt, deadline, files, tags, content } = message
    const { state, attempts, dueAt, begun, reason, notes, told, endedAt } = message
    await this.#ask(
      `INSERT INTO redox.message (queue, sequence, patience, id, lane, ordered, owner, accepted_at, deadline, files,
         tags, content, state, attempts, due_at, begun, reason, notes, told, ended_at)
       VALUES ($1, nextval('redox.acceptance'), $7::bigint - $6::bigint, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
         $13, $14, $15, $16, $17, $18)
       ON CONFLICT (queue, id) DO NOTHING`,
      [
        ...[id, lane, ordered, owner, acceptedAt, deadline, files, tags, content],
        ...[state, attempts, dueAt, begun, reason ?? null, notes ?? null, told, endedAt ?? null],
      ],
    )
  }

  async restate(
    id: string,
    { state, reason, dueAt, told, endedAt, notes }: Standing & { notes: Buffer },
    line?: AuditLine,
  ): Promise<void> {
    const { at, who, action, subject, reason: why } = line ?? {}
    const changed = await this.#ask(
      `WITH changed AS (
         UPDATE redox.message SET state = $3, reason = $4, due_at = $5, told = $6, ended_at = $7, notes = $8,
           holder = NULL, held_until = NULL, teller = NULL, telling_until = NULL
         WHERE queue = $1 AND id = $2 AND (state <> 'sending' OR held_until <= redox.now($1)) RETURNING id
       )
       SELECT CASE WHEN $9::bigint IS NULL THEN NULL ELSE redox.write_line($1, $9, $10, $11, $12, $13) END FROM changed`,
      [
        ...[id, state, reason ?? null, dueAt, told, endedAt ?? null, notes],
        ...[at ?? null, who ?? null, action ?? null, subject ?? null, why ?? null],
      ],
    )
    if (changed.length === 0) throw messageLost(id)
  }

  async remove(id: string): Promise<void> {
    const text = 'DELETE FROM redox.message WHERE queue = $1 AND id = $2 RETURNING files'
    for (const { files } of await this.#ask<{ files: string[] }>(text, [id]))
      await this.#ask('SELECT redox.drop_unused($1, $2)', [files])
  }

  // ---- Looking and deciding ---------------------------------------------------------------------------

  async find({ limit, ...wanted }: Query): Promise<StoredMessage[]> {
    if (!areStorable(wanted)) return []
    const { state, newestFirst, after, ...criteria } = wanted
    const behind = await this.#sequenceOf(after)
    const { found, values } = matching('*', criteria, ['state = ?', state], behind, newestFirst)
    const text = `${found} ORDER BY sequence ${newestFirst ? 'DESC' : 'ASC'} LIMIT $${values.length + 2}`
    return (await this.#ask<MessageRow>(text, [...values, limit])).map(stored)
  }

  async ids(criteria: Criteria, states: readonly MessageState[]): Promise<string[]> {
    if (!areStorable(criteria)) return []
    const behind = await this.#sequenceOf(criteria.after)
    const { found, values } = matching('id, sequence', criteria, ['state = ANY (?)', states], behind)
    const rows = await this.#ask<{ id: string }>(`${found} ORDER BY sequence`, values)
    return rows.map(({ id }) => id)
  }

  async #sequenceOf(id: string | undefined): Promise<string | undefined> {
    if (id === undefined) return undefined
    const text = 'SELECT sequence FROM redox.message WHERE queue = $1 AND id = $2'
    const [row] = isStorable(id) ? await this.#ask<{ sequence: string }>(text, [id]) : []
    if (row) return row.sequence
    throw pageLost()
  }

  async lanes(): Promise<LaneState[]> {
    const rows = await this.#ask<LaneRow>(LANES, [])
    return rows.map(laneState)
  }

  async counts(): Promise<Record<MessageState, number>> {
    const text = 'SELECT state, count(*) AS count FROM redox.message WHERE queue = $1 GROUP BY state'
    const rows = await this.#ask<{ state: MessageState; count: string }>(text, [])
    const counted = new Map(rows.map(({ state, count }) => [state, Number(count)]))
    return Object.fromEntries(STATES.map((state) => [state, counted.get(state) ?? 0])) as Record<
      MessageState,
      number
    >
  }

  async decide(
    id: string,
    action: Action,
    reason: string,
    who: string,
    now: number,
    { notes, deadline, seen }: DecisionTerms = {},
  ): Promise<void> {
    if (!isStorable(id)) throw messageLost(id)
    const moment = action === 'extend' ? (deadline ?? now) : now
    const lines = await this.#ask(
      `WITH decided AS (
         UPDATE redox.message SET ${DECIDED[action]}, notes = coalesce($8, notes)
         WHERE queue = $1 AND id = $2 AND state = ANY ($7) AND reason IS DISTINCT FROM '${MOVING}' AND ($9::text IS NULL
           OR state = $9 AND reason IS NOT DISTINCT FROM $10 AND ended_at IS NOT DISTINCT FROM $11)
           ${action === 'extend' ? 'AND deadline < $3' : ''}
         RETURNING id
       )
       SELECT redox.write_line($1, $12, $4, $5, id, $6) FROM decided`,
      [
        ...[id, moment, who, action, reason, DECIDABLE[action], notes ?? null],
        ...[seen?.state ?? null, seen?.reason ?? null, seen?.endedAt ?? null, this.#wall(now)],
      ],
    )
    if (lines.length === 0) throw messageLost(id)
  }

  async pause(lane: string, isPaused: boolean, reason: string, who: string, now: number): Promise<void> {
    const change = isPaused
      ? 'INSERT INTO redox.paused VALUES ($1, $2) ON CONFLICT DO NOTHING'
      : 'DELETE FROM redox.paused WHERE queue = $1 AND lane = $2'
    assertStorable(lane)
    await this.#ask(`WITH changed AS (${change}) SELECT redox.write_line($1, $3, $4, $5, $2, $6)`, [
      ...[lane, this.#wall(now), who, isPaused ? 'pause' : 'resume', reason],
    ])
  }

  async looked(id: string, reason: string, who: string, now: number): Promise<void> {
    await this.#ask(`SELECT redox.write_line($1, $2, $3, 'look', $4, $5)`, [this.#wall(now), who, id, reason])
  }

  async begun(setAside: string, reason: string, who: string, now: number): Promise<void> {
    const values = [this.#wall(now), who, setAside, reason]
    await this.#ask(`SELECT redox.write_line($1, $2, $3, 'begin-new', $4, $5)`, values)
  }

  #wall(time: number): number {
    return onTheWall(this.clock, time)
  }

  async audit({ skip, limit }: { skip: number; limit: number }): Promise<AuditLine[]> {
    const rows = await this.#ask<Omit<AuditLine, 'at'> & { at: string }>(
      `SELECT at, who, action, subject, reason FROM redox.audit
       WHERE queue = $1 AND number > $2 ORDER BY number LIMIT $3`,
      [skip, limit],
    )
    return rows.map((row) => ({ ...row, at: Number(row.at) }))
  }

  // ---- Files ------------------------------------------------------------------------------------------

  async putFile(name: string, chunks: AsyncIterable<Buffer>): Promise<void> {
    // A file that is put again is as new: nothing forgets it before its message is accepted.
    const renew =
      'UPDATE redox.file SET stored_at = redox.now($1) WHERE queue = $1 AND name = $2 AND chunks IS NOT NULL RETURNING file'
    if ((await this.#ask(renew, [name])).length > 0) return
    const add =
      'INSERT INTO redox.file (queue, name, stored_at) VALUES ($1, $2, redox.now($1)) RETURNING file'
    const [draft] = await this.#ask<{ file: string }>(add, [name])
    try {
      await this.#fill(draft!.file, chunks)
    } catch (error) {
      // If the database is gone, purge forgets it.
      await this.#rows('DELETE FROM redox.file WHERE file = $1', [draft!.file]).catch(() => undefined)
      throw error
    }
  }

  async #fill(file: string, chunks: AsyncIterable<Buffer>): Promise<void> {
    let count = 0
    for await (const chunk of chunks)
      await this.#rows('INSERT INTO redox.chunk VALUES ($1, $2, $3)', [file, count++, chunk])
    const [row] = await this.#ask<{ complete: boolean }>('SELECT redox.complete($1, $2, $3) AS complete', [
      file,
      count,
    ])
    if (row?.complete !== true)
      throw new RedoxError(
        'REDOX_STORE_LOST',
        'File was not stored: storing it took more than an hour. Send it again.',
      )
  }

  async hasFile(name: string): Promise<boolean> {
    return (await this.#fileOf(name)) !== undefined
  }

  async *readFile(name: string): AsyncGenerator<Buffer> {
    const found = await this.#fileOf(name)
    if (!found) throw fileLost()
    for (let number = 0; number < found.chunks; number++) {
      const text = 'SELECT bytes FROM redox.chunk WHERE file = $1 AND number = $2'
      const [chunk] = await this.#rows<{ bytes: Buffer }>(text, [found.file, number])
      if (!chunk) throw fileLost()
      yield chunk.bytes
    }
  }

  async #fileOf(name: string): Promise<{ file: string; chunks: number } | undefined> {
    const text = 'SELECT file, chunks FROM redox.file WHERE queue = $1 AND name = $2 AND chunks IS NOT NULL'
    return (await this.#ask<{ file: string; chunks: number }>(text, [name]))[0]
  }

  // ---- Forgetting, pace -------------------------------------------------------------------------------

  async purge(before: number, now: number): Promise<number> {
    let purged = 0
    for (let last = FORGOTTEN_AT_ONCE; last === FORGOTTEN_AT_ONCE; purged += last) {
      const text = 'SELECT redox.forget($1, $2, $3, $4) AS gone'
      const values = [before, now - UNTOLD_MS, FORGOTTEN_AT_ONCE]
      last = (await this.#ask<{ gone: number }>(text, values))[0]!.gone
    }
    await this.#ask('SELECT redox.forget_files($1, $2)', [now - AN_HOUR_MS])
    return purged
  }

  pace(perFiveMinutes: number): PaceKeeper {
    const wait = async (text: string, values: unknown[]): Promise<number> =>
      Number((await this.#ask<{ wait: string }>(text, values))[0]!.wait)
    const paused =
      'SELECT greatest(0, paused_until - redox.now($1)) AS wait FROM redox.queue WHERE queue = $1'
    const pause = `UPDATE redox.queue SET paused_until = greatest(paused_until, redox.now($1) + $2) WHERE queue = $1`
    return new SharedPace(
      {
        turn: (perWindow) => wait('SELECT redox.turn($1, $2, $3) AS wait', [perWindow, WINDOW_MS]),
        paused: () => wait(paused, []),
        pause: async (milliseconds) => void (await this.#ask(pause, [Math.ceil(milliseconds)])),
      },
      perFiveMinutes,
    )
  }

  close(): Promise<void> {
    this.#closed ??= this.#pool.end()
    return this.#closed
  }

  // ---- The database -----------------------------------------------------------------------------------

  /** A statement whose first parameter is the queue. */
  #ask<T extends QueryResultRow>(text: string, values: unknown[]): Promise<T[]> {
    return this.#rows<T>(text, [this.#queue, ...values])
  }

  async #rows<T extends QueryResultRow>(
    text: string,
    values: unknown[],
    database: Pick<Pool, 'query'> = this.#pool,
  ): Promise<T[]> {
    try {
      return (await database.query<T>(text, values)).rows
    } catch (error) {
      return this.#failed(error)
    }
  }
}

/** The clock of the queue in the database, as it was read last. */
class DatabaseClock implements StoreClock {
  #read = { now: 0, monotonic: 0 }
  ahead = 0

  set(now: number, ahead: number): void {
    this.#read = { now, monotonic: performance.now() }
    this.ahead = ahead
  }

  now(): number {
    return Math.floor(this.#read.now + performance.now() - this.#read.monotonic)
  }
}

async function loadPool(): Promise<typeof Pool> {
  try {
    // Loaded here: whoever does not share a database does not need it.
    return (await import('pg')).Pool
  } catch {
    throw new RedoxError(
      'REDOX_STORE_UNAVAILABLE',
      'PostgreSQL driver is missing. Run `npm install pg` where this package is installed, then start again.',
    )
  }
}

function makePool(Made: typeof Pool, url: string): Pool {
  try {
    const pool = new Made({
      connectionString: url,
      max: CONNECTIONS,
      connectionTimeoutMillis: CONNECT_MS,
      // Also over a connection that died without a word. No timeout of the server's: a PgBouncer refuses its parameter.
      query_timeout: LOCK_MS + 5000,
      keepAlive: true,
      application_name: 'node-red-redox',
    })
    // An idle connection that is lost would otherwise end the process. The pool makes a new one when it is needed.
    return pool.on('error', () => undefined)
  } catch (error) {
    throw failure(error, '')
  }
}

// ---- Rows -----------------------------------------------------------------------------------------------

/** A condition with a place for its value; without a value it does not count. */
type Condition = [text: string, value: unknown]

/** Messages of the queue ($1) that meet all conditions, without order; their values come behind it. */
function matching(
  columns: string,
  { lane, id, tag, code, since, till }: Criteria,
  ofState: Condition,
  behind: string | undefined,
  newestFirst = false,
): { found: string; values: unknown[] } {
  const all: Condition[] = [
    ofState,
    [`sequence ${newestFirst ? '<' : '>'} ?`, behind],
    ['lane = ?', lane],
    ['id = ?', id],
    ['reason = ?', code],
    ['accepted_at >= ?', since],
    ['accepted_at <= ?', till],
    ['tags @> ARRAY[?]', tag],
  ]
  const given = all.filter(([, value]) => value !== undefined)
  const conditions = given.map(([text], index) => text.replace('?', `$${index + 2}`))
  // Few have the same tag: these are found first (OFFSET 0 keeps it so), or the order would tempt the planner to go
  // through all.
  const fence = tag === undefined ? '' : ' OFFSET 0'
  return {
    found: `SELECT ${columns} FROM (SELECT ${columns} FROM redox.message
      WHERE ${['queue = $1', ...conditions].join(' AND ')}${fence}) found`,
    values: given.map(([, value]) => value),
  }
}

/** What comes back from an update has no order. */
const identityOf = (mark: Buffer): string => createHash('sha256').update(mark).digest('hex')

const otherDatabase = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNREADABLE',
    'Wrong database: it is not the one that this connection used before, or its tables were removed. Nothing was ' +
      'created in it. Set the right URL, restore a backup, or begin a new store in the outbox: see docs/operations.md.',
  )

function inOrder(rows: MessageRow[], first: (row: MessageRow) => number = () => 0): StoredMessage[] {
  const place = (row: MessageRow): number => Number(row.sequence)
  return rows.sort((a, b) => first(a) - first(b) || place(a) - place(b)).map(stored)
}

const stored = (row: MessageRow): StoredMessage => ({
  id: row.id,
  lane: row.lane,
  ordered: row.ordered,
  owner: row.owner,
  acceptedAt: Number(row.accepted_at),
  deadline: Number(row.deadline),
  files: row.files,
  tags: row.tags,
  content: row.content,
  state: row.state,
  attempts: row.attempts,
  dueAt: Number(row.due_at),
  begun: row.begun,
  told: row.told,
  ...(row.reason !== null && { reason: row.reason }),
  ...(row.notes !== null && { notes: row.notes }),
  ...(row.ended_at !== null && { endedAt: Number(row.ended_at) }),
})

interface LaneRow extends QueryResultRow {
  lane: string
  open: string
  parked: string
  owners: string[] | null
  oldest: string | null
  paused: boolean
  id: string | null
  reason: string | null
}

const LANES = `
  WITH used AS (
    SELECT lane, count(*) FILTER (WHERE state <> 'parked') AS open,
      count(*) FILTER (WHERE state = 'parked') AS parked, array_agg(DISTINCT owner) AS owners,
      min(accepted_at) FILTER (WHERE state <> 'parked') AS oldest
    FROM redox.message WHERE queue = $1 AND state IN ('waiting', 'sending', 'parked') GROUP BY lane
  ),
  stopped AS (SELECT lane, true AS paused FROM redox.paused WHERE queue = $1)
  SELECT lane, coalesce(open, 0) AS open, coalesce(parked, 0) AS parked, owners, oldest, coalesce(paused, false) AS paused, blocker.id, blocker.reason
  FROM used FULL JOIN stopped USING (lane)
  LEFT JOIN LATERAL (
    SELECT id, reason FROM redox.message parked
    WHERE parked.queue = $1 AND parked.lane = used.lane AND state = 'parked' AND EXISTS (
      SELECT FROM redox.message behind WHERE behind.queue = $1 AND behind.lane = used.lane AND behind.ordered
        AND behind.state IN ('waiting', 'sending') AND behind.sequence > parked.sequence)
    ORDER BY sequence LIMIT 1
  ) blocker ON true
  ORDER BY lane`

const laneState = ({ lane, open, parked, owners, oldest, paused, id, reason }: LaneRow): LaneState => ({
  lane,
  open: Number(open),
  parked: Number(parked),
  owners: owners ?? [],
  paused,
  ...(oldest !== null && { oldest: Number(oldest) }),
  ...(id !== null && { blockedBy: { id, reason: reason ?? '' } }),
})

/** What lies in a database under the id of one redox-config node. */
export interface QueueState {
  queue: string
  /** waiting, or being sent */
  waiting: number
  parked: number
  /** milliseconds since a process last took care of it; undefined: none has */
  idle?: number
}

interface QueueRow extends QueryResultRow {
  queue: string
  waiting: string
  parked: string
  idle: string | null
}

const QUEUES = `
  SELECT queue, redox.now(queue) - seen_at AS idle, count(m.id) FILTER (WHERE m.state <> 'parked') AS waiting,
    count(m.id) FILTER (WHERE m.state = 'parked') AS parked
  FROM redox.queue q LEFT JOIN redox.message m USING (queue)
  WHERE m.state IS NULL OR m.state IN ('waiting', 'sending', 'parked')
  GROUP BY queue, seen_at ORDER BY queue`

const queueState = ({ queue, waiting, parked, idle }: QueueRow): QueueState => ({
  ...{ queue, waiting: Number(waiting), parked: Number(parked) },
  ...(idle !== null && { idle: Number(idle) }),
})

// ---- Failures -------------------------------------------------------------------------------------------

const upgradeFrom = (version: number): string =>
  [
    ...Object.entries(UPGRADES).flatMap(([from, text]) => (Number(from) >= version ? [text] : [])),
    `UPDATE redox.version SET version = ${VERSION}`,
  ].join('\n')

const messageLost = (id: string): RedoxError =>
  new RedoxError(
    'REDOX_STORE_LOST',
    `Message has changed: the message ${id} was removed, or its state has changed. Look at it again.`,
  )

const fileLost = (): RedoxError =>
  new RedoxError('REDOX_STORE_LOST', 'File is missing: a file of the message is no longer in the store.')

/** Makes tables, and is not allowed to. */
const mayNotSetUp = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNAVAILABLE',
    'PostgreSQL store does not allow its user to create the schema "redox": grant it CREATE on the database, ' +
      'or let a user who has it start first, see docs/operations.md.',
    { fault: INSUFFICIENT_PRIVILEGE },
  )

/** By the beginning of the SQLSTATE, or by the system's code; the first that fits. */
const FAILURES: [start: string, code: RedoxErrorCode, text: string][] = [
  [
    'ERR_INVALID_URL',
    'REDOX_STORE_UNAVAILABLE',
    'has a URL that cannot be read: use the form postgres://user:password@host:5432/database, with special characters of the password percent-encoded',
  ],
  [
    'ENOENT',
    'REDOX_STORE_UNAVAILABLE',
    'is not found: its URL refers to a socket or a file (sslrootcert, sslcert, sslkey) that does not exist',
  ],
  ['28', 'REDOX_STORE_UNAVAILABLE', 'refuses the login: check the user and the password in its URL'],
  [
    '3D000',
    'REDOX_STORE_UNAVAILABLE',
    'has no database with that name: create it, or check the end of its URL',
  ],
  [
    INSUFFICIENT_PRIVILEGE,
    'REDOX_STORE_UNAVAILABLE',
    'does not allow its user to read and write in the schema "redox": its owner must GRANT USAGE ON SCHEMA redox, ' +
      'SELECT, INSERT, UPDATE, DELETE ON ALL TABLES, USAGE ON ALL SEQUENCES and EXECUTE ON ALL FUNCTIONS IN SCHEMA ' +
      'redox to it, see docs/operations.md',
  ],
  ['25006', 'REDOX_STORE_UNAVAILABLE', 'cannot be written: use the primary server in its URL, not a replica'],
  [
    '53300',
    'REDOX_STORE_UNAVAILABLE',
    `has no free connection: each process needs up to ${CONNECTIONS}, see its max_connections`,
  ],
  ['53100', 'REDOX_STORE_FULL', 'has no free disk space: free some. No accepted message is lost'],
  ['57014', 'REDOX_STORE_UNAVAILABLE', 'did not answer in time: check its load, locks and timeouts'],
  [
    '55P03',
    'REDOX_STORE_UNAVAILABLE',
    `kept a lock for more than ${LOCK_MS / 1000} seconds: check its locks`,
  ],
  ['42P01', 'REDOX_STORE_UNREADABLE', 'lacks a table of the schema "redox": restore it from a backup'],
  ['42883', 'REDOX_STORE_UNREADABLE', 'lacks a function of the schema "redox": restore it from a backup'],
  ['22', 'REDOX_INTERNAL', 'rejects a value: please report this'],
  ['XX001', 'REDOX_STORE_UNREADABLE', 'reports damaged data: restore it from a backup'],
  ['XX002', 'REDOX_STORE_UNREADABLE', 'reports a damaged index: see REINDEX in the PostgreSQL manual'],
]
const CONNECTION_CLASSES = ['08', '57P']

/** The driver's own words are left out: they may hold what was written, or the password. */
function failure(error: unknown, place: string): RedoxError {
  if (error instanceof RedoxError) return error
  const code = codeOf(error)
  const known = FAILURES.find(([start]) => code?.startsWith(start))
  const detail = code === undefined ? {} : { fault: code }
  if (known) return new RedoxError(known[1], `PostgreSQL store${place} ${known[2]}.`, detail)
  const trouble = parameterTrouble(error) ?? tlsTrouble(error, code)
  if (trouble)
    return new RedoxError('REDOX_STORE_UNAVAILABLE', `PostgreSQL store${place} ${trouble}.`, detail)
  const isAnswer =
    /^(?!E)[0-9A-Z]{5}$/.test(code ?? '') && !CONNECTION_CLASSES.some((start) => code?.startsWith(start))
  const text = isAnswer
    ? `answered with the error ${code}: see its log`
    : `cannot be reached${code === undefined ? '' : ` (${code})`}: check that it runs, and the host and port of its URL`
  return new RedoxError('REDOX_STORE_UNAVAILABLE', `PostgreSQL store${place} ${text}.`, detail)
}

/** PgBouncer has no code for it. */
function parameterTrouble(error: unknown): string | undefined {
  const words = error instanceof Error ? error.message : ''
  const name = /unsupported startup parameter: (\w{1,40})/.exec(words)?.[1]
  if (name === undefined) return undefined
  return `is behind a PgBouncer that refuses the parameter "${name}" of its URL: remove it, or add it to ignore_startup_parameters of PgBouncer`
}

function tlsTrouble(error: unknown, code = ''): string | undefined {
  // The driver has no code for it.
  if (error instanceof Error && error.message.includes('does not support SSL'))
    return 'does not speak TLS, which its URL requires: enable TLS there'
  if (tlsFault(code, false) === undefined) return undefined
  return (
    `has a certificate that is not trusted (${code}): add the CA file to its URL ` +
    '(&sslrootcert=…), and use the host name of the certificate'
  )
}

function codeOf(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : undefined
}

/**
 * Host and database of a URL, with a blank before them. Nothing where a password that was not percent-encoded may have
 * been taken for one of them.
 */
function placeOf(url: string): string {
  if (!URL.canParse(url)) return ''
  const { host, pathname, search, hash } = new URL(url)
  return `${pathname}${search}${hash}`.includes('@') ? '' : ` (${host}${pathname})`
}
