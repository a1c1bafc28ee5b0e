/**
 * Fields of a node type, as data. The build uses them for the published dialog and the list in the help, the editor for
 * checks and suggestions, and the runtime to fill messages. Without Node.js imports, because browsers load this file,
 * too.
 */
import type { Setter } from '../../../src/message/setters'
import type { Check } from '../../../src/shared/checks'

/** Types of a typed input. `content` and `environment` are added by this package (editor/dialog/typed-inputs.ts). */
export type InputType =
  'msg' | 'flow' | 'global' | 'str' | 'json' | 'jsonata' | 'env' | 'content' | 'environment'

/** Condition that is true if each named choice has one of the listed values. An empty condition is always true. */
export type Condition = Readonly<Record<string, readonly string[]>>

/** Part of a dialog that opens and closes. Its title, and its tip if there is one, are in the catalogue. */
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
  /** section of the dialog; undefined for the first rows, which are in none */
  section?: Section
  /** catalogue key of the hint, if it differs from the name of the field */
  hint?: string
  /** condition for showing, checking and sending the field */
  when?: Condition
  checks?: readonly Check[]
  /** condition for the checks of a field that is always shown */
  checksWhen?: Condition
  /** The sandbox of this package has its own: nothing is checked while the connection is, or may be, to it. */
  notInSandbox?: true
  /** a note beneath the row, by its key in the catalogue */
  tip?: { text: string; when: Condition }
  /** name of a file in nodes/lib/dialog with HTML that is shown below the row */
  part?: string
  /** other paths of a message, without indexes, whose problems are shown at this field */
  problemsAt?: readonly string[]
}

/** Path of a message that a typed input fills. */
export interface Target {
  path?: string
  /** setter in place of a path, for a value that identifies an element of a list, or belongs to such an element */
  set?: Setter
  /** name of another field: without a value there, this field is not sent, e.g. the type of an ID */
  with?: string
  /** true if filled only in messages without a file, because a file has its own name and type */
  withoutFile?: true
}

/** Typed input with two saved properties, `name` and `nameType`. */
export interface TypedField extends AnyField, Target {
  kind: 'typed'
  types?: readonly InputType[]
  /** value in a new node */
  value?: string
  valueType?: InputType
  /** values of an input type that this package adds */
  options?: readonly string[]
  /** suggested values; other values are allowed */
  suggest?: readonly string[]
  /**
   * sample in the preview for a value from the message: `null` for no value; default: a text with the name of the field
   */
  sample?: unknown
  /** true if the value is detected from the file: a message without this value is not incomplete */
  detected?: true
}

/** Choice from a list. A new node has the first option. */
export interface ChoiceField extends AnyField {
  kind: 'choice'
  options: readonly [string, ...string[]]
  /** true if the options are terms of Redox, which are not translated */
  literal?: true
  validator?: CredentialValidator
}

export interface TextField extends AnyField {
  kind: 'text'
  /** true for a text of several lines */
  lines?: true
  /** unit of a size, in bytes */
  bytes?: number
  /** names of sizes that it may not be above, checked by `limits` */
  notAbove?: readonly string[]
  validator?: CredentialValidator
}

/**
 * Names of validators for values that depend on credentials: the secrets of the chosen kind of key, the ID of a key,
 * and the secrets of the store.
 */
export type CredentialValidator = 'secrets' | 'keyId'

/** Credential that Node-RED stores encrypted and never sends to the editor. */
export interface SecretField extends AnyField {
  kind: 'secret'
}

/** Field that refers to a config node. */
export interface NodeField extends AnyField {
  kind: 'node'
  type: string
  required: boolean
  /** true, or a condition, for a connection that must suit the FHIR API */
  fhir?: true | Condition
}

export type Field = TypedField | ChoiceField | TextField | SecretField | NodeField

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

/** Conditions that a table can decide: by its choice fields, and by the types of its typed inputs. */
export type ConditionOf<F extends readonly Field[]> = {
  readonly [C in Extract<F[number], FieldWithOptions> as C['name']]: readonly C['options'][number][]
} & {
  readonly [T in Extract<F[number], { types: readonly string[] }> as `${T['name']}Type`]: T['types']
}

/** Names and values in a condition that the table cannot decide. */
type Undecidable<W, C> =
  Exclude<keyof W, keyof C> | { [N in keyof W & keyof C]: Exclude<Each<W[N]>, Each<C[N]>> }[keyof W & keyof C]
type Each<List> = List extends readonly (infer One)[] ? One : never

/** Names that a field refers to and that the table does not contain. */
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

/** Error type that the compiler shows for an unknown name. No object has this property. */
interface UnknownNameError<Name> {
  'not in the table': Name
}

/** Returns a table of fields. Does not compile if a condition, or the field named in `with`, does not exist. */
export const table = <const F extends readonly Field[]>(
  type: string,
  version: number,
  fields: F & ([UnknownIn<F>] extends [never] ? unknown : UnknownNameError<UnknownIn<F>>),
): Table & { fields: F } => ({ type, version, fields })

type InSection<F extends readonly Field[], S> = { readonly [I in keyof F]: F[I] & { section: S } }

/** Returns fields with their section of the dialog. */
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
