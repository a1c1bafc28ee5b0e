import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'

/** Longer than a message is held for a sender that has gone (30 s): a condition that holds costs none of it. */
const WITHIN_MS = 45_000
const EVERY_MS = 20

/**
 * Resolves as soon as the condition holds. Measures with the monotonic clock, as some tests set the other one.
 *
 * @param what says what is missing when it does not hold in time
 * @throws AssertionError when it does not hold in time
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
