// What the build writes from a table of fields (nodes/lib/fields/types.ts): rows of the dialog, the literal `defaults`
// of the definition, and the help's list of fields.
import { rows } from './rows.mjs'

/**
 * The rows of some fields, each section with its tip around its own.
 * @param {string} prefix `node-input` or `node-config-input`
 * @param {{hint: object, example: object, tip: object}} texts of the catalogue in en-US
 */
export function rowsOf(fields, prefix, texts) {
  const parts = []
  fields.forEach((field, index) => {
    const { section } = field
    const isIn = (other) => section !== undefined && other?.section?.name === section.name
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
    case 'secret':
      return rows.text(name, { ...options, kind: 'password' }, prefix, texts)
    default:
      return rows.text(name, { ...options, kind: field.lines && 'textarea' }, prefix, texts)
  }
}

/** `eventType=New,Replace;fileFrom=message`, as the editor reads it; undefined for what is always true. */
function conditionText(condition = {}) {
  const parts = Object.entries(condition).map(([name, values]) => `${name}=${values.join()}`)
  return parts.length === 0 ? undefined : parts.join(';')
}

// ---- The definition -------------------------------------------------------------------------------------

/** An object of JavaScript with every saved property: the Flow Library reads the text and runs nothing. */
export function defaultsOf({ version, fields }) {
  const saved = fields.filter(({ kind }) => kind !== 'secret')
  return objectOf([`version: { value: ${version} }`, ...saved.flatMap(propertiesOf)])
}

/** The same of its credentials. */
export const credentialsOf = ({ fields }) =>
  objectOf(
    fields
      .filter(({ kind }) => kind === 'secret')
      .map(
        ({ name }) =>
          `${name}: { type: 'password', validate: RedoxValidators.validSecret(${literal(name)}) }`,
      ),
  )

const objectOf = (lines) => `{\n${lines.map((line) => `        ${line},\n`).join('')}      }`

function propertiesOf(field) {
  const { name, kind } = field
  if (kind === 'node') return [`${name}: { ${nodeReference(field)} }`]
  const standard = kind === 'choice' ? field.options[0] : (field.value ?? '')
  const own = `${name}: { value: ${literal(standard)}${validator(field)} }`
  return kind === 'typed' ? [own, `${name}Type: { value: ${literal(field.valueType ?? 'str')} }`] : [own]
}

function nodeReference({ name, type, required, fhir }) {
  const reference = `value: '', type: ${literal(type)}, required: ${required}`
  if (type !== 'redox-config') return reference
  const condition = conditionText(fhir === true ? {} : fhir)
  const validate = fhir ? `validFhirConnection(${condition ? literal(condition) : ''})` : 'validConnection'
  return `${reference}, label: RedoxEditor.label(${literal(name)}), validate: RedoxValidators.${validate}`
}

const OF_CREDENTIALS = {
  secrets: () => 'validSecrets',
  id: (name) => `validId(${literal(name)})`,
  store: () => 'validStore',
}

function validator({ name, checks = [], section, when, checksWhen, validator: own }) {
  if (own) return `, validate: RedoxValidators.${OF_CREDENTIALS[own](name)}`
  if (checks.length === 0) return ''
  const condition = conditionText({ ...section?.when, ...when, ...checksWhen })
  const list = `[${checks.map(literal).join(', ')}]`
  return `, validate: RedoxValidators.valid(${[literal(name), list, ...(condition ? [literal(condition)] : [])].join(', ')})`
}

const literal = (text) => `'${text.replace(/[\\']/g, '\\$&')}'`

// ---- The help -------------------------------------------------------------------------------------------

/** Every field but the name, with what the dialog itself says of it. */
export function helpOf(fields, { label: labels, hint: hints }, kinds) {
  const items = fields
    .filter(({ name }) => name !== 'name')
    .map(({ name, hint = name, kind }) => {
      const said = hints[hint] === undefined ? '' : `${escaped(hints[hint])}.`
      const term = `${escaped(labels[name])} <span class="property-type">${kinds[kind] ?? kinds.text}</span>`
      return `<dt>${term}</dt>\n<dd>${said}</dd>`
    })
  return `<dl class="message-properties">\n${items.join('\n')}\n</dl>`
}

const escaped = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;')
