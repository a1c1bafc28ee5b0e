/**
 * The tables of the PostgreSQL store, by numbered SQL files. A release that changes the tables adds a file at the end; one
 * that was released is never changed. `redox.migration` has the numbers of those that were run.
 */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import type { Pool } from 'pg'
import { RedoxError } from '../../errors'
import { assertVersion } from '../store-errors'
import type { Connection } from './connection'
import { codeOf, INSUFFICIENT_PRIVILEGE, mayNotSetUp } from './failures'

/** Files of the folder `sql`, without `.sql`; the number of each is its place, counted from 1. */
export const MIGRATIONS = ['0001-tables', '0002-clock', '0003-sending', '0004-migrations'] as const

const VERSION = MIGRATIONS.length

/** The lock of who makes the tables. Any number that no other program is likely to choose. */
const SETUP_LOCK = 7_363_620_417

/**
 * Makes or changes the tables, unless they are as this release needs them.
 * @throws RedoxError REDOX_STORE_NEWER, _UNREADABLE: nothing was changed
 */
export async function migrate(connection: Connection): Promise<void> {
  // Looked at before anything is made: the user who runs it from day to day then need not be allowed to make tables.
  const found = await versionOf(connection)
  if (found === undefined || found < VERSION) await runMissing(connection)
  else assertVersion(found, VERSION)
}

/** Whether there are tables of a store, of any version. */
export const hasTables = async (connection: Connection): Promise<boolean> =>
  (await versionOf(connection)) !== undefined

/** Of all who begin at once, one runs the files, all of them or none; the others wait for it. */
async function runMissing(connection: Connection): Promise<void> {
  const client = await connection.pool.connect().catch(connection.failed)
  client.on('error', () => undefined)
  try {
    await client.query(`BEGIN; SELECT pg_advisory_xact_lock(${SETUP_LOCK})`)
    const found = await versionOf(connection, client)
    if (found !== undefined) assertVersion(found, VERSION)
    for (const name of MIGRATIONS.slice(found ?? 0)) await client.query(await textOf(name))
    await client.query(
      'INSERT INTO redox.migration (number) SELECT generate_series(1, $1::int) ON CONFLICT DO NOTHING',
      [VERSION],
    )
    await client.query('COMMIT')
  } catch (error) {
    if (codeOf(error) === INSUFFICIENT_PRIVILEGE) throw mayNotSetUp()
    connection.failed(error)
  } finally {
    // Closed, not given back: that also undoes what was left half done.
    client.release(true)
  }
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

/** @returns the number of the last file that was run; undefined: there are no tables */
async function versionOf(
  connection: Connection,
  database?: Pick<Pool, 'query'>,
): Promise<number | undefined> {
  // Not by to_regclass: it remembers that a table was missing, also beyond the lock that was waited for.
  const tables = await connection.rows<{ name: string }>(
    `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'redox' AND tablename IN ('migration', 'version')`,
    [],
    database,
  )
  if (tables.length === 0) return undefined
  const text = tables.some(({ name }) => name === 'migration')
    ? 'SELECT max(number) AS version FROM redox.migration'
    : 'SELECT version FROM redox.version'
  const [row] = await connection.rows<{ version: number | null }>(text, [], database)
  return row?.version ?? NaN
}
