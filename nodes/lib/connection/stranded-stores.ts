import { existsSync } from 'node:fs'
import path from 'node:path'
import type { NodeAPI } from 'node-red'
import type { ListedStore } from '../../../src/queue/list-stores'
import type { Moved, Mover } from '../../../src/queue/move-store'
import {
  DEFAULT_SCHEMA,
  isDatabaseUrl,
  isSchemaName,
  MARKS,
  locationIn,
  STORES,
  storeName,
  type StoreDatabase,
  type StoreLocation,
} from '../../../src/queue/store-location'
import { MOVING } from '../../../src/queue/types'
import { RedoxError } from '../../../src/errors'
import { durableConnections } from './durable-connection'
import type { Outbox } from '../queue/outbox'

/**
 * Stranded stores: stores with queued messages that no connection delivers, because their connection was removed,
 * disabled or copied, now delivers directly, or now uses another store. After each start of the flows, all stores in
 * the user directory and in the databases that connections name are checked. The log and the outbox tab report stranded
 * stores.
 */

/** Stranded stores by the names that the command `redox-store` uses, e.g. `embedded:3f2a`. */
const stranded = new Map<string, ListedStore>()
export const strandedStores: ReadonlyMap<string, ListedStore> = stranded

/**
 * Milliseconds that another Node-RED may take to restart. A database store that was used more recently than that may
 * belong to another Node-RED, so it is not stranded.
 */
const IDLE_MS = 120_000

// Runtime that was started last: Node-RED can be started again in one process, with another `RED` object.
let runtime: NodeAPI
const AGAIN_MS = 1000

const followed = new WeakSet<object>()
const logged = new Map<string, string>()
let isRunning = false
let checking: Promise<void> = Promise.resolve()

export function watchForStrandedStores(RED: NodeAPI): void {
  runtime = RED
  if (followed.has(RED.events)) return
  followed.add(RED.events)
  RED.events.on('flows:started', () => {
    isRunning = true
    void refresh()
  })
  // All connections are closed while the flows stop, so every store would seem stranded.
  RED.events.on('flows:stopping', () => void (isRunning = false))
}

/** Checks for stranded stores after the checks that are already running or planned. */
function refresh(): Promise<void> {
  checking = checking.then(() => check(runtime)).catch((error: unknown) => logFailure(runtime, error))
  return checking
}

async function check(RED: NodeAPI): Promise<void> {
  // The store locations of connections are known only after the first attempt to open the stores.
  await Promise.all([...durableConnections.values()].map(({ opened }) => opened))
  if (!isRunning) return
  const owners = new Map([...durableConnections].map(([id, { place }]) => [id, place]))
  const stores = [...(await embedded(RED, owners)), ...(await inDatabases(RED, owners))].filter(isStranded)
  stranded.clear()
  for (const store of stores) stranded.set(storeName(store.id, store.place), store)
  for (const name of logged.keys()) if (!stranded.has(name)) logged.delete(name)
  for (const [name, store] of stranded) log(RED, name, store)
}

async function embedded(RED: NodeAPI, owners: Owners): Promise<ListedStore[]> {
  const { userDir } = RED.settings
  if (userDir === undefined) return []
  // Without any store, no further module is loaded.
  if (![STORES, MARKS].some((name) => existsSync(path.join(userDir, name)))) return []
  const { embeddedIds, summaryOf } = await import('../../../src/queue/list-stores.js')
  const ids = (await embeddedIds(userDir)).filter((id) => !belongsTo(owners, locationIn(userDir, id), id))
  const stores: ListedStore[] = []
  for (const id of ids) {
    // Imported only for existing stores, because this module loads most of the package.
    const { whileClosed } = await import('../queue/outbox.js')
    const listed = await whileClosed(locationIn(userDir, id), () => summaryOf(userDir, id))
    if (listed) stores.push(listed)
    // The store is still open, to send messages from before a deploy. It is checked again later.
    else setTimeout(() => void refresh(), AGAIN_MS).unref()
  }
  return stores
}

async function inDatabases(RED: NodeAPI, owners: Owners): Promise<ListedStore[]> {
  const stores: ListedStore[] = []
  for (const database of await databases(RED, owners)) {
    const { storesInDatabase } = await import('../../../src/queue/list-stores.js')
    // A database that cannot be reached is reported by the connection that uses it.
    const listed = await storesInDatabase(RED.settings.userDir, database).catch(() => [])
    stores.push(
      ...listed.filter(({ id, place, idle = Infinity }) => !belongsTo(owners, place, id) && idle > IDLE_MS),
    )
  }
  return stores
}

/**
 * Returns the databases and schemas that durable connections use, and those in the settings of connections that deliver
 * directly now.
 */
async function databases(RED: NodeAPI, owners: Owners): Promise<Iterable<StoreDatabase>> {
  const found = new Map<string, StoreDatabase>()
  const add = (url: string, schema: string): void => void found.set(`${schema} ${url}`, { url, schema })
  for (const place of owners.values()) if (place?.kind === 'postgresql') add(place.url, place.schema)
  RED.nodes.eachNode((definition) => {
    const { id, type, storeSchema } = definition as typeof definition & { storeSchema?: unknown }
    if (type !== 'redox-config') return
    const { storeUrl } = (RED.nodes.getCredentials(id) ?? {}) as { storeUrl?: unknown }
    const url = valueOf(RED, storeUrl)
    const schema = valueOf(RED, storeSchema) || DEFAULT_SCHEMA
    if (isDatabaseUrl(url) && isSchemaName(schema)) add(url, schema)
  })
  return found.values()
}

/** Returns a saved setting with its environment variable replaced; an empty string if there is no text. */
function valueOf(RED: NodeAPI, saved: unknown): string {
  if (typeof saved !== 'string') return ''
  const value: unknown = saved.includes('${')
    ? RED.util.evaluateNodeProperty(saved.trim(), 'env', {} as never, {})
    : saved
  return typeof value === 'string' ? value.trim() : ''
}

/** Deployed connections with durable delivery, by id, and the locations of their stores, if known. */
type Owners = ReadonlyMap<string, StoreLocation | undefined>

/**
 * Returns true if a deployed connection uses the store. A connection whose store location is not known yet may use any
 * store with its id.
 */
function belongsTo(owners: Owners, place: StoreLocation, id: string): boolean {
  if (!owners.has(id)) return false
  const used = owners.get(id) ?? place
  return used.kind === 'postgresql' && place.kind === 'postgresql'
    ? used.schema === place.schema
    : used.kind === place.kind
}

/**
 * Returns true for a store with undelivered messages or an error. A locked store is in use by another process, so it is
 * not stranded.
 */
const isStranded = ({ waiting, parked, code }: ListedStore): boolean =>
  waiting + parked > 0 || (code !== undefined && code !== 'REDOX_STORE_LOCKED')

function log(RED: NodeAPI, name: string, { waiting, parked, code }: ListedStore): void {
  const text =
    code === undefined
      ? `redox: no connection delivers the ${waiting + parked} accepted messages (waiting ${waiting}, parked ${parked}) in ` +
        `the store ${name}. Assign them to a connection, or discard them in the Redox outbox.`
      : `redox: the store ${name} belongs to no connection and cannot be opened: ${code}.`
  if (logged.get(name) === text) return
  logged.set(name, text)
  RED.log.warn(text)
}

function logFailure(RED: NodeAPI, error: unknown): void {
  const code = error instanceof RedoxError ? error.code : 'REDOX_INTERNAL'
  RED.log.warn(`redox: the search for stores without a connection failed: ${code}.`)
}

// ---- Decisions ---------------------------------------------------------------------------

/**
 * Moves the messages of a stranded store, whose messages no connection delivers, to a connection whose store is open.
 * Messages that were accepted for another account are parked in the new store.
 * @param key store key with which the stranded store is encrypted; undefined: the store key of the connection
 * @throws RedoxError REDOX_STORE_…
 */
export async function moveStranded(
  { place }: ListedStore,
  { outbox, storeKey }: Receiver,
  key: string | undefined,
  mover: Mover,
): Promise<Moved> {
  const [{ openStore }, { moveMessages: move }, { whileClosed }] = await Promise.all([
    import('../../../src/queue/open-store.js'),
    import('../../../src/queue/move-store.js'),
    import('../queue/outbox.js'),
  ])
  const moved = await whileClosed(place, async () => {
    const from = await openStore(place, key ?? storeKey)
    try {
      return await move(from, outbox.sealedStore, mover)
    } finally {
      await from.store.close()
      outbox.sender.retryNow()
    }
  })
  await refresh()
  return moved ?? inUse()
}

interface Receiver {
  outbox: Outbox
  storeKey: string
}

/**
 * Discards the waiting and parked messages of a stranded store, without its key.
 * @throws RedoxError REDOX_STORE_…
 */
export async function discardStranded({ place }: ListedStore, { who, reason }: Mover): Promise<number> {
  const [{ openSealed }, { messagesOf }, { whileClosed }] = await Promise.all([
    import('../../../src/queue/open-store.js'),
    import('../../../src/queue/move-store.js'),
    import('../queue/outbox.js'),
  ])
  const discarded = await whileClosed(place, async () => {
    const store = await openSealed(place)
    let count = 0
    try {
      for (const state of ['waiting', 'parked'] as const)
        for await (const { id, reason: why } of messagesOf(store, { state })) {
          // An interrupted move has already copied this message to another store. The move has to be completed instead.
          if (why === MOVING) continue
          await store.applyAction(id, 'discard', { who, reason, now: store.clock.now() })
          count++
        }
    } finally {
      await store.close()
    }
    return count
  })
  await refresh()
  return discarded ?? inUse()
}

function inUse(): never {
  throw new RedoxError(
    'REDOX_STORE_LOCKED',
    'Store is in use: a connection has opened it. Open that connection in the outbox.',
  )
}
