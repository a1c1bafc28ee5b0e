/** When a failed attempt of a delivery is final, although only the attempt has a status, and its log has none. */
import type { DeliveryLog } from './answers'

/**
 * Time after which Redox does not repeat a failed attempt any more, in milliseconds: its longest pause between two
 * attempts is 120 s (docs/redox-api.md#retries-by-redox), and the attempt itself takes time, too.
 */
export const LONGEST_REPEAT_MS = 150_000

/**
 * Margin for the clocks of Redox and of this machine, in milliseconds. Redox refuses tokens of clocks that are 10 s
 * wrong (docs/redox-api.md#oauth-api-key), so the rest is for a late log.
 */
export const CLOCK_MARGIN_MS = 120_000

type FailedLog = Pick<DeliveryLog, 'mayBeRepeated' | 'attempts' | 'attemptId' | 'attemptAt'>

/**
 * Returns true if Redox may have repeated the latest attempt later than the log was read.
 * @param readAt time when the log was asked for, in milliseconds since 1970
 */
export const mayBeRepeated = (
  { mayBeRepeated: isOpen, attemptAt = '' }: FailedLog,
  readAt: number,
): boolean => isOpen === true && !(Date.parse(attemptAt) + LONGEST_REPEAT_MS + CLOCK_MARGIN_MS < readAt)

/** Returns what tells the latest attempt from others; `''` if Redox says nothing of it. */
export const attemptOf = ({ attempts, attemptId, attemptAt }: FailedLog): string =>
  [attempts, attemptId, attemptAt].filter((part) => part !== undefined).join(' ')
