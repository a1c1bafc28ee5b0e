import { isBlank } from './fields'
import { getAt, isObject, type Json, type JsonObject } from './json'

/** Parsed FHIR R4 reference (hl7.org/fhir/R4/references.html). */
export interface Reference {
  /** resource type, e.g. `Patient`; undefined for a URN, a contained resource, and a URL that is not RESTful */
  type?: string
  id?: string
  /** version id of a version-specific reference */
  version?: string
  /** absolute URL or URN, without the version */
  url?: string
  /** id of a resource that is contained in the referring resource */
  contained?: string
}

const RESTFUL = /^(.*?\/)?([A-Z][A-Za-z]+)\/([A-Za-z0-9\-.]{1,64})(?:\/_history\/([A-Za-z0-9\-.]{1,64}))?$/

/** Parses a FHIR reference; undefined for any other string, such as a search (`Patient?identifier=…`). */
export function parseReference(text: string): Reference | undefined {
  if (text.startsWith('#')) return { contained: text.slice(1) }
  if (/^urn:/i.test(text)) return { url: text }
  const isAbsolute = /^[a-z][a-z0-9+.-]*:\/\//i.test(text)
  const match = RESTFUL.exec(text)
  if (match === null) return isAbsolute ? { url: text } : undefined
  const [, base, type = '', id = '', version] = match
  if (base !== undefined && !isAbsolute) return undefined
  return {
    type,
    id,
    ...(version !== undefined && { version }),
    ...(base !== undefined && { url: `${base}${type}/${id}` }),
  }
}

export const resourceOf = (entry: JsonObject): JsonObject => entry.resource as JsonObject

/**
 * Bundle entries that a reference can refer to: none, one, or several if the reference is ambiguous.
 * @param from resource that contains the reference; a relative reference is first resolved against the server in the
 *   fullUrl of this resource
 */
export function entriesOf(entries: JsonObject[], reference: Reference, from?: JsonObject): JsonObject[] {
  if (reference.contained !== undefined) return []
  const base = from && baseOf(entries.find((entry) => resourceOf(entry) === from)?.fullUrl)
  if (base !== undefined && reference.url === undefined) {
    const url = `${base}${String(reference.type)}/${String(reference.id)}`
    const there = entriesOf(entries, { ...reference, url }).filter(({ fullUrl }) => isSameUrl(fullUrl, url))
    if (there.length > 0) return there
  }
  const found = entries.filter(
    (entry) => isTarget(entry, reference) && isVersion(resourceOf(entry), reference),
  )
  const exact = found.filter(
    ({ fullUrl }) => reference.url !== undefined && isSameUrl(fullUrl, reference.url),
  )
  return exact.length > 0 ? exact : found
}

/** Base URL of the server in a resource's fullUrl, e.g. `https://ehr.example/fhir/`. */
const baseOf = (fullUrl: Json | undefined): string | undefined =>
  typeof fullUrl === 'string' && /^https?:/i.test(fullUrl) ? RESTFUL.exec(fullUrl)?.[1] : undefined

/** Identifier in a conditional reference such as `Patient?identifier=urn:mr|5`; undefined for any other string. */
export function searchedIdentifier(text: string): JsonObject | undefined {
  const [, escaped = ''] = /^Patient\?identifier=([^&]+)$/.exec(text) ?? []
  const token = decoded(escaped)
  if (!token.includes('|')) return undefined
  const [system = '', value = ''] = token.split('|')
  return value === '' ? undefined : { ...(system !== '' && { system }), value }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function isTarget(entry: JsonObject, { type, id, url }: Reference): boolean {
  const { resourceType, id: ownId } = resourceOf(entry)
  const fullUrl = typeof entry.fullUrl === 'string' ? entry.fullUrl : undefined
  if (url !== undefined) {
    if (fullUrl !== undefined) return isSameUrl(fullUrl, url)
    // An entry without a fullUrl is identified by its id.
    if (type === undefined) return !isBlank(ownId) && isSameUrl(`urn:uuid:${String(ownId)}`, url)
  }
  if (resourceType !== type) return false
  return ownId === id || (isBlank(ownId) && fullUrl?.endsWith(`/${String(type)}/${String(id)}`) === true)
}

const isVersion = (resource: JsonObject, { version }: Reference): boolean => {
  const own = getAt(resource, ['meta', 'versionId'])
  return version === undefined || isBlank(own) || own === version
}

const isSameUrl = (one: Json | undefined, other: string): boolean =>
  one === other ||
  (typeof one === 'string' && /^urn:uuid:/i.test(one) && one.toLowerCase() === other.toLowerCase())

/** Contained resource to which a reference of the form `#id` refers. */
export const containedIn = (resource: JsonObject, id: string): JsonObject | undefined =>
  (Array.isArray(resource.contained) ? resource.contained : []).find(
    (one): one is JsonObject => isObject(one) && one.id === id,
  )
