// Node-RED finds the HTML, help, texts and icon of a node or a plugin only beside its built .js file. This script copies
// them there and expands directives, so that shared parts are written once:
//
//   <!-- include: dialog/way -->            is replaced by nodes/lib/dialog/way.html
//   <!-- include: help/way -->              nodes/lib/help/way.html; in a help text in German, nodes/lib/help/de/way.html
//   <!-- rows -->                            the rows of the node's table of fields
//   <!-- fields -->                          in a help text: every field of the node's dialog, with its hint
//
// A node type with a table of fields (nodes/<type>/fields.ts) and without its own dialog gets the dialog of all send
// nodes.
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { credentialsOf, defaultsOf, helpOf, rowsOf } from './lib/table.mjs'

/** @typedef {import('./lib/table.mjs').Table} Table */
/** @typedef {import('./lib/table.mjs').Texts} Texts */
/**
 * @typedef {{ from: string, type: string, table: Table | undefined, language?: string }} NodeSet `from`: folder of the
 * source files
 */

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = path.join(root, 'dist')
const DIRECTIVE = /(<!-- (?:include|fields|rows)(?:: [^>]*?)? -->)/
const CONFIG = 'redox-config'
const DEFAULT_LANGUAGE = 'en-US'
const texts = await textsOf(DEFAULT_LANGUAGE)
/**
 * Names of the kinds of fields in the help texts, by language.
 * @type {Record<string, import('./lib/table.mjs').KindNames>}
 */
const KINDS = {
  [DEFAULT_LANGUAGE]: { typed: 'typed input', choice: 'choice', box: 'box', text: 'text' },
  de: { typed: 'TypedInput', choice: 'Auswahl', box: 'Kästchen', text: 'Text' },
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
    // A plugin has no icon, because it is not in the palette.
    if (from === 'nodes') await copyIcon(type)
  }

/** @param {string} type */
async function copyIcon(type) {
  const icons = path.join(dist, 'nodes', type, 'icons')
  await mkdir(icons, { recursive: true })
  await cp(path.join(root, 'icons', `${type}.svg`), path.join(icons, `${type}.svg`))
}

/**
 * @param {NodeSet} set node type or plugin
 * @param {string} file
 */
async function expand(set, file) {
  const { from, type } = set
  const to = path.join(dist, from, type, file)
  await mkdir(path.dirname(to), { recursive: true })
  const html = await directives(set, await sourceOf(set, file))
  await writeFile(to, html)
}

/**
 * Returns the content of a source file of the node type or plugin. A node type with only a table of fields uses the
 * dialog of all send nodes.
 * @param {NodeSet} set
 * @param {string} file
 */
async function sourceOf({ from, type, table }, file) {
  const own = path.join(root, from, type, file)
  const source = await readFile(
    existsSync(own) ? own : path.join(root, from, 'lib/dialog/sender.html'),
    'utf8',
  )
  if (!table || file !== `${type}.html`) return source
  return source
    .replaceAll('TYPE', type)
    .replace("'DEFAULTS'", () => defaultsOf(table))
    .replace("'CREDENTIALS'", () => credentialsOf(table))
}

/**
 * @param {string} from
 * @param {string} type
 * @returns {Table | undefined}
 */
function tableOf(from, type) {
  const file = path.join(dist, from, type, 'fields.js')
  return existsSync(file) ? createRequire(import.meta.url)(file).fields : undefined
}

/**
 * Returns the catalogue of redox-config in a language.
 * @param {string} language
 * @returns {Promise<Texts>}
 */
async function textsOf(language) {
  const file = path.join(root, 'nodes', CONFIG, 'locales', language, `${CONFIG}.json`)
  return JSON.parse(await readFile(file, 'utf8')).redox
}

/**
 * @param {NodeSet} set
 * @param {string} source
 * @returns {Promise<string>}
 */
async function directives(set, source) {
  const parts = await Promise.all(source.split(DIRECTIVE).map((part) => directive(set, part)))
  return parts.join('')
}

/**
 * @param {NodeSet} set
 * @param {string} part a directive, or the HTML between two directives
 */
async function directive(set, part) {
  const [, kind, words = ''] = /^<!-- (\w+)(?:: (.*))? -->$/.exec(part) ?? []
  if (kind === 'include') return included(set, words)
  if (kind === 'fields') return fieldsHelp(set)
  if (kind === 'rows') return directives(set, rowsOf(fieldsOf(set), prefixOf(set), texts))
  return part
}

/** @param {NodeSet} set node type whose help text is written */
async function fieldsHelp(set) {
  const { language = DEFAULT_LANGUAGE } = set
  const kinds = KINDS[language]
  if (kinds === undefined) throw new Error(`No names for kinds of fields in ${language}`)
  return helpOf(fieldsOf(set), await textsOf(language), kinds)
}

/** @param {NodeSet} set */
function fieldsOf({ type, table }) {
  if (table === undefined) throw new Error(`${type} has no table of fields`)
  return table.fields
}

/** @param {NodeSet} set */
function prefixOf({ type }) {
  return type === CONFIG ? 'node-config-input' : 'node-input'
}

/**
 * @param {NodeSet} set
 * @param {string} name
 */
async function included(set, name) {
  const file = `${set.language === 'de' ? name.replace(/^help\//, 'help/de/') : name}.html`
  return directives(set, await readFile(path.join(root, set.from, 'lib', file), 'utf8'))
}
