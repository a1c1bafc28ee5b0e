import { isRefusedLater } from '../../shared/values'
import { STATES, type MessageState } from '../types'
import { storeMissing } from './errors'
import { KEY, lastPartOf, under } from './keys'
import type { Reader } from './reader'
import { isForgettable, type LevelRow } from './rows'

/** Counts of the open and parked messages of a destination. */
export interface DestinationCount {
  /** number of messages that are waiting or being sent */
  open: number
  parked: number
  /** number of open and parked messages, by the id of the node that accepted them */
  owners: Map<string, number>
  /** numbers of ordered messages that follow their whole destination, because they have no order key */
  withoutKey: { open: number; parked: number }
}
const noMessages = (): DestinationCount => ({
  ...{ open: 0, parked: 0, owners: new Map<string, number>() },
  withoutKey: { open: 0, parked: 0 },
})
const NOTHING: Readonly<DestinationCount> = noMessages()

/**
 * Numbers of open and parked messages, and the rows of the messages that are being sent, kept in memory. They are read
 * from LevelDB when the store is opened or repaired, and updated by each write.
 */
export class Counters {
  /** messages that are being sent, by id: few, and each step of a delivery needs them */
  readonly sending = new Map<string, LevelRow>()
  readonly states = Object.fromEntries(STATES.map((state) => [state, 0])) as Record<MessageState, number>
  /** number of delivered messages that a destination refused later */
  refusedLater = 0
  /** numbers for each destination that has open or parked messages */
  readonly #destinations = new Map<string, DestinationCount>()
  /** sequence number of the last accepted message */
  sequence = 0
  forgotten = 0
  auditLines = 0

  get destinations(): string[] {
    return [...this.#destinations.keys()]
  }

  get openDestinations(): string[] {
    return [...this.#destinations].flatMap(([name, { open }]) => (open > 0 ? [name] : []))
  }

  of(destination: string): Readonly<DestinationCount> {
    return this.#destinations.get(destination) ?? NOTHING
  }

  add(row: LevelRow, more: 1 | -1): void {
    this.states[row.state] += more
    if (row.state === 'sending') this.#addSending(row, more)
    if (isRefusedLater(row)) this.refusedLater += more
    this.#addToDestination(row, more)
  }

  #addSending(row: LevelRow, more: 1 | -1): void {
    if (more === 1) this.sending.set(row.id, row)
    else this.sending.delete(row.id)
  }

  #addToDestination({ destination, ordered, orderKey, owner, state }: LevelRow, more: 1 | -1): void {
    if (isForgettable(state)) return
    const known = this.#destinations.get(destination) ?? noMessages()
    const kind = state === 'parked' ? 'parked' : 'open'
    known[kind] += more
    if (ordered && orderKey === undefined) known.withoutKey[kind] += more
    const ofOwner = (known.owners.get(owner) ?? 0) + more
    if (ofOwner > 0) known.owners.set(owner, ofOwner)
    else known.owners.delete(owner)
    if (known.owners.size > 0) this.#destinations.set(destination, known)
    else this.#destinations.delete(destination)
  }

  /**
   * Counts the messages in LevelDB again.
   * @throws RedoxError REDOX_STORE_UNREADABLE if messages are missing: LevelDB silently skips parts of its log that it
   *   cannot read
   */
  async recount(reader: Reader): Promise<void> {
    let found = 0
    let last = 0
    for (const state of STATES) {
      this.states[state] = 0
      for await (const key of reader.keys(`state!${state}`)) {
        this.states[state]++
        found++
        last = Math.max(last, Number(lastPartOf(key)))
      }
    }
    this.refusedLater = await reader.count('refused-later')
    this.sending.clear()
    for (const row of await reader.rows('state!sending')) this.sending.set(row.id, row)
    this.#destinations.clear()
    for (const index of ['open', 'parked'])
      for await (const row of reader.each(under(index))) this.#addToDestination(row, 1)
    this.sequence = Math.max(last, await reader.number(KEY.last))
    this.forgotten = await reader.number(KEY.forgotten)
    if (found !== this.sequence - this.forgotten) throw storeMissing(this.sequence - this.forgotten - found)
    this.auditLines = await lastAuditNumber(reader)
  }
}

export async function lastAuditNumber(reader: Reader): Promise<number> {
  const last = await reader.lastKey('audit')
  return last === undefined ? 0 : Number(lastPartOf(last))
}
