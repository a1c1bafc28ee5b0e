import { asArray, asObject, copyWith, isObject, walk, type JsonObject } from './json'

/** Shortened data keep this many characters: whole base64 groups, far below medplum's limit of 1 MB. */
const KEPT_CHARACTERS = 4096

/** What the slow validators get to see instead of the original bundle. */
export interface PreparedBundle {
  bundle: JsonObject
  /** Stand-ins that carry what was taken out of the bundle, with the place it came from. */
  carriers: { path: string; resource: JsonObject }[]
  deviations: string[]
}

/** Standard alphabet, padded, nothing else: what decodes and encodes to the very same text. */
export function isCanonicalBase64(text: string): boolean {
  return text.length % 4 === 0 && Buffer.from(text, 'base64').toString('base64') === text
}

/** Attachment, Binary and Signature have base64 in `data`; SampledData, known by its origin, has numbers. */
function hasBase64Data(value: unknown): value is JsonObject & { data: unknown } {
  return isObject(value) && 'data' in value && !('origin' in value)
}

/** All places where `data` is not canonical base64. The public validators see only some of these. */
export function badBase64(bundle: unknown): string[] {
  const found: string[] = []
  walk(bundle, (value, _key, path) => {
    if (!hasBase64Data(value)) return
    const good = typeof value.data === 'string' && isCanonicalBase64(value.data)
    if (!good) found.push(`${path}.data: not canonical base64`)
  })
  return found
}

/** Data that are not canonical stay as they are: shortening could cut the fault away. */
function shortened(value: unknown): unknown {
  if (!hasBase64Data(value) || typeof value.data !== 'string') return value
  if (value.data.length <= KEPT_CHARACTERS || !isCanonicalBase64(value.data)) return value
  return { ...value, data: value.data.slice(0, KEPT_CHARACTERS) }
}

/** A valid report that does nothing but carry the attachments of an Observation. */
function carrier(presentedForm: unknown): JsonObject {
  return { resourceType: 'DiagnosticReport', status: 'final', code: { text: 'carrier' }, presentedForm }
}

/**
 * Copies a bundle with two changes: long data are shortened, and `Observation.presentedForm` is taken out.
 * FHIR has no such element, Redox documents it nevertheless; its attachments come back in carriers.
 */
export function prepareBundle(original: unknown): PreparedBundle {
  const bundle = asObject(copyWith(original, shortened))
  const prepared: PreparedBundle = { bundle, carriers: [], deviations: [] }
  asArray(bundle['entry']).forEach((entry, index) => {
    const resource = asObject(asObject(entry)['resource'])
    if (resource['resourceType'] !== 'Observation' || !('presentedForm' in resource)) return
    const path = `entry[${index}].Observation.presentedForm`
    prepared.deviations.push(`${path}: not in FHIR R4, an element of Redox`)
    prepared.carriers.push({ path, resource: carrier(resource['presentedForm']) })
    delete resource['presentedForm']
  })
  return prepared
}
