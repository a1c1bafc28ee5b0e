// What is measured, and what it should come to (design/PERFORMANCE and issue 5 of the project's plan).
const KB = 1000
const MB = 1_000_000

export const CONTESTANTS = ['ours', 'core', 'raw', 'lean']

const IN_FLIGHT = { small: [1, 8, 64], large: [1, 8] }

const cells = (way, from, sizes) =>
  sizes.flatMap((size) =>
    IN_FLIGHT[size <= MB ? 'small' : 'large'].map((inFlight) => ({ way, from, size, inFlight })),
  )

export const CELLS = [
  ...cells('embed', 'memory', [50 * KB, 200 * KB, MB, 10 * MB]),
  ...cells('upload', 'memory', [200 * KB, MB, 10 * MB, 30 * MB]),
  ...cells('upload', 'disk', [MB, 10 * MB, 30 * MB]),
  ...cells('embed', 'disk', [10 * MB]),
]

/** What the core nodes have not enough memory for: ours alone. */
export const CROWDS = [
  { way: 'embed', from: 'memory', size: 10 * MB, inFlight: 64 },
  { way: 'upload', from: 'memory', size: 30 * MB, inFlight: 64 },
  { way: 'upload', from: 'disk', size: 30 * MB, inFlight: 64 },
]

/** How the cost of ours grows: with the file's size, and with the messages that wait for 8 at once. */
export const CURVES = {
  size: [
    ...['embed', 'upload'].map((way) => ({ way, from: 'memory' })),
    { way: 'upload', from: 'disk' },
  ].flatMap(({ way, from }) =>
    [50 * KB, 200 * KB, MB, 3 * MB, 10 * MB, ...(way === 'embed' ? [14 * MB] : [20 * MB, 30 * MB])].map(
      (size) => ({ way, from, size, inFlight: 8 }),
    ),
  ),
  waiting: [1, 10, 100, 1000, 2500, 5000, 7500, 10_000].map((inFlight) => ({
    ...{ way: 'embed', from: 'memory', size: 50 * KB },
    ...{ inFlight, sendsAtOnce: 8 },
  })),
}

/**
 * Enough messages to be measured, and not so many that nobody waits for it.
 * @param latency milliseconds that the server lets each wait
 */
export function countOf({ size, inFlight }, { quick, latency }) {
  const bySize = Math.ceil((quick ? 120 : 300) * (MB / size))
  const inTime = latency > 0 ? Math.ceil(inFlight * (3000 / latency)) : Infinity
  const wanted = Math.min(quick ? 600 : 2000, bySize, inTime)
  return Math.max(wanted, inFlight > 64 ? inFlight : 2 * inFlight)
}

/** A program that has just been loaded is compiled while it runs: all of them get time for that. */
export const warmUpOf = ({ inFlight }, count) => Math.max(Math.min(inFlight, count), Math.ceil(count / 2))

const sizeName = (size) => (size < MB ? `${size / KB} KB` : `${size / MB} MB`)

export const nameOf = ({ way, from, size, inFlight }) =>
  `${way}${from === 'disk' ? ' from disk' : ''} ${sizeName(size)}, ${inFlight} in flight`

// ---- Goals ----------------------------------------------------------------------------------------------

const at = (way, from, low, high, goals, also = {}) => ({ way, from, low, high, goals, ...also })
const ratio = (column, most, by = 'core') => ({ column, most, by, isRatio: true })
const rate = (least) => ({ column: 'perSecond', least, by: 'core', isRatio: true })
const absolute = (column, most) => ({ column, most })
const beside = (column, extra) => ({ column, extra, by: 'core' })

const ANY = [0, Infinity]
// Beside the leanest body for that way, which knows the file's sha256 too: see raw.mjs.
const BESIDE_LEAN = [
  at('embed', 'memory', 50 * KB, 200 * KB, [ratio('cpuMs', 2.5, 'lean')]),
  at('embed', 'memory', MB, Infinity, [ratio('cpuMs', 1.5, 'lean')]),
  at('embed', 'disk', ...ANY, [ratio('cpuMs', 1.5, 'lean')]),
  at('upload', 'memory', 200 * KB, 200 * KB, [ratio('cpuMs', 2.5, 'lean')]),
  at('upload', 'memory', 10 * MB, Infinity, [ratio('cpuMs', 1.5, 'lean')]),
  at('upload', 'disk', 10 * MB, Infinity, [ratio('cpuMs', 1.5, 'lean')]),
]
const KEPT_ALIVE = [
  at('embed', 'memory', ...ANY, [absolute('connections', 1)], { inFlight: 1 }),
  at('upload', 'memory', ...ANY, [absolute('connections', 1)], { inFlight: 1 }),
  at('upload', 'disk', ...ANY, [absolute('connections', 1)], { inFlight: 1 }),
]

/** For cells of a way, a source, a range of sizes, and where it is said, a number in flight. */
export const GOALS = [
  at('embed', 'memory', 50 * KB, 200 * KB, [
    ...[ratio('cpuMs', 0.45), rate(2.5), ratio('peakMb', 0.6), ratio('delayMaxMs', 1)],
  ]),
  at('embed', 'memory', MB, MB, [
    ...[ratio('cpuMs', 0.25), rate(4), ratio('peakMb', 0.3), ratio('delayMaxMs', 0.25)],
  ]),
  at('embed', 'memory', 10 * MB, 10 * MB, [
    ...[ratio('cpuMs', 0.2), rate(4), ratio('delayMaxMs', 0.1), absolute('delayMaxMs', 30)],
  ]),
  at('embed', 'memory', 10 * MB, 10 * MB, [ratio('peakMb', 0.15)], { inFlight: 8 }),
  at('upload', 'memory', 200 * KB, MB, [
    ...[ratio('cpuMs', 0.4), rate(2.3), beside('peakMb', 20), ratio('delayMaxMs', 1)],
  ]),
  at('upload', 'memory', 10 * MB, 30 * MB, [
    ...[ratio('cpuMs', 0.85), rate(1), beside('peakMb', 45), ratio('delayMaxMs', 1)],
  ]),
  at('upload', 'disk', MB, MB, [
    ...[ratio('cpuMs', 0.35), rate(2.5), ratio('peakMb', 0.5), ratio('delayMaxMs', 1)],
  ]),
  at('upload', 'disk', 10 * MB, 30 * MB, [ratio('cpuMs', 0.25), rate(3.5), ratio('delayMaxMs', 0.4)]),
  at('upload', 'disk', 10 * MB, 30 * MB, [ratio('peakMb', 0.5)], { inFlight: 1 }),
  at('upload', 'disk', 10 * MB, 30 * MB, [ratio('peakMb', 0.15)], { inFlight: 8 }),
  at('upload', 'disk', ...ANY, [absolute('growthMb', 15)]),
  at('embed', 'disk', ...ANY, [absolute('growthMb', 15)]),
  ...BESIDE_LEAN,
  ...KEPT_ALIVE,
]

export const TLS_GOALS = [
  at('embed', 'memory', ...ANY, [ratio('cpuMs', 0.35)]),
  at('embed', 'disk', ...ANY, [ratio('cpuMs', 0.35)]),
  at('upload', 'disk', 30 * MB, 30 * MB, [ratio('cpuMs', 0.35)]),
  at('upload', 'memory', 10 * MB, 10 * MB, [ratio('cpuMs', 0.85)]),
  at('upload', 'memory', 30 * MB, 30 * MB, [ratio('cpuMs', 1.2)]),
  at('upload', 'memory', 30 * MB, 30 * MB, [ratio('peakMb', 0.35), ratio('delayMaxMs', 0.1)], {
    inFlight: 8,
  }),
  at('upload', 'disk', ...ANY, [absolute('growthMb', 15)]),
  ...BESIDE_LEAN,
  ...KEPT_ALIVE,
]

/** Nobody in the process waits longer, however many are in flight. */
export const CROWD_GOALS = [absolute('delayMaxMs', 30)]

/** Cells whose growth has to be the same, within so many MB. */
export const SAME_GROWTH = {
  withinMb: 10,
  cells: [
    { way: 'upload', from: 'disk', size: MB, inFlight: 8 },
    { way: 'upload', from: 'disk', size: 30 * MB, inFlight: 8 },
    { way: 'embed', from: 'memory', size: 10 * MB, inFlight: 8 },
  ],
}

/** What the package may add to the start of Node-RED when no flow has a node of it. */
export const START_UP = { ms: 60, mb: 10 }
