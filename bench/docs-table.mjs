// The table of docs/performance.md: some cells of the results, core nodes beside ours.
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { format, resolveConfig } from 'prettier'
import { nameOf } from './cells.mjs'

/** @typedef {import('./report.mjs').Row} Row */
/** @typedef {import('./report.mjs').Results} Results */
/** @typedef {import('./cells.mjs').Column} Column */

const PAGE = path.join(import.meta.dirname, '../docs/performance.md')
const [BEGIN, END] = ['<!-- written by npm run bench -->', '<!-- end -->']
/** Cells that the page shows beside the worst one. */
const SHOWN = [
  ...['50 KB', '200 KB', '1 MB', '10 MB'].map((size) => `note, embed ${size}`),
  ...['200 KB', '1 MB', '10 MB', '30 MB'].map((size) => `note, upload ${size}`),
  ...['1 MB', '10 MB', '30 MB'].map((size) => `note, upload from disk ${size}`),
  ...['embed 50 KB', 'embed 1 MB', 'upload 200 KB', 'upload 1 MB', 'upload from disk 1 MB'].map(
    (cell) => `report, ${cell}`,
  ),
].map((name) => `${name}, 8 in flight`)
const HEAD = [
  '8 at once',
  'CPU per message, ms',
  '× core',
  'messages per second',
  'peak memory, MB',
  'longest stall, ms',
  'CPU of the limit, ms',
]

/**
 * Writes the table to docs/performance.md.
 * @param {Results} results of all cells, over HTTP
 * @throws if the page has no place for the table
 */
export async function writeDocsTable(results) {
  const page = await readFile(PAGE, 'utf8')
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error(`${PAGE} has no place for the table`)
  const text = `${page.slice(0, begin)}${BEGIN}\n\n${tableOf(results)}\n\n${page.slice(end)}`
  await writeFile(PAGE, await format(text, { ...(await resolveConfig(PAGE)), parser: 'markdown' }))
}

/** @param {Results} results */
function tableOf({ rows, versions, command }) {
  const times = (/** @type {Row} */ { ours, core }) => ours.cpuMs / (core?.cpuMs ?? NaN)
  const worst = rows.reduce((most, row) => (times(row) > times(most) ? row : most))
  const shown = rows.filter((row) => row === worst || SHOWN.includes(nameOf(row.cell)))
  const lines = shown.map((row) => [
    `${nameOf(row.cell).replace(', 8 in flight', '')}${row === worst ? ' (worst)' : ''}`,
    pair(row, 'cpuMs'),
    times(row).toFixed(2),
    .../** @type {Column[]} */ (['perSecond', 'peakMb', 'delayMaxMs']).map((column) => pair(row, column)),
    short(row['lean + sha256']?.cpuMs ?? NaN),
  ])
  const table = [HEAD, HEAD.map(() => '---'), ...lines].map((line) => `| ${line.join(' | ')} |`).join('\n')
  const { date, Node, processors } = versions
  return `${table}\n\nThe worst of all cells beside the core nodes is at ${times(worst).toFixed(2)} times their CPU. Measured with \`${command}\` on ${date}, Node ${Node}, ${processors} processors.`
}

/**
 * @param {Row} row
 * @param {Column} column
 */
const pair = ({ ours, core }, column) => `${short(core?.[column] ?? NaN)} → **${short(ours[column])}**`

/** @param {number} value */
const short = (value) => (value >= 10 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(2))
