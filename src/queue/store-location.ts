import path from 'node:path'
import { DEFAULT_SCHEMA } from '../shared/formats'

/** Location of the store of a connection. */
export type StoreLocation = {
  /**
   * path of the mark: a file outside the store with the identity of the store that belongs to this connection;
   * undefined: no mark is kept
   */
  mark: string | undefined
} & (
  | { kind: 'embedded'; folder: string }
  | {
      kind: 'postgresql'
      /** URL of the database, with user and password */
      url: string
      /** schema of the tables */
      schema: string
      /** id of the redox-config node, because several nodes can share the database */
      queue: string
    }
)

export { DEFAULT_SCHEMA, isDatabaseUrl, isSchemaName } from '../shared/formats'

/** Database of a store. */
export interface StoreDatabase {
  /** URL with user and password, and one or more hosts */
  url: string
  /** schema of the tables; default: {@link DEFAULT_SCHEMA} */
  schema?: string
}

/** Names of folders in the user directory. */
export const STORES = 'redox-store'
export const MARKS = '.redox-store-marks'

/**
 * Returns the location of the store of a connection.
 * @param userDir Node-RED's user directory; undefined: without a user directory, the store's identity is not kept
 *   outside the store
 * @param id id of the redox-config node
 * @param database undefined: the store is embedded
 */
export function locationIn(userDir: string | undefined, id: string): StoreLocation & { kind: 'embedded' }
export function locationIn(userDir: string | undefined, id: string, database?: StoreDatabase): StoreLocation
export function locationIn(userDir: string | undefined, id: string, database?: StoreDatabase): StoreLocation {
  const name = path.basename(id)
  const mark = userDir && path.join(userDir, MARKS, `${name}.json`)
  if (!database) return { kind: 'embedded', folder: path.join(userDir ?? process.cwd(), STORES, name), mark }
  const { url, schema = DEFAULT_SCHEMA } = database
  return { kind: 'postgresql', url, schema, queue: id, mark }
}

/**
 * Returns the name of a store for people, as the command `redox-store` and the outbox use it: `embedded:3f2a`,
 * `postgresql:3f2a`, or `postgresql:lab/3f2a` in the schema `lab`.
 */
export const storeName = (id: string, place: StoreLocation): string =>
  place.kind === 'postgresql' && place.schema !== DEFAULT_SCHEMA
    ? `postgresql:${place.schema}/${id}`
    : `${place.kind}:${id}`
