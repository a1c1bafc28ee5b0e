// The cells (combinations of message kind, file size and concurrency) that are measured, and their goals
// (docs/design/performance.md).

/**
 * Types of a measurement. A contestant is a sender that the benchmark compares: our nodes (`ours`), Node-RED's core
 * nodes (`core`), undici alone (`raw`, `lean`), or our nodes in another checkout (`before`).
 * @typedef {'note' | 'media' | 'report' | 'observation' | 'document'} Kind of a message
 * @typedef {'embed' | 'upload'} Way
 * @typedef {'memory' | 'disk'} Source of the file
 * @typedef {{ kind: Kind, way: Way, from: Source }} CellForm
 * @typedef {CellForm & { size: number, inFlight: number, sendsAtOnce?: number }} Cell `size` in bytes
 * @typedef {Cell & { count: number, warmUpMs: number }} SizedCell with the number of messages that are measured
 * @typedef {'ours' | 'before' | 'core' | 'raw' | 'lean' | 'lean + sha256'} Contestant
 * @typedef {keyof typeof import('./report.mjs').COLUMNS} Column
 */

/**
 * Limit for a figure of our nodes: `most` or `least` is an absolute limit, or a ratio to the figure of the contestant
 * `by`; with `extra`, the figure may exceed that of `by` by this amount.
 * @typedef {object} Goal
 * @property {Column} column
 * @property {number} [most]
 * @property {number} [least]
 * @property {number} [extra]
 * @property {Contestant} [by]
 * @property {boolean} [isRatio]
 *
 * @typedef {[low: number, high: number]} Sizes in bytes, both included
 * @typedef {{ way: Way, from: Source, sizes: Sizes, goals: Goal[], inFlight?: number }} GoalsOfCells
 */

const KB = 1000
const MB = 1_000_000

/** @type {Contestant[]} */
export const CONTESTANTS = ['ours', 'before', 'core', 'raw', 'lean', 'lean + sha256']

const IN_FLIGHT = { small: [1, 8, 64], large: [1, 8] }
const eight = () => [8]

/**
 * @param {(size: number) => number[]} inFlightOf
 * @param {CellForm} form
 * @param {number[]} sizes
 * @returns {Cell[]}
 */
const cells = (inFlightOf, form, sizes) =>
  sizes.flatMap((size) => inFlightOf(size).map((inFlight) => ({ ...form, size, inFlight })))

/**
 * @param {Kind} kind
 * @param {(size: number) => number[]} inFlightOf
 */
const cellsOf = (kind, inFlightOf) => [
  ...cells(inFlightOf, { kind, way: 'embed', from: 'memory' }, [50 * KB, 200 * KB, MB, 10 * MB]),
  ...cells(inFlightOf, { kind, way: 'upload', from: 'memory' }, [200 * KB, MB, 10 * MB, 30 * MB]),
  ...cells(inFlightOf, { kind, way: 'upload', from: 'disk' }, [MB, 10 * MB, 30 * MB]),
  ...cells(inFlightOf, { kind, way: 'embed', from: 'disk' }, [10 * MB]),
]

/**
 * Cells for each API and way: the file embedded in the message, or an upload followed by the message that refers to it.
 * A Notes message represents the Data Model API, and a DiagnosticReport represents FHIR. The smallest cell shows the
 * cost that the other message kinds add.
 */
export const CELLS = [
  ...cellsOf('note', (size) => IN_FLIGHT[size <= MB ? 'small' : 'large']),
  ...cellsOf('report', eight),
  .../** @type {const} */ (['media', 'observation', 'document']).flatMap((kind) =>
    cells(eight, { kind, way: 'embed', from: 'memory' }, [50 * KB]),
  ),
]

/**
 * Cells that only our nodes run, because the core nodes run out of memory.
 * @type {Cell[]}
 */
export const CROWDS = [
  { kind: 'note', way: 'embed', from: 'memory', size: 10 * MB, inFlight: 64 },
  { kind: 'note', way: 'upload', from: 'memory', size: 30 * MB, inFlight: 64 },
  { kind: 'note', way: 'upload', from: 'disk', size: 30 * MB, inFlight: 64 },
]

/**
 * Cells for curves that show how the cost of our nodes grows: with the file size, and with the number of messages that
 * wait while 8 are sent at once.
 * @type {{ size: Cell[], waiting: Cell[] }}
 */
export const CURVES = {
  size: /** @type {CellForm[]} */ ([
    { kind: 'note', way: 'embed', from: 'memory' },
    { kind: 'note', way: 'upload', from: 'memory' },
    { kind: 'note', way: 'upload', from: 'disk' },
  ]).flatMap((form) =>
    cells(eight, form, [
      ...[50 * KB, 200 * KB, MB, 3 * MB, 10 * MB],
      ...(form.way === 'embed' ? [14 * MB] : [20 * MB, 30 * MB]),
    ]),
  ),
  waiting: [1, 10, 100, 1000, 2500, 5000, 7500, 10_000].map((inFlight) => ({
    kind: 'note',
    way: 'embed',
    from: 'memory',
    size: 50 * KB,
    inFlight,
    sendsAtOnce: 8,
  })),
}

/**
 * Cells that compare the time of the first message after a deploy with that of the tenth.
 * @type {Cell[]}
 */
export const FIRST = [
  { kind: 'note', way: 'embed', from: 'memory', size: 50 * KB, inFlight: 1 },
  { kind: 'report', way: 'upload', from: 'memory', size: 200 * KB, inFlight: 1 },
]
export const FIRST_COUNT = 10

/**
 * Returns the number of messages of a cell: enough for a measurement, but not so many that the run takes hours.
 * @param {Cell} cell
 * @param {{ quick: boolean, latency: number }} options `latency`: milliseconds by which the server delays each answer
 */
export function countOf({ size, inFlight }, { quick, latency }) {
  const bySize = Math.ceil((quick ? 120 : 300) * (MB / size))
  const inTime = latency > 0 ? Math.ceil(inFlight * (3000 / latency)) : Infinity
  const wanted = Math.min(quick ? 2000 : 6000, bySize, inTime)
  return Math.max(wanted, inFlight > 64 ? inFlight : 2 * inFlight)
}

/**
 * Milliseconds of the warm-up, during which V8 compiles the code. After 1500 small messages it is still compiling, and a
 * message costs twice the CPU time that it costs later.
 */
export const WARM_UP_MS = 3000

/** @param {number} size size in bytes */
const sizeName = (size) => (size < MB ? `${size / KB} KB` : `${size / MB} MB`)

/** @param {Cell} cell */
export const nameOf = ({ kind, way, from, size, inFlight }) =>
  `${kind}, ${way}${from === 'disk' ? ' from disk' : ''} ${sizeName(size)}, ${inFlight} in flight`

// ---- Goals ----------------------------------------------------------------------------------------------

/**
 * Returns goals for all cells of one way, one file source and a range of sizes.
 * @param {Way} way
 * @param {Source} from
 * @param {Sizes} sizes
 * @param {Goal[]} goals
 * @returns {GoalsOfCells}
 */
const at = (way, from, sizes, goals) => ({ way, from, sizes, goals })
/** @type {(column: Column, most: number, by?: Contestant) => Goal} */
const ratio = (column, most, by = 'core') => ({ column, most, by, isRatio: true })
/** @type {(least: number) => Goal} */
const rate = (least) => ({ column: 'perSecond', least, by: 'core', isRatio: true })
/** @type {(column: Column, most: number) => Goal} */
const absolute = (column, most) => ({ column, most })
/** @type {(column: Column, extra: number) => Goal} */
const beside = (column, extra) => ({ column, extra, by: 'core' })

/** @type {Sizes} */
const ANY = [0, Infinity]
/** @type {Contestant} */
const LIMIT = 'lean + sha256'
const KEPT_ALIVE = [1, 8].flatMap((inFlight) => {
  const goals = [absolute('connections', inFlight)]
  return [
    at('embed', 'memory', ANY, goals),
    at('upload', 'memory', ANY, goals),
    at('upload', 'disk', ANY, goals),
  ].map((one) => ({ ...one, inFlight }))
})

/**
 * Goals over HTTP.
 * @type {GoalsOfCells[]}
 */
export const GOALS = [
  at('embed', 'memory', [50 * KB, 50 * KB], [ratio('cpuMs', 0.4), rate(2.5)]),
  at('embed', 'memory', [200 * KB, MB], [ratio('cpuMs', 0.25)]),
  at('embed', 'memory', [10 * MB, 10 * MB], [ratio('cpuMs', 0.1)]),
  at('upload', 'memory', [0, MB], [ratio('cpuMs', 0.45)]),
  at('upload', 'memory', [10 * MB, Infinity], [ratio('cpuMs', 1.15, LIMIT)]),
  at('upload', 'disk', [MB, MB], [ratio('cpuMs', 0.3)]),
  at('upload', 'disk', [10 * MB, Infinity], [ratio('cpuMs', 0.17)]),
  at('embed', 'memory', [50 * KB, 200 * KB], [ratio('peakMb', 0.6), ratio('delayMaxMs', 1)]),
  at('embed', 'memory', [MB, MB], [ratio('peakMb', 0.3), ratio('delayMaxMs', 0.25)]),
  at('embed', 'memory', [10 * MB, 10 * MB], [ratio('delayMaxMs', 0.1), absolute('delayMaxMs', 30)]),
  { ...at('embed', 'memory', [10 * MB, 10 * MB], [ratio('peakMb', 0.15)]), inFlight: 8 },
  at('upload', 'memory', [200 * KB, MB], [beside('peakMb', 20), ratio('delayMaxMs', 1)]),
  at('upload', 'memory', [10 * MB, 30 * MB], [beside('peakMb', 45), ratio('delayMaxMs', 1)]),
  at('upload', 'disk', [MB, MB], [ratio('peakMb', 0.5), ratio('delayMaxMs', 1)]),
  at('upload', 'disk', [10 * MB, 30 * MB], [ratio('delayMaxMs', 0.4)]),
  { ...at('upload', 'disk', [10 * MB, 30 * MB], [ratio('peakMb', 0.5)]), inFlight: 1 },
  { ...at('upload', 'disk', [10 * MB, 30 * MB], [ratio('peakMb', 0.15)]), inFlight: 8 },
  at('upload', 'disk', ANY, [absolute('growthMb', 15)]),
  at('embed', 'disk', ANY, [absolute('growthMb', 15)]),
  ...KEPT_ALIVE,
]

/**
 * Goals over TLS.
 * @type {GoalsOfCells[]}
 */
export const TLS_GOALS = [
  at('embed', 'memory', ANY, [ratio('cpuMs', 0.35)]),
  at('embed', 'disk', ANY, [ratio('cpuMs', 0.35)]),
  at('upload', 'disk', [30 * MB, 30 * MB], [ratio('cpuMs', 0.35)]),
  at('upload', 'memory', [10 * MB, Infinity], [ratio('cpuMs', 1.15, LIMIT)]),
  {
    ...at('upload', 'memory', [30 * MB, 30 * MB], [ratio('peakMb', 0.35), ratio('delayMaxMs', 0.1)]),
    inFlight: 8,
  },
  at('upload', 'disk', ANY, [absolute('growthMb', 15)]),
  ...KEPT_ALIVE,
]

/** Limit for the longest time that the event loop is blocked, however many messages are in flight. */
export const CROWD_GOALS = [absolute('delayMaxMs', 30)]

/**
 * Cells whose memory growth may differ by at most `withinMb` MB.
 * @type {{ withinMb: number, cells: Cell[] }}
 */
export const SAME_GROWTH = {
  withinMb: 10,
  cells: [
    { kind: 'note', way: 'upload', from: 'disk', size: MB, inFlight: 8 },
    { kind: 'note', way: 'upload', from: 'disk', size: 30 * MB, inFlight: 8 },
    { kind: 'note', way: 'embed', from: 'memory', size: 10 * MB, inFlight: 8 },
  ],
}

/**
 * Limits for the time and memory that the package adds to the start of Node-RED when no flow contains a node of the
 * package.
 */
export const START_UP = { ms: 60, mb: 10 }

/** Limit for the additional time of the first message after a deploy, compared with the tenth. */
export const FIRST_MS = 40
