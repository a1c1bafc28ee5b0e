/**
 * Fields of a node type, as data. The build uses them for the published dialog and the list of fields in the help, the
 * editor for checks and suggestions, and the runtime to fill messages. Must not import Node.js modules, because
 * browsers load this file, too.
 */
import type { Setter } from '../../../src/message/setters'
import type { Check } from '../../../src/shared/checks'

/** Types of a typed input. `content` and `environment` are added by this package (editor/dialog/typed-inputs.ts). */
export type InputType =
  'msg' | 'flow' | 'global' | 'str' | 'json' | 'jsonata' | 'env' | 'content' | 'environment'

/** Condition that is true if each named choice has one of the listed values. An empty condition is always true. */
export type Condition = Readonly<Record<string, readonly string[]>>

/** Collapsible section of a dialog. The title of the section, and its tip if it has one, are in the catalogue. */
export interface Section {
  name: string
  /** true if the section is open when the dialog opens */
  open?: true
  /** condition for showing the section and checking its fields */
  when?: Condition
}

interface AnyField {
  /** name of the saved property, of its input in the dialog, and of its label, hint and example in the catalogue */
  name: string
  /** name of a Font Awesome icon, without `fa-` */
  icon: string
  /** section of the dialog; undefined for the first rows of the dialog, which are in no section */
  section?: Section
  /** catalogue key of the hint, if it differs from the name of the field */
  hint?: string
  /** condition for showing, checking and sending the field */
  when?: Condition
  checks?: readonly Check[]
  /** condition for the checks of a field that is always shown */
  checksWhen?: Condition
  /**
   * true for a setting that the sandbox replaces with its own value: not checked while the connection uses, or may use,
   * the sandbox
   */
  notInSandbox?: true
  /** tip that is shown below the row: catalogue key, and condition */
  tip?: { text: string; when: Condition }
  /** name of a file in nodes/lib/dialog with HTML that is shown below the row */
  part?: string
  /** other paths in a message, without array indexes, whose problems are shown at this field */
  problemsAt?: readonly string[]
}

/** Part of a message that a typed input fills. */
export interface Target {
  path?: string
  /**
   * setter that is used in place of a path, for a value that identifies an element of an array or belongs to such an
   * element
   */
  set?: Setter
  /** name of another field: if that field has no value, this field is not sent. Example: the type of an ID */
  with?: string
  /** true if the field fills only messages without a file: a file has its own name and type */
  withoutFile?: true
}

/** Typed input with two saved properties, `name` and `nameType`. */
export interface TypedField extends AnyField, Target {
  kind: 'typed'
  types?: readonly InputType[]
  /** default value in a new node */
  value?: string
  valueType?: InputType
  /** values to choose from, for an input type that this package adds */
  options?: readonly string[]
  /** suggested values; other values are allowed */
  suggest?: readonly string[]
  /**
   * sample that the preview uses for a value from the message; `null`: no value; default: a string with the name of the
   * field
   */
  sample?: unknown
  /** true if the value can be detected from the file: a message is complete without a value in this field */
  detected?: true
}

/** Choice from a list. A new node has the first option. */
export interface ChoiceField extends AnyField {
  kind: 'choice'
  options: readonly [string, ...string[]]
  /** true if the options are Redox's own terms, which are not translated */
  literal?: true
  validator?: CredentialValidator
}

export interface TextField extends AnyField {
  kind: 'text'
  /** true for multi-line text */
  lines?: true
  /** unit of a size, as a number of bytes */
  bytes?: number
  /** names of other size fields, whose sizes this size must not exceed (check `limits`) */
  notAbove?: readonly string[]
  validator?: CredentialValidator
}

/**
 * Names of validators for values that depend on credentials. `secrets`: the secrets of the chosen kind of key, and of
 * the store; `keyId`: the ID of a key.
 */
export type CredentialValidator = 'secrets' | 'keyId'

/** Credential that Node-RED stores encrypted and never sends to the editor. */
export interface SecretField extends AnyField {
  kind: 'secret'
}

/** Box to tick, whose value is a boolean. */
export interface BoxField extends AnyField {
  kind: 'box'
  /** true if the box is ticked in a new node */
  ticked?: true
}

/** Field that refers to a config node. */
export interface NodeField extends AnyField {
  kind: 'node'
  type: string
  required: boolean
  /** true, or a condition, if the connection must be usable for the FHIR API */
  fhir?: true | Condition
}

export type Field = TypedField | ChoiceField | TextField | SecretField | BoxField | NodeField

/** Table of all properties of a node type. */
export interface Table {
  type: string
  /** version of the saved properties, see src/shared/migrations.ts */
  version: number
  /** fields in the order of the dialog */
  fields: readonly Field[]
}

// ---- Checks by the compiler ----------------------------------------------------------------------------

type NameIn<F extends readonly Field[]> = F[number]['name']

/** Field with a list of values to choose from. */
interface FieldWithOptions {
  name: string
  options: readonly string[]
}

/** Conditions that can be used in a table: on its choice fields, and on the types of its typed inputs. */
export type ConditionOf<F extends readonly Field[]> = {
  readonly [C in Extract<F[number], FieldWithOptions> as C['name']]: readonly C['options'][number][]
} & {
  readonly [T in Extract<F[number], { types: readonly string[] }> as `${T['name']}Type`]: T['types']
}

/** Names and values in a condition that do not exist in the table. */
type Undecidable<W, C> =
  Exclude<keyof W, keyof C> | { [N in keyof W & keyof C]: Exclude<Each<W[N]>, Each<C[N]>> }[keyof W & keyof C]
type Each<List> = List extends readonly (infer One)[] ? One : never

/** Names that a field refers to and that do not exist in the table. */
type UnknownName<One, F extends readonly Field[]> =
  | (One extends { when: infer W } ? Undecidable<W, ConditionOf<F>> : never)
  | (One extends { checksWhen: infer W } ? Undecidable<W, ConditionOf<F>> : never)
  | (One extends { fhir: infer W } ? (W extends true ? never : Undecidable<W, ConditionOf<F>>) : never)
  | (One extends { section: { when: infer W } } ? Undecidable<W, ConditionOf<F>> : never)
  | (One extends { tip: { when: infer W } } ? Undecidable<W, ConditionOf<F>> : never)
  | (One extends { with: infer Other extends string } ? Exclude<Other, NameIn<F>> : never)
  | (One extends { notAbove: infer Others } ? Exclude<Each<Others>, NameIn<F>> : never)

type UnknownIn<F extends readonly Field[]> = F[number] extends infer One
  ? One extends unknown
    ? UnknownName<One, F>
    : never
  : never

/** Type that makes the compiler report an unknown name. No object has this property. */
interface UnknownNameError<Name> {
  'not in the table': Name
}

/**
 * Returns a table of fields. Does not compile if a condition, `with` or `notAbove` refers to a name that is not in the
 * table.
 */
export const table = <const F extends readonly Field[]>(
  type: string,
  version: number,
  fields: F & ([UnknownIn<F>] extends [never] ? unknown : UnknownNameError<UnknownIn<F>>),
): Table & { fields: F } => ({ type, version, fields })

type InSection<F extends readonly Field[], S> = { readonly [I in keyof F]: F[I] & { section: S } }

/** Returns the fields with their section of the dialog set. */
export function section<const F extends readonly Field[]>(
  name: string,
  fields: F,
): InSection<F, { name: string }>
export function section<const F extends readonly Field[], const O extends Omit<Section, 'name'>>(
  name: string,
  options: O,
  fields: F,
): InSection<F, O & { name: string }>
export function section(name: string, ...rest: [readonly Field[]] | [object, readonly Field[]]): unknown {
  const fields = rest.at(-1) as readonly Field[]
  const options = rest.length === 2 ? rest[0] : {}
  return fields.map((field) => ({ ...field, section: { name, ...options } }))
}
