import { formatSize, RedoxError } from '../errors'
import type { DeliveryStore } from './types'

/** Fraction of the limit from which a store counts as nearly full. */
export const NEARLY_FULL = 0.8
/** Bytes that a message needs besides its files (docs/operations.md#size). */
const MESSAGE_BYTES = 4096
/** Shortest time between two measurements for refused messages, in milliseconds. */
const MEASURE_AGAIN_MS = 1000

/** Number of bytes in a store, and the limit above which it accepts no message. */
export class StoreUsage {
  /** bytes above which no message is accepted; Infinity: no limit */
  limit = Infinity
  #measured: number | undefined
  #measuredAt = -Infinity
  /** bytes of the messages that were accepted after the measurement */
  #added = 0

  constructor(private readonly store: DeliveryStore) {}

  /** Number of bytes in the store, as far as it is known. */
  get bytes(): number | undefined {
    return this.#measured === undefined ? undefined : this.#measured + this.#added
  }

  async measure(): Promise<void> {
    const added = this.#added
    this.#measured = await this.store.used()
    this.#measuredAt = performance.now()
    this.#added -= added
  }

  /**
   * Counts a message with files of this size, unless it would exceed the limit.
   * @throws RedoxError REDOX_STORE_FULL
   */
  async count(fileBytes: number): Promise<void> {
    if (this.limit === Infinity) return
    const bytes = fileBytes + MESSAGE_BYTES
    const fits = (): boolean => this.bytes !== undefined && this.bytes + bytes <= this.limit
    if (!fits() && performance.now() - this.#measuredAt >= MEASURE_AGAIN_MS) await this.measure()
    if (!fits()) throw limitReached(this.limit)
    this.#added += bytes
  }
}

const limitReached = (limit: number): RedoxError =>
  new RedoxError(
    'REDOX_STORE_FULL',
    `Store is full: the message would exceed the ${formatSize(limit)} that the connection allows ("Store limit (GB)"). Deliver or ` +
      'discard what waits, or raise the limit. No accepted message is lost, and delivery continues.',
  )
