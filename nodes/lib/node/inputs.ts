import { types } from 'node:util'
import type { Node, NodeAPI, NodeMessageInFlow } from 'node-red'
import { badInput, type Problem } from '../../../src/errors'
import { lastName } from '../../../src/message/problems'
import type { Draft } from '../../../src/message/prepared'
import { fieldNamed, settingOf } from '../fields/conditions'
import { fieldAt } from '../fields/lookup'
import type { Table } from '../fields/types'
import { labelOf } from '../runtime/labels'
import { unsetVariable } from '../runtime/variables'

/** Saved properties of a node: `name` and `nameType` for each typed input. */
export type NodeConfig = Record<string, unknown>

/** Saved properties of a node, parsed once for all messages, and the table of the node's fields. */
export interface Settings {
  table: Table
  values: ReadonlyMap<string, Setting>
}

interface Setting {
  value: string
  /** type of a typed input */
  type: string
}

const MADE_OF_CONTENT = 'content'
const UNSET: Setting = { value: '', type: 'str' }

export const settingsOf = (table: Table, config: NodeConfig): Settings => ({
  table,
  values: new Map(
    Object.keys(config).map((name) => [
      name,
      { value: text(config[name]), type: text(config[`${name}Type`]) || UNSET.type },
    ]),
  ),
})

/** Types of an input that refers to a property of the message or the context. The property may be missing. */
const PLACES = new Set(['msg', 'flow', 'global'])

/** Pattern for the error codes of JSONata and of Node-RED, which are safe to report. */
const OWN_CODE = /^([A-Z]\d{4}|INVALID_[A-Z]+)$/

const text = (value: unknown): string => (value === undefined || value === null ? '' : String(value))

/** Maximum length of a string that is checked for being blank. Longer strings are processed later in chunks. */
const LONGEST_BLANK = 100_000

const isBlank = (value: unknown): boolean =>
  value === null || (typeof value === 'string' && value.length <= LONGEST_BLANK && value.trim() === '')

/**
 * Returns a field's value if the message cannot change it (a fixed string or an environment variable); otherwise
 * undefined.
 */
export function constantOf(RED: NodeAPI, node: Node, { values }: Settings, name: string): string | undefined {
  const { value, type } = values.get(name) ?? UNSET
  if (type === 'str') return value.trim()
  return type === 'env' ? text(RED.util.evaluateNodeProperty(value, type, node, {})).trim() : undefined
}

/**
 * Values of a node's typed inputs for one message. The value is `undefined` for an empty input, and for an input whose
 * message property does not exist. Such inputs are not sent.
 */
export class Inputs {
  readonly #absent = new Map<string, string>()
  /** names of environment variables that fields get their values from, by field name */
  readonly #variables = new Map<string, string>()

  constructor(
    private readonly RED: NodeAPI,
    private readonly node: Node,
    private readonly settings: Settings,
    private readonly msg: NodeMessageInFlow,
  ) {}

  /** Id of the node that has these inputs. */
  get owner(): string {
    return this.node.id
  }

  /** Returns a description of where a field's value comes from, for error texts, e.g. `msg.payload`. */
  where(name: string): string {
    const { value, type } = this.#setting(name)
    if (type === 'msg' || type === 'flow' || type === 'global') return `${type}.${value}`
    if (type === 'env') return `the environment variable ${value}`
    return type === 'jsonata' ? 'the JSONata result' : `the ${labelOf(name)} field`
  }

  /** Table of the node's fields. */
  get table(): Table {
    return this.settings.table
  }

  /** Returns a setting that is not a typed input, such as a choice; for an unset choice, its first option. */
  setting(name: string): string {
    return settingOf(this.table, name, this.#setting(name).value)
  }

  /** Returns true if the field is filled, so that it can have a value. */
  isSet(name: string): boolean {
    const { value, type } = this.#setting(name)
    return value !== '' && type !== MADE_OF_CONTENT
  }

  async value(name: string): Promise<unknown> {
    if (!this.isSet(name)) return undefined
    const { value: setting, type } = this.#setting(name)
    const unset = this.unsetVariable(name)
    if (unset !== undefined) {
      throw badInput(
        `${labelOf(name)} is not set: it refers to the environment variable ${unset}. Set that variable.`,
      )
    }
    return this.known(name, type === 'str' ? setting : await this.#evaluate(name, setting, type))
  }

  /**
   * Returns a value; `undefined` for a blank one. Records a blank value from the message or context, for the error of
   * an incomplete message (see {@link absent}).
   */
  protected known(name: string, value: unknown): unknown {
    const { value: setting, type } = this.#setting(name)
    if (type === 'env') this.#variables.set(name, setting)
    const found = isBlank(value) ? undefined : value
    if (found === undefined && PLACES.has(type) && !this.#isDetected(name))
      this.#absent.set(name, this.where(name))
    return found
  }

  /** Returns a problem whose text names the environment variable that the field gets its value from. */
  inTermsOfVariables(found: Problem): Problem {
    const name = fieldAt(this.table, found.path)
    const variable = name === undefined ? undefined : this.#variables.get(name)
    if (variable === undefined) return found
    if (!/^is (missing|empty)$/.test(found.problem))
      return { ...found, fix: `${found.fix} The value comes from the environment variable ${variable}.` }
    return { ...found, problem: `${FROM_VARIABLE}${variable}`, fix: 'Give that variable a value.' }
  }

  /**
   * Returns a sentence that lists the inputs that refer to a missing or empty property; undefined if there are none.
   * Such an input alone is no error and is not sent, but the error of an incomplete message contains this sentence.
   */
  absent(): string | undefined {
    if (this.#absent.size === 0) return undefined
    const all = [...this.#absent].map(([name, where]) => `${labelOf(name)} (${where})`)
    return `Not set, or empty: ${all.join(', ')}.`
  }

  /** Returns the name of the environment variable that the field refers to, if that variable is not set. */
  protected unsetVariable(name: string): string | undefined {
    const { value: setting, type } = this.#setting(name)
    if (type === 'str') return unsetVariable(setting)
    const isName = type === 'env' && !setting.includes('${')
    return isName && this.RED.util.getSetting(this.node, setting) === undefined ? setting : undefined
  }

  /** Returns true if the field's value is made from the content of the file or text, e.g. an ID from its hash. */
  isMadeOfContent(name: string): boolean {
    return this.#setting(name).type === MADE_OF_CONTENT
  }

  /**
   * Returns true for a part that a Split node made: the value is in the property that `msg.parts.property` names, and
   * has the type `msg.parts.type`. Elements of a split array are complete values, and not parts.
   */
  isPart(value: unknown): boolean {
    const { parts } = this.msg as { parts?: unknown }
    if (typeof parts !== 'object' || parts === null) return false
    const { type, property } = parts as { type?: unknown; property?: unknown }
    const isOfKind =
      type === 'buffer' ? types.isUint8Array(value) : type === 'string' && typeof value === 'string'
    return (
      isOfKind &&
      value === this.#valueAt(typeof property === 'string' && property !== '' ? property : 'payload')
    )
  }

  #valueAt(property: string): unknown {
    try {
      return this.RED.util.getMessageProperty(this.msg, property) as unknown
    } catch {
      return undefined
    }
  }

  /**
   * Returns a value as a string; numbers and booleans are converted.
   * @throws RedoxError REDOX_BAD_INPUT for other types
   */
  async text(name: string): Promise<string | undefined> {
    const value = await this.value(name)
    if (value === undefined || typeof value === 'string') return value
    if (typeof value === 'number' || typeof value === 'boolean') return String(value)
    throw badInput(
      `${labelOf(name)} is not text: ${this.where(name)} is ${Array.isArray(value) ? 'an array' : `an ${typeof value}`}. Provide text.`,
    )
  }

  #setting(name: string): Setting {
    return this.settings.values.get(name) ?? UNSET
  }

  /** Returns true for a field whose value can be detected from the file. */
  #isDetected(name: string): boolean {
    const field = fieldNamed(this.table, name)
    return field?.kind === 'typed' && field.detected === true
  }

  #evaluate(name: string, value: string, type: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const finish = (error: unknown, result: unknown): void => {
        if (error) reject(this.#unusable(name, type, error))
        else resolve(result)
      }
      try {
        this.RED.util.evaluateNodeProperty(value, type, this.node, this.msg, finish)
      } catch (error) {
        finish(error, undefined)
      }
    })
  }

  // The original error text is left out, because errors of JSONata and JSON quote the data.
  #unusable(name: string, type: string, error: unknown): Error {
    const code = (error as { code?: unknown }).code
    // Node-RED's error without a code means that the object that would contain the property does not exist.
    if (type === 'msg' && code === undefined)
      return badInput(
        `${labelOf(name)} is not set: ${this.where(name)} does not exist. Set it before this node, or correct the field.`,
      )
    const which = typeof code === 'string' && OWN_CODE.test(code) ? ` (${code})` : ''
    return badInput(
      `${labelOf(name)} has an error: the field (${type}) cannot be evaluated${which}. Correct the field.`,
    )
  }
}

const FROM_VARIABLE = 'is empty: it comes from the environment variable '

/**
 * Returns the name of the environment variable in a problem text of {@link Inputs.inTermsOfVariables}; otherwise
 * undefined.
 */
export const variableIn = (problem: string): string | undefined =>
  problem.startsWith(FROM_VARIABLE) ? problem.slice(FROM_VARIABLE.length) : undefined

/** Returns a draft with the missing inputs and the field labels of the dialog, for error texts. */
export function inTermsOfForm(draft: Draft, inputs: Inputs): Draft {
  const absent = inputs.absent()
  const problems = draft.problems.map((one) => inputs.inTermsOfVariables(one))
  const nameAt = (path: string): string => {
    const name = fieldAt(inputs.table, path)
    return name === undefined ? lastName(path) : labelOf(name)
  }
  return { ...draft, problems, nameAt, ...(absent !== undefined && { absent }) }
}

/**
 * Returns the value of a choice field.
 * @throws RedoxError REDOX_BAD_INPUT for an unknown value, e.g. in a flow that was written by hand
 */
export function oneOf<T extends string>(inputs: Inputs, name: string, values: readonly [T, ...T[]]): T {
  const value = inputs.setting(name) || values[0]
  const found = values.find((one) => one === value)
  if (found === undefined)
    throw badInput(`${labelOf(name)} is not valid: the setting must be one of ${values.join(', ')}.`)
  return found
}
