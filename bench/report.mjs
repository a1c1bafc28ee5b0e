// Compares the figures with the goals, and writes both as Markdown tables.
import {
  CONTESTANTS,
  CROWD_GOALS,
  FIRST_MS,
  GOALS,
  nameOf,
  SAME_GROWTH,
  START_UP,
  TLS_GOALS,
} from './cells.mjs'

/**
 * @typedef {import('./cells.mjs').Cell} Cell
 * @typedef {import('./cells.mjs').Column} Column
 * @typedef {import('./cells.mjs').Contestant} Contestant
 * @typedef {import('./cells.mjs').Goal} Goal
 * @typedef {import('./start-up.mjs').StartUp} StartUp
 * @typedef {Record<Column, number>} Figures
 * @typedef {Partial<Record<Contestant, Figures>>} FiguresByContestant
 * @typedef {{ cell: Cell, ours: Figures } & FiguresByContestant} Row
 * @typedef {{ cell: Cell, firstMs: number, lastMs: number }} FirstRow times of the first message and of the last
 * @typedef {{ size: Row[], waiting: Row[] }} Curves
 * @typedef {{ what: string, value: number, most?: number, least?: number, isMet: boolean }} Judgement
 * @typedef {{ cell: string } & Judgement} JudgedGoal
 */

/**
 * @typedef {object} Measured
 * @property {string} command
 * @property {Record<string, string | number>} versions
 * @property {boolean} tls
 * @property {Row[]} rows
 * @property {Row[]} crowds
 * @property {FirstRow[]} [first]
 * @property {Curves} [curves]
 * @property {StartUp} [startUp]
 *
 * @typedef {Measured & { goals: JudgedGoal[] }} Results
 */

export const COLUMNS = {
  perSecond: 'messages/s',
  cpuMs: 'CPU ms',
  peakMb: 'peak MB',
  growthMb: 'growth MB',
  delayP99Ms: 'delay p99 ms',
  delayMaxMs: 'delay max ms',
  connections: 'connections',
}

/**
 * @param {Measured} results
 * @returns {JudgedGoal[]}
 */
export function goalsOf({ tls, rows, crowds, first = [], startUp }) {
  return [
    ...rows.flatMap((row) => (tls ? TLS_GOALS : GOALS).filter(isFor(row.cell)).flatMap(judgedIn(row))),
    ...crowds.flatMap((row) => judgedIn(row)({ goals: CROWD_GOALS })),
    ...sameGrowth(rows),
    ...first.map(firstGoal),
    ...(startUp ? startUpGoals(startUp) : []),
  ]
}

/** @type {(cell: Cell) => (goals: import('./cells.mjs').GoalsOfCells) => boolean} */
const isFor =
  (cell) =>
  ({ way, from, sizes: [low, high], inFlight = cell.inFlight }) =>
    way === cell.way &&
    from === cell.from &&
    low <= cell.size &&
    cell.size <= high &&
    inFlight === cell.inFlight

/** @type {(row: Row) => (cells: { goals: Goal[] }) => JudgedGoal[]} */
const judgedIn =
  ({ cell, ...by }) =>
  ({ goals }) =>
    goals.map((goal) => ({ cell: nameOf(cell), ...judged(goal, by) }))

/**
 * @param {Goal} goal
 * @param {Omit<Row, 'cell'>} by
 * @returns {Judgement}
 */
function judged({ column, most = NaN, least, extra, by: rival, isRatio }, by) {
  const figure = by.ours[column]
  const reference = rival === undefined ? NaN : (by[rival]?.[column] ?? NaN)
  const value = isRatio ? figure / reference : figure
  if (least !== undefined)
    return { what: `${COLUMNS[column]} × ${rival}`, value, least, isMet: value >= least }
  const limit = extra === undefined ? most : reference + extra
  return atMost(`${COLUMNS[column]}${isRatio ? ` × ${rival}` : ''}`, value, limit)
}

/** @type {(what: string, value: number, most: number) => Judgement & { most: number }} */
const atMost = (what, value, most) => ({ what, value, most, isMet: value <= most })

/** @param {Row[]} rows */
function sameGrowth(rows) {
  const names = SAME_GROWTH.cells.map(nameOf)
  const found = rows.filter(({ cell }) => names.includes(nameOf(cell))).map(({ ours }) => ours.growthMb)
  if (found.length < names.length) return []
  const spread = Math.max(...found) - Math.min(...found)
  return [{ cell: names.join('; '), ...atMost('growth MB, difference', spread, SAME_GROWTH.withinMb) }]
}

/** @param {FirstRow} row */
const firstGoal = ({ cell, firstMs, lastMs }) => ({
  cell: nameOf(cell),
  ...atMost('first message after a deploy, ms more than the tenth', firstMs - lastMs, FIRST_MS),
})

/** @param {StartUp} startUp */
function startUpGoals({ added }) {
  return [
    { cell: 'start, no node used', ...atMost('ms', added.none.ms, START_UP.ms) },
    { cell: 'start, no node used', ...atMost('MB', added.none.mb, START_UP.mb) },
  ]
}

// ---- Markdown -------------------------------------------------------------------------------------------

/**
 * Returns the figures and the goals as Markdown.
 * @param {Results} results
 */
export function markdown({ versions, command, rows, crowds, curves, first, startUp, goals }) {
  const missed = goals.filter(({ isMet }) => !isMet)
  const parts = [
    `\`${command}\`: ${Object.entries(versions)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')}. Medians; CPU of the whole process per message; memory above idle.`,
  ]
  if (rows.length > 0) parts.push(table(['cell', 'who', ...Object.values(COLUMNS)], rows.flatMap(costs)))
  if (crowds.length > 0)
    parts.push('Ours alone:', table(['cell', 'who', ...Object.values(COLUMNS)], crowds.flatMap(costs)))
  if (rows.length > 0) parts.push('Ours, as multiples:', table(RATIOS, rows.map(ratios)), worst(rows))
  if (curves) parts.push('How the cost grows (ours):', ...Object.values(curves).map(curveTable))
  if (first)
    parts.push(
      'After a deploy (ours):',
      table(
        ['cell', 'first message ms', 'tenth ms'],
        first.map(({ cell, firstMs, lastMs }) => [nameOf(cell), number(firstMs), number(lastMs)]),
      ),
    )
  if (startUp) parts.push(`What the package adds to the start of Node-RED:`, startUpTable(startUp))
  parts.push(`${goals.length - missed.length} of ${goals.length} goals met.`)
  parts.push(table(['', 'cell', 'what', 'is', 'goal', 'by'], goals.map(verdict)))
  return parts.join('\n\n')
}

/** @param {number} value */
const number = (value) =>
  Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2)

/**
 * @param {number} figure
 * @param {number | undefined} reference undefined if it was not measured
 */
const multiple = (figure, reference) => (reference === undefined ? '' : number(figure / reference))

/**
 * @param {string[]} head
 * @param {string[][]} rows
 */
const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

const columns = /** @type {Column[]} */ (Object.keys(COLUMNS))

/** @param {Row} row */
const costs = ({ cell, ...by }) =>
  CONTESTANTS.flatMap((contestant) => {
    const figures = by[contestant]
    return figures ? [[nameOf(cell), contestant, ...columns.map((column) => number(figures[column]))]] : []
  })

/** @type {Column[]} */
const COMPARED = ['cpuMs', 'perSecond', 'peakMb', 'delayMaxMs']
const OTHERS = /** @type {const} */ (['raw', 'lean', 'lean + sha256', 'before'])
const RATIOS = [
  ...['cell', 'CPU × core', 'rate × core', 'peak × core', 'delay max × core'],
  ...['CPU × raw', 'CPU × lean', 'CPU × lean + sha256', 'CPU × before'],
]

/** @param {Row} row */
const ratios = ({ cell, ours, core, ...others }) => [
  nameOf(cell),
  ...COMPARED.map((column) => number(ours[column] / (core?.[column] ?? NaN))),
  ...OTHERS.map((other) => multiple(ours.cpuMs, others[other]?.cpuMs)),
]

/** @param {Row[]} rows, at least one */
function worst(rows) {
  const found = rows.map(({ cell, ours, core }) => ({ cell, cpu: ours.cpuMs / (core?.cpuMs ?? NaN) }))
  const { cell, cpu } = found.reduce((most, one) => (one.cpu > most.cpu ? one : most))
  return `Worst beside the core nodes: ${nameOf(cell)}, ${number(cpu)} × their CPU.`
}

/** @param {Row[]} rows */
const curveTable = (rows) =>
  table(
    ['cell', 'messages/s', 'CPU ms', 'peak MB'],
    rows.map(({ cell, ours }) => [
      nameOf(cell),
      .../** @type {const} */ (['perSecond', 'cpuMs', 'peakMb']).map((column) => number(ours[column])),
    ]),
  )

/** @param {StartUp} startUp */
const startUpTable = ({ alone, added }) =>
  table(
    ['', 'ms', 'MB'],
    [
      ['Node-RED alone', number(alone.ms), number(alone.mb)],
      ['the package, no node of it in a flow', `+ ${number(added.none.ms)}`, `+ ${number(added.none.mb)}`],
      ['the package, each node once', `+ ${number(added.all.ms)}`, `+ ${number(added.all.mb)}`],
    ],
  )

/** @param {JudgedGoal} goal */
const verdict = ({ cell, what, value, most, least = NaN, isMet }) => [
  isMet ? 'met' : '**missed**',
  cell,
  what,
  number(value),
  most === undefined ? `≥ ${number(least)}` : `≤ ${number(most)}`,
  isMet ? '' : `${Math.round(Math.abs(value / (most ?? least) - 1) * 100)} %`,
]
