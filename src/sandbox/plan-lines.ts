/** Grammar that fault plans and delivery plans share: rules of where, what and how often, one per line. */

/** Error of a plan that cannot be parsed. `line` counts from 1; `word` is the wrong word, `part` its part of the rule. */
export class PlanError<Part extends string> extends Error {
  constructor(
    message: string,
    readonly line: number,
    readonly part: Part,
    readonly word = '',
  ) {
    super(message)
  }
}

export interface PlanLine {
  number: number
  words: string[]
}

/** Splits a plan into rules: one per line, or several on a line separated by `;`. */
export function linesOf(text: string): PlanLine[] {
  return text.split(/\r\n|\r|\n/).flatMap((line, index) =>
    line
      .replace(/(^|\s)#.*/, '')
      .split(';')
      .map((rule) => ({ number: index + 1, words: rule.trim().split(/\s+/) }))
      .filter(({ words }) => words[0] !== ''),
  )
}

/** Longest duration in a plan, in seconds: one day. */
export const MAX_SECONDS = 86_400
/** Returns the seconds that a word of a plan names; undefined if it is no number, or above a day. */
export function secondsIn(word: string | undefined): number | undefined {
  if (word === undefined || !/^\d+(\.\d+)?$/.test(word) || Number(word) > MAX_SECONDS) return undefined
  return Number(word)
}

/** Splits a word such as `late=5` into the name in lower case and the value. */
export function partsOf(word: string): [string, string | undefined] {
  const at = word.indexOf('=')
  return at < 0 ? [word.toLowerCase(), undefined] : [word.slice(0, at).toLowerCase(), word.slice(at + 1)]
}

/**
 * Returns the function that decides each time if a rule applies, by its count or chance; undefined if the words are no
 * count.
 */
export function occurrencesOf(words: string[], draw: () => number): (() => boolean) | undefined {
  if (words.length === 0) return () => true
  const often = words.join('').toLowerCase()
  const percent = /^(\d{1,3}(\.\d+)?)%$/.exec(often)?.[1]
  if (percent !== undefined && Number(percent) <= 100) return () => draw() * 100 < Number(percent)
  const count = often === 'once' ? '1' : /^(\d{1,9})x$/.exec(often)?.[1]
  if (count === undefined) return undefined
  let left = Number(count)
  return () => left-- > 0
}

/**
 * mulberry32 random number generator. Its numbers depend on the seed only, so that a plan with chances can be repeated.
 */
export function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
