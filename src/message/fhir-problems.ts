import type { z } from 'zod'
import type { Problem } from '../errors'
import type { Operation } from './fhir-operations'
import { BUNDLE_SCHEMA, RESOURCE_SCHEMAS } from './fhir-schemas'
import { textOrJson, getAt, type JsonObject } from './json'
import { problemsOf, withoutExtended } from './problems'
import { entriesOf, parseReference, resourceOf } from './references'
import { attachmentProblems } from './urls'

export const HEADER_FOCUS = 'entry[0].resource.focus'

export const ofType = (entries: JsonObject[], type: string): JsonObject[] =>
  entries.map(resourceOf).filter(({ resourceType }) => resourceType === type)

export function problemsIn(bundle: JsonObject, main: JsonObject, operation: Operation): Problem[] {
  const entries = Array.isArray(bundle.entry) ? (bundle.entry as JsonObject[]) : []
  return [
    ...problemsBy(BUNDLE_SCHEMA, bundle),
    ...entries.flatMap((entry, index) => resourceProblems(resourceOf(entry), index)),
    ...focusProblems(entries, main, operation),
    ...urlProblems(entries),
    ...attachmentProblems(entries),
  ]
}

function problemsBy(schema: z.ZodType, resource: JsonObject): Problem[] {
  const { error } = schema.safeParse(resource, { reportInput: true })
  return error === undefined ? [] : problemsOf(withoutExtended(error, resource), HINTS)
}

function resourceProblems(resource: JsonObject, index: number): Problem[] {
  const type = textOrJson(resource.resourceType)
  const schema = Object.hasOwn(RESOURCE_SCHEMAS, type) ? RESOURCE_SCHEMAS[type] : undefined
  if (schema === undefined) return []
  return problemsBy(schema, resource).map((problem) => ({
    ...problem,
    path: `entry[${index}].resource.${problem.path} (${type})`,
  }))
}

const HINTS: Record<string, string> = {
  code: 'Fill in the Code field, e.g. 11502-2 (LOINC).',
}

/** Reports a MessageHeader whose focus does not refer to the main resource (docs/redox-api.md#message-bundle). */
const focusProblems = (entries: JsonObject[], main: JsonObject, { type }: Operation): Problem[] =>
  inFocus(entries).includes(main)
    ? []
    : [
        {
          path: `${HEADER_FOCUS}[0].reference`,
          problem: `is not a ${type} of the Bundle`,
          fix: `Refer to the ${type} by Type/id or by its fullUrl, or leave the focus out.`,
        },
      ]

/** Reports entries with the same fullUrl, which R4 (rule bdl-7) allows only for different versions of a resource. */
function urlProblems(entries: JsonObject[]): Problem[] {
  const problems: Problem[] = []
  const known = new Set<string>()
  entries.forEach((entry, index) => {
    const key = JSON.stringify([entry.fullUrl, getAt(entry, ['resource', 'meta', 'versionId'])])
    if (!known.has(key)) return void known.add(key)
    problems.push({
      path: `entry[${index}].fullUrl`,
      problem: 'occurs twice in the Bundle',
      fix: 'Give each entry its own fullUrl, and each resource its own id.',
    })
  })
  return problems
}

/** Resources of the Bundle to which the focus of the MessageHeader refers. */
export function inFocus(entries: JsonObject[]): JsonObject[] {
  const focus = getAt(ofType(entries, 'MessageHeader')[0], ['focus'])
  const found = (Array.isArray(focus) ? focus : []).flatMap((one) => {
    const text = getAt(one, ['reference'])
    const reference = typeof text === 'string' ? parseReference(text) : undefined
    if (reference === undefined) return []
    const targets = entriesOf(entries, reference)
    // Receivers must also be able to find the resource by this URL.
    for (const target of targets) if (reference.url !== undefined) target.fullUrl ??= reference.url
    return targets.map(resourceOf)
  })
  return [...new Set(found)]
}
