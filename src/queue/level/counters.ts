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
  /** number of ordered parked messages */
  blocking: number
  /** number of ordered open messages without an order key, which follow the whole destination */
  followers: number
}
const noMessages = (): DestinationCount => ({
  open: 0,
  parked: 0,
  owners: new Map(),
  blocking: 0,
  followers: 0,
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
  /** number of ordered parked messages, by their order key, or by their destination if they have none */
  readonly #blocking = new Map<string, number>()
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

  /**
   * Returns true if an ordered message is parked that others with the same order key follow.
   * @param turn order key, or destination of the messages without one
   */
  isBlocked(turn: string): boolean {
    return this.#blocking.has(turn)
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
    if (ordered && kind === 'parked') {
      known.blocking += more
      addTo(this.#blocking, orderKey ?? destination, more)
    } else if (ordered && orderKey === undefined) known.followers += more
    addTo(known.owners, owner, more)
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
    this.#blocking.clear()
    for (const index of ['open', 'parked'])
      for await (const row of reader.each(under(index))) this.#addToDestination(row, 1)
    this.sequence = Math.max(last, await reader.number(KEY.last))
    this.forgotten = await reader.number(KEY.forgotten)
    if (found !== this.sequence - this.forgotten) throw storeMissing(this.sequence - this.forgotten - found)
    this.auditLines = await lastAuditNumber(reader)
  }
}

function addTo(counts: Map<string, number>, key: string, more: number): void {
  const count = (counts.get(key) ?? 0) + more
  if (count > 0) counts.set(key, count)
  else counts.delete(key)
}

export async function lastAuditNumber(reader: Reader): Promise<number> {
  const last = await reader.lastKey('audit')
  return last === undefined ? 0 : Number(lastPartOf(last))
}
