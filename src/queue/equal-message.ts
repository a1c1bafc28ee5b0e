import type { MessageState } from '../shared/values'

/**
 * Check for an equal message at acceptance: one with the same tag of its document that is open or parked, or was
 * delivered not long ago. A discarded one does not count.
 */
export interface EqualCheck {
  tag: string
  /** messages that were delivered earlier do not count */
  deliveredSince: number
  /** true: the message is stored even if there is an equal one */
  acceptsEqual: boolean
}

/** Earlier message with the same document. */
export type EqualMessage = { id: string; state: MessageState }
