/** Durable connections of this Node-RED process, and stranded stores, whose messages no connection delivers. */
import { durableConnections, type DurableConnection } from '../../nodes/lib/connection/durable-connection'
import type { Outbox } from '../../nodes/lib/queue/outbox'
import { RedoxError } from '../../src/errors'
import { toWallTime } from '../../src/queue/store-clock'
import type { ListedStore } from '../../src/queue/list-stores'
import type { DestinationState } from '../../src/queue/types'
import type { ConnectionSummary, DestinationSummary, StrandedStoreSummary } from '../../src/shared/outbox-api'
import { namesOf, type NameOf } from './content-facts'
import { AdminRefusal } from './refusal'

const HOUR_MS = 3_600_000
const MAX_DESTINATIONS = 200

/**
 * Returns the durable connection with an id.
 * @throws Refusal 404 if there is none
 */
export function durableConnection(connection: string): DurableConnection {
  const found = durableConnections.get(connection)
  if (found) return found
  throw new AdminRefusal(404, 'not_found', 'No redox-config node with this ID uses durable delivery.')
}

/**
 * Returns the open outbox of a connection.
 * @throws Refusal 404 for an unknown connection, 503 while the store is not open
 */
export function outboxOf(connection: string): Outbox {
  const { outbox, code } = durableConnection(connection)
  if (outbox) return outbox
  throw new AdminRefusal(
    503,
    code ?? 'REDOX_STORE_UNAVAILABLE',
    'The store of this connection is not open. See the status of the redox-config node, or the log.',
  )
}

export async function connectionSummary(
  id: string,
  { name, outbox, code }: DurableConnection,
): Promise<ConnectionSummary> {
  const known = { id, name }
  if (!outbox) return { ...known, ...(code === undefined ? { isOpening: true } : { code }) }
  try {
    const { store } = outbox
    const [counts, refusedLater, destinations] = await Promise.all([
      store.counts(),
      store.refusedLater(),
      store.destinations(),
    ])
    const { bytes, limit, refused } = outbox.sender.usage
    const nameOf = await namesOf(id, outbox)
    const times = destinations.flatMap(({ oldest }) => oldest ?? [])
    return {
      ...known,
      ...(code !== undefined && { code }),
      ...(store.warnings.length > 0 && { warnings: store.warnings }),
      counts,
      refusedLater,
      ...(bytes !== undefined && { storeBytes: bytes }),
      ...(limit !== Infinity && { storeLimit: limit }),
      ...(refused > 0 && { isFull: true as const }),
      ...(outbox.retryFor !== undefined && { retryForHours: Math.ceil(outbox.retryFor / HOUR_MS) }),
      ...(times.length > 0 && { oldest: wallTime(outbox, Math.min(...times)) }),
      destinations: [...destinations]
        .sort(byUrgency)
        .slice(0, MAX_DESTINATIONS)
        .map((state) => ({ ...destinationSummary(outbox, state), ...destinationNameIn(nameOf, state) })),
      destinationsInAll: destinations.length,
    }
  } catch (error) {
    if (!(error instanceof RedoxError)) throw error
    return { ...known, code: error.code }
  }
}

export const strandedSummary = (
  store: string,
  { id, waiting, parked, code }: ListedStore,
): StrandedStoreSummary => ({
  ...{ store, id, waiting, parked },
  ...(code !== undefined && { code }),
})

/**
 * Comparison function for sorting destinations: stopped destinations first, then those with blocked patients, then
 * those with the oldest message.
 */
function byUrgency(a: DestinationState, b: DestinationState): number {
  const stopped = ({ paused, blockedBy, blockedPatients }: DestinationState): number =>
    paused || blockedBy !== undefined ? 2 : Number(blockedPatients !== undefined)
  return stopped(b) - stopped(a) || (a.oldest ?? Infinity) - (b.oldest ?? Infinity) || 0
}

/** Returns the field `destinationName` of an answer: the name of a destination, if it has one. */
export function destinationNameIn(
  nameOf: NameOf,
  { destination }: { destination?: string | undefined },
): { destinationName?: string } {
  const name = destination === undefined ? undefined : nameOf(destination)
  return name === undefined ? {} : { destinationName: name }
}

const destinationSummary = (
  outbox: Outbox,
  { destination, oldest, ...state }: DestinationState,
): DestinationSummary => ({
  destination,
  ...state,
  ...(oldest !== undefined && { oldest: wallTime(outbox, oldest) }),
})

export const iso = (milliseconds: number): string => new Date(milliseconds).toISOString()

/** Returns a time of the store's clock, converted to the system clock, in ISO 8601. */
export const wallTime = ({ store }: Outbox, time: number): string => iso(toWallTime(store.clock, time))
