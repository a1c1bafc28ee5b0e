/** Create, amend and update operations of the FHIR API that carry files (docs/redox-api.md#fhir-api). */
import { randomUUID } from 'node:crypto'
import { newDelivery } from './deliveries'
import { present } from './present'
import {
  isObject,
  isUuid,
  mediaType,
  notSimulated,
  objectOf,
  objectsOf,
  parseJson,
  readBody,
  Refusal,
  textOf,
} from './http'
import type { SandboxAnswer, SandboxRequest, JsonRecord, RequestProblem } from './http'
import { attachmentsIn, fileIn, shortenFiles, objectsIn } from './fhir-attachments'
import type { Report } from './fhir-attachments'
import { oneLine, safeHeaders } from './inbox'
import type { ReceivedFile, Inbox } from './inbox'
import type { Profile } from './profiles'
import { sourceOf } from './tokens'
import type { Grant } from './tokens'
import type { Uploads } from './uploads'

const EVENT_DEFINITION = 'https://fhir.redoxengine.com/EventDefinition/'
const ENVIRONMENTS = ['Development', 'Staging', 'Production']
const SLUG = /^[a-z0-9]+([_-][a-z0-9]+)*$/i
/** Slug of Redox's FHIR sandbox, which is a destination (docs/redox-api.md#fhir-sandbox). */
const FHIR_SANDBOX = 'redox-fhir-sandbox'
/** Form of references that can refer only to an entry of the Bundle. */
const BUNDLE_REFERENCE = /^urn:uuid:/
/**
 * Form of references to resources at the destination, to contained resources, and to resources on other servers, and of
 * conditional references.
 */
const OTHER_REFERENCE =
  /^([A-Z][A-Za-z]+(\/[A-Za-z0-9.-]{1,64}(\/_history\/[A-Za-z0-9.-]{1,64})?|\?\S+)$|https?:\/\/|urn:oid:|#)/

const OBSERVATION_STATUS = ['registered', 'preliminary', 'final', 'amended', 'corrected', 'cancelled']
/** Allowed values of `status` in FHIR R4, by resource type. The binding of these value sets is "required". */
const STATUS = new Map([
  ['DiagnosticReport', [...OBSERVATION_STATUS, 'partial', 'appended', 'entered-in-error', 'unknown']],
  ['Observation', [...OBSERVATION_STATUS, 'entered-in-error', 'unknown']],
  ['DocumentReference', ['current', 'superseded', 'entered-in-error']],
])

/**
 * Events that the MessageHeader has to name, by operation: `{ResourceType}/{$operation}` of the path
 * (docs/redox-api.md#fhir-operations).
 */
const OBSERVATION_CREATE = 'Observation/$observation-create'
const EVENTS = new Map([
  ['DiagnosticReport/$diagnosticreport-create', 'DiagnosticReportCreate'],
  ['DiagnosticReport/$diagnosticreport-amend', 'DiagnosticReportAmend'],
  [OBSERVATION_CREATE, 'ObservationCreate'],
  ['Observation/$observation-update', 'ObservationUpdate'],
  ['DocumentReference/$documentreference-create', 'DocumentReferenceCreate'],
])

/** Entry of the Bundle that has a resource. */
interface BundleEntry {
  resource: JsonRecord
  type: string
  /** Path of the resource in the Bundle: `entry[1].resource`. */
  path: string
  /** Names by which references may refer to the entry: its fullUrl and `Type/id`. */
  names: string[]
}

/** Builds the error body of the FHIR API (docs/redox-api.md#fhir-answers). */
export const operationOutcome = (refusal: Refusal): JsonRecord => ({
  resourceType: 'OperationOutcome',
  issue: refusal.problems.map(({ text, path, code }) => ({
    severity: 'error',
    code: code ?? 'invalid',
    details: { text },
    ...(path !== undefined && { diagnostics: `${path}: ${text}`, expression: [`Bundle.${path}`] }),
  })),
})

/**
 * Refuses a FHIR path whose slug or environment does not exist (docs/redox-api.md#fhir-urls). The slug `redox` is for
 * uploads only.
 */
export function checkAddress(slug: string, environment: string, forUpload: boolean): void {
  const slugFits = forUpload ? slug === 'redox' : slug !== 'redox' && SLUG.test(slug) && !isUuid(slug)
  if (!slugFits) throw notFound('Destination not found')
  if (!ENVIRONMENTS.includes(environment)) throw notFound('Environment not found')
}

const notFound = (text: string): Refusal => new Refusal(404, [{ text, code: 'not-found' }])

/**
 * Handles `POST /fhir/R4/{slug}/{Environment}/{Type}/{$operation}`. `params` contains slug, environment, and type with
 * operation.
 */
export async function receiveOperation(
  call: SandboxRequest,
  grant: Grant,
  uploads: Uploads,
  inbox: Inbox,
): Promise<SandboxAnswer> {
  const { request, origin, path, profile } = call
  const [slug, environment, operation] = call.params as [string, string, string]
  checkAddress(slug, environment, false)
  const event = EVENTS.get(operation)
  if (!event) throw notSimulated('This operation is')
  const source = sourceOf(grant, request)
  const headerOptional = operation === OBSERVATION_CREATE && slug === FHIR_SANDBOX
  const types = ['application/fhir+json', 'application/json', ...(headerOptional ? [''] : [])]
  if (!types.includes(mediaType(request))) {
    throw new Refusal(400, 'application/fhir+json content-type required')
  }
  const bundle = parseJson(await readBody(request, profile.limits.request))
  const [mainType = ''] = operation.split('/')
  const rule = { mainType, event, headerOptional, profile }
  const { entries, files } = checkBundleMessage(bundle, rule, uploads, source)
  const withBundle =
    profile.fhirAnswer === 'bundle' || (profile.fhirAnswer === 'by-destination' && slug === FHIR_SANDBOX)
  const locations = withBundle ? locationsOf(entries, origin) : []
  const main = mainOf(entries, mainType)
  const delivered = shortenFiles(bundle, files)
  const received = {
    api: 'fhir' as const,
    operation,
    environment,
    destinations: [slug],
    source,
    logIds: [],
    // The answer names no log; a search by the Platform API finds it (docs/redox-api.md#delivery-status).
    deliveries: [newDelivery(slug, randomUUID())],
    locations,
    request: { method: 'POST', path, headers: safeHeaders(request), body: bundle },
    delivered,
    files,
    patient: patientLine(entries, main),
    document: documentLine(main, files),
    ...(call.fault !== undefined && { fault: call.fault }),
  }
  inbox.add(received, call.terms)
  const headers = {
    ...(profile.traceHeader && { 'redox-trace-id': randomUUID() }),
    ...(profile.rateHeader && { 'x-ratelimit-limit': '7500' }),
  }
  return { status: 200, headers, body: answerBody(profile, locations) }
}

const locationsOf = (entries: BundleEntry[], origin: string): string[] =>
  entries
    .filter(({ type }) => type !== 'MessageHeader')
    .map(({ type }) => `${origin}/fhir-sandbox/${type}/${randomUUID()}/_history/1`)

/**
 * Builds the response's body. Redox writes to an EHR asynchronously: only the FHIR sandbox returns the created
 * resources, other destinations respond with 200 and an empty body (docs/redox-api.md#fhir-answers).
 */
function answerBody({ fhirAnswer }: Profile, locations: string[]): JsonRecord | '' {
  if (fhirAnswer === 'object') return {}
  if (fhirAnswer === 'other') return { accepted: true }
  if (fhirAnswer === 'outcome') {
    const issue = [{ severity: 'information', code: 'informational', details: { text: 'Accepted' } }]
    return { resourceType: 'OperationOutcome', issue }
  }
  if (locations.length === 0) return ''
  const entry = locations.map((location) => ({ response: { status: '201 Created', location } }))
  return { resourceType: 'Bundle', type: 'transaction-response', entry }
}

// ---- The checks ---------------------------------------------------------------------------------------

/** Rules for checking a Bundle. */
interface BundleRule {
  mainType: string
  event: string
  /**
   * True if Bundle type and MessageHeader may be missing (docs/redox-api.md#leniency). If present, both have to be
   * valid.
   */
  headerOptional: boolean
  profile: Profile
}

/** Checks a message Bundle and collects all its problems (docs/redox-api.md#message-bundle). */
function checkBundleMessage(
  bundle: JsonRecord,
  { mainType, event, headerOptional, profile }: BundleRule,
  uploads: Uploads,
  source: string,
): { entries: BundleEntry[]; files: ReceivedFile[] } {
  const problems: RequestProblem[] = []
  const report: Report = (path, text, code = 'invalid') => problems.push({ path, text, code })
  const entries = checkBundle(bundle, headerOptional, report)
  const hasHeader = entries.some(({ type }) => type === 'MessageHeader')
  if (hasHeader || !headerOptional) checkHeader(entries, mainType, event, report)
  if (!entries.some(({ type }) => type === mainType)) {
    report('entry', `${mainType} entry is required`, 'required')
  }
  checkHasPatient(entries, mainType, profile, report)
  for (const entry of entries) {
    if (entry.type === 'Patient') checkPatient(entry, report)
    if (STATUS.has(entry.type)) checkClinical(entry, report)
    checkReferences(entry, entries, report)
  }
  const files = attachmentsIn(bundle).flatMap((found) => fileIn(found, uploads, source, report))
  if (mainType === 'Observation') for (const { place } of files) checkPlace(place, entries, profile, report)
  if (problems.length > 0) throw new Refusal(400, problems)
  return { entries, files }
}

function checkHasPatient(
  entries: BundleEntry[],
  mainType: string,
  { needsPatientEntry }: Profile,
  report: Report,
): void {
  if (entries.some(({ type }) => type === 'Patient')) return
  if (needsPatientEntry) report('entry', 'Patient entry is required', 'required')
  else if (!entries.some((entry) => entry.type === mainType && namesSubject(entry))) {
    report(
      'entry',
      `Patient entry, or a ${mainType} whose subject names the patient, is required`,
      'required',
    )
  }
}

/** Checks that the profile takes a file of an Observation message at a path such as `entry[1].resource.photo[0]`. */
function checkPlace(
  place: string,
  entries: BundleEntry[],
  { observationPlaces }: Profile,
  report: Report,
): void {
  const entry = entries.find(({ path }) => place.startsWith(`${path}.`))
  const element = place.slice((entry?.path.length ?? 0) + 1).replace(/\W.*$/, '')
  const found = entry?.type === 'Observation' ? element : entry?.type
  if (observationPlaces.some((one) => one === found)) return
  report(place, 'A file is not supported in this place', 'not-supported')
}

/**
 * Returns true if the subject identifies the patient: by a reference to a resource at the destination, or by an
 * identifier (docs/redox-api.md#leniency).
 */
function namesSubject({ resource }: BundleEntry): boolean {
  const { reference, identifier } = objectOf(resource['subject'])
  return (textOf(reference) ?? textOf(objectOf(identifier)['value'])) !== undefined
}

function checkBundle(bundle: JsonRecord, isBare: boolean, report: Report): BundleEntry[] {
  const { resourceType, type: bundleType } = bundle
  if (resourceType !== 'Bundle') report('resourceType', 'Resource must be a Bundle', 'structure')
  if (bundleType !== 'message' && !(isBare && bundleType === undefined)) {
    report('type', 'Bundle type must be message', 'value')
  }
  const list = Array.isArray(bundle['entry']) ? bundle['entry'].map(objectOf) : []
  if (list.length === 0) report('entry', 'Bundle must have entries', 'required')
  const fullUrls = new Set<unknown>()
  return list.flatMap(({ resource, fullUrl }, index) => {
    const path = `entry[${index}]`
    if (fullUrl !== undefined) checkFullUrl(fullUrl, fullUrls, `${path}.fullUrl`, report)
    const type = textOf(objectOf(resource)['resourceType'])
    if (!isObject(resource) || !type) {
      report(`${path}.resource`, 'Entry must have a resource', 'required')
      return []
    }
    const id = textOf(resource['id'])
    const names = [textOf(fullUrl), id && `${type}/${id}`].filter((name) => name !== undefined)
    return [{ resource, type, path: `${path}.resource`, names }]
  })
}

function checkFullUrl(fullUrl: unknown, seen: Set<unknown>, path: string, report: Report): void {
  if (seen.has(fullUrl)) report(path, 'fullUrl must be unique', 'duplicate')
  seen.add(fullUrl)
  const url = textOf(fullUrl) ?? ''
  const isAbsolute = url.startsWith('urn:uuid:') ? isUuid(url.slice(9)) : /^(https?:\/\/|urn:oid:)./.test(url)
  if (!isAbsolute) report(path, 'fullUrl must be absolute', 'value')
}

function checkHeader(entries: BundleEntry[], mainType: string, event: string, report: Report): void {
  const [header] = entries
  if (header?.type !== 'MessageHeader' || header.path !== 'entry[0].resource') {
    report('entry[0].resource', 'First entry must be a MessageHeader', 'structure')
    return
  }
  const { resource, path } = header
  if (resource['eventUri'] !== EVENT_DEFINITION + event) {
    report(`${path}.eventUri`, 'eventUri does not match the operation', 'value')
  }
  const { endpoint, _endpoint } = objectOf(resource['source'])
  if (!textOf(endpoint) && !isExtended(_endpoint)) {
    report(`${path}.source.endpoint`, 'source.endpoint is required', 'required')
  }
  const focus = textOf(objectsOf(resource['focus'])[0]?.['reference'])
  if (!focus) report(`${path}.focus`, 'focus is required', 'required')
  else if (!entries.some(({ type, names }) => type === mainType && names.includes(focus))) {
    report(`${path}.focus[0].reference`, `focus must be the ${mainType} of the Bundle`, 'value')
  }
}

function checkPatient({ resource, path }: BundleEntry, report: Report): void {
  const identifiers = objectsOf(resource['identifier'])
  if (identifiers.length === 0) report(`${path}.identifier`, 'Patient identifier is required', 'required')
  identifiers.forEach((identifier, index) => {
    if (!textOf(identifier['value'])) {
      report(`${path}.identifier[${index}].value`, 'identifier value is required', 'required')
    }
  })
}

const isExtended = (element: unknown): boolean => objectsOf(objectOf(element)['extension']).length > 0

function checkClinical({ resource, type, path }: BundleEntry, report: Report): void {
  const { status, _status, code, content, presentedForm } = resource
  // In FHIR an extension, such as data-absent-reason, can replace a value.
  const isAbsent = (status ?? null) === null && isExtended(_status)
  if (!isAbsent && !textOf(status)) report(`${path}.status`, 'status is required', 'required')
  else if (!isAbsent && !present(STATUS.get(type), 'the value set of a status').includes(status as string)) {
    report(`${path}.status`, `status is not in the value set of ${type}`, 'code-invalid')
  }
  if (type === 'DocumentReference') {
    if (!Array.isArray(content) || content.length === 0) {
      report(`${path}.content`, 'content is required', 'required')
    }
    objectsOf(content).forEach((item, index) => {
      if (isObject(item['attachment'])) return
      report(`${path}.content[${index}].attachment`, 'attachment is required', 'required')
    })
    return
  }
  const { text, _text, coding } = objectOf(code)
  const isCoded = objectsOf(coding).some(
    (one) => textOf(one['code']) !== undefined || isExtended(one['_code']) || isExtended(one),
  )
  if (!isCoded && !textOf(text) && !isExtended(_text) && !isExtended(code)) {
    report(`${path}.code`, 'code with coding or text is required', 'required')
  }
  if (presentedForm !== undefined && !Array.isArray(presentedForm)) {
    report(`${path}.presentedForm`, 'presentedForm must be an array', 'structure')
  }
}

function checkReferences({ resource, path }: BundleEntry, entries: BundleEntry[], report: Report): void {
  for (const found of objectsIn(resource, path)) {
    const { reference } = found.element
    if (reference === undefined || entries.some(({ names }) => names.includes(reference as string))) continue
    const where = `${found.path}.reference`
    if (typeof reference !== 'string') report(where, 'reference must be a string', 'structure')
    else if (BUNDLE_REFERENCE.test(reference)) report(where, 'reference is not in the Bundle', 'not-found')
    else if (!OTHER_REFERENCE.test(reference)) report(where, 'reference is malformed', 'value')
  }
}

// ---- Lines for an inbox -------------------------------------------------------------------------------

/**
 * Returns the main resource of the message: the resource in `MessageHeader.focus`; otherwise the first resource of the
 * operation's type.
 */
function mainOf(entries: BundleEntry[], mainType: string): JsonRecord {
  const ofType = entries.filter(({ type }) => type === mainType)
  const header = objectOf(entries.find(({ type }) => type === 'MessageHeader')?.resource)
  const focus = objectsOf(header['focus'])[0]?.['reference'] as string
  return objectOf((ofType.find(({ names }) => names.includes(focus)) ?? ofType[0])?.resource)
}

/**
 * Returns one line that describes the patient: the subject of the main resource. If the Bundle has no Patient resource
 * for the subject, the line is built from the subject's reference, identifier and display text.
 */
function patientLine(entries: BundleEntry[], main: JsonRecord): string {
  const { reference, display, identifier: id } = objectOf(main['subject'])
  const patients = entries.filter(({ type }) => type === 'Patient')
  const named = patients.find(({ names }) => names.includes(reference as string))
  const isElsewhere = !named && (textOf(reference) ?? textOf(objectOf(id)['value'])) !== undefined
  if (isElsewhere) return oneLine(reference, display, objectOf(id)['value'])
  const patient = objectOf((named ?? patients[0])?.resource)
  const [name, identifier] = [objectsOf(patient['name'])[0], objectsOf(patient['identifier'])[0]]
  const given = Array.isArray(name?.['given']) ? name['given'] : []
  const fullName = [name?.['family'], given.join(' ')].filter(Boolean).join(', ')
  return oneLine(fullName, patient['birthDate'], identifier?.['value'])
}

function documentLine({ code, type, description }: JsonRecord, files: ReceivedFile[]): string {
  const concept = objectOf(code ?? type)
  const coding = objectsOf(concept['coding'])[0]
  const label = concept['text'] ?? coding?.['display'] ?? coding?.['code']
  return oneLine(...new Set([label, description, ...files.map(({ name }) => name)]))
}
