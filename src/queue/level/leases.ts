import type { StoreClock } from '../store-clock'
import type { Lease, Settlement, StoredMessage } from '../types'
import type { Acceptance } from './acceptance'
import type { LevelDatabase } from './database'
import { messageLost } from './errors'
import { digits } from './identity'
import { bytes, escaped, json, KEY, put } from './keys'
import { sortByAcceptance, union, withoutLease, type LevelRow } from './rows'

/** Messages that a claim looks for. */
interface ClaimTerms {
  /** messages with a lease */
  sending: LevelRow[]
  now: number
  limit: number
}

/** Leases of messages, from the claim to the settlement. */
export class Leases {
  #claims = 0

  constructor(
    private readonly database: LevelDatabase,
    private readonly acceptance: Acceptance,
    private readonly clock: StoreClock,
  ) {}

  /** Ends all leases when the store is opened: no other process has the store open, so the holders have ended. */
  async endAll(): Promise<void> {
    for (const row of this.#sending()) await this.database.move([[row, { ...row, leasedUntil: 0 }]])
  }

  claim({ holder, leaseMs, limit, except }: Lease & { except: string[] }): Promise<StoredMessage[]> {
    return this.database.alone(async () => {
      await this.acceptance.forgetFailed()
      const now = this.clock.now()
      const sending = await this.#expireLeases(now)
      const rows = await this.#claimable({ sending, now, limit }, except)
      const leased = rows.map((row): [LevelRow, LevelRow] => [
        row,
        { ...row, state: 'sending', holder, leasedUntil: now + leaseMs },
      ])
      // Not synced to disk: after a power failure the messages are waiting again. That is safe, because the start of a
      // request is synced before the request.
      await this.database.move(leased)
      return Promise.all(leased.map(([, row]) => this.database.reader.whole(row)))
    })
  }

  renew(holder: string, ids: string[], leaseMs: number): Promise<void> {
    return this.database.alone(async () => {
      const leasedUntil = this.clock.now() + leaseMs
      const held = this.#sending().filter((row) => row.holder === holder && ids.includes(row.id))
      await this.#replace(held.map((row) => ({ ...row, leasedUntil })))
    })
  }

  recordRequestStart(id: string, holder: string): Promise<void> {
    return this.database.durably(async () => {
      await this.#replace([{ ...this.#leased(id, holder), requestStarted: true }])
    })
  }

  recordNotes(id: string, holder: string, notes: Buffer): Promise<void> {
    return this.database.durably(async () => {
      this.#leased(id, holder)
      await this.database.write([put(KEY.notes(id), notes)])
    })
  }

  /**
   * Settles a message.
   * @param onSettled called before the settlement is synced to disk
   */
  settle(
    { id, holder, now, onSettled }: { id: string; holder: string; now: number; onSettled: () => void },
    { notes, ...change }: Settlement,
  ): Promise<void> {
    return this.database.durably(async () => {
      const row = this.#leased(id, holder)
      const { reason: _reason, ...kept } = withoutLease(row)
      const ended = change.state === 'waiting' ? {} : { endedAt: now, announced: false }
      const added = change.state === 'waiting' ? [] : (change.tags ?? [])
      const tags = union(row.tags, added)
      const next = { ...kept, ...change, ...ended, tags, requestStarted: false, attempts: row.attempts + 1 }
      await this.database.move(
        [[row, next]],
        [
          ...(notes ? [put(KEY.notes(id), notes)] : []),
          ...added.map((tag) => put(KEY.tag(tag, row.sequence), bytes(id))),
        ],
      )
      onSettled()
    })
  }

  async nextDue(now: number, except: string[]): Promise<number | undefined> {
    const times: number[] = []
    const sending = this.#sending()
    for (const destination of await this.#openDestinations(except)) {
      const next = await this.#nextOrdered(destination, sending)
      const [keyed] = await this.#firstOfOrderKeys(destination, { sending, limit: 1 })
      const [free] = await this.database.reader.rows(`due!${escaped(destination)}`, 1)
      times.push(...[next, keyed, free].flatMap((row) => row?.dueAt ?? []))
    }
    return times.length === 0 ? undefined : Math.max(now, Math.min(...times))
  }

  /** Ends the leases that are over. Returns the messages with a lease. */
  async #expireLeases(now: number): Promise<LevelRow[]> {
    const sending = this.#sending()
    const late = sending.filter(({ leasedUntil = 0 }) => leasedUntil <= now)
    await this.database.move(late.map((row) => [row, { ...withoutLease(row), state: 'waiting' }]))
    return late.length === 0 ? sending : sending.filter((row) => !late.includes(row))
  }

  /**
   * Returns messages to be claimed. Takes some of each destination in turn, so that no destination uses up the limit.
   * Destinations that cannot get a turn are not read, because there may be many.
   */
  async #claimable(terms: ClaimTerms, except: string[]): Promise<LevelRow[]> {
    const { limit } = terms
    const destinations = await this.#openDestinations(except)
    // Usually each destination has its share.
    const share = Math.ceil(limit / Math.max(1, destinations.length))
    const found = await this.#dueInTurn(destinations, terms, share)
    return found.length < limit && share < limit ? this.#dueInTurn(destinations, terms, limit) : found
  }

  /** @param most messages of one destination */
  async #dueInTurn(destinations: string[], terms: ClaimTerms, most: number): Promise<LevelRow[]> {
    const { limit } = terms
    const due: LevelRow[][] = []
    for (const destination of destinations) {
      const rows = await this.#dueIn(destination, { ...terms, limit: most })
      if (rows.length > 0 && due.push(rows) === limit) break
    }
    const inTurn = Array.from({ length: limit }, (_, at) => due.flatMap((rows) => rows[at] ?? [])).flat()
    return sortByAcceptance(inTurn.slice(0, limit))
  }

  async #dueIn(destination: string, { sending, now, limit }: ClaimTerms): Promise<LevelRow[]> {
    const next = await this.#nextOrdered(destination, sending)
    const keyed = await this.#firstOfOrderKeys(destination, { sending, now, limit })
    const range = { gt: `due!${escaped(destination)}!`, lt: `due!${escaped(destination)}!${digits(now)}"` }
    const found = await this.database.reader.rowsIn(range, limit)
    const free = found.filter(({ id }) => this.acceptance.isConfirmed(id))
    return [...(next && next.dueAt <= now ? [next] : []), ...keyed, ...free]
  }

  #sending(): LevelRow[] {
    return [...this.database.counters.sending.values()]
  }

  /** Replaces rows of messages that are being sent, whose index keys stay the same. */
  #replace(rows: LevelRow[]): Promise<void> {
    const { sending } = this.database.counters
    const count = (): void => rows.forEach((row) => sending.set(row.id, row))
    return this.database.write(
      rows.map((row) => put(KEY.row(row.id), json(row))),
      { count },
    )
  }

  /**
   * Returns the ordered message to be sent next of those that follow all messages of their destination; undefined if
   * an earlier message is open or parked.
   */
  async #nextOrdered(destination: string, sending: LevelRow[]): Promise<LevelRow | undefined> {
    if (sending.some((row) => row.ordered && row.destination === destination)) return undefined
    const [first] = await this.database.reader.rows(`line!${escaped(destination)}`, 1)
    const isNext = first?.ordered && first.orderKey === undefined && this.#canBeSent(first)
    return isNext ? first : undefined
  }

  /**
   * Returns the messages of a destination that are the first with their order key, those that are due first in front.
   * None that comes after a message without an order key, or whose order key is being sent.
   * @param now only messages that are due then; undefined: all
   */
  async #firstOfOrderKeys(
    destination: string,
    { sending, now, limit }: { sending: LevelRow[]; now?: number; limit: number },
  ): Promise<LevelRow[]> {
    const here = sending.filter((row) => row.ordered && row.destination === destination)
    const keys = new Set(here.map(({ orderKey }) => orderKey))
    if (keys.has(undefined)) return []
    const [barrier] = await this.database.reader.rows(`turn!${escaped(destination)}`, 1)
    const prefix = `first!${escaped(destination)}!`
    const till = now === undefined ? `${prefix.slice(0, -1)}"` : `${prefix}${digits(now)}"`
    const found: LevelRow[] = []
    for await (const row of this.database.reader.each({ gt: prefix, lt: till })) {
      const isBehind = barrier !== undefined && barrier.sequence < row.sequence
      if (isBehind || keys.has(row.orderKey) || !this.#canBeSent(row)) continue
      if (found.push(row) === limit) break
    }
    return found
  }

  #canBeSent({ id, state }: LevelRow): boolean {
    return state === 'waiting' && this.acceptance.isConfirmed(id)
  }

  /**
   * Returns the destinations with open messages. Each call starts with another one, so that no destination waits
   * forever.
   */
  async #openDestinations(except: string[]): Promise<string[]> {
    const paused = await this.database.reader.pausedDestinations()
    const open = this.database.counters.openDestinations.filter(
      (one) => !except.includes(one) && !paused.has(one),
    )
    const first = open.length === 0 ? 0 : this.#claims++ % open.length
    return [...open.slice(first), ...open.slice(0, first)]
  }

  /**
   * Returns the row of a message whose lease this holder has.
   * @throws RedoxError REDOX_STORE_LOST if the holder has lost the lease
   */
  #leased(id: string, holder: string): LevelRow {
    const row = this.database.counters.sending.get(id)
    if (row?.holder !== holder) throw messageLost(`the message ${id}`)
    return row
  }
}
