// Node-RED finds a node's dialog, help, texts and icon only beside its built .js file. Copies them there and
// expands directives, so that what several nodes share is written once:
//
//   <!-- include: dialog/way -->            nodes/lib/dialog/way.html stands here
//   <!-- field: NAME icon=tag when=X=Y -->   a row of a dialog (scripts/lib/rows.mjs)
//   <!-- fields -->                          in a help text: every field of the node's dialog, with its hint
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { rows } from './lib/rows.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const from = path.join(root, 'nodes')
const to = path.join(root, 'dist', 'nodes')
const DIRECTIVE = new RegExp(`(<!-- (?:include|fields|${Object.keys(rows).join('|')})(?:: [^>]*?)? -->)`)
const CONFIG = 'redox-config'
const { redox: texts } = JSON.parse(
  await readFile(path.join(from, CONFIG, 'locales', 'en-US', `${CONFIG}.json`), 'utf8'),
)
const plugins = path.join(root, 'plugins')

for (const type of await readdir(from)) {
  if (!existsSync(path.join(from, type, `${type}.html`))) continue
  await expand(type, path.join(type, `${type}.html`))
  for (const language of await readdir(path.join(from, type, 'locales'))) {
    const folder = path.join(type, 'locales', language)
    for (const file of await readdir(path.join(from, folder))) await expand(type, path.join(folder, file))
  }
  await mkdir(path.join(to, type, 'icons'), { recursive: true })
  await cp(path.join(root, 'icons', `${type}.svg`), path.join(to, type, 'icons', `${type}.svg`))
}

// A plugin's editor part and texts stand beside its built .js too; directives are for dialogs only.
await cp(plugins, path.join(root, 'dist', 'plugins'), {
  recursive: true,
  filter: (file) => path.extname(file) !== '.ts',
})

async function expand(type, file) {
  const source = await readFile(path.join(from, file), 'utf8')
  await mkdir(path.dirname(path.join(to, file)), { recursive: true })
  await writeFile(path.join(to, file), await directives(type, source))
}

async function directives(type, source) {
  const parts = await Promise.all(source.split(DIRECTIVE).map((part) => directive(type, part)))
  return parts.join('')
}

async function directive(type, part) {
  const [, kind, words = ''] = /^<!-- (\w+)(?:: (.*))? -->$/.exec(part) ?? []
  if (kind === 'include') return included(type, words)
  if (kind === 'fields') return fieldList(type)
  if (rows[kind] === undefined) return part
  const [name, ...options] = words.split(/\s+/)
  return rows[kind](name, Object.fromEntries(options.map(splitOnce)), prefixOf(type), texts)
}

function prefixOf(type) {
  return type === CONFIG ? 'node-config-input' : 'node-input'
}

async function included(type, name) {
  return directives(type, await readFile(path.join(from, 'lib', `${name}.html`), 'utf8'))
}

function splitOnce(option) {
  const at = option.indexOf('=')
  return at < 0 ? [option, true] : [option.slice(0, at), option.slice(at + 1)]
}

/** What the dialog itself says of its fields, so that the help cannot say anything else. */
async function fieldList(type) {
  const dialog = await directives(type, await readFile(path.join(from, type, `${type}.html`), 'utf8'))
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
