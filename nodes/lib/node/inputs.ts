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

/** A node's saved properties: `name` and `nameType` for each typed input. */
export type NodeConfig = Record<string, unknown>

/** The same, looked through once for all messages, with what is known of each. */
export interface Settings {
  table: Table
  values: ReadonlyMap<string, Setting>
}

interface Setting {
  value: string
  /** of a typed input */
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

/** Types of an input whose value is a property that may be there or not. */
const PLACES = new Set(['msg', 'flow', 'global'])

/** Codes of JSONata and of Node-RED. */
const OWN_CODE = /^([A-Z]\d{4}|INVALID_[A-Z]+)$/

const text = (value: unknown): string => (value === undefined || value === null ? '' : String(value))

/** Longer texts are looked at in turns, by what takes them. */
const LONGEST_BLANK = 100_000

const isBlank = (value: unknown): boolean =>
  value === null || (typeof value === 'string' && value.length <= LONGEST_BLANK && value.trim() === '')

/** What a field is whatever the message is: a text of the node, or an environment variable. */
export function constantOf(RED: NodeAPI, node: Node, { values }: Settings, name: string): string | undefined {
  const { value, type } = values.get(name) ?? UNSET
  if (type === 'str') return value.trim()
  return type === 'env' ? text(RED.util.evaluateNodeProperty(value, type, node, {})).trim() : undefined
}

/**
 * Values of a node's typed inputs for one message. An input that is empty, or whose message property is not
 * there, is `undefined`: it is then left out.
 */
export class Inputs {
  readonly #absent = new Map<string, string>()
  /** the environment variables that fields take their values from */
  readonly #variables = new Map<string, string>()

  constructor(
    private readonly RED: NodeAPI,
    private readonly node: Node,
    private readonly settings: Settings,
    private readonly msg: NodeMessageInFlow,
  ) {}

  /** id of the node that they are for */
  get owner(): string {
    return this.node.id
  }

  /** What the node is set to, e.g. `msg.payload`, for error texts. */
  where(name: string): string {
    const { value, type } = this.#setting(name)
    if (type === 'msg' || type === 'flow' || type === 'global') return `${type}.${value}`
    if (type === 'env') return `the environment variable ${value}`
    return type === 'jsonata' ? 'the JSONata result' : `the ${labelOf(name)} field`
  }

  /** What is known of the node's fields. */
  get table(): Table {
    return this.settings.table
  }

  /** A plain setting, such as a choice from a list; without one, what a new node has. */
  setting(name: string): string {
    return settingOf(this.table, name, this.#setting(name).value)
  }

  /** Whether anything is set at all, so that there can be a value. */
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

  /** A value that was found; `undefined` for an empty one, which is told of when the message lacks it. */
  protected known(name: string, value: unknown): unknown {
    const { value: setting, type } = this.#setting(name)
    if (type === 'env') this.#variables.set(name, setting)
    const found = isBlank(value) ? undefined : value
    if (found === undefined && PLACES.has(type) && !this.#isDetected(name))
      this.#absent.set(name, this.where(name))
    return found
  }

  /** The problem, in terms of the environment variable that the field takes its value from. */
  inTermsOfVariables(found: Problem): Problem {
    const name = fieldAt(this.table, found.path)
    const variable = name === undefined ? undefined : this.#variables.get(name)
    if (variable === undefined) return found
    if (!/^is (missing|empty)$/.test(found.problem))
      return { ...found, fix: `${found.fix} The value comes from the environment variable ${variable}.` }
    return { ...found, problem: `${FROM_VARIABLE}${variable}`, fix: 'Give that variable a value.' }
  }

  /**
   * Names the inputs that are set to a property which is not there, or is empty. That is no fault by itself, such an input
   * is left out; but it is what has to be told of a message that lacks something.
   * @returns a sentence, or undefined
   */
  absent(): string | undefined {
    if (this.#absent.size === 0) return undefined
    const all = [...this.#absent].map(([name, where]) => `${labelOf(name)} (${where})`)
    return `Not set, or empty: ${all.join(', ')}.`
  }

  /** The environment variable that the field refers to, if that is not set. */
  protected unsetVariable(name: string): string | undefined {
    const { value: setting, type } = this.#setting(name)
    if (type === 'str') return unsetVariable(setting)
    const isName = type === 'env' && !setting.includes('${')
    return isName && this.RED.util.getSetting(this.node, setting) === undefined ? setting : undefined
  }

  /** Whether the field is set to be made from the content of the message: then it has no value of its own. */
  isMadeOfContent(name: string): boolean {
    return this.#setting(name).type === MADE_OF_CONTENT
  }

  /**
   * Whether a value is one part of what a node split: it stands where `msg.parts` says, and is of the kind that it
   * says. Parts of an array are whole values.
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

  /** Numbers and booleans are written as text; anything else is refused. */
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

  /** Whether the file itself says it. */
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

  // The reason's text is left out: JSONata and JSON errors repeat what they stumbled over.
  #unusable(name: string, type: string, error: unknown): Error {
    const code = (error as { code?: unknown }).code
    // So Node-RED says that what the property would be in is not there.
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

/** The variable that a problem of {@link Inputs.inTermsOfVariables} is about. */
export const variableIn = (problem: string): string | undefined =>
  problem.startsWith(FROM_VARIABLE) ? problem.slice(FROM_VARIABLE.length) : undefined

/** A draft in terms of the form: the inputs that its message did not have, and the labels of its fields. */
export function inTermsOfForm(draft: Draft, inputs: Inputs): Draft {
  const absent = inputs.absent()
  const problems = draft.problems.map((one) => inputs.inTermsOfVariables(one))
  const nameAt = (path: string): string => {
    const name = fieldAt(inputs.table, path)
    return name === undefined ? lastName(path) : labelOf(name)
  }
  return { ...draft, problems, nameAt, ...(absent !== undefined && { absent }) }
}

/** The choice of a setting, checked: a flow may have been made by hand. */
export function oneOf<T extends string>(inputs: Inputs, name: string, values: readonly [T, ...T[]]): T {
  const value = inputs.setting(name) || values[0]
  const found = values.find((one) => one === value)
  if (found === undefined)
    throw badInput(`${labelOf(name)} is not valid: the setting must be one of ${values.join(', ')}.`)
  return found
}
