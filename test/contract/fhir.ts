import { Fhir } from 'fhir'
import { Severities } from 'fhir/validator'
import * as solara from '@solarahealth/fhir-r4'
import { badBase64, prepareBundle } from './attachments'
import { asArray, asObject, isObject, pathText, walk, type JsonObject } from './json'

export interface FhirVerdict {
  /** problems, each with the prefix of the validator that found it (`fhir:`, `solara:` or `own:`) */
  problems: string[]
  /** deviations from FHIR that Redox requires */
  deviations: string[]
}

/** Part of the type of a zod schema that this file uses. */
interface Schema {
  safeParse(value: unknown): { error?: { issues: { path: PropertyKey[]; message: string }[] } }
}

type Judge = (resource: JsonObject) => string[]

const schemas = solara as unknown as Record<string, (() => Schema) | undefined>
const fhir = new Fhir()

/** Errors that the library `fhir` reports. Its warnings and hints concern value sets that the library does not have. */
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

/**
 * Problems of a resource that both libraries find, each with the library's name as a prefix. An exception of a library
 * (`fhir` throws for null) is also a problem.
 */
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

/** Bundle without the resources of its entries. These are checked one by one, so that the reported paths are exact. */
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

/** Returns true for a year, a month, a day, or a day with time and zone. */
function isDateTime(text: string): boolean {
  const [date = '', ...time] = text.split('T')
  if (time.length === 0) return DATE.test(date)
  return DATE.test(date) && date.length === 10 && TIME.test(time.join('T'))
}

/** Invalid dateTime values of choice elements such as `effective[x]`, which neither library checks. */
function badDateTimes(bundle: unknown): string[] {
  const found: string[] = []
  walk(bundle, (value, key, path) => {
    if (!/^[a-z]\w*DateTime$/.test(key) || typeof value !== 'string') return
    if (!isDateTime(value)) found.push(`${path}: not a FHIR dateTime`)
  })
  return found
}

/** Result of two public validators, and of a few checks of our own for faults that both validators miss. */
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
