import { formatSize, RedoxError } from '../errors'
import { NEARLY_FULL } from '../shared/values'
import { EVICTION_ORDER, type EvictionKind } from './eviction'
import type { DeliveryStore } from './types'

/** Bytes that a message needs besides its files (docs/operations.md#size). */
const MESSAGE_BYTES = 4096
/** Shortest time in milliseconds from a search for room that found too little to the next one. */
const SEARCH_AGAIN_MS = 1000
/** Greatest factor by which a batch of deleted messages is larger than the one before. */
const MOST_GROWTH = 4

export interface UsageFigures {
  /** bytes in the store; undefined until they are measured for the first time */
  bytes: number | undefined
  /** bytes above which no message is accepted; Infinity: no limit */
  limit: number
  /** bytes of the largest message that was refused and for which there is still no room; 0: none */
  refused: number
  /** number of messages that were deleted before the end of their time since the store was opened */
  evicted: Readonly<Record<EvictionKind, number>>
}

/** Number of bytes in a store, and the limit above which it accepts no message. */
export class StoreUsage {
  /** see {@link UsageFigures.limit} */
  limit = Infinity
  /** see {@link UsageFigures.refused} */
  refused = 0
  #measured: number | undefined
  /** time of the last search that found too little room */
  #searchedAt = -Infinity
  #searching: Promise<void> = Promise.resolve()
  /** bytes of the messages that were accepted after the measurement */
  #added = 0
  /** see {@link UsageFigures.evicted} */
  readonly #evicted: Record<EvictionKind, number> = { finished: 0, unconfirmed: 0, refused: 0 }

  constructor(private readonly store: DeliveryStore) {}

  get figures(): UsageFigures {
    return { bytes: this.#bytes, limit: this.limit, refused: this.refused, evicted: { ...this.#evicted } }
  }

  get #bytes(): number | undefined {
    return this.#measured === undefined ? undefined : this.#measured + this.#added
  }

  /**
   * Measures the store. After a refusal, room is searched for a message of the same size, because the messages that have
   * been delivered since then can be deleted.
   * @param mayEvict false: no message is deleted now
   */
  async update(mayEvict: boolean): Promise<void> {
    await this.#measure()
    if (this.refused > 0 && mayEvict) {
      // Updates are rare, unlike messages: this search must not wait because one for a message was just made.
      this.#searchedAt = -Infinity
      await this.#searchRoom(this.refused)
    }
    this.#forgetRefusal()
  }

  async #measure(): Promise<void> {
    const added = this.#added
    this.#measured = await this.store.used()
    this.#added -= added
  }

  /**
   * Counts a message with files of this size, unless it would exceed the limit. If it would, delivered and discarded
   * messages are deleted before the end of their time, because a new message matters more than the record of an old one.
   * @throws RedoxError REDOX_STORE_FULL
   */
  async count(fileBytes: number): Promise<void> {
    if (this.limit === Infinity) return
    const bytes = fileBytes + MESSAGE_BYTES
    if (bytes > this.limit) throw tooLarge(bytes, this.limit)
    if (!this.#fits(bytes)) await this.#searchRoom(bytes)
    if (!this.#fits(bytes)) {
      this.refused = Math.max(this.refused, bytes)
      throw limitReached(this.limit)
    }
    this.#forgetRefusal()
    this.#added += bytes
  }

  #forgetRefusal(): void {
    if (this.refused > this.limit || this.#fits(this.refused)) this.refused = 0
  }

  #fits(bytes: number, limit = this.limit): boolean {
    return this.#bytes !== undefined && this.#bytes + bytes <= limit
  }

  /** Searches room for one message at a time: two searches at once would delete more than is needed. */
  #searchRoom(bytes: number): Promise<void> {
    const search = this.#searching.then(() => this.#makeRoom(bytes))
    this.#searching = search.catch(() => undefined)
    return search
  }

  /**
   * Measures the store, and deletes ended messages until there is room for this message and for further ones, because
   * each search reads the sizes of all files. Of the messages that a person has to send again, no more are deleted than
   * this message needs.
   */
  async #makeRoom(bytes: number): Promise<void> {
    if (this.#fits(bytes) || performance.now() - this.#searchedAt < SEARCH_AGAIN_MS) return
    await this.#measure()
    if (this.#fits(bytes)) return
    for (const kind of EVICTION_ORDER)
      await this.#evict(kind, (kind === 'refused' ? 1 : NEARLY_FULL) * this.limit - bytes)
    if (!this.#fits(bytes)) this.#searchedAt = performance.now()
  }

  /**
   * Deletes messages of a kind, the oldest first, until the store holds at most `goal` bytes. Their sizes are not known:
   * the first batch is a single message, and each further batch is as large as the last one shows to be enough.
   */
  async #evict(kind: EvictionKind, goal: number): Promise<void> {
    for (let batch = 1; ;) {
      const before = this.#bytes ?? 0
      if (before <= goal) return
      const count = await this.store.evict(kind, batch, this.store.clock.now())
      if (count === 0) return
      this.#evicted[kind] += count
      await this.#measure()
      const after = this.#bytes ?? 0
      const needed = Math.ceil(((after - goal) * count) / Math.max(1, before - after))
      batch = Math.max(1, Math.min(needed, MOST_GROWTH * batch))
    }
  }
}

const limitReached = (limit: number): RedoxError =>
  new RedoxError(
    'REDOX_STORE_FULL',
    `Store is full: the message would exceed the ${formatSize(limit)} that the connection allows ("Store limit (GB)"). Deliver or ` +
      'discard what waits or is parked, or raise the limit. No accepted message is lost, and delivery continues.',
  )

const tooLarge = (bytes: number, limit: number): RedoxError =>
  new RedoxError(
    'REDOX_STORE_FULL',
    `Message is larger than the store: it needs ${formatSize(bytes)}, and the connection allows ${formatSize(limit)} for all messages ` +
      '("Store limit (GB)"). Raise the limit. No accepted message is lost, and delivery continues.',
  )
