/** Reads users' decisions about messages from the audit log of a store. */
import type { DeliveryStore, StoredMessage } from '../../src/queue/types'
import type { MessageDetails } from '../../src/shared/outbox-api'
import { MAX_LINES } from './parse-request'

/**
 * Maximum number of audit log lines that are searched for a decision, because a store has no index of the log by
 * message.
 */
const MOST_LINES_BACK = 5000

/**
 * Returns user and reason of the decision that ended a message; an empty object if there was no decision, or if the
 * decision is too old to be found.
 */
export async function decisionAbout(
  store: DeliveryStore,
  { id, reason }: StoredMessage,
): Promise<Pick<MessageDetails, 'decision'>> {
  if (reason !== 'discard' && reason !== 'mark-delivered') return {}
  let end = await store.auditLength()
  const first = Math.max(0, end - MOST_LINES_BACK)
  while (end > first) {
    const skip = Math.max(first, end - MAX_LINES)
    const lines = await store.audit({ skip, limit: end - skip })
    const line = lines.findLast(({ subject, action }) => subject === id && action === reason)
    if (line) return { decision: { who: line.who, reason: line.reason } }
    end = skip
  }
  return {}
}
