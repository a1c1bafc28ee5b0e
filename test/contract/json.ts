export type JsonObject = Record<string, unknown>

/** Sees one value, the key it was found under and the path to it. */
export type Visitor = (value: unknown, key: string, path: string) => void

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function asObject(value: unknown): JsonObject {
  return isObject(value) ? value : {}
}

export function asArray(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

/** `['entry', 0, 'resource']` → `entry[0].resource` */
export function pathText(parts: readonly PropertyKey[]): string {
  return parts.reduce<string>((text, part) => step(text, part), '')
}

function step(text: string, part: PropertyKey): string {
  if (typeof part === 'number') return `${text}[${part}]`
  return text === '' ? String(part) : `${text}.${String(part)}`
}

/** Visits a value and everything in it. `undefined` is passed over: it does not reach the wire. */
export function walk(value: unknown, visit: Visitor, path = '', key = ''): void {
  if (value === undefined) return
  visit(value, key, path)
  if (Array.isArray(value)) {
    value.forEach((item, index) => walk(item, visit, step(path, index), key))
  } else if (isObject(value)) {
    for (const [name, item] of Object.entries(value)) walk(item, visit, step(path, name), name)
  }
}

/** A copy as it would reach the wire, each value first passed through `change`. */
export function copyWith(
  value: unknown,
  change: (value: unknown, key: string) => unknown,
  key = '',
): unknown {
  const changed = change(value, key)
  if (Array.isArray(changed)) return changed.map((item) => copyWith(item, change, key))
  if (!isObject(changed)) return changed
  const entries = Object.entries(changed).filter(([, item]) => item !== undefined)
  return Object.fromEntries(entries.map(([name, item]) => [name, copyWith(item, change, name)]))
}

function emptiness(value: unknown): string | undefined {
  if (value === null) return 'null'
  if (typeof value === 'string') return value.trim() === '' ? 'an empty string' : undefined
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : undefined
  return isObject(value) && Object.keys(value).length === 0 ? 'an empty object' : undefined
}

/** Optional values are left out, never sent empty. FHIR has the same rule: this judges both APIs. */
export function emptyValues(message: unknown): string[] {
  const found: string[] = []
  walk(message, (value, _key, path) => {
    const what = emptiness(value)
    if (what) found.push(`${path === '' ? '(message)' : path}: ${what}`)
  })
  return found
}
