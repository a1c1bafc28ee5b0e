/**
 * The words of durable delivery, one meaning each. Where a name in the code differs still, it is given.
 *
 * - Job, queued message: a message that was accepted, with all that it takes to send it and to emit its result.
 * - Store: where jobs are kept. One for a single process (LevelDB), one for several that share PostgreSQL.
 * - Owner: id of the node that accepted the job, and emits its result.
 * - Destination (`lane`): where a job goes: the EHR of a FHIR connection, or the destinations of a Data Model message.
 * - Ordering key: the destination of an ordered job: it is sent after all that was accepted before for the same one.
 * - State: where a job stands, see {@link STATES}. Open: waiting or being sent. Done: delivered or discarded.
 * - Parked: not sent until a person decides: it was refused, or it is unknown whether it arrived. An ordered destination
 *   stops there.
 * - Lease ({@link Lease}): a claimed job belongs to one holder (a process) until the lease ends; then others may claim it.
 * - Attempt: from the claim until the job is settled. `begun`: a request of it has begun, and may have arrived.
 * - Deadline: no attempt begins after it. Due: the next attempt may begin.
 * - Settlement: what becomes of a job after an attempt.
 * - Announced (`told`): its node has emitted the result. Unannounced results are kept longer, see {@link UNTOLD_MS}.
 * - Content, notes: what was accepted, and what is known since (uploads, outcome). Sealed: the store cannot read them.
 * - Tag: a keyed hash by which a job is found. File, blob: a document, stored once for all jobs that have it.
 * - Mark: the key check value: it can be opened with the key that the store is sealed with, and no other.
 * - Audit: the record of what people did, and why. Lines are only ever added.
 * - Paused: nothing is sent to a destination until a person resumes it. Pace: the limit of requests, shared by all.
 */
import type { PaceKeeper } from '../transport/retry'
import type { StoreClock } from './clock'

/**
 * - `waiting`: to be sent, when it is due and when it is its turn
 * - `sending`: a process has leased it and is sending it
 * - `parked`: not sent any more until a person decides: Redox refused it, it could not be sent in time, or its outcome
 *   is unknown
 * - `delivered`, `discarded`: done, kept for a while to be looked up
 */
export const STATES = ['waiting', 'sending', 'parked', 'delivered', 'discarded'] as const
export type MessageState = (typeof STATES)[number]

export interface NewMessage {
  /** the same id is accepted once */
  id: string
  /** where it goes */
  lane: string
  /**
   * It is sent after all that its lane has accepted before, and not while one of those is parked. Messages without
   * order go as they come.
   */
  ordered: boolean
  /** id of the node that accepted it and emits the answer */
  owner: string
  acceptedAt: number
  /** no attempt begins after it */
  deadline: number
  /** names of its files in the store */
  files: string[]
  /** what it can be found by */
  tags: string[]
  /** sealed; never changes */
  content: Buffer
}

export interface StoredMessage extends NewMessage {
  state: MessageState
  /** attempts that ended */
  attempts: number
  /** when it may be sent next */
  dueAt: number
  /** a request with it has begun, and how it ended was not stored yet */
  begun: boolean
  /** a stable code: why it waits, why it is parked, or what a person decided */
  reason?: string
  /** sealed: what is known so far (uploaded files, outcome) */
  notes?: Buffer
  /** its node has emitted the outcome */
  told: boolean
  /** when it was delivered, parked or discarded */
  endedAt?: number
}

/** A node may be disabled over a weekend, however soon after its delivery a message is to be forgotten. */
export const UNTOLD_MS = 72 * 3_600_000

/** The claimed messages belong to `holder` for `leaseMs`, by the clock of the store. */
export interface Lease {
  /** a process; another one after each start */
  holder: string
  leaseMs: number
  limit: number
}

/** What messages are looked up by. All that is given has to be true. */
export interface Criteria {
  lane?: string
  /** exactly this one */
  id?: string
  tag?: string
  /** exactly this reason, see {@link StoredMessage} */
  code?: string
  /** accepted between these, both included */
  since?: number
  till?: number
  /** those that come behind the message with this id */
  after?: string
}

export interface Query extends Criteria {
  state?: MessageState
  /** against the order of acceptance */
  newestFirst?: boolean
  limit: number
}

/** What becomes of a message that is being sent. Notes that are not given stay as they are. */
export type Settlement =
  | { state: 'waiting'; dueAt: number; reason: string; notes?: Buffer }
  | { state: 'parked'; reason: string; notes: Buffer }
  | { state: 'delivered'; notes: Buffer }

/** Where a message stands, as far as it moves to another store with it. */
export type Standing = Pick<StoredMessage, 'state' | 'reason' | 'dueAt' | 'told' | 'endedAt'>

/**
 * The reason of a message that is parked because it is on its way to another store: nothing sends it, and no decision
 * is taken about it, until the move is finished. See `move.ts`.
 */
export const MOVING = 'REDOX_STORE_MOVING'

/** What a person decides about a message. */
export const ACTIONS = ['resend', 'mark-delivered', 'discard', 'extend'] as const
export type Action = (typeof ACTIONS)[number]

/** From which states a person may take a message. */
export const DECIDABLE: Readonly<Record<Action, readonly MessageState[]>> = {
  resend: ['parked', 'delivered', 'discarded'],
  'mark-delivered': ['waiting', 'parked'],
  discard: ['waiting', 'parked'],
  extend: ['waiting'],
}

/** What a decision brings along. */
export interface DecisionTerms {
  /** replace those that the message has */
  notes?: Buffer
  /** of `extend` */
  deadline?: number
  /** how the message stood when the decision was taken: one that stands otherwise by now is left as it is */
  seen?: Pick<StoredMessage, 'state' | 'reason' | 'endedAt'>
}

/** Of something that a person does: it is written into the audit. */
export interface AuditContext {
  who: string
  /** in the person's words */
  reason: string
  /** by the clock of the store */
  now: number
}

/** One line of the record of who did what. Only ever added to. */
export interface AuditLine {
  /** as the clock on the wall told it */
  at: number
  who: string
  action: Action | 'pause' | 'resume' | 'look' | 'move' | 'begin-new'
  /** id of a message, a lane, or the name of the folder that the store before was set aside in (`-`: none) */
  subject: string
  /** in the person's words */
  reason: string
}

export interface LaneState {
  lane: string
  /** waiting or being sent */
  open: number
  parked: number
  /** ids of the nodes that accepted what is open or parked */
  owners: string[]
  /** when the oldest of these was accepted */
  oldest?: number
  /** a person has paused it */
  paused: boolean
  /** the parked message that those behind it wait for, and why it is parked */
  blockedBy?: { id: string; reason: string }
}

/** What the sender needs: accepting, sending, announcing, and forgetting what is done. */
export interface QueueStore {
  /**
   * Resolves when messages can be accepted. What was accepted may go on also when they cannot.
   * @throws RedoxError why not
   */
  check(): Promise<void>

  /**
   * Durable once it resolves. Of messages with the same id the first is kept.
   * @throws RedoxError REDOX_STORE_LOST when one of its files is not stored, or was just forgotten; REDOX_BAD_INPUT
   *   when an id or the lane is no text that can be stored
   */
  accept(message: NewMessage): Promise<void>

  /**
   * Takes messages that are due: of what is ordered only the first of its lane, and nothing while that one is sent,
   * parked, or not due; nothing of a lane that is paused, or among `except`. No lane uses up the limit while others
   * wait. Also takes what is past its lease (`begun` then tells whether a request may have arrived).
   */
  claim(lease: Lease & { except: string[] }): Promise<StoredMessage[]>

  /** Tells those who look into a shared database that this process takes care of the messages. */
  touch(): Promise<void>

  /** Keeps the leases for longer. */
  renew(holder: string, ids: string[], leaseMs: number): Promise<void>

  /** A request with the message begins now. Durable once it resolves. */
  begin(id: string, holder: string): Promise<void>

  /** Durable once it resolves. */
  note(id: string, holder: string, notes: Buffer): Promise<void>

  /** Ends an attempt: one more, and nothing has begun. Durable once it resolves. */
  settle(id: string, holder: string, settlement: Settlement, now: number): Promise<void>

  /** When the next message will be due (now: at once), apart from lanes in `except`; undefined: nothing waits that could be. */
  nextDue(now: number, except: string[]): Promise<number | undefined>

  /**
   * Takes unannounced messages (parked or delivered) of these nodes, oldest first, unless another holder has a lease to
   * announce them.
   */
  untold(lease: Lease & { owners: string[] }): Promise<StoredMessage[]>
  markTold(id: string): Promise<void>
  /** What was taken by {@link untold} and not announced, because its node has gone meanwhile: it may be taken at once. */
  leaveUntold(id: string, holder: string): Promise<void>

  /**
   * Forgets what was delivered or discarded before, but what is unannounced only {@link UNTOLD_MS} after its end; and
   * files that no message has any more, or that were stored an hour before `now` and belong to none.
   * @returns how many messages
   */
  purge(before: number, now: number): Promise<number>

  /** The limit of requests, for all who share the store. */
  pace(perFiveMinutes: number): PaceKeeper
}

/** What people look at and decide, and what moves to another store. */
export interface AdminStore {
  /**
   * In the order of acceptance, unless the query says otherwise.
   * @throws RedoxError REDOX_STORE_LOST when the message `after` is not there any more
   */
  find(query: Query): Promise<StoredMessage[]>
  /** Ids of all that are in one of these states, in the order of acceptance; contents are not read for it. */
  ids(criteria: Criteria, states: readonly MessageState[]): Promise<string[]>
  /** Lanes that something waits, is sent or is parked in, and those that are paused. */
  lanes(): Promise<LaneState[]>
  counts(): Promise<Record<MessageState, number>>

  /**
   * `resend`: waits again at its old place, due at once, with no attempts and as long a deadline as it had; from any
   * state but sending and waiting. `mark-delivered`, `discard`: of what is waiting or parked; its node is not told.
   * `extend`: what is waiting is tried until the deadline of the terms. Not of what is {@link MOVING}. Writes a line of
   * the audit.
   * @throws RedoxError REDOX_STORE_LOST for a message in another state, that is not there, or that `extend` would not
   *   have tried for longer
   */
  decide(id: string, action: Action, context: AuditContext, terms?: DecisionTerms): Promise<void>
  /** Pauses or resumes a lane, and writes a line of the audit. */
  pause(lane: string, isPaused: boolean, context: AuditContext): Promise<void>
  /** Writes a line of the audit: a person looked at what is in a message. */
  looked(id: string, context: AuditContext): Promise<void>
  /** Writes a line of the audit: this store was begun instead of one that could not be read. */
  begun(setAside: string, context: AuditContext): Promise<void>
  /** Oldest first, lines after that many. */
  audit(request: { skip: number; limit: number }): Promise<AuditLine[]>
  /** How many lines the audit has. */
  auditLength(): Promise<number>

  /**
   * Stores a message as another store has it, behind all that this one has. Of messages with the same id the first is
   * kept. Its files are stored before. Durable once it resolves.
   */
  adopt(message: StoredMessage): Promise<void>
  /**
   * Sets where a message stands, and its notes; its place in the order stays. Durable once it resolves.
   * @param line of the audit, if one is to be written
   * @throws RedoxError REDOX_STORE_LOST for a message that is being sent, or that is not there
   */
  restate(id: string, standing: Standing & { notes: Buffer }, line?: AuditLine): Promise<void>
  /** Forgets a message, and its files if no other has them. Durable once it resolves. */
  remove(id: string): Promise<void>
}

/** The files of messages, sealed. */
export interface BlobStore {
  /** Stores sealed chunks under a name, once; durable once it resolves. A file that is not complete is never seen. */
  putFile(name: string, chunks: AsyncIterable<Buffer>): Promise<void>
  hasFile(name: string): Promise<boolean>
  /** The chunks as they were given. */
  readFile(name: string): AsyncIterable<Buffer>
}

/**
 * The contract of the stores, in three parts. One suite of tests holds for all stores.
 *
 * A store knows nothing of patients: `content` and `notes` come sealed, and what it is to find again comes as tags that
 * cannot be read back. Whatever a store cannot do rejects with a RedoxError: REDOX_STORE_UNAVAILABLE, _LOCKED,
 * _UNREADABLE, _NEWER, _FULL or _LOST.
 *
 * Times are milliseconds since 1970 by the clock of the store, see {@link StoreClock}: that of one process, or of the
 * database that several share.
 */
export interface DeliveryStore extends QueueStore, AdminStore, BlobStore {
  /**
   * Stores `own` as the key check value unless one exists, and returns the stored one. A caller with another store key
   * cannot open it.
   */
  mark(own: Buffer): Promise<Buffer>

  /** Random; of this store alone, for ever: with another one it is another store. Known once `mark` has resolved. */
  readonly identity: string

  readonly clock: StoreClock

  close(): Promise<void>
}
