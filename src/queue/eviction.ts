/** Order in which a full store deletes ended messages before their time (docs/operations.md#a-limit). */
import type { MessageState } from '../shared/values'

/**
 * Kinds of ended messages, the least needed first. `finished`: accepted by its destinations, or ended by a person.
 * `unconfirmed`: delivered, and no verdict is recorded or it is not final; a refusal may still come. `refused`:
 * delivered, and refused by a destination, so that a person has to send it again.
 */
export const EVICTION_ORDER = ['finished', 'unconfirmed', 'refused'] as const
export type EvictionKind = (typeof EVICTION_ORDER)[number]

/** Returns the kind of an ended message. The SQL function `redox.eviction_kind` does the same. */
export function evictionKindOf({ state, reason }: { state: MessageState; reason?: string }): EvictionKind {
  if (state !== 'delivered') return 'finished'
  if (reason === 'REDOX_NOT_DELIVERED') return 'refused'
  return reason === undefined || reason === 'REDOX_NOT_CONFIRMED' ? 'unconfirmed' : 'finished'
}
