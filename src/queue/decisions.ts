import { RedoxError } from '../errors'
import { byTheClock, onTheWall } from './clock'
import type { Contents } from './jobs'
import {
  DECIDABLE,
  STATES,
  type Action,
  type Criteria,
  type DecisionTerms,
  type DeliveryStore,
  type MessageState,
  type StoredMessage,
} from './types'

/**
 * What a person decides about accepted messages, one or many at once. Each message is decided, and its line of the
 * audit written, in one atomic step of its own: an end in the middle leaves the rest as it was, and running the same
 * again goes on.
 *
 * Many at once are sent again only where the person has to know what that means. A message that may have arrived is
 * left unless the filter names `REDOX_OUTCOME_UNKNOWN`, and one that was parked for its account unless the filter names
 * `REDOX_OTHER_ACCOUNT`. What is being sent, or on its way to another store, is always left.
 */

/** Which messages. All that is given has to be true. */
export interface Filter {
  state?: MessageState
  /** a lane */
  destination?: string
  /** id of a message, or one of its tags: a DocumentID, the sha256 of a file, a `_msgid` */
  search?: string
  /** accepted between these, both included, by the clock on the wall */
  since?: number
  till?: number
  /** the code that a message waits or is parked with, exactly */
  code?: string
}

export interface Decision {
  action: Action
  /** in the person's words; up to 200 characters, on one line */
  reason: string
  who: string
  /** of `extend`: from now on; above 0, at most {@link MOST_HOURS} */
  hours?: number
  /** messages that are sent again may go over another account than the one that they were accepted for */
  otherAccount?: boolean
}

/** A decision about many messages. */
export interface DecisionAboutMany extends Decision {
  /** the messages that it is about */
  filter: Filter
}

/** Tells which messages are for another account than the connection has now; a courier does. */
export interface Accounts {
  isForOtherAccount(message: StoredMessage): Promise<boolean>
  /** notes of a message with which it may go over the account that the connection has now */
  allowingThisAccount(message: StoredMessage): Promise<Buffer>
}

export interface Decided {
  decided: number
  /** how many of the messages stay as they are */
  left: number
  /** of `extend`, how many of those left are tried as long anyway; undefined: none */
  unchanged?: number
  /** the code of the store's failure that ended it */
  stoppedBy?: string
}

export const MOST_HOURS = 720
const AN_HOUR_MS = 3_600_000

const OPEN: readonly MessageState[] = ['waiting', 'sending', 'parked']
/** What a decision about many is about when the filter names no state. */
const MEANT: Readonly<Record<Action, readonly MessageState[]>> = {
  resend: ['parked'],
  'mark-delivered': OPEN,
  discard: OPEN,
  extend: ['waiting', 'sending'],
}

/**
 * Ids of all messages that a decision about many is about, in the order of acceptance: as many as are to be shown to the
 * person before.
 * @param action undefined: all that match the filter
 * @param after those behind the message with this id
 */
export async function matching(
  contents: Contents,
  filter: Filter,
  action?: Action,
  after?: string,
): Promise<string[]> {
  const { store } = contents
  const criteria = { ...(await criteriaOf(contents, filter)), ...(after !== undefined && { after }) }
  return store.ids(criteria, meantBy(filter, action))
}

/**
 * Decides about each of these messages that still matches the filter, one after the other.
 * @param ids see {@link matching}
 * @param how `signal` ends it after the message that it is at; without `accounts` no message is let over another account
 * @throws RedoxError REDOX_STORE_… when the store could not be used for the first of them
 */
export async function decideAll(
  contents: Contents,
  ids: readonly string[],
  decision: DecisionAboutMany,
  how: { signal?: AbortSignal; accounts?: Accounts } = {},
): Promise<Decided> {
  const criteria = await criteriaOf(contents, decision.filter)
  const states = meantBy(decision.filter, decision.action)
  let decided = 0
  let unchanged = 0
  const result = (): Decided => ({
    ...{ decided, left: ids.length - decided },
    ...(unchanged > 0 && { unchanged }),
  })
  for (const id of ids) {
    if (how.signal?.aborted) break
    try {
      const [message] = await contents.store.find({ ...criteria, id, limit: 1 })
      if (!message || !states.includes(message.state)) continue
      const terms = await readable(termsAmongMany(contents, message, decision, how.accounts))
      if (terms && changesNothing(message, terms)) unchanged++
      else if (terms && (await isDecided(contents.store, message, decision, terms))) decided++
    } catch (error) {
      if (decided === 0 || !(error instanceof RedoxError)) throw error
      return { ...result(), stoppedBy: error.code }
    }
  }
  return result()
}

/**
 * Decides about one message that a person has looked at.
 * @throws RedoxError REDOX_STORE_LOST when it stands otherwise by now; REDOX_OTHER_ACCOUNT when it is to be sent again,
 *   is for another account, and may not go over this one
 * @returns false: nothing was to be changed, because the message is tried as long anyway
 */
export async function decideOne(
  { store }: Contents,
  message: StoredMessage,
  decision: Decision,
  accounts: Accounts,
): Promise<boolean> {
  const isForOther = decision.action === 'resend' && (await accounts.isForOtherAccount(message))
  if (isForOther && !decision.otherAccount) throw otherAccount()
  const terms = termsOf(store, message, decision)
  // One that may not be decided about is refused, and not said to be as it should.
  if (DECIDABLE[decision.action].includes(message.state) && changesNothing(message, terms)) return false
  await decide(store, message, decision, {
    ...terms,
    ...(isForOther && { notes: await accounts.allowingThisAccount(message) }),
  })
  return true
}

/** What of a filter the stores know. */
export async function criteriaOf(
  { store, seal }: Contents,
  { destination, search, code, since, till }: Filter,
): Promise<Criteria> {
  const criteria = {
    ...(destination !== undefined && { lane: destination }),
    ...(code !== undefined && { code }),
    ...(since !== undefined && { since: byTheClock(store.clock, since) }),
    ...(till !== undefined && { till: byTheClock(store.clock, till) }),
  }
  if (search === undefined) return criteria
  if ((await store.find({ id: search, limit: 1 })).length > 0) return { ...criteria, id: search }
  // A hash is also copied from programs that write it in capitals.
  const tag = /^[\dA-F]{64}$/i.test(search) ? search.toLowerCase() : search
  return { ...criteria, tag: seal.nameFor(tag) }
}

function meantBy({ state }: Filter, action?: Action): readonly MessageState[] {
  if (state !== undefined) return [state]
  return action === undefined ? STATES : MEANT[action]
}

/** @returns undefined: the message is left */
async function termsAmongMany(
  contents: Contents,
  message: StoredMessage,
  decision: DecisionAboutMany,
  accounts?: Accounts,
): Promise<DecisionTerms | undefined> {
  const { action, otherAccount: isAllowed } = decision
  const { code } = decision.filter
  if (!DECIDABLE[action].includes(message.state)) return undefined
  const terms = termsOf(contents.store, message, decision)
  if (action !== 'resend') return terms
  if ((await mayHaveArrived(contents, message)) && code !== 'REDOX_OUTCOME_UNKNOWN') return undefined
  if (message.reason === 'REDOX_OTHER_ACCOUNT' && code !== 'REDOX_OTHER_ACCOUNT') return undefined
  if (accounts === undefined || !(await accounts.isForOtherAccount(message))) return terms
  if (!isAllowed || code !== 'REDOX_OTHER_ACCOUNT') return undefined
  return { ...terms, notes: await accounts.allowingThisAccount(message) }
}

/** A message that cannot be read is left, for what it is cannot be told. */
async function readable(terms: Promise<DecisionTerms | undefined>): Promise<DecisionTerms | undefined> {
  try {
    return await terms
  } catch (error) {
    if (error instanceof RedoxError && error.code === 'REDOX_STORE_UNREADABLE') return undefined
    throw error
  }
}

/** Whatever it was parked for later: no failure takes back that it may have arrived. */
export async function mayHaveArrived(contents: Contents, message: StoredMessage): Promise<boolean> {
  if (message.reason === 'REDOX_OUTCOME_UNKNOWN' || message.begun) return true
  return (await contents.notesOf(message)).unknown !== undefined
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
  { action, reason, who }: Decision,
  terms: DecisionTerms,
): Promise<void> => {
  const { deadline } = terms
  const recorded =
    deadline === undefined ? reason : `${reason} (until ${isoSeconds(onTheWall(store.clock, deadline))})`
  return store.decide(id, action, { who, reason: recorded, now: store.clock.now() }, terms)
}

/** The audit tells of `extend` until when: a count of hours tells little without the time that they count from. */
const isoSeconds = (time: number): string => new Date(time).toISOString().replace(/\.\d+/, '')

/** False: it stands otherwise by now, or one of its files is missing. */
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
