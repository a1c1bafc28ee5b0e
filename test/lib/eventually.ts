import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Longest wait for a condition. It is longer than the lease of a message whose sender process has ended (30 s).
 */
const WITHIN_MS = 45_000
const EVERY_MS = 20

/**
 * Resolves as soon as the condition holds. The limit is measured with the monotonic clock, because some tests set the
 * wall clock.
 *
 * @param what text of the AssertionError
 * @throws AssertionError if the condition does not hold in time
 */
export async function eventually(
  what: string | (() => string),
  isTrue: () => boolean | Promise<boolean>,
): Promise<void> {
  const until = performance.now() + WITHIN_MS
  while (!(await isTrue())) {
    if (performance.now() >= until) assert.fail(`not in time: ${typeof what === 'string' ? what : what()}`)
    await sleep(EVERY_MS)
  }
}
