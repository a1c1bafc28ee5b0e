/** Tables of fields of all node types, for the dialogs. */
import { fieldNamed } from '../nodes/lib/fields/conditions'
import type { Field, Table } from '../nodes/lib/fields/types'
import { fields as connection } from '../nodes/redox-config/fields'
import { fields as media } from '../nodes/redox-datamodel-media/fields'
import { fields as note } from '../nodes/redox-datamodel-note/fields'
import { fields as results } from '../nodes/redox-datamodel-results/fields'
import { fields as fhirDocument } from '../nodes/redox-fhir-document/fields'
import { fields as fhirResult } from '../nodes/redox-fhir-result/fields'
import { fields as log } from '../nodes/redox-log/fields'
import { fields as outbox } from '../nodes/redox-outbox/fields'
import { fields as upload } from '../nodes/redox-upload/fields'

const TABLES: readonly Table[] = [
  ...[connection, media, note, results, fhirDocument, fhirResult, upload],
  ...[outbox, log],
]

export const tableOf = (type: string): Table | undefined => TABLES.find((one) => one.type === type)

export function fieldOf(type: string, name: string): Field | undefined {
  const table = tableOf(type)
  return table && fieldNamed(table, name)
}

/** Returns the suggested values of a field. The user may enter other values. */
export function suggestionsFor(type: string, property: string): readonly string[] | undefined {
  const field = fieldOf(type, property)
  return field?.kind === 'typed' ? field.suggest : undefined
}
