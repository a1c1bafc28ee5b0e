import type { Pool, QueryResultRow } from 'pg'
import { RedoxError } from '../../errors'
import { CONNECTIONS, storeErrorOf, LOCK_MS, hostAndDatabase } from './errors'

const CONNECT_MS = 10_000

export interface PostgresOptions {
  /** URL of the database: postgres://user:password@host:5432/database */
  url: string
  /** id of the redox-config node: each node has its own messages, files, destinations and rate limit */
  queue: string
}

/**
 * Runs SQL statements for one queue in a database. No connection is reserved between two statements, and no lock
 * outlives the process or the network connection. Failures reject with a RedoxError.
 */
export class DatabaseConnection {
  #closed: Promise<void> | undefined

  private constructor(
    readonly pool: Pool,
    private readonly options: PostgresOptions,
  ) {}

  /** Returns a connection, which connects at the first statement. */
  static async connect(options: PostgresOptions): Promise<DatabaseConnection> {
    return new DatabaseConnection(makePool(await loadPool(), options.url), options)
  }

  readonly failed = (error: unknown): never => {
    throw storeErrorOf(error, hostAndDatabase(this.options.url))
  }

  /** Runs a statement whose first parameter is the queue. */
  ask<T extends QueryResultRow>(text: string, values: unknown[]): Promise<T[]> {
    return this.rows<T>(text, [this.options.queue, ...values])
  }

  /**
   * Runs a statement.
   * @param database client (connection) to use instead of the pool
   */
  async rows<T extends QueryResultRow>(
    text: string,
    values: unknown[],
    database: Pick<Pool, 'query'> = this.pool,
  ): Promise<T[]> {
    try {
      return (await database.query<T>(text, values)).rows
    } catch (error) {
      return this.failed(error)
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.pool.end()
    return this.#closed
  }
}

async function loadPool(): Promise<typeof Pool> {
  try {
    // The driver is loaded here, because only a shared database needs it.
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
      // Also ends queries on a connection that was lost silently. No timeout of the server is set, because PgBouncer
      // refuses this parameter.
      query_timeout: LOCK_MS + 5000,
      keepAlive: true,
      application_name: 'node-red-redox',
    })
    // Without a listener for `error`, the loss of an idle connection would end the process. The pool makes a new
    // connection when needed.
    return pool.on('error', () => undefined)
  } catch (error) {
    throw storeErrorOf(error, '')
  }
}
