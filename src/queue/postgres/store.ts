import { createHash } from 'node:crypto'
import { present } from '../../shared/present'
import type { StoreWarning } from '../../shared/values'
import { ComposedStore } from '../composed-store'
import { PostgresAdmin } from './admin'
import { PostgresBlobs } from './blobs'
import { DatabaseClock } from './clock'
import { DatabaseConnection, type PostgresOptions } from './connection'
import { INSUFFICIENT_PRIVILEGE, otherDatabase } from './errors'
import { hasTables, migrate } from './migrations'
import { PostgresQueue } from './queue'
import { warningsOf } from './warnings'

/** Query that returns true if the database user has all rights that the statements of the store need. */
const RIGHTS = `
  SELECT bool_and(has_schema_privilege(relnamespace, 'USAGE') AND CASE relkind
    WHEN 'S' THEN has_sequence_privilege(c.oid, 'USAGE')
    ELSE has_table_privilege(c.oid, 'SELECT') AND (relname IN ('version', 'migration')
      OR has_table_privilege(c.oid, 'INSERT') AND (relname = 'audit'
        OR has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'))) END) AS has_all
  FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
  WHERE nspname = $1 AND (relkind = 'r' OR relname = 'acceptance')`

/** Store for several processes that share a PostgreSQL database. */
export class PostgresStore extends ComposedStore {
  #identity = ''
  override warnings: readonly StoreWarning[] = []

  private constructor(
    private readonly connection: DatabaseConnection,
    readonly clock: DatabaseClock,
  ) {
    super(
      new PostgresQueue(connection, clock),
      new PostgresAdmin(connection, clock),
      new PostgresBlobs(connection),
    )
  }

  /**
   * Opens a store, and creates the tables if they do not exist.
   * @param known store identity from the mark, a file outside the store; undefined: no mark, so a store may be created
   * @throws RedoxError
   */
  static async open(options: PostgresOptions, known?: string): Promise<PostgresStore> {
    const store = new PostgresStore(await DatabaseConnection.connect(options), new DatabaseClock())
    try {
      await store.#prepare(known)
      return store
    } catch (error) {
      await store.close()
      throw error
    }
  }

  async #prepare(known: string | undefined): Promise<void> {
    if (known !== undefined && !(await hasTables(this.connection))) throw otherDatabase()
    await migrate(this.connection)
    // Missing rights are reported when the store is opened, and not when the first message is accepted.
    const [rights] = await this.connection.rows<{ has_all: boolean }>(RIGHTS, [this.connection.schema])
    if (rights?.has_all !== true) return this.connection.failed({ code: INSUFFICIENT_PRIVILEGE })
    const [row] = await this.connection.ask<{ mark: Buffer | null }>(
      'SELECT mark FROM redox.queue WHERE queue = $1',
      [],
    )
    if (known !== undefined && (!row?.mark || identityOf(row.mark) !== known)) throw otherDatabase()
    await this.connection.ask('INSERT INTO redox.queue (queue) VALUES ($1) ON CONFLICT DO NOTHING', [])
    await this.nextDue(0, [])
    this.warnings = await warningsOf(this.connection)
  }

  async keyCheckValue(own: Buffer): Promise<Buffer> {
    const set = 'UPDATE redox.queue SET mark = coalesce(mark, $2) WHERE queue = $1 RETURNING mark'
    const [row] = await this.connection.ask<{ mark: Buffer }>(set, [own])
    const { mark } = present(row, 'the row of the queue')
    this.#identity = identityOf(mark)
    return mark
  }

  /**
   * Identity of the store: hash of its key check value, which is unique because encrypted values begin with random
   * bytes.
   */
  get identity(): string {
    return this.#identity
  }

  close(): Promise<void> {
    return this.connection.close()
  }
}

const identityOf = (mark: Buffer): string => createHash('sha256').update(mark).digest('hex')
