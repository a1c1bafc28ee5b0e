// Node-RED finds the editor's part, help, texts and icon of a node or a plugin only beside its built .js file. Copies
// them there and expands directives, so that what several of them share is written once:
//
//   <!-- include: dialog/way -->            nodes/lib/dialog/way.html stands here; of a plugin, plugins/lib/…
//   <!-- include: help/way -->              nodes/lib/help/way.html; in a help text in German, nodes/lib/help/de/way.html
//   <!-- field: NAME icon=tag when=X=Y -->   a row of a dialog (scripts/lib/rows.mjs)
//   <!-- rows: NAME NAME -->                 rows of the node's table of fields; without names, all others
//   <!-- fields -->                          in a help text: every field of the node's dialog, with its hint
//
// A node that has a table of fields (nodes/<type>/fields.ts) and no dialog of its own has that of all send nodes.
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { CHECKS as rules } from '../dist/src/shared/checks.js'
import { rows } from './lib/rows.mjs'
import { defaultsOf, helpOf, rowsOf } from './lib/table.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = path.join(root, 'dist')
const DIRECTIVE = new RegExp(`(<!-- (?:include|fields|rows|${Object.keys(rows).join('|')})(?:: [^>]*?)? -->)`)
const CONFIG = 'redox-config'
const DEFAULT_LANGUAGE = 'en-US'
const texts = await textsOf(DEFAULT_LANGUAGE)
// Kinds of fields in the help, as far as they are words.
const KINDS = {
  [DEFAULT_LANGUAGE]: { typed: 'typed input', choice: 'choice', text: 'text' },
  de: { typed: 'TypedInput', choice: 'Auswahl', text: 'Text' },
}

for (const from of ['nodes', 'plugins'])
  for (const type of await readdir(path.join(root, from))) {
    if (!existsSync(path.join(root, from, type, 'locales'))) continue
    const set = { from, type, table: tableOf(from, type) }
    await expand(set, `${type}.html`)
    for (const language of await readdir(path.join(root, from, type, 'locales'))) {
      const folder = path.join('locales', language)
      for (const file of await readdir(path.join(root, from, type, folder)))
        await expand({ ...set, language }, path.join(folder, file))
    }
    // A plugin has none: it is not in the palette.
    if (from === 'nodes') await copyIcon(type)
  }

async function copyIcon(type) {
  const icons = path.join(dist, 'nodes', type, 'icons')
  await mkdir(icons, { recursive: true })
  await cp(path.join(root, 'icons', `${type}.svg`), path.join(icons, `${type}.svg`))
}

async function expand(set, file) {
  const { from, type } = set
  const to = path.join(dist, from, type, file)
  await mkdir(path.dirname(to), { recursive: true })
  const html = await directives(set, await sourceOf(set, file))
  assertRulesExist(path.join(from, type, file), html)
  await writeFile(to, html)
}

/** The file of the node or plugin itself; a node with a table alone has the dialog of all send nodes. */
async function sourceOf({ from, type, table }, file) {
  const own = path.join(root, from, type, file)
  if (!table || existsSync(own)) return readFile(own, 'utf8')
  const common = await readFile(path.join(root, from, 'lib/dialog/sender.html'), 'utf8')
  return common.replaceAll('TYPE', type).replace("'DEFAULTS'", () => defaultsOf(table))
}

function tableOf(from, type) {
  const file = path.join(dist, from, type, 'fields.js')
  return existsSync(file) ? createRequire(import.meta.url)(file).fields : undefined
}

async function textsOf(language) {
  const file = path.join(root, 'nodes', CONFIG, 'locales', language, `${CONFIG}.json`)
  return JSON.parse(await readFile(file, 'utf8')).redox
}

/** A rule that does not exist would end the validation of its node in the editor. */
function assertRulesExist(file, html) {
  for (const [, property, names] of html.matchAll(/RedoxValidators\.valid\(\s*'(\w+)',\s*\[([^\]]*)\]/g))
    for (const [, name] of names.matchAll(/['"]([^'"]*)['"]/g))
      if (!rules.includes(name))
        throw new Error(
          `${file}: "${property}" asks for the rule "${name}", which src/shared/checks.ts lacks. ` +
            `Rules: ${rules.join(', ')}.`,
        )
}

async function directives(set, source) {
  const parts = await Promise.all(source.split(DIRECTIVE).map((part) => directive(set, part)))
  return parts.join('')
}

async function directive(set, part) {
  const [, kind, words = ''] = /^<!-- (\w+)(?:: (.*))? -->$/.exec(part) ?? []
  if (kind === 'include') return included(set, words)
  if (kind === 'fields') return fieldList(set)
  if (kind === 'rows') return tableRows(set, words)
  if (rows[kind] === undefined) return part
  const [name, ...options] = words.split(/\s+/)
  return rows[kind](name, Object.fromEntries(options.map(splitOnce)), prefixOf(set), texts)
}

function tableRows(set, words) {
  const wanted = words.split(' ').filter((name) => name !== '')
  const isIn = ({ name }) => (wanted.length > 0 ? wanted.includes(name) : !set.placed?.includes(name))
  const chosen = set.table.fields.filter(isIn)
  set.placed = [...(set.placed ?? []), ...chosen.map(({ name }) => name)]
  return rowsOf(chosen, prefixOf(set), texts)
}

function prefixOf({ type }) {
  return type === CONFIG ? 'node-config-input' : 'node-input'
}

async function included(set, name) {
  const file = `${set.language === 'de' ? name.replace(/^help\//, 'help/de/') : name}.html`
  return directives(set, await readFile(path.join(root, set.from, 'lib', file), 'utf8'))
}

function splitOnce(option) {
  const at = option.indexOf('=')
  return at < 0 ? [option, true] : [option.slice(0, at), option.slice(at + 1)]
}

/** What the dialog itself says of its fields, so that the help cannot say anything else. */
async function fieldList(set) {
  const { from, type, language } = set
  const kinds = KINDS[language]
  if (set.table) return helpOf(set.table.fields, await textsOf(language), kinds)
  const { label: labels, hint: hints } = await textsOf(language)
  const dialog = await directives(set, await readFile(path.join(root, from, type, `${type}.html`), 'utf8'))
  const found = [...dialog.matchAll(/<div class="form-row"[^]*?\n<\/div>/g)].map(([row]) => ({
    label: key(row, 'label'),
    hint: key(row, 'hint'),
    kind: row.includes('data-types') ? kinds.typed : row.includes('<select') ? kinds.choice : kinds.text,
  }))
  const items = found
    .filter(({ label }) => label !== 'name')
    .map(
      ({ label, hint, kind }) =>
        `<dt>${escaped(labels[label])} <span class="property-type">${kind}</span></dt>\n` +
        `<dd>${hint === undefined ? '' : `${escaped(hints[hint])}.`}</dd>`,
    )
  return `<dl class="message-properties">\n${items.join('\n')}\n</dl>`
}

function key(row, kind) {
  return new RegExp(`:redox\\.${kind}\\.(\\w+)"`).exec(row)?.[1]
}

function escaped(text) {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;')
}
