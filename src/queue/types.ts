import type { PaceKeeper } from '../transport/retry'
import type { StoreClock } from './clock'

/**
 * The contract of the stores that durable delivery keeps its messages in. Two keep it: one for a single process,
 * one for several that share a database; one suite of tests holds for both.
 *
 * A store knows nothing of patients: `content` and `notes` come sealed, and what it is to find again comes as tags
 * that cannot be read back. Whatever a store cannot do rejects with a RedoxError: REDOX_STORE_UNAVAILABLE, _LOCKED,
 * _UNREADABLE, _NEWER, _FULL or _LOST.
 *
 * Times are milliseconds since 1970 by the clock of the store, see {@link StoreClock}: that of one process, or of the
 * database that several share.
 */

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
  /** a request with it has begun, and whoever began it has not told how it ended */
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

/** A turn of holding messages: no other holder has them for so long, counted by the store. */
export interface Hold {
  /** of one process; another one after each start */
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

/** What becomes of a message that is held. Notes that are not given stay as they are. */
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
  /** waiting or held */
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

export interface DeliveryStore {
  /** Keeps the mark that the first one brought, for ever: whoever comes later can tell by it whether the key is the same. */
  mark(own: Buffer): Promise<Buffer>

  /** Random; of this store alone, for ever: with another one it is another store. Known once `mark` has resolved. */
  readonly identity: string

  readonly clock: StoreClock

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
   * Takes messages that are due: of what is ordered only the first of its lane, and nothing while that one is held,
   * parked, or not due; nothing of a lane that is paused, or among `except`. No lane uses up the limit while others
   * wait. Also takes what somebody held too long (`begun` then tells whether a request of theirs may have arrived).
   */
  claim(hold: Hold & { except: string[] }): Promise<StoredMessage[]>

  /** Tells those who look into a shared database that this process takes care of the messages. */
  touch(): Promise<void>

  /** Keeps what is held for longer. */
  renew(holder: string, ids: string[], leaseMs: number): Promise<void>

  /** A request with the message begins now. Durable once it resolves. */
  begin(id: string, holder: string): Promise<void>

  /** Durable once it resolves. */
  note(id: string, holder: string, notes: Buffer): Promise<void>

  /** Ends a turn of sending: one attempt more, and nothing has begun. Durable once it resolves. */
  settle(id: string, holder: string, settlement: Settlement, now: number): Promise<void>

  /** When the next message will be due (now: at once), apart from lanes in `except`; undefined: nothing waits that could be. */
  nextDue(now: number, except: string[]): Promise<number | undefined>

  /**
   * Takes ended messages (parked or delivered) of these nodes that nobody was told of, oldest first, unless somebody
   * else holds them to tell.
   */
  untold(hold: Hold & { owners: string[] }): Promise<StoredMessage[]>
  markTold(id: string): Promise<void>
  /** What was taken by {@link untold} and not told, because its node has gone meanwhile: it may be taken at once. */
  leaveUntold(id: string, holder: string): Promise<void>

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

  /**
   * In the order of acceptance, unless the query says otherwise.
   * @throws RedoxError REDOX_STORE_LOST when the message `after` is not there any more
   */
  find(query: Query): Promise<StoredMessage[]>
  /** Ids of all that are in one of these states, in the order of acceptance; contents are not read for it. */
  ids(criteria: Criteria, states: readonly MessageState[]): Promise<string[]>
  /** Lanes that something waits, is held or is parked in, and those that are paused. */
  lanes(): Promise<LaneState[]>
  counts(): Promise<Record<MessageState, number>>

  /**
   * `resend`: waits again at its old place, due at once, with no attempts and as long a deadline as it had; from any
   * state but held and waiting. `mark-delivered`, `discard`: of what is waiting or parked; its node is not told.
   * `extend`: what is waiting is tried until the deadline of the terms. Not of what is {@link MOVING}. Writes a line of
   * the audit.
   * @throws RedoxError REDOX_STORE_LOST for a message in another state, that is not there, or that `extend` would not
   *   have tried for longer
   */
  decide(
    id: string,
    action: Action,
    reason: string,
    who: string,
    now: number,
    terms?: DecisionTerms,
  ): Promise<void>
  /** Pauses or resumes a lane, and writes a line of the audit. */
  pause(lane: string, isPaused: boolean, reason: string, who: string, now: number): Promise<void>
  /** Writes a line of the audit: somebody looked at what is in a message. */
  looked(id: string, reason: string, who: string, now: number): Promise<void>
  /** Writes a line of the audit: this store was begun instead of one that could not be read. */
  begun(setAside: string, reason: string, who: string, now: number): Promise<void>
  /** Oldest first, lines after that many. */
  audit(request: { skip: number; limit: number }): Promise<AuditLine[]>

  /** Stores sealed chunks under a name, once; durable once it resolves. A file that is not complete is never seen. */
  putFile(name: string, chunks: AsyncIterable<Buffer>): Promise<void>
  hasFile(name: string): Promise<boolean>
  /** The chunks as they were given. */
  readFile(name: string): AsyncIterable<Buffer>

  /**
   * Forgets what was delivered or discarded before, but what its node was not told of only {@link UNTOLD_MS} after its
   * end; and files that no message has any more, or that were stored an hour before `now` and belong to none.
   * @returns how many messages
   */
  purge(before: number, now: number): Promise<number>

  /** The limit of requests, for all who share the store. */
  pace(perFiveMinutes: number): PaceKeeper

  close(): Promise<void>
}
