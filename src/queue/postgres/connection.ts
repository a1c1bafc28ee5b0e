import type { Pool, QueryResultRow } from 'pg'
import { RedoxError } from '../../errors'
import { CONNECTIONS, failure, LOCK_MS, placeOf } from './failures'

const CONNECT_MS = 10_000

export interface PostgresOptions {
  /** postgres://user:password@host:5432/database */
  url: string
  /** id of the redox-config node: each has its own messages, files, lanes and pace */
  queue: string
}

/**
 * Statements to a database, for one queue in it. No connection is kept between two of them, and none of their locks
 * outlives a process or a network. What goes wrong rejects with a RedoxError.
 */
export class Connection {
  #closed: Promise<void> | undefined

  private constructor(
    readonly pool: Pool,
    private readonly options: PostgresOptions,
  ) {}

  /** Connects with the first statement. */
  static async to(options: PostgresOptions): Promise<Connection> {
    return new Connection(makePool(await loadPool(), options.url), options)
  }

  readonly failed = (error: unknown): never => {
    throw failure(error, placeOf(this.options.url))
  }

  /** A statement whose first parameter is the queue. */
  ask<T extends QueryResultRow>(text: string, values: unknown[]): Promise<T[]> {
    return this.rows<T>(text, [this.options.queue, ...values])
  }

  /** @param database another connection than one of the pool */
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
    // Loaded here: only a shared database needs it.
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
