// Node-RED finds a node's dialog, texts and icon only beside its built .js file: copies them there.
import { cp, mkdir, readdir } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const from = path.join(root, 'nodes')
const to = path.join(root, 'dist', 'nodes')

for (const type of await readdir(from)) {
  if (!existsSync(path.join(from, type, `${type}.html`))) continue
  await cp(path.join(from, type, `${type}.html`), path.join(to, type, `${type}.html`))
  await cp(path.join(from, type, 'locales'), path.join(to, type, 'locales'), { recursive: true })
  await mkdir(path.join(to, type, 'icons'), { recursive: true })
  await cp(path.join(root, 'icons', `${type}.svg`), path.join(to, type, 'icons', `${type}.svg`))
}
