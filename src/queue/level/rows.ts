/** Rows: the messages of the embedded store without content and notes, and the changes by an action. */
import {
  STATES,
  type Action,
  type DecisionTerms,
  type MessageState,
  type Query,
  type StoredMessage,
} from '../types'
import { damagedStore } from './errors'
import { escaped, KEY } from './layout'

/** Message without its content and notes, which are stored under keys of their own. */
export interface Row extends Omit<StoredMessage, 'content' | 'notes'> {
  /** position in the order of acceptance */
  sequence: string
  /** milliseconds from the acceptance to the deadline */
  span: number
  /** id of the process that has the lease, and end of the lease (milliseconds since 1970) */
  holder?: string
  heldUntil?: number
}

export const isOpen = (state: MessageState): boolean => state === 'waiting' || state === 'sending'
export const isForgettable = (state: MessageState): boolean => state === 'delivered' || state === 'discarded'

/**
 * Parses a stored row.
 * @throws RedoxError REDOX_STORE_UNREADABLE
 */
export function rowOf(found: Buffer): Row {
  try {
    return JSON.parse(found.toString()) as Row
  } catch {
    throw damagedStore()
  }
}

/** Returns the index keys of a message, which depend on its state. */
export function placesOf({ state, lane, ordered, sequence, dueAt, told, owner, endedAt = 0 }: Row): string[] {
  return [
    KEY.state(state, sequence),
    ...(isOpen(state) ? [KEY.open(lane, sequence)] : []),
    ...(isOpen(state) || (ordered && state === 'parked') ? [KEY.line(lane, sequence)] : []),
    ...(!ordered && state === 'waiting' ? [KEY.due(lane, dueAt, sequence)] : []),
    ...(state === 'parked' ? [KEY.parked(lane, sequence)] : []),
    ...(isForgettable(state) ? [KEY.ended(endedAt, sequence)] : []),
    ...(!isOpen(state) && !told ? [KEY.untold(owner, sequence)] : []),
  ]
}

/** Returns the row without its lease. */
export const released = ({ holder: _holder, heldUntil: _until, ...row }: Row): Row => row

export const standsAs = (row: Row, { state, reason, endedAt }: NonNullable<DecisionTerms['seen']>): boolean =>
  row.state === state && row.reason === reason && row.endedAt === endedAt

/**
 * Returns the row after an action of a person.
 * @param deadline new deadline, for `extend` only
 */
export function afterAction(row: Row, action: Action, now: number, deadline = 0): Row {
  if (action === 'extend') return { ...row, deadline }
  const { reason: _reason, endedAt: _endedAt, ...kept } = released(row)
  if (action === 'resend') {
    const again = { state: 'waiting', attempts: 0, dueAt: 0, begun: false, told: false } as const
    return { ...kept, ...again, deadline: now + row.span }
  }
  const state = action === 'discard' ? 'discarded' : 'delivered'
  return { ...kept, state, reason: action, endedAt: now, told: true }
}

/** Returns the prefixes of the keys that a search has to read. */
export function prefixesOf({ id, tag, state }: Omit<Query, 'limit'>): string[] {
  if (id !== undefined) return ['row']
  if (tag !== undefined) return [`tag!${escaped(tag)}`]
  return (state ? [state] : STATES).map((one) => `state!${one}`)
}

export function isWanted(row: Row, wanted: Omit<Query, 'limit'>): boolean {
  const { state, lane, id, tag, code, since = 0, till = Infinity } = wanted
  return (
    (state === undefined || row.state === state) &&
    (lane === undefined || row.lane === lane) &&
    (id === undefined || row.id === id) &&
    (tag === undefined || row.tags.includes(tag)) &&
    (code === undefined || row.reason === code) &&
    row.acceptedAt >= since &&
    row.acceptedAt <= till
  )
}

/** Sorts rows in the order of acceptance, in place. */
export const inOrder = <T extends Pick<Row, 'sequence'>>(rows: T[]): T[] =>
  rows.sort((a, b) => (a.sequence < b.sequence ? -1 : 1))
