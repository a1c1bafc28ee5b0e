import { readFileSync } from 'node:fs'
import path from 'node:path'

const CATALOGUE = path.join(__dirname, '../../redox-config/locales/en-US/redox-config.json')

let labels: Record<string, string> | undefined

/**
 * What a property of a node is called in error texts: the plain words of its label in the English catalogue, without
 * its unit and without Redox's own name (a label is `Birth date · DOB`). A name without a label is its own.
 */
export function labelOf(name: string): string {
  labels ??= (JSON.parse(readFileSync(CATALOGUE, 'utf8')) as { redox: { label: Record<string, string> } })
    .redox.label
  const label = Object.hasOwn(labels, name) ? labels[name] : undefined
  return label === undefined ? name : (label.split(' · ')[0] ?? '').replace(/ \([^)]*\)$/, '')
}
