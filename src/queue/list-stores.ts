import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { RedoxError } from '../errors'
import { systemCodeOf, failed } from './level/errors'
import { hasTraces } from './level/identity'
import {
  DEFAULT_SCHEMA,
  MARKS,
  locationIn,
  STORES,
  type StoreDatabase,
  type StoreLocation,
} from './store-location'
import { readMark } from './store-mark'

/** Summary of a store, as far as it is known without the store key. */
export interface ListedStore {
  /** id of the redox-config node that the store belongs to */
  id: string
  place: StoreLocation
  /** number of messages that are waiting or being sent */
  waiting: number
  parked: number
  /** PostgreSQL only: milliseconds since a process last served the queue; undefined: no process ever did */
  idle?: number
  /** error code: the reason why the store cannot be read */
  code?: string
}

/** Pattern of the folder names of unreadable stores that were replaced by new ones, see {@link beginAnew}. */
const SET_ASIDE = /\.unreadable-/

/** Returns the ids of all embedded stores of a user directory, also of those whose folder is missing. */
export async function embeddedIds(userDir: string): Promise<string[]> {
  const folders = await namesIn(path.join(userDir, STORES))
  const marks = (await namesIn(path.join(userDir, MARKS))).map((name) => path.basename(name, '.json'))
  const marked = await Promise.all(
    marks.map(async (id) => ((await readMark(locationIn(userDir, id).mark, 'embedded')) ? [id] : [])),
  )
  return [...new Set([...folders.filter((name) => !SET_ASIDE.test(name)), ...marked.flat()])].sort()
}

/**
 * Returns the summaries of all stores in one schema of a database.
 * @throws RedoxError REDOX_STORE_…
 */
export async function storesInDatabase(
  userDir: string | undefined,
  { url, schema = DEFAULT_SCHEMA }: StoreDatabase,
): Promise<ListedStore[]> {
  const { queuesIn } = await import('./postgres/queue-summaries.js')
  return (await queuesIn(url, schema)).map(({ queue, ...state }) => ({
    ...{ id: queue, place: locationIn(userDir, queue, { url, schema }) },
    ...state,
  }))
}

/**
 * Returns the summary of an embedded store, which is opened for this. If another process has it open, the summary
 * contains an error code.
 */
export async function summaryOf(userDir: string, id: string): Promise<ListedStore> {
  const place = locationIn(userDir, id)
  const known = { id, place, waiting: 0, parked: 0 }
  const mark = await readMark(place.mark, 'embedded')
  // A store that does not exist is not opened, because opening would create it.
  if (mark === undefined && !(await hasTraces(place.folder))) return known
  const { LevelStore } = await import('./level/store.js')
  try {
    const store = await LevelStore.open(place.folder, mark)
    try {
      const { waiting, sending, parked } = await store.counts()
      return { ...known, waiting: waiting + sending, parked }
    } finally {
      await store.close()
    }
  } catch (error) {
    if (error instanceof RedoxError) return { ...known, code: error.code }
    throw error
  }
}

const namesIn = (folder: string): Promise<string[]> =>
  readdir(folder).catch((error: unknown) => (systemCodeOf(error) === 'ENOENT' ? [] : failed(error)))
