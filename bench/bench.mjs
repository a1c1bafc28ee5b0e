// Our nodes, the core nodes, raw undici and the leanest undici, in one run: every measurement in a fresh process,
// shuffled, medians of three, each verified at the server, which answers as Redox does. Tells which goals are met.
//
//   npm run bench                          all (about an hour), written to bench/results and docs/cost.svg
//   npm run bench -- --quick               8 in flight only, once each, without curves (7 minutes)
//   npm run bench -- --tls --latency 20    over TLS, with a server that answers 20 ms later
//   npm run bench -- --only "embed 1 MB"   some cells; or `crowds`, `curves`, `first`, `start-up`
//   npm run bench -- --json result.json    also writes the figures to a file
//   npm run bench -- --beside ../before    another checkout that has been built, in turn with this one: ten pairs of each
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
  warmUpOf,
} from './cells.mjs'
import { fileOf } from './file.mjs'
import { plot } from './plot.mjs'
import { COLUMNS, goalsOf, markdown } from './report.mjs'
import { startUp } from './start-up.mjs'

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    tls: { type: 'boolean', default: false },
    latency: { type: 'string', default: '0' },
    only: { type: 'string' },
    json: { type: 'string' },
    beside: { type: 'string' },
    pairs: { type: 'string', default: String(LEAST_PAIRS) },
  },
})
const { tls, only } = options
const other = options.beside === undefined ? undefined : await otherCheckout(options.beside)
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

// What grows and what starts is the same over TLS.
const isWanted = (part) => (only === undefined ? !tls : only === part)
const cells = (quick ? CELLS.filter(({ inFlight }) => inFlight === 8) : CELLS).filter(
  (cell) => only === undefined || nameOf(cell).includes(only),
)
const write = async (results) => {
  if (options.json) await writeFile(options.json, `${JSON.stringify(results, null, 1)}\n`)
}

await (other === undefined ? measureAndKeep() : compare()).finally(async () => {
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

async function compare() {
  const rows = await measureBeside({
    ...{ cells, pairs, root: other },
    run: (cell, how) => measure(cell, 'ours', how),
    progress: (pair, name, cell) => progress(`${pair + 1}/${pairs} ${name} ${nameOf(cell)}`),
  })
  process.stderr.write('\n')
  console.log(besideTable(rows, pairs, nameOf))
  await write({ versions: await versions(), pairs, rows })
}

async function measureParts() {
  return {
    command: ['npm run bench', ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])].join(
      ' ',
    ),
    versions: await versions(),
    tls,
    rows: await measureAll(cells, CONTESTANTS),
    crowds: only === undefined || isWanted('crowds') ? await measureAll(CROWDS, ['ours']) : [],
    ...(isWanted('first') && { first: await measureFirst() }),
    ...((!quick || only === 'curves') && isWanted('curves') && { curves: await measureCurves() }),
    ...(isWanted('start-up') && { startUp: await startUp(STARTS, median) }),
  }
}

async function measureAll(wanted, contestants) {
  const runs = wanted.flatMap((cell) =>
    contestants.flatMap((contestant) => Array.from({ length: ROUNDS }, () => ({ cell, contestant }))),
  )
  const found = new Map(wanted.map((cell) => [cell, new Map(contestants.map((one) => [one, []]))]))
  for (const [index, { cell, contestant }] of shuffled(runs).entries()) {
    progress(`${index + 1}/${runs.length} ${contestant} ${nameOf(cell)}`)
    found
      .get(cell)
      .get(contestant)
      .push(await measure(cell, contestant))
  }
  return wanted.map((cell) => ({
    cell,
    ...Object.fromEntries([...found.get(cell)].map(([contestant, list]) => [contestant, medians(list)])),
  }))
}

async function measureCurves() {
  return {
    size: await measureAll(CURVES.size, ['ours']),
    waiting: await measureAll(CURVES.waiting, ['ours']),
  }
}

/** The first message after a deploy, and the tenth: medians of so many starts. */
async function measureFirst() {
  const found = []
  for (const cell of FIRST) {
    const list = []
    for (let start = 0; start < STARTS; start++) {
      progress(`${start + 1}/${STARTS} first ${nameOf(cell)}`)
      list.push(await run({ ...cell, count: FIRST_COUNT, warmUp: 0 }, { contestant: 'ours', isTimed: true }))
    }
    const [firstMs, lastMs] = ['firstMs', 'lastMs'].map((name) => median(list.map((result) => result[name])))
    found.push({ cell, firstMs, lastMs })
  }
  return found
}

function measure(cell, contestant, how = {}) {
  const count = countOf(cell, { quick, latency })
  return run({ ...cell, count, warmUp: warmUpOf(cell, count, latency) }, { contestant, ...how })
}

/** One contestant and one cell in a fresh process, and whether all arrived as they should. */
async function run(cell, how) {
  const filePath = await fileFor(cell)
  server.send({ expect: { way: cell.way, path: filePath } })
  await once(server, 'message')
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
  const sent = cell.count + cell.warmUp
  const uploads = cell.way === 'upload' ? sent : 0
  if (seen.messages !== sent || seen.uploads !== uploads || seen.unused > 0 || seen.wrong > 0)
    throw new Error(`${who}: ${sent} were sent, ${JSON.stringify(seen)} arrived`)
  return { ...result, connections: seen.connections }
}

function progress(text) {
  process.stderr.write(`\r${text.padEnd(70)}`)
}

async function fileFor({ size }) {
  const file = path.join(folder, `${size}.pdf`)
  await writeFile(file, fileOf(size), { flag: 'wx' }).catch((error) => {
    if (error.code !== 'EEXIST') throw error
  })
  return file
}

function shuffled(list) {
  return list
    .map((one) => ({ one, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ one }) => one)
}

function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]
}

function medians(list) {
  const columns = Object.keys(COLUMNS)
  return Object.fromEntries(columns.map((column) => [column, median(list.map((result) => result[column]))]))
}

async function versions() {
  const version = async (name) =>
    JSON.parse(await readFile(path.join(HERE, '../node_modules', name, 'package.json'), 'utf8')).version
  return {
    ...{ date: new Date().toISOString().slice(0, 10), Node: process.version, processors: os.cpus().length },
    ...{ 'Node-RED': await version('node-red'), undici: await version('undici') },
  }
}

/** For people to look at: in git, with the date. */
async function keep(results, report) {
  const name = `${tls ? `tls-${latency}-ms` : 'http'}${quick ? '-quick' : ''}`
  await mkdir(path.join(HERE, 'results'), { recursive: true })
  await writeFile(path.join(HERE, 'results', `${name}.json`), `${JSON.stringify(results, null, 1)}\n`)
  await writeFile(path.join(HERE, 'results', `${name}.md`), `${report}\n`)
  const { curves, versions } = results
  if (curves && !quick)
    await writeFile(
      path.join(HERE, '../docs/cost.svg'),
      plot(
        curves,
        `npm run bench, ${versions.date}, Node ${versions.Node}, ${versions.processors} processors`,
      ),
    )
}
