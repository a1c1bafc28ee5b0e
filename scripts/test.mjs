// `npm test`: runs the tests in a few parallel mocha processes. Each process has to exit by itself: a resource that a
// test does not close keeps the process alive until it fails at a time limit. A failed test is not repeated.
//
//   node scripts/test.mjs            all
//   node scripts/test.mjs editor     browser tests whose result may differ in other editor versions
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { endRun, endWithThisProcess } from './lib/leftovers.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
/** @param {string} folder folder below dist/test */
const within = (folder) => path.join('dist', 'test', folder)
/** @param {string} name */
const editorFile = (name) => path.join(within('editor'), `${name}.test.js`)

// Time limit for one group of tests in milliseconds. An idle machine needs up to four minutes; a machine that is three
// times slower stays below the limit.
const LONGEST_MS = 1_500_000
/**
 * Number of parallel processes, for two cores: processes with a browser wait for part of the time, each other process
 * uses one core.
 */
const AT_ONCE = 3
/**
 * Number of groups for the tests without a browser. With more groups, less time is lost while only the last group is
 * running.
 */
const SHARES = 5
/** Maximum length of the summary of a failed group, in characters. */
const FEW_CHARACTERS = 600

// Groups of browser tests that take about the same time.
const EDITOR = [
  ['dialogs', 'durable', 'new-nodes', 'outbox-many'],
  ['validators', 'inbox', 'examples', 'foreign-pages'],
  ['connection', 'outbox', 'outbox-direct', 'preview', 'looks'],
  [
    'outbox-accessibility',
    'outbox-documents',
    'outbox-focus',
    'outbox-look-up',
    'outbox-try-now',
    'outbox-verdict',
  ],
]
// Browser tests that are repeated with other editor versions. The remaining files test the inside of a dialog, which is
// this package's own code and the same in every editor.
const DIFFERS = [
  ['dialogs', 'durable', 'new-nodes'],
  ['inbox', 'examples', 'outbox-accessibility', 'outbox-focus'],
  ['outbox', 'outbox-many', 'looks'],
]
const forgotten = testsIn('editor').filter((file) => !EDITOR.flat().map(editorFile).includes(file))
if (forgotten.length > 0) throw new Error(`In no group of scripts/test.mjs: ${forgotten.join(', ')}`)

const others = readdirSync(path.join(root, within('.')), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.js') && !file.startsWith('editor'))
  .map(within)
  .sort()
const isOfNodes = (/** @type {string} */ file) => file.startsWith(within('nodes'))
const groups =
  process.argv[2] === 'editor'
    ? DIFFERS.map((names) => names.map(editorFile))
    : mixed(
        EDITOR.map((names) => names.map(editorFile)),
        parts(others.filter(isOfNodes), SHARES),
        parts(
          others.filter((file) => !isOfNodes(file)),
          SHARES,
        ),
      )

// npm's shell exits at a signal but does not pass the signal on, so this process exits when its parent process changes.
const parent = process.ppid
if (process.env.npm_lifecycle_event)
  setInterval(() => process.ppid === parent || process.exit(1), 1000).unref()

const counts = mkdtempSync(path.join(tmpdir(), 'redox-counts-'))
process.once('exit', () => rmSync(counts, { recursive: true, force: true }))

/** @type {{ passed: number, failed: number, skipped: { title: string, reason?: string }[], ended: number }} */
const total = { passed: 0, failed: 0, skipped: [], ended: 0 }
/** @type {string[]} */
const failures = []
const left = groups.map((group, index) => async () => {
  const failure = await run(group, path.join(counts, `${index}.json`))
  if (failure !== undefined) failures.push(failure)
})
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let next = left.shift(); next; next = left.shift()) await next()
  }),
)
if (failures.length > 0) {
  // The failures are printed last, because some logs keep only their end.
  console.log(['Failures, in short:', ...failures].join('\n'))
  process.exitCode = 1
}
console.log(inTotal())

/** @param {string} folder folder below dist/test */
function testsIn(folder) {
  return readdirSync(path.join(root, within(folder)))
    .filter((file) => file.endsWith('.test.js'))
    .map((file) => path.join(within(folder), file))
}

/**
 * Distributes the files to `count` lists in turn: neighbours in the sorted list have similar names and take about the
 * same time.
 * @param {string[]} files
 * @param {number} count
 */
function parts(files, count) {
  return Array.from({ length: count }, (_, part) => files.filter((_file, index) => index % count === part))
}

/**
 * Returns the first group of each list, then the second group of each list, and so on, so that groups that mostly wait
 * run together with groups that compute.
 * @param {string[][][]} lists
 */
function mixed(...lists) {
  const longest = Math.max(...lists.map(({ length }) => length))
  return Array.from({ length: longest }).flatMap((_, index) =>
    lists.flatMap((list) => list.slice(index, index + 1)),
  )
}

/** @param {string[]} files */
function nameOf(files) {
  return files.length === 1 ? files[0] : `${files[0]} and ${files.length - 1} more`
}

/**
 * Runs a group in one process, and prints all of its output at once when the process has ended.
 * @param {string[]} files
 * @param {string} results file to which the mocha reporter writes the counts
 * @returns {Promise<string | undefined>} summary of the failures; undefined if there are none
 */
async function run(files, results) {
  const mocha = path.join('node_modules', 'mocha', 'bin', 'mocha.js')
  const reporter = path.join('scripts', 'lib', 'reporter.cjs')
  const args = ['--unhandled-rejections=strict', mocha, '--no-package', '--reporter', reporter, ...files]
  const env = { ...endWithThisProcess(), REDOX_TEST_COUNTS: results }
  const began = performance.now()
  const child = spawn(process.execPath, args, {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LONGEST_MS,
    killSignal: 'SIGKILL',
  })
  // Processes that a test has not ended keep the pipes open, so the event 'close' would not come until they end.
  child.once('exit', (_code, signal) => signal && void endRun(env))
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => (output += chunk.toString('utf8')))
  const [code, signal] = await once(child, 'close')
  if (signal)
    output += `\nended after at most ${LONGEST_MS / 1000} s: a test waits or left something behind\n`
  const seconds = Math.round((performance.now() - began) / 1000)
  console.log(`\n${nameOf(files)}, ${seconds} s\n${output}`)
  add(results)
  return code === 0 ? undefined : `${nameOf(files)}:\n${inShort(output)}`
}

/**
 * Adds the counts of a group to the totals. The file does not exist if the process ended before all its tests had run.
 * @param {string} results path of the file with the counts
 */
function add(results) {
  if (!existsSync(results)) return void total.ended++
  const { passes, failures: failed, skipped } = JSON.parse(readFileSync(results, 'utf8'))
  total.passed += passes
  total.failed += failed
  total.skipped.push(...skipped)
}

/** Prints the total of all groups, and the number of skipped tests by reason. */
function inTotal() {
  const byReason = new Map()
  for (const { title, reason = `no reason is given (${title})` } of total.skipped)
    byReason.set(reason, (byReason.get(reason) ?? 0) + 1)
  const lines = [...byReason].map(([reason, count]) => `  ${count} skipped: ${reason}`)
  const ended = total.ended > 0 ? [`  ${total.ended} groups ended before their end and are not counted`] : []
  const { passed, failed, skipped } = total
  return [`Total: ${passed} passed, ${failed} failed, ${skipped.length} skipped`, ...lines, ...ended].join(
    '\n',
  )
}

/**
 * Returns the titles in mocha's list of failures, with the first lines of each error.
 * @param {string} output
 */
function inShort(output) {
  const list = output.split(/^ +\d+ failing$/m)[1] ?? output.slice(-FEW_CHARACTERS)
  const lines = list.split('\n').filter((line) => line.trim() !== '' && !/^ +at /.test(line))
  return lines.join('\n').slice(0, FEW_CHARACTERS)
}
