// Compares another build with this one: both run alternately, and the other build runs twice, which shows the noise of
// the measurement.
import { access } from 'node:fs/promises'
import path from 'node:path'

export const LEAST_PAIRS = 10
/** @typedef {import('./cells.mjs').Cell} Cell */
/** @typedef {import('./report.mjs').Figures} Figures */
/** @typedef {'ours' | 'before' | 'again'} Run ours, or one of the two runs of the other build */
/** @typedef {'cpuMs' | 'perSecond'} Column */
/** @typedef {{ median: number, low: number, high: number }} Interval a median with its confidence interval */
/** @typedef {{ ours: Interval, same: Interval, differs: boolean }} Comparison */
/** @typedef {{ cell: Cell } & Record<Column, Comparison>} ComparedRow */

/** @type {[Run, Run, Run]} */
const RUNS = ['ours', 'before', 'again']
// Each order of the three runs is used equally often, because the first run may find a cooler processor.
/** @type {(0 | 1 | 2)[][]} */
const ORDERS = [
  [0, 1, 2],
  [2, 1, 0],
  [1, 2, 0],
  [0, 2, 1],
  [2, 0, 1],
  [1, 0, 2],
]
/** @type {Column[]} */
const COLUMNS = ['cpuMs', 'perSecond']

/**
 * Returns the absolute path of the other checkout.
 * @param {string} folder
 * @throws if the other checkout has not been built
 */
export async function otherCheckout(folder) {
  const root = path.resolve(folder)
  await access(path.join(root, 'dist', 'nodes')).catch(() => {
    throw new Error(`${root} has no dist: build it first`)
  })
  return root
}

/**
 * Measures each cell in pairs of runs.
 * @param {object} options
 * @param {Cell[]} options.cells
 * @param {number} options.pairs
 * @param {string} options.root folder of the other checkout
 * @param {(cell: Cell, how: { root?: string }) => Promise<Figures>} options.run measures one cell with one contestant
 * @param {(pair: number, run: Run, cell: Cell) => void} options.progress called before each run
 * @returns {Promise<ComparedRow[]>} for each cell the ratio of this build to the other build, and of the
 * two runs of the other build to each other
 */
export async function measureBeside({ cells, pairs, root, run, progress }) {
  const rows = cells.map((cell) => ({ cell, found: /** @type {Record<Run, Figures>[]} */ ([]) }))
  for (let pair = 0; pair < pairs; pair++)
    for (const { cell, found } of rows) {
      const results = /** @type {Record<Run, Figures>} */ ({})
      for (const at of ORDERS[pair % ORDERS.length] ?? []) {
        progress(pair, RUNS[at], cell)
        results[RUNS[at]] = await run(cell, RUNS[at] === 'ours' ? {} : { root })
      }
      found.push(results)
    }
  return rows.map(({ cell, found }) => ({
    cell,
    cpuMs: compared(found, 'cpuMs'),
    perSecond: compared(found, 'perSecond'),
  }))
}

/**
 * @param {Record<Run, Figures>[]} found
 * @param {Column} column
 * @returns {Comparison}
 */
function compared(found, column) {
  const ratios = (/** @type {Run} */ name) =>
    found.map((results) => results[name][column] / results.before[column])
  const [ours, same] = [middle(ratios('ours')), middle(ratios('again'))]
  return { ours, same, differs: ours.high < same.low || ours.low > same.high }
}

/**
 * Returns the median and its 95 % confidence interval, which is computed from the order of the values without assuming
 * a distribution.
 * @param {number[]} values
 * @returns {Interval}
 */
function middle(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const count = sorted.length
  const half = count / 2
  const at = (/** @type {number} */ index) => sorted[index] ?? NaN
  const median = count % 2 === 1 ? at(Math.floor(half)) : (at(half - 1) + at(half)) / 2
  let chance = 0.5 ** count
  let below = chance
  let rank = 0
  while (rank + 1 < half && below + (chance * (count - rank)) / (rank + 1) <= 0.025) {
    chance *= (count - rank) / (rank + 1)
    below += chance
    rank++
  }
  return { median, low: at(rank), high: at(count - 1 - rank) }
}

const HEAD = [
  'cell',
  'CPU, ours : before',
  'CPU, before : itself',
  'CPU',
  'rate, ours : before',
  'rate, before : itself',
  'rate',
]
/** @param {Interval} interval */
const range = ({ median, low, high }) => `${median.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`
/** @param {Comparison} comparison */
const verdict = ({ ours, same, differs }) =>
  differs ? (ours.median > same.median ? '**more**' : '**less**') : 'no difference'

/**
 * Returns the comparison as a Markdown table.
 * @param {ComparedRow[]} rows
 * @param {number} pairs
 * @param {(cell: Cell) => string} nameOf
 */
export function besideTable(rows, pairs, nameOf) {
  const lines = rows.map(({ cell, ...columns }) => [
    nameOf(cell),
    ...COLUMNS.flatMap((column) => {
      const { ours, same } = columns[column]
      return [range(ours), range(same), verdict(columns[column])]
    }),
  ])
  return [
    `Medians of ${pairs} pairs, in brackets where the median is with 95 % certainty. A difference counts where the ranges do not meet.`,
    '',
    ...[HEAD, HEAD.map(() => '---'), ...lines].map((line) => `| ${line.join(' | ')} |`),
  ].join('\n')
}
