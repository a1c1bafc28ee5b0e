import { readFileSync } from 'node:fs'
import path from 'node:path'
import type { CheckRun } from './check-run'
import type { Advice, Finding } from './findings'

/** Line of the terminal for a row of the table. */
export const lineOf = ({ what, result, detail }: Finding): string =>
  `  ${MARKS[result].padEnd(8)} ${what.padEnd(60)} ${detail}`

const MARKS: Record<Finding['result'], string> = {
  works: 'works',
  refused: 'refused',
  unclear: 'unclear',
  'not run': 'not run',
  seen: 'seen',
}

/** Text for the terminal: the settings to make, and what was not found out. */
export function summaryOf({ rows, advice }: CheckRun): string {
  const counts = ['works', 'refused', 'unclear', 'not run'].map(
    (result) => `${rows.filter((row) => row.result === result).length} ${result}`,
  )
  const lines = advice.map(({ node, field, value }) => `  ${node}: ${field} = ${value}`)
  const settings = lines.length > 0 ? lines : [`  ${NO_ADVICE}`]
  return [counts.join(', '), '', 'Settings to make', ...settings].join('\n')
}

const NO_ADVICE = 'None. Nothing that was found needs a value other than the default.'

/** Report in Markdown, without secrets, identifiers and patient data. */
export function reportOf(run: CheckRun): string {
  const { rows, advice, settings, proof } = run
  const keys = [settings.oauth && 'OAuth', settings.legacy && 'legacy'].filter(Boolean).join(' and ')
  return [
    '# Report of redox-check',
    '',
    'This report has no secrets, identifiers or patient data. Attach it to an issue of node-red-redox as it is.',
    '',
    ...[`- Package: ${version()}, Node.js ${process.version}, ${process.platform}`, `- Key: ${keys}`],
    `- Environment: ${settings.environment}${proof === undefined ? '' : `, proven by ${proof}`}`,
    `- Hosts: ${hostsOf(run)}`,
    ...(['', '## Results', '', '| step | tried | result | detail |', '| --- | --- | --- | --- |'] as const),
    ...rows.map((row) => `| ${[row.step, row.what, row.result, row.detail].map(cell).join(' | ')} |`),
    ...['', '## Settings to make', '', ...adviceLines(advice)],
    '',
  ].join('\n')
}

const adviceLines = (advice: Advice[]): string[] =>
  advice.length === 0
    ? [NO_ADVICE]
    : [
        ...['| node | field | value |', '| --- | --- | --- |'],
        ...advice.map(({ node, field, value }) => `| ${[node, field, value].map(cell).join(' | ')} |`),
      ]

const cell = (text: string): string => text.replace(/[|\\<>`]/g, '\\$&')

/** Kind of the hosts. Names of hosts outside Redox may name an organization. */
function hostsOf({ settings: { hosts } }: CheckRun): string {
  const { hostname } = new URL(hosts.apiBase)
  if (hostname === 'api.redoxengine.com') return 'Redox, US'
  return hostname === 'api.ca.redoxengine.com' ? 'Redox, Canada' : 'others'
}

function version(): string {
  const file = path.join(__dirname, '../../../package.json')
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}
