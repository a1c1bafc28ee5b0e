import type { Pool } from 'pg'
import { assertVersion } from '../store-errors'
import type { Connection } from './connection'
import { codeOf, INSUFFICIENT_PRIVILEGE, mayNotSetUp } from './failures'
import { SCHEMA, SETUP_LOCK, UPGRADES, VERSION } from './schema'

/**
 * Makes or changes the tables, unless they are as this release needs them.
 * @throws RedoxError REDOX_STORE_NEWER, _UNREADABLE: nothing was changed
 */
export async function migrate(connection: Connection): Promise<void> {
  // Looked at before anything is made: the user who runs it from day to day then need not be allowed to make tables.
  const found = await versionOf(connection)
  if (found === undefined || found < VERSION) await setUp(connection)
  else assertVersion(found, VERSION)
}

/** Whether there are tables of a store, of any version. */
export const hasTables = async (connection: Connection): Promise<boolean> =>
  (await versionOf(connection)) !== undefined

/** Of all who begin at once, one makes or changes the tables, all or none of them; the others wait for it. */
async function setUp(connection: Connection): Promise<void> {
  const client = await connection.pool.connect().catch(connection.failed)
  client.on('error', () => undefined)
  try {
    await client.query(`BEGIN; SELECT pg_advisory_xact_lock(${SETUP_LOCK})`)
    const found = await versionOf(connection, client)
    if (found !== undefined) assertVersion(found, VERSION)
    await client.query(found === undefined ? SCHEMA : upgradeFrom(found))
    await client.query('COMMIT')
  } catch (error) {
    if (codeOf(error) === INSUFFICIENT_PRIVILEGE) throw mayNotSetUp()
    connection.failed(error)
  } finally {
    // Closed, not given back: that also undoes what was left half done.
    client.release(true)
  }
}

/** @returns undefined: there are no tables */
async function versionOf(
  connection: Connection,
  database?: Pick<Pool, 'query'>,
): Promise<number | undefined> {
  // Not by to_regclass: it remembers that a table was missing, also beyond the lock that was waited for.
  const table = `SELECT FROM pg_tables WHERE schemaname = 'redox' AND tablename = 'version'`
  if ((await connection.rows(table, [], database)).length === 0) return undefined
  const text = 'SELECT version FROM redox.version'
  return (await connection.rows<{ version: number }>(text, [], database))[0]?.version ?? NaN
}

const upgradeFrom = (version: number): string =>
  [
    ...Object.entries(UPGRADES).flatMap(([from, text]) => (Number(from) >= version ? [text] : [])),
    `UPDATE redox.version SET version = ${VERSION}`,
  ].join('\n')
