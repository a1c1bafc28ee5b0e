import type { Node, NodeAPI, NodeStatus } from 'node-red'
import { RedoxError, type RedoxErrorCode } from '../../../src/errors'
import type { StoreWarning } from '../../../src/shared/values'
import type { DestinationState, MessageState } from '../../../src/queue/types'
import type { Connection, ConnectionBacklog, RedoxConfigNode, Subscriber } from './connection'
import type { PlatformAccess } from './platform-access'
import type { ConnectionReport, OutboxState } from './connection-report'
import type { DurableSettings } from './durable-settings'
import type { QueueStats, Outbox, StoreLocation } from '../queue/outbox'
import { OutboxEvents, type ToldCounts } from './outbox-events'
import { fillingOf, outboxStatus } from './outbox-status'

const OPEN_AGAIN_MS = 5000

const deployed = new Map<string, DurableConnection>()
/** Durable connections of this process, by the ids of their redox-config nodes. */
export const durableConnections: ReadonlyMap<string, DurableConnection> = deployed

/**
 * Counts that a connection had told of when it was last closed, size of the largest message that had found no room in its
 * store, and its store location, by the id of the redox-config node.
 */
const toldAtClose = new Map<string, { place: string; told: ToldCounts; refused: number }>()

/** Durable delivery of a redox-config node: opens the outbox, shows the status, announces results to the send nodes. */
export class DurableConnection {
  #outbox: Outbox | undefined
  #lateAfter = Infinity
  #isClosed = false
  #status: NodeStatus = {}
  #durability: Pick<DurableSettings, 'place' | 'key'> | undefined
  #environment = ''
  #platform: PlatformAccess | undefined
  #code: RedoxErrorCode | undefined
  #loggedCode = ''
  #retryTimer: NodeJS.Timeout | undefined
  #opened: Promise<void> = Promise.resolve()
  readonly #events: OutboxEvents
  readonly #subscribers = new Map<string, Subscriber>()
  readonly #unsubscribe = new Map<string, () => void>()
  readonly #watchers = new Set<(report: ConnectionReport) => void>()
  /** true from `flows:started` on: results are announced only then, because messages emitted earlier are lost */
  #areFlowsStarted = false

  constructor(
    private readonly RED: NodeAPI,
    private readonly node: RedoxConfigNode,
    private readonly connection: () => Promise<Connection>,
  ) {
    this.#events = new OutboxEvents(RED, node.id)
  }

  /** Name of the redox-config node; empty if it has none. */
  get name(): string {
    return this.node.name ?? ''
  }

  /** Outbox of the connection; undefined while the store is not open. */
  get outbox(): Outbox | undefined {
    return this.#outbox
  }

  /** Access to Redox's logs; undefined before the connection sends. */
  get platform(): PlatformAccess | undefined {
    return this.#platform
  }

  /** Location of the connection's store; undefined while the location is unknown. */
  get place(): StoreLocation | undefined {
    return this.#durability?.place
  }

  /** Store key, which encrypts the messages; undefined while the key is unknown. */
  get storeKey(): string | undefined {
    return this.#durability?.key
  }

  /** Resolves after the first attempt to open the store. */
  get opened(): Promise<void> {
    return this.#opened
  }

  /** Code of the error that makes the store unusable; undefined if there is none. */
  get code(): RedoxErrorCode | undefined {
    return this.#code
  }

  /** Opens the outbox when the flows have started, so that messages that wait since the last run are sent. */
  start(): void {
    deployed.set(this.node.id, this)
    this.RED.events.once('flows:started', this.#onStarted)
  }

  /** Forgets what was told before the deploy: the connection now delivers directly, so its store is not watched. */
  forgetTold(): void {
    toldAtClose.delete(this.node.id)
  }

  /**
   * Restores what was told before a deploy: events are emitted only about further messages, and a full store does not
   * count as one with room until it is measured again.
   */
  #restoreTold({ sender }: Outbox, storeLimit: number): void {
    const known = toldAtClose.get(this.node.id)
    toldAtClose.delete(this.node.id)
    if (known?.place !== this.#place) return
    this.#events.restore(known.told)
    sender.restoreUsage({ limit: storeLimit, refused: known.refused })
  }

  readonly #onStarted = (): void => {
    this.#areFlowsStarted = true
    this.#opened = this.#open()
  }

  async #open(): Promise<void> {
    clearTimeout(this.#retryTimer)
    try {
      await this.connection()
      this.#loggedCode = ''
      for (const [owner, listener] of this.#subscribers) this.#attach(owner, listener)
    } catch (error) {
      if (this.#isClosed) return
      const code = error instanceof RedoxError ? error.code : 'REDOX_INTERNAL'
      const state = {
        waiting: 0,
        parked: 0,
        refusedLater: 0,
        oldestSeconds: 0,
        isLate: false,
        isNearlyFull: false,
        isFull: false,
        stopped: [],
        code,
      }
      this.#showStatus(state)
      this.#report({ state, destinations: [], late: [], failing: new Map() })
      this.#notifySubscribers([], new Map(), code)
      this.#logOnce(code, error instanceof RedoxError ? error.message : '')
      this.#retryTimer = setTimeout(() => void this.#open(), OPEN_AGAIN_MS).unref()
    }
  }

  get #place(): string {
    return JSON.stringify(this.#durability?.place)
  }

  /**
   * Replaces an unreadable store with a new, empty store, and opens the new store.
   * @returns new name of the old store's folder; undefined if there was no folder
   * @throws RedoxError REDOX_STORE_LOST if there is no store to replace
   */
  async replaceStore(by: { who: string; reason: string }): Promise<string | undefined> {
    if (this.#outbox || !this.#durability) throw inUse()
    const { replaceStore, whileClosed } = await import('../queue/outbox.js')
    const { place, key } = this.#durability
    try {
      // Arriving messages and the timer try to open the store, also at this moment.
      const replaced = await whileClosed(place, async () => ({
        setAside: await replaceStore(place, key, by),
      }))
      if (replaced === undefined) throw inUse()
      const { setAside } = replaced
      this.#code = undefined
      this.RED.log.warn(
        `redox-config ${this.node.id}: ${by.who} began a new store.` +
          (setAside === undefined ? '' : ` The old store was renamed to ${setAside}.`),
      )
      return setAside
    } finally {
      await this.#open()
    }
  }

  /**
   * Opens the store of the connection.
   * @throws RedoxError REDOX_STORE_…
   */
  async openOutbox({ place, key, lateAfter, storeLimit }: DurableSettings): Promise<Outbox> {
    const { Outbox } = await import('../queue/outbox.js')
    this.#lateAfter = lateAfter
    this.#durability = { place, key }
    const outbox = (this.#outbox ??= await Outbox.acquire(place, key, {
      onStats: (stats) => this.#onStats(stats),
      onUnclaimed: (id, state, code) => this.#onUnclaimed(id, state, code),
    }))
    this.#restoreTold(outbox, storeLimit)
    if (!this.#isClosed) {
      for (const warning of outbox.store.warnings)
        this.RED.log.warn(`redox-config ${this.node.id}: ${WARNINGS[warning]}`)
      return outbox
    }
    await this.close()
    throw new RedoxError(
      'REDOX_ABORTED',
      'Stopped before sending: the connection was closed before its store was open. Nothing was sent.',
    )
  }

  startSending(
    { client, environment, account, platform }: Connection,
    { order, duplicates, retryFor, keepFor, storeLimit }: DurableSettings,
  ): void {
    this.#environment = environment
    this.#platform = platform
    if (!this.#isClosed)
      this.#outbox?.setOptions({
        client,
        environment,
        account,
        order,
        duplicates,
        retryFor,
        keepFor,
        storeLimit,
      })
  }

  subscribe(user: Node, listener: Subscriber): () => void {
    const { id } = user
    this.#subscribers.set(id, listener)
    this.node.users[id] = user
    this.#attach(id, listener)
    return () => {
      if (this.#subscribers.get(id) === listener) this.#subscribers.delete(id)
      if (this.node.users[id] === user) delete this.node.users[id]
      this.#unsubscribe.get(id)?.()
    }
  }

  /** Calls a listener with each report. Returns a function that ends this. */
  watch(listener: (report: ConnectionReport) => void): () => void {
    this.#watchers.add(listener)
    return () => this.#watchers.delete(listener)
  }

  #attach(owner: string, { onEnded }: Subscriber): void {
    if (this.#areFlowsStarted && this.#outbox)
      this.#unsubscribe.set(owner, this.#outbox.sender.attach(owner, onEnded))
  }

  /**
   * Closes the outbox of the connection.
   * @param withinMs milliseconds after which messages that are still being sent are stopped; undefined: they continue
   * @param isRemoved true if the redox-config node was removed: no redeployed node sends the waiting messages
   */
  async close(withinMs?: number, isRemoved = false): Promise<void> {
    this.#isClosed = true
    // The redeployed node with the same id may already be registered.
    if (deployed.get(this.node.id) === this) deployed.delete(this.node.id)
    this.RED.events.off('flows:started', this.#onStarted)
    clearTimeout(this.#retryTimer)
    this.#unsubscribe.forEach((stop) => stop())
    const outbox = this.#outbox
    this.#outbox = undefined
    if (outbox && !isRemoved) {
      const { refused } = outbox.sender.usage
      toldAtClose.set(this.node.id, { place: this.#place, told: this.#events.told, refused })
    }
    await outbox?.release(withinMs)
  }

  // ---- Status, log and events --------------------------------------------------------------------------------

  #onStats(stats: QueueStats): void {
    if (this.#isClosed) return
    const { counts, refusedLater, destinations, sinceStart, failing, age, storeError, usage } = stats
    const state: OutboxState = {
      waiting: counts.waiting + counts.sending,
      parked: counts.parked,
      refusedLater,
      oldestSeconds: Math.floor(age / 1000),
      isLate: age > this.#lateAfter,
      ...fillingOf(usage, this.#events.isNearlyFull),
      stopped: destinations
        .filter(({ paused, blockedBy }) => paused || blockedBy)
        .map(({ destination }) => destination),
      ...(storeError && { code: storeError.code }),
    }
    this.#showStatus(state)
    this.#notifySubscribers(destinations, failing, storeError?.code)
    const { parked: parkedSinceStart } = sinceStart
    this.#report({ state, destinations, late: this.#lateDestinations(stats), failing, parkedSinceStart })
    if (storeError) this.#logOnce(storeError.code, storeError.message)
    else this.#loggedCode = ''
    this.#events.tell(state, stats)
  }

  /**
   * Reports the backlog to all send nodes of the connection: a node is also blocked by messages that another node sent
   * to the same destination.
   */
  #notifySubscribers(
    destinations: DestinationState[],
    failing: ConnectionBacklog['failing'],
    code?: RedoxErrorCode,
  ): void {
    const environment = this.#environment
    const backlog = { environment, destinations, failing, ...(code !== undefined && { code }) }
    for (const { onBacklog } of this.#subscribers.values()) onBacklog(backlog)
  }

  #report(report: Omit<ConnectionReport, 'name' | 'status' | 'store'>): void {
    const store = this.#outbox?.store
    const about = { name: this.name, status: this.#status, ...(store && { store }) }
    for (const listener of this.#watchers) listener({ ...about, ...report })
  }

  #lateDestinations({ destinations, age }: QueueStats): string[] {
    const times = destinations.flatMap(({ oldest }) => oldest ?? [])
    const lateBefore = Math.min(...times) + age - this.#lateAfter
    return destinations.flatMap(({ destination, oldest = Infinity }) =>
      oldest < lateBefore ? [destination] : [],
    )
  }

  #showStatus(outbox: OutboxState): void {
    this.#code = outbox.code
    const status = outboxStatus(this.RED, outbox)
    if (JSON.stringify(status) === JSON.stringify(this.#status)) return
    this.#status = status
    this.node.status({ ...status, outbox } as NodeStatus)
  }

  /**
   * Logs an error only if its code differs from the code that was logged last. Reset when the store can be used again.
   */
  #logOnce(code: string, message: string): void {
    if (this.#loggedCode === code) return
    this.#loggedCode = code
    this.RED.log.error(`redox-config ${this.node.id}: ${code}: ${message}`)
  }

  #onUnclaimed(id: string, state: MessageState, code?: string): void {
    this.RED.log.warn(
      `redox-config ${this.node.id}: the accepted message ${id} is ${state}${code ? ` (${code})` : ''}. ` +
        'Its node was removed: nothing was emitted.',
    )
  }
}

/** Texts of the log about the server of a database store, with what each setting costs. */
const WARNINGS: Readonly<Record<StoreWarning, string>> = {
  commitOff:
    'PostgreSQL has synchronous_commit=off. The store turns it on in its own transactions, so a crash loses no accepted ' +
    'message; each call to the database takes three round trips instead of one. See "What can be lost" in ' +
    'docs/operations.md.',
  asynchronous:
    'PostgreSQL has asynchronous replicas. If one is promoted, messages that were accepted last can be missing, and ' +
    'messages that were delivered last can be sent again. Set synchronous_standby_names: see "What can be lost" in ' +
    'docs/operations.md.',
  fsyncOff:
    'PostgreSQL has fsync=off: a crash of its machine loses accepted messages, and can damage the database. Turn it on: ' +
    'see "What can be lost" in docs/operations.md.',
}

const inUse = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_LOST',
    'Store is open: no new store was created. A new store can replace only a store that cannot be opened.',
  )
