import { areStorable, pageLost } from '../store-errors'
import type { Criteria, DestinationState, MessageState, Query, StoredMessage } from '../types'
import type { LevelDatabase } from './database'
import { failed } from './errors'
import { escaped, under } from './keys'
import type { Reader } from './reader'
import { sortByAcceptance, isWanted, prefixesOf, type LevelRow } from './rows'
import { blockerOf } from './blockers'

type SearchTerms = Omit<Query, 'limit'>

/** Searches for messages and destinations in the embedded store. */
export class MessageSearch {
  readonly #reader: Reader

  constructor(private readonly database: LevelDatabase) {
    this.#reader = database.reader
  }

  async find({ limit, ...wanted }: Query): Promise<StoredMessage[]> {
    if (!areStorable(wanted)) return []
    const found: LevelRow[] = []
    for (const prefix of prefixesOf(wanted)) {
      let ofPrefix = 0
      for await (const row of this.#matching(prefix, wanted)) {
        found.push(row)
        if (++ofPrefix >= limit) break
      }
    }
    const sorted = sortByAcceptance(found)
    if (wanted.newestFirst) sorted.reverse()
    return Promise.all(sorted.slice(0, limit).map((row) => this.#reader.whole(row)))
  }

  async ids(criteria: Criteria, states: readonly MessageState[]): Promise<string[]> {
    if (!areStorable(criteria)) return []
    const found: Pick<LevelRow, 'id' | 'sequence'>[] = []
    for (const state of states) {
      const wanted = { ...criteria, state }
      for (const prefix of prefixesOf(wanted))
        for await (const { id, sequence } of this.#matching(prefix, wanted)) found.push({ id, sequence })
    }
    return sortByAcceptance(found).map(({ id }) => id)
  }

  async destinations(): Promise<DestinationState[]> {
    const paused = await this.#reader.pausedDestinations()
    const names = new Set([...this.database.counters.destinations, ...paused])
    return Promise.all([...names].sort().map((name) => this.#stateOf(name, paused.has(name))))
  }

  async #stateOf(destination: string, paused: boolean): Promise<DestinationState> {
    const [oldest] = await this.#reader.rows(`open!${escaped(destination)}`, 1)
    const blocker = await blockerOf(destination, this.database)
    const blockedPatients = await this.#reader.count(`blocking!${escaped(destination)}`)
    const { open, parked, owners } = this.database.counters.of(destination)
    return {
      ...{ destination, open, parked, owners: [...owners.keys()], paused },
      ...(oldest && { oldest: oldest.acceptedAt }),
      ...(blocker && { blockedBy: { id: blocker.id, reason: blocker.reason ?? '' } }),
      ...(blockedPatients > 0 && { blockedPatients }),
    }
  }

  /** Yields the matching rows in the order of acceptance, or newest first. */
  async *#matching(prefix: string, wanted: SearchTerms): AsyncGenerator<LevelRow> {
    const { after: before, newestFirst: reverse = false } = wanted
    const after = before === undefined ? undefined : await this.#sequenceOf(before)
    const from = after === undefined ? {} : { [reverse ? 'lt' : 'gt']: `${prefix}!${after}` }
    const isBehind = ({ sequence }: LevelRow): boolean =>
      after === undefined || (reverse ? sequence < after : sequence > after)
    const places = { ...under(prefix), ...from, reverse }
    try {
      for await (const id of wanted.id === undefined ? this.#reader.values(places) : [wanted.id]) {
        const row = await this.#reader.row(id.toString())
        if (row && isWanted(row, wanted) && isBehind(row)) yield row
      }
    } catch (error) {
      // The store may be closed during the search, which then fails with an error of LevelDB.
      failed(error)
    }
  }

  async #sequenceOf(id: string): Promise<string> {
    const row = await this.#reader.row(id)
    if (row) return row.sequence
    throw pageLost()
  }
}
