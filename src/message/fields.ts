import type { Problem } from '../errors'
import {
  copyJson,
  fieldPath,
  formatPath,
  getAt,
  isObject,
  setAt,
  type Json,
  type JsonObject,
  type Path,
} from './json'

/** A value that a node's form (or the message that the form points to) gives for one field. */
export interface FieldValue {
  /**
   * e.g. `Note.Provider.ID`, `Patient.Identifiers[0].ID`. An index counts what the form has, not what the data have:
   * which element of the data it is decides a {@link Choice}.
   */
  path: string
  value: unknown
}

/** Every field of the forms is a text to Redox: a number from a message (an order id) is written as one. */
export const fieldValue = (value: unknown, path: string): Json =>
  typeof value === 'number' && Number.isFinite(value) ? String(value) : copyJson(value, path)

/**
 * The index of the element that the form means; the length of the list for one that is to be added.
 * @param elements what the data have in the list
 * @param wanted what the form gives for its element
 * @param report tells why none can be chosen
 */
export type Choice = (
  elements: Json[],
  wanted: JsonObject,
  report: (problem: string, fix: string) => void,
) => number

export interface Laid {
  /** where a path of the form leads to in the message */
  at(path: Path): Path
  /** what was filled in, as paths of the message */
  paths: Path[]
}

/**
 * Lays a form's fields over a message.
 * @param choices by the path of the list without indexes, e.g. `Patient.Identifiers`; other lists go by index
 * @param problems gets what cannot be decided
 * @throws RedoxError REDOX_BAD_INPUT
 */
export function layFields(
  root: JsonObject,
  fields: FieldValue[],
  choices: Record<string, Choice>,
  problems: Problem[],
): Laid {
  const form: JsonObject = {}
  for (const { path, value } of fields) setAt(form, fieldPath(path), fieldValue(value, path))
  const chosen = new Map<string, number>()

  const indexIn = (list: Path, inForm: Path, index: number): number => {
    const choice = choices[list.filter((step) => typeof step === 'string').join('.')]
    const elements = getAt(root, list) ?? null
    // What is no list is told of where it is filled.
    if (choice === undefined || (elements !== null && !Array.isArray(elements))) return index
    const wanted = getAt(form, [...inForm, index])
    return choice(elements ?? [], isObject(wanted) ? wanted : {}, (problem, fix) =>
      problems.push({ path: formatPath(list), problem, fix }),
    )
  }
  const at = (path: Path): Path =>
    path.reduce<Path>((real, step, depth) => {
      if (typeof step === 'string') return [...real, step]
      const key = formatPath(path.slice(0, depth + 1))
      const index = chosen.get(key) ?? indexIn(real, path.slice(0, depth), step)
      chosen.set(key, index)
      return [...real, index]
    }, [])

  const paths = fields.map(({ path }) => {
    const steps = fieldPath(path)
    const real = at(steps)
    setAt(root, real, fieldValue(getAt(form, steps), path))
    return real
  })
  return { at, paths }
}

export const isBlank = (value: unknown): boolean => value === undefined || value === null || value === ''

/** Equal, or both without a value. */
export const isSame = (one: unknown, other: unknown): boolean =>
  isBlank(one) ? isBlank(other) : one === other

/** The indexes of the objects in a list that a test holds for. */
export const indexesOf = (elements: Json[], test: (element: JsonObject) => boolean): number[] =>
  elements.flatMap((element, index) => (isObject(element) && test(element) ? [index] : []))

/**
 * The one candidate, or the one of several that has the form's value already; a new element when there is none.
 * @param several what to say of several, none of which has the value
 */
export function onlyOf(
  candidates: number[],
  elements: Json[],
  hasValue: (element: JsonObject) => boolean,
  several: () => void,
): number {
  const [only, ...others] = candidates
  if (only === undefined) return elements.length
  if (others.length === 0) return only
  const same = candidates.find((index) => hasValue(elements[index] as JsonObject))
  if (same !== undefined) return same
  several()
  return only
}
