import path from 'node:path'

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
      /** id of the redox-config node, because several nodes can share the database */
      queue: string
    }
)

export { isDatabaseUrl } from '../shared/formats'

/** Names of folders in the user directory. */
export const STORES = 'redox-store'
export const MARKS = '.redox-store-marks'

/**
 * Returns the location of the store of a connection.
 * @param userDir Node-RED's user directory; undefined: without a user directory, the store's identity is not kept
 *   outside the store
 * @param id id of the redox-config node
 * @param url URL of a database, with user and password; undefined: the store is embedded
 */
export function locationIn(userDir: string | undefined, id: string): StoreLocation & { kind: 'embedded' }
export function locationIn(userDir: string | undefined, id: string, url: string | undefined): StoreLocation
export function locationIn(userDir: string | undefined, id: string, url?: string): StoreLocation {
  const name = path.basename(id)
  const mark = userDir && path.join(userDir, MARKS, `${name}.json`)
  return url === undefined
    ? { kind: 'embedded', folder: path.join(userDir ?? process.cwd(), STORES, name), mark }
    : { kind: 'postgresql', url, queue: id, mark }
}
