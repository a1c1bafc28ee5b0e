import type { Node, NodeAPI, NodeStatus } from 'node-red'
import { RedoxError, type RedoxErrorCode } from '../../../src/errors'
import type { LaneState, MessageState } from '../../../src/queue/types'
import type { Connection, ConnectionBacklog, Durability, RedoxConfigNode, UserListener } from './connection'
import type { Depth, Outbox, Place } from '../queue/outbox'
import { waitingText } from './waiting-text'

const CATALOGUE = '@ehr-flows/node-red-redox/redox-config:redox.status.'
const OPEN_AGAIN_MS = 5000

/** Emitted by `RED.events` when the oldest accepted message becomes late, and when none is late any more. */
export const LATE_EVENT = 'redox:outbox-late'

/** Emitted by `RED.events` when more messages are parked than before. */
export const PARKED_EVENT = 'redox:outbox-parked'

/** What {@link LATE_EVENT} and {@link PARKED_EVENT} bring, and `msg.status.outbox` of a Status node. No patient data. */
export interface OutboxState {
  /** waiting, or being sent */
  waiting: number
  parked: number
  /** seconds since the oldest that waits was accepted */
  oldestSeconds: number
  /** the oldest is older than the redox-config node allows */
  isLate: boolean
  /** destinations that nothing goes to, because a message to them is parked or a person has paused them */
  stopped: string[]
  /** why the store cannot be used */
  code?: RedoxErrorCode
}

const deployed = new Map<string, Delivery>()
/** The durable connections of this process, by the ids of their redox-config nodes. */
export const deliveries: ReadonlyMap<string, Delivery> = deployed

/** What was parked when connections were closed last, by the ids of their redox-config nodes. */
const left = new Map<string, { place: string; parked: number }>()

/** The durable side of a redox-config node: opens its outbox, tells its nodes what became of their messages. */
export class Delivery {
  #outbox: Outbox | undefined
  #lateAfter = Infinity
  #isLate = false
  #isClosed = false
  #shown = ''
  #parked = 0
  #durability: Pick<Durability, 'place' | 'key'> | undefined
  #environment = ''
  #code: RedoxErrorCode | undefined
  #logged = ''
  #again: NodeJS.Timeout | undefined
  #tried: Promise<void> = Promise.resolve()
  readonly #listeners = new Map<string, UserListener>()
  readonly #deaf = new Map<string, () => void>()
  /** nodes hear of their messages once all flows have started: what is emitted before goes nowhere */
  #isHeard = false

  constructor(
    private readonly RED: NodeAPI,
    private readonly node: RedoxConfigNode,
    private readonly connection: () => Promise<Connection>,
  ) {}

  /** What people call the connection; empty if they do not. */
  get name(): string {
    return this.node.name ?? ''
  }

  /** Undefined while it is not open. */
  get outbox(): Outbox | undefined {
    return this.#outbox
  }

  /** Where its messages are; undefined while that is not known. */
  get place(): Place | undefined {
    return this.#durability?.place
  }

  /** What seals them; undefined while that is not known. */
  get storeKey(): string | undefined {
    return this.#durability?.key
  }

  /** Resolves when it has tried to open its store. */
  get tried(): Promise<void> {
    return this.#tried
  }

  /** Why the store cannot be used. */
  get code(): RedoxErrorCode | undefined {
    return this.#code
  }

  /** Delivers what waits since Node-RED ran last, without a message that asks for it. */
  start(): void {
    deployed.set(this.node.id, this)
    this.RED.events.once('flows:started', this.#onStarted)
  }

  /** Nothing is delivered out of a store any more. */
  stayDirect(): void {
    left.delete(this.node.id)
  }

  /** What was parked before a deploy is no news. */
  #takeOver(): void {
    const behind = left.get(this.node.id)
    left.delete(this.node.id)
    if (behind?.place === this.#place) this.#parked = behind.parked
  }

  readonly #onStarted = (): void => {
    this.#isHeard = true
    this.#tried = this.#open()
  }

  async #open(): Promise<void> {
    try {
      await this.connection()
      this.#logged = ''
      for (const [owner, listener] of this.#listeners) this.#attach(owner, listener)
    } catch (error) {
      if (this.#isClosed) return
      const code = error instanceof RedoxError ? error.code : 'REDOX_INTERNAL'
      this.#show({ waiting: 0, parked: 0, oldestSeconds: 0, isLate: false, stopped: [], code })
      this.#tellUsers([], new Map(), code)
      this.#log(code, error instanceof RedoxError ? error.message : '')
      this.#again = setTimeout(() => void this.#open(), OPEN_AGAIN_MS).unref()
    }
  }

  get #place(): string {
    return JSON.stringify(this.#durability?.place)
  }

  /**
   * Begins a new store in place of one that cannot be read, and opens it.
   * @returns what the folder of the store before is called now
   * @throws RedoxError REDOX_STORE_LOST when there is nothing to begin anew
   */
  async beginAnew(by: { who: string; reason: string }): Promise<string | undefined> {
    if (this.#outbox || !this.#durability) throw inUse()
    const { beginAnew } = await import('../queue/outbox.js')
    const { place, key } = this.#durability
    clearTimeout(this.#again)
    try {
      const setAside = await beginAnew(place, key, by)
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

  /** @throws RedoxError REDOX_STORE_… */
  async enter({ place, key, lateAfter }: Durability): Promise<Outbox> {
    const { Outbox } = await import('../queue/outbox.js')
    this.#lateAfter = lateAfter
    this.#durability = { place, key }
    this.#takeOver()
    const outbox = (this.#outbox ??= await Outbox.enter(place, key, {
      onDepth: (depth) => this.#onDepth(depth),
      onOrphan: (id, state, code) => this.#onOrphan(id, state, code),
    }))
    if (!this.#isClosed) return outbox
    await this.leave()
    throw new RedoxError(
      'REDOX_ABORTED',
      'Stopped before sending: the connection was closed before its store was open. Nothing was sent.',
    )
  }

  begin({ client, environment, account }: Connection, { ordered, retryFor, keepFor }: Durability): void {
    this.#environment = environment
    if (!this.#isClosed) this.#outbox?.use({ client, environment, account, ordered, retryFor, keepFor })
  }

  hear(user: Node, listener: UserListener): () => void {
    const { id } = user
    this.#listeners.set(id, listener)
    this.node.users[id] = user
    this.#attach(id, listener)
    return () => {
      if (this.#listeners.get(id) === listener) this.#listeners.delete(id)
      if (this.node.users[id] === user) delete this.node.users[id]
      this.#deaf.get(id)?.()
    }
  }

  #attach(owner: string, { onEnded }: UserListener): void {
    if (this.#isHeard && this.#outbox) this.#deaf.set(owner, this.#outbox.courier.attach(owner, onEnded))
  }

  /**
   * @param withinMs what has not ended by then is stopped; undefined: it goes on
   * @param isRemoved no successor will deliver what waits
   */
  async leave(withinMs?: number, isRemoved = false): Promise<void> {
    this.#isClosed = true
    // A successor may have taken its place.
    if (deployed.get(this.node.id) === this) deployed.delete(this.node.id)
    this.RED.events.off('flows:started', this.#onStarted)
    clearTimeout(this.#again)
    this.#deaf.forEach((stop) => stop())
    const outbox = this.#outbox
    this.#outbox = undefined
    if (outbox && !isRemoved) left.set(this.node.id, { place: this.#place, parked: this.#parked })
    await outbox?.leave(withinMs)
  }

  // ---- What people see --------------------------------------------------------------------------------

  #onDepth({ counts, lanes, failing, age, trouble }: Depth): void {
    if (this.#isClosed) return
    const state: OutboxState = {
      waiting: counts.waiting + counts.sending,
      parked: counts.parked,
      oldestSeconds: Math.floor(age / 1000),
      isLate: age > this.#lateAfter,
      stopped: lanes.filter(({ paused, blockedBy }) => paused || blockedBy).map(({ lane }) => lane),
      ...(trouble && { code: trouble.code }),
    }
    this.#show(state)
    this.#tellUsers(lanes, failing, trouble?.code)
    if (trouble) this.#log(trouble.code, trouble.message)
    else {
      this.#logged = ''
      this.#tellParked(state)
    }
    if (state.isLate === this.#isLate) return
    this.#isLate = state.isLate
    this.RED.events.emit(LATE_EVENT, { connection: this.node.id, ...state })
  }

  /** What waits is told to each node that sends over the connection, whichever of them accepted it. */
  #tellUsers(destinations: LaneState[], failing: ConnectionBacklog['failing'], code?: RedoxErrorCode): void {
    const environment = this.#environment
    const backlog = { environment, destinations, failing, ...(code !== undefined && { code }) }
    for (const { onBacklog } of this.#listeners.values()) onBacklog(backlog)
  }

  #tellParked(state: OutboxState): void {
    const isMore = state.parked > this.#parked
    this.#parked = state.parked
    if (isMore) this.RED.events.emit(PARKED_EVENT, { connection: this.node.id, ...state })
  }

  #show(outbox: OutboxState): void {
    const { waiting, parked, oldestSeconds, isLate, stopped, code } = outbox
    this.#code = code
    const minutes = Math.floor(oldestSeconds / 60)
    const parts = [
      code === undefined ? '' : this.#word(`error.${code}`),
      waitingText(this.RED, waiting),
      minutes > 0 ? `${minutes} min` : '',
      parked > 0 ? `${this.#word('parked')} ${parked}` : '',
      stopped.length > 0 ? `${this.#word('stopped')} ${stopped.length}` : '',
    ].filter((part) => part !== '')
    const isBad = code !== undefined || stopped.length > 0
    const status: NodeStatus = {
      fill: isBad ? 'red' : isLate || parked > 0 ? 'yellow' : waiting > 0 ? 'blue' : 'green',
      shape: isBad || isLate ? 'ring' : 'dot',
      text: parts.join(' · ') || this.#word('empty'),
    }
    const shown = JSON.stringify(status)
    if (shown === this.#shown) return
    this.#shown = shown
    this.node.status({ ...status, outbox } as NodeStatus)
  }

  /** Each kind of trouble once, until there is none. */
  #log(code: string, message: string): void {
    if (this.#logged === code) return
    this.#logged = code
    this.RED.log.error(`redox-config ${this.node.id}: ${code}: ${message}`)
  }

  #onOrphan(id: string, state: MessageState, code?: string): void {
    this.RED.log.warn(
      `redox-config ${this.node.id}: the accepted message ${id} is ${state}${code ? ` (${code})` : ''}. ` +
        'Its node was removed: nothing was emitted.',
    )
  }

  #word(key: string): string {
    return this.RED._(`${CATALOGUE}${key}`)
  }
}

const inUse = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_LOST',
    'Store is open: no new store was created. A new store can replace only a store that cannot be opened.',
  )
