/**
 * Keys of the LevelDB of a store. LevelDB sorts keys as strings, so numbers are padded, and values that a flow may
 * choose are escaped. A change of the keys needs a new step in `migrations.ts`.
 */
import type { BatchOperation, ClassicLevel } from 'classic-level'
import type { MessageState } from '../types'
import { digits } from './identity'

export type Database = ClassicLevel<string, Buffer>
export type Change = BatchOperation<Database, string, Buffer>
export interface KeyRange {
  gt: string
  lt: string
}

export const escaped = (value: string): string => encodeURIComponent(value).replaceAll('!', '%21')

export const KEY = {
  version: 'meta!version',
  mark: 'meta!mark',
  /** last reading of the store's clock, see {@link SteadyClock} */
  clock: 'meta!clock',
  /** id of the store, the same as in the identity file */
  identity: 'meta!identity',
  /** number of flushes; never lower than in the identity file */
  flushed: 'meta!flushed',
  /**
   * sequence number of the last accepted message, and number of deleted messages; their difference is the number of
   * messages in the store
   */
  last: 'meta!last',
  forgotten: 'meta!forgotten',
  row: (id: string) => `row!${id}`,
  content: (id: string) => `content!${id}`,
  notes: (id: string) => `notes!${id}`,
  /** index of waiting and sending messages, in the order of acceptance */
  open: (destination: string, sequence: string) => `open!${escaped(destination)}!${sequence}`,
  /**
   * index of waiting and sending messages, and of ordered parked ones, in the order of acceptance: an ordered message
   * is sent when it is the first of its destination
   */
  line: (destination: string, sequence: string) => `line!${escaped(destination)}!${sequence}`,
  /**
   * index of the messages in `line` by what they follow: their order key, or their destination if they have none. An
   * ordered message with an order key is sent when it is the first of both
   */
  turn: (turn: string, sequence: string) => `turn!${escaped(turn)}!${sequence}`,
  /** index of waiting messages that are the first with their order key, by the time when they are due */
  first: (destination: string, dueAt: number, sequence: string) =>
    `first!${escaped(destination)}!${digits(dueAt)}!${sequence}`,
  /** index of parked messages that other messages with the same order key wait for */
  blocking: (destination: string, sequence: string) => `blocking!${escaped(destination)}!${sequence}`,
  /** index of unordered waiting messages, by the time when they are due */
  due: (destination: string, dueAt: number, sequence: string) =>
    `due!${escaped(destination)}!${digits(dueAt)}!${sequence}`,
  parked: (destination: string, sequence: string) => `parked!${escaped(destination)}!${sequence}`,
  state: (state: MessageState, sequence: string) => `state!${state}!${sequence}`,
  /** index of delivered messages that a destination refused later */
  refusedLater: (sequence: string) => `refused-later!${sequence}`,
  tag: (tag: string, sequence: string) => `tag!${escaped(tag)}!${sequence}`,
  untold: (owner: string, sequence: string) => `untold!${escaped(owner)}!${sequence}`,
  /** index of delivered and discarded messages, by the time when they ended */
  ended: (at: number, sequence: string) => `ended!${digits(at)}!${sequence}`,
  file: (name: string, id: string) => `file!${name}!${id}`,
  paused: (destination: string) => `paused!${escaped(destination)}`,
  audit: (number: number) => `audit!${digits(number)}`,
}

/** Returns the range of all keys with a prefix. */
export const under = (prefix: string): KeyRange => ({ gt: `${prefix}!`, lt: `${prefix}"` })
export const lastPartOf = (key: string): string => key.slice(key.lastIndexOf('!') + 1)

export const bytes = (value: string): Buffer => Buffer.from(value, 'utf8')
export const json = (value: unknown): Buffer => bytes(JSON.stringify(value))
export const put = (key: string, value: Buffer): Change => ({ type: 'put', key, value })
export const del = (key: string): Change => ({ type: 'del', key })
