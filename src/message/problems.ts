import type { z } from 'zod'
import type { Problem } from '../errors'
import { formatPath, getAt, isObject, type Json, type JsonObject, type Path } from './json'

/**
 * zod's issues as problems in the words of the people who fix them. Values are never repeated.
 * @param hints what to do about a path, e.g. the form field that fills it
 */
export function problemsOf(error: Pick<z.ZodError, 'issues'>, hints: Record<string, string> = {}): Problem[] {
  return error.issues.map((issue) => {
    const path = formatPath(issue.path as Path)
    const { problem, fix } = words(issue)
    return { path, problem, fix: hints[path.replace(/\[\d+\]/g, '[]')] ?? fix }
  })
}

/** Whether `_element` of FHIR says more about an element than that it has no value. */
export const hasExtension = (element: Json | undefined): boolean =>
  isObject(element) && (Array.isArray(element.extension) || typeof element.id === 'string')

/**
 * Without what misses a value where `_element` stands in its place: in FHIR a primitive element may have extensions
 * alone, in a list beside `null` (hl7.org/fhir/R4/json.html#primitive).
 */
export function withoutExtended(error: z.ZodError, resource: JsonObject): Pick<z.ZodError, 'issues'> {
  const issues = error.issues.filter(({ path }) => {
    const steps = path as Path
    const name = steps.findLastIndex((step) => typeof step === 'string')
    const isMissing = (getAt(resource, steps) ?? null) === null
    const beside: Path = [...steps.slice(0, name), `_${String(steps[name])}`, ...steps.slice(name + 1)]
    return !(name >= 0 && isMissing && hasExtension(getAt(resource, beside)))
  })
  return { issues }
}

function words(issue: z.core.$ZodIssue): { problem: string; fix: string } {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined
        ? { problem: 'is missing', fix: `Give ${article(issue.expected)}.` }
        : { problem: `is not ${article(issue.expected)}`, fix: `Give ${article(issue.expected)}.` }
    case 'invalid_value':
      return {
        problem: issue.input === undefined ? 'is missing' : 'is not one of the values allowed',
        fix: `Give ${issue.values.map((value) => `"${String(value)}"`).join(' or ')}.`,
      }
    case 'too_small':
      return issue.origin === 'array'
        ? { problem: 'is empty', fix: 'Give at least one.' }
        : { problem: 'is empty', fix: 'Give a value.' }
    default:
      return { problem: 'is not valid', fix: issue.message }
  }
}

const article = (type: string): string =>
  type === 'string' ? 'a text' : /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`
