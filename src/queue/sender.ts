import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { present } from '../shared/present'
import type { RedoxError } from '../errors'
import { DestinationRests } from './destination-rests'
import { asRedoxError } from './internal-error'
import type { Contents, Notes, Parcel } from './jobs'
import { Maintenance, type Depth } from './maintenance'
import { Notifier, type Ended } from './notifier'
import { pause, repeat } from './repeat'
import { mayGoOver, SendAttempt, type Delivering } from './send-attempt'
import type { DeliveryStore, MessageState, Settlement, StoredMessage } from './types'

export type { Delivering, Depth, Ended }

/** Listener for reports of the queue sender. */
export interface Listener {
  onDepth(depth: Depth): void
  /** called with a result whose node is gone; `code`: reason, if the message is parked */
  onOrphan(id: string, state: MessageState, code?: string): void
}

// Duration of a lease. Leases are renewed after a third of it, so they end only if the holder has ended or cannot reach
// the store.
const LEASE_MS = 30_000
const LOOK_EVERY_MS = 1000
const ACCEPT_TRIES = 3

/**
 * Queue sender: claims messages of a store and sends them, until each is delivered, or parked for a person to decide.
 */
export class Courier {
  readonly #holder = randomUUID()
  readonly #underWay = new Map<string, Promise<void>>()
  readonly #rests = new DestinationRests()
  readonly #stopping = new AbortController()
  #aborting = new AbortController()
  /** attempts in progress */
  readonly #attempts = new Set<SendAttempt>()
  /** true: attempts are aborted as soon as no part of a request can have arrived */
  #isHurried = false
  readonly #running: Promise<unknown>
  #delivering: Delivering | undefined
  #isWoken = false
  #parkings = 0
  #endWait = (): void => undefined
  /** error of the store, if it cannot be used */
  #trouble: RedoxError | undefined
  readonly #notifier: Notifier
  readonly #maintenance: Maintenance

  private readonly store: DeliveryStore

  constructor(
    readonly contents: Contents,
    private readonly listener: Listener,
    private readonly leaseMs = LEASE_MS,
  ) {
    this.store = contents.store
    this.#notifier = new Notifier(contents, { holder: this.#holder, leaseMs }, ({ id, state }) =>
      listener.onOrphan(id, state, 'REDOX_STORE_UNREADABLE'),
    )
    this.#maintenance = new Maintenance(this.store, {
      rests: this.#rests,
      onDepth: (depth) => listener.onDepth(depth),
      parkings: () => this.#parkings,
      storeError: () => this.#trouble,
      onStoreError: this.#onStoreError,
      keepFor: () => this.#delivering?.keepFor,
      announce: () => this.#notifier.announce(),
    })
    this.#running = Promise.all([
      this.#send(),
      this.#every(LOOK_EVERY_MS, () => this.#notifier.announce()),
      this.#every(LOOK_EVERY_MS, () => this.#maintenance.run()),
      this.#every(leaseMs / 3, () => this.#renew()),
    ])
  }

  readonly #onStoreError = (error: unknown): void => {
    this.#trouble = asRedoxError(error)
  }

  /**
   * Sets the options with which messages are sent from now on, also messages that wait already; `undefined`: no more
   * messages are claimed.
   */
  use(delivering: Delivering | undefined): void {
    this.#delivering = delivering
    if (this.#aborting.signal.aborted) this.#aborting = new AbortController()
    this.#isHurried &&= delivering === undefined
    // Each attempt in progress adds a listener.
    setMaxListeners(0, this.#aborting.signal)
    if (delivering) this.store.touch().catch(this.#onStoreError)
    // Another connection may succeed where the previous one failed.
    this.wake()
  }

  /** Ends the back-off of all destinations and claims at once, e.g. after a decision of a person. */
  wake(): void {
    this.#rests.clear()
    this.#wake()
  }

  /** Resolves when the attempts that are in progress now have ended. */
  async idle(): Promise<void> {
    await Promise.all(this.#underWay.values())
  }

  /** Aborts the attempts in progress: messages that may have arrived are parked, the others wait. */
  abort(): void {
    this.#aborting.abort(new DOMException('closed', 'AbortError'))
    this.#attempts.forEach((attempt) => attempt.abort())
  }

  /** Aborts each attempt as soon as no part of a request can have arrived. Its message waits. */
  hurry(): void {
    this.#isHurried = true
    this.#attempts.forEach((attempt) => attempt.hurry())
  }

  /** Claims no more messages, and resolves when the attempts in progress have ended. */
  async stop(): Promise<void> {
    this.use(undefined)
    this.#stopping.abort()
    await this.#running
    await this.idle()
    await this.#notifier.idle()
  }

  /**
   * Returns true if a message was accepted for another account than the one that this sender uses now, and no operator
   * has allowed the account in use. False while the sender has no options.
   * @throws RedoxError REDOX_STORE_UNREADABLE
   */
  async isForOtherAccount(stored: StoredMessage): Promise<boolean> {
    const { allowedAccount } = await this.contents.notesOf(stored)
    const content = await this.contents.contentOf(stored)
    return this.#delivering !== undefined && !mayGoOver(this.#delivering, content, allowedAccount)
  }

  /** Returns notes with which a message may be sent through the account that this sender uses now. */
  async allowingThisAccount(stored: StoredMessage): Promise<Buffer> {
    const { account } = present(this.#delivering, 'the account that is sent over')
    const notes: Notes = { ...(await this.contents.notesOf(stored)), allowedAccount: account }
    return this.contents.sealNotes(stored.id, notes)
  }

  // ---- Accepting --------------------------------------------------------------------------------------

  /**
   * Stores a job. After the promise has resolved, the job survives the end of this process.
   * @returns the id of the job
   * @throws RedoxError
   */
  async accept(parcel: Parcel, { ordered, retryFor }: Delivering): Promise<string> {
    const id = randomUUID()
    const now = this.store.clock.now()
    const store = async (): Promise<void> => {
      const content = await this.contents.keepAll(parcel)
      const terms = { id, ordered, acceptedAt: now, deadline: Math.ceil(now + retryFor) }
      await this.store.accept(await this.contents.sealed(content, terms))
    }
    for (let tries = 1; ; tries++) {
      try {
        await store()
        break
      } catch (error) {
        const { code } = asRedoxError(error)
        // Two errors are retried: a file that is shared with earlier messages was deleted together with them just now;
        // or the store was unreachable. If the store has accepted the job in spite of the error, the same id prevents a
        // second copy.
        const mayPass = code === 'REDOX_STORE_LOST' || code === 'REDOX_STORE_UNAVAILABLE'
        if (!mayPass || tries === ACCEPT_TRIES) throw error
        await sleep(code === 'REDOX_STORE_LOST' ? 0 : LOOK_EVERY_MS)
      }
    }
    this.#wake()
    return id
  }

  // ---- Sending ----------------------------------------------------------------------------------------

  async #send(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.#isWoken = false
      const wait = await this.#round().catch((error: unknown) => {
        this.#onStoreError(error)
        return LOOK_EVERY_MS
      })
      if (wait > 0 && !this.#isWoken) await this.#wait(wait)
    }
  }

  #wait(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds)
      this.#endWait = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** Ends the wait before the next claim, because there may be a message to send. */
  #wake(): void {
    this.#isWoken = true
    this.#endWait()
  }

  /**
   * Claims messages that can be sent, and starts their attempts.
   * @returns milliseconds until the next claim
   */
  async #round(): Promise<number> {
    const delivering = this.#delivering
    const width = delivering?.client.settings.gate.width ?? 0
    const limit = width - this.#underWay.size
    if (!delivering || limit <= 0) return LOOK_EVERY_MS
    const except = this.#rests.lanes()
    const claimed = await this.store.claim({ holder: this.#holder, leaseMs: this.leaseMs, limit, except })
    this.#trouble = undefined
    // If the store was unreachable for longer than the lease, the claim also returns messages that this process is
    // still sending.
    const fresh = claimed.filter(({ id }) => !this.#underWay.has(id))
    for (const stored of fresh) this.#begin(stored, delivering)
    if (fresh.length > 0) return 0
    const { clock } = this.store
    const due = await this.store.nextDue(clock.now(), except)
    // Times in the past are ignored: such a message waits for another one of its destination, whose end wakes this
    // loop, or for another process.
    const waits = [...this.#rests.waits(), (due ?? 0) - clock.now()].filter((wait) => wait > 0)
    return Math.min(...waits, LOOK_EVERY_MS)
  }

  /**
   * Returns the time at which messages to the destination are tried again, by the clock of the store; 0 if the
   * destination has no back-off.
   */
  restsUntil(lane: string): number {
    const left = this.#rests.waitOf(lane)
    return left > 0 ? Math.ceil(this.store.clock.now() + left) : 0
  }

  #begin(stored: StoredMessage, delivering: Delivering): void {
    const sending = this.#attempt(stored, delivering)
      .then((settlement) => this.#settle(stored, settlement))
      // If the settlement cannot be stored, another sender claims the message when the lease ends.
      .catch(this.#onStoreError)
      .finally(() => {
        this.#underWay.delete(stored.id)
        this.#wake()
      })
    this.#underWay.set(stored.id, sending)
  }

  async #settle(stored: StoredMessage, settlement: Settlement): Promise<void> {
    const { id, owner, lane } = stored
    if (settlement.state === 'delivered') this.#rests.gotThrough(lane)
    await this.#insist(() => this.store.settle(id, this.#holder, settlement, this.store.clock.now()))
    if (settlement.state === 'waiting') return
    if (settlement.state === 'parked') this.#parkings++
    if (this.#notifier.hasListener(owner)) await this.#notifier.announce()
    else
      this.listener.onOrphan(
        id,
        settlement.state,
        settlement.state === 'parked' ? settlement.reason : undefined,
      )
  }

  /**
   * Retries a write while the store is unreachable or full. Without the stored settlement it would be unknown later if
   * the message arrived.
   */
  async #insist(write: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await write()
      } catch (error) {
        const { code } = (this.#trouble = asRedoxError(error))
        const mayPass = code === 'REDOX_STORE_UNAVAILABLE' || code === 'REDOX_STORE_FULL'
        if (!mayPass || this.#aborting.signal.aborted) throw error
        await pause(LOOK_EVERY_MS, this.#aborting.signal)
      }
    }
  }

  async #attempt(stored: StoredMessage, delivering: Delivering): Promise<Settlement> {
    const rest = (lane: string, error: RedoxError): number => this.#rests.rest(lane, error)
    const attempt = new SendAttempt(this.contents, stored, { delivering, holder: this.#holder, rest })
    this.#attempts.add(attempt)
    if (this.#aborting.signal.aborted) attempt.abort()
    if (this.#isHurried) attempt.hurry()
    try {
      return await attempt.run()
    } finally {
      this.#attempts.delete(attempt)
    }
  }

  async #renew(): Promise<void> {
    if (this.#delivering) await this.store.touch()
    if (this.#underWay.size === 0) return
    await this.store.renew(this.#holder, [...this.#underWay.keys()], this.leaseMs)
  }

  /**
   * Subscribes a node to the results of its messages, from now on and since its last subscription. Returns a function
   * that unsubscribes.
   */
  attach(owner: string, listener: (ended: Ended) => Promise<void>): () => void {
    return this.#notifier.attach(owner, listener)
  }

  #every(every: number, task: () => Promise<void>): Promise<void> {
    const { signal } = this.#stopping
    return repeat(task, { every, longest: this.leaseMs / 3, signal, onError: this.#onStoreError })
  }
}
