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

/** Value for one field, from a node's form or from the message property that the form selects. */
export interface FieldValue {
  /**
   * path in the message, e.g. `Note.Provider.ID`, `Patient.Identifiers[0].ID`. An index counts the elements of the
   * form, not of the data: a {@link ElementChooser} selects the matching element of the data.
   */
  path: string
  value: unknown
}

/**
 * Converts a field value to JSON. Numbers become strings, because Redox expects a string in every field of the forms.
 */
export const fieldValue = (value: unknown, path: string): Json =>
  typeof value === 'number' && Number.isFinite(value) ? String(value) : copyJson(value, path)

/**
 * Selects the list element that a form's values belong to. Returns its index, or the length of the list if an element
 * must be added.
 * @param elements list elements in the data
 * @param wanted values of the form for the element
 * @param report called with the problem if it is not clear which element is meant
 */
export type ElementChooser = (
  elements: Json[],
  wanted: JsonObject,
  report: (problem: string, fix: string) => void,
) => number

export interface LaidFields {
  /** converts a path of the form to the path in the message */
  at(path: Path): Path
  /** paths in the message that were filled in */
  paths: Path[]
}

/**
 * Writes the values of a form into a message.
 * @param choices {@link ElementChooser}s by list path without indexes, e.g. `Patient.Identifiers`; in other lists the
 *   index in the form's path is used
 * @param problems receives the fields for which it is not clear which list element is meant
 * @throws RedoxError REDOX_BAD_INPUT
 */
export function mergeFields(
  root: JsonObject,
  fields: FieldValue[],
  choices: Record<string, ElementChooser>,
  problems: Problem[],
): LaidFields {
  const form: JsonObject = {}
  for (const { path, value } of fields) setAt(form, fieldPath(path), fieldValue(value, path))
  const chosen = new Map<string, number>()

  const indexIn = (list: Path, inForm: Path, index: number): number => {
    const choice = choices[list.filter((step) => typeof step === 'string').join('.')]
    const elements = getAt(root, list) ?? null
    // If the existing value is not a list, setAt() throws an error.
    if (choice === undefined || (elements !== null && !Array.isArray(elements))) return index
    const wanted = getAt(form, [...inForm, index])
    return choice(elements ?? [], isObject(wanted) ? wanted : {}, (problem, fix) =>
      problems.push({ path: formatPath(list), problem, fix }),
    )
  }
  const at = (path: Path): Path => {
    const real: (string | number)[] = []
    for (const [depth, step] of path.entries()) {
      if (typeof step === 'string') real.push(step)
      else {
        const key = formatPath(path.slice(0, depth + 1))
        const index = chosen.get(key) ?? indexIn(real, path.slice(0, depth), step)
        chosen.set(key, index)
        real.push(index)
      }
    }
    return real
  }

  const paths = fields.map(({ path }) => {
    const steps = fieldPath(path)
    const real = at(steps)
    setAt(root, real, fieldValue(getAt(form, steps), path))
    return real
  })
  return { at, paths }
}

export const isBlank = (value: unknown): boolean => value === undefined || value === null || value === ''

/** Returns true if two values are equal, or both are blank. */
export const isSame = (one: unknown, other: unknown): boolean =>
  isBlank(one) ? isBlank(other) : one === other

/** Indexes of the objects in a list that pass a test. */
export const indexesOf = (elements: Json[], test: (element: JsonObject) => boolean): number[] =>
  elements.flatMap((element, index) => (isObject(element) && test(element) ? [index] : []))

/**
 * Returns the index of the only candidate, or of the one among several that already has the form's value. Without a
 * candidate, returns the length of the list, for a new element.
 * @param several called to report that several candidates exist and none has the value
 */
export function chooseOnly(
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
