import { RedoxError, type RedoxErrorCode } from '../../../src/errors'
import type { MessageState } from '../../../src/queue/types'
import type { DurableConnection } from '../connection/durable-connection'
import type { Outbox } from '../queue/outbox'
import { timer } from '../runtime/closing'

/** Figures of the outbox of a connection. */
export interface OutboxFigures {
  /** undefined while the store cannot be read */
  counts?: Record<MessageState, number>
  /** number of delivered messages that a destination refused later */
  refusedLater?: number
  /** seconds since the oldest open message was accepted; 0: no message is open */
  oldestSeconds?: number
  /** number of destinations that are paused or blocked by a parked message */
  stopped?: number
  storeBytes?: number
  /** true: a message was refused at the limit of the store, and there is still no room for one of its size */
  isFull?: boolean
  /** false while the store is being opened or cannot accept messages */
  isAccepting: boolean
  /** code of the error that makes the store or the connection unusable */
  code?: RedoxErrorCode
}

/** Milliseconds after which a store counts as unavailable, so that a scrape or a probe gets its answer in time. */
const STORE_WAIT_MS = 4_000
/** Milliseconds for which the size of a store is kept: a store may consist of many files. */
const SIZE_KEPT_MS = 60_000

const sizes = new WeakMap<Outbox, { readAt: number; size: Promise<number | undefined> }>()

/** Reads the figures of a connection's outbox. Never rejects. */
export async function outboxFigures({ outbox, code }: DurableConnection): Promise<OutboxFigures> {
  if (!outbox) return { isAccepting: false, ...(code !== undefined && { code }) }
  const late = timer(STORE_WAIT_MS, { code: 'REDOX_STORE_UNAVAILABLE' as const })
  const read = await Promise.race([figuresOf(outbox).catch(failureOf), late])
  const failure = code ?? ('code' in read ? read.code : undefined)
  return { ...read, isAccepting: failure === undefined, ...(failure !== undefined && { code: failure }) }
}

const failureOf = (error: unknown): { code: RedoxErrorCode } => ({
  code: error instanceof RedoxError ? error.code : 'REDOX_INTERNAL',
})

async function figuresOf(outbox: Outbox): Promise<Omit<OutboxFigures, 'isAccepting' | 'code'>> {
  const { store } = outbox
  const [counts, refusedLater, destinations] = await Promise.all([
    store.counts(),
    store.refusedLater(),
    store.destinations(),
  ])
  const storeBytes = await sizeOf(outbox)
  const times = destinations.flatMap(({ oldest }) => oldest ?? [])
  const oldest = times.length > 0 ? store.clock.now() - Math.min(...times) : 0
  return {
    counts,
    refusedLater,
    oldestSeconds: Math.max(0, oldest) / 1000,
    stopped: destinations.filter(({ paused, blockedBy }) => paused || blockedBy !== undefined).length,
    ...(storeBytes !== undefined && { storeBytes }),
    isFull: outbox.sender.usage.refused > 0,
  }
}

function sizeOf(outbox: Outbox): Promise<number | undefined> {
  const known = sizes.get(outbox)
  if (known && performance.now() - known.readAt < SIZE_KEPT_MS) return known.size
  const size = outbox.store.size().catch(() => undefined)
  sizes.set(outbox, { readAt: performance.now(), size })
  return size
}
