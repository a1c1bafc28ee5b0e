/** Validators for Node-RED's editor, with the error texts of the red triangle. The runtime checks all values again. */
import { fieldNamed, holds } from '../../nodes/lib/fields/conditions'
import type { Field, NodeField, Table } from '../../nodes/lib/fields/types'
import type { Check } from '../../src/shared/checks'
import { reader, type Read } from '../forms'
import { tableOf } from '../tables'
import { labelOf, text } from '../texts'
import { sentence, type ValidationError } from './validation-error'
import { isBlank, RULES } from './rules'
import { validKeyId, validSecret, validSecretsOf } from './secrets'
import { variablesOf } from './variables'
import { isChecked, settingsOf } from './when'

// Rules that apply to every type of a typed input. The other rules apply only to plain strings, or to an input whose
// type has the same name as the rule (`json`): for a path such as `msg.payload`, they would be meaningless.
const FOR_ANY_TYPE: ReadonlySet<Check> = new Set(['needed', 'required', 'madeOfFile'])

/**
 * Returns the validator of a property, according to the table of fields of its node type.
 * @throws Error for a property that is not in the table
 */
export function of(type: string, name: string): EditorApi.Validator {
  const table = tableOf(type)
  const field = table && fieldNamed(table, name)
  if (!table || !field) throw new Error(`${type} has no field ${name}`)
  if (field.kind === 'node') return connectionRule(table, field)
  if (field.kind === 'secret') return validSecret(table, field)
  const own = 'validator' in field ? field.validator : undefined
  if (own === 'secrets') return validSecretsOf(table, name)
  return own === 'keyId' ? validKeyId(table, field) : valid(table, field)
}

/**
 * Returns the validator of a text field, a choice or a typed input. It returns the error of the first check that fails.
 */
function valid(table: Table, field: Field): EditorApi.Validator {
  const { name, checks: names = [] } = field
  // Node-RED counts the parameters of a validator: only one with two parameters may return an error text.
  return function (value, _options) {
    const read = reader(this)
    if (!isChecked(table, field, read)) return true
    const type = read(`${name}Type`)
    const content = String(value ?? '')
    if (type === 'env' && !isBlank(content)) return variableFault(this, name, names, read)
    const applied = names.filter((rule) => FOR_ANY_TYPE.has(rule) || ['', 'str', rule].includes(type))
    const faults = applied.map((rule) => RULES[rule](content, read, name))
    const typeFault = isBlank(content) ? undefined : typed(value, type)
    return sentence(name, typeFault ?? faults.find((fault) => fault !== undefined))
  }
}

function typed(value: unknown, type: string): ValidationError | undefined {
  if (!['msg', 'flow', 'global', 'json', 'jsonata'].includes(type)) return undefined
  const result = RED.utils.validateTypedProperty(value, type, {})
  return result === true ? undefined : ['expression', { reason: result || type }]
}

/** Returns the error text for the first value of an environment variable that breaks a rule; true if there is none. */
function variableFault(
  node: EditorApi.EditorNode,
  name: string,
  names: readonly Check[],
  read: Read,
): true | string {
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
 * Returns the validator of the field *Connection*. The editor itself only checks that the field is not empty. The
 * validator also checks that the config node exists and is valid.
 * @param fault returns a further error of the config node
 */
function connectionRule(table: Table, { fhir }: NodeField): EditorApi.Validator {
  return function (value, _options) {
    const sentenceOf = (key: string): string => RED._(key, { prop: labelOf('connection') })
    // The editor itself reports an empty field.
    if (value === '') return true
    if (!value || value === '_ADD_') return sentenceOf('validator.errors.missing-required-prop')
    const connection = RED.nodes.node(value)
    if (!connection) return sentenceOf('validator.errors.missing-config')
    const isFhir = fhir !== undefined && (fhir === true || holds(fhir, settingsOf(table, reader(this))))
    // The FHIR API does not accept a legacy key.
    if (isFhir && connection['auth'] === 'legacy') return sentence('connection', ['legacyKey'])
    return connection.valid === false ? sentenceOf('validator.errors.invalid-config') : true
  }
}
