/**
 * Rows: the messages of the embedded store without their encrypted content and attempt record. Also the change of a row
 * by an action of a person.
 */
import {
  STATES,
  type Action,
  type DecisionTerms,
  type MessageState,
  type Query,
  type StoredMessage,
} from '../types'
import { isRefusedLater } from '../../shared/values'
import { damagedStore } from './errors'
import { escaped, KEY } from './keys'

/** Message without its encrypted content and attempt record, which are stored under keys of their own. */
export interface LevelRow extends Omit<StoredMessage, 'content' | 'notes'> {
  /** position in the order of acceptance */
  sequence: string
  /** milliseconds from the acceptance to the deadline */
  retryFor: number
  /** id of the process that has the lease, and end of the lease (milliseconds since 1970) */
  holder?: string
  leasedUntil?: number
}

export const isOpen = (state: MessageState): boolean => state === 'waiting' || state === 'sending'
export const isForgettable = (state: MessageState): boolean => state === 'delivered' || state === 'discarded'

/**
 * Parses a stored row.
 * @throws RedoxError REDOX_STORE_UNREADABLE
 */
export function rowOf(found: Buffer): LevelRow {
  try {
    return JSON.parse(found.toString()) as LevelRow
  } catch {
    throw damagedStore()
  }
}

/** Returns true for a message that ordered messages after it wait for. */
export const isInLine = ({ state, ordered }: Pick<LevelRow, 'state' | 'ordered'>): boolean =>
  isOpen(state) || (ordered && state === 'parked')

/**
 * Returns the index keys of a message, which depend on its state. For the index keys that depend on other messages, see
 * `order-keys.ts`.
 */
export function indexKeysOf(row: LevelRow): string[] {
  const { state, destination, ordered, orderKey, sequence, dueAt, announced, owner, endedAt = 0 } = row
  return [
    KEY.state(state, sequence),
    ...(isOpen(state) ? [KEY.open(destination, sequence)] : []),
    ...(isInLine({ state, ordered })
      ? [KEY.line(destination, sequence), KEY.turn(orderKey ?? destination, sequence)]
      : []),
    ...(!ordered && state === 'waiting' ? [KEY.due(destination, dueAt, sequence)] : []),
    ...(state === 'parked' ? [KEY.parked(destination, sequence)] : []),
    ...(isForgettable(state) ? [KEY.ended(endedAt, sequence)] : []),
    ...(isRefusedLater(row) ? [KEY.refusedLater(sequence)] : []),
    ...(!isOpen(state) && !announced ? [KEY.untold(owner, sequence)] : []),
  ]
}

/** Returns the row without its lease. */
export const withoutLease = ({ holder: _holder, leasedUntil: _until, ...row }: LevelRow): LevelRow => row

/** Returns the tags of a message with further ones, each once. */
export const union = (tags: readonly string[], added: readonly string[]): string[] => [
  ...new Set([...tags, ...added]),
]

export const hasStatus = (
  row: LevelRow,
  { state, reason, endedAt }: NonNullable<DecisionTerms['seen']>,
): boolean => row.state === state && row.reason === reason && row.endedAt === endedAt

/** Status of a message that was not tried yet: a new one, or one that a person had sent again. */
export const UNTRIED = {
  state: 'waiting',
  attempts: 0,
  dueAt: 0,
  requestStarted: false,
  announced: false,
} as const

/**
 * Returns the row after an action of a person.
 * @param deadline new deadline, for `extend` only
 */
export function applyActionToRow(row: LevelRow, action: Action, now: number, deadline = 0): LevelRow {
  if (action === 'extend') return { ...row, deadline }
  const { reason: _reason, endedAt: _endedAt, ...kept } = withoutLease(row)
  if (action === 'resend') {
    return { ...kept, ...UNTRIED, deadline: now + row.retryFor }
  }
  const state = action === 'discard' ? 'discarded' : 'delivered'
  return { ...kept, state, reason: action, endedAt: now, announced: true }
}

/** Returns the prefixes of the keys that a search for these criteria has to read. */
export function prefixesOf({ id, tag, state, code }: Omit<Query, 'limit'>): string[] {
  if (id !== undefined) return ['row']
  if (tag !== undefined) return [`tag!${escaped(tag)}`]
  if (state === 'delivered' && isRefusedLater({ state, reason: code })) return ['refused-later']
  return (state ? [state] : STATES).map((one) => `state!${one}`)
}

export function isWanted(row: LevelRow, wanted: Omit<Query, 'limit'>): boolean {
  const { state, destination, id, tag, code, since = 0, till = Infinity } = wanted
  return (
    (state === undefined || row.state === state) &&
    (destination === undefined || row.destination === destination) &&
    (id === undefined || row.id === id) &&
    (tag === undefined || row.tags.includes(tag)) &&
    (code === undefined || row.reason === code) &&
    row.acceptedAt >= since &&
    row.acceptedAt <= till
  )
}

/** Sorts rows in the order of acceptance, in place. */
export const sortByAcceptance = <T extends Pick<LevelRow, 'sequence'>>(rows: T[]): T[] =>
  rows.sort((a, b) => (a.sequence < b.sequence ? -1 : 1))
