/** Questions to a table of fields that only the runtime asks: which place of a message belongs to which field. */
import { SETTERS } from '../../../src/message/setters'
import type { Table, TypedField } from './types'

export const typedFields = ({ fields }: Table): TypedField[] =>
  fields.filter((field) => field.kind === 'typed')

/** Returns the path of the message that a field fills; undefined for a field that fills none. */
export const pathOf = ({ path, set }: TypedField): string | undefined =>
  set === undefined ? path : SETTERS[set]

// ---- Fields by path of a message ------------------------------------------------------------------------

const places = new WeakMap<Table, ReadonlyMap<string, string>>()

const withoutIndexes = (path: string): string => path.replace(/\[\d+\]/g, '')

function placesOf(table: Table): ReadonlyMap<string, string> {
  const known = places.get(table)
  if (known) return known
  const found = new Map(
    table.fields.flatMap((field) => {
      const filled = field.kind === 'typed' ? pathOf(field) : undefined
      const all = [...(filled === undefined ? [] : [withoutIndexes(filled)]), ...(field.problemsAt ?? [])]
      return all.map((place) => [place, field.name] as const)
    }),
  )
  places.set(table, found)
  return found
}

/** Main resource types of FHIR operations, which paths in a table call `main`. */
const MAIN = new Set(['DiagnosticReport', 'Observation', 'DocumentReference'])

/** Path of a problem in a FHIR resource, e.g. `entry[1].resource.status (Observation)`. */
const IN_RESOURCE = /^entry\[\d+\]\.resource\.(.+) \((\w+)\)$/

/** Returns the name of the field that fills a path of a message; undefined if there is none. */
export function fieldAt(table: Table, path: string): string | undefined {
  const [, rest, type = ''] = IN_RESOURCE.exec(path) ?? []
  const whole = withoutIndexes(rest === undefined ? path : `${MAIN.has(type) ? 'main' : type}.${rest}`)
  const [first = '', ...others] = whole.split('.')
  return placesOf(table).get(MAIN.has(first) ? ['main', ...others].join('.') : whole)
}
