// Reads a node's HTML as the Flow Library does, without running its scripts. Values that are not literals are invisible
// in the library, and make two checks of the Node-RED scorecard pass without checking anything.
import { parse } from 'acorn'

/**
 * @typedef {import('acorn').AnyNode} AnyNode
 * @typedef {string | boolean | null | number | RegExp | bigint | undefined} Literal
 * @typedef {[name: string, property: Record<string, Literal>]} SavedProperty
 * @typedef {{ literals: Record<string, Literal>, defaults: SavedProperty[] | undefined, credentials: SavedProperty[] }} Definition
 *   `literals`: values that can be read without running; `defaults`, `credentials`: in their order
 * @typedef {{ type: Literal } & Definition} Registration
 * @typedef {{ kind: string, options?: (string | undefined)[] } & Record<string, any>} Input attributes of an element by
 *   name, its tag, and the values of its options
 * @typedef {{ inputs: Input[], labels: string[], conditions: string[] }} Template
 */

/**
 * Returns the registrations and templates in a node's HTML.
 * @param {string} html
 * @returns {{ registrations: Registration[], templates: Map<string, Template> }}
 */
export function readDialog(html) {
  const scripts = [...html.matchAll(/<script\b([^>]*)>([^]*?)<\/script>/g)].map(
    ([, attributes = '', text = '']) => ({
      attributes: attributesOf(attributes),
      text,
    }),
  )
  const plain = scripts.filter(({ attributes: { type = 'text/javascript' } }) => type === 'text/javascript')
  return {
    registrations: plain.flatMap(({ text }) => registrationsOf(text)),
    templates: new Map(
      scripts.flatMap(({ attributes: { 'data-template-name': name }, text }) =>
        name === undefined ? [] : [[name, fieldsOf(text)]],
      ),
    ),
  }
}

// ---- The definition -----------------------------------------------------------------------------------

/** @param {string} code */
function registrationsOf(code) {
  /** @type {Registration[]} */
  const found = []
  walk(parse(code, { ecmaVersion: 'latest' }), (node) => {
    if (
      node.type !== 'CallExpression' ||
      code.slice(node.callee.start, node.callee.end) !== 'RED.nodes.registerType'
    )
      return
    const [type, definition] = node.arguments
    found.push({ type: literal(type), ...definitionOf(definition) })
  })
  return found
}

/**
 * Visits a node of the syntax tree and all nodes below it.
 * @param {object} node
 * @param {(node: AnyNode) => void} visit
 */
function walk(node, visit) {
  if ('type' in node && typeof node.type === 'string') visit(/** @type {AnyNode} */ (node))
  for (const value of Object.values(node)) {
    if (Array.isArray(value)) value.forEach((one) => one && typeof one === 'object' && walk(one, visit))
    else if (value && typeof value === 'object') walk(value, visit)
  }
}

/**
 * @param {AnyNode | undefined} definition
 * @returns {Definition}
 */
function definitionOf(definition) {
  const properties = new Map(entriesOf(definition))
  return {
    literals: Object.fromEntries(
      [...properties]
        .map(([name, value]) => [name, literal(value)])
        .filter(([, value]) => value !== undefined),
    ),
    defaults: inlineObjects(properties.get('defaults')),
    credentials: inlineObjects(properties.get('credentials')) ?? [],
  }
}

/**
 * @param {AnyNode | undefined} node
 * @returns {SavedProperty[] | undefined} undefined if the syntax node is not an object literal
 */
function inlineObjects(node) {
  if (node?.type !== 'ObjectExpression') return undefined
  return entriesOf(node).map(([name, value]) => [
    name,
    Object.fromEntries(entriesOf(value).map(([key, one]) => [key, literal(one)])),
  ])
}

/**
 * Returns the properties of an object literal. The name of a spread or computed property cannot be read; `?` is
 * returned in its place.
 * @param {AnyNode | undefined} node
 * @returns {[name: string, value: AnyNode | undefined][]}
 */
function entriesOf(node) {
  if (node?.type !== 'ObjectExpression') return []
  return node.properties.map((property) => {
    if (property.type !== 'Property') return ['?', undefined]
    const { key, computed, value } = property
    if (!computed && key.type === 'Identifier') return [key.name, value]
    return [!computed && key.type === 'Literal' ? String(key.value) : '?', value]
  })
}

/** @param {AnyNode | undefined} node */
function literal(node) {
  return node?.type === 'Literal' ? node.value : undefined
}

// ---- The template -------------------------------------------------------------------------------------

/**
 * Returns the inputs of a template, the ids to which its labels refer, and the conditions of its rows.
 * @param {string} html
 * @returns {Template}
 */
function fieldsOf(html) {
  /** @type {Input[]} */
  const tags = [...html.matchAll(/<(input|select|textarea)\b([^>]*)>/g)].map(
    ([tag, kind = '', attributes = '']) => ({
      kind,
      ...attributesOf(attributes),
      ...(kind === 'select' && { options: optionsOf(html, tag) }),
    }),
  )
  return {
    inputs: tags.filter((input) => input.id !== undefined),
    labels: [...html.matchAll(/<label\b[^>]*\bfor="([^"]*)"/g)].map(([, id = '']) => id),
    conditions: [...html.matchAll(/\bdata-when="([^"]*)"/g)].map(([, condition = '']) => condition),
  }
}

/**
 * @param {string} html
 * @param {string} tag opening tag of a `<select>`
 */
function optionsOf(html, tag) {
  const start = html.indexOf(tag)
  const inside = html.slice(start, html.indexOf('</select>', start))
  return [...inside.matchAll(/<option\b([^>]*)>/g)].map(
    ([, attributes = '']) => attributesOf(attributes).value,
  )
}

/**
 * @param {string} text opening tag
 * @returns {Partial<Record<string, string>>}
 */
function attributesOf(text) {
  return Object.fromEntries([...text.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, name, value]) => [name, value]))
}
