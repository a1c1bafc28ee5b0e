import { areStorable, pageLost } from '../store-errors'
import type { Criteria, LaneState, MessageState, Query, StoredMessage } from '../types'
import type { LevelDatabase } from './database'
import { failed } from './errors'
import { escaped, under } from './layout'
import type { Reader } from './reader'
import { inOrder, isWanted, prefixesOf, type Row } from './rows'

type Wanted = Omit<Query, 'limit'>

/** Searches for messages and destinations in the embedded store. */
export class Search {
  readonly #reader: Reader

  constructor(private readonly database: LevelDatabase) {
    this.#reader = database.reader
  }

  async find({ limit, ...wanted }: Query): Promise<StoredMessage[]> {
    if (!areStorable(wanted)) return []
    const found: Row[] = []
    for (const prefix of prefixesOf(wanted)) {
      let ofPrefix = 0
      for await (const row of this.#matching(prefix, wanted)) {
        found.push(row)
        if (++ofPrefix >= limit) break
      }
    }
    const sorted = inOrder(found)
    if (wanted.newestFirst) sorted.reverse()
    return Promise.all(sorted.slice(0, limit).map((row) => this.#reader.whole(row)))
  }

  async ids(criteria: Criteria, states: readonly MessageState[]): Promise<string[]> {
    if (!areStorable(criteria)) return []
    const found: Pick<Row, 'id' | 'sequence'>[] = []
    for (const state of states) {
      const wanted = { ...criteria, state }
      for (const prefix of prefixesOf(wanted))
        for await (const { id, sequence } of this.#matching(prefix, wanted)) found.push({ id, sequence })
    }
    return inOrder(found).map(({ id }) => id)
  }

  async lanes(): Promise<LaneState[]> {
    const paused = await this.#reader.pausedDestinations()
    const names = new Set([...this.database.counters.destinations, ...paused])
    return Promise.all([...names].sort().map((name) => this.#stateOf(name, paused.has(name))))
  }

  async #stateOf(lane: string, paused: boolean): Promise<LaneState> {
    const [oldest] = await this.#reader.rows(`open!${escaped(lane)}`, 1)
    const [first] = await this.#reader.rows(`line!${escaped(lane)}`, 1)
    const { open, parked, owners } = this.database.counters.of(lane)
    return {
      ...{ lane, open, parked, owners: [...owners.keys()], paused },
      ...(oldest && { oldest: oldest.acceptedAt }),
      ...(first?.state === 'parked' && { blockedBy: { id: first.id, reason: first.reason ?? '' } }),
    }
  }

  /** Yields the matching rows in the order of acceptance, or newest first. */
  async *#matching(prefix: string, wanted: Wanted): AsyncGenerator<Row> {
    const { after: before, newestFirst: reverse = false } = wanted
    const after = before === undefined ? undefined : await this.#sequenceOf(before)
    const from = after === undefined ? {} : { [reverse ? 'lt' : 'gt']: `${prefix}!${after}` }
    const isBehind = ({ sequence }: Row): boolean =>
      after === undefined || (reverse ? sequence < after : sequence > after)
    const places = { ...under(prefix), ...from, reverse }
    try {
      for await (const id of wanted.id === undefined ? this.#reader.values(places) : [wanted.id]) {
        const row = await this.#reader.row(id.toString())
        if (row && isWanted(row, wanted) && isBehind(row)) yield row
      }
    } catch (error) {
      // The store may be closed during the search.
      failed(error)
    }
  }

  async #sequenceOf(id: string): Promise<string> {
    const row = await this.#reader.row(id)
    if (row) return row.sequence
    throw pageLost()
  }
}
