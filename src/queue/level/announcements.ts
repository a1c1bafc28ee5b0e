import type { StoreClock } from '../clock'
import type { Lease, StoredMessage } from '../types'
import type { LevelDatabase } from './database'
import { escaped, under } from './layout'
import { inOrder, type Row } from './rows'

/** Results that are handed out to be emitted by their nodes. */
export class Announcements {
  /**
   * Ids whose result is being emitted, with the end of the lease. In memory alone: after a restart, unannounced results
   * are emitted again at once.
   */
  readonly #leases = new Map<string, number>()

  constructor(
    private readonly database: LevelDatabase,
    private readonly clock: StoreClock,
  ) {}

  take({ leaseMs, limit, owners }: Lease & { owners: string[] }): Promise<StoredMessage[]> {
    return this.database.alone(async () => {
      const now = this.clock.now()
      const rows: Row[] = []
      for (const owner of owners) rows.push(...(await this.#unannounced(owner, now, limit)))
      const taken = inOrder(rows).slice(0, limit)
      for (const { id } of taken) this.#leases.set(id, now + leaseMs)
      return Promise.all(taken.map((row) => this.database.reader.whole(row)))
    })
  }

  /** Its node has emitted it. */
  markAnnounced(id: string): Promise<void> {
    return this.database.alone(async () => {
      const row = await this.database.reader.row(id)
      if (row && !row.told) await this.database.move([[row, { ...row, told: true }]])
      this.#leases.delete(id)
    })
  }

  /** It was not emitted, and may be taken at once. */
  async release(id: string): Promise<void> {
    await this.database.alone(async () => this.endLease(id))
  }

  /** Part of a task. */
  endLease(id: string): void {
    this.#leases.delete(id)
  }

  async #unannounced(owner: string, now: number, limit: number): Promise<Row[]> {
    const rows: Row[] = []
    for await (const row of this.database.reader.each(under(`untold!${escaped(owner)}`)))
      if ((this.#leases.get(row.id) ?? 0) <= now && rows.push(row) === limit) break
    return rows
  }
}
