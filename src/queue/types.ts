/**
 * Terms of durable delivery, with one meaning each.
 *
 * - Job, queued message: a message that was accepted, with all that is needed to send it and to emit its result.
 * - Store: database or folder that contains the jobs: LevelDB for a single process, PostgreSQL for several that share
 *   it.
 * - Owner: id of the Node-RED node that accepted the job and emits its result.
 * - Destination: target of a job: the EHR of a FHIR connection, or the destinations of a Data Model message.
 * - Ordered job: a job that is sent only after all earlier jobs of its destination, or of its patient at the
 *   destination, see `MessageOrder`. Order key: keyed hash of a destination and a patient.
 * - State: see {@link STATES}. Open: waiting or sending. Done: delivered or discarded.
 * - Parked: not sent until a person decides, because the message was refused or its outcome is unknown. A parked job
 *   also stops the ordered jobs after it.
 * - Lease ({@link Lease}): a claimed job belongs to one holder (a process) until the lease ends; then others may claim
 *   it.
 * - Attempt: the time from the claim to the settlement. `requestStarted`: a request was started and may have arrived.
 * - Deadline: no attempt begins after this time. Due: the next attempt may begin.
 * - Settlement: the new state of a job after an attempt.
 * - Verdict: what the destinations did with a delivered job, by Redox's logs. The job stays delivered.
 * - Announced: the job's node has emitted the result. Unannounced results are stored longer, see `UNANNOUNCED_MS`.
 * - Content, notes: the accepted message, and the facts known since then (uploads, outcome). Sealed: encrypted with a
 *   key that the store does not have.
 * - Tag: a keyed hash by which a job is found. Equal jobs: jobs with the same tag of their document, see `duplicates.ts`.
 *   File, blob: a document, stored once for all jobs that contain it.
 * - Key check value: an encrypted constant. A store key that decrypts it is the right one.
 * - Audit log: the decisions of people and their reasons. Lines are added, never changed.
 * - Paused: nothing is sent to a destination until a person resumes it. Rate limiter: limit of requests for all
 *   processes.
 */
import {
  ACTIONS,
  isRefusedLater,
  MESSAGE_STATES as STATES,
  type Action,
  type MessageState,
  type StoreWarning,
} from '../shared/values'
import type { WaitingReason } from '../shared/outbox-api'
import type { RateLimiter } from '../transport/rate-limiter'
import type { AuditContext, AuditLine } from './audit'
import type { EqualCheck, EqualMessage } from './equal-message'
import type { EvictionKind } from './eviction'
import type { Settlement, VerdictChange } from './settlement'
import type { StoreClock } from './store-clock'

export { ACTIONS, STATES, type Action, type MessageState, type Settlement, type VerdictChange }

/**
 * Order in which messages to a destination are sent. `destination`: each one after all earlier ones; `patient`: each
 * one after all earlier ones of its patient; `none`: in any order.
 */
export type MessageOrder = 'destination' | 'patient' | 'none'

export interface NewMessage {
  /** id of the job; a second job with the same id is ignored */
  id: string
  /** destination, see the terms above */
  destination: string
  /**
   * true: the job is sent after all earlier jobs that it has to follow, and not while one of them is parked. Other jobs
   * are sent in any order.
   */
  ordered: boolean
  /**
   * keyed hash of destination and patient: the ordered job follows the jobs with the same order key, and those of its
   * destination without one. undefined: it follows all jobs of its destination
   */
  orderKey?: string
  /** id of the node that accepted the job and emits its result */
  owner: string
  acceptedAt: number
  /** time after which no attempt begins */
  deadline: number
  /** names of the job's files in the store, each a keyed hash */
  files: string[]
  /** tags by which the job can be found */
  tags: string[]
  /** encrypted message, which never changes */
  content: Buffer
}

export interface StoredMessage extends NewMessage {
  state: MessageState
  /** number of completed attempts */
  attempts: number
  /** earliest time at which the next attempt may begin */
  dueAt: number
  /** true: a request was started, and its outcome is not stored yet */
  requestStarted: boolean
  /** stable code: why the job waits or is parked, the action that ended it, or the verdict about a delivered job */
  reason?: string
  /** encrypted facts known so far (uploaded files, outcome) */
  notes?: Buffer
  /** true: the job's node has emitted the result */
  announced: boolean
  /** time when the job was delivered, parked or discarded */
  endedAt?: number
}

/** Lease on claimed jobs: they belong to `holder` for `leaseMs` milliseconds, by the clock of the store. */
export interface Lease {
  /** id of a process, new at each start */
  holder: string
  leaseMs: number
  limit: number
}

/** Search criteria. A message has to match all given fields. */
export interface Criteria {
  destination?: string
  /** id of the message, exact match */
  id?: string
  tag?: string
  /** `reason` of the message, exact match */
  code?: string
  /** earliest and latest time of acceptance, both included */
  since?: number
  till?: number
  /** id of a message: only messages after it in the order of the search */
  after?: string
}

export interface Query extends Criteria {
  state?: MessageState
  /** true: newest first, otherwise in the order of acceptance */
  newestFirst?: boolean
  limit: number
}

/** Status of a message, in the fields that are kept when it is moved to another store. */
export type MessageStatus = Pick<StoredMessage, 'state' | 'reason' | 'dueAt' | 'announced' | 'endedAt'>

/**
 * Reason of a message that is parked because it is being moved to another store. Until the move is finished, the
 * message is not sent, and no action can be applied to it. See `move-store.ts`.
 */
export const MOVING = 'REDOX_STORE_MOVING'

/** States in which each action is possible. */
export const DECIDABLE: Readonly<Record<Action, readonly MessageState[]>> = {
  resend: ['parked', 'delivered', 'discarded'],
  'mark-delivered': ['waiting', 'parked'],
  discard: ['waiting', 'parked'],
  extend: ['waiting'],
}
/** Actions that are also possible for a message that a destination refused after its delivery. */
export const DECIDABLE_LATER: readonly Action[] = ['mark-delivered', 'discard']

/** Returns true if an action is possible for a message in this status. */
export const isDecidable = (message: Pick<StoredMessage, 'state' | 'reason'>, action: Action): boolean =>
  message.reason !== MOVING &&
  (DECIDABLE[action].includes(message.state) || (isRefusedLater(message) && DECIDABLE_LATER.includes(action)))

/** Optional parameters of an action. */
export interface DecisionTerms {
  /** encrypted attempt record that replaces the stored one */
  notes?: Buffer
  /** tags that are added to those of the message */
  tags?: string[]
  /** new deadline, with `extend` only */
  deadline?: number
  /** status that the person saw; if the message has changed since then, the action is refused */
  seen?: Pick<StoredMessage, 'state' | 'reason' | 'endedAt'>
}

export interface DestinationState {
  destination: string
  /** number of messages that are waiting or being sent */
  open: number
  parked: number
  /** ids of the nodes that accepted the open and parked messages */
  owners: string[]
  /** time when the oldest open message was accepted */
  oldest?: number
  /** true: a person has paused the destination */
  paused: boolean
  /**
   * parked message that all ordered messages to the destination after it wait for, or, if it has an order key, those
   * without one; and its reason
   */
  blockedBy?: { id: string; reason: string }
  /**
   * number of order keys (patients) of which the first message is parked and others wait behind it, while those of
   * other keys are sent; undefined: none
   */
  blockedPatients?: number
}

/** Part of a store for the queue sender: accepts, claims, settles, announces and deletes messages. */
export interface QueueStore {
  /**
   * Checks that messages can be accepted. Accepted messages may be sent even if this fails.
   * @throws RedoxError with the reason
   */
  check(): Promise<void>

  /**
   * Stores a message. Durable once the promise resolves. If a message with the same id exists, the existing message is
   * kept. With a check, also looks for an equal message, in the same atomic step: of two equal messages that are
   * accepted at the same time, the second one sees the first, also if another process accepts it.
   * @returns the equal message, if there is one; a delivered one rather than an open or parked one
   * @throws RedoxError REDOX_STORE_LOST if one of the files is not stored or was just deleted; REDOX_BAD_INPUT if an id
   *   or the destination contains characters that cannot be stored
   */
  accept(message: NewMessage, check?: EqualCheck): Promise<EqualMessage | undefined>

  /**
   * Leases messages that are due, and returns them. Ordered messages: only the first one of its destination or order
   * key, and none while it is being sent, parked or not due. No messages of paused destinations, or of destinations in `except`. No
   * destination uses up the limit while others wait. Messages whose lease has ended are included; `requestStarted` then
   * shows if a request may have arrived.
   */
  claim(lease: Lease & { except: string[] }): Promise<StoredMessage[]>

  /**
   * Records the present time, so that people and processes that read a shared database see that a process serves the
   * queue.
   */
  touch(): Promise<void>

  /** Extends the leases by `leaseMs` from now. */
  renew(holder: string, ids: string[], leaseMs: number): Promise<void>

  /** Records that a request for the message is about to start. Durable once the promise resolves. */
  recordRequestStart(id: string, holder: string): Promise<void>

  /** Replaces the attempt record (`notes`) of a message. Durable once the promise resolves. */
  recordNotes(id: string, holder: string, notes: Buffer): Promise<void>

  /**
   * Ends an attempt: counts it, clears `requestStarted`, and applies the settlement. Durable once the promise resolves.
   */
  settle(id: string, holder: string, settlement: Settlement, now: number): Promise<void>

  /**
   * Replaces reason and attempt record of a delivered message. Durable once the promise resolves.
   * @returns false if the message is not delivered, a person has marked it as delivered, or its attempt record has
   *   changed; nothing is changed then
   */
  recordVerdict(id: string, change: VerdictChange): Promise<boolean>

  /**
   * Returns the time when the next message will be due (`now` if one is due already), apart from destinations in
   * `except`; undefined if no message can become due.
   */
  nextDue(now: number, except: string[]): Promise<number | undefined>

  /**
   * Leases unannounced results (of parked or delivered messages) of these nodes and returns the messages, oldest first.
   * Skips results that another holder is announcing.
   */
  claimUnannounced(lease: Lease & { owners: string[] }): Promise<StoredMessage[]>
  markAnnounced(id: string): Promise<void>
  /**
   * Ends the lease of a result that {@link claimUnannounced} returned, but that was not announced, because its node is
   * gone. Any holder can then lease the result at once.
   */
  releaseUnannounced(id: string, holder: string): Promise<void>

  /**
   * Deletes messages that were delivered or discarded before a time (unannounced ones only `UNANNOUNCED_MS` after
   * their end, refused ones `REFUSED_LATER_MS`), with the files that no other message contains. Cheap if there are
   * none.
   * @returns number of deleted messages
   */
  purge(before: number, now: number): Promise<number>
  /**
   * Deletes the oldest ended messages of a kind, with the files that no other message contains, so that {@link used}
   * falls at once. Unannounced messages are deleted as in {@link purge}.
   * @param limit greatest number of messages
   * @returns number of deleted messages; less than `limit`: there are no more
   */
  evict(kind: EvictionKind, limit: number, now: number): Promise<number>
  /**
   * Deletes files without a message that were stored more than an hour before `now`: their message was never accepted.
   * Examines all files.
   */
  sweep(now: number): Promise<void>

  /** Returns the rate limiter that all processes of the store share. */
  rateLimiter(perFiveMinutes: number): RateLimiter
}

/** Part of a store for people's searches and actions, and for moving messages to another store. */
export interface AdminStore {
  /**
   * Returns messages in the order of acceptance, or newest first.
   * @throws RedoxError REDOX_STORE_LOST if the message `after` is no longer stored
   */
  find(query: Query): Promise<StoredMessage[]>
  /** Returns the ids of all messages in these states, in the order of acceptance, without reading their contents. */
  ids(criteria: Criteria, states: readonly MessageState[]): Promise<string[]>
  /** Returns the destinations that have open or parked messages, or are paused. */
  destinations(): Promise<DestinationState[]>
  /**
   * Returns why waiting messages are not sent now, by their ids. Of the messages that an ordered one follows, names the
   * first parked one, or the first one if none is parked. Without messages that wait only for their next attempt.
   */
  waitingReasons(ids: readonly string[]): Promise<ReadonlyMap<string, WaitingReason>>
  counts(): Promise<Record<MessageState, number>>
  /** Returns the number of delivered messages that a destination refused after Redox had accepted them. */
  refusedLater(): Promise<number>
  /**
   * Returns the number of bytes that the store occupies: the files in the folder of an embedded store, without the disk
   * reserve, or the tables and indexes in the schema of a database, with the messages of all connections in it.
   */
  size(): Promise<number>
  /**
   * Returns the number of bytes by which the limit of a store is judged. Falls when messages are deleted, unlike
   * {@link size} of a database, whose tables keep the space of deleted rows: the folder of an embedded store as in
   * {@link size}, or the contents of the messages and files of this connection in a database.
   */
  used(): Promise<number>

  /**
   * Applies an action to a message, and writes a line of the audit log. `resend` (of a parked, delivered or discarded
   * message): it waits again in its old position, due at once, with no attempts and a new deadline of the same
   * duration. `mark-delivered`, `discard` (of a waiting or parked message, or of one that a destination refused later):
   * it is done from now on; its node emits no result. `extend` (of a waiting message): `terms.deadline` replaces the
   * present deadline. No action applies to a message that is {@link MOVING}.
   * @throws RedoxError REDOX_STORE_LOST if the message is in another state or no longer stored, or if `extend` would
   *   not make its deadline later
   */
  applyAction(id: string, action: Action, context: AuditContext, terms?: DecisionTerms): Promise<void>
  /** Pauses or resumes a destination, and writes a line of the audit log. */
  pause(destination: string, isPaused: boolean, context: AuditContext): Promise<void>
  /**
   * Makes the waiting messages that may be sent next due at once, and writes a line of the audit log.
   * @param destination undefined: of all destinations
   * @returns number of messages that would have been due later
   */
  tryNow(destination: string | undefined, context: AuditContext): Promise<number>
  /** Writes a line of the audit log: a person looked at the content of a message, or looked it up in Redox's logs. */
  recordAccess(id: string, action: 'look' | 'look-up', context: AuditContext): Promise<void>
  /** Writes a line of the audit log, which records that this store replaces a store that could not be read. */
  recordReplacement(setAside: string, context: AuditContext): Promise<void>
  /** Returns lines of the audit log, oldest first, after the first `skip` lines. */
  audit(request: { skip: number; limit: number }): Promise<AuditLine[]>
  /** Returns the number of lines in the audit log. */
  auditLength(): Promise<number>

  /**
   * Stores a message from another store with its status, after all messages of this store. If a message with the same
   * id exists, the existing message is kept. The files have to be stored before the message. Durable once the promise
   * resolves.
   */
  insertMoved(message: StoredMessage): Promise<void>
  /**
   * Sets the status and the attempt record (`notes`) of a message. Its position in the order remains unchanged. Durable
   * once the promise resolves.
   * @param line line for the audit log, if one is to be written
   * @throws RedoxError REDOX_STORE_LOST if the message is being sent, or is not stored
   */
  setStatus(id: string, standing: MessageStatus & { notes: Buffer }, line?: AuditLine): Promise<void>
  /** Deletes a message, and those of its files that no other message contains. Durable once the promise resolves. */
  remove(id: string): Promise<void>
}

/** Part of a store for the encrypted files of messages. */
export interface BlobStore {
  /**
   * Stores the encrypted chunks of a file under a name, unless the store has that file. Durable once the promise
   * resolves. An incomplete file is never visible.
   */
  putFile(name: string, chunks: AsyncIterable<Buffer>): Promise<void>
  hasFile(name: string): Promise<boolean>
  /** Yields the encrypted chunks of a file as they were passed to `putFile`. */
  readFile(name: string): AsyncIterable<Buffer>
}

/**
 * Contract of the stores, in three parts. One test suite covers all stores.
 *
 * A store contains no readable patient data: `content` and `notes` are encrypted, and tags are keyed hashes. All
 * failures are RedoxErrors: REDOX_STORE_UNAVAILABLE, _LOCKED, _UNREADABLE, _NEWER, _FULL or _LOST.
 *
 * Times are milliseconds since 1970 by the clock of the store, see {@link StoreClock}: the clock of one process, or of
 * the database that several share.
 */
export interface DeliveryStore extends QueueStore, AdminStore, BlobStore {
  /**
   * Stores `own` as the key check value unless one exists, and returns the stored one. A caller with another store key
   * cannot decrypt it.
   */
  keyCheckValue(own: Buffer): Promise<Buffer>

  /** Random id of this store, which never changes. Known after `keyCheckValue` has resolved. */
  readonly identity: string

  readonly clock: StoreClock

  /** Settings of the database server that the store found when it was opened. Empty for the embedded store. */
  readonly warnings: readonly StoreWarning[]

  close(): Promise<void>
}
