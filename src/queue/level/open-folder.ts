/** Opens the LevelDB in the folder of a store, after checking that the folder contains the right store, undamaged. */
import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import type { ClassicLevel } from 'classic-level'
import { RedoxError } from '../../errors'
import type { ClockReading } from '../store-clock'
import { asFailure, failed, storeGone, openingFailed, otherStore } from './errors'
import { hasDatabase, hasTraces, readIdentity, syncFolder } from './identity'
import { KEY, type Database } from './keys'
import { assertLogsIntact } from './leveldb-log-check'
import { DiskReserve } from './disk-reserve'

export interface OpenedFolder {
  folder: string
  db: Database
  reserve: DiskReserve
  /** random id of this store */
  identity: string
  /** true: the store has no identity file yet */
  isNew: boolean
  /** last stored reading of the store's clock; undefined: no reading is stored */
  lastReading?: ClockReading
}

/**
 * Opens the folder of a store.
 * @param known store identity from the mark, a file outside the store; undefined: no mark, so a store may be created
 * @throws RedoxError REDOX_STORE_…
 */
export async function openFolder(folder: string, known?: string): Promise<OpenedFolder> {
  const found = await readIdentity(folder)
  const isFirst = known === undefined && found === undefined && !(await hasTraces(folder))
  if (known !== undefined && found === undefined) throw storeGone()
  if (known !== undefined && found?.identity !== known) throw otherStore()
  if (isFirst) await makeFolders(folder)
  else if (!(await hasDatabase(folder))) throw storeGone()
  else await assertLogsIntact(path.join(folder, 'messages'), KEY.flushed)
  const reserve = await DiskReserve.of(folder)
  const options = { valueEncoding: 'buffer', writeBufferSize: reserve.writeBufferSize }
  const db: Database = new (await engine())(path.join(folder, 'messages'), options)
  const open = (): Promise<void> => db.open({ createIfMissing: isFirst }).catch(openingFailed)
  await open().catch(async (error: unknown) => {
    if (asFailure(error).code !== 'REDOX_STORE_FULL') throw error
    await reserve.giveUp()
    await open()
  })
  const identity = found?.identity ?? (await db.get(KEY.identity).catch(failed))?.toString() ?? randomUUID()
  const reading = await db.get(KEY.clock).catch(failed)
  const lastReading = reading && (JSON.parse(reading.toString()) as ClockReading)
  return { folder, db, reserve, identity, isNew: found === undefined, ...(lastReading && { lastReading }) }
}

/**
 * Loads LevelDB only when it is needed: direct delivery works without it, also on machines for which it is not built.
 */
async function engine(): Promise<typeof ClassicLevel> {
  try {
    return (await import('classic-level')).ClassicLevel
  } catch {
    throw new RedoxError(
      'REDOX_STORE_UNAVAILABLE',
      'Package classic-level is missing, or does not run on this machine. Durable delivery needs it. Install the nodes ' +
        'again with optional dependencies, or choose PostgreSQL as the store in the connection.',
    )
  }
}

/** Creates the folders of a store, durably. */
async function makeFolders(folder: string): Promise<void> {
  await mkdir(path.join(folder, 'files'), { recursive: true, mode: 0o700 }).catch(failed)
  for (const made of [folder, path.dirname(folder)]) await syncFolder(made).catch(failed)
}
