/** Rows: the messages of the embedded store without content and notes, and how an action changes them. */
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

/** A message without what is stored beside it. */
export interface Row extends Omit<StoredMessage, 'content' | 'notes'> {
  /** its place in the order of acceptance */
  sequence: string
  /** milliseconds from its acceptance to its deadline */
  span: number
  /** the process that has its lease, and when the lease ends */
  holder?: string
  heldUntil?: number
}

export const isOpen = (state: MessageState): boolean => state === 'waiting' || state === 'sending'
export const isForgettable = (state: MessageState): boolean => state === 'delivered' || state === 'discarded'

/** @throws RedoxError REDOX_STORE_UNREADABLE */
export function rowOf(found: Buffer): Row {
  try {
    return JSON.parse(found.toString()) as Row
  } catch {
    throw damagedStore()
  }
}

/** Keys under which a message is found, by where it stands. */
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

/** The row without a lease. */
export const released = ({ holder: _holder, heldUntil: _until, ...row }: Row): Row => row

export const standsAs = (row: Row, { state, reason, endedAt }: NonNullable<DecisionTerms['seen']>): boolean =>
  row.state === state && row.reason === reason && row.endedAt === endedAt

/** The row after an action of a person. @param deadline of `extend` */
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

/** Prefixes of the keys among which messages are looked for. */
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

/** Sorts by the order of acceptance, in place. */
export const inOrder = <T extends Pick<Row, 'sequence'>>(rows: T[]): T[] =>
  rows.sort((a, b) => (a.sequence < b.sequence ? -1 : 1))
