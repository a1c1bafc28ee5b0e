/** Questions to a table of fields that only the runtime asks: which place of a message belongs to which field. */
import { SETTERS } from '../../../src/message/setters'
import type { Table, TypedField } from './types'

export const typedFields = ({ fields }: Table): TypedField[] =>
  fields.filter((field) => field.kind === 'typed')

/** The path that a field fills, if it fills one. */
export const pathOf = ({ path, set }: TypedField): string | undefined =>
  set === undefined ? path : SETTERS[set]

// ---- The field behind a place of a message --------------------------------------------------------------

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

/** The resources that FHIR operations are about: `main` in the places of a table. */
const MAIN = new Set(['DiagnosticReport', 'Observation', 'DocumentReference'])

/** `entry[1].resource.status (Observation)`, as problems of FHIR resources have it. */
const IN_RESOURCE = /^entry\[\d+\]\.resource\.(.+) \((\w+)\)$/

/** The name of the field that fills a place of a message, if there is one. */
export function fieldAt(table: Table, path: string): string | undefined {
  const [, rest, type = ''] = IN_RESOURCE.exec(path) ?? []
  const whole = withoutIndexes(rest === undefined ? path : `${MAIN.has(type) ? 'main' : type}.${rest}`)
  const [first = '', ...others] = whole.split('.')
  return placesOf(table).get(MAIN.has(first) ? ['main', ...others].join('.') : whole)
}
