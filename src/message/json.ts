import { types } from 'node:util'
import { present } from '../shared/present'
import { badInput, RedoxError } from '../errors'

export type Json = null | boolean | number | string | Json[] | JsonObject
export interface JsonObject {
  [key: string]: Json
}
/** Path of a value in a message: object keys and array indexes from the root. */
export type Path = readonly (string | number)[]

const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype'])
const MAX_DEPTH = 64
// Maximum number of values in a message, far above any real message. A few objects that refer to each other can expand
// to billions of values.
const MAX_VALUES = 100_000
// Maximum list index in a path. A longer list would consist mostly of empty slots, each of which becomes `null` in
// JSON.
const MAX_INDEX = 9999

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Formats a path as a string: `['Orders', 0, 'Status']` becomes `Orders[0].Status`. */
export const formatPath = (path: Path): string =>
  path
    .map((step, index) => (typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`))
    .join('')

/**
 * Parses the string form of a path, the reverse of {@link formatPath}.
 * @throws RedoxError REDOX_BAD_INPUT, also for keys that could reach an object's prototype and for indexes that are too
 *   large
 */
export function parsePath(text: string): Path {
  const steps = text.split('.').flatMap((part) => {
    const match = /^([A-Za-z_][\w-]*)((?:\[\d+\])*)$/.exec(part)
    const [, key, indexes = ''] = match ?? []
    if (key === undefined || FORBIDDEN_KEYS.has(key)) throw badInput(`Path is not valid: "${text}".`)
    return [key, ...[...indexes.matchAll(/\d+/g)].map(([digits]) => Number(digits))]
  })
  if (steps.some((step) => typeof step === 'number' && step > MAX_INDEX))
    throw badInput(`Path is not valid: "${text}". An index must not exceed ${MAX_INDEX}.`)
  return steps
}

const fieldPaths = new Map<string, Path>()

/**
 * Caches the results of {@link parsePath} for the field paths of forms: there are few, and they are the same for every
 * message.
 */
export function fieldPath(text: string): Path {
  const known = fieldPaths.get(text) ?? parsePath(text)
  fieldPaths.set(text, known)
  return known
}

/**
 * Copies a value as JSON represents it: dates as ISO strings, without `undefined`. Values that JSON would silently
 * corrupt (Buffers, cycles, NaN, Maps) cause an error. Strings are shared, so an embedded file uses no additional
 * memory.
 * @throws RedoxError REDOX_BAD_INPUT
 */
export const copyJson = (value: unknown, where: string): Json => copyOf(value, where, 0, { left: MAX_VALUES })

const tooMany = (): RedoxError =>
  badInput(
    `Data has too many values: more than ${MAX_VALUES}, or it refers to itself. Remove what Redox does not need, or ` +
      'send it as a file.',
  )

/** Keys of an object; undefined if there are more than `most`. Does not read the values, which could be getters. */
export function keysUpTo(most: number, value: object): string[] | undefined {
  const keys: string[] = []
  for (const key in value) {
    if (!Object.hasOwn(value, key)) continue
    if (keys.length === most) return undefined
    keys.push(key)
  }
  return keys
}

interface Budget {
  left: number
}

function copyOf(value: unknown, where: string, depth: number, budget: Budget): Json {
  if (depth > MAX_DEPTH) throw unusable(where, 'is nested too deeply, or refers to itself')
  if (--budget.left < 0) throw tooMany()
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw unusable(where, 'is not a finite number')
    return value
  }
  if (typeof value !== 'object') {
    throw unusable(where, value === undefined ? 'is undefined' : `is a ${typeof value}`)
  }
  try {
    return copyObject(value, where, depth, budget)
  } catch (error) {
    if (error instanceof RedoxError) throw error
    // An error thrown by a getter or a proxy could contain anything, including patient data.
    throw unusable(where, 'cannot be read: one of its properties throws an error')
  }
}

// Types are checked by internal tag, not by `instanceof`: a Date that was created in a Function node belongs to another
// realm (VM context).
function copyObject(value: object, where: string, depth: number, budget: Budget): Json {
  if (types.isDate(value)) return isoDate(value, where)
  if (types.isUint8Array(value)) {
    throw unusable(where, 'is a Buffer', ' Use the File field for files.')
  }
  if (Array.isArray(value)) return copyArray(value, where, depth, budget)
  const { toJSON } = value as { toJSON?: unknown }
  if (typeof toJSON === 'function') return copyOf(Reflect.apply(toJSON, value, []), where, depth + 1, budget)
  const kind = Object.prototype.toString.call(value).slice(8, -1)
  if (kind !== 'Object') throw unusable(where, `is a ${kind}`)
  return copyPlain(value, where, depth, budget)
}

/** Error for data that cannot be used. The message begins with the problem, because paths may be long. */
const unusable = (where: string, problem: string, fix = ''): RedoxError =>
  badInput(`Data ${problem}${where === '' ? '' : ` (${where})`}.${fix}`)

function isoDate(date: Date, where: string): string {
  if (Number.isNaN(date.getTime())) throw unusable(where, 'has an invalid date')
  return date.toISOString()
}

function copyArray(list: unknown[], where: string, depth: number, budget: Budget): Json[] {
  if (list.length > budget.left) throw unusable(where, 'has too many values in a list')
  return Array.from(list, (item, index) => copyOf(item ?? null, `${where}[${index}]`, depth + 1, budget))
}

function copyPlain(value: object, where: string, depth: number, budget: Budget): JsonObject {
  const keys = keysUpTo(budget.left, value)
  if (keys === undefined) throw tooMany()
  const copy: JsonObject = {}
  for (const key of keys) {
    const item = (value as Record<string, unknown>)[key]
    if (FORBIDDEN_KEYS.has(key)) throw unusable(where, `has a key that is not allowed: ${key}`)
    if (item !== undefined)
      copy[key] = copyOf(item, where === '' ? key : `${where}.${key}`, depth + 1, budget)
  }
  return copy
}

/**
 * Sets a value at a path, and creates missing objects and arrays on the way. Modifies `root`, so the caller must own
 * it. If an existing value on the path has the wrong type, an error is thrown, because replacing it would lose data
 * silently.
 * @throws RedoxError REDOX_BAD_INPUT
 */
export function setAt(root: JsonObject, path: Path, value: Json): void {
  let parent: JsonObject | Json[] = root
  path.slice(0, -1).forEach((step, index) => {
    const wantsList = typeof path[index + 1] === 'number'
    const next = child(parent, step) ?? put(parent, step, wantsList ? [] : {})
    if (typeof next !== 'object' || next === null || Array.isArray(next) !== wantsList) {
      const is = Array.isArray(next) ? 'a list' : typeof next === 'object' ? 'an object' : `a ${typeof next}`
      throw badInput(
        `Data has ${is} where ${wantsList ? 'a list' : 'an object'} is needed: ${formatPath(path.slice(0, index + 1))}, ` +
          `to fill in ${formatPath(path)}. Correct it, or leave it out.`,
      )
    }
    parent = next
  })
  put(parent, present(path.at(-1), 'the last step of a path'), value)
}

// Only own properties are read: inherited properties such as `toString` are not part of a message.
const child = (parent: JsonObject | Json[], step: string | number): Json | undefined =>
  Object.hasOwn(parent, step) ? (parent as Record<string | number, Json>)[step] : undefined

function put(parent: JsonObject | Json[], step: string | number, value: Json): Json {
  ;(parent as Record<string | number, Json>)[step] = value
  return value
}

/**
 * Returns a string unchanged, and other values as JSON. `String()` would throw for an object with its own `toString`.
 */
export const textOrJson = (value: Json | undefined): string =>
  typeof value === 'string' ? value : String(JSON.stringify(value))

/** Returns true if the value is a number, or contains one. */
export const hasNumber = (value: Json): boolean =>
  typeof value === 'number' ||
  (typeof value === 'object' && value !== null && Object.values(value).some(hasNumber))

/** Value at a path; undefined if it does not exist. */
export function getAt(root: Json | undefined, path: Path): Json | undefined {
  return path.reduce<Json | undefined>(
    (value, step) => (typeof value === 'object' && value !== null ? child(value, step) : undefined),
    root,
  )
}

/** Returns a copy of `root` with a value at a path. Only the objects on the path are copied, all others are shared. */
export function withValueAt<T>(root: T, path: Path, value: Json): T {
  const [step, ...rest] = path
  if (step === undefined) return value as T
  const copy = (Array.isArray(root) ? [...root] : { ...(root as object) }) as Record<string | number, unknown>
  copy[step] = withValueAt(copy[step] ?? (typeof rest[0] === 'number' ? [] : {}), rest, value)
  return copy as T
}
