import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { RedoxError } from '../errors'
import { codeOf, failed } from './level/errors'
import { hasTraces } from './level/identity'
import { MARKS, placeIn, STORES, type Place } from './location'
import { readMark } from './store-mark'

/** What lies in a store, as far as it is known without its key. */
export interface ListedStore {
  /** id of the redox-config node that it belongs to */
  id: string
  place: Place
  /** waiting, or being sent */
  waiting: number
  parked: number
  /** of a database: milliseconds since a process last took care of it; undefined: none has */
  idle?: number
  /** why it cannot be looked into */
  code?: string
}

/** Stores that cannot be read are set aside under such a name, see {@link beginAnew}. */
const SET_ASIDE = /\.unreadable-/

/** The ids of the embedded stores of a user directory, of those too that are gone. */
export async function embeddedIds(userDir: string): Promise<string[]> {
  const folders = await namesIn(path.join(userDir, STORES))
  const marks = (await namesIn(path.join(userDir, MARKS))).map((name) => path.basename(name, '.json'))
  const marked = await Promise.all(
    marks.map(async (id) => ((await readMark(placeIn(userDir, id).mark, 'embedded')) ? [id] : [])),
  )
  return [...new Set([...folders.filter((name) => !SET_ASIDE.test(name)), ...marked.flat()])].sort()
}

/**
 * All that lies in a database.
 * @throws RedoxError REDOX_STORE_…
 */
export async function storesInDatabase(userDir: string | undefined, url: string): Promise<ListedStore[]> {
  const { queuesIn } = await import('./postgres/queues.js')
  return (await queuesIn(url)).map(({ queue, ...state }) => ({
    ...{ id: queue, place: placeIn(userDir, queue, url) },
    ...state,
  }))
}

/** What lies in an embedded store. It is not open anywhere meanwhile, or its code says so. */
export async function lookInto(userDir: string, id: string): Promise<ListedStore> {
  const place = placeIn(userDir, id)
  const known = { id, place, waiting: 0, parked: 0 }
  const mark = await readMark(place.mark, 'embedded')
  // Nothing is begun where nothing is.
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
  readdir(folder).catch((error: unknown) => (codeOf(error) === 'ENOENT' ? [] : failed(error)))
