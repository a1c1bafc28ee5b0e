/** Terms of the audit log: the decisions of people, with their reasons. */
import type { AuditedAction } from '../shared/values'

/** Subject of the audit log's line for `try-now` of all destinations. */
export const ALL_DESTINATIONS = '*'

/** User and reason of an action, for the audit log. */
export interface AuditContext {
  who: string
  /** reason that the person gives for the action */
  reason: string
  /** time by the clock of the store */
  now: number
}

/** Line of the audit log. Lines are added, never changed. */
export interface AuditLine {
  /** time by the wall clock (system time), in milliseconds since 1970 */
  at: number
  who: string
  action: AuditedAction
  /**
   * id of a message, a destination (`*`, with `try-now` only: all), or the folder name of the replaced store (`-`: none)
   */
  subject: string
  /** reason that the person gave for the action */
  reason: string
}
