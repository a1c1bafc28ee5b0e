// Copies the numbered SQL files of the PostgreSQL store, which the built .js file reads from its own folder.
import { cp } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = 'src/queue/postgres/sql'
await cp(path.join(root, folder), path.join(root, 'dist', folder), { recursive: true })
