import { mkdir, readdir, rename } from 'node:fs/promises'
import path from 'node:path'
import { RedoxError } from '../errors'
import { SealedStore } from './jobs'
import { systemCodeOf, failed } from './level/errors'
import { PARTS, syncFolder } from './level/identity'
import type { StoreLocation } from './store-location'
import type { DeliveryStore } from './types'
import { readMark, writeMark } from './store-mark'

/**
 * Opens the store of a connection.
 * @param key store key, with which content is encrypted
 * @throws RedoxError REDOX_STORE_…; REDOX_STORE_UNREADABLE also if the mark shows that there was a store, which is now
 *   missing
 */
export async function openStore(place: StoreLocation, key: string): Promise<SealedStore> {
  const opened = await openAt(place, key, await readMark(place.mark, place.kind))
  try {
    await writeMark(place.mark, place.kind, opened.store.identity)
    return opened
  } catch (error) {
    await opened.store.close()
    throw error
  }
}

/**
 * Creates a new store in place of one that cannot be read. Nothing is deleted: the old folder is renamed, and the data
 * in a database remains unchanged. After an interruption the function can be called again.
 * @returns the new name of the old store's folder; undefined if there is no folder
 * @throws RedoxError REDOX_STORE_LOST if the store can be read
 */
export async function replaceStore(
  place: StoreLocation,
  key: string,
  { who, reason }: { who: string; reason: string },
): Promise<string | undefined> {
  await assertUnreadable(place, key)
  const setAside = place.kind === 'embedded' ? await setFolderAside(place.folder) : undefined
  const { store } = await openAt(place, key, undefined)
  try {
    await store.recordReplacement(setAside ?? '-', { who, reason, now: store.clock.now() })
    // Last step of the replacement: the mark file now names the new store. If the process stops before, the mark file
    // still names the old store, and the new one is refused.
    await writeMark(place.mark, place.kind, store.identity)
  } finally {
    await store.close()
  }
  return setAside
}

async function openAt(place: StoreLocation, key: string, known: string | undefined): Promise<SealedStore> {
  const store = await storeAt(place, known)
  try {
    return await SealedStore.open(store, key)
  } catch (error) {
    await store.close()
    throw error
  }
}

/**
 * Opens a store without its key, so that encrypted content cannot be read.
 * @throws RedoxError REDOX_STORE_…
 */
export const openSealed = async (place: StoreLocation): Promise<DeliveryStore> =>
  storeAt(place, await readMark(place.mark, place.kind))

async function storeAt(place: StoreLocation, known: string | undefined): Promise<DeliveryStore> {
  if (place.kind === 'embedded') {
    const { LevelStore } = await import('./level/store.js')
    return LevelStore.open(place.folder, known)
  }
  const { PostgresStore } = await import('./postgres/store.js')
  return PostgresStore.open(place, known)
}

async function assertUnreadable(place: StoreLocation, key: string): Promise<void> {
  try {
    const { store } = await openAt(place, key, await readMark(place.mark, place.kind))
    await store.close()
  } catch (error) {
    if (error instanceof RedoxError && error.code === 'REDOX_STORE_UNREADABLE') return
    throw error
  }
  throw new RedoxError(
    'REDOX_STORE_LOST',
    'Store can be read, so no new store was created. The connection uses it again within a few seconds.',
  )
}

async function setFolderAside(folder: string): Promise<string | undefined> {
  const suffix = `unreadable-${new Date().toISOString().replaceAll(/[-:]/g, '')}`
  const name = `${path.basename(folder)}.${suffix}`
  try {
    await rename(folder, path.join(path.dirname(folder), name))
    await syncFolder(path.dirname(folder))
    return name
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined
    // A folder that is a mount point cannot be renamed.
    if (systemCodeOf(error) === 'EBUSY') return setPartsAside(folder, suffix).catch(failed)
    return failed(error)
  }
}

async function setPartsAside(folder: string, name: string): Promise<string | undefined> {
  const parts = (await readdir(folder)).filter((one) => PARTS.includes(one))
  if (parts.length === 0) return undefined
  await mkdir(path.join(folder, name), { mode: 0o700 })
  for (const one of parts) await rename(path.join(folder, one), path.join(folder, name, one))
  await syncFolder(folder)
  return name
}
