// `npm test`: the tests in a few mocha processes side by side. Those of the editor wait for a browser most of the
// time. Each process has to end by itself: what a test leaves behind keeps it, and fails it after a while.
//
//   node scripts/test.mjs            all
//   node scripts/test.mjs editor     those in the browser that another version of the editor could break
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const within = (folder) => path.join('dist', 'test', folder)
const editorFile = (name) => path.join(within('editor'), `${name}.test.js`)

const LONGEST_MS = 600_000

// Of about the same length.
const EDITOR = [
  ['dialogs', 'durable'],
  ['validators', 'inbox', 'examples'],
  ['connection', 'outbox', 'preview', 'looks'],
]
// The others are about what happens inside of a dialog: our own code alone, the same in every editor.
const DIFFERS = [
  ['dialogs', 'durable'],
  ['inbox', 'examples'],
  ['outbox', 'looks'],
]
const forgotten = testsIn('editor').filter((file) => !EDITOR.flat().map(editorFile).includes(file))
if (forgotten.length > 0) throw new Error(`In no group of scripts/test.mjs: ${forgotten.join(', ')}`)

const others = readdirSync(path.join(root, within('.')), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.js') && !file.startsWith('editor'))
  .map(within)
  .sort()
const isOfNodes = (file) => file.startsWith(within('nodes'))
const groups =
  process.argv[2] === 'editor'
    ? DIFFERS.map((names) => names.map(editorFile))
    : [
        ...EDITOR.map((names) => names.map(editorFile)),
        others.filter(isOfNodes),
        others.filter((file) => !isOfNodes(file)),
      ]

const codes = await Promise.all(groups.map(run))
for (const [index, group] of groups.entries()) {
  // Five processes on two cores can starve each other. What fails by itself fails again.
  if (codes[index] === 0) continue
  console.log(`\n${nameOf(group)}: failed beside others (see above), once more alone`)
  codes[index] = await run(group)
}
process.exitCode = codes.every((code) => code === 0) ? 0 : 1

function testsIn(folder) {
  return readdirSync(path.join(root, within(folder)))
    .filter((file) => file.endsWith('.test.js'))
    .map((file) => path.join(within(folder), file))
}

function nameOf(files) {
  return files.length === 1 ? files[0] : `${files[0]} and ${files.length - 1} more`
}

/** The output of a group stays together. */
async function run(files) {
  const mocha = path.join('node_modules', 'mocha', 'bin', 'mocha.js')
  const args = ['--unhandled-rejections=strict', mocha, '--no-package', ...files]
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LONGEST_MS,
    killSignal: 'SIGKILL',
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => (output += chunk.toString('utf8')))
  const [code, signal] = await once(child, 'close')
  if (signal)
    output += `\nended after at most ${LONGEST_MS / 1000} s: a test waits or left something behind\n`
  console.log(`\n${nameOf(files)}\n${output}`)
  return code
}
