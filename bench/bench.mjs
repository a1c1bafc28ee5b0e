// Measures our nodes, Node-RED's core nodes, undici with a prepared body and undici with minimal code in one run. Each
// measurement runs in a fresh process, in random order, three times (the median counts), and is verified by a server
// that responds as Redox does. Prints which goals are met.
//
//   npm run bench                          all (more than an hour), written to bench/results, docs/performance.md and
//                                          docs/cost.svg
//   npm run bench -- --quick               8 in flight only, once each (a quarter of an hour)
//   npm run bench -- --tls --latency 20    over TLS, with a server that answers 20 ms later
//   npm run bench -- --only "embed 1 MB"   some cells; or `crowds`, `curves`, `first`, `start-up`
//   npm run bench -- --json result.json    also writes the figures to a file
//   npm run bench -- --before ../before    with another checkout, which has to be built, as one more contestant
//   npm run bench -- --beside ../before    another checkout that has been built, alternating with this one: ten pairs of each
//                                          cell that is 8 in flight (an hour; a cell two minutes), or --pairs more
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { besideTable, LEAST_PAIRS, measureBeside, otherCheckout } from './beside.mjs'
import {
  CELLS,
  CONTESTANTS,
  countOf,
  CROWDS,
  CURVES,
  FIRST,
  FIRST_COUNT,
  nameOf,
  WARM_UP_MS,
} from './cells.mjs'
import { writeDocsTable } from './docs-table.mjs'
import { fileOf } from './file.mjs'
import { plot } from './plot.mjs'
import { COLUMNS, goalsOf, markdown } from './report.mjs'
import { startUp } from './start-up.mjs'
import { codeOf } from '../scripts/lib/process.mjs'

/**
 * @typedef {import('./cells.mjs').Cell} Cell
 * @typedef {import('./cells.mjs').SizedCell} SizedCell
 * @typedef {import('./cells.mjs').Contestant} Contestant
 * @typedef {import('./report.mjs').Figures} Figures
 * @typedef {import('./report.mjs').Row} Row
 * @typedef {import('./report.mjs').FirstRow} FirstRow
 * @typedef {import('./report.mjs').Results} Results
 * @typedef {{ sent: number, firstMs: number, lastMs: number }} Times
 */

/**
 * Sender that a run measures (contestant); `root`: folder of the package that the contestant `ours` uses.
 * @typedef {{ contestant: Contestant, root?: string | undefined, isTimed?: boolean }} How
 *
 * Parameters that the process of a run gets; `path`: path of the cell's file.
 * @typedef {How & { cell: SizedCell, url: string, path: string, tls: boolean }} RunSpec
 *
 * Parameters of a run, with the bytes of the file if the contestant needs the bytes.
 * @typedef {RunSpec & { file?: Buffer | undefined }} SenderSpec
 *
 * IPC messages to the server process: path of the file that the messages from now on must contain, and `embed` or
 * `upload`; or a request for the message counts.
 * @typedef {{ way: string, path: string }} Expectation
 * @typedef {{ expect: Expectation } | { report: true }} ToServer
 */

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    tls: { type: 'boolean', default: false },
    latency: { type: 'string', default: '0' },
    only: { type: 'string' },
    json: { type: 'string' },
    before: { type: 'string' },
    beside: { type: 'string' },
    pairs: { type: 'string', default: String(LEAST_PAIRS) },
  },
})
const { tls, only } = options
const other = options.beside === undefined ? undefined : await otherCheckout(options.beside)
const before = options.before === undefined ? undefined : await otherCheckout(options.before)
const pairs = Number(options.pairs)
if (!(pairs >= LEAST_PAIRS)) throw new Error(`--pairs has to be at least ${LEAST_PAIRS}`)
const quick = options.quick || other !== undefined
const latency = Number(options.latency)
const ROUNDS = quick ? 1 : 3
const STARTS = quick ? 5 : 15
const HERE = import.meta.dirname

const folder = await mkdtemp(path.join(os.tmpdir(), 'redox-bench-files-'))
const server = fork(path.join(HERE, 'server.mjs'), [JSON.stringify({ tls, latency })])
const [{ port }] = await once(server, 'message')
const url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`

// Curves and start-up times are not measured over TLS, because TLS does not change them.
const isWanted = (/** @type {string} */ part) => (only === undefined ? !tls : only === part)
const cells = (quick ? CELLS.filter(({ inFlight }) => inFlight === 8) : CELLS).filter(
  (cell) => only === undefined || nameOf(cell).includes(only),
)
const write = async (/** @type {object} */ results) => {
  if (options.json) await writeFile(options.json, `${JSON.stringify(results, null, 1)}\n`)
}

await (other === undefined ? measureAndKeep() : compare(other)).finally(async () => {
  server.kill()
  await rm(folder, { recursive: true })
})

async function measureAndKeep() {
  const measured = await measureParts()
  const results = { ...measured, goals: goalsOf(measured) }
  process.stderr.write('\n')
  const report = markdown(results)
  console.log(report)
  await write(results)
  if (only === undefined) await keep(results, report)
}

/** @param {string} root folder of the other checkout */
async function compare(root) {
  const rows = await measureBeside({
    ...{ cells, pairs, root },
    run: (cell, how) => measure(cell, { contestant: 'ours', ...how }),
    progress: (pair, name, cell) => progress(`${pair + 1}/${pairs} ${name} ${nameOf(cell)}`),
  })
  process.stderr.write('\n')
  console.log(besideTable(rows, pairs, nameOf))
  await write({ versions: await versions(), pairs, rows })
}

async function measureParts() {
  return {
    command: ['npm run bench', ...(process.argv.length > 2 ? ['--', ...shownArguments()] : [])].join(' '),
    versions: await versions(),
    tls,
    rows: await measureAll(
      cells,
      CONTESTANTS.filter((one) => one !== 'before' || before !== undefined),
    ),
    crowds: only === undefined || isWanted('crowds') ? await measureAll(CROWDS, ['ours']) : [],
    ...(isWanted('first') && { first: await measureFirst() }),
    ...(isWanted('curves') && { curves: await measureCurves() }),
    ...(isWanted('start-up') && { startUp: await startUp(STARTS, median) }),
  }
}

/**
 * @param {Cell[]} wanted
 * @param {Contestant[]} contestants including `ours`
 */
async function measureAll(wanted, contestants) {
  const runs = wanted.flatMap((cell) =>
    contestants.flatMap((contestant) => Array.from({ length: ROUNDS }, () => ({ cell, contestant }))),
  )
  const found = wanted.map((cell) => ({ cell, by: new Map(contestants.map((one) => [one, noFigures()])) }))
  for (const [index, { cell, contestant }] of shuffled(runs).entries()) {
    progress(`${index + 1}/${runs.length} ${contestant} ${nameOf(cell)}`)
    const figures = await measure(
      cell,
      contestant === 'before' ? { contestant: 'ours', root: before } : { contestant },
    )
    found
      .find((one) => one.cell === cell)
      ?.by.get(contestant)
      ?.push(figures)
  }
  return found.map(
    ({ cell, by }) =>
      /** @type {Row} */ ({
        cell,
        ...Object.fromEntries([...by].map(([contestant, list]) => [contestant, medians(list)])),
      }),
  )
}

/** @returns {Figures[]} */
function noFigures() {
  return []
}

async function measureCurves() {
  return {
    size: await measureAll(CURVES.size, ['ours']),
    waiting: await measureAll(CURVES.waiting, ['ours']),
  }
}

/** Times of the first and of the tenth message after a deploy: medians of `STARTS` starts. */
async function measureFirst() {
  /** @type {FirstRow[]} */
  const found = []
  for (const cell of FIRST) {
    /** @type {Times[]} */
    const list = []
    for (let start = 0; start < STARTS; start++) {
      progress(`${start + 1}/${STARTS} first ${nameOf(cell)}`)
      const sized = { ...cell, count: FIRST_COUNT, warmUpMs: 0 }
      list.push(/** @type {Times} */ (await run(sized, { contestant: 'ours', isTimed: true })))
    }
    found.push({
      cell,
      firstMs: median(list.map(({ firstMs }) => firstMs)),
      lastMs: median(list.map(({ lastMs }) => lastMs)),
    })
  }
  return found
}

/**
 * @param {Cell} cell
 * @param {How} how
 */
async function measure(cell, how) {
  const count = countOf(cell, { quick, latency })
  const sized = { ...cell, count, warmUpMs: WARM_UP_MS }
  return /** @type {Figures} */ (await run(sized, how))
}

/**
 * Runs one contestant and one cell in a fresh process.
 * @param {SizedCell} cell
 * @param {How} how
 * @returns {Promise<Figures | Times>} times if `isTimed`
 * @throws if the server has not received all messages and files unchanged
 */
async function run(cell, how) {
  const filePath = await fileFor(cell)
  server.send({ expect: { way: cell.way, path: filePath } })
  await once(server, 'message')
  /** @type {RunSpec} */
  const spec = { ...how, cell, url, path: filePath, tls }
  const child = fork(path.join(HERE, 'contestant.mjs'), [JSON.stringify(spec)], { execArgv: ['--expose-gc'] })
  const ended = once(child, 'exit')
  const who = `${how.contestant}, ${nameOf(cell)}`
  const [result] = await Promise.race([
    once(child, 'message'),
    ended.then(([code]) => Promise.reject(new Error(`${who}: ended with ${code}`))),
  ])
  await ended
  server.send({ report: true })
  const [{ seen }] = await once(server, 'message')
  const { sent } = result
  const uploads = cell.way === 'upload' ? sent : 0
  if (seen.messages !== sent || seen.uploads !== uploads || seen.unused > 0 || seen.wrong > 0)
    throw new Error(`${who}: ${sent} were sent, ${JSON.stringify(seen)} arrived`)
  return { ...result, connections: seen.connections }
}

/** @param {string} text */
function progress(text) {
  process.stderr.write(`\r${text.padEnd(70)}`)
}

/** @param {Cell} cell */
async function fileFor({ size }) {
  const file = path.join(folder, `${size}.pdf`)
  await writeFile(file, fileOf(size), { flag: 'wx' }).catch((error) => {
    if (codeOf(error) !== 'EEXIST') throw error
  })
  return file
}

/**
 * @template T
 * @param {T[]} list
 */
function shuffled(list) {
  return list
    .map((one) => ({ one, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ one }) => one)
}

/** Returns the arguments of the command line without the path of the other checkout, which says nothing elsewhere. */
function shownArguments() {
  return process.argv.slice(2).map((argument) => (argument === options.before ? '../before' : argument))
}

/** @param {number[]} numbers */
function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN
}

/** @param {Figures[]} list */
function medians(list) {
  const columns = /** @type {(keyof Figures)[]} */ (Object.keys(COLUMNS))
  return Object.fromEntries(columns.map((column) => [column, median(list.map((result) => result[column]))]))
}

async function versions() {
  const version = async (/** @type {string} */ name) =>
    JSON.parse(await readFile(path.join(HERE, '../node_modules', name, 'package.json'), 'utf8')).version
  return {
    ...{ date: new Date().toISOString().slice(0, 10), Node: process.version, processors: os.cpus().length },
    ...{ 'Node-RED': await version('node-red'), undici: await version('undici') },
  }
}

/**
 * Writes the results to files in the repository.
 * @param {Results} results
 * @param {string} report
 */
async function keep(results, report) {
  const name = `${tls ? `tls-${latency}-ms` : 'http'}${quick ? '-quick' : ''}`
  await mkdir(path.join(HERE, 'results'), { recursive: true })
  await writeFile(path.join(HERE, 'results', `${name}.json`), `${JSON.stringify(results, null, 1)}\n`)
  await writeFile(path.join(HERE, 'results', `${name}.md`), `${report}\n`)
  if (!tls) await writeDocsTable(results)
  const { curves } = results
  if (curves) {
    const { date, Node, processors } = results.versions
    const caption = `npm run bench, ${date}, Node ${Node}, ${processors} processors`
    await writeFile(path.join(HERE, '../docs/cost.svg'), plot(curves, caption))
  }
}
