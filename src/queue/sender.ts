import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { present } from '../shared/present'
import type { RedoxError } from '../errors'
import { DestinationBackoff } from './destination-backoff'
import { asRedoxError } from './as-redox-error'
import { answerFrom, type AcceptResult } from './duplicates'
import type { SealedStore, AttemptRecord, Job } from './jobs'
import { Maintenance, type QueueStats } from './maintenance'
import { Notifier, type JobResult } from './notifier'
import { pause, runPeriodically } from './periodic-task'
import { maySendThrough, SendAttempt, type SendOptions } from './send-attempt'
import { StoreUsage, type UsageFigures } from './store-usage'
import type { AuditContext } from './audit'
import type { DeliveryStore, MessageState, Settlement, StoredMessage } from './types'

export type { JobResult, QueueStats, SendOptions }

/** Callbacks for reports of the queue sender. */
export interface SenderListener {
  onStats(stats: QueueStats): void
  /**
   * called for a result that cannot be emitted because its node was removed; `code`: reason, if the message is parked
   */
  onUnclaimed(id: string, state: MessageState, code?: string): void
}

// Duration of a lease. Leases are renewed after a third of it, so a lease ends only if its holder has exited or cannot
// reach the store.
const LEASE_MS = 30_000
const POLL_INTERVAL_MS = 1000
const ACCEPT_TRIES = 3

/**
 * Queue sender: claims messages of a store and sends them, until each is delivered, or parked for a person to decide.
 */
export class QueueSender {
  readonly #holder = randomUUID()
  readonly #inFlight = new Map<string, Promise<void>>()
  readonly #backoff = new DestinationBackoff()
  readonly #stopping = new AbortController()
  #aborting = new AbortController()
  /** attempts in progress */
  readonly #attempts = new Set<SendAttempt>()
  /** true: each attempt is aborted at the next moment at which no part of a request can have arrived */
  #isStoppingUnsent = false
  readonly #running: Promise<unknown>
  #sendOptions: SendOptions | undefined
  #isWoken = false
  readonly #sinceStart = { parked: 0, refusedLater: 0 }
  #endWait = (): void => undefined
  /** error of the store, if it cannot be used */
  #storeError: RedoxError | undefined
  readonly #notifier: Notifier
  readonly #maintenance: Maintenance
  readonly #usage: StoreUsage

  readonly #store: DeliveryStore

  constructor(
    readonly sealedStore: SealedStore,
    private readonly listener: SenderListener,
    private readonly leaseMs = LEASE_MS,
  ) {
    this.#store = sealedStore.store
    this.#notifier = new Notifier(sealedStore, { holder: this.#holder, leaseMs }, ({ id, state }) =>
      listener.onUnclaimed(id, state, 'REDOX_STORE_UNREADABLE'),
    )
    this.#usage = new StoreUsage(this.#store)
    this.#maintenance = new Maintenance(this.#store, {
      backoff: this.#backoff,
      usage: this.#usage,
      onStats: (stats) => listener.onStats(stats),
      sinceStart: () => this.#sinceStart,
      storeError: () => this.#storeError,
      onStoreError: this.#onStoreError,
      keepFor: () => this.#sendOptions?.keepFor,
      announce: () => this.#notifier.announce(),
    })
    this.#running = Promise.all([
      this.#send(),
      this.#every(POLL_INTERVAL_MS, () => this.#notifier.announce()),
      this.#every(POLL_INTERVAL_MS, () => this.#maintenance.run()),
      this.#every(leaseMs / 3, () => this.#renew()),
    ])
  }

  readonly #onStoreError = (error: unknown): void => {
    this.#storeError = asRedoxError(error)
  }

  /**
   * Sets the options for sending messages from now on, also for messages that are already waiting; `undefined`: no more
   * messages are claimed.
   */
  setOptions(sendOptions: SendOptions | undefined): void {
    this.#sendOptions = sendOptions
    if (sendOptions) this.#usage.limit = sendOptions.storeLimit ?? Infinity
    if (this.#aborting.signal.aborted) this.#aborting = new AbortController()
    this.#isStoppingUnsent &&= sendOptions === undefined
    // Each attempt in progress adds an event listener to the signal, so Node.js must not warn about their number.
    setMaxListeners(0, this.#aborting.signal)
    if (sendOptions) this.#store.touch().catch(this.#onStoreError)
    // The new options may succeed where the previous ones failed.
    this.retryNow()
  }

  /** Counts a delivered message of which Redox's logs say for the first time that a destination refused it. */
  countRefusedLater(): void {
    this.#sinceStart.refusedLater++
  }

  get usage(): UsageFigures {
    return this.#usage.figures
  }

  /** Restores what the sender of the same store knew before a deploy closed it, and the limit that it is judged by. */
  restoreUsage({ limit, refused }: Pick<UsageFigures, 'limit' | 'refused'>): void {
    this.#usage.limit = limit
    this.#usage.refused = Math.max(this.#usage.refused, refused)
  }

  /**
   * Ends the back-off and claims at once, e.g. after a decision of a person.
   * @param destination undefined: of all destinations
   */
  retryNow(destination?: string): void {
    this.#backoff.clear(destination)
    this.#wake()
  }

  /**
   * Tries the waiting messages now: ends the back-off, and makes messages due that would be due later.
   * @param destination undefined: of all destinations
   * @returns number of messages that would have been due later
   */
  async tryNow(destination: string | undefined, by: Omit<AuditContext, 'now'>): Promise<number> {
    const now = this.#store.clock.now()
    const count = await this.#store.tryNow(destination, { ...by, now })
    this.retryNow(destination)
    return count
  }

  /** Resolves when the attempts that are in progress now have ended. */
  async idle(): Promise<void> {
    await Promise.all(this.#inFlight.values())
  }

  /** Aborts the attempts in progress: messages that may have arrived are parked, the others wait. */
  abort(): void {
    this.#aborting.abort(new DOMException('closed', 'AbortError'))
    this.#attempts.forEach((attempt) => attempt.abort())
  }

  /**
   * Aborts each attempt at the next moment at which no part of a request can have arrived. The messages of these
   * attempts wait.
   */
  stopUnsent(): void {
    this.#isStoppingUnsent = true
    this.#attempts.forEach((attempt) => attempt.stopUnsent())
  }

  /** Claims no more messages, and resolves when the attempts in progress have ended. */
  async stop(): Promise<void> {
    this.setOptions(undefined)
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
    const { allowedAccount } = await this.sealedStore.recordOf(stored)
    const content = await this.sealedStore.contentOf(stored)
    return this.#sendOptions !== undefined && !maySendThrough(this.#sendOptions, content, allowedAccount)
  }

  /**
   * Returns the attempt record, encrypted, with the permission to send the message through this sender's present
   * account.
   */
  async allowingThisAccount(stored: StoredMessage): Promise<Buffer> {
    const { account } = present(this.#sendOptions, 'the account that is sent over')
    const notes: AttemptRecord = { ...(await this.sealedStore.recordOf(stored)), allowedAccount: account }
    return this.sealedStore.sealRecord(stored.id, notes)
  }

  // ---- Accepting --------------------------------------------------------------------------------------

  /**
   * Stores a job. After the promise has resolved, the job survives the end of this process.
   * @throws RedoxError, also REDOX_DUPLICATE
   */
  async accept(job: Job, { order, duplicates, retryFor, keepFor }: SendOptions): Promise<AcceptResult> {
    await this.#usage.count(bytesOf(job))
    const id = randomUUID()
    const now = this.#store.clock.now()
    const store = async (): Promise<AcceptResult> => {
      const content = await this.sealedStore.storeFiles(job)
      const terms = { id, order, acceptedAt: now, deadline: Math.ceil(now + retryFor) }
      const tag = this.sealedStore.documentTag(content)
      const acceptsEqual = duplicates === 'warn'
      const check =
        tag === undefined ? undefined : { tag, deliveredSince: Math.floor(now - keepFor), acceptsEqual }
      const equal = await this.#store.accept(await this.sealedStore.sealMessage(content, terms), check)
      if (equal && !acceptsEqual) return answerFrom(this.sealedStore, equal, duplicates)
      return { id, ...(equal && { equal }) }
    }
    for (let tries = 1; ; tries++) {
      try {
        const accepted = await store()
        this.#wake()
        return accepted
      } catch (error) {
        const { code } = asRedoxError(error)
        // Two errors are retried: the store was unreachable; or a file that this job shares with older messages was
        // deleted together with them at this moment. If the store has accepted the job in spite of the error, the same
        // id prevents a second copy.
        const mayPass = code === 'REDOX_STORE_LOST' || code === 'REDOX_STORE_UNAVAILABLE'
        if (!mayPass || tries === ACCEPT_TRIES) throw error
        await sleep(code === 'REDOX_STORE_LOST' ? 0 : POLL_INTERVAL_MS)
      }
    }
  }

  // ---- Sending ----------------------------------------------------------------------------------------

  async #send(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.#isWoken = false
      const wait = await this.#claimAndSend().catch((error: unknown) => {
        this.#onStoreError(error)
        return POLL_INTERVAL_MS
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
  async #claimAndSend(): Promise<number> {
    const sendOptions = this.#sendOptions
    const width = sendOptions?.client.settings.slots.concurrency ?? 0
    if (!sendOptions || this.#inFlight.size > width) return POLL_INTERVAL_MS
    // As many messages as there are slots are claimed ahead, and wait for a slot. Otherwise each message that ends would
    // cause a claim of one message, and a claim costs more than a message (ADR 15).
    const limit = 2 * width - this.#inFlight.size
    const except = this.#backoff.destinations()
    const claimed = await this.#store.claim({ holder: this.#holder, leaseMs: this.leaseMs, limit, except })
    this.#storeError = undefined
    // If the store was unreachable for longer than the lease, the claim also returns messages that this process is
    // still sending.
    const fresh = claimed.filter(({ id }) => !this.#inFlight.has(id))
    for (const stored of fresh) this.#begin(stored, sendOptions)
    if (fresh.length > 0) return 0
    const { clock } = this.#store
    const due = await this.#store.nextDue(clock.now(), except)
    // Times in the past are ignored: such a message waits for another message of its destination, and the end of that
    // message's attempt wakes this loop; or the message waits for another process.
    const waits = [...this.#backoff.waits(), (due ?? 0) - clock.now()].filter((wait) => wait > 0)
    return Math.min(...waits, POLL_INTERVAL_MS)
  }

  /**
   * Returns the time, by the clock of the store, until which messages to the destination are not tried again; 0 if the
   * destination has no back-off.
   */
  backsOffUntil(destination: string): number {
    const left = this.#backoff.waitOf(destination)
    return left > 0 ? Math.ceil(this.#store.clock.now() + left) : 0
  }

  #begin(stored: StoredMessage, sendOptions: SendOptions): void {
    const sending = this.#attempt(stored, sendOptions)
      .then((settlement) => this.#settle(stored, settlement))
      // If the settlement cannot be stored, another sender claims the message when the lease ends.
      .catch(this.#onStoreError)
      .finally(() => {
        this.#inFlight.delete(stored.id)
        this.#wake()
      })
    this.#inFlight.set(stored.id, sending)
  }

  async #settle(stored: StoredMessage, settlement: Settlement): Promise<void> {
    const { id, owner, destination } = stored
    if (settlement.state === 'delivered') this.#backoff.reset(destination)
    await this.#retryWrite(() => this.#store.settle(id, this.#holder, settlement, this.#store.clock.now()))
    if (settlement.state === 'waiting') return
    if (settlement.state === 'parked') this.#sinceStart.parked++
    if (this.#notifier.hasListener(owner)) await this.#notifier.announce()
    else
      this.listener.onUnclaimed(
        id,
        settlement.state,
        settlement.state === 'parked' ? settlement.reason : undefined,
      )
  }

  /**
   * Retries a write while the store is unreachable or full. If the settlement were not stored, it would be unknown
   * later whether the message had arrived.
   */
  async #retryWrite(write: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await write()
      } catch (error) {
        const { code } = (this.#storeError = asRedoxError(error))
        const mayPass = code === 'REDOX_STORE_UNAVAILABLE' || code === 'REDOX_STORE_FULL'
        if (!mayPass || this.#aborting.signal.aborted) throw error
        await pause(POLL_INTERVAL_MS, this.#aborting.signal)
      }
    }
  }

  async #attempt(stored: StoredMessage, sendOptions: SendOptions): Promise<Settlement> {
    const backOff = (destination: string, error: RedoxError): number =>
      this.#backoff.recordFailure(destination, error)
    const attempt = new SendAttempt(this.sealedStore, stored, { sendOptions, holder: this.#holder, backOff })
    this.#attempts.add(attempt)
    if (this.#aborting.signal.aborted) attempt.abort()
    if (this.#isStoppingUnsent) attempt.stopUnsent()
    try {
      return await attempt.run()
    } finally {
      this.#attempts.delete(attempt)
    }
  }

  async #renew(): Promise<void> {
    if (this.#sendOptions) await this.#store.touch()
    if (this.#inFlight.size === 0) return
    await this.#store.renew(this.#holder, [...this.#inFlight.keys()], this.leaseMs)
  }

  /**
   * Subscribes a node to the results of its messages, from now on and since its last subscription. Returns a function
   * that unsubscribes.
   */
  attach(owner: string, listener: (ended: JobResult) => Promise<void>): () => void {
    return this.#notifier.attach(owner, listener)
  }

  #every(every: number, task: () => Promise<void>): Promise<void> {
    const { signal } = this.#stopping
    return runPeriodically(task, { every, longest: this.leaseMs / 3, signal, onError: this.#onStoreError })
  }
}

const bytesOf = ({ message }: Job): number =>
  message.attachments.reduce((sum, { file }) => sum + (file.kind === 'file' ? file.size : 0), 0)
