import type { StoreClock } from '../store-clock'
import type { Lease, StoredMessage } from '../types'
import type { LevelDatabase } from './database'
import { escaped, under } from './keys'
import { sortByAcceptance, type LevelRow } from './rows'

/** Leases of results, for the time in which their nodes emit them. */
export class Announcements {
  /**
   * Ids of messages whose result is being emitted, each with the time when its lease ends. In memory only: after a
   * restart, unannounced results are emitted again at once.
   */
  readonly #leases = new Map<string, number>()

  constructor(
    private readonly database: LevelDatabase,
    private readonly clock: StoreClock,
  ) {}

  take({ leaseMs, limit, owners }: Lease & { owners: string[] }): Promise<StoredMessage[]> {
    return this.database.alone(async () => {
      const now = this.clock.now()
      const rows: LevelRow[] = []
      for (const owner of owners) rows.push(...(await this.#unannounced(owner, now, limit)))
      const taken = sortByAcceptance(rows).slice(0, limit)
      for (const { id } of taken) this.#leases.set(id, now + leaseMs)
      return Promise.all(taken.map((row) => this.database.reader.whole(row)))
    })
  }

  /** Records that the node has emitted the result. */
  markAnnounced(id: string): Promise<void> {
    return this.database.alone(async () => {
      const row = await this.database.reader.row(id)
      if (row && !row.announced) await this.database.move([[row, { ...row, announced: true }]])
      this.#leases.delete(id)
    })
  }

  /** Ends the lease of a result that this process did not emit. Any process can then lease the result at once. */
  async release(id: string): Promise<void> {
    await this.database.alone(async () => this.endLease(id))
  }

  /** Ends the lease of a result. Call it inside a database task. */
  endLease(id: string): void {
    this.#leases.delete(id)
  }

  async #unannounced(owner: string, now: number, limit: number): Promise<LevelRow[]> {
    const rows: LevelRow[] = []
    for await (const row of this.database.reader.each(under(`untold!${escaped(owner)}`)))
      if ((this.#leases.get(row.id) ?? 0) <= now && rows.push(row) === limit) break
    return rows
  }
}
