import { present } from '../../shared/present'
import type { StoredMessage } from '../types'
import { failed } from './errors'
import { KEY, under, type Database, type KeyRange } from './keys'
import { rowOf, type LevelRow } from './rows'

/** Reads the LevelDB of a store. Rejects with a RedoxError REDOX_STORE_…. */
export class Reader {
  constructor(private readonly db: Database) {}

  get(key: string): Promise<Buffer | undefined> {
    return this.db.get(key).catch(failed)
  }

  /** Returns a stored number; 0 if there is none. */
  async number(key: string): Promise<number> {
    return Number((await this.get(key))?.toString() ?? 0)
  }

  keys(prefix: string): AsyncIterable<string> {
    return this.db.keys(under(prefix))
  }

  async count(prefix: string): Promise<number> {
    let count = 0
    try {
      for await (const _key of this.keys(prefix)) count++
    } catch (error) {
      failed(error)
    }
    return count
  }

  async firstKey(prefix: string): Promise<string | undefined> {
    const [first] = await this.db
      .keys({ ...under(prefix), limit: 1 })
      .all()
      .catch(failed)
    return first
  }

  async lastKey(prefix: string): Promise<string | undefined> {
    const [last] = await this.db
      .keys({ ...under(prefix), reverse: true, limit: 1 })
      .all()
      .catch(failed)
    return last
  }

  values(range: KeyRange & { reverse?: boolean }): AsyncIterable<Buffer> {
    return this.db.values(range)
  }

  allValues(range: KeyRange & { limit?: number }): Promise<Buffer[]> {
    return this.db.values(range).all().catch(failed)
  }

  async row(id: string): Promise<LevelRow | undefined> {
    const found = await this.get(KEY.row(id))
    return found && rowOf(found)
  }

  /** Yields the rows whose ids are the values in a range of keys, one after the other. */
  async *each(range: KeyRange & { reverse?: boolean }): AsyncGenerator<LevelRow> {
    for await (const id of this.db.values(range)) {
      const row = await this.row(id.toString())
      if (row) yield row
    }
  }

  /** Returns the first row that is wanted, of those whose ids are the values in a range of keys. */
  async first(
    range: KeyRange & { reverse?: boolean },
    isWanted: (row: LevelRow) => boolean,
  ): Promise<LevelRow | undefined> {
    try {
      for await (const row of this.each(range)) if (isWanted(row)) return row
      return undefined
    } catch (error) {
      // The store may be closed during the search, which then fails with an error of LevelDB.
      return failed(error)
    }
  }

  rows(prefix: string, limit = -1): Promise<LevelRow[]> {
    return this.rowsIn(under(prefix), limit)
  }

  async rowsIn(range: KeyRange, limit: number): Promise<LevelRow[]> {
    const ids = await this.allValues({ ...range, limit })
    const rows = await Promise.all(ids.map((id) => this.row(id.toString())))
    return rows.filter((row) => row !== undefined)
  }

  /** Returns the message of a row, with its encrypted content and attempt record. */
  async whole({
    sequence: _q,
    retryFor: _s,
    holder: _h,
    leasedUntil: _u,
    ...row
  }: LevelRow): Promise<StoredMessage> {
    const [content, notes] = await this.db.getMany([KEY.content(row.id), KEY.notes(row.id)]).catch(failed)
    return { ...row, content: present(content, 'the content of a message'), ...(notes && { notes }) }
  }

  async pausedDestinations(): Promise<Set<string>> {
    return new Set((await this.allValues(under('paused'))).map(String))
  }
}
