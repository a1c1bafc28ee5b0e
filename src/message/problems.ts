import type { z } from 'zod'
import { RedoxError, type Problem } from '../errors'
import { formatPath, getAt, isObject, type Json, type JsonObject, type Path } from './json'

/** Suffix of a path that names the resource type, e.g. ` (Observation)`. */
const IN_TYPE = / \((\w+)\)$/

/** `params` of the zod issue for an empty string or list, see `non-empty.ts`. */
export const EMPTY = { isEmpty: true } as const

/** Maximum number of problems in an error text. */
const SHOWN = 5

/**
 * Error with all problems of a message: its message contains the first few, `cause.problems` contains all. The message
 * begins with the first problem, because Node-RED's debug sidebar shows the first 30 characters.
 * @param what name of the invalid message, e.g. `the Notes message (New)`
 * @param note sentence that is added after the problems
 * @param nameAt returns the name of the value at a path, see {@link lastName}
 */
export function invalidMessage(
  what: string,
  problems: Problem[],
  note = '',
  nameAt: (path: string) => string = lastName,
): RedoxError {
  const shown = problems
    .slice(0, SHOWN)
    .map(({ path, problem, fix }) => `${nameAt(path)} ${problem} (${path.replace(IN_TYPE, ', $1')}). ${fix}`)
  const more = problems.length > SHOWN ? `(and ${problems.length - SHOWN} more)` : ''
  const count = problems.length === 1 ? '' : `, it has ${problems.length} problems`
  const text = [shown.join(' | '), more, note, `Nothing was sent: ${what} is not valid${count}.`]
  return new RedoxError('REDOX_INVALID_MESSAGE', text.filter((part) => part !== '').join(' '), { problems })
}

/** Default name of a value in an error text: the last property of its path, e.g. `FirstName`. */
export function lastName(path: string): string {
  if (path === 'Meta.Source.ID') return 'Source ID'
  return /([^.[\]]+)(?:\[\d+\])*$/.exec(path.replace(IN_TYPE, ''))?.[1] ?? path
}

/**
 * Converts zod issues to problems that users understand. The values of the message are never repeated.
 * @param hints advice by path, e.g. the form field that sets the value
 */
export function problemsOf(error: Pick<z.ZodError, 'issues'>, hints: Record<string, string> = {}): Problem[] {
  return error.issues.map((issue) => {
    const path = formatPath(issue.path as Path)
    const { problem, fix } = words(issue)
    return { path, problem, fix: hints[path.replace(/\[\d+\]/g, '[]')] ?? fix }
  })
}

/** Returns true if the `_element` of a FHIR element has an extension or an id. */
export const hasExtension = (element: Json | undefined): boolean =>
  isObject(element) && (Array.isArray(element.extension) || typeof element.id === 'string')

/**
 * Removes issues about missing values whose `_element` has an extension. In FHIR a primitive element may consist of
 * extensions only; in a list its value is then `null` (hl7.org/fhir/R4/json.html#primitive).
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
        ? { problem: 'is missing', fix: `Provide ${article(issue.expected)}.` }
        : { problem: `is not ${article(issue.expected)}`, fix: `Provide ${article(issue.expected)}.` }
    case 'invalid_value':
      return {
        problem: issue.input === undefined ? 'is missing' : 'has a value that is not allowed',
        fix: `Use ${issue.values.map((value) => `"${String(value)}"`).join(' or ')}.`,
      }
    case 'custom':
      return issue.params === EMPTY
        ? emptyWords(issue.input)
        : { problem: 'is not valid', fix: issue.message }
    default:
      return { problem: 'is not valid', fix: issue.message }
  }
}

const emptyWords = (input: unknown): { problem: string; fix: string } => ({
  problem: 'is empty',
  fix: Array.isArray(input) ? 'Provide at least one value.' : 'Provide a value.',
})

const NAMES: Record<string, string> = { string: 'text', array: 'a list', boolean: 'true or false' }

const article = (type: string): string => NAMES[type] ?? (/^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`)
