/**
 * Delivery plans: what becomes of accepted messages, by destination. `deliveries.ts` delivers them. The grammar is that
 * of fault plans.
 */
import { linesOf, occurrencesOf, partsOf, PlanError, random, secondsIn, type PlanLine } from './plan-lines'

/** Reaction of a destination to an attempt to deliver; undefined in place of it: it accepts at once. */
export type DeliveryEffect =
  /** Answers with a status of 400 to 599: Redox tries again, and the destination's queue waits. */
  | { kind: 'status'; status: number }
  /** Refuses the message for good: the delivery has failed, and the queue continues. */
  | { kind: 'refuse' }
  /** A filter between Redox and the destination drops the message. */
  | { kind: 'filter' }
  /** Accepts after some seconds. */
  | { kind: 'slow'; seconds: number }

/**
 * Part of a rule in a delivery plan: `time` (`delay 5`, `speed 60`), or destination, effect and count, as in `any 503
 * once`.
 */
export type DeliveryPart = 'seed' | 'time' | 'destination' | 'effect' | 'count'

/** Error of a delivery plan that cannot be parsed. */
export class DeliveryPlanError extends PlanError<DeliveryPart> {
  constructor(reason: string, line: number, part: DeliveryPart, word?: string) {
    super(`Line ${line} of the delivery plan: ${reason}`, line, part, word)
    this.name = 'DeliveryPlanError'
  }
}

/** One example of each effect, for the suggestions in the editor. */
export const EFFECT_EXAMPLES = ['503', 'refuse', 'filter', 'slow=5', 'none'] as const
const EFFECTS = 'a status such as 503, refuse, filter, slow=SECONDS, none'
const ANY = 'any'
/** A destination id (UUID), or the slug of an EHR. */
const DESTINATION = /^[a-z0-9]+([_-][a-z0-9]+)*$/i
const DEFAULT_DELAY = 1
const DEFAULT_SEED = 1

interface DeliveryRule {
  /** Destination in lower case, or `any`. */
  destination: string
  effect: DeliveryEffect | undefined
  fires(): boolean
}

/** Parsed delivery plan. Counts and random numbers start again with each object. */
export class DeliveryPlan {
  /** Milliseconds from acceptance to the first attempt. */
  readonly delay: number
  /** Factor by which the pauses between the attempts are shorter than those of Redox. */
  readonly speed: number
  #rules: DeliveryRule[]

  /**
   * Parses a delivery plan.
   * @throws DeliveryPlanError
   */
  constructor(text = '') {
    const lines = linesOf(text)
    const seed = settingOf(lines, 'seed') ?? DEFAULT_SEED
    this.delay = (settingOf(lines, 'delay') ?? DEFAULT_DELAY) * 1000
    this.speed = settingOf(lines, 'speed') ?? 1
    this.#rules = lines
      .filter(({ words }) => !isSetting(words))
      .map((line, index) => ruleOf(line, random(seed + index)))
  }

  /** Returns the effect of the first rule that applies to the next attempt; undefined if the destination accepts. */
  next(destination: string): DeliveryEffect | undefined {
    const names = [ANY, destination.toLowerCase()]
    return this.#rules.find((rule) => names.includes(rule.destination) && rule.fires())?.effect
  }
}

const SETTINGS = {
  seed: { part: 'seed', reason: 'a seed must be a whole number, such as: seed 42', fits: /^\d{1,9}$/ },
  delay: { part: 'time', reason: 'the delay is a number of seconds, such as: delay 5', fits: /^\d/ },
  speed: { part: 'time', reason: 'the speed is a number from 1, such as: speed 60', fits: /^[1-9]/ },
} as const

const isSetting = ([first = '']: string[]): boolean => Object.hasOwn(SETTINGS, first.toLowerCase())

function settingOf(lines: PlanLine[], name: keyof typeof SETTINGS): number | undefined {
  const [line, ...others] = lines.filter(({ words }) => words[0]?.toLowerCase() === name)
  if (!line) return undefined
  const { part, reason, fits } = SETTINGS[name]
  if (others[0]) throw new DeliveryPlanError(`the ${name} is set twice.`, others[0].number, part, name)
  const [, word = '', ...rest] = line.words
  const value = name === 'seed' ? Number(word) : secondsIn(word)
  if (!fits.test(word) || rest.length > 0 || value === undefined) {
    throw new DeliveryPlanError(reason, line.number, part, name)
  }
  return value
}

function ruleOf({ number, words }: PlanLine, draw: () => number): DeliveryRule {
  const [destination = '', what, ...often] = words
  const fail = (reason: string, part: DeliveryPart, word?: string): never => {
    throw new DeliveryPlanError(reason, number, part, word)
  }
  if (!DESTINATION.test(destination)) {
    fail(
      `"${destination}" is not a destination: use its ID, the slug of an EHR, or any`,
      'destination',
      destination,
    )
  }
  if (what === undefined) return fail(`an effect is missing after "${destination}": ${EFFECTS}`, 'effect')
  const effect = effectOf(what) ?? fail(`"${what}" is not an effect: ${EFFECTS}`, 'effect', what)
  const count = often.join(' ')
  const fires =
    occurrencesOf(often, draw) ??
    fail(`"${count}" is not a count. Counts: once, 3x, 20%, or nothing for always`, 'count', count)
  return { destination: destination.toLowerCase(), effect: effect === 'none' ? undefined : effect, fires }
}

function effectOf(word: string): DeliveryEffect | 'none' | undefined {
  const [name, value] = partsOf(word)
  const seconds = secondsIn(value)
  if (name === 'slow' && seconds !== undefined) return { kind: 'slow', seconds }
  if (value !== undefined) return undefined
  if (/^[45]\d\d$/.test(name)) return { kind: 'status', status: Number(name) }
  if (name === 'refuse' || name === 'filter') return { kind: name }
  return name === 'none' ? 'none' : undefined
}
