/**
 * The fields of a node type, as data: the build writes the published dialog and the help's list from them, the editor
 * checks and suggests by them, and the runtime fills messages by them. No imports of Node: the browser loads this, too.
 */
import type { Setter } from '../../../src/message/setters'
import type { Check } from '../../../src/shared/checks'

/** Types of a typed input. `content` and `environment` are our own: see resources of the editor. */
export type InputType =
  'msg' | 'flow' | 'global' | 'str' | 'json' | 'jsonata' | 'env' | 'content' | 'environment'

/** True when each of the named choices has one of the values. Without any name it is always true. */
export type Condition = Readonly<Record<string, readonly string[]>>

/** A part of a dialog that opens and closes; its title is in the catalogue, and its tip, if it has one. */
export interface Section {
  name: string
  /** from the beginning */
  open?: true
  /** It is shown, and its fields are checked, only then. */
  when?: Condition
}

interface AnyField {
  /** of the saved property, of its input in the dialog, and of its label, hint and example in the catalogue */
  name: string
  /** of Font Awesome, without `fa-` */
  icon: string
  /** the part of the dialog that it stands in; the first rows stand in none */
  section?: Section
  /** key of its hint, when that is not its name */
  hint?: string
  /** The row is shown, checked and sent only then. */
  when?: Condition
  checks?: readonly Check[]
  /** Its checks count only then, although it is shown in any case. */
  checksWhen?: Condition
  /** The sandbox of this package has its own: nothing is checked while the connection is, or may be, to it. */
  notInSandbox?: true
  /** a note beneath the row, by its key in the catalogue */
  tip?: { text: string; when: Condition }
  /** HTML beneath the row, written by hand: a file of nodes/lib/dialog */
  part?: string
  /** other places of a message whose problems are problems of this field, as paths without indexes */
  problemsAt?: readonly string[]
}

/** The place of a message that a typed input fills. */
export interface Target {
  path?: string
  /** instead of a path, for what identifies an element of a list, or belongs to such an element */
  set?: Setter
  /** filled only together with that other field: a type without its ID says nothing */
  with?: string
  /** filled only when the message has no file, which brings its own name and type */
  withoutFile?: true
}

/** A typed input: two properties, `name` and `nameType`. */
export interface TypedField extends AnyField, Target {
  kind: 'typed'
  types?: readonly InputType[]
  /** of a new node */
  value?: string
  valueType?: InputType
  /** the values of a type of our own */
  options?: readonly string[]
  /** offered, never forced */
  suggest?: readonly string[]
  /** what the preview takes for a value of the message: `null` for none, without it a text with the name */
  sample?: unknown
  /** Without it the file itself says it: a message that lacks it lacks nothing. */
  detected?: true
}

/** A list; the first option is that of a new node. */
export interface ChoiceField extends AnyField {
  kind: 'choice'
  options: readonly [string, ...string[]]
  /** The options are Redox's own words, and are not translated. */
  literal?: true
  validator?: CredentialValidator
}

export interface TextField extends AnyField {
  kind: 'text'
  /** for several lines */
  lines?: true
  /** unit of a size, in bytes */
  bytes?: number
  /** names of sizes that it may not be above, checked by `limits` */
  notAbove?: readonly string[]
  validator?: CredentialValidator
}

/**
 * Validators of their own, for what depends on credentials: `secrets` marks a choice when a secret that is asked for by
 * it is wrong, and `keyId` looks at the private key, too.
 */
export type CredentialValidator = 'secrets' | 'keyId'

/** A credential of Node-RED: stored encrypted, and never sent to the editor. */
export interface SecretField extends AnyField {
  kind: 'secret'
}

/** A reference to a config node. */
export interface NodeField extends AnyField {
  kind: 'node'
  type: string
  required: boolean
  /** The connection has to suit the FHIR API; with a condition only then. */
  fhir?: true | Condition
}

export type Field = TypedField | ChoiceField | TextField | SecretField | NodeField

/** All that is known of a node type's properties. */
export interface Table {
  type: string
  /** of the saved properties, see the migrations */
  version: number
  /** in the order of the dialog */
  fields: readonly Field[]
}

// ---- What must not compile -----------------------------------------------------------------------------

type NameIn<F extends readonly Field[]> = F[number]['name']

/** What has a list of values to choose from. */
interface Listed {
  name: string
  options: readonly string[]
}

/** The conditions that a table can decide: by its lists, and by the types of its typed inputs. */
export type ConditionOf<F extends readonly Field[]> = {
  readonly [C in Extract<F[number], Listed> as C['name']]: readonly C['options'][number][]
} & {
  readonly [T in Extract<F[number], { types: readonly string[] }> as `${T['name']}Type`]: T['types']
}

/** Names and values of a condition that the table cannot decide. */
type Undecidable<W, C> =
  Exclude<keyof W, keyof C> | { [N in keyof W & keyof C]: Exclude<Each<W[N]>, Each<C[N]>> }[keyof W & keyof C]
type Each<List> = List extends readonly (infer One)[] ? One : never

/** What a field names that the table lacks. */
type Unknown<One, F extends readonly Field[]> =
  | (One extends { when: infer W } ? Undecidable<W, ConditionOf<F>> : never)
  | (One extends { checksWhen: infer W } ? Undecidable<W, ConditionOf<F>> : never)
  | (One extends { fhir: infer W } ? (W extends true ? never : Undecidable<W, ConditionOf<F>>) : never)
  | (One extends { section: { when: infer W } } ? Undecidable<W, ConditionOf<F>> : never)
  | (One extends { tip: { when: infer W } } ? Undecidable<W, ConditionOf<F>> : never)
  | (One extends { with: infer Other extends string } ? Exclude<Other, NameIn<F>> : never)
  | (One extends { notAbove: infer Others } ? Exclude<Each<Others>, NameIn<F>> : never)

type UnknownIn<F extends readonly Field[]> = F[number] extends infer One
  ? One extends unknown
    ? Unknown<One, F>
    : never
  : never

/** Shown by the compiler: nothing has this property. */
interface Mistake<Name> {
  'not in the table': Name
}

/** A table whose conditions and companions exist, or it does not compile. */
export const table = <const F extends readonly Field[]>(
  type: string,
  version: number,
  fields: F & ([UnknownIn<F>] extends [never] ? unknown : Mistake<UnknownIn<F>>),
): Table & { fields: F } => ({ type, version, fields })

type InSection<F extends readonly Field[], S> = { readonly [I in keyof F]: F[I] & { section: S } }

/** Fields of one section of the dialog. */
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
