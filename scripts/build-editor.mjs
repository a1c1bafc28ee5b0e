// Bundles the scripts and styles of the editor into resources/, which Node-RED serves.
import { build } from 'esbuild'
import { fileURLToPath } from 'node:url'
import path from 'node:path'

const root = fileURLToPath(new URL('..', import.meta.url))
const outdir = path.join(root, 'resources')

await build({
  absWorkingDir: root,
  entryPoints: {
    redox: 'editor/styles/all.css',
    'redox-editor': 'editor/main.ts',
    'redox-inbox': 'editor/inbox/main.ts',
    'redox-outbox': 'editor/outbox/main.ts',
  },
  outdir,
  bundle: true,
  format: 'iife',
  // Browser versions that Node-RED 4.1 supports.
  target: 'es2022',
  charset: 'utf8',
  legalComments: 'none',
  logLevel: 'warning',
  tsconfig: 'editor/tsconfig.json',
})
