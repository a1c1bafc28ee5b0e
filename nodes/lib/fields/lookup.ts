/** Functions, used only by the runtime, that relate the paths in a message to the fields that fill them. */
import { SETTERS } from '../../../src/message/setters'
import type { Table, TypedField } from './types'

export const typedFields = ({ fields }: Table): TypedField[] =>
  fields.filter((field) => field.kind === 'typed')

/** Returns the path in the message that a typed input fills; undefined for an input that fills no path. */
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

/**
 * Types of the main resources of FHIR operations. Paths in a table of fields contain `main` in place of these types.
 */
const MAIN = new Set(['DiagnosticReport', 'Observation', 'DocumentReference'])

/** Pattern for the path of a problem in a FHIR resource, e.g. `entry[1].resource.status (Observation)`. */
const IN_RESOURCE = /^entry\[\d+\]\.resource\.(.+) \((\w+)\)$/

/**
 * Returns the name of the field that fills a path in the message, or that shows the problems of this path; undefined if
 * there is no such field.
 */
export function fieldAt(table: Table, path: string): string | undefined {
  const [, rest, type = ''] = IN_RESOURCE.exec(path) ?? []
  const whole = withoutIndexes(rest === undefined ? path : `${MAIN.has(type) ? 'main' : type}.${rest}`)
  const [first = '', ...others] = whole.split('.')
  return placesOf(table).get(MAIN.has(first) ? ['main', ...others].join('.') : whole)
}
