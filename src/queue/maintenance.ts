import type { RedoxError, RedoxErrorCode } from '../errors'
import type { DestinationRests } from './destination-rests'
import { asRedoxError } from './internal-error'
import type { DeliveryStore, LaneState, MessageState } from './types'

/** How much there is to do. */
export interface Depth {
  counts: Record<MessageState, number>
  lanes: LaneState[]
  /** milliseconds since the oldest that waits was accepted; 0: nothing waits */
  age: number
  /** messages that this process has parked so far; two counts may be equal although one was decided and another parked */
  parkings: number
  /** why the last attempt failed, of lanes that nothing gets through to */
  failing: ReadonlyMap<string, RedoxErrorCode>
  /** why the store cannot be used */
  trouble?: RedoxError
}

const PURGE_EVERY_MS = 3_600_000

export interface MaintenanceOptions {
  rests: DestinationRests
  onDepth: (depth: Depth) => void
  parkings: () => number
  /** why the store cannot be used, as far as is known */
  storeError: () => RedoxError | undefined
  onStoreError: (error: RedoxError) => void
  /** milliseconds that messages are kept after their delivery; undefined: none is forgotten now */
  keepFor: () => number | undefined
  /** announces results, before what has ended is forgotten */
  announce: () => Promise<void>
}

/** Looks how much there is to do, and forgets what ended long ago. */
export class Maintenance {
  #purgedAt = -Infinity
  #depth: Pick<Depth, 'counts' | 'lanes'> & { oldest?: number } = {
    counts: { waiting: 0, sending: 0, parked: 0, delivered: 0, discarded: 0 },
    lanes: [],
  }

  constructor(
    private readonly store: DeliveryStore,
    private readonly options: MaintenanceOptions,
  ) {}

  async run(): Promise<void> {
    const { onDepth, parkings, storeError, onStoreError } = this.options
    try {
      await this.#look()
      await this.store.check()
    } catch (error) {
      onStoreError(asRedoxError(error))
    }
    // What was known last grows older also while the store cannot be asked.
    const { oldest, ...depth } = this.#depth
    const age = oldest === undefined ? 0 : Math.max(0, this.store.clock.now() - oldest)
    const trouble = storeError()
    onDepth({
      ...depth,
      age,
      parkings: parkings(),
      failing: this.options.rests.codes,
      ...(trouble && { trouble }),
    })
    await this.#purge()
  }

  async #look(): Promise<void> {
    const [counts, lanes] = await Promise.all([this.store.counts(), this.store.lanes()])
    this.options.rests.keepOnly(new Set(lanes.flatMap(({ lane, open }) => (open > 0 ? [lane] : []))))
    const times = lanes.flatMap(({ oldest }) => oldest ?? [])
    this.#depth = { counts, lanes, ...(times.length > 0 && { oldest: Math.min(...times) }) }
  }

  async #purge(): Promise<void> {
    const { keepFor, announce } = this.options
    if (keepFor() === undefined || performance.now() - this.#purgedAt < PURGE_EVERY_MS) return
    this.#purgedAt = performance.now()
    // Not before the results of messages that ended without a listener are announced.
    await announce()
    const keep = keepFor()
    if (keep === undefined) return
    const now = this.store.clock.now()
    await this.store.purge(Math.floor(now - keep), now)
  }
}
