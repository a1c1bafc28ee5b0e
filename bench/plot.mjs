// The curves as an SVG: what a message costs, against the size of its file and against how many wait.
const MB = 1_000_000
const WIDTH = 420
const HEIGHT = 260
const MARGIN = { left: 58, right: 28, top: 34, bottom: 44 }
const COLOURS = ['#8f1d21', '#1f5fa8', '#2d7d46']

/** @param curves `{ size, waiting }`: rows of `{ cell, ours }` */
export function plot({ size, waiting }, caption) {
  const bySize = groups(size, ({ way, from }) =>
    from === 'disk' ? `${way} from disk` : `${way} from a Buffer`,
  )
  const byWaiting = groups(waiting, () => 'embed 50 KB, 8 at once')
  const megabytes = ({ cell }) => cell.size / MB
  const messages = ({ cell }) => cell.inFlight
  const cpu = ({ ours }) => ours.cpuMs
  const peak = ({ ours }) => Math.max(0, ours.peakMb)
  const panels = [
    panel('CPU per message, ms', 'file, MB', bySize, megabytes, cpu),
    panel('Peak memory above idle, MB', 'file, MB (8 in flight)', bySize, megabytes, peak),
    panel('CPU per message, ms', 'messages that wait', byWaiting, messages, cpu),
    panel('Peak memory above idle, MB', 'messages that wait', byWaiting, messages, peak),
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

function groups(rows, nameFor) {
  const found = new Map()
  for (const row of rows) found.set(nameFor(row.cell), [...(found.get(nameFor(row.cell)) ?? []), row])
  return found
}

function panel(title, axis, lines, x, y) {
  const rows = [...lines.values()].flat()
  const [xTicks, yTicks] = [ticks(Math.max(...rows.map(x))), ticks(Math.max(...rows.map(y)))]
  const inner = { width: WIDTH - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom }
  const px = (value) => (MARGIN.left + (value / xTicks.at(-1)) * inner.width).toFixed(1)
  const py = (value) => (MARGIN.top + inner.height * (1 - value / yTicks.at(-1))).toFixed(1)
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

/** From 0 to above the largest, in round steps. */
function ticks(largest) {
  const rough = Math.max(largest, 1e-9) / 4
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough)
  const count = Math.ceil(largest / step)
  return Array.from({ length: count + 1 }, (_, at) => Number((at * step).toPrecision(6)))
}
