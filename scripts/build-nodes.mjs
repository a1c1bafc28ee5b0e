// Node-RED finds the editor's part, help, texts and icon of a node or a plugin only beside its built .js file. Copies
// them there and expands directives, so that what several of them share is written once:
//
//   <!-- include: dialog/way -->            nodes/lib/dialog/way.html stands here; of a plugin, plugins/lib/…
//   <!-- field: NAME icon=tag when=X=Y -->   a row of a dialog (scripts/lib/rows.mjs)
//   <!-- fields -->                          in a help text: every field of the node's dialog, with its hint
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { runInNewContext } from 'node:vm'
import { rows } from './lib/rows.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = path.join(root, 'dist')
const DIRECTIVE = new RegExp(`(<!-- (?:include|fields|${Object.keys(rows).join('|')})(?:: [^>]*?)? -->)`)
const CONFIG = 'redox-config'
const { redox: texts } = JSON.parse(
  await readFile(path.join(root, 'nodes', CONFIG, 'locales', 'en-US', `${CONFIG}.json`), 'utf8'),
)
const rules = await editorRules()

for (const from of ['nodes', 'plugins'])
  for (const type of await readdir(path.join(root, from))) {
    if (!existsSync(path.join(root, from, type, `${type}.html`))) continue
    const set = { from, type }
    await expand(set, `${type}.html`)
    for (const language of await readdir(path.join(root, from, type, 'locales'))) {
      const folder = path.join('locales', language)
      for (const file of await readdir(path.join(root, from, type, folder)))
        await expand(set, path.join(folder, file))
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
  const source = await readFile(path.join(root, from, type, file), 'utf8')
  await mkdir(path.dirname(to), { recursive: true })
  const html = await directives(set, source)
  assertRulesExist(path.join(from, type, file), html)
  await writeFile(to, html)
}

/** The names of the rules that a dialog may ask for, from the script that the editor loads. */
async function editorRules() {
  const window = {}
  runInNewContext(await readFile(path.join(root, 'resources', 'redox-validators.js'), 'utf8'), { window })
  return window.RedoxValidators.RULES
}

/** A rule that does not exist would end the validation of its node in the editor. */
function assertRulesExist(file, html) {
  for (const [, property, names] of html.matchAll(/RedoxValidators\.valid\(\s*'(\w+)',\s*\[([^\]]*)\]/g))
    for (const [, name] of names.matchAll(/['"]([^'"]*)['"]/g))
      if (!rules.includes(name))
        throw new Error(
          `${file}: "${property}" asks for the rule "${name}", which resources/redox-validators.js lacks. ` +
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
  if (rows[kind] === undefined) return part
  const [name, ...options] = words.split(/\s+/)
  return rows[kind](name, Object.fromEntries(options.map(splitOnce)), prefixOf(set), texts)
}

function prefixOf({ type }) {
  return type === CONFIG ? 'node-config-input' : 'node-input'
}

async function included(set, name) {
  return directives(set, await readFile(path.join(root, set.from, 'lib', `${name}.html`), 'utf8'))
}

function splitOnce(option) {
  const at = option.indexOf('=')
  return at < 0 ? [option, true] : [option.slice(0, at), option.slice(at + 1)]
}

/** What the dialog itself says of its fields, so that the help cannot say anything else. */
async function fieldList(set) {
  const { from, type } = set
  const dialog = await directives(set, await readFile(path.join(root, from, type, `${type}.html`), 'utf8'))
  const found = [...dialog.matchAll(/<div class="form-row"[^]*?\n<\/div>/g)].map(([row]) => ({
    label: key(row, 'label'),
    hint: key(row, 'hint'),
    kind: row.includes('data-types') ? 'typed input' : row.includes('<select') ? 'choice' : 'text',
  }))
  const items = found
    .filter(({ label }) => label !== 'name')
    .map(
      ({ label, hint, kind }) =>
        `<dt>${escaped(texts.label[label])} <span class="property-type">${kind}</span></dt>\n` +
        `<dd>${hint === undefined ? '' : `${escaped(texts.hint[hint])}.`}</dd>`,
    )
  return `<dl class="message-properties">\n${items.join('\n')}\n</dl>`
}

function key(row, kind) {
  return new RegExp(`:redox\\.${kind}\\.(\\w+)"`).exec(row)?.[1]
}

function escaped(text) {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;')
}
