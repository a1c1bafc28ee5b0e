import { FHIR_OPERATIONS } from '../message/fhir-operations'

/**
 * Operations that are counted under their own names. The operations of the Data Model API are listed here instead of
 * read from their schemas, because the schemas take time to load, and this list is loaded when Node-RED starts.
 */
export const OPERATION_LABELS: ReadonlySet<string> = new Set([
  'upload',
  ...Object.keys(FHIR_OPERATIONS),
  ...['Notes:New', 'Notes:Replace', 'Notes:Delete'],
  ...['Results:New', 'Results:NewUnsolicited'],
  ...['Media:New', 'Media:Replace', 'Media:Delete'],
])

/** Returns the label of an operation: its name, or `other`, so that the number of labels is limited. */
export const operationLabel = (operation: string | undefined): string =>
  operation !== undefined && OPERATION_LABELS.has(operation) ? operation : 'other'
