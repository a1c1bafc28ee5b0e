/** Order in which a full store deletes ended messages before their time (docs/operations.md#a-limit). */
import { isRefusedLater, type MessageState } from '../shared/values'

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
