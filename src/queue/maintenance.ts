import type { RedoxError, RedoxErrorCode } from '../errors'
import type { DestinationBackoff } from './destination-backoff'
import { NO_LONGER_NEARLY_FULL } from '../shared/values'
import { asRedoxError } from './as-redox-error'
import type { StoreUsage, UsageFigures } from './store-usage'
import type { DeliveryStore, DestinationState, MessageState } from './types'

/** Queue stats: numbers of messages, failing destinations and state of the store. */
export interface QueueStats {
  counts: Record<MessageState, number>
  /** number of delivered messages that a destination refused later */
  refusedLater: number
  destinations: DestinationState[]
  /** milliseconds since the oldest open message was accepted; 0: no message is open */
  age: number
  /**
   * numbers of messages that this process has parked and found to be refused later, until the counts were read; unlike
   * `counts.parked` and `refusedLater`, they also grow if a person decides about one message while another is added
   */
  sinceStart: Readonly<Record<'parked' | 'refusedLater', number>>
  /** error codes of the last attempts, for destinations with failures since their last delivery */
  failing: ReadonlyMap<string, RedoxErrorCode>
  /** error of the store, if it cannot be used */
  storeError?: RedoxError
  usage: UsageFigures
}

/** Half of the minute in which delivered messages and their files are removed after their time. */
const PURGE_EVERY_MS = 30_000
/** The measurement reads the sizes of all files. */
const MEASURE_EVERY_MS = 60_000
/** After a refusal or a warning: an operator who has made room wants to see that it is enough. */
const MEASURE_NEAR_LIMIT_EVERY_MS = 10_000
const SWEEP_EVERY_MS = 3_600_000

export interface MaintenanceOptions {
  backoff: DestinationBackoff
  usage: StoreUsage
  onStats: (stats: QueueStats) => void
  sinceStart: () => QueueStats['sinceStart']
  /** returns the last known error of the store, if it cannot be used */
  storeError: () => RedoxError | undefined
  onStoreError: (error: RedoxError) => void
  /** returns the milliseconds that messages are stored after their delivery; undefined: no message is deleted now */
  keepFor: () => number | undefined
  /** announces results to their nodes; called before messages are deleted */
  announce: () => Promise<void>
}

/** Reads the queue stats, and deletes messages that ended long ago. */
export class Maintenance {
  #purgedAt = -Infinity
  #measuredAt = -Infinity
  /** number of delivered and discarded messages at the last measurement */
  #endedAtMeasurement = 0
  #sweptAt = -Infinity
  #stats: Pick<QueueStats, 'counts' | 'refusedLater' | 'destinations'> & { oldest?: number } = {
    counts: { waiting: 0, sending: 0, parked: 0, delivered: 0, discarded: 0 },
    refusedLater: 0,
    destinations: [],
  }

  constructor(
    private readonly store: DeliveryStore,
    private readonly options: MaintenanceOptions,
  ) {}

  async run(): Promise<void> {
    const { onStats, onStoreError, usage } = this.options
    // Copied first: what is added while the counts are read is told of in the next run, and never left out.
    const sinceStart = { ...this.options.sinceStart() }
    try {
      await this.#readStats()
      await this.#measure()
      await this.store.check()
    } catch (error) {
      onStoreError(asRedoxError(error))
    }
    // The age is computed from the last known values, so that it grows even while the store cannot be read.
    const { oldest, ...stats } = this.#stats
    const age = oldest === undefined ? 0 : Math.max(0, this.store.clock.now() - oldest)
    const storeError = this.options.storeError()
    onStats({
      ...stats,
      age,
      sinceStart,
      usage: usage.figures,
      failing: this.options.backoff.codes,
      ...(storeError && { storeError }),
    })
    await this.#purge()
  }

  async #readStats(): Promise<void> {
    const [counts, refusedLater, destinations] = await Promise.all([
      this.store.counts(),
      this.store.refusedLater(),
      this.store.destinations(),
    ])
    this.options.backoff.keepOnly(
      new Set(destinations.flatMap(({ destination, open }) => (open > 0 ? [destination] : []))),
    )
    const times = destinations.flatMap(({ oldest }) => oldest ?? [])
    this.#stats = {
      counts,
      refusedLater,
      destinations,
      ...(times.length > 0 && { oldest: Math.min(...times) }),
    }
  }

  async #measure(): Promise<void> {
    const { usage, keepFor } = this.options
    const { delivered, discarded } = this.#stats.counts
    const { bytes = 0, limit, refused } = usage.figures
    const isFull = refused > 0
    const isNearLimit = isFull || bytes >= NO_LONGER_NEARLY_FULL * limit
    const every = isNearLimit ? MEASURE_NEAR_LIMIT_EVERY_MS : MEASURE_EVERY_MS
    // A message that ended since the last measurement can be deleted, which may be all that a full store needs.
    const isDue = isFull && delivered + discarded !== this.#endedAtMeasurement
    if (!isDue && performance.now() - this.#measuredAt < every) return
    this.#measuredAt = performance.now()
    await usage.update(keepFor() !== undefined)
    this.#endedAtMeasurement = delivered + discarded
  }

  async #purge(): Promise<void> {
    const { keepFor, announce } = this.options
    if (keepFor() === undefined || performance.now() - this.#purgedAt < PURGE_EVERY_MS) return
    this.#purgedAt = performance.now()
    // Results that no node was subscribed to when their messages ended are announced before the messages are deleted.
    await announce()
    const keep = keepFor()
    if (keep === undefined) return
    const now = this.store.clock.now()
    await this.store.purge(Math.floor(now - keep), now)
    if (performance.now() - this.#sweptAt < SWEEP_EVERY_MS) return
    this.#sweptAt = performance.now()
    await this.store.sweep(now)
  }
}
