import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { RedoxError, type RedoxErrorCode } from '../errors'
import { identifiersOf } from '../redox/identifiers'
import type { CheckpointHooks, Delivery, Progress } from '../redox/delivery'
import type { RedoxClient } from '../redox/client'
import { backoff } from '../transport/retry'
import { onTheWall } from './clock'
import type { Content, Contents, Failure, Notes, Parcel } from './jobs'
import type { DeliveryStore, LaneState, MessageState, Settlement, StoredMessage } from './types'

/** What became of a parcel. */
export interface Ended {
  id: string
  acceptedAt: number
  attempts: number
  parcel: Omit<Content, 'files'>
  outcome: { delivery: Delivery } | { error: RedoxError }
}

/** How the messages of a connection are sent. */
export interface Delivering {
  client: RedoxClient
  /** of this connection, see {@link Parcel} */
  environment: string
  account: string
  /** first in, first out for each destination */
  ordered: boolean
  /** milliseconds for which a message is tried again */
  retryFor: number
  /** milliseconds that messages are kept after their delivery */
  keepFor: number
}

/** How much there is to do. */
export interface Depth {
  counts: Record<MessageState, number>
  lanes: LaneState[]
  /** milliseconds since the oldest that waits was accepted; 0: nothing waits */
  age: number
  /** why the last attempt failed, of lanes that nothing gets through to */
  failing: ReadonlyMap<string, RedoxErrorCode>
  /** why the store cannot be used */
  trouble?: RedoxError
}

/** What the courier tells whoever runs it. */
export interface Listener {
  onDepth(depth: Depth): void
  /** ended, and the node that accepted it is gone; `code`: why it is parked */
  onOrphan(id: string, state: MessageState, code?: string): void
}

// What may be over when it is tried again: nothing was processed, or the connection as a whole does not work. That a
// key was withdrawn is no reason to park ten thousand messages.
const PASSING = new Set<RedoxErrorCode>([
  'REDOX_RATE_LIMITED',
  'REDOX_QUEUE_FULL',
  'REDOX_UNAVAILABLE',
  'REDOX_NETWORK',
  'REDOX_TIMEOUT',
  'REDOX_TLS',
  'REDOX_AUTHENTICATION',
  'REDOX_CONFIGURATION',
  'REDOX_ABORTED',
  'REDOX_STORE_UNAVAILABLE',
  'REDOX_STORE_FULL',
])

// A message is held so long, and its hold renewed three times as often: time for others to see that its holder is gone.
const LEASE_MS = 30_000
const LOOK_EVERY_MS = 1000
/** An outage may last for hours; when it ends, nobody is to wait for long. */
const LONGEST_REST_MS = 60_000
const PURGE_EVERY_MS = 3_600_000
const TOLD_AT_ONCE = 100
const ACCEPT_TRIES = 3

/** Takes messages out of a store and sends them, until each was delivered or is parked for a person. */
export class Courier {
  readonly #holder = randomUUID()
  readonly #underWay = new Map<string, Promise<void>>()
  readonly #owners = new Map<string, (ended: Ended) => Promise<void>>()
  /** lanes that nothing gets through to: how often in a row, and until when (monotonic clock) they are left alone */
  readonly #resting = new Map<string, { failures: number; until: number; code: RedoxErrorCode }>()
  readonly #stopping = new AbortController()
  #aborting = new AbortController()
  /** attempts that are under way */
  readonly #attempts = new Set<Attempt>()
  /** what is not on its way to Redox is stopped */
  #isHurried = false
  readonly #running: Promise<unknown>
  #delivering: Delivering | undefined
  #isWoken = false
  #endWait = (): void => undefined
  #purgedAt = -Infinity
  #telling: Promise<void> = Promise.resolve()
  #nextTelling: Promise<void> | undefined
  #trouble: RedoxError | undefined
  #depth: Pick<Depth, 'counts' | 'lanes'> & { oldest?: number } = {
    counts: { waiting: 0, sending: 0, parked: 0, delivered: 0, discarded: 0 },
    lanes: [],
  }

  private readonly store: DeliveryStore

  constructor(
    readonly contents: Contents,
    private readonly listener: Listener,
    private readonly leaseMs = LEASE_MS,
  ) {
    this.store = contents.store
    this.#running = Promise.all([
      this.#send(),
      this.#every(LOOK_EVERY_MS, () => this.#tell()),
      this.#every(LOOK_EVERY_MS, () => this.#look()),
      this.#every(leaseMs / 3, () => this.#renew()),
    ])
  }

  /** Sends over this connection from now on, also what waited before; `undefined`: takes nothing more. */
  use(delivering: Delivering | undefined): void {
    this.#delivering = delivering
    if (this.#aborting.signal.aborted) this.#aborting = new AbortController()
    this.#isHurried &&= delivering === undefined
    // Everything that is under way listens.
    setMaxListeners(0, this.#aborting.signal)
    if (delivering) this.store.touch().catch((error: unknown) => void (this.#trouble = asRedoxError(error)))
    // Another connection may get through.
    this.wake()
  }

  /** Looks at once, also where nothing got through before: somebody has decided something. */
  wake(): void {
    this.#resting.clear()
    this.#wake()
  }

  /** Resolves when what is under way now has ended. */
  async idle(): Promise<void> {
    await Promise.all(this.#underWay.values())
  }

  /** Stops what is under way: what may have arrived is parked, the rest waits. */
  abort(): void {
    this.#aborting.abort(new DOMException('closed', 'AbortError'))
    for (const { stop } of this.#attempts) stop.abort(this.#aborting.signal.reason)
  }

  /** Stops each attempt as soon as no request of it can have arrived in part: the message waits. */
  hurry(): void {
    this.#isHurried = true
    this.#attempts.forEach(stopUnlessLeft)
  }

  /** Ends, when what is under way has ended. */
  async stop(): Promise<void> {
    this.use(undefined)
    this.#stopping.abort()
    await this.#running
    await this.idle()
    await this.#telling
  }

  /**
   * Whether a message was accepted for another account than the one that this sends over now, and may not go over it.
   * False while nothing can be sent.
   * @throws RedoxError REDOX_STORE_UNREADABLE
   */
  async isForOtherAccount(stored: StoredMessage): Promise<boolean> {
    const { allowedAccount } = await this.contents.notesOf(stored)
    const content = await this.contents.contentOf(stored)
    return this.#delivering !== undefined && !mayGoOver(this.#delivering, content, allowedAccount)
  }

  /** Notes of a message with which it may go over the account that this sends over now. */
  async allowingThisAccount(stored: StoredMessage): Promise<Buffer> {
    const { account } = this.#delivering!
    const notes: Notes = { ...(await this.contents.notesOf(stored)), allowedAccount: account }
    return this.contents.sealNotes(stored.id, notes)
  }

  // ---- Accepting --------------------------------------------------------------------------------------

  /**
   * Stores a parcel. Once it resolves the parcel outlives this process.
   * @returns its id
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
        // A file that other messages had brought may be forgotten with them just now. And a store that went away may
        // have it all the same: with the same id it is accepted once.
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
        this.#trouble = asRedoxError(error)
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

  /** There may be something to send. */
  #wake(): void {
    this.#isWoken = true
    this.#endWait()
  }

  /** Begins to send what can be sent. Returns milliseconds after which there may be more. */
  async #round(): Promise<number> {
    const delivering = this.#delivering
    const width = delivering?.client.settings.gate.width ?? 0
    const limit = width - this.#underWay.size
    if (!delivering || limit <= 0) return LOOK_EVERY_MS
    const except = this.#restingLanes()
    const claimed = await this.store.claim({ holder: this.#holder, leaseMs: this.leaseMs, limit, except })
    this.#trouble = undefined
    // What this process is busy with itself comes back when the store was away for longer than the lease.
    const fresh = claimed.filter(({ id }) => !this.#underWay.has(id))
    for (const stored of fresh) this.#begin(stored, delivering)
    if (fresh.length > 0) return 0
    const { clock } = this.store
    const due = await this.store.nextDue(clock.now(), except)
    const rests = [...this.#resting.values()].map(({ until }) => until - performance.now())
    // What is due already waits for another of its lane, whose end is heard; or for another process.
    const waits = [...rests, (due ?? 0) - clock.now()].filter((wait) => wait > 0)
    return Math.min(...waits, LOOK_EVERY_MS)
  }

  #restingLanes(): string[] {
    const now = performance.now()
    return [...this.#resting].flatMap(([lane, { until }]) => (until > now ? [lane] : []))
  }

  /** When messages to the destination are tried again, by the clock of the store; 0 if it is not left alone. */
  restsUntil(lane: string): number {
    const left = (this.#resting.get(lane)?.until ?? 0) - performance.now()
    return left > 0 ? Math.ceil(this.store.clock.now() + left) : 0
  }

  /** It is kept in memory alone: who starts anew looks at once whether something gets through. */
  #rest(lane: string, code: RedoxErrorCode, retryAfterSeconds: number): number {
    const failures = (this.#resting.get(lane)?.failures ?? 0) + 1
    const rest = Math.ceil(Math.max(Math.min(backoff(failures), LONGEST_REST_MS), retryAfterSeconds * 1000))
    this.#resting.set(lane, { failures, until: performance.now() + rest, code })
    return rest
  }

  /** One got through, and others may now, too. */
  #gotThrough(lane: string): void {
    this.#resting.delete(lane)
    for (const resting of this.#resting.values()) resting.until = 0
  }

  #begin(stored: StoredMessage, delivering: Delivering): void {
    const sending = this.#attempt(stored, delivering)
      .then((settlement) => this.#settle(stored, settlement))
      // A store that cannot be written gives it to somebody when the lease ends.
      .catch((error: unknown) => void (this.#trouble = asRedoxError(error)))
      .finally(() => {
        this.#underWay.delete(stored.id)
        this.#wake()
      })
    this.#underWay.set(stored.id, sending)
  }

  async #settle(stored: StoredMessage, settlement: Settlement): Promise<void> {
    const { id, owner, lane } = stored
    if (settlement.state === 'delivered') this.#gotThrough(lane)
    await this.#insist(() => this.store.settle(id, this.#holder, settlement, this.store.clock.now()))
    if (settlement.state === 'waiting') return
    if (this.#owners.has(owner)) await this.#tell()
    else
      this.listener.onOrphan(
        id,
        settlement.state,
        settlement.state === 'parked' ? settlement.reason : undefined,
      )
  }

  /** What has happened has to be written down: of what is not, nobody would know later whether it arrived. */
  async #insist(write: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await write()
      } catch (error) {
        const { code } = (this.#trouble = asRedoxError(error))
        const mayPass = code === 'REDOX_STORE_UNAVAILABLE' || code === 'REDOX_STORE_FULL'
        if (!mayPass || this.#aborting.signal.aborted) throw error
        await timer(LOOK_EVERY_MS, this.#aborting.signal)
      }
    }
  }

  /** One attempt, and what is to become of the message after it. */
  async #attempt(stored: StoredMessage, delivering: Delivering): Promise<Settlement> {
    const { id, attempts, deadline, lane, ordered } = stored
    const { client, account } = delivering
    const notes: Notes = { uploaded: {} }
    const sealed = (): Promise<Buffer> => this.contents.sealNotes(id, notes)
    const { repeatUnknown } = client.settings.retry
    // Somebody else holds it by now: whatever becomes of it is theirs.
    let isLost = false
    const attempt: Attempt = { stop: new AbortController(), hasLeft: false }
    const onProgress = ({ hasLeft = false }: Pick<Progress, 'hasLeft'>): void => {
      attempt.hasLeft = hasLeft
      if (this.#isHurried) stopUnlessLeft(attempt)
    }
    this.#attempts.add(attempt)
    if (this.#aborting.signal.aborted) attempt.stop.abort(this.#aborting.signal.reason)
    onProgress({})
    const mine = (written: Promise<void>): Promise<void> =>
      written.catch((error: unknown) => {
        isLost ||= asRedoxError(error).code === 'REDOX_STORE_LOST'
        throw error
      })
    try {
      const parcel = await this.contents.contentOf(stored)
      const { message } = parcel
      const { uploaded, uploadAccount, allowedAccount, error, unknown } = await this.contents.notesOf(stored)
      Object.assign(notes, allowedAccount && { allowedAccount })
      // A reference to a file opens at the account alone that has the file.
      if ((uploadAccount ?? parcel.account ?? account) === account) Object.assign(notes, { uploaded })
      if (parcel.account !== account) notes.uploadAccount = account
      // Before the first attempt there is nothing to know: a person has decided to send it again.
      if (attempts > 0) Object.assign(notes, error && { error }, unknown && { unknown })
      if (stored.begun) notes.unknown ??= failureOf(interrupted(message))
      if (notes.unknown && !repeatUnknown) return await parked(notes, notes.unknown, sealed)
      if (this.store.clock.now() > deadline)
        return await parked(notes, notes.error ?? failureOf(late(message)), sealed)
      if (!mayGoOver(delivering, parcel, allowedAccount))
        return await parked(notes, failureOf(otherAccount(parcel, delivering)), sealed)
      const checkpoints: CheckpointHooks = {
        uploaded: notes.uploaded,
        onUploaded: async (index, uploaded) => {
          notes.uploaded[index] = uploaded
          const told = await sealed()
          await mine(this.store.note(id, this.#holder, told))
        },
        onSending: () => mine(this.store.begin(id, this.#holder)),
      }
      const { signal } = attempt.stop
      notes.delivery = await client.deliver(this.contents.messageOf(parcel), {
        signal,
        onProgress,
        checkpoints,
      })
      return { state: 'delivered', notes: await sealed() }
    } catch (thrown) {
      const error = asRedoxError(thrown)
      if (isLost) throw error
      const failure = failureOf(error)
      notes.error = failure
      const isUnknown = error.code === 'REDOX_OUTCOME_UNKNOWN'
      if (isUnknown) notes.unknown = failure
      const { retryAfterSeconds = 0 } = error.cause
      if (isUnknown ? repeatUnknown : PASSING.has(error.code)) {
        const rest = this.#rest(lane, error.code, retryAfterSeconds)
        // Without order others of the lane may go first; what is ordered is the first as soon as the lane has rested.
        const now = this.store.clock.now()
        const dueAt = now + (ordered ? Math.ceil(retryAfterSeconds * 1000) : rest)
        const settled = { state: 'waiting', dueAt, reason: error.code, notes: await sealed() } as const
        if (now + rest < deadline) return settled
      }
      return await parked(notes, notes.unknown ?? failure, sealed)
    } finally {
      this.#attempts.delete(attempt)
    }
  }

  async #renew(): Promise<void> {
    if (this.#delivering) await this.store.touch()
    if (this.#underWay.size === 0) return
    await this.store.renew(this.#holder, [...this.#underWay.keys()], this.leaseMs)
  }

  async #purge(): Promise<void> {
    if (!this.#delivering || performance.now() - this.#purgedAt < PURGE_EVERY_MS) return
    this.#purgedAt = performance.now()
    // Not before what ended while nobody was there is told.
    await this.#tell()
    const now = this.store.clock.now()
    await this.store.purge(Math.floor(now - this.#delivering.keepFor), now)
  }

  // ---- Telling ----------------------------------------------------------------------------------------

  /** Tells a node what became of its messages, from now on and since it was there last. Returns how to stop. */
  attach(owner: string, listener: (ended: Ended) => Promise<void>): () => void {
    this.#owners.set(owner, listener)
    void this.#tell().catch(() => undefined)
    return () => {
      if (this.#owners.get(owner) === listener) this.#owners.delete(owner)
    }
  }

  /** One after the other. Whoever comes while it is told waits for the next time, together with others. */
  #tell(): Promise<void> {
    this.#nextTelling ??= this.#telling.then(() => {
      this.#nextTelling = undefined
      const telling = this.#tellAll()
      this.#telling = telling.catch(() => undefined)
      return telling
    })
    return this.#nextTelling
  }

  /** Also what another process has sent. */
  async #tellAll(): Promise<void> {
    for (let isMore = this.#owners.size > 0; isMore;) {
      const hold = { holder: this.#holder, leaseMs: this.leaseMs, limit: TOLD_AT_ONCE }
      const ended = await this.store.untold({ ...hold, owners: [...this.#owners.keys()] })
      for (const stored of ended) {
        // Told first: an answer may come twice when the power fails between the two, but none is left out.
        if (await this.#tellOne(stored)) await this.store.markTold(stored.id)
        else await this.store.leaveUntold(stored.id, this.#holder)
      }
      isMore = ended.length === TOLD_AT_ONCE
    }
  }

  async #tellOne(stored: StoredMessage): Promise<boolean> {
    const listener = this.#owners.get(stored.owner)
    if (!listener) return false
    try {
      await listener(await this.#ended(stored))
    } catch {
      // One that cannot be read must not keep the others; the Outbox shows it.
      this.listener.onOrphan(stored.id, stored.state, 'REDOX_STORE_UNREADABLE')
    }
    return true
  }

  async #ended(stored: StoredMessage): Promise<Ended> {
    const { id, attempts } = stored
    const acceptedAt = onTheWall(this.store.clock, stored.acceptedAt)
    const { files: _files, ...parcel } = await this.contents.contentOf(stored)
    const { delivery, error, unknown } = await this.contents.notesOf(stored)
    if (stored.state === 'delivered' && delivery)
      return { id, acceptedAt, attempts, parcel, outcome: { delivery } }
    const { code, message, cause } = (unknown ?? error)!
    const outbox = { id, acceptedAt: new Date(acceptedAt).toISOString(), attempts }
    const parked = new RedoxError(code, message, { ...cause, outbox })
    return { id, acceptedAt, attempts, parcel, outcome: { error: parked } }
  }

  async #look(): Promise<void> {
    try {
      const [counts, lanes] = await Promise.all([this.store.counts(), this.store.lanes()])
      const open = new Set(lanes.flatMap(({ lane, open }) => (open > 0 ? [lane] : [])))
      for (const lane of this.#resting.keys()) if (!open.has(lane)) this.#resting.delete(lane)
      const times = lanes.flatMap(({ oldest }) => oldest ?? [])
      this.#depth = { counts, lanes, ...(times.length > 0 && { oldest: Math.min(...times) }) }
      await this.store.check()
    } catch (error) {
      this.#trouble = asRedoxError(error)
    }
    // What was known last grows older also while the store cannot be asked.
    const { oldest, ...depth } = this.#depth
    const age = oldest === undefined ? 0 : Math.max(0, this.store.clock.now() - oldest)
    const failing = new Map([...this.#resting].map(([lane, { code }]) => [lane, code]))
    this.listener.onDepth({ ...depth, age, failing, ...(this.#trouble && { trouble: this.#trouble }) })
    await this.#purge()
  }

  /** Again and again, and less often where it takes long: at most a twentieth of the time. */
  async #every(milliseconds: number, task: () => Promise<void>): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const began = performance.now()
      await task().catch((error: unknown) => void (this.#trouble = asRedoxError(error)))
      const wait = Math.min(Math.max(milliseconds, 20 * (performance.now() - began)), this.leaseMs / 3)
      await timer(wait, this.#stopping.signal)
    }
  }
}

interface Attempt {
  readonly stop: AbortController
  /** bytes of a request may be on their way */
  hasLeft: boolean
}

function stopUnlessLeft({ stop, hasLeft }: Attempt): void {
  if (!hasLeft) stop.abort(new DOMException('closed', 'AbortError'))
}

async function parked(notes: Notes, failure: Failure, sealed: () => Promise<Buffer>): Promise<Settlement> {
  notes.error = failure
  return { state: 'parked', reason: failure.code, notes: await sealed() }
}

const failureOf = ({ code, message, cause }: RedoxError): Failure => ({ code, message, cause })

function interrupted({ operation, body }: Content['message']): RedoxError {
  return new RedoxError(
    'REDOX_OUTCOME_UNKNOWN',
    `Outcome unknown: the process stopped while it sent the message (${operation}). The message may have arrived. Look it ` +
      'up in the Redox dashboard. Then send it again, mark it as delivered, or discard it in the outbox.',
    { operation, identifiers: identifiersOf(body) },
  )
}

const late = ({ operation }: Content['message']): RedoxError =>
  new RedoxError(
    'REDOX_TIMEOUT',
    `Time is up: the message (${operation}) was not sent in the time that the connection allows. Send it again in the outbox, or discard it.`,
    { operation },
  )

/** An earlier release stored the environment alone. */
const mayGoOver = (
  { environment, account }: Delivering,
  accepted: Pick<Parcel, 'environment' | 'account'>,
  allowedAccount: string | undefined,
): boolean =>
  allowedAccount === account ||
  (accepted.environment === environment && (accepted.account ?? account) === account)

function otherAccount({ environment }: Pick<Parcel, 'environment'>, now: Delivering): RedoxError {
  const names = environment === now.environment ? '' : ` (then ${environment}, now ${now.environment})`
  return new RedoxError(
    'REDOX_OTHER_ACCOUNT',
    `Other account: the message was accepted for a different account from the one that the connection has now${names}. The hosts, the ` +
      'environment, the source ID, the client ID or the legacy API key changed, or another Node-RED instance shares the store. ' +
      'Restore them and send the message again in the outbox, send it through the current account, or discard it. ' +
      'Nothing was sent.',
  )
}

const asRedoxError = (error: unknown): RedoxError =>
  error instanceof RedoxError
    ? error
    : new RedoxError('REDOX_INTERNAL', 'Internal error: the message was not sent. Please report this.')

const timer = (milliseconds: number, signal: AbortSignal): Promise<void> =>
  sleep(milliseconds, undefined, { signal }).catch(() => undefined)
