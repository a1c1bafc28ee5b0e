/** Reasons why waiting messages are not sent now, for the admin API. */
import type { Outbox } from '../../nodes/lib/queue/outbox'
import type { StoredMessage } from '../../src/queue/types'
import type { MessageSummary, WaitingReason } from '../../src/shared/outbox-api'
import { wallTime } from './connections'

/** Returns why a message that waits is not sent now. */
export async function waitingReason(
  outbox: Outbox,
  { id, state, destination, dueAt }: StoredMessage,
): Promise<WaitingReason & Pick<MessageSummary, 'dueAt'>> {
  if (state !== 'waiting') return {}
  const { store, sender } = outbox
  const reasons = await store.waitingReasons([id])
  // After failed attempts, a message that is due also waits for the back-off of its destination.
  const next = Math.max(dueAt, sender.backsOffUntil(destination))
  return { ...reasons.get(id), ...(next > 0 && { dueAt: wallTime(outbox, next) }) }
}

/**
 * Returns why messages of a list are not sent before a person decides, by the id of the message: their destination is
 * paused, or a parked message holds them back.
 */
export async function stoppedMessages(
  { store }: Outbox,
  messages: StoredMessage[],
): Promise<ReadonlyMap<string, WaitingReason>> {
  const waiting = messages.filter(({ state }) => state === 'waiting')
  if (waiting.length === 0) return new Map()
  const reasons = await store.waitingReasons(waiting.map(({ id }) => id))
  return new Map([...reasons].map(([id, reason]) => [id, lasting(reason)]))
}

/** Returns a reason without what ends by itself: the message before another one is sent. */
const lasting = ({ waitsBehind, blockedReason, ...reason }: WaitingReason): WaitingReason => ({
  ...reason,
  ...(blockedReason !== undefined && { waitsBehind, blockedReason }),
})
