import { asArray, asObject, copyWith, isObject, walk, type JsonObject } from './json'

/** Length of shortened data in characters: whole base64 groups, far below Medplum's limit of 1 MB. */
const KEPT_CHARACTERS = 4096

/** Bundle in a smaller form for the slow validators. */
export interface PreparedBundle {
  bundle: JsonObject
  /** resources that carry the attachments taken out of the bundle, with the original paths */
  carriers: { path: string; resource: JsonObject }[]
  deviations: string[]
}

/**
 * Returns true if the text is canonical base64: standard alphabet and padding, and encoding the decoded bytes gives
 * the same text.
 */
export function isCanonicalBase64(text: string): boolean {
  return text.length % 4 === 0 && Buffer.from(text, 'base64').toString('base64') === text
}

/**
 * Returns true for types with base64 in `data`: Attachment, Binary and Signature. SampledData, recognized by its
 * origin, has numbers there.
 */
function hasBase64Data(value: unknown): value is JsonObject & { data: unknown } {
  return isObject(value) && 'data' in value && !('origin' in value)
}

/** Paths of all `data` that are not canonical base64. The public validators find only some of these. */
export function badBase64(bundle: unknown): string[] {
  const found: string[] = []
  walk(bundle, (value, _key, path) => {
    if (!hasBase64Data(value)) return
    const good = typeof value.data === 'string' && isCanonicalBase64(value.data)
    if (!good) found.push(`${path}.data: not canonical base64`)
  })
  return found
}

/**
 * Copy of an element with its data shortened. Non-canonical data stay unchanged, because shortening could remove the
 * fault.
 */
function shortened(value: unknown): unknown {
  if (!hasBase64Data(value) || typeof value.data !== 'string') return value
  if (value.data.length <= KEPT_CHARACTERS || !isCanonicalBase64(value.data)) return value
  return { ...value, data: value.data.slice(0, KEPT_CHARACTERS) }
}

/** Valid report that carries only the attachments of an Observation. */
function carrier(presentedForm: unknown): JsonObject {
  return { resourceType: 'DiagnosticReport', status: 'final', code: { text: 'carrier' }, presentedForm }
}

/**
 * Copies a bundle with shortened data and without `Observation.presentedForm`. Redox documents this element but FHIR
 * does not have it, so its attachments are moved into carriers.
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
