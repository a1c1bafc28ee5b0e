import { createHash } from 'node:crypto'
import path from 'node:path'
import {
  Courier,
  type Delivering,
  type Depth,
  type Ended,
  type Listener as CourierListener,
} from '../../src/durable/courier'
import type { Contents, Parcel } from '../../src/durable/contents'
import { beginAnew, openStore, type Place } from '../../src/durable/open-store'
import type { DeliveryStore } from '../../src/durable/store'
import { RedoxError } from '../../src/errors'
import type { PaceKeeper } from '../../src/transport/retry'
import { timer } from './closing'

/** Who runs an outbox. */
export interface Listener extends CourierListener {
  /** id of the redox-config node */
  name: string
}

/**
 * The accepted messages of one connection. It outlives the nodes of a deploy: what is under way goes on, and the next
 * redox-config node of the same id takes over.
 */
export class Outbox {
  /** how many redox-config nodes have it: two for a moment in a deploy */
  #users = 0
  #delivering: Delivering | undefined
  /** that are being stored, and what their files hold in memory */
  readonly #accepting = new Set<Promise<string>>()
  #acceptingBytes = 0
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
      onOrphan: (...about) => this.#listener?.onOrphan(...about),
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

  /** Begins to deliver, or goes on over another connection. */
  use(delivering: Delivering): void {
    this.#delivering = delivering
    this.courier.use(delivering)
  }

  /**
   * @param before what has to be stored first
   * @throws RedoxError REDOX_STORE_… when it could not be stored, REDOX_QUEUE_FULL when too much waits for the disk:
   *   then nothing is sent
   */
  async accept(parcel: Parcel, before: Promise<unknown>): Promise<string> {
    const delivering = this.#delivering!
    const { waiting, waitingBytes } = delivering.client.settings.gate
    const bytes = heldBytes(parcel)
    if (this.#accepting.size >= waiting || this.#acceptingBytes + bytes > waitingBytes) throw tooMany()
    const inOrder = delivering.ordered ? before : Promise.resolve()
    const accepting = inOrder.then(() => this.courier.accept(parcel, delivering))
    this.#accepting.add(accepting)
    this.#acceptingBytes += bytes
    try {
      return await accepting
    } finally {
      this.#accepting.delete(accepting)
      this.#acceptingBytes -= bytes
    }
  }

  /**
   * Takes nothing more out of the store, unless another node has entered; closes it when what is under way has ended.
   * @param withinMs what has not ended by then is stopped: it is parked if it may have arrived, else it waits;
   *   undefined: nothing is
   */
  async leave(withinMs?: number): Promise<void> {
    if (--this.#users > 0) return
    this.courier.use(undefined)
    const idle = this.courier.idle().then(() => true)
    const isIdle = await (withinMs === undefined ? idle : Promise.race([idle, timer(withinMs, false)]))
    if (this.#users > 0) return
    if (!isIdle) this.courier.abort()
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

const heldBytes = ({ files }: Parcel): number =>
  files.reduce((sum, file) => sum + (file.kind === 'file' && file.inMemory ? file.size : 0), 0)

const tooMany = (): RedoxError =>
  new RedoxError(
    'REDOX_QUEUE_FULL',
    'The message was not accepted: the store cannot write as fast as messages come, and as many wait as the ' +
      'redox-config node allows. Send it again later, or send fewer at once.',
  )

const otherKey = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNREADABLE',
    'The store key of the redox-config node was changed while its store was sealed with the old one. Set the old key ' +
      'again; or, once nothing waits or is parked any more, begin a new store in the outbox: see docs/operations.md.',
  )

export { beginAnew }
export type { Depth, Ended, Place }
