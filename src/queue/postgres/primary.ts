import type { Pool, PoolClient, PoolConfig, QueryConfig, QueryResultRow } from 'pg'
import { databaseUrls } from '../../shared/formats'
import {
  allHostsFailed,
  CONNECTIONS,
  LOCK_MS,
  READ_ONLY,
  sqlStateOf,
  unsupportedVersion,
  unusableSession,
  type HostFailure,
} from './errors'

/** Longest time, in milliseconds, to connect to one host. */
const CONNECT_MS = 10_000

/**
 * First supported version of the server, as in `server_version_num`. The functions of the store set
 * `plan_cache_mode`, which PostgreSQL 12 introduced.
 */
const MIN_VERSION = 120_000

/** Values of `target_session_attrs` that a server which can be written satisfies. */
const WRITABLE = new Set(['any', 'read-write', 'primary'])

/** Settings of the server, read on each new connection. */
interface SessionSettings extends QueryResultRow {
  version: number
  read_only: string
  commit: string
}

const SETTINGS: QueryConfig & { query_timeout: number } = {
  text: `SELECT current_setting('server_version_num')::int AS version,
    current_setting('transaction_read_only') AS read_only, current_setting('synchronous_commit') AS commit`,
  query_timeout: CONNECT_MS,
}

/** Pool of connections to one host. */
interface HostPool {
  url: string
  pool: Pool
}

/**
 * Connections to the server that can be written, which is the first such host of the URL. The driver knows one host
 * only. Each new connection is checked, so a server that became a replica is not used. If the server cannot be reached,
 * or can no longer be written, the other hosts are tried, in the order of the URL.
 */
export class PrimaryServer {
  readonly #urls: string[]
  /** search for the server, and its result; undefined: the next statement searches */
  #search: Promise<HostPool> | undefined
  #found: HostPool | undefined
  #isClosed = false
  #isCommitOff = false

  constructor(
    private readonly Made: typeof Pool,
    url: string,
  ) {
    // The driver reports a URL that cannot be read.
    this.#urls = databaseUrls(url) ?? [url]
    const [first = url] = this.#urls
    const wanted = URL.canParse(first) ? new URL(first).searchParams.get('target_session_attrs') : null
    if (wanted !== null && !WRITABLE.has(wanted)) throw unusableSession(wanted)
  }

  /** Returns true if the URL names several hosts. */
  get hasSeveralHosts(): boolean {
    return this.#urls.length > 1
  }

  /**
   * Returns true if the server commits without waiting for its disk (`synchronous_commit=off`). {@link run} then turns
   * the setting on for each transaction of the store.
   */
  get isCommitOff(): boolean {
    return this.#isCommitOff
  }

  /**
   * Runs a statement in a transaction of its own.
   * @throws an error of the driver
   */
  async run<T extends QueryResultRow>(text: string, values: unknown[]): Promise<T[]> {
    const { host, client } = await this.#take()
    try {
      const rows = this.#isCommitOff
        ? await runDurably<T>(client, text, values)
        : (await client.query<T>(text, values)).rows
      client.release()
      return rows
    } catch (error) {
      // The connection is closed instead of returned to the pool. This also rolls back an unfinished transaction.
      client.release(true)
      if (sqlStateOf(error) === READ_ONLY) this.#leave(host)
      throw error
    }
  }

  /**
   * Returns a connection, which the caller releases.
   * @throws an error of the driver, or a RedoxError if the URL names several hosts
   */
  async connect(): Promise<PoolClient> {
    return (await this.#take()).client
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const host = await this.#search?.catch(() => undefined)
    await host?.pool.end()
  }

  async #take(): Promise<{ host: HostPool; client: PoolClient }> {
    const host = await this.#host()
    try {
      return { host, client: await host.pool.connect() }
    } catch (error) {
      // If all connections are busy, another host is of no use: the server of this one is running.
      const isLost = this.hasSeveralHosts && !isBusy(error)
      if (!isLost && this.#found === host) throw error
      const { url } = host
      // The first of the callers whose connections fail starts the search, and the others wait for it.
      if (this.#leave(host))
        void this.#startSearch(
          this.#urls.filter((one) => one !== url),
          [{ url, error }],
        )
      const other = await this.#host()
      return { host: other, client: await other.pool.connect() }
    }
  }

  /** Returns the host of the current server, and looks for the server if it is not known. */
  #host(): Promise<HostPool> {
    return this.#search ?? this.#startSearch(this.#urls, [])
  }

  /**
   * Forgets the current server, because its connections fail or can no longer write.
   * @returns false if another server was found since
   */
  #leave(host: HostPool): boolean {
    if (this.#found !== host) return false
    this.#search = this.#found = undefined
    void host.pool.end()
    return true
  }

  #startSearch(urls: string[], failures: HostFailure[]): Promise<HostPool> {
    const search = this.#firstWritable(urls, failures)
    this.#search = search
    void search.then(
      (host) => (this.#found = host),
      () => (this.#search = undefined),
    )
    return search
  }

  /**
   * Returns the first host that accepts a connection which can write.
   * @param failures failures of hosts that were tried already
   */
  async #firstWritable(urls: string[], failures: HostFailure[]): Promise<HostPool> {
    for (const url of urls) {
      if (this.#isClosed) throw new Error('Closed')
      const pool = this.#poolOf(url)
      try {
        const client = await pool.connect()
        client.release()
        return { url, pool }
      } catch (error) {
        void pool.end()
        failures.push({ url, error })
      }
    }
    throw allHostsFailed(failures)
  }

  #poolOf(url: string): Pool {
    const config: PoolConfig = {
      connectionString: url,
      max: CONNECTIONS,
      connectionTimeoutMillis: CONNECT_MS,
      // Also ends queries on a connection that was lost silently. No timeout of the server is set, because PgBouncer
      // refuses this parameter.
      query_timeout: LOCK_MS + 5000,
      keepAlive: true,
      application_name: 'node-red-redox',
      verify: (client, done) => void this.#check(client).then(() => done(), done),
    }
    // Without a listener for `error`, the loss of a connection would end the process. The pool makes a new connection
    // when needed.
    return new this.Made(config)
      .on('error', () => undefined)
      .on('connect', (client) => client.on('error', () => undefined))
  }

  /** Rejects if the server of a new connection cannot be used for a store. */
  async #check(client: PoolClient): Promise<void> {
    const { rows } = await client.query<SessionSettings>(SETTINGS)
    const [settings] = rows
    if (!settings || settings.version < MIN_VERSION) throw unsupportedVersion(settings?.version)
    if (settings.read_only === 'on') throw Object.assign(new Error('read-only'), { code: READ_ONLY })
    this.#isCommitOff = settings.commit === 'off'
  }
}

/**
 * Runs a statement in a transaction that is on the disk when it is committed. The setting is local to the transaction,
 * because behind PgBouncer a session's settings end up in the sessions of other clients.
 */
async function runDurably<T extends QueryResultRow>(
  client: PoolClient,
  text: string,
  values: unknown[],
): Promise<T[]> {
  await client.query(BEGIN_DURABLY)
  const { rows } = await client.query<T>(text, values)
  await client.query('COMMIT')
  return rows
}

/** Begins a transaction that is on the disk when it is committed, whatever the server's settings are. */
export const BEGIN_DURABLY = 'BEGIN; SET LOCAL synchronous_commit TO on'

/** Returns true for the error of a pool whose connections were all in use for {@link CONNECT_MS}. */
const isBusy = (error: unknown): boolean =>
  error instanceof Error && error.message.startsWith('timeout exceeded when trying to connect')
