import { badInput } from '../errors'

export type Json = null | boolean | number | string | Json[] | JsonObject
export interface JsonObject {
  [key: string]: Json
}
/** Object keys and array indexes from the root of a message. */
export type Path = readonly (string | number)[]

const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype'])
const MAX_DEPTH = 64

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** `['Orders', 0, 'Status']` as `Orders[0].Status`. */
export const formatPath = (path: Path): string =>
  path
    .map((step, index) => (typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`))
    .join('')

/** The reverse of {@link formatPath}; throws for keys that could reach an object's prototype. */
export function parsePath(text: string): Path {
  const steps = text.split('.').flatMap((part) => {
    const match = /^([A-Za-z_][\w-]*)((?:\[\d+\])*)$/.exec(part)
    if (!match || FORBIDDEN_KEYS.has(match[1]!)) throw badInput(`"${text}" is not a path into a message.`)
    return [match[1]!, ...[...match[2]!.matchAll(/\d+/g)].map(([digits]) => Number(digits))]
  })
  return steps
}

/**
 * A copy of a message part as JSON will carry it: dates as ISO text, `undefined` left out. What JSON would
 * silently mangle (Buffers, cycles, NaN) is an error. Strings are shared, so a file inside costs nothing.
 */
export function copyJson(value: unknown, where: string, depth = 0): Json {
  if (depth > MAX_DEPTH) throw badInput(`${where} is nested too deeply or refers to itself.`)
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw badInput(`${where} is not a finite number.`)
    return value
  }
  if (value instanceof Date) return isoDate(value, where)
  if (value instanceof Uint8Array) {
    throw badInput(`${where} is a Buffer. Files go into the node's File field, not into its data object.`)
  }
  if (Array.isArray(value))
    return value.map((item, index) => copyJson(item ?? null, `${where}[${index}]`, depth + 1))
  if (typeof value === 'object') return copyObject(value, where, depth)
  throw badInput(`${where} is a ${typeof value}, which no message can carry.`)
}

function isoDate(date: Date, where: string): string {
  if (Number.isNaN(date.getTime())) throw badInput(`${where} is an invalid date.`)
  return date.toISOString()
}

function copyObject(value: object, where: string, depth: number): JsonObject {
  const copy: JsonObject = {}
  for (const [key, item] of Object.entries(value)) {
    if (FORBIDDEN_KEYS.has(key)) throw badInput(`${where} has a key that is not allowed (${key}).`)
    if (item !== undefined) copy[key] = copyJson(item, where === '' ? key : `${where}.${key}`, depth + 1)
  }
  return copy
}

/**
 * Puts a value at a path, making objects and arrays on the way. Changes `root`: only for values that the
 * caller made itself.
 */
export function setAt(root: JsonObject, path: Path, value: Json): void {
  let parent: JsonObject | Json[] = root
  path.slice(0, -1).forEach((step, index) => {
    const next = child(parent, step)
    if (typeof next === 'object' && next !== null) parent = next
    else parent = put(parent, step, typeof path[index + 1] === 'number' ? [] : {}) as JsonObject | Json[]
  })
  put(parent, path[path.length - 1]!, value)
}

const child = (parent: JsonObject | Json[], step: string | number): Json | undefined =>
  (parent as Record<string | number, Json>)[step]

function put(parent: JsonObject | Json[], step: string | number, value: Json): Json {
  ;(parent as Record<string | number, Json>)[step] = value
  return value
}

/** The value at a path, or undefined. */
export function getAt(root: Json | undefined, path: Path): Json | undefined {
  return path.reduce<Json | undefined>(
    (value, step) => (typeof value === 'object' && value !== null ? child(value, step) : undefined),
    root,
  )
}

/** `root` with a value at a path; everything on the path is copied, everything else shared. */
export function withValueAt<T>(root: T, path: Path, value: Json): T {
  const [step, ...rest] = path
  if (step === undefined) return value as T
  const copy = (Array.isArray(root) ? [...root] : { ...(root as object) }) as Record<string | number, unknown>
  copy[step] = withValueAt(copy[step] ?? (typeof rest[0] === 'number' ? [] : {}), rest, value)
  return copy as T
}
