// Our nodes, the core nodes, raw undici and the leanest undici, in one run: every measurement in a fresh process,
// shuffled, medians of three, each verified at the server. Tells which goals are met.
//
//   npm run bench                 all cells (about half an hour)
//   npm run bench -- --quick      8 in flight only, once each
//   npm run bench -- --tls --latency 20 --json result.json
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { CELLS, countOf, GOALS, nameOf, QUICK } from './cells.mjs'
import { fileOf } from './file.mjs'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    tls: { type: 'boolean', default: false },
    latency: { type: 'string', default: '0' },
    only: { type: 'string' },
    json: { type: 'string' },
  },
})
const CONTESTANTS = ['ours', 'core', 'raw', 'lean']
const ROUNDS = values.quick ? 1 : 3
const COLUMNS = ['perSecond', 'cpuMs', 'peakMb', 'growthMb', 'delayP99Ms', 'delayMaxMs', 'connections']

const folder = await mkdtemp(path.join(os.tmpdir(), 'redox-bench-files-'))
const cells = (values.quick ? QUICK : CELLS).filter((cell) => nameOf(cell).includes(values.only ?? ''))
const files = new Map()
for (const { size } of cells) {
  if (files.has(size)) continue
  files.set(size, path.join(folder, `${size}.pdf`))
  await writeFile(files.get(size), fileOf(size))
}
const server = fork(path.join(import.meta.dirname, 'server.mjs'), [
  JSON.stringify({ tls: values.tls, latency: Number(values.latency) }),
])
const [{ port }] = await once(server, 'message')
const url = `${values.tls ? 'https' : 'http'}://127.0.0.1:${port}`

const runs = shuffled(
  cells.flatMap((cell) =>
    CONTESTANTS.flatMap((contestant) => Array.from({ length: ROUNDS }, () => ({ cell, contestant }))),
  ),
)
const results = new Map()
for (const [index, { cell, contestant }] of runs.entries()) {
  process.stderr.write(`\r${index + 1}/${runs.length} ${contestant} ${nameOf(cell)}                    `)
  const key = `${nameOf(cell)} ${contestant}`
  results.set(key, [...(results.get(key) ?? []), await run(cell, contestant)])
}
process.stderr.write('\n')
server.disconnect()
server.kill()
await rm(folder, { recursive: true })

const table = cells.map((cell) => ({
  cell: nameOf(cell),
  ...Object.fromEntries(
    CONTESTANTS.map((contestant) => [contestant, medians(results.get(`${nameOf(cell)} ${contestant}`))]),
  ),
}))
const goals = cells.flatMap((cell, index) => goalsOf(cell, table[index]))
console.log(markdown())
if (values.json)
  await writeFile(values.json, `${JSON.stringify({ versions: versions(), table, goals }, null, 2)}\n`)

async function run(cell, contestant) {
  const count = countOf(cell, values.quick)
  const warmUp = Math.max(cell.inFlight, Math.ceil(count / 10))
  const filePath = files.get(cell.size)
  server.send({ expect: { way: cell.way, path: filePath } })
  await once(server, 'message')
  const spec = { contestant, cell: { ...cell, count, warmUp }, url, path: filePath, tls: values.tls }
  const child = fork(path.join(import.meta.dirname, 'contestant.mjs'), [JSON.stringify(spec)], {
    execArgv: ['--expose-gc'],
  })
  const ended = once(child, 'exit')
  const [result] = await Promise.race([
    once(child, 'message'),
    ended.then(([code]) => Promise.reject(new Error(`${contestant}, ${nameOf(cell)}: ended with ${code}`))),
  ])
  await ended
  server.send({ report: true })
  const [{ seen }] = await once(server, 'message')
  if (seen.count !== count + warmUp || seen.wrong > 0) {
    throw new Error(
      `${contestant}, ${nameOf(cell)}: ${seen.count} arrived of ${count + warmUp}, ${seen.wrong} wrong`,
    )
  }
  return { ...result, connections: seen.connections }
}

function shuffled(list) {
  return list
    .map((one) => ({ one, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ one }) => one)
}

function medians(list) {
  const middle = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)]
  return Object.fromEntries(COLUMNS.map((column) => [column, middle(list.map((result) => result[column]))]))
}

// ---- Goals and output ---------------------------------------------------------------------------------

function goalsOf(cell, row) {
  return GOALS.filter(
    ({ way, from, low, high }) =>
      way === cell.way && from === cell.from && low <= cell.size && cell.size <= high,
  )
    .flatMap(({ goals }) => goals)
    .map((goal) => judged(goal, cell, row))
}

function judged({ column, most, least, extra, by, isRatio }, cell, row) {
  const value = isRatio ? row.ours[column] / row[by][column] : row.ours[column]
  const limit = extra !== undefined ? row[by][column] + extra : (most ?? least)
  const isMet = least !== undefined ? value >= limit : value <= limit
  const what = `${column}${isRatio ? ` × ${by}` : ''}`
  return { cell: nameOf(cell), what, value, [least !== undefined ? 'least' : 'most']: limit, isMet }
}

function versions() {
  return {
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    cpus: os.cpus().length,
    tls: values.tls,
    latencyMs: Number(values.latency),
  }
}

function markdown() {
  const number = (value) =>
    Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2)
  const heads = [
    'cell',
    'who',
    'messages/s',
    'CPU ms',
    'peak MB',
    'growth MB',
    'delay p99 ms',
    'delay max ms',
    'connections',
  ]
  const lines = table.flatMap(({ cell, ...by }) =>
    CONTESTANTS.map((contestant) => [
      cell,
      contestant,
      ...COLUMNS.map((column) => number(by[contestant][column])),
    ]),
  )
  const met = goals.filter(({ isMet }) => isMet).length
  const told = goals.map(({ cell, what, value, most, least, isMet }) => [
    isMet ? 'met' : '**missed**',
    cell,
    what,
    number(value),
    most !== undefined ? `≤ ${number(most)}` : `≥ ${number(least)}`,
  ])
  const asTable = (head, rows) =>
    [head, head.map(() => '---'), ...rows].map((cellsOf) => `| ${cellsOf.join(' | ')} |`).join('\n')
  return [
    `${Object.entries(versions())
      .map((pair) => pair.join(' '))
      .join(', ')}`,
    asTable(heads, lines),
    `${met} of ${goals.length} goals met`,
    asTable(['', 'cell', 'what', 'is', 'goal'], told),
  ].join('\n\n')
}
