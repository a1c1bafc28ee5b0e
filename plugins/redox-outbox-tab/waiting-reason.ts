/** Reasons why waiting messages are not sent now, for the admin API. */
import type { Outbox } from '../../nodes/lib/queue/outbox'
import { RedoxError } from '../../src/errors'
import type { AdminStore, StoredMessage } from '../../src/queue/types'
import type { MessageSummary, WaitingReason } from '../../src/shared/outbox-api'
import { wallTime } from './connections'

/**
 * Maximum number of earlier messages that are checked. Only ordered messages delay this message; unordered ones exist
 * only if the setting for the order was changed.
 */
const MOST_LOOKED_AT = 20

/** Returns why a message that waits is not sent now. */
export async function waitingReason(
  outbox: Outbox,
  { id, state, destination, ordered, orderKey, dueAt }: StoredMessage,
): Promise<WaitingReason & Pick<MessageSummary, 'dueAt'>> {
  if (state !== 'waiting') return {}
  const { store, sender } = outbox
  const known = (await store.destinations()).find((one) => one.destination === destination)
  const next = Math.max(dueAt, sender.backsOffUntil(destination))
  const reason = {
    ...(known?.paused === true && { paused: true as const }),
    // After failed attempts, a message that is due also waits for the back-off of its destination.
    ...(next > 0 && { dueAt: wallTime(outbox, next) }),
  }
  if (!ordered) return reason
  const states = ['waiting', 'sending', 'parked'] as const
  if (orderKey !== undefined) {
    const [first] = await store.ids({ destination, orderKey }, states)
    if (first !== undefined && first !== id) {
      const [found] = await store.find({ id: first, limit: 1 })
      return { ...reason, waitsBehind: first, ...blockedReason(found) }
    }
  }
  const open = await store.ids({ destination }, states)
  for (const earlier of open.slice(0, open.indexOf(id)).slice(0, MOST_LOOKED_AT)) {
    const [found] = await store.find({ id: earlier, limit: 1 })
    const isFollowed = orderKey === undefined || found?.orderKey === undefined
    if (found?.ordered && isFollowed) return { ...reason, waitsBehind: earlier, ...blockedReason(found) }
  }
  return reason
}

const blockedReason = (earlier: StoredMessage | undefined): Pick<WaitingReason, 'blockedReason'> =>
  earlier?.state === 'parked' && earlier.reason !== undefined ? { blockedReason: earlier.reason } : {}

// ---- Lists ----------------------------------------------------------------------------------------------

/**
 * Returns why messages of a list are not sent before a person decides, by the id of the message: their destination is
 * paused, or a parked message holds it back. A list does not tell which messages a parked one of the same patient holds
 * back: that would need a search for each message.
 * @param messages in the order of acceptance
 */
export async function stoppedMessages(
  { store }: Outbox,
  messages: StoredMessage[],
): Promise<ReadonlyMap<string, WaitingReason>> {
  const waiting = messages.filter(({ state }) => state === 'waiting')
  const reasons = new Map<string, WaitingReason>()
  if (waiting.length === 0) return reasons
  for (const { destination, paused, blockedBy } of await store.destinations()) {
    const there = waiting.filter((message) => message.destination === destination)
    if (paused) for (const { id } of there) reasons.set(id, { paused: true })
    if (blockedBy === undefined) continue
    const stopped = { waitsBehind: blockedBy.id, blockedReason: blockedBy.reason }
    for (const id of await idsBehind(store, blockedBy.id, there))
      reasons.set(id, { ...reasons.get(id), ...stopped })
  }
  return reasons
}

/** Returns the ids of those ordered messages that come after a parked one. */
async function idsBehind(store: AdminStore, parked: string, messages: StoredMessage[]): Promise<string[]> {
  const ids = messages.filter(({ ordered }) => ordered).map(({ id }) => id)
  try {
    for (const [index, id] of ids.entries()) {
      const [behind] = await store.ids({ id, after: parked }, ['waiting'])
      if (behind !== undefined) return ids.slice(index)
    }
  } catch (error) {
    // A person has decided about the parked message meanwhile, and it was removed.
    if (!(error instanceof RedoxError && error.code === 'REDOX_STORE_LOST')) throw error
  }
  return []
}
