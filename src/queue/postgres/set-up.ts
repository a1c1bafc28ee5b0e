/** Preparation of a database by its owner, for connections whose user may not create tables. */
import { RedoxError } from '../../errors'
import { DEFAULT_SCHEMA } from '../../shared/formats'
import type { StoreDatabase } from '../store-location'
import { DatabaseConnection } from './connection'
import { migrate } from './migrations'

/** Tables that only the owner writes. */
const OF_OWNER = ['version', 'migration']
/** Table whose lines are added and never changed. */
const AUDIT = 'audit'

/**
 * Creates or migrates the tables.
 * @param database URL of the user who owns the tables, or may create them
 * @param role database role that gets the rights of a connection; undefined: no rights are granted
 * @throws RedoxError REDOX_STORE_…
 */
export async function setUp({ url, schema = DEFAULT_SCHEMA }: StoreDatabase, role?: string): Promise<void> {
  const connection = await DatabaseConnection.connect({ url, schema, queue: '' })
  try {
    await migrate(connection)
    if (role !== undefined) await grant(connection, role)
  } finally {
    await connection.close()
  }
}

async function grant(connection: DatabaseConnection, role: string): Promise<void> {
  const known = await connection.rows('SELECT FROM pg_roles WHERE rolname = $1', [role])
  if (known.length === 0) throw noSuchRole()
  const { escapeIdentifier } = await import('pg')
  const grantee = escapeIdentifier(role)
  const tables = await connection.rows<{ name: string }>(
    'SELECT tablename AS name FROM pg_tables WHERE schemaname = $1',
    [connection.schema],
  )
  const written = tables.map(({ name }) => name).filter((name) => !OF_OWNER.includes(name))
  const changed = written.filter((name) => name !== AUDIT)
  const list = (names: string[]): string => names.map((name) => `redox.${name}`).join(', ')
  for (const rights of [
    'USAGE ON SCHEMA redox',
    'SELECT ON ALL TABLES IN SCHEMA redox',
    `INSERT ON ${list(written)}`,
    `UPDATE, DELETE ON ${list(changed)}`,
    'USAGE ON ALL SEQUENCES IN SCHEMA redox',
    'EXECUTE ON ALL FUNCTIONS IN SCHEMA redox',
  ])
    await connection.rows(`GRANT ${rights} TO ${grantee}`, [])
}

const noSuchRole = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNAVAILABLE',
    'PostgreSQL role does not exist: nothing was granted. Create the role first, with CREATE ROLE … LOGIN.',
  )
