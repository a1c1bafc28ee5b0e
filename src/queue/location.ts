import path from 'node:path'

/** Where the accepted messages of a connection are kept. */
export type Place = {
  /** the file outside of the store that tells which store belongs here; undefined: none is kept */
  mark: string | undefined
} & (
  | { kind: 'embedded'; folder: string }
  | {
      kind: 'postgresql'
      /** with user and password */
      url: string
      /** whose messages, of those that share the database */
      queue: string
    }
)

export { isDatabaseUrl } from '../shared/formats'

/** Folders of the user directory. */
export const STORES = 'redox-store'
export const MARKS = '.redox-store-marks'

/**
 * Where the messages of a connection are.
 * @param userDir of Node-RED; undefined: it has none, and nothing is kept outside of the store
 * @param id of the redox-config node
 * @param url of a database, with user and password; undefined: the store is embedded
 */
export function placeIn(userDir: string | undefined, id: string): Place & { kind: 'embedded' }
export function placeIn(userDir: string | undefined, id: string, url: string | undefined): Place
export function placeIn(userDir: string | undefined, id: string, url?: string): Place {
  const name = path.basename(id)
  const mark = userDir && path.join(userDir, MARKS, `${name}.json`)
  return url === undefined
    ? { kind: 'embedded', folder: path.join(userDir ?? process.cwd(), STORES, name), mark }
    : { kind: 'postgresql', url, queue: id, mark }
}
