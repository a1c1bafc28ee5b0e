// What is measured, and what it should come to (docs/design/performance.md).
const KB = 1000
const MB = 1_000_000

export const CONTESTANTS = ['ours', 'core', 'raw', 'lean', 'lean + sha256']

const IN_FLIGHT = { small: [1, 8, 64], large: [1, 8] }
const eight = () => [8]

const cells = (inFlightOf, kind, way, from, sizes) =>
  sizes.flatMap((size) => inFlightOf(size).map((inFlight) => ({ kind, way, from, size, inFlight })))

const cellsOf = (kind, inFlightOf) => [
  ...cells(inFlightOf, kind, 'embed', 'memory', [50 * KB, 200 * KB, MB, 10 * MB]),
  ...cells(inFlightOf, kind, 'upload', 'memory', [200 * KB, MB, 10 * MB, 30 * MB]),
  ...cells(inFlightOf, kind, 'upload', 'disk', [MB, 10 * MB, 30 * MB]),
  ...cells(inFlightOf, kind, 'embed', 'disk', [10 * MB]),
]

/**
 * Each API and way: the file in the message, or an upload and then the message that refers to it. A note stands for the
 * Data Model API and a report for FHIR; what is special to the other kinds of messages shows in the smallest cell.
 */
export const CELLS = [
  ...cellsOf('note', (size) => IN_FLIGHT[size <= MB ? 'small' : 'large']),
  ...cellsOf('report', eight),
  ...['media', 'observation', 'document'].flatMap((kind) => cells(eight, kind, 'embed', 'memory', [50 * KB])),
]

/** What the core nodes have not enough memory for: ours alone. */
export const CROWDS = [
  { kind: 'note', way: 'embed', from: 'memory', size: 10 * MB, inFlight: 64 },
  { kind: 'note', way: 'upload', from: 'memory', size: 30 * MB, inFlight: 64 },
  { kind: 'note', way: 'upload', from: 'disk', size: 30 * MB, inFlight: 64 },
]

/** How the cost of ours grows: with the file's size, and with the messages that wait for 8 at once. */
export const CURVES = {
  size: [
    ...['embed', 'upload'].map((way) => ({ way, from: 'memory' })),
    { way: 'upload', from: 'disk' },
  ].flatMap(({ way, from }) =>
    [50 * KB, 200 * KB, MB, 3 * MB, 10 * MB, ...(way === 'embed' ? [14 * MB] : [20 * MB, 30 * MB])].map(
      (size) => ({ kind: 'note', way, from, size, inFlight: 8 }),
    ),
  ),
  waiting: [1, 10, 100, 1000, 2500, 5000, 7500, 10_000].map((inFlight) => ({
    ...{ kind: 'note', way: 'embed', from: 'memory', size: 50 * KB },
    ...{ inFlight, sendsAtOnce: 8 },
  })),
}

/** How long the first message after a deploy takes, beside the tenth. */
export const FIRST = [
  { kind: 'note', way: 'embed', from: 'memory', size: 50 * KB, inFlight: 1 },
  { kind: 'report', way: 'upload', from: 'memory', size: 200 * KB, inFlight: 1 },
]
export const FIRST_COUNT = 10

/**
 * Enough messages to be measured, and not so many that it takes hours.
 * @param latency milliseconds that the server lets each wait
 */
export function countOf({ size, inFlight }, { quick, latency }) {
  const bySize = Math.ceil((quick ? 120 : 300) * (MB / size))
  const inTime = latency > 0 ? Math.ceil(inFlight * (3000 / latency)) : Infinity
  const wanted = Math.min(quick ? 600 : 2000, bySize, inTime)
  return Math.max(wanted, inFlight > 64 ? inFlight : 2 * inFlight)
}

/**
 * A program that has just been loaded is compiled while it runs: all of them get time for that, which is more messages
 * where a message is small.
 */
export function warmUpOf({ size, inFlight }, count, latency) {
  const bySize = latency > 0 ? 0 : Math.min(1500, Math.ceil(150 * (MB / size)))
  return Math.max(Math.min(inFlight, count), Math.ceil(count / 2), bySize)
}

const sizeName = (size) => (size < MB ? `${size / KB} KB` : `${size / MB} MB`)

export const nameOf = ({ kind, way, from, size, inFlight }) =>
  `${kind}, ${way}${from === 'disk' ? ' from disk' : ''} ${sizeName(size)}, ${inFlight} in flight`

// ---- Goals ----------------------------------------------------------------------------------------------

const at = (way, from, low, high, goals, also = {}) => ({ way, from, low, high, goals, ...also })
const ratio = (column, most, by = 'core') => ({ column, most, by, isRatio: true })
const rate = (least) => ({ column: 'perSecond', least, by: 'core', isRatio: true })
const absolute = (column, most) => ({ column, most })
const beside = (column, extra) => ({ column, extra, by: 'core' })

const ANY = [0, Infinity]
const LIMIT = 'lean + sha256'
const KEPT_ALIVE = [1, 8].flatMap((inFlight) =>
  [
    ['embed', 'memory'],
    ['upload', 'memory'],
    ['upload', 'disk'],
  ].map(([way, from]) => at(way, from, ...ANY, [absolute('connections', inFlight)], { inFlight })),
)

/** For cells of a way, a source, a range of sizes, and where it is said, a number in flight. */
export const GOALS = [
  at('embed', 'memory', 50 * KB, 50 * KB, [ratio('cpuMs', 0.4), rate(2.5)]),
  at('embed', 'memory', 200 * KB, MB, [ratio('cpuMs', 0.25)]),
  at('embed', 'memory', 10 * MB, 10 * MB, [ratio('cpuMs', 0.1)]),
  at('upload', 'memory', 0, MB, [ratio('cpuMs', 0.45)]),
  at('upload', 'memory', 10 * MB, Infinity, [ratio('cpuMs', 1.15, LIMIT)]),
  at('upload', 'disk', MB, MB, [ratio('cpuMs', 0.3)]),
  at('upload', 'disk', 10 * MB, Infinity, [ratio('cpuMs', 0.17)]),
  at('embed', 'memory', 50 * KB, 200 * KB, [ratio('peakMb', 0.6), ratio('delayMaxMs', 1)]),
  at('embed', 'memory', MB, MB, [ratio('peakMb', 0.3), ratio('delayMaxMs', 0.25)]),
  at('embed', 'memory', 10 * MB, 10 * MB, [ratio('delayMaxMs', 0.1), absolute('delayMaxMs', 30)]),
  at('embed', 'memory', 10 * MB, 10 * MB, [ratio('peakMb', 0.15)], { inFlight: 8 }),
  at('upload', 'memory', 200 * KB, MB, [beside('peakMb', 20), ratio('delayMaxMs', 1)]),
  at('upload', 'memory', 10 * MB, 30 * MB, [beside('peakMb', 45), ratio('delayMaxMs', 1)]),
  at('upload', 'disk', MB, MB, [ratio('peakMb', 0.5), ratio('delayMaxMs', 1)]),
  at('upload', 'disk', 10 * MB, 30 * MB, [ratio('delayMaxMs', 0.4)]),
  at('upload', 'disk', 10 * MB, 30 * MB, [ratio('peakMb', 0.5)], { inFlight: 1 }),
  at('upload', 'disk', 10 * MB, 30 * MB, [ratio('peakMb', 0.15)], { inFlight: 8 }),
  at('upload', 'disk', ...ANY, [absolute('growthMb', 15)]),
  at('embed', 'disk', ...ANY, [absolute('growthMb', 15)]),
  ...KEPT_ALIVE,
]

export const TLS_GOALS = [
  at('embed', 'memory', ...ANY, [ratio('cpuMs', 0.35)]),
  at('embed', 'disk', ...ANY, [ratio('cpuMs', 0.35)]),
  at('upload', 'disk', 30 * MB, 30 * MB, [ratio('cpuMs', 0.35)]),
  at('upload', 'memory', 10 * MB, Infinity, [ratio('cpuMs', 1.15, LIMIT)]),
  at('upload', 'memory', 30 * MB, 30 * MB, [ratio('peakMb', 0.35), ratio('delayMaxMs', 0.1)], {
    inFlight: 8,
  }),
  at('upload', 'disk', ...ANY, [absolute('growthMb', 15)]),
  ...KEPT_ALIVE,
]

/** Nothing in the process waits longer, however many are in flight. */
export const CROWD_GOALS = [absolute('delayMaxMs', 30)]

/** Cells whose growth has to be the same, within so many MB. */
export const SAME_GROWTH = {
  withinMb: 10,
  cells: [
    { kind: 'note', way: 'upload', from: 'disk', size: MB, inFlight: 8 },
    { kind: 'note', way: 'upload', from: 'disk', size: 30 * MB, inFlight: 8 },
    { kind: 'note', way: 'embed', from: 'memory', size: 10 * MB, inFlight: 8 },
  ],
}

/** What the package may add to the start of Node-RED when no flow has a node of it. */
export const START_UP = { ms: 60, mb: 10 }

/** How much longer than the tenth message the first after a deploy may take. */
export const FIRST_MS = 40
