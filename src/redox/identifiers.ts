import { isObject, type JsonObject } from '../message/json'

/**
 * Identifiers for finding a message in Redox's log: ids that the flow set, or that were generated when the message was
 * built.
 */
export function identifiersOf(body: JsonObject): Record<string, string> {
  const document = isObject(body.Note) ? body.Note : isObject(body.Media) ? body.Media : {}
  const found: [name: string, value: unknown][] = [
    ['DocumentID', document.DocumentID],
    ...objectsIn(body.Orders).flatMap(orderIds),
    ...(body.resourceType === 'Bundle' ? [['BundleID', body.id] as [string, unknown]] : []),
    ...objectsIn(body.entry).flatMap(resourceIds),
  ]
  return Object.fromEntries(found.filter((pair): pair is [string, string] => typeof pair[1] === 'string'))
}

const objectsIn = (value: unknown): Record<string, unknown>[] =>
  Array.isArray(value) ? value.filter(isObject) : []

function orderIds(order: Record<string, unknown>, index: number): [string, unknown][] {
  const place = index === 0 ? '' : `Orders[${index}].`
  return [
    [index === 0 ? 'OrderID' : `${place}ID`, order.ID],
    [`${place}ApplicationOrderID`, order.ApplicationOrderID],
  ]
}

/** FHIR resource types whose identifiers name the document or result. Patient identifiers are never included. */
const FILED = new Set(['DiagnosticReport', 'Observation', 'DocumentReference'])

function resourceIds({ resource }: Record<string, unknown>, entry: number): [string, unknown][] {
  if (!isObject(resource) || !FILED.has(String(resource.resourceType))) return []
  const place = `entry[${entry}].${String(resource.resourceType)}.identifier`
  return objectsIn(resource.identifier).map(({ value }, index) => [`${place}[${index}]`, value])
}
