/** Messages that ordered messages of the embedded store wait for. */
import type { WaitingReason } from '../../shared/outbox-api'
import type { LevelDatabase } from './database'
import { escaped, under, type KeyRange } from './keys'
import { isInLine, isOpen, sortByAcceptance, type LevelRow } from './rows'

const lineOf = (destination: string): KeyRange => under(`line!${escaped(destination)}`)
/** @param turn order key, or destination for the messages without an order key */
const turnOf = (turn: string): KeyRange => under(`turn!${escaped(turn)}`)
const parkedOf = (destination: string): KeyRange => under(`parked!${escaped(destination)}`)

const blocksOthers = ({ ordered, state }: LevelRow): boolean => ordered && state === 'parked'

/**
 * Returns the parked message that stops a destination: the first one without an order key, because all later messages
 * follow it, or an earlier one with an order key that a message without one follows.
 */
export async function blockerOf(
  destination: string,
  { reader, counters }: LevelDatabase,
): Promise<LevelRow | undefined> {
  const { blocking, followers } = counters.of(destination)
  if (blocking === 0) return undefined
  const first = await reader.first(parkedOf(destination), blocksOthers)
  if (first?.orderKey === undefined) return first
  if (followers > 0) {
    const isFollower = (row: LevelRow): boolean => row.ordered && isOpen(row.state)
    const last = await reader.first({ ...turnOf(destination), reverse: true }, isFollower)
    if (last && first.sequence < last.sequence) return first
  }
  return counters.isBlocked(destination) ? reader.first(turnOf(destination), blocksOthers) : undefined
}

/** Returns why waiting messages are not sent now, by their ids, see `AdminStore.waitingReasons`. */
export async function waitingReasons(
  ids: readonly string[],
  database: LevelDatabase,
): Promise<Map<string, WaitingReason>> {
  const { reader } = database
  const paused = await reader.pausedDestinations()
  const rows = await Promise.all(ids.map((id) => reader.row(id)))
  const search = new SearchAhead(database)
  const reasons = new Map<string, WaitingReason>()
  for (const row of rows) {
    if (row?.state !== 'waiting') continue
    const reason: WaitingReason = {
      ...(paused.has(row.destination) && { paused: true }),
      ...(row.ordered && behind(await search.of(row))),
    }
    if (Object.keys(reason).length > 0) reasons.set(row.id, reason)
  }
  return reasons
}

function behind(ahead: LevelRow | undefined): WaitingReason {
  if (ahead === undefined) return {}
  const { id, state, reason } = ahead
  return { waitsBehind: id, ...(state === 'parked' && reason !== undefined && { blockedReason: reason }) }
}

/** Search for the messages that ordered ones follow. Messages with the same order key share a search. */
class SearchAhead {
  readonly #first = new Map<string, Promise<LevelRow | undefined>>()
  readonly #firstBlocker = new Map<string, Promise<LevelRow | undefined>>()

  constructor(private readonly database: LevelDatabase) {}

  /** Returns the first parked message that a message follows, or the first one if none is parked. */
  async of({ destination, orderKey, sequence }: LevelRow): Promise<LevelRow | undefined> {
    const { counters } = this.database
    const turns = orderKey === undefined ? [destination] : [orderKey, destination]
    const ranges = orderKey === undefined ? [lineOf(destination)] : turns.map(turnOf)
    const blocked = turns.filter((turn) => counters.isBlocked(turn)).map(turnOf)
    const isParked = counters.of(destination).blocking > 0
    const blockers = orderKey === undefined && isParked ? [parkedOf(destination)] : blocked
    const before = (rows: (LevelRow | undefined)[]): LevelRow | undefined =>
      sortByAcceptance(rows.flatMap((row) => (row && row.sequence < sequence ? [row] : [])))[0]
    const blocking = before(await this.#each(this.#firstBlocker, blockers, blocksOthers))
    return blocking ?? before(await this.#each(this.#first, ranges, isInLine))
  }

  #each(
    known: Map<string, Promise<LevelRow | undefined>>,
    ranges: KeyRange[],
    isWanted: (row: LevelRow) => boolean,
  ): Promise<(LevelRow | undefined)[]> {
    return Promise.all(
      ranges.map((range) => {
        const found = known.get(range.gt) ?? this.database.reader.first(range, isWanted)
        known.set(range.gt, found)
        return found
      }),
    )
  }
}
