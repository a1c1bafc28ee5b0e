import { randomUUID } from 'node:crypto'
import { badInput, type Problem } from '../errors'
import { attachmentPaths, parsePlace, type AttachmentPlace } from './attachment-place'
import { fieldValue, type FieldValue, type Sender } from './datamodel'
import { BUNDLE_SCHEMA, RESOURCE_SCHEMAS } from './fhir-schemas'
import {
  asText,
  copyJson,
  formatPath,
  getAt,
  isObject,
  fieldPath,
  setAt,
  type Json,
  type JsonObject,
  type Path,
} from './json'
import { checked, type Draft, type PlacedFile, type PreparedMessage } from './prepared'
import { problemsOf } from './problems'

interface Operation {
  /** the resource that the message is about */
  type: 'DiagnosticReport' | 'Observation' | 'DocumentReference'
  /** last part of the MessageHeader's `eventUri` (facts 3.2) */
  event: string
  /** where the files go unless the node says otherwise (facts 3.2, 9.2) */
  place: string
  /** `status` when neither the form nor the data gives one */
  status: string
}

/** Redox's FHIR operations that carry files (facts 3.2). */
export const FHIR_OPERATIONS = {
  'DiagnosticReport/$diagnosticreport-create': {
    type: 'DiagnosticReport',
    event: 'DiagnosticReportCreate',
    place: 'presentedForm[]',
    status: 'final',
  },
  'DiagnosticReport/$diagnosticreport-amend': {
    type: 'DiagnosticReport',
    event: 'DiagnosticReportAmend',
    place: 'presentedForm[]',
    status: 'amended',
  },
  'Observation/$observation-create': {
    type: 'Observation',
    event: 'ObservationCreate',
    place: 'presentedForm[]',
    status: 'final',
  },
  'DocumentReference/$documentreference-create': {
    type: 'DocumentReference',
    event: 'DocumentReferenceCreate',
    place: 'content[].attachment',
    status: 'current',
  },
} satisfies Record<string, Operation>

export type FhirOperation = keyof typeof FHIR_OPERATIONS

export interface FhirInput {
  operation: FhirOperation
  /** destination slug (facts 3.1) */
  slug: string
  /** a Bundle, one resource, or an array of resources; may be left out when the fields say enough */
  data?: unknown
  /** paths begin with `main` (the resource the message is about) or `Patient`, e.g. `main.code.coding[0].code` */
  fields: FieldValue[]
  files: PlacedFile[]
  /** see {@link AttachmentPlace}; empty: the documented one */
  place?: string
  now: Date
}

export interface FhirSender extends Sender {
  /** `https://api.redoxengine.com/fhir/R4` of this connection */
  fhirBase: string
  /** `Development`, `Staging`, `Production` as a URL segment */
  environment: string
}

const EVENT_BASE = 'https://fhir.redoxengine.com/EventDefinition/'

/**
 * Builds and checks the Bundle of type `message` for one of Redox's FHIR operations (facts 3.3).
 * @throws RedoxError REDOX_INVALID_MESSAGE with every problem at once
 */
export const prepareFhir = (input: FhirInput, sender: FhirSender): PreparedMessage =>
  checked(draftFhir(input, sender))

/**
 * The Bundle as far as it can be built. Precedence: a filled field, the data, the default.
 * @throws RedoxError REDOX_BAD_INPUT for input that no Bundle can be built of
 */
export function draftFhir(input: FhirInput, sender: FhirSender): Draft {
  const operation: Operation = FHIR_OPERATIONS[input.operation]
  assertSlug(input.slug)
  const bundle = takeBundle(input.data)
  const entries = bundle.entry as JsonObject[]
  const main = mainResource(entries, operation.type)
  const patient = layFields(entries, main, input.fields)
  setMainDefaults(main, operation)
  if (patient !== undefined) {
    // A report that names its patient, and a Patient out of the form: they are one.
    const named = /^Patient\/(.+)$/.exec(asText(getAt(main, ['subject', 'reference'])))?.[1]
    if (named !== undefined) patient.id ??= named
    main.subject ??= { reference: referenceTo(entries, patient) }
  }
  setMessageHeader(entries, main, operation, sender)
  setIdentity(bundle, entries, input, sender)
  const files = placeFiles(entries, main, input, parsePlace(input.place || operation.place))
  return {
    message: { api: 'fhir', operation: input.operation, slug: input.slug, body: bundle, files },
    title: `The Bundle for ${input.operation}`,
    problems: problemsIn(bundle, operation),
  }
}

function assertSlug(slug: string): void {
  if (/^[0-9a-f]{8}-[0-9a-f]{4}-/i.test(slug)) {
    throw badInput(
      'The destination is an ID (UUID), but the FHIR API takes the destination slug: the readable name in the ' +
        'Redox dashboard, such as redox-fhir-sandbox.',
    )
  }
  if (slug === 'redox')
    throw badInput('"redox" is the slug for uploads. Fill in the slug of the destination.')
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(slug)) {
    throw badInput(
      slug === ''
        ? 'The destination is missing. Fill in the destination slug from the Redox dashboard.'
        : 'The destination slug has characters that no slug has. Copy it from the Redox dashboard.',
    )
  }
}

/** Bundle, resource or resources as a Bundle of our own. */
function takeBundle(data: unknown): JsonObject {
  const copy = copyJson(data ?? [], '')
  if (isObject(copy) && copy.resourceType === 'Bundle') return ownBundle(copy)
  const entry = (Array.isArray(copy) ? copy : [copy]).map((resource, index): JsonObject => {
    if (!isObject(resource) || typeof resource.resourceType !== 'string') {
      throw badInput(
        `The data of the message has something at [${index}] that is no FHIR resource (it has no resourceType). ` +
          'Pass a Bundle, a resource, or an array of resources.',
      )
    }
    return { resource }
  })
  return { resourceType: 'Bundle', type: 'message', entry }
}

function ownBundle(bundle: JsonObject): JsonObject {
  const entries = bundle.entry ?? []
  const isResource = (value: unknown): boolean => isObject(value) && typeof value.resourceType === 'string'
  if (!Array.isArray(entries) || !entries.every((entry) => isObject(entry) && isResource(entry.resource))) {
    throw badInput(
      'The Bundle has an entry without a resource (or one without a resourceType). Each entry of a message needs one.',
    )
  }
  return { ...bundle, type: bundle.type ?? 'message', entry: entries }
}

const resourceOf = (entry: JsonObject): JsonObject => entry.resource as JsonObject

const ofType = (entries: JsonObject[], type: string): JsonObject[] =>
  entries.map(resourceOf).filter(({ resourceType }) => resourceType === type)

/** The resource in the MessageHeader's focus, else the first of the operation's type, else a new one. */
function mainResource(entries: JsonObject[], type: string): JsonObject {
  const focus = getAt(ofType(entries, 'MessageHeader')[0], ['focus', 0, 'reference'])
  const focused = entries.find((entry) => isReferredTo(entry, focus))
  if (focused && resourceOf(focused).resourceType === type) return resourceOf(focused)
  const first = ofType(entries, type)[0]
  if (first) return first
  const created: JsonObject = { resourceType: type }
  entries.push({ resource: created })
  return created
}

const isReferredTo = (entry: JsonObject, reference: Json | undefined): boolean => {
  const { resourceType, id } = resourceOf(entry)
  return (
    reference !== undefined &&
    (entry.fullUrl === reference || `${asText(resourceType)}/${asText(id)}` === reference)
  )
}

/** @returns the Patient, if there is one */
function layFields(entries: JsonObject[], main: JsonObject, fields: FieldValue[]): JsonObject | undefined {
  let patient = ofType(entries, 'Patient')[0]
  for (const { path, value } of fields) {
    const [target, ...rest] = fieldPath(path)
    if (target === 'Patient' && patient === undefined) {
      patient = { resourceType: 'Patient' }
      entries.push({ resource: patient })
    }
    setAt(target === 'Patient' ? patient! : main, rest, fieldValue(value, path))
  }
  return patient
}

// The code systems of Redox's samples (facts 3.3) for codes that come from a form without a system.
const LOINC = 'http://loinc.org'
const CATEGORY_SYSTEMS: Record<string, string> = {
  DiagnosticReport: 'http://terminology.hl7.org/CodeSystem/v2-0074',
  Observation: 'http://terminology.hl7.org/CodeSystem/observation-category',
}

function setMainDefaults(main: JsonObject, operation: Operation): void {
  main.status ??= operation.status
  setDefaultSystem(main, [operation.type === 'DocumentReference' ? 'type' : 'code', 'coding', 0], LOINC)
  const categorySystem = CATEGORY_SYSTEMS[operation.type]
  if (categorySystem !== undefined) setDefaultSystem(main, ['category', 0, 'coding', 0], categorySystem)
}

/** How another entry refers to this one: by its `urn:` when it has one, else by `Type/id`. Gives it an id. */
function referenceTo(entries: JsonObject[], resource: JsonObject): string {
  const fullUrl = entries.find((entry) => resourceOf(entry) === resource)?.fullUrl
  resource.id ??= randomUUID()
  return typeof fullUrl === 'string' && fullUrl.startsWith('urn:')
    ? fullUrl
    : `${asText(resource.resourceType)}/${asText(resource.id)}`
}

function setDefaultSystem(resource: JsonObject, path: Path, system: string): void {
  const coding = getAt(resource, path)
  if (isObject(coding) && coding.code !== undefined && coding.system === undefined) coding.system = system
}

/** First entry of the Bundle: what the message is, who sends it, what it is about. Given parts are kept. */
function setMessageHeader(
  entries: JsonObject[],
  main: JsonObject,
  operation: Operation,
  sender: FhirSender,
): void {
  const focus = referenceTo(entries, main)
  const at = entries.findIndex((entry) => resourceOf(entry).resourceType === 'MessageHeader')
  const [entry] =
    at < 0 ? [{ resource: { resourceType: 'MessageHeader' } as JsonObject }] : entries.splice(at, 1)
  const header = resourceOf(entry!)
  header.id ??= randomUUID()
  if (header.eventCoding === undefined) header.eventUri ??= EVENT_BASE + operation.event
  if (sender.sourceName !== undefined) setAt(header, ['source', 'name'], sender.sourceName)
  if (sender.sourceId !== undefined) setAt(header, ['source', 'endpoint'], `urn:uuid:${sender.sourceId}`)
  if ((getAt(header, ['source', 'endpoint']) ?? null) === null)
    setAt(header, ['source', 'endpoint'], 'urn:node-red:redox')
  header.focus ??= [{ reference: focus }]
  entries.unshift(entry!)
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Ids and URLs by which entries find each other; given ones are kept. */
function setIdentity(
  bundle: JsonObject,
  entries: JsonObject[],
  { slug, now }: FhirInput,
  sender: FhirSender,
): void {
  bundle.id ??= randomUUID()
  bundle.timestamp ??= now.toISOString()
  entries.forEach((entry, index) => {
    const { resourceType, id } = resourceOf(entry)
    const byUuid = id === undefined || (resourceType === 'MessageHeader' && UUID.test(asText(id)))
    const fullUrl = byUuid
      ? `urn:uuid:${id === undefined ? randomUUID() : asText(id)}`
      : `${sender.fhirBase}/${slug}/${sender.environment}/${asText(resourceType)}/${asText(id)}`
    // In the order of FHIR's own examples: the address before the content.
    entries[index] = { fullUrl, ...entry }
  })
}

function placeFiles(
  entries: JsonObject[],
  main: JsonObject,
  { files }: FhirInput,
  place: AttachmentPlace,
): PreparedMessage['files'] {
  if (files.length === 0) return []
  const index = entryIndex(entries, main, place)
  const resource = resourceOf(entries[index]!)
  return attachmentPaths(resource, place, files.length).map((path, number) => {
    const { file, way } = files[number]!
    const leaf = way === 'embed' ? 'data' : 'url'
    const existing = getAt(resource, path) ?? {}
    if (!isObject(existing))
      throw badInput(
        `${formatPath(path)} in the data is no Attachment; the file would replace it. Leave it out.`,
      )
    setAt(resource, path, {
      ...existing,
      contentType: file.contentType,
      [leaf]: file.kind === 'reference' ? file.url : 'file',
      title: getAt(existing, ['title']) ?? file.name,
    })
    return { way, path: ['entry', index, 'resource', ...path, leaf] }
  })
}

function entryIndex(entries: JsonObject[], main: JsonObject, { entry: wanted }: AttachmentPlace): number {
  if (wanted.kind === 'main') return entries.findIndex((entry) => resourceOf(entry) === main)
  if (wanted.kind === 'index') {
    if (wanted.index < entries.length) return wanted.index
    throw badInput(
      `The place for the file is entry[${wanted.index}], but the Bundle has ${entries.length} entries.`,
    )
  }
  const candidates = entries.flatMap((entry, index) =>
    resourceOf(entry).resourceType === wanted.type ? [index] : [],
  )
  const focused = candidates.find((index) => wanted.nth === 0 && resourceOf(entries[index]!) === main)
  const found = focused ?? candidates[wanted.nth]
  if (found !== undefined) return found
  throw badInput(`The place for the file is in a ${wanted.type}, but the message has no such resource.`)
}

function problemsIn(bundle: JsonObject, operation: Operation): Problem[] {
  const entries = Array.isArray(bundle.entry) ? (bundle.entry as JsonObject[]) : []
  const parsed = BUNDLE_SCHEMA.safeParse(bundle, { reportInput: true })
  return [
    ...(parsed.success ? [] : problemsOf(parsed.error)),
    ...entries.flatMap((entry, index) => resourceProblems(resourceOf(entry), index)),
    ...entryProblems(entries, operation),
  ]
}

function resourceProblems(resource: JsonObject, index: number): Problem[] {
  const type = asText(resource.resourceType)
  const schema = Object.hasOwn(RESOURCE_SCHEMAS, type) ? RESOURCE_SCHEMAS[type] : undefined
  const checked = schema?.safeParse(resource, { reportInput: true })
  if (checked === undefined || checked.success) return []
  return problemsOf(checked.error, HINTS).map((problem) => ({
    ...problem,
    path: `entry[${index}].resource.${problem.path} (${type})`,
  }))
}

const HINTS: Record<string, string> = {
  code: "Fill in the node's Code field, e.g. 11502-2 (LOINC).",
}

/** Facts 3.3: every operation is about a patient, and its MessageHeader says which resource it is about. */
function entryProblems(entries: JsonObject[], operation: Operation): Problem[] {
  const problems: Problem[] = []
  const patient = ofType(entries, 'Patient')[0]
  if (patient === undefined) {
    problems.push({
      path: 'entry',
      problem: 'has no Patient',
      fix: "Fill in the node's Patient identifier fields, or give a Patient resource in the data.",
    })
  }
  const focus = getAt(entries[0], ['resource', 'focus', 0, 'reference'])
  const focused = entries.find((entry) => isReferredTo(entry, focus))
  if (focused === undefined || resourceOf(focused).resourceType !== operation.type) {
    problems.push({
      path: 'entry[0].resource.focus[0].reference',
      problem: `does not refer to a ${operation.type} of the Bundle`,
      fix: `Refer to the ${operation.type} by Type/id or by its fullUrl, or leave focus out.`,
    })
  }
  const fullUrls = new Set<Json | undefined>()
  entries.forEach(({ fullUrl }, index) => {
    if (!fullUrls.has(fullUrl)) return void fullUrls.add(fullUrl)
    problems.push({
      path: `entry[${index}].fullUrl`,
      problem: 'stands twice in the Bundle',
      fix: 'Give each entry a fullUrl (and each resource an id) of its own.',
    })
  })
  return problems
}
