import type { ClientBase, Pool, PoolClient, QueryResultRow } from 'pg'
import { RedoxError } from '../../errors'
import { hostAndDatabase, storeErrorOf } from './errors'
import { PrimaryServer } from './primary'
import { inSchema } from './schema'

export interface PostgresOptions {
  /** URL of the database, with one or more hosts: postgres://user:password@host:5432,other:5432/database */
  url: string
  /** schema of the tables */
  schema: string
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
    readonly server: PrimaryServer,
    private readonly options: PostgresOptions,
  ) {}

  /** Returns a connection, which connects at the first statement. */
  static async connect(options: PostgresOptions): Promise<DatabaseConnection> {
    return new DatabaseConnection(new PrimaryServer(await loadPool(), options.url), options)
  }

  /** Schema of the tables. */
  get schema(): string {
    return this.options.schema
  }

  readonly failed = (error: unknown): never => {
    const { url, schema } = this.options
    throw storeErrorOf(error, { place: hostAndDatabase(url), schema })
  }

  /** Runs a statement whose first parameter is the queue. */
  ask<T extends QueryResultRow>(text: string, values: unknown[]): Promise<T[]> {
    return this.rows<T>(text, [this.options.queue, ...values])
  }

  /**
   * Runs a statement. It names the tables as if they were in the schema `redox`.
   * @param client connection to use; undefined: the statement is a transaction of its own
   */
  async rows<T extends QueryResultRow>(text: string, values: unknown[], client?: ClientBase): Promise<T[]> {
    const statement = inSchema(text, this.schema)
    try {
      if (client) return (await client.query<T>(statement, values)).rows
      return await this.server.run<T>(statement, values)
    } catch (error) {
      return this.failed(error)
    }
  }

  /** Returns a connection for a transaction of several statements. The caller releases it. */
  reserve(): Promise<PoolClient> {
    return this.server.connect().catch(this.failed)
  }

  close(): Promise<void> {
    this.#closed ??= this.server.close()
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
