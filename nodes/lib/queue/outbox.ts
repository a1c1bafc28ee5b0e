import { createHash } from 'node:crypto'
import path from 'node:path'
import { Courier, type Delivering, type Depth, type Ended, type Listener } from '../../../src/queue/sender'
import type { Contents, Parcel } from '../../../src/queue/jobs'
import { beginAnew, openStore } from '../../../src/queue/open-store'
import type { Place } from '../../../src/queue/location'
import type { DeliveryStore } from '../../../src/queue/types'
import { RedoxError } from '../../../src/errors'
import { Gate, type Entry } from '../../../src/redox/semaphore'
import type { PaceKeeper } from '../../../src/transport/retry'
import { HURRY_AFTER_MS, timer } from '../runtime/closing'

/**
 * The accepted messages of one connection. It outlives the nodes of a deploy: what is under way goes on, and the next
 * redox-config node of the same id takes over.
 */
export class Outbox {
  /** how many redox-config nodes have it: two for a moment in a deploy */
  #users = 0
  #delivering: Delivering | undefined
  /** that are being stored */
  readonly #accepting = new Set<Promise<string>>()
  /** messages at once that are prepared and stored */
  #intake: Gate | undefined
  #listener: Listener | undefined
  readonly store: DeliveryStore
  readonly courier: Courier

  private constructor(
    readonly contents: Contents,
    private readonly place: string,
    private readonly keyHash: string,
  ) {
    this.store = contents.store
    this.courier = new Courier(contents, {
      onDepth: (depth) => this.#listener?.onDepth(depth),
      // While Node-RED ends no node is there, and what ends is emitted after the restart.
      onOrphan: (...about) => {
        if (this.#users > 0) this.#listener?.onOrphan(...about)
      },
    })
  }

  /**
   * @param key seals what is stored
   * @throws RedoxError REDOX_STORE_…
   */
  static async enter(place: Place, key: string, listener: Listener): Promise<Outbox> {
    const name = nameOf(place)
    await leaving.get(name)
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

  static async #open(place: Place, name: string, key: string): Promise<Outbox> {
    return new Outbox(await openStore(place, key), name, hashOf(key))
  }

  pace(perFiveMinutes: number): PaceKeeper {
    return this.store.pace(perFiveMinutes)
  }

  /** Milliseconds for which the connection has a message tried again; undefined while nothing delivers. */
  get retryFor(): number | undefined {
    return this.#delivering?.retryFor
  }

  /** Begins to deliver, or goes on over another connection. */
  use(delivering: Delivering): void {
    this.#delivering = delivering
    const { gate } = delivering.client.settings
    this.#intake ??= new Gate(gate)
    this.#intake.limits = gate
    this.courier.use(delivering)
  }

  /**
   * Waits until a message may be prepared and stored: the others hold nothing but what they came with. Where messages
   * have an order, each waits for the one before it.
   * @param entry `after`: what came before it
   * @returns what gives the place back
   * @throws RedoxError REDOX_QUEUE_FULL
   */
  admit(signal: AbortSignal, { after, ...entry }: Entry): Promise<() => void> {
    return this.#intake!.enter(signal, { ...entry, ...(this.#delivering!.ordered && { after }) })
  }

  /** @throws RedoxError REDOX_STORE_… when it could not be stored: then nothing is sent */
  async accept(parcel: Parcel): Promise<string> {
    const accepting = this.courier.accept(parcel, this.#delivering!)
    this.#accepting.add(accepting)
    try {
      return await accepting
    } finally {
      this.#accepting.delete(accepting)
    }
  }

  /**
   * Takes nothing more out of the store, unless another node has entered; closes it when what is under way has ended.
   * @param withinMs what has not ended by then is stopped: it is parked if it may have arrived, else it waits. What is
   *   not on its way to Redox is stopped before. undefined: nothing is
   */
  async leave(withinMs?: number): Promise<void> {
    if (--this.#users > 0) return
    this.courier.use(undefined)
    const idle = this.courier.idle().then(() => true)
    if (withinMs !== undefined) {
      const isIdle = (ms: number): Promise<boolean> => Promise.race([idle, timer(ms, false)])
      if (!(await isIdle(HURRY_AFTER_MS)) && this.#users === 0) this.courier.hurry()
      if (!(await isIdle(withinMs - HURRY_AFTER_MS)) && this.#users === 0) this.courier.abort()
    }
    if (this.#users > 0) return
    await this.courier.idle()
    await Promise.allSettled(this.#accepting)
    if (this.#users > 0 || leaving.has(this.place)) return
    open.delete(this.place)
    const closed = this.courier
      .stop()
      .then(() => this.store.close())
      .finally(() => leaving.delete(this.place))
    leaving.set(this.place, closed)
    await closed
  }
}

/**
 * Does something with a store that no connection has open. A connection that wants it meanwhile waits.
 * @returns undefined when a connection has it open
 */
export async function apart<T>(place: Place, task: () => Promise<T>): Promise<T | undefined> {
  const name = nameOf(place)
  await leaving.get(name)
  if (open.has(name) || leaving.has(name)) return undefined
  const result = task()
  const ended = result.then(
    () => undefined,
    () => undefined,
  )
  leaving.set(name, ended)
  void ended.then(() => leaving.delete(name))
  return result
}

/** All that this process has open, for the Outbox in the editor. */
const open = new Map<string, Promise<Outbox>>()
const leaving = new Map<string, Promise<void>>()

const nameOf = (place: Place): string =>
  place.kind === 'embedded' ? path.resolve(place.folder) : `${place.url} ${place.queue}`

const hashOf = (key: string): string => createHash('sha256').update(key).digest('hex')

const otherKey = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNREADABLE',
    'Store key was changed, but the store is encrypted with the old one. Set the old key again. When no message is ' +
      'waiting or parked, you can begin a new store in the outbox instead: see docs/operations.md.',
  )

export { beginAnew }
export type { Depth, Ended, Place }
