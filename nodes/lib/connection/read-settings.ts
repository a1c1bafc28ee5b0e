/** Reads the saved settings of a redox-config node with its table of fields. */
import { RedoxError } from '../../../src/errors'
import { settings, unitOf } from '../fields/settings'
import { fieldNamed } from '../fields/conditions'
import { labelOf } from '../runtime/labels'
import { unsetVariable } from '../runtime/variables'

type Fields = (typeof settings)['fields'][number]
/** Options of each choice field, by the name of the field. */
type Options = { [C in Extract<Fields, { kind: 'choice' }> as C['name']]: C['options'][number] }
type Secret = Extract<Fields, { kind: 'secret' }>['name']
/** Names of the settings that are numbers above 0. */
type Amount = Extract<Fields, { checks: readonly ['amount', ...string[]] }>['name']
/** Names of the settings that are numbers above 0, or 0 for no limit. */
type AmountOrNone = Extract<Fields, { checks: readonly ['amountOrNone'] }>['name']
/** Names of the settings that are sizes, in KB or MB. */
type Size = Extract<Fields, { bytes: number }>['name']
type Saved = Exclude<Fields['name'], Secret | 'name'> | 'environmentType'

/**
 * Saved settings of a redox-config node. A value may be `${NAME}`, which Node-RED replaces by an environment variable
 * at start.
 */
export type ConnectionConfig = { [N in Saved]?: N extends Amount | AmountOrNone ? string | number : string }

export type ConnectionSecrets = { [N in Secret]?: string }

export const configuration = (message: string, field?: string): RedoxError =>
  new RedoxError('REDOX_CONFIGURATION', message, field === undefined ? {} : { field })

/**
 * Returns all values as strings. A value that was `${NAME}` may be a number or a boolean, because the environment
 * variables of a tab have types.
 * @throws RedoxError REDOX_CONFIGURATION for other types
 */
export function asTexts<T extends object>(values: T): T {
  const texts = Object.entries(values).flatMap(([name, value]: [string, unknown]) => {
    if (value === undefined || value === null) return []
    if (['string', 'number', 'boolean'].includes(typeof value)) return [[name, String(value)]]
    // Node-RED's own properties, such as `_users`, are left out.
    if (name.startsWith('_') || name === 'credentials') return []
    throw configuration(
      `${labelOf(name)} is not text or a number. If the connection refers to an environment variable, check the type of ` +
        'that variable.',
      name,
    )
  })
  return Object.fromEntries(texts) as T
}

/**
 * Checks that no value still contains the name of an unset environment variable.
 * @throws RedoxError REDOX_CONFIGURATION
 */
export function assertVariablesSet(values: object): void {
  for (const [name, value] of Object.entries(values)) {
    const unset = unsetVariable(value)
    if (unset === undefined) continue
    throw configuration(
      `${labelOf(name)} is not set: it refers to the environment variable ${unset}. Set that variable.`,
      name,
    )
  }
}

/**
 * Returns the chosen option of a choice field; the first option if none is chosen.
 * @throws RedoxError REDOX_CONFIGURATION for an unknown option
 */
export function choiceIn<N extends keyof Options>(config: ConnectionConfig, name: N): Options[N] {
  const field = fieldNamed(settings, name)
  const options: readonly string[] = field?.kind === 'choice' ? field.options : []
  const wanted = (config[name] ?? '').trim().toLowerCase()
  const found = wanted === '' ? options[0] : options.find((one) => one.toLowerCase() === wanted)
  if (found !== undefined) return found as Options[N]
  throw configuration(
    `${labelOf(name)} is not valid: it must be one of ${options.join(', ')}. Correct it in the connection.`,
    name,
  )
}

/**
 * Returns a setting that is a number above 0; the fallback if the setting is empty.
 * @throws RedoxError REDOX_CONFIGURATION for other values
 */
export function amountIn(config: ConnectionConfig, name: Amount, fallback: number): number {
  const value = config[name]
  if (value === undefined || value === '') return fallback
  const number = Number(value)
  if (Number.isFinite(number) && number > 0) return number
  throw configuration(`${labelOf(name)} is not a number above 0. Correct it in the connection.`, name)
}

// Longest delay of a Node.js timer in seconds (31 bits of milliseconds). A timer with a longer delay fires at once.
const MAX_TIMER_SECONDS = 2_147_483

export const secondsIn = (config: ConnectionConfig, name: Amount, fallback: number): number =>
  Math.min(Math.max(0.001, amountIn(config, name, fallback)), MAX_TIMER_SECONDS)

export const countIn = (config: ConnectionConfig, name: Amount, fallback: number): number =>
  Math.max(1, Math.floor(amountIn(config, name, fallback)))

/**
 * Returns a size in bytes. Rounded, because e.g. 1.005 * 1000 is a little less than 1005.
 * @param fallback default in bytes
 */
export function bytesIn(config: ConnectionConfig, name: Size, fallback: number): number {
  const unit = unitOf(name)
  return Math.round(amountIn(config, name, fallback / unit) * unit)
}

/**
 * Returns the whole number of a setting in which 0 means no limit; the fallback if the setting is empty.
 * @throws RedoxError REDOX_CONFIGURATION for other values
 */
export function countOrNoneIn(config: ConnectionConfig, name: AmountOrNone, fallback: number): number {
  const value = String(config[name] ?? '').trim()
  if (value === '') return fallback
  const number = Number(value)
  if (Number.isFinite(number) && number >= 0) return number === 0 ? 0 : Math.max(1, Math.floor(number))
  throw configuration(
    `${labelOf(name)} is neither 0 nor a number above 0. Correct it in the connection.`,
    name,
  )
}
