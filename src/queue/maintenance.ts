import type { RedoxError, RedoxErrorCode } from '../errors'
import type { DestinationRests } from './destination-rests'
import { asRedoxError } from './internal-error'
import type { DeliveryStore, LaneState, MessageState } from './types'

/** Queue stats: numbers of messages, failing destinations and state of the store. */
export interface Depth {
  counts: Record<MessageState, number>
  lanes: LaneState[]
  /** milliseconds since the oldest open message was accepted; 0: no message is open */
  age: number
  /**
   * number of messages that this process has parked so far; unlike `counts.parked` it also grows if one message is
   * decided while another is parked
   */
  parkings: number
  /** error codes of the last attempts, for destinations with failures since their last delivery */
  failing: ReadonlyMap<string, RedoxErrorCode>
  /** error of the store, if it cannot be used */
  trouble?: RedoxError
}

const PURGE_EVERY_MS = 3_600_000

export interface MaintenanceOptions {
  rests: DestinationRests
  onDepth: (depth: Depth) => void
  parkings: () => number
  /** returns the last known error of the store, if it cannot be used */
  storeError: () => RedoxError | undefined
  onStoreError: (error: RedoxError) => void
  /** returns the milliseconds that messages are stored after their delivery; undefined: no message is deleted now */
  keepFor: () => number | undefined
  /** announces results; called before messages are deleted */
  announce: () => Promise<void>
}

/** Reads the queue stats, and deletes messages that ended long ago. */
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
    // The age grows even while the store cannot be read.
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
    // Results of messages that ended without a listener are announced before messages are deleted.
    await announce()
    const keep = keepFor()
    if (keep === undefined) return
    const now = this.store.clock.now()
    await this.store.purge(Math.floor(now - keep), now)
  }
}
