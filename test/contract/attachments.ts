import { asArray, asObject, copyWith, isObject, walk, type JsonObject } from './json'

/** Length in characters to which base64 data is shortened: a multiple of 4, far below Medplum's limit of 1 MB. */
const KEPT_CHARACTERS = 4096

/** Bundle in which the base64 data of files is shortened, because some validators are slow with large files. */
export interface PreparedBundle {
  bundle: JsonObject
  /** resources that contain the attachments which were taken out of the bundle; `path`: original path in the bundle */
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
 * Returns true for FHIR types whose `data` is base64: Attachment, Binary and Signature. In SampledData, which is
 * recognized by its element `origin`, `data` contains numbers.
 */
function hasBase64Data(value: unknown): value is JsonObject & { data: unknown } {
  return isObject(value) && 'data' in value && !('origin' in value)
}

/** Paths of all `data` elements that are not canonical base64. The public validators find only some of these faults. */
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

/** Valid DiagnosticReport that contains nothing but the attachments of an Observation. */
function carrier(presentedForm: unknown): JsonObject {
  return { resourceType: 'DiagnosticReport', status: 'final', code: { text: 'carrier' }, presentedForm }
}

/**
 * Copies a bundle with shortened data and without `Observation.presentedForm`. Redox documents this element, but FHIR
 * does not have it, so its attachments are moved into additional DiagnosticReports ({@link PreparedBundle}).
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
