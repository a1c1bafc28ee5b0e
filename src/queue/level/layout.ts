/**
 * The layout of the LevelDB of a store: which keys it has. They are sorted as text; numbers are padded, and what a flow
 * may choose is escaped. A change of it is a new step in `migrations.ts`.
 */
import type { BatchOperation, ClassicLevel } from 'classic-level'
import type { MessageState } from '../types'
import { digits } from './identity'

export type Database = ClassicLevel<string, Buffer>
export type Change = BatchOperation<Database, string, Buffer>
export interface Range {
  gt: string
  lt: string
}

export const escaped = (value: string): string => encodeURIComponent(value).replaceAll('!', '%21')

export const KEY = {
  version: 'meta!version',
  mark: 'meta!mark',
  /** how late it was, see {@link SteadyClock} */
  clock: 'meta!clock',
  /** which store this is; the same as in its identity file */
  identity: 'meta!identity',
  /** how many times it was flushed; never less than in its identity file */
  flushed: 'meta!flushed',
  /** sequence of the last message that was accepted, and how many were forgotten: what is left has to add up */
  last: 'meta!last',
  forgotten: 'meta!forgotten',
  row: (id: string) => `row!${id}`,
  content: (id: string) => `content!${id}`,
  notes: (id: string) => `notes!${id}`,
  /** what waits or is being sent, in the order of acceptance */
  open: (lane: string, sequence: string) => `open!${escaped(lane)}!${sequence}`,
  /** what waits or is being sent, and what is ordered and parked: whatever is ordered comes after all before it */
  line: (lane: string, sequence: string) => `line!${escaped(lane)}!${sequence}`,
  /** what has no order and waits, by when it is due */
  due: (lane: string, dueAt: number, sequence: string) => `due!${escaped(lane)}!${digits(dueAt)}!${sequence}`,
  parked: (lane: string, sequence: string) => `parked!${escaped(lane)}!${sequence}`,
  state: (state: MessageState, sequence: string) => `state!${state}!${sequence}`,
  tag: (tag: string, sequence: string) => `tag!${escaped(tag)}!${sequence}`,
  untold: (owner: string, sequence: string) => `untold!${escaped(owner)}!${sequence}`,
  /** what may be forgotten one day, by when it ended */
  ended: (at: number, sequence: string) => `ended!${digits(at)}!${sequence}`,
  file: (name: string, id: string) => `file!${name}!${id}`,
  paused: (lane: string) => `paused!${escaped(lane)}`,
  audit: (number: number) => `audit!${digits(number)}`,
}

/** All keys that begin with a prefix. */
export const under = (prefix: string): Range => ({ gt: `${prefix}!`, lt: `${prefix}"` })
export const lastPartOf = (key: string): string => key.slice(key.lastIndexOf('!') + 1)

export const bytes = (value: string): Buffer => Buffer.from(value, 'utf8')
export const json = (value: unknown): Buffer => bytes(JSON.stringify(value))
export const put = (key: string, value: Buffer): Change => ({ type: 'put', key, value })
export const del = (key: string): Change => ({ type: 'del', key })
