import type { z } from 'zod'
import type { Problem } from '../errors'
import { formatPath, type Path } from './json'

/**
 * zod's issues as problems in the words of the people who fix them. Values are never repeated.
 * @param hints what to do about a path, e.g. the form field that fills it
 */
export function problemsOf(error: z.ZodError, hints: Record<string, string> = {}): Problem[] {
  return error.issues.map((issue) => {
    const path = formatPath(issue.path as Path)
    const { problem, fix } = words(issue)
    return { path, problem, fix: hints[path.replace(/\[\d+\]/g, '[]')] ?? fix }
  })
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
