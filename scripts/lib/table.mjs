// Writes the parts of a node's HTML that the build derives from its table of fields (nodes/lib/fields/types.ts): rows
// of the dialog, the literal `defaults` of the definition, and the list of fields in the help.
import { rows } from './rows.mjs'

const CONNECTION = 'redox-config'

/**
 * @typedef {import('../../dist/nodes/lib/fields/types.js').Table} Table
 * @typedef {import('../../dist/nodes/lib/fields/types.js').Field} Field
 * @typedef {import('../../dist/nodes/lib/fields/types.js').Condition} Condition
 * @typedef {import('../../dist/nodes/lib/fields/types.js').NodeField} NodeField
 * @typedef {Record<'label' | 'hint' | 'example' | 'tip', Record<string, string>>} Texts of the catalogue
 * @typedef {{ typed: string, choice: string, box: string, text: string }} KindNames kinds of fields in the help
 */

/**
 * Returns the rows of some fields. The rows of a section are enclosed by the section, which starts with its tip.
 * @param {readonly Field[]} fields
 * @param {string} prefix `node-input` or `node-config-input`
 * @param {Texts} texts catalogue in en-US
 */
export function rowsOf(fields, prefix, texts) {
  /** @type {string[]} */
  const parts = []
  fields.forEach((field, index) => {
    const { section } = field
    const isIn = (/** @type {Field | undefined} */ other) =>
      section !== undefined && other?.section?.name === section.name
    if (section && !isIn(fields[index - 1])) {
      parts.push(rows.section(section.name, { open: section.open, when: conditionText(section.when) }))
      if (texts.tip[section.name] !== undefined) parts.push(rows.tip(section.name, {}))
    }
    parts.push(rowOf(field, prefix, texts))
    if (field.tip) parts.push(rows.tip(field.tip.text, { when: conditionText(field.tip.when) }))
    if (field.part) parts.push(`<!-- include: dialog/${field.part} -->`)
    if (section && !isIn(fields[index + 1])) parts.push(rows.end())
  })
  return parts.join('\n')
}

/**
 * @param {Field} field
 * @param {string} prefix
 * @param {Texts} texts
 */
function rowOf(field, prefix, texts) {
  const { name, icon, when, hint } = field
  const options = { icon, hint, when: conditionText(when) }
  switch (field.kind) {
    case 'typed':
      return rows.field(name, { ...options, types: field.types?.join() }, prefix, texts)
    case 'choice':
      return rows.choice(
        name,
        { ...options, options: field.options.join(), literal: field.literal },
        prefix,
        texts,
      )
    case 'node':
      return rows.node(name, options, prefix, texts)
    case 'box':
      return rows.box(name, options, prefix, texts)
    case 'secret':
      return rows.text(name, { ...options, kind: 'password' }, prefix, texts)
    default:
      return rows.text(
        name,
        { ...options, kind: field.kind === 'text' && field.lines ? 'textarea' : undefined },
        prefix,
        texts,
      )
  }
}

/**
 * Returns a condition in the format that the editor reads: `eventType=New,Replace;fileFrom=message`; undefined if the
 * condition is always true.
 * @param {Condition} [condition]
 */
function conditionText(condition = {}) {
  const parts = Object.entries(condition).map(([name, values]) => `${name}=${values.join()}`)
  return parts.length === 0 ? undefined : parts.join(';')
}

// ---- The definition -------------------------------------------------------------------------------------

/**
 * Returns the `defaults` with every saved property, as JavaScript code of an object literal: the Flow Library reads the
 * code without running it.
 * @param {Table} table
 */
export function defaultsOf({ type, version, fields }) {
  const saved = fields.filter(({ kind }) => kind !== 'secret')
  return objectOf([
    `version: { value: ${version} }`,
    ...saved.flatMap((field) => propertiesOf(field, validator(type, field))),
  ])
}

/**
 * Returns the `credentials`, also as JavaScript code of an object literal.
 * @param {Table} table
 */
export const credentialsOf = ({ type, fields }) =>
  objectOf(
    fields
      .filter(({ kind }) => kind === 'secret')
      .map((field) => `${field.name}: { type: 'password'${validator(type, field)} }`),
  )

/** @param {string[]} lines */
const objectOf = (lines) => `{\n${lines.map((line) => `        ${line},\n`).join('')}      }`

/**
 * @param {Field} field
 * @param {string} validate
 * @returns {string[]} JavaScript code of the properties of an object literal
 */
function propertiesOf(field, validate) {
  const { name } = field
  if (field.kind === 'node') return [`${name}: { ${nodeReference(field)}${validate} }`]
  if (field.kind === 'typed') {
    const { value = '', valueType = 'str' } = field
    const own = `${name}: { value: ${literal(value)}${validate} }`
    return [own, `${name}Type: { value: ${literal(valueType)} }`]
  }
  if (field.kind === 'box') return [`${name}: { value: ${field.ticked === true} }`]
  const standard = field.kind === 'choice' ? field.options[0] : ''
  return [`${name}: { value: ${literal(standard)}${validate} }`]
}

/** @param {NodeField} field */
function nodeReference({ name, type, required }) {
  const reference = `value: '', type: ${literal(type)}, required: ${required}`
  return type === CONNECTION ? `${reference}, label: RedoxEditor.label(${literal(name)})` : reference
}

/**
 * Returns the code that sets the validator of a field, which reads checks and conditions from the same table; '' for a
 * field without checks.
 * @param {string} type type of the node
 * @param {Field} field
 */
function validator(type, field) {
  const { name, kind, checks = [] } = field
  const isOwn = 'validator' in field && field.validator !== undefined
  const isChecked = checks.length > 0 || isOwn || (kind === 'node' && field.type === CONNECTION)
  return isChecked ? `, validate: RedoxValidators.of(${literal(type)}, ${literal(name)})` : ''
}

/** @param {string} text */
const literal = (text) => `'${text.replace(/[\\']/g, '\\$&')}'`

// ---- The help -------------------------------------------------------------------------------------------

/**
 * Returns the HTML list of all fields except the name, with the labels and hints of the dialog.
 * @param {readonly Field[]} fields
 * @param {Texts} texts catalogue in the language of the help
 * @param {KindNames} kinds
 */
export function helpOf(fields, { label: labels, hint: hints }, kinds) {
  const items = fields
    .filter(({ name }) => name !== 'name')
    .map(({ name, hint: key, kind }) => {
      const hint = hints[key ?? name]
      const description = hint === undefined ? '' : `${escaped(hint)}.`
      const kindName = kind === 'typed' || kind === 'choice' || kind === 'box' ? kinds[kind] : kinds.text
      const term = `${escaped(labels[name] ?? '')} <span class="property-type">${kindName}</span>`
      return `<dt>${term}</dt>\n<dd>${description}</dd>`
    })
  return `<dl class="message-properties">\n${items.join('\n')}\n</dl>`
}

/** @param {string} text */
const escaped = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;')
