// Texts that `npm start` prints about the messages that the example flows emitted after their buttons were pressed.

/**
 * @param {{ what: string, type: string }[]} missing expected messages that were not emitted, or were wrong
 * @param {string} reason a sentence
 * @param {{ button: string, tab: string } | undefined | null} place button that emits the messages again, and its tab
 * @returns {string[]} lines
 */
export function missingLines(missing, reason, place) {
  if (missing.length === 0) return []
  const again = place && `To try again: press the button of "${place.button}" in the tab "${place.tab}".`
  return [
    ...missing.map(({ what, type }) => `MISSING  ${what} (${type})`),
    `         ${[reason, again].filter(Boolean).join(' ')}`,
  ]
}

/** @param {number} wrong number of messages that are missing or wrong */
export function summary(wrong) {
  const answers = wrong === 1 ? '1 answer is' : `${wrong} answers are`
  const problem = wrong === 0 ? '' : `\n${answers} missing or wrong.`
  return `${problem}\nThe answers come from the built-in sandbox: nothing left this machine.`
}
