// Node-RED finds a node's dialog, help, texts and icon only beside its built .js file. Copies them there and
// expands two directives, so that what several nodes share is written once:
//
//   <!-- include: dialog/way -->                        nodes/lib/dialog/way.html stands here
//   <!-- field: NAME icon=tag types=msg,str when=X=Y --> a typed input: row, label, hint, hidden type
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const from = path.join(root, 'nodes')
const to = path.join(root, 'dist', 'nodes')
const plugins = path.join(root, 'plugins')
const CATALOGUE = '@ehr-flows/node-red-redox/redox-config:redox'
const FIELD_TYPES = 'msg,flow,global,str,jsonata,env'

for (const type of await readdir(from)) {
  if (!existsSync(path.join(from, type, `${type}.html`))) continue
  await expand(path.join(type, `${type}.html`))
  for (const language of await readdir(path.join(from, type, 'locales'))) {
    const folder = path.join(type, 'locales', language)
    for (const file of await readdir(path.join(from, folder))) await expand(path.join(folder, file))
  }
  await mkdir(path.join(to, type, 'icons'), { recursive: true })
  await cp(path.join(root, 'icons', `${type}.svg`), path.join(to, type, 'icons', `${type}.svg`))
}

// A plugin's editor part and texts stand beside its built .js too; directives are for dialogs only.
await cp(plugins, path.join(root, 'dist', 'plugins'), {
  recursive: true,
  filter: (file) => path.extname(file) !== '.ts',
})

async function expand(file) {
  const source = await readFile(path.join(from, file), 'utf8')
  await mkdir(path.dirname(path.join(to, file)), { recursive: true })
  await writeFile(path.join(to, file), await directives(source))
}

async function directives(source) {
  const parts = await Promise.all(
    source.split(/(<!-- (?:include|field): [^>]*? -->)/).map((part) => {
      const [, kind, words] = /^<!-- (include|field): (.*) -->$/.exec(part) ?? []
      if (kind === 'include') return readFile(path.join(from, 'lib', `${words}.html`), 'utf8')
      return kind === 'field' ? field(words.split(/\s+/)) : part
    }),
  )
  return parts.join('')
}

function field([name, ...options]) {
  const {
    icon = 'tag',
    types = FIELD_TYPES,
    when,
  } = Object.fromEntries(options.map((option) => splitOnce(option)))
  const condition = when === undefined ? '' : ` data-when="${when}"`
  return `<div class="form-row"${condition}>
      <label for="node-input-${name}"><i class="fa fa-${icon}"></i> <span data-i18n="${CATALOGUE}.label.${name}"></span></label>
      <input type="text" id="node-input-${name}" data-types="${types}" data-i18n="[placeholder]${CATALOGUE}.hint.${name}">
      <input type="hidden" id="node-input-${name}Type">
    </div>`
}

function splitOnce(option) {
  const at = option.indexOf('=')
  return [option.slice(0, at), option.slice(at + 1)]
}
