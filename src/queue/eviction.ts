/** Storage times of ended messages, and the order in which a full store deletes them earlier (docs/operations.md#a-limit). */
import { isRefusedLater, type MessageState } from '../shared/values'

/**
 * Shortest storage time of unannounced results, in milliseconds, even if the retention time is shorter: a node may be
 * disabled over a weekend.
 */
export const UNANNOUNCED_MS = 72 * 3_600_000
/** Shortest storage time of messages that a destination refused later, in milliseconds: a person has to see them. */
export const REFUSED_LATER_MS = 30 * 24 * 3_600_000

/**
 * Kinds of ended messages, the least needed first. `finished`: accepted by its destinations, or ended by a person.
 * `unconfirmed`: delivered, and no verdict is recorded or it is not final; a refusal may still come. `refused`:
 * delivered, and refused by a destination, so that a person has to decide about it.
 */
export const EVICTION_ORDER = ['finished', 'unconfirmed', 'refused'] as const
export type EvictionKind = (typeof EVICTION_ORDER)[number]

/** Returns the kind of an ended message. The SQL function `redox.eviction_kind` does the same. */
export function evictionKindOf(message: { state: MessageState; reason?: string }): EvictionKind {
  const { state, reason } = message
  if (state !== 'delivered') return 'finished'
  if (isRefusedLater(message)) return 'refused'
  return reason === undefined || reason === 'REDOX_NOT_CONFIRMED' ? 'unconfirmed' : 'finished'
}
