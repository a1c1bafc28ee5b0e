import { createHash } from 'node:crypto'
import { RedoxError } from '../../errors'
import { DEFAULT_SCHEMA, isSchemaName } from '../../shared/formats'

/** Seed of the advisory locks in the SQL files. */
const LOCK_SEED = '7363620417'

/**
 * Returns a statement for a store in a schema. The statements of the code and of the SQL files are written for the
 * schema `redox`. In another schema the advisory locks have another seed, so that stores with the same queue in two
 * schemas of a database do not wait for each other. `search_path` is not used, because behind PgBouncer it would reach
 * the sessions of other clients.
 * @throws RedoxError REDOX_INTERNAL if the name is not that of a schema
 */
export function inSchema(statement: string, schema: string): string {
  if (schema === DEFAULT_SCHEMA) return statement
  // The settings of a connection and the command line are checked before: here it is the last check before the SQL.
  if (!isSchemaName(schema))
    throw new RedoxError('REDOX_INTERNAL', 'Schema has no valid name: please report this.')
  return statement
    .replaceAll(/\bredox(?=\.)|(?<=SCHEMA )redox\b/g, `"${schema}"`)
    .replaceAll(LOCK_SEED, seedOf(schema))
}

const seedOf = (schema: string): string =>
  createHash('sha256').update(`${LOCK_SEED} ${schema}`).digest().readUIntBE(0, 6).toString()
