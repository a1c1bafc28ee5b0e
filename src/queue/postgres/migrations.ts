/**
 * Migrations of the tables of the PostgreSQL store, as numbered SQL files. A release that changes the tables adds a
 * file at the end; a released file is never changed. `redox.migration` contains the numbers of the files that were run.
 */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import type { ClientBase } from 'pg'
import { RedoxError } from '../../errors'
import { assertVersion } from '../store-errors'
import type { DatabaseConnection } from './connection'
import { sqlStateOf, INSUFFICIENT_PRIVILEGE, mayNotSetUp } from './errors'
import { BEGIN_DURABLY } from './primary'

/** Names of the files in the folder `sql`, without `.sql`. The number of a file is its position, counted from 1. */
export const MIGRATIONS = [
  '0001-tables',
  '0002-clock',
  '0003-sending',
  '0004-migrations',
  '0005-order-and-duplicates',
  '0006-eviction',
  '0007-refused-later',
  '0008-unordered-parked',
] as const

const VERSION = MIGRATIONS.length

/** Number of the advisory lock for migrations. Any number that other programs are unlikely to use. */
const SETUP_LOCK = 7_363_620_417

/**
 * Creates or migrates the tables, unless they are those of this release.
 * @throws RedoxError REDOX_STORE_NEWER, REDOX_STORE_UNREADABLE; in both cases nothing was changed
 */
export async function migrate(connection: DatabaseConnection): Promise<void> {
  // The version is read first, so that a user without the right to create tables can open a store that is up to date.
  const found = await versionOf(connection)
  if (found === undefined || found < VERSION) await runMissing(connection)
  else assertVersion(found, VERSION)
}

/** Returns true if the database contains tables of a store, of any version. */
export const hasTables = async (connection: DatabaseConnection): Promise<boolean> =>
  (await versionOf(connection)) !== undefined

/**
 * Runs the missing SQL files, all or none. If several processes start at once, one runs the files and the others wait.
 */
async function runMissing(connection: DatabaseConnection): Promise<void> {
  const client = await connection.reserve()
  let found: number | undefined
  try {
    await client.query(`${BEGIN_DURABLY}; SELECT pg_advisory_xact_lock(${SETUP_LOCK})`)
    found = await versionOf(connection, client)
    if (found !== undefined) assertVersion(found, VERSION)
    else await createSchema(connection, client)
    for (const name of MIGRATIONS.slice(found ?? 0)) await connection.rows(await textOf(name), [], client)
    await connection.rows(
      'INSERT INTO redox.migration (number) SELECT generate_series(1, $1::int) ON CONFLICT DO NOTHING',
      [VERSION],
      client,
    )
    await client.query('COMMIT')
  } catch (error) {
    const code = error instanceof RedoxError ? error.cause.fault : sqlStateOf(error)
    if (code === INSUFFICIENT_PRIVILEGE) throw mayNotSetUp(connection.schema, found !== undefined)
    connection.failed(error)
  } finally {
    // The connection is closed instead of returned to the pool. This also rolls back an unfinished transaction.
    client.release(true)
  }
}

/**
 * Creates the schema unless it exists. `CREATE SCHEMA IF NOT EXISTS` is refused to a user who may create tables in a
 * schema of an administrator, but no schemas.
 */
async function createSchema(connection: DatabaseConnection, client: ClientBase): Promise<void> {
  const { schema } = connection
  const existing = await connection.rows('SELECT FROM pg_namespace WHERE nspname = $1', [schema], client)
  if (existing.length === 0) await connection.rows('CREATE SCHEMA redox', [], client)
}

async function textOf(name: string): Promise<string> {
  try {
    return await readFile(path.join(__dirname, 'sql', `${name}.sql`), 'utf8')
  } catch {
    throw new RedoxError(
      'REDOX_STORE_UNAVAILABLE',
      `Package is not complete: ${name}.sql is missing. Install the nodes again.`,
    )
  }
}

/** Returns the number of the last file that was run; undefined if there are no tables. */
async function versionOf(connection: DatabaseConnection, client?: ClientBase): Promise<number | undefined> {
  // to_regclass() is not used: it caches that a table is missing, even if another process creates the table while this
  // one waits for the lock.
  const tables = await connection.rows<{ name: string }>(
    `SELECT tablename AS name FROM pg_tables WHERE schemaname = $1 AND tablename IN ('migration', 'version')`,
    [connection.schema],
    client,
  )
  if (tables.length === 0) return undefined
  const text = tables.some(({ name }) => name === 'migration')
    ? 'SELECT max(number) AS version FROM redox.migration'
    : 'SELECT version FROM redox.version'
  const [row] = await connection.rows<{ version: number | null }>(text, [], client)
  return row?.version ?? NaN
}
