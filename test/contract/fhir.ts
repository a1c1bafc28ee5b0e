import { Fhir } from 'fhir'
import { Severities } from 'fhir/validator'
import * as solara from '@solarahealth/fhir-r4'
import { badBase64, prepareBundle } from './attachments'
import { asArray, asObject, isObject, pathText, walk, type JsonObject } from './json'

export interface FhirVerdict {
  /** What is wrong, each with the judge that saw it (`fhir:`, `solara:` or `own:`) in front. */
  problems: string[]
  /** What is not FHIR but wanted by Redox. */
  deviations: string[]
}

/** The part that we use of a zod schema. */
interface Schema {
  safeParse(value: unknown): { error?: { issues: { path: PropertyKey[]; message: string }[] } }
}

type Judge = (resource: JsonObject) => string[]

const schemas = solara as unknown as Record<string, (() => Schema) | undefined>
const fhir = new Fhir()

/** Value sets that the library does not carry give warnings and hints; only errors are problems. */
const judgeByFhir: Judge = (resource) =>
  fhir
    .validate(resource, { errorOnUnexpected: true })
    .messages.filter(
      (message) => message.severity === Severities.Error || message.severity === Severities.Fatal,
    )
    .map((message) => `${message.location || typeName(resource)}: ${message.message ?? 'invalid'}`)

const judgeBySolara: Judge = (resource) => {
  const create = schemas[`create${typeName(resource)}Schema`]
  if (!create) return [`${typeName(resource)}: unknown resource type`]
  const issues = create().safeParse(resource).error?.issues ?? []
  return issues.map((issue) => `${pathText([typeName(resource), ...issue.path])}: ${issue.message}`)
}

function typeName(resource: JsonObject): string {
  return typeof resource['resourceType'] === 'string' ? resource['resourceType'] : '(no resourceType)'
}

/** Both libraries, each marked by name. One that gives up on a value (`fhir` does on null) objects to it. */
function judgeResource(path: string, resource: JsonObject): string[] {
  const judges = { fhir: judgeByFhir, solara: judgeBySolara }
  return Object.entries(judges).flatMap(([name, judge]) => {
    try {
      return judge(resource).map((problem) => `${name}: ${path}${problem}`)
    } catch (error) {
      return [`${name}: ${path}${typeName(resource)}: the validator failed: ${String(error)}`]
    }
  })
}

/** Entries are judged one by one for exact paths, so the bundle itself is judged without them. */
function shell(bundle: JsonObject): JsonObject {
  if (!Array.isArray(bundle['entry'])) return bundle
  return { ...bundle, entry: bundle['entry'].map((entry) => withoutResource(entry)) }
}

function withoutResource(entry: unknown): unknown {
  if (!isObject(entry)) return entry
  return Object.fromEntries(Object.entries(entry).filter(([name]) => name !== 'resource'))
}

function judgeEntries(bundle: JsonObject): string[] {
  return asArray(bundle['entry']).flatMap((entry, index) => {
    const { resource } = asObject(entry)
    if (resource === undefined) return []
    if (!isObject(resource)) return [`own: entry[${index}].resource: not an object`]
    return judgeResource(`entry[${index}].`, resource)
  })
}

const DATE = /^\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?$/
const TIME = /^([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(Z|[+-]\d\d:\d\d)$/

/** A year, a month, a day, or a day with a time and its zone. */
function isDateTime(text: string): boolean {
  const [date = '', ...time] = text.split('T')
  if (time.length === 0) return DATE.test(date)
  return DATE.test(date) && date.length === 10 && TIME.test(time.join('T'))
}

/** Neither library looks at the dateTime of a choice such as `effective[x]`. */
function badDateTimes(bundle: unknown): string[] {
  const found: string[] = []
  walk(bundle, (value, key, path) => {
    if (!/^[a-z]\w*DateTime$/.test(key) || typeof value !== 'string') return
    if (!isDateTime(value)) found.push(`${path}: not a FHIR dateTime`)
  })
  return found
}

/** Two public validators and, where both are blind, a few checks of our own. */
export function judgeFhir(bundle: unknown): FhirVerdict {
  if (!isObject(bundle)) return { problems: ['own: the bundle is not an object'], deviations: [] }
  const prepared = prepareBundle(bundle)
  const own = [...badBase64(bundle), ...badDateTimes(bundle)].map((problem) => `own: ${problem}`)
  const carried = prepared.carriers.flatMap(({ path, resource }) => judgeResource(`${path} in `, resource))
  const problems = [
    ...own,
    ...judgeResource('', shell(prepared.bundle)),
    ...judgeEntries(prepared.bundle),
    ...carried,
  ]
  if (bundle['resourceType'] !== 'Bundle') problems.push(`own: a Bundle is expected, not ${typeName(bundle)}`)
  return { problems, deviations: prepared.deviations }
}
