import { createHash } from 'node:crypto'
import path from 'node:path'
import { present } from '../../../src/shared/present'
import {
  QueueSender,
  type SendOptions,
  type QueueStats,
  type JobResult,
  type SenderListener,
} from '../../../src/queue/sender'
import type { AcceptResult } from '../../../src/queue/duplicates'
import type { SealedStore, Job } from '../../../src/queue/jobs'
import type { FollowedLog } from '../../../src/platform/log-watch'
import { replaceStore, openStore } from '../../../src/queue/open-store'
import type { StoreLocation } from '../../../src/queue/store-location'
import type { DeliveryStore } from '../../../src/queue/types'
import { RedoxError } from '../../../src/errors'
import { Semaphore, type SlotRequest } from '../../../src/redox/semaphore'
import type { RateLimiter } from '../../../src/transport/rate-limiter'
import { HURRY_AFTER_MS, timer } from '../runtime/closing'

/**
 * Queued messages of one connection: the store, and the queue sender that delivers the messages. An outbox outlives the
 * nodes of a deploy: messages that are being sent continue, and the next redox-config node with the same id uses the
 * same outbox.
 */
export class Outbox {
  /** number of redox-config nodes that have the outbox open; can be two for a moment in a deploy */
  #users = 0
  #sendOptions: SendOptions | undefined
  /** promises of messages that are being stored, and of verdicts that are being recorded */
  readonly #writing = new Set<Promise<unknown>>()
  /** concurrency slots for preparing and storing messages */
  #intake: Semaphore | undefined
  #listener: SenderListener | undefined
  readonly store: DeliveryStore
  readonly sender: QueueSender

  private constructor(
    readonly sealedStore: SealedStore,
    private readonly place: string,
    private readonly keyHash: string,
  ) {
    this.store = sealedStore.store
    this.sender = new QueueSender(sealedStore, {
      onStats: (stats) => this.#listener?.onStats(stats),
      // While Node-RED stops, no nodes exist: results are emitted after the restart.
      onUnclaimed: (...about) => {
        if (this.#users > 0) this.#listener?.onUnclaimed(...about)
      },
    })
  }

  /**
   * Opens the outbox of a store location, or returns the outbox that is already open in this process.
   * @param key store key, which encrypts the messages
   * @throws RedoxError REDOX_STORE_…
   */
  static async acquire(place: StoreLocation, key: string, listener: SenderListener): Promise<Outbox> {
    const name = nameOf(place)
    await closing.get(name)
    const opening = open.get(name) ?? Outbox.#open(place, name, key)
    open.set(name, opening)
    const outbox = await opening.catch((error: unknown) => {
      open.delete(name)
      throw error
    })
    if (outbox.keyHash !== hashOf(key)) throw otherKey()
    outbox.#users++
    outbox.#listener = listener
    return outbox
  }

  static async #open(place: StoreLocation, name: string, key: string): Promise<Outbox> {
    return new Outbox(await openStore(place, key), name, hashOf(key))
  }

  rateLimiter(perFiveMinutes: number): RateLimiter {
    return this.store.rateLimiter(perFiveMinutes)
  }

  /** Milliseconds for which the connection retries a message; undefined before the connection sends. */
  get retryFor(): number | undefined {
    return this.#sendOptions?.retryFor
  }

  /** Starts to send, or continues to send with the settings of another connection. */
  setOptions(options: SendOptions): void {
    this.#sendOptions = options
    const { slots } = options.client.settings
    this.#intake ??= new Semaphore(slots)
    this.#intake.limits = slots
    this.sender.setOptions(options)
  }

  /**
   * Waits until a message may be prepared and stored. Until then, the message uses no more memory than when it arrived.
   * With ordered delivery, a message also waits until the previous one is stored.
   * @param entry `after`: resolves when the previous message is stored
   * @returns function that frees the slot
   * @throws RedoxError REDOX_QUEUE_FULL
   */
  admit(signal: AbortSignal, { after, ...entry }: SlotRequest): Promise<() => void> {
    return present(this.#intake, 'the intake').acquire(signal, {
      ...entry,
      ...(present(this.#sendOptions, 'the send options').order !== 'none' && { after }),
    })
  }

  /**
   * Stores a message in the queue, unless the connection does not send documents that are already in the outbox.
   * @throws RedoxError REDOX_STORE_… if the message could not be stored, REDOX_DUPLICATE; nothing is sent then
   */
  async accept(job: Job): Promise<AcceptResult> {
    return this.#write(this.sender.accept(job, present(this.#sendOptions, 'the send options')))
  }

  /**
   * Records at a delivered message what Redox's logs say of it.
   * @throws RedoxError REDOX_STORE_…
   */
  async recordVerdict(id: string, logs: readonly FollowedLog[]): Promise<void> {
    const { recordVerdict } = await import('../../../src/queue/verdict.js')
    if (await this.#write(recordVerdict(this.sealedStore, id, logs))) this.sender.countRefusedLater()
  }

  async #write<T>(writing: Promise<T>): Promise<T> {
    this.#writing.add(writing)
    try {
      return await writing
    } finally {
      this.#writing.delete(writing)
    }
  }

  /**
   * Closes the outbox for one redox-config node. If no other node has it open, stops sending, and closes the store when
   * the messages that are being sent have ended.
   * @param withinMs milliseconds after which remaining messages are stopped: a message that may have arrived at Redox
   * is parked, any other stays waiting. Messages without a request in progress are stopped earlier. undefined: no
   * message is stopped
   */
  async release(withinMs?: number): Promise<void> {
    if (--this.#users > 0) return
    this.sender.setOptions(undefined)
    const idle = this.sender.idle().then(() => true)
    if (withinMs !== undefined) {
      const isIdle = (ms: number): Promise<boolean> => Promise.race([idle, timer(ms, false)])
      if (!(await isIdle(HURRY_AFTER_MS)) && this.#users === 0) this.sender.stopUnsent()
      if (!(await isIdle(withinMs - HURRY_AFTER_MS)) && this.#users === 0) this.sender.abort()
    }
    if (this.#users > 0) return
    await this.sender.idle()
    await Promise.allSettled(this.#writing)
    if (this.#users > 0 || closing.has(this.place)) return
    open.delete(this.place)
    const closed = this.sender
      .stop()
      .then(() => this.store.close())
      .finally(() => closing.delete(this.place))
    closing.set(this.place, closed)
    await closed
  }
}

/**
 * Returns true if messages are waiting or parked for a destination, or it is paused. A pause of any other is refused:
 * that of a misspelled one would have no effect, and the user would not notice.
 */
export const isKnownDestination = async (store: DeliveryStore, destination: string): Promise<boolean> =>
  (await store.destinations()).some((known) => known.destination === destination)

/**
 * Runs a task on a store that no connection has open. A connection that wants to open the store meanwhile waits for the
 * end of the task.
 * @returns undefined if a connection has the store open
 */
export async function whileClosed<T>(place: StoreLocation, task: () => Promise<T>): Promise<T | undefined> {
  const name = nameOf(place)
  if (!(await isClosed(name))) return undefined
  const result = task()
  const ended = result.then(
    () => undefined,
    () => undefined,
  )
  closing.set(name, ended)
  void ended.then(() => closing.delete(name))
  return result
}

/** Waits until the store is neither being opened nor closed. An attempt to open it may fail, and leaves it closed. */
async function isClosed(name: string): Promise<boolean> {
  while (open.has(name) || closing.has(name)) {
    await closing.get(name)
    const isOpen = await open.get(name)?.then(
      () => true,
      () => false,
    )
    if (isOpen) return false
  }
  return true
}

/** Open outboxes of this process, by the name of their store location. */
const open = new Map<string, Promise<Outbox>>()
const closing = new Map<string, Promise<void>>()

const nameOf = (place: StoreLocation): string =>
  place.kind === 'embedded' ? path.resolve(place.folder) : `${place.url} ${place.schema} ${place.queue}`

const hashOf = (key: string): string => createHash('sha256').update(key).digest('hex')

const otherKey = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNREADABLE',
    'Store key was changed, but the store is encrypted with the old one. Set the old key again. When no message is ' +
      'waiting or parked, you can begin a new store in the outbox instead: see docs/operations.md.',
  )

export { replaceStore }
export type { QueueStats, JobResult, StoreLocation }
