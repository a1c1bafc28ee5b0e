// What is measured, and what it should come to (design/PERFORMANCE and issue 5 of the project's plan).
const KB = 1000
const MB = 1_000_000

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
export const QUICK = CELLS.filter(({ inFlight }) => inFlight === 8)

/** Enough of them to be measured, and not so many that nobody waits for it. */
export function countOf({ size, inFlight }, isQuick) {
  const wanted = Math.min(isQuick ? 400 : 1500, Math.ceil((isQuick ? 120 : 400) * (MB / size)))
  return Math.max(wanted, 2 * inFlight)
}

export const nameOf = ({ way, from, size, inFlight }) =>
  `${way}${from === 'disk' ? ' from disk' : ''} ${size < MB ? `${size / KB} KB` : `${size / MB} MB`}, ${inFlight} in flight`

const at = (way, from, low, high, goals) => ({ way, from, low, high, goals })
const ratio = (column, most, by = 'core') => ({ column, most, by, isRatio: true })
const rate = (least) => ({ column: 'perSecond', least, by: 'core', isRatio: true })
const absolute = (column, most) => ({ column, most })
const beside = (column, extra) => ({ column, extra, by: 'core' })

/** The table of goals: for cells of a way, a source and a range of sizes. */
export const GOALS = [
  at('embed', 'memory', 50 * KB, 200 * KB, [
    ratio('cpuMs', 0.45),
    rate(2.5),
    ratio('peakMb', 0.6),
    ratio('delayMaxMs', 1),
  ]),
  at('embed', 'memory', MB, MB, [
    ratio('cpuMs', 0.25),
    rate(4),
    ratio('peakMb', 0.3),
    ratio('delayMaxMs', 0.25),
  ]),
  at('embed', 'memory', 10 * MB, 10 * MB, [
    ratio('cpuMs', 0.2),
    rate(4),
    ratio('peakMb', 0.15),
    ratio('delayMaxMs', 0.1),
    absolute('delayMaxMs', 30),
  ]),
  at('upload', 'memory', 200 * KB, MB, [
    ratio('cpuMs', 0.4),
    rate(2.3),
    beside('peakMb', 20),
    ratio('delayMaxMs', 1),
  ]),
  at('upload', 'memory', 10 * MB, 30 * MB, [
    ratio('cpuMs', 0.85),
    rate(1),
    beside('peakMb', 45),
    ratio('delayMaxMs', 1),
  ]),
  at('upload', 'disk', MB, MB, [
    ratio('cpuMs', 0.35),
    rate(2.5),
    ratio('peakMb', 0.5),
    ratio('delayMaxMs', 1),
  ]),
  at('upload', 'disk', 10 * MB, 30 * MB, [
    ratio('cpuMs', 0.25),
    rate(3.5),
    ratio('peakMb', 0.5),
    ratio('delayMaxMs', 0.4),
    absolute('growthMb', 15),
  ]),
  at('embed', 'disk', 10 * MB, 10 * MB, [absolute('growthMb', 15)]),
  at('embed', 'memory', MB, 10 * MB, [ratio('cpuMs', 1.5, 'lean')]),
  at('upload', 'memory', 10 * MB, 30 * MB, [ratio('cpuMs', 1.5, 'lean')]),
  at('upload', 'disk', 10 * MB, 30 * MB, [ratio('cpuMs', 1.5, 'lean')]),
  at('embed', 'memory', 50 * KB, 200 * KB, [ratio('cpuMs', 2.5, 'lean')]),
  at('upload', 'memory', 200 * KB, 200 * KB, [ratio('cpuMs', 2.5, 'lean')]),
]
