// mocha's dots, and at the end the counts and what was skipped as JSON in the file that an environment variable names:
// `scripts/test.mjs` adds them up.
const { writeFileSync } = require('node:fs')
const { reporters, Runner } = require('mocha')

/** Of the test, or of the block that was skipped as a whole; `test/lib/skip.ts` leaves it there. */
function reasonOf(runnable) {
  for (let at = runnable; at; at = at.parent) if (at.skipReason) return at.skipReason
  return undefined
}

module.exports = class extends reporters.Dot {
  constructor(runner, options) {
    super(runner, options)
    const skipped = []
    runner.on(Runner.constants.EVENT_TEST_PENDING, (test) =>
      skipped.push({ title: test.fullTitle(), reason: reasonOf(test) }),
    )
    runner.once(Runner.constants.EVENT_RUN_END, () => {
      const { passes, failures } = this.stats
      writeFileSync(process.env.REDOX_TEST_COUNTS, JSON.stringify({ passes, failures, skipped }))
    })
  }
}
