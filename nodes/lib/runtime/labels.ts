import { readFileSync } from 'node:fs'
import path from 'node:path'

const CATALOGUE = path.join(__dirname, '../../redox-config/locales/en-US/redox-config.json')

let labels: Record<string, string> | undefined

/**
 * Returns the name of a node's property for error texts: its English label without the unit and without Redox's term
 * (the label `Birth date · DOB` becomes `Birth date`). A property without a label keeps its own name.
 */
export function labelOf(name: string): string {
  labels ??= (JSON.parse(readFileSync(CATALOGUE, 'utf8')) as { redox: { label: Record<string, string> } })
    .redox.label
  const label = Object.hasOwn(labels, name) ? labels[name] : undefined
  return label === undefined ? name : (label.split(' · ')[0] ?? '').replace(/ \([^)]*\)$/, '')
}
