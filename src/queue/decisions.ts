import { RedoxError } from '../errors'
import { toStoreTime, toWallTime } from './store-clock'
import type { SealedStore } from './jobs'
import {
  isDecidable,
  STATES,
  type Action,
  type Criteria,
  type DecisionTerms,
  type DeliveryStore,
  type MessageState,
  type StoredMessage,
} from './types'

/**
 * Decisions of people (send again, discard, extend the deadline, …) about accepted messages, one message or many at
 * once. Each message is changed in an atomic step of its own, together with a line of the audit log: after an
 * interruption, running the same decision again continues.
 *
 * A decision about many messages sends a message again only if the person has confirmed the risk by the error code in
 * the filter. A message that may have arrived is skipped unless the filter names `REDOX_OUTCOME_UNKNOWN`, and a message
 * that was parked because of its account unless the filter names `REDOX_OTHER_ACCOUNT`. Messages that are being sent,
 * or moved to another store, are always skipped.
 */

/** Filter for messages. A message has to match all given fields. */
export interface MessageCriteria {
  state?: MessageState
  /** name of the destination, exact match */
  destination?: string
  /** id of a message, or a value by which it can be found: a DocumentID, the SHA-256 of a file, a `_msgid`, the ID of a log */
  search?: string
  /** earliest and latest time of acceptance by the wall clock (system time), both included */
  since?: number
  till?: number
  /** error code because of which a message waits or is parked, exact match */
  code?: string
}

export interface Decision {
  action: Action
  /** reason that the person gives for the decision: one line, up to 200 characters */
  reason: string
  who: string
  /** with `extend` only: hours from now until the new deadline; above 0, at most {@link MOST_HOURS} */
  hours?: number
  /**
   * with `resend` only: true if messages may be sent through another account than the one that they were accepted for
   */
  otherAccount?: boolean
  /** with `mark-delivered` of one message only: id of the log of Redox in which the person found the message */
  logId?: string
}

/** Decision about all messages that match a filter. */
export interface DecisionAboutMany extends Decision {
  /** filter for the messages */
  filter: MessageCriteria
}

/** Conditions under which many messages are decided on. */
export interface DecideOptions {
  /** signal that ends the run after the current message */
  signal?: AbortSignal
  /** undefined: messages may only be sent through the account that they were accepted for */
  accounts?: AccountCheck
  /** true: with any action, messages that may have arrived are skipped */
  onlyCertain?: boolean
  /** called for each message that is skipped, with the code of the reason */
  onSkipped?: (id: string, code: SkipCode) => void
}

/**
 * Reason why a message is skipped: it is in another state or no longer stored, it may have arrived, it is for another
 * account, or its content cannot be decrypted.
 */
export type SkipCode =
  'REDOX_STORE_LOST' | 'REDOX_OUTCOME_UNKNOWN' | 'REDOX_OTHER_ACCOUNT' | 'REDOX_STORE_UNREADABLE'

/** Compares the account of messages with the account that the connection has now. The queue sender implements it. */
export interface AccountCheck {
  isForOtherAccount(message: StoredMessage): Promise<boolean>
  /**
   * returns the attempt record, encrypted, with the permission to send the message through the connection's present
   * account
   */
  allowingThisAccount(message: StoredMessage): Promise<Buffer>
}

export interface DecisionResult {
  decided: number
  /** number of messages that were not changed */
  left: number
  /**
   * with `extend` only: number of messages in `left` whose deadline is not earlier than the new one; undefined: none
   */
  unchanged?: number
  /** error code of the store, if a failure of the store ended the run early */
  stoppedBy?: string
}

export const MOST_HOURS = 720
const AN_HOUR_MS = 3_600_000

const OPEN: readonly MessageState[] = ['waiting', 'sending', 'parked']
/** States of the messages that an action applies to, if the filter names no state. */
const DEFAULT_STATES: Readonly<Record<Action, readonly MessageState[]>> = {
  resend: ['parked'],
  'mark-delivered': OPEN,
  discard: OPEN,
  extend: ['waiting', 'sending'],
}

/**
 * Returns the ids of all messages that a decision about many applies to, in the order of acceptance. The person sees
 * their number before deciding.
 * @param action undefined: all messages that match the filter
 * @param after id of a message: only messages after it
 */
export async function matchingIds(
  sealedStore: SealedStore,
  filter: MessageCriteria,
  action?: Action,
  after?: string,
): Promise<string[]> {
  const { store } = sealedStore
  const criteria = { ...(await criteriaOf(sealedStore, filter)), ...(after !== undefined && { after }) }
  return store.ids(criteria, statesFor(filter, action))
}

/**
 * Applies a decision to the messages with the given ids, one after the other. Messages that no longer match the filter
 * are skipped.
 * @param ids see {@link matchingIds}
 * @throws RedoxError REDOX_STORE_… if the store fails before any message was changed
 */
export async function decideAll(
  sealedStore: SealedStore,
  ids: readonly string[],
  decision: DecisionAboutMany,
  how: DecideOptions = {},
): Promise<DecisionResult> {
  const criteria = await criteriaOf(sealedStore, decision.filter)
  const states = statesFor(decision.filter, decision.action)
  let decided = 0
  let unchanged = 0
  const result = (): DecisionResult => ({
    ...{ decided, left: ids.length - decided },
    ...(unchanged > 0 && { unchanged }),
  })
  for (const id of ids) {
    if (how.signal?.aborted) break
    try {
      const [message] = await sealedStore.store.find({ ...criteria, id, limit: 1 })
      if (!message || !states.includes(message.state)) {
        how.onSkipped?.(id, LOST)
        continue
      }
      const terms = await readable(termsAmongMany(sealedStore, message, decision, how))
      if (typeof terms === 'string') how.onSkipped?.(id, terms)
      else if (changesNothing(message, terms)) unchanged++
      else if (await isDecided(sealedStore.store, message, decision, terms)) decided++
      else how.onSkipped?.(id, LOST)
    } catch (error) {
      if (decided === 0 || !(error instanceof RedoxError)) throw error
      return { ...result(), stoppedBy: error.code }
    }
  }
  return result()
}

/**
 * Applies a decision to one message that a person has looked at.
 * @throws RedoxError REDOX_STORE_LOST if the message has changed since then; REDOX_OTHER_ACCOUNT if a message to be
 *   sent again is for another account, and the decision does not allow the account that the connection has now
 * @returns false if nothing changes, because the new deadline is not later than the present one
 */
export async function decideOne(
  sealedStore: SealedStore,
  message: StoredMessage,
  decision: Decision,
  accounts: AccountCheck,
): Promise<boolean> {
  const { store } = sealedStore
  const isForOther = decision.action === 'resend' && (await accounts.isForOtherAccount(message))
  if (isForOther && !decision.otherAccount) throw otherAccount()
  const terms = termsOf(store, message, decision)
  // If the state of the message does not allow the action, `decide` below throws. Returning false here would hide that
  // error.
  if (isDecidable(message, decision.action) && changesNothing(message, terms)) return false
  const { logId } = decision
  await decide(store, message, decision, {
    ...terms,
    ...(isForOther && { notes: await accounts.allowingThisAccount(message) }),
    ...(logId !== undefined && (await withFoundLog(sealedStore, message, logId))),
  })
  return true
}

/**
 * Returns the attempt record of a message, encrypted, with the log in which a person found the message, and the tags by
 * which the message is then found by that log.
 */
async function withFoundLog(
  sealedStore: SealedStore,
  message: StoredMessage,
  foundLogId: string,
): Promise<Pick<DecisionTerms, 'notes' | 'tags'>> {
  const record = { ...(await sealedStore.recordOf(message)), foundLogId }
  return { notes: await sealedStore.sealRecord(message.id, record), tags: sealedStore.logTags(record) }
}

/** Converts a filter to search criteria of the stores. */
export async function criteriaOf(
  { store, seal }: SealedStore,
  { destination, search, code, since, till }: MessageCriteria,
): Promise<Criteria> {
  const criteria = {
    ...(destination !== undefined && { destination }),
    ...(code !== undefined && { code }),
    ...(since !== undefined && { since: toStoreTime(store.clock, since) }),
    ...(till !== undefined && { till: toStoreTime(store.clock, till) }),
  }
  if (search === undefined) return criteria
  if ((await store.find({ id: search, limit: 1 })).length > 0) return { ...criteria, id: search }
  // Some programs write hashes in capitals, the store in small letters.
  const tag = /^[\dA-F]{64}$/i.test(search) ? search.toLowerCase() : search
  return { ...criteria, tag: seal.nameFor(tag) }
}

function statesFor({ state }: MessageCriteria, action?: Action): readonly MessageState[] {
  if (state !== undefined) return [state]
  return action === undefined ? STATES : DEFAULT_STATES[action]
}

const LOST = 'REDOX_STORE_LOST'
const UNKNOWN = 'REDOX_OUTCOME_UNKNOWN'
const OTHER_ACCOUNT = 'REDOX_OTHER_ACCOUNT'

/** Returns the parameters of an action on one of many messages, or the reason why the message is skipped. */
async function termsAmongMany(
  sealedStore: SealedStore,
  message: StoredMessage,
  decision: DecisionAboutMany,
  { accounts, onlyCertain }: DecideOptions,
): Promise<DecisionTerms | SkipCode> {
  const { action, otherAccount: isAllowed } = decision
  const { code } = decision.filter
  if (!isDecidable(message, action)) return LOST
  const terms = termsOf(sealedStore.store, message, decision)
  if (onlyCertain && (await mayHaveArrived(sealedStore, message))) return UNKNOWN
  if (action !== 'resend') return terms
  if ((await mayHaveArrived(sealedStore, message)) && code !== UNKNOWN) return UNKNOWN
  if (message.reason === OTHER_ACCOUNT && code !== OTHER_ACCOUNT) return OTHER_ACCOUNT
  if (accounts === undefined || !(await accounts.isForOtherAccount(message))) return terms
  if (!isAllowed || code !== OTHER_ACCOUNT) return OTHER_ACCOUNT
  return { ...terms, notes: await accounts.allowingThisAccount(message) }
}

/** Resolves with the reason to skip the message if its content or attempt record cannot be decrypted. */
async function readable(terms: Promise<DecisionTerms | SkipCode>): Promise<DecisionTerms | SkipCode> {
  try {
    return await terms
  } catch (error) {
    if (error instanceof RedoxError && error.code === 'REDOX_STORE_UNREADABLE') return error.code
    throw error
  }
}

/**
 * Returns true if the message, or a part of it, may have arrived at Redox. This remains true if a later attempt fails
 * with another error, and if a person discards a delivered message that a destination refused.
 */
export async function mayHaveArrived(sealedStore: SealedStore, message: StoredMessage): Promise<boolean> {
  if (message.reason === 'REDOX_OUTCOME_UNKNOWN' || message.requestStarted) return true
  const { unknown, error, delivery } = await sealedStore.recordOf(message)
  const hasArrived = message.state === 'discarded' && delivery !== undefined
  return hasArrived || unknown !== undefined || error?.code === 'REDOX_PARTIAL'
}

const termsOf = (
  store: DeliveryStore,
  seen: StoredMessage,
  { action, hours = 0 }: Decision,
): DecisionTerms =>
  action === 'extend' ? { seen, deadline: deadlineIn(hours, store.clock.now()) } : { seen }

function deadlineIn(hours: number, now: number): number {
  if (hours > 0 && hours <= MOST_HOURS) return Math.ceil(now + hours * AN_HOUR_MS)
  throw new RedoxError('REDOX_BAD_INPUT', `Hours are not valid: use a number above 0, up to ${MOST_HOURS}.`)
}

const changesNothing = ({ deadline: until }: StoredMessage, { deadline }: DecisionTerms): boolean =>
  deadline !== undefined && deadline <= until

const decide = (
  store: DeliveryStore,
  { id }: StoredMessage,
  { action, reason, who, logId }: Decision,
  terms: DecisionTerms,
): Promise<void> => {
  const { deadline } = terms
  const until = deadline === undefined ? '' : ` (until ${isoSeconds(toWallTime(store.clock, deadline))})`
  const found = logId === undefined ? '' : ` (log ${logId})`
  const recorded = reason + until + found
  return store.applyAction(id, action, { who, reason: recorded, now: store.clock.now() }, terms)
}

/**
 * Formats the new deadline of `extend` for the audit log. The number of hours alone would not be enough there, because
 * the log does not show from when they count.
 */
const isoSeconds = (time: number): string => new Date(time).toISOString().replace(/\.\d+/, '')

/** Returns false if the message has changed in the meantime, or one of its files is missing. */
const isDecided = (...about: Parameters<typeof decide>): Promise<boolean> =>
  decide(...about).then(
    () => true,
    (error: unknown) => {
      if (error instanceof RedoxError && error.code === 'REDOX_STORE_LOST') return false
      throw error
    },
  )

const otherAccount = (): RedoxError =>
  new RedoxError(
    'REDOX_OTHER_ACCOUNT',
    'Other account: the message was accepted for a different account from the one that the connection has now. Restore the previous connection settings, ' +
      'or send "otherAccount": true to send it with this account.',
  )
