// Draws the curves as an SVG: the cost of a message, depending on the size of its file and on the number of waiting
// messages.

/** @typedef {import('./report.mjs').Row} Row */
/** @typedef {Map<string, Row[]>} Lines rows by the name of the line */
const MB = 1_000_000
const WIDTH = 420
const HEIGHT = 260
const MARGIN = { left: 58, right: 28, top: 34, bottom: 44 }
const COLOURS = ['#8f1d21', '#1f5fa8', '#2d7d46']

/**
 * @param {import('./report.mjs').Curves} curves
 * @param {string} caption
 */
export function plot({ size, waiting }, caption) {
  const bySize = groups(size, ({ way, from }) =>
    from === 'disk' ? `${way} from disk` : `${way} from a Buffer`,
  )
  const byWaiting = groups(waiting, () => 'embed 50 KB, 8 at once')
  /** @param {Row} row */
  const megabytes = ({ cell }) => cell.size / MB
  /** @param {Row} row */
  const messages = ({ cell }) => cell.inFlight
  /** @param {Row} row */
  const cpu = ({ ours }) => ours.cpuMs
  /** @param {Row} row */
  const peak = ({ ours }) => Math.max(0, ours.peakMb)
  const panels = [
    panel(bySize, { title: 'CPU per message, ms', axis: 'file, MB', x: megabytes, y: cpu }),
    panel(bySize, {
      title: 'Peak memory above idle, MB',
      axis: 'file, MB (8 in flight)',
      x: megabytes,
      y: peak,
    }),
    panel(byWaiting, { title: 'CPU per message, ms', axis: 'messages that wait', x: messages, y: cpu }),
    panel(byWaiting, {
      title: 'Peak memory above idle, MB',
      axis: 'messages that wait',
      x: messages,
      y: peak,
    }),
  ]
  const placed = panels.map(
    (content, at) =>
      `<g transform="translate(${(at % 2) * WIDTH} ${Math.floor(at / 2) * HEIGHT})">${content}</g>`,
  )
  const height = 2 * HEIGHT + 24
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${2 * WIDTH} ${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    ...placed,
    `<text x="${WIDTH}" y="${height - 8}" text-anchor="middle" fill="#555">${caption}</text>`,
    '</svg>',
    '',
  ].join('\n')
}

/**
 * @param {Row[]} rows
 * @param {(cell: Row['cell']) => string} nameFor
 */
function groups(rows, nameFor) {
  /** @type {Lines} */
  const found = new Map()
  for (const row of rows) found.set(nameFor(row.cell), [...(found.get(nameFor(row.cell)) ?? []), row])
  return found
}

/**
 * Returns one diagram.
 * @param {Lines} lines
 * @param {object} options
 * @param {string} options.title
 * @param {string} options.axis name of the x axis
 * @param {(row: Row) => number} options.x
 * @param {(row: Row) => number} options.y
 */
function panel(lines, { title, axis, x, y }) {
  const rows = [...lines.values()].flat()
  const [xTicks, yTicks] = [ticks(Math.max(...rows.map(x))), ticks(Math.max(...rows.map(y)))]
  const inner = { width: WIDTH - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom }
  const [xEnd, yEnd] = [Math.max(...xTicks), Math.max(...yTicks)]
  const px = (/** @type {number} */ value) => (MARGIN.left + (value / xEnd) * inner.width).toFixed(1)
  const py = (/** @type {number} */ value) => (MARGIN.top + inner.height * (1 - value / yEnd)).toFixed(1)
  const bottom = MARGIN.top + inner.height
  return [
    `<text x="${MARGIN.left}" y="16" font-weight="bold">${title}</text>`,
    ...yTicks.map(
      (value) =>
        `<path d="M${MARGIN.left} ${py(value)}h${inner.width}" stroke="#ddd"/>` +
        `<text x="${MARGIN.left - 6}" y="${Number(py(value)) + 4}" text-anchor="end">${value}</text>`,
    ),
    ...xTicks.map(
      (value) => `<text x="${px(value)}" y="${bottom + 16}" text-anchor="middle">${value}</text>`,
    ),
    `<text x="${MARGIN.left + inner.width / 2}" y="${bottom + 32}" text-anchor="middle" fill="#555">${axis}</text>`,
    ...[...lines].map(([name, points], at) => line(name, points, at)),
  ].join('')

  /**
   * @param {string} name
   * @param {Row[]} points
   * @param {number} at index of the line
   */
  function line(name, points, at) {
    const spots = points.map((row) => [px(x(row)), py(y(row))])
    const dots = spots.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3" fill="${COLOURS[at]}"/>`)
    return [
      `<path d="M${spots.map((spot) => spot.join(' ')).join('L')}" fill="none" stroke="${COLOURS[at]}" stroke-width="2"/>`,
      ...dots,
      `<text x="${MARGIN.left + 8}" y="${MARGIN.top + 12 + at * 14}" fill="${COLOURS[at]}">${name}</text>`,
    ].join('')
  }
}

/**
 * Returns round axis steps from 0 up to the first step that is not below the largest value.
 * @param {number} largest
 */
function ticks(largest) {
  const rough = Math.max(largest, 1e-9) / 4
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough) ?? 10 * power
  const count = Math.ceil(largest / step)
  return Array.from({ length: count + 1 }, (_, at) => Number((at * step).toPrecision(6)))
}
