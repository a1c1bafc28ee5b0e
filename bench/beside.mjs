// Another build beside ours: in turn, in one sitting, with what a build shows against itself.
import { access } from 'node:fs/promises'
import path from 'node:path'

export const LEAST_PAIRS = 10
const RUNS = ['ours', 'before', 'again']
// Each order as often as the others: what comes first may find a cooler processor.
const ORDERS = [
  [0, 1, 2],
  [2, 1, 0],
  [1, 2, 0],
  [0, 2, 1],
  [2, 0, 1],
  [1, 0, 2],
]
const COLUMNS = ['cpuMs', 'perSecond']

/** @returns the folder of the other checkout, which has been built */
export async function otherCheckout(folder) {
  const root = path.resolve(folder)
  await access(path.join(root, 'dist', 'nodes')).catch(() => {
    throw new Error(`${root} has no dist: build it first`)
  })
  return root
}

/**
 * @param run measures one cell with one contestant
 * @returns for each cell the ratios of ours to the other build, and of the other build to itself
 */
export async function measureBeside({ cells, pairs, root, run, progress }) {
  const rows = cells.map((cell) => ({ cell, found: [] }))
  for (let pair = 0; pair < pairs; pair++)
    for (const { cell, found } of rows) {
      const results = {}
      for (const at of ORDERS[pair % ORDERS.length]) {
        progress(pair, RUNS[at], cell)
        results[RUNS[at]] = await run(cell, RUNS[at] === 'ours' ? {} : { root })
      }
      found.push(results)
    }
  return rows.map(({ cell, found }) => ({
    cell,
    ...Object.fromEntries(COLUMNS.map((column) => [column, compared(found, column)])),
  }))
}

function compared(found, column) {
  const ratios = (name) => found.map((results) => results[name][column] / results.before[column])
  const [ours, same] = [middle(ratios('ours')), middle(ratios('again'))]
  return { ours, same, differs: ours.high < same.low || ours.low > same.high }
}

/** The median, and from where to where it is with 95 % certainty, by the order of the values alone. */
function middle(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const count = sorted.length
  const half = count / 2
  const median = count % 2 === 1 ? sorted[Math.floor(half)] : (sorted[half - 1] + sorted[half]) / 2
  let chance = 0.5 ** count
  let below = chance
  let rank = 0
  while (rank + 1 < half && below + (chance * (count - rank)) / (rank + 1) <= 0.025) {
    chance *= (count - rank) / (rank + 1)
    below += chance
    rank++
  }
  return { median, low: sorted[rank], high: sorted[count - 1 - rank] }
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
const range = ({ median, low, high }) => `${median.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`
const verdict = ({ ours, same, differs }) =>
  differs ? (ours.median > same.median ? '**more**' : '**less**') : 'no difference'

/** @param nameOf a cell */
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
