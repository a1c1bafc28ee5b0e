import { asArray, asObject, walk, type JsonObject } from './json'

const EVENT_BASE = 'https://fhir.redoxengine.com/EventDefinition/'

/** Main resource type of each event. Redox's create operations accept no other events. */
const MAIN_TYPE: Record<string, string> = {
  DiagnosticReportCreate: 'DiagnosticReport',
  DiagnosticReportAmend: 'DiagnosticReport',
  ObservationCreate: 'Observation',
  ObservationUpdate: 'Observation',
  DocumentReferenceCreate: 'DocumentReference',
}

/** Elements of type Attachment in the resources that carry files. */
const ATTACHMENT_KEYS = new Set(['presentedForm', 'attachment'])

function resources(bundle: JsonObject): JsonObject[] {
  return asArray(bundle['entry']).map((entry) => asObject(asObject(entry)['resource']))
}

/** All reference strings under which an entry of the bundle can be found, with the entry's resource type. */
function targets(bundle: JsonObject): Map<string, string> {
  const found = new Map<string, string>()
  for (const entry of asArray(bundle['entry']).map(asObject)) {
    const resource = asObject(entry['resource'])
    const type = String(resource['resourceType'])
    if (typeof entry['fullUrl'] === 'string') found.set(entry['fullUrl'], type)
    if (typeof resource['id'] === 'string') found.set(`${type}/${resource['id']}`, type)
  }
  return found
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

function headerProblems(bundle: JsonObject): string[] {
  const header = resources(bundle)[0] ?? {}
  if (header['resourceType'] !== 'MessageHeader') return ['entry[0]: a message begins with its MessageHeader']
  const problems: string[] = []
  const eventUri = String(header['eventUri'])
  const type = eventUri.startsWith(EVENT_BASE) ? MAIN_TYPE[eventUri.slice(EVENT_BASE.length)] : undefined
  if (!type) problems.push(`MessageHeader.eventUri: unknown to Redox: ${eventUri}`)
  if (!isText(asObject(header['source'])['endpoint'])) problems.push('MessageHeader.source.endpoint: missing')
  return [...problems, ...focusProblems(bundle, header, type)]
}

function focusProblems(bundle: JsonObject, header: JsonObject, type: string | undefined): string[] {
  const focus = asArray(header['focus'])
  if (focus.length === 0) return ['MessageHeader.focus: missing']
  const known = targets(bundle)
  return focus.flatMap((item, index) => {
    const reference = String(asObject(item)['reference'])
    const found = known.get(reference)
    if (!found) return [`MessageHeader.focus[${index}]: no entry is ${reference}`]
    return type && found !== type ? [`MessageHeader.focus[${index}]: ${found} instead of ${type}`] : []
  })
}

/** Problems of references. A urn:uuid reference is valid only inside its bundle, so the entry must exist there. */
function referenceProblems(bundle: JsonObject): string[] {
  const known = targets(bundle)
  const problems: string[] = []
  walk(bundle, (value, key, path) => {
    if (key !== 'reference' || typeof value !== 'string' || !value.startsWith('urn:uuid:')) return
    if (!known.has(value)) problems.push(`${path}: no entry is ${value}`)
  })
  return problems
}

function attachmentProblems(bundle: JsonObject): string[] {
  const problems: string[] = []
  walk(bundle, (value, key, path) => {
    if (!ATTACHMENT_KEYS.has(key) || Array.isArray(value)) return
    const attachment = asObject(value)
    if (!isText(attachment['contentType'])) problems.push(`${path}: contentType is missing`)
    if (isText(attachment['data']) === isText(attachment['url']))
      problems.push(`${path}: needs either data or url`)
  })
  return problems
}

/** Violations of Redox's own rules for the body of a create operation, which go beyond FHIR. */
export function judgeRedoxMessage(bundle: unknown): string[] {
  const message = asObject(bundle)
  const problems = message['type'] === 'message' ? [] : ['Bundle.type: must be message']
  if (!resources(message).some((resource) => resource['resourceType'] === 'Patient')) {
    problems.push('Bundle.entry: no Patient')
  }
  return [
    ...problems,
    ...headerProblems(message),
    ...referenceProblems(message),
    ...attachmentProblems(message),
  ]
}
