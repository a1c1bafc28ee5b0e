// mocha's "dot" reporter, which also writes the counts and the skipped tests as JSON to the file that an environment
// variable names. `scripts/test.mjs` adds up these files.
const { writeFileSync } = require('node:fs')
const { reporters, Runner } = require('mocha')

/** @typedef {{ skipReason?: string, parent?: Skippable | undefined }} Skippable a test or a suite; see `test/lib/skip.ts` */

/**
 * Returns the reason for which a test, or a suite that contains it, was skipped.
 * @param {Skippable | undefined} runnable
 */
function reasonOf(runnable) {
  for (let at = runnable; at; at = at.parent) if (at.skipReason) return at.skipReason
  return undefined
}

module.exports = class extends reporters.Dot {
  /**
   * @param {import('mocha').Runner} runner
   * @param {import('mocha').MochaOptions} options
   */
  constructor(runner, options) {
    super(runner, options)
    /** @type {{ title: string, reason: string | undefined }[]} */
    const skipped = []
    runner.on(Runner.constants.EVENT_TEST_PENDING, (test) =>
      skipped.push({ title: test.fullTitle(), reason: reasonOf(test) }),
    )
    runner.once(Runner.constants.EVENT_RUN_END, () => {
      const { passes, failures } = this.stats
      const { REDOX_TEST_COUNTS: file = '' } = process.env
      writeFileSync(file, JSON.stringify({ passes, failures, skipped }))
    })
  }
}
