/** Values of environment variables that fields refer to, as far as the editor knows them. */

type Scope = EditorApi.Scope

// Types of environment variables whose values the editor knows. The values of other types are known only to the
// runtime.
const KNOWN_TYPES = [undefined, 'str', 'num', 'bool']

/**
 * Catalogue keys of the error texts: for a variable with an empty value, and for a variable with any other invalid
 * value.
 */
export interface Sentences {
  empty: string
  from: string
}

export interface KnownVariable {
  sentences: Sentences
  value: string
}

// Error texts, by the place where a variable is defined.
const OF_TAB = { empty: 'emptyTab', from: 'fromTab' }
const OF_GROUP = { empty: 'emptyGroup', from: 'fromGroup' }
const OF_SUBFLOW = { empty: 'emptySubflow', from: 'fromSubflow' }

/**
 * Returns the scopes in which a node's environment variables are looked up, innermost first, each with its error texts.
 */
function scopesOf(node: Pick<EditorApi.EditorNode, 'g' | 'z'>): [Sentences, Scope][] {
  const group = node.g ? RED.nodes.group(node.g) : undefined
  const groups: [Sentences, Scope][] = group
    ? [[OF_GROUP, group], ...scopesOf(group.g === undefined ? {} : { g: group.g })]
    : []
  const tab = node.z ? RED.nodes.workspace(node.z) : undefined
  return tab ? [...groups, [OF_TAB, tab]] : groups
}

const entryOf = ({ env }: Pick<Scope, 'env'>, name: string): EditorApi.EnvironmentEntry | undefined =>
  (env ?? []).find((one) => one.name === name)

/**
 * Returns the known values of an environment variable, one for each place where the node runs; each instance of a
 * subflow is such a place. The environment variables of the server process are not known to the editor.
 */
export function variablesOf(node: EditorApi.EditorNode, name: string): KnownVariable[] {
  const found = scopesOf(node)
    .map(([sentences, scope]) => ({ sentences, entry: entryOf(scope, name) }))
    .find(({ entry }) => entry !== undefined)
  if (found?.entry) return knownValue(found.sentences, found.entry)
  const subflow = node.z ? RED.nodes.subflow(node.z) : undefined
  if (!subflow) return []
  const standard = entryOf(subflow, name)
  return RED.nodes.filterNodes({ type: `subflow:${subflow.id}` }).flatMap((instance) => {
    const entry = entryOf(instance, name) ?? standard
    return entry === undefined ? variablesOf(instance, name) : knownValue(OF_SUBFLOW, entry)
  })
}

/** Returns true if a tab, group or subflow defines the variable, whatever the type of its value. */
export function declaresVariable(node: Pick<EditorApi.EditorNode, 'g' | 'z'>, name: string): boolean {
  if (scopesOf(node).some(([, scope]) => entryOf(scope, name))) return true
  const subflow = node.z ? RED.nodes.subflow(node.z) : undefined
  if (!subflow) return false
  if (entryOf(subflow, name)) return true
  const instances = RED.nodes.filterNodes({ type: `subflow:${subflow.id}` })
  return instances.some((one) => entryOf(one, name) || declaresVariable(one, name))
}

const knownValue = (sentences: Sentences, { type, value }: EditorApi.EnvironmentEntry): KnownVariable[] =>
  KNOWN_TYPES.includes(type) ? [{ sentences, value: String(value ?? '') }] : []
