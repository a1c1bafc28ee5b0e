export type JsonObject = Record<string, unknown>

/** Function that receives a value, its key and its path. */
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

/** Path as a string: `['entry', 0, 'resource']` → `entry[0].resource` */
export function pathText(parts: readonly PropertyKey[]): string {
  return parts.reduce<string>((text, part) => step(text, part), '')
}

function step(text: string, part: PropertyKey): string {
  if (typeof part === 'number') return `${text}[${part}]`
  return text === '' ? String(part) : `${text}.${String(part)}`
}

/** Calls the visitor for a value and for all nested values except `undefined`, which JSON does not contain. */
export function walk(value: unknown, visit: Visitor, path = '', key = ''): void {
  if (value === undefined) return
  visit(value, key, path)
  if (Array.isArray(value)) {
    value.forEach((item, index) => walk(item, visit, step(path, index), key))
  } else if (isObject(value)) {
    for (const [name, item] of Object.entries(value)) walk(item, visit, step(path, name), name)
  }
}

/** Copy of a value in its JSON form. Before a value is copied, the result of `change` replaces it. */
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

/** Paths of empty values, which FHIR forbids. The nodes send no empty values to either API. */
export function emptyValues(message: unknown): string[] {
  const found: string[] = []
  walk(message, (value, _key, path) => {
    const what = emptiness(value)
    if (what) found.push(`${path === '' ? '(message)' : path}: ${what}`)
  })
  return found
}
