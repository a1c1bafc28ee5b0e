/** Validators for Node-RED's editor: the sentences of the red triangle. The runtime checks all values again. */
import type { Check } from '../../src/shared/checks'
import { holds, reader, type Read } from '../forms'
import { labelOf, text } from '../texts'
import { sentence, type Fault } from './fault'
import { isBlank, RULES } from './rules'
import { variablesOf } from './variables'

type EditorNode = EditorApi.EditorNode
type Validator = EditorApi.Validator

// Rules for values of any type. The other rules check typed texts, or an input whose type has the rule's name (`json`):
// they have no meaning for a path into the message.
const FOR_ANY_TYPE: ReadonlySet<Check> = new Set(['needed', 'required', 'madeOfFile'])

/**
 * Returns a validator for one property.
 * @param names of rules; the error of the first broken rule is returned
 * @param when condition under which the property is checked, see holds()
 */
export function valid(name: string, names: readonly Check[] = [], when?: string): Validator {
  // Node-RED checks the number of parameters: a validator with two may return a sentence.
  return function (value, _options) {
    const read = reader(this)
    if (when !== undefined && !holds(when, read)) return true
    const type = read(`${name}Type`)
    const content = String(value ?? '')
    if (type === 'env' && !isBlank(content)) return variableFault(this, name, names, read)
    const applied = names.filter((rule) => FOR_ANY_TYPE.has(rule) || ['', 'str', rule].includes(type))
    const faults = applied.map((rule) => RULES[rule](content, read, name))
    const typeFault = isBlank(content) ? undefined : typed(value, type)
    return sentence(name, typeFault ?? faults.find((fault) => fault !== undefined))
  }
}

function typed(value: unknown, type: string): Fault | undefined {
  if (!['msg', 'flow', 'global', 'json', 'jsonata'].includes(type)) return undefined
  const result = RED.utils.validateTypedProperty(value, type, {})
  return result === true ? undefined : ['expression', { reason: result || type }]
}

/** Returns the sentence about the first value of a variable that breaks a rule; true if there is none. */
function variableFault(node: EditorNode, name: string, names: readonly Check[], read: Read): true | string {
  const variable = read(name)
  const applied = names.filter((rule) => rule !== 'madeOfFile')
  for (const { sentences, value } of variablesOf(node, variable)) {
    const fault = applied.map((rule) => RULES[rule](value, read, name)).find((one) => one !== undefined)
    if (fault === undefined) continue
    const isEmpty = fault[0] === 'needed' || fault[0] === 'required'
    const from = text(`invalid.${isEmpty ? sentences.empty : sentences.from}`, { name: variable })
    return isEmpty ? from : `${sentence(name, fault)} ${from}`
  }
  return true
}

/**
 * Returns a validator for the connection. Except for an empty text, the editor leaves all checks to the validator: that
 * the config node exists, and that it is valid.
 * @param fault returns another error of the config node
 */
function connectionRule(fault: (node: EditorNode, connection: EditorNode) => Fault | undefined): Validator {
  return function (value, _options) {
    const told = (key: string): string => RED._(key, { prop: labelOf('connection') })
    // The editor itself reports an empty text.
    if (value === '') return true
    if (!value || value === '_ADD_') return told('validator.errors.missing-required-prop')
    const connection = RED.nodes.node(value)
    if (!connection) return told('validator.errors.missing-config')
    const own = fault(this, connection)
    if (own !== undefined) return sentence('connection', own)
    return connection.valid === false ? told('validator.errors.invalid-config') : true
  }
}

export const validConnection = connectionRule(() => undefined)

/**
 * Returns a validator for the connection of a node that sends to the FHIR API, which accepts no legacy key.
 * @param when condition under which the node sends to the FHIR API, see holds()
 */
export const validFhirConnection = (when?: string): Validator =>
  connectionRule((node, { auth }) => {
    const isFhir = when === undefined || holds(when, reader(node))
    return isFhir && auth === 'legacy' ? ['legacyKey'] : undefined
  })
