// Which goals are met, and the tables that tell it.
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

export const COLUMNS = {
  perSecond: 'messages/s',
  cpuMs: 'CPU ms',
  peakMb: 'peak MB',
  growthMb: 'growth MB',
  delayP99Ms: 'delay p99 ms',
  delayMaxMs: 'delay max ms',
  connections: 'connections',
}

/** @param results rows of `{ cell }` with the figures of each contestant */
export function goalsOf({ tls, rows, crowds, first = [], startUp }) {
  return [
    ...rows.flatMap((row) => (tls ? TLS_GOALS : GOALS).filter(isFor(row.cell)).flatMap(judgedIn(row))),
    ...crowds.flatMap((row) => judgedIn(row)({ goals: CROWD_GOALS })),
    ...sameGrowth(rows),
    ...first.map(firstGoal),
    ...(startUp ? startUpGoals(startUp) : []),
  ]
}

const isFor =
  (cell) =>
  ({ way, from, low, high, inFlight = cell.inFlight }) =>
    way === cell.way &&
    from === cell.from &&
    low <= cell.size &&
    cell.size <= high &&
    inFlight === cell.inFlight

const judgedIn =
  ({ cell, ...by }) =>
  ({ goals }) =>
    goals.map((goal) => ({ cell: nameOf(cell), ...judged(goal, by) }))

function judged({ column, most, least, extra, by: rival, isRatio }, by) {
  const value = isRatio ? by.ours[column] / by[rival][column] : by.ours[column]
  const limit = extra === undefined ? (most ?? least) : by[rival][column] + extra
  return least === undefined
    ? atMost(`${COLUMNS[column]}${isRatio ? ` × ${rival}` : ''}`, value, limit)
    : { what: `${COLUMNS[column]} × ${rival}`, value, least: limit, isMet: value >= limit }
}

const atMost = (what, value, most) => ({ what, value, most, isMet: value <= most })

function sameGrowth(rows) {
  const names = SAME_GROWTH.cells.map(nameOf)
  const found = rows.filter(({ cell }) => names.includes(nameOf(cell))).map(({ ours }) => ours.growthMb)
  if (found.length < names.length) return []
  const spread = Math.max(...found) - Math.min(...found)
  return [{ cell: names.join('; '), ...atMost('growth MB, difference', spread, SAME_GROWTH.withinMb) }]
}

const firstGoal = ({ cell, firstMs, lastMs }) => ({
  cell: nameOf(cell),
  ...atMost('first message after a deploy, ms more than the tenth', firstMs - lastMs, FIRST_MS),
})

function startUpGoals({ added }) {
  return [
    { cell: 'start, no node used', ...atMost('ms', added.none.ms, START_UP.ms) },
    { cell: 'start, no node used', ...atMost('MB', added.none.mb, START_UP.mb) },
  ]
}

// ---- Markdown -------------------------------------------------------------------------------------------

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

const number = (value) =>
  Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2)

const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

const costs = ({ cell, ...by }) =>
  CONTESTANTS.filter((contestant) => by[contestant]).map((contestant) => [
    nameOf(cell),
    contestant,
    ...Object.keys(COLUMNS).map((column) => number(by[contestant][column])),
  ])

const RATIOS = [
  ...['cell', 'CPU × core', 'rate × core', 'peak × core', 'delay max × core'],
  ...['CPU × raw', 'CPU × lean', 'CPU × lean + sha256'],
]

const ratios = ({ cell, ours, core, ...limits }) => [
  nameOf(cell),
  ...['cpuMs', 'perSecond', 'peakMb', 'delayMaxMs'].map((column) => number(ours[column] / core[column])),
  ...['raw', 'lean', 'lean + sha256'].map((limit) => number(ours.cpuMs / limits[limit].cpuMs)),
]

function worst(rows) {
  const found = rows.map(({ cell, ours, core }) => ({ cell, cpu: ours.cpuMs / core.cpuMs }))
  const { cell, cpu } = found.reduce((most, one) => (one.cpu > most.cpu ? one : most))
  return `Worst beside the core nodes: ${nameOf(cell)}, ${number(cpu)} × their CPU.`
}

const curveTable = (rows) =>
  table(
    ['cell', 'messages/s', 'CPU ms', 'peak MB'],
    rows.map(({ cell, ours }) => [
      nameOf(cell),
      ...['perSecond', 'cpuMs', 'peakMb'].map((column) => number(ours[column])),
    ]),
  )

const startUpTable = ({ alone, added }) =>
  table(
    ['', 'ms', 'MB'],
    [
      ['Node-RED alone', number(alone.ms), number(alone.mb)],
      ['the package, no node of it in a flow', `+ ${number(added.none.ms)}`, `+ ${number(added.none.mb)}`],
      ['the package, each node once', `+ ${number(added.all.ms)}`, `+ ${number(added.all.mb)}`],
    ],
  )

const verdict = ({ cell, what, value, most, least, isMet }) => [
  isMet ? 'met' : '**missed**',
  cell,
  what,
  number(value),
  most === undefined ? `≥ ${number(least)}` : `≤ ${number(most)}`,
  isMet ? '' : `${Math.round(Math.abs(value / (most ?? least) - 1) * 100)} %`,
]
