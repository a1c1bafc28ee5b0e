/** Tables of fields of all nodes, for the dialogs. */
import type { Table } from '../nodes/lib/fields/types'
import { fields as media } from '../nodes/redox-datamodel-media/fields'
import { fields as note } from '../nodes/redox-datamodel-note/fields'
import { fields as results } from '../nodes/redox-datamodel-results/fields'
import { fields as fhirDocument } from '../nodes/redox-fhir-document/fields'
import { fields as fhirResult } from '../nodes/redox-fhir-result/fields'
import { fields as upload } from '../nodes/redox-upload/fields'

const TABLES: readonly Table[] = [media, note, results, fhirDocument, fhirResult, upload]

/** Returns the suggested values of a field. Other values are allowed. */
export function suggestionsFor(type: string, property: string): readonly string[] | undefined {
  const table = TABLES.find((one) => one.type === type)
  const field = table?.fields.find(({ name }) => name === property)
  return field?.kind === 'typed' ? field.suggest : undefined
}
