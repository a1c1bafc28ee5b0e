import { randomUUID } from 'node:crypto'
import { present } from '../shared/present'
import { badInput, type Problem } from '../errors'
import { SLUG, UUID } from '../shared/formats'
import { attachmentPaths, parsePlace, type AttachmentPlace } from './attachment-place'
import {
  CATEGORY_SYSTEMS,
  chooseCoding,
  chooseConcept,
  fillSystems,
  loincSystem,
  loincWarnings,
  noSystem,
} from './codings'
import { chooseIdentifier, chooseName } from './fhir-choices'
import { FHIR_OPERATIONS, type FhirInput, type FhirSender, type Operation } from './fhir-operations'
import { HEADER_FOCUS, inFocus, ofType, problemsIn } from './fhir-problems'
import { mergeFields, type FieldValue } from './fields'
import {
  textOrJson,
  copyJson,
  formatPath,
  getAt,
  isObject,
  setAt,
  type Json,
  type JsonObject,
  type Path,
} from './json'
import { validMessage, type Attachment, type Draft, type PreparedMessage } from './prepared'
import { hasExtension } from './problems'
import { resourceOf } from './references'
import { subjectOf, type FormPatient } from './subject'

const EVENT_BASE = 'https://fhir.redoxengine.com/EventDefinition/'

/**
 * Builds and validates the Bundle of type `message` for a FHIR operation of Redox (docs/redox-api.md#message-bundle).
 * @throws RedoxError REDOX_INVALID_MESSAGE with all problems
 */
export const prepareFhir = (input: FhirInput, sender: FhirSender): PreparedMessage =>
  validMessage(draftFhir(input, sender))

/**
 * Builds a Bundle even if it is invalid, and lists its problems. Each value is taken from the form if the field is
 * filled, otherwise from the data, otherwise from the defaults.
 * @throws RedoxError REDOX_BAD_INPUT for input from which no Bundle can be built
 */
export function draftFhir(input: FhirInput, sender: FhirSender): Draft {
  const operation: Operation = FHIR_OPERATIONS[input.operation]
  assertSlug(input.slug)
  const bundle = takeBundle(input.data)
  const entries = bundle.entry as JsonObject[]
  const problems: Problem[] = []
  const warnings: string[] = []
  const main = mainResource(entries, operation.type, problems)
  const subject = subjectOf(entries, main, patientOfForm(input.fields), problems)
  layForm({ main, ...(subject.patient && { Patient: subject.patient }) }, operation, input.fields, problems)
  setMainDefaults(main, operation)
  warnings.push(...loincWarnings(main[codeOf(operation)], `${operation.type}.${codeOf(operation)}`))
  if (subject.patient !== undefined && subject.needsLink) linkSubject(entries, main, subject.patient)
  setMessageHeader(entries, main, { operation, sender }, { problems, warnings })
  setIdentity(bundle, entries, input, sender)
  if (subject.isOnlyReferredTo)
    warnings.push(
      `Only the subject of the ${operation.type} identifies the patient. It refers to a resource at the destination.`,
    )
  if (!subject.isIdentified) problems.push(NO_PATIENT)
  const attachments = placeFiles(entries, main, input, parsePlace(input.place || operation.place))
  return {
    message: { api: 'fhir', operation: input.operation, slug: input.slug, body: bundle, attachments },
    title: `the Bundle for ${input.operation}`,
    problems: [...problemsIn(bundle, main, operation), ...problems],
    warnings,
  }
}

const NO_PATIENT: Problem = {
  path: 'entry',
  problem: 'is missing',
  fix: 'Fill in the Patient ID field, or provide a Patient resource in the data.',
}

function assertSlug(slug: string): void {
  if (/^[0-9a-f]{8}-[0-9a-f]{4}-/i.test(slug)) {
    throw badInput(
      'Destination must be a slug, but it is an ID (UUID). The FHIR API needs the readable name from the Redox ' +
        'dashboard, such as redox-fhir-sandbox.',
    )
  }
  if (slug === 'redox')
    throw badInput(
      'Destination is not a receiver: "redox" is the slug for uploads. Enter the slug of the destination.',
    )
  if (!SLUG.test(slug)) {
    throw badInput(
      slug === ''
        ? 'Destination is missing. Enter the slug of the destination from the Redox dashboard.'
        : 'Destination is not a valid slug. Copy the slug from the Redox dashboard.',
    )
  }
}

/** Copies a Bundle, resource or array of resources into a new Bundle. */
function takeBundle(data: unknown): JsonObject {
  const copy = copyJson(data ?? [], '')
  if (isObject(copy) && copy.resourceType === 'Bundle') return ownBundle(copy)
  const entry = (Array.isArray(copy) ? copy : [copy]).map((resource, index): JsonObject => {
    if (!isObject(resource) || typeof resource.resourceType !== 'string') {
      throw badInput(
        `Data is not a FHIR resource: element [${index}] has no resourceType. ` +
          'Provide a Bundle, a resource, or an array of resources.',
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
    throw badInput('Bundle entry has no resource, or a resource without a resourceType. Correct the Bundle.')
  }
  return { ...bundle, type: bundle.type ?? 'message', entry: entries }
}

/**
 * Main resource of the message: the resource in the MessageHeader's focus; without it, the only resource of the
 * operation's type; otherwise a new one.
 */
function mainResource(entries: JsonObject[], type: string, problems: Problem[]): JsonObject {
  const focused = inFocus(entries).filter(({ resourceType }) => resourceType === type)
  const [first, ...others] = focused.length > 0 ? focused : ofType(entries, type)
  if (others.length > 0) {
    problems.push({
      path: HEADER_FOCUS,
      problem: `is ambiguous: the data has ${others.length + 1} ${type} resources`,
      fix: `Provide a MessageHeader whose focus refers to one of them, or remove the others from the data.`,
    })
  }
  if (first) return first
  const created: JsonObject = { resourceType: type }
  entries.push({ resource: created })
  return created
}

function patientOfForm(fields: FieldValue[]): FormPatient {
  const ofPatient = fields.filter(({ path }) => path.startsWith('Patient.'))
  const form: JsonObject = {}
  mergeFields(form, ofPatient, {}, [])
  const identifier = getAt(form, ['Patient', 'identifier', 0])
  return {
    isGiven: ofPatient.length > 0,
    ...(isObject(identifier) && { identifier: identifier }),
  }
}

/** @param root object with the main resource as `main`, and the patient, if there is one, as `Patient` */
function layForm(root: JsonObject, operation: Operation, fields: FieldValue[], problems: Problem[]): void {
  const categorySystem = CATEGORY_SYSTEMS[operation.type] ?? noSystem
  const { paths } = mergeFields(
    root,
    fields,
    {
      'main.identifier': chooseIdentifier,
      'main.code.coding': chooseCoding(loincSystem),
      'main.type.coding': chooseCoding(loincSystem),
      'main.category': chooseConcept(categorySystem),
      'main.category.coding': chooseCoding(categorySystem),
      'Patient.identifier': chooseIdentifier,
      'Patient.name': chooseName,
    },
    problems,
  )
  for (const path of paths) removeDataAbsentReason(root, path)
}

/** Removes the data-absent-reason extension of an element that the form has filled in. */
function removeDataAbsentReason(root: JsonObject, path: Path): void {
  const name = path.findLastIndex((step) => typeof step === 'string')
  const element = getAt(root, [...path.slice(0, name), `_${String(path[name])}`, ...path.slice(name + 1)])
  if (!isObject(element) || !Array.isArray(element.extension)) return
  element.extension = element.extension.filter(
    (one: Json) => getAt(one, ['url']) !== 'http://hl7.org/fhir/StructureDefinition/data-absent-reason',
  )
  if (element.extension.length === 0) delete element.extension
  if (Object.keys(element).length > 0) return
  const parent = getAt(root, path.slice(0, name))
  // In a list of extensions, the element is not removed but replaced by `null`, because each element belongs to the
  // value at the same index.
  if (name === path.length - 1 && isObject(parent)) delete parent[`_${String(path[name])}`]
  else setAt(root, [...path.slice(0, name), `_${String(path[name])}`, ...path.slice(name + 1)], null)
}

/** Name of the element with the code of the main resource. */
const codeOf = ({ type }: Operation): 'type' | 'code' => (type === 'DocumentReference' ? 'type' : 'code')

function setMainDefaults(main: JsonObject, operation: Operation): void {
  setDefault(main, 'status', operation.status)
  fillSystems(main[codeOf(operation)], loincSystem)
  const categories = Array.isArray(main.category) ? main.category : []
  for (const category of categories) fillSystems(category, CATEGORY_SYSTEMS[operation.type] ?? noSystem)
}

/** Sets a default value, unless the `_name` element has an extension that explains why the value is absent. */
function setDefault(resource: JsonObject, name: string, value: Json): void {
  if ((resource[name] ?? null) === null && !hasExtension(resource[`_${name}`])) resource[name] = value
}

/** Sets the subject of a main resource that names no patient to the patient of the message. */
function linkSubject(entries: JsonObject[], main: JsonObject, patient: JsonObject): void {
  main.subject ??= {}
  if (isObject(main.subject)) main.subject.reference = referenceTo(entries, patient)
}

/**
 * Returns the reference to a resource: its `urn:` fullUrl if there is one, otherwise `Type/id`. If necessary, sets an
 * id in the resource.
 */
function referenceTo(entries: JsonObject[], resource: JsonObject): string {
  const fullUrl = entries.find((entry) => resourceOf(entry) === resource)?.fullUrl
  resource.id ??= randomUUID()
  return typeof fullUrl === 'string' && fullUrl.startsWith('urn:')
    ? fullUrl
    : `${textOrJson(resource.resourceType)}/${textOrJson(resource.id)}`
}

/**
 * Completes or creates the MessageHeader, the first entry of the Bundle: event, source and focus. Existing values are
 * kept.
 */
function setMessageHeader(
  entries: JsonObject[],
  main: JsonObject,
  { operation, sender }: { operation: Operation; sender: FhirSender },
  { problems, warnings }: Pick<Draft, 'problems' | 'warnings'>,
): void {
  const focus = referenceTo(entries, main)
  const at = entries.findIndex((entry) => resourceOf(entry).resourceType === 'MessageHeader')
  const [entry = { resource: { resourceType: 'MessageHeader' } }] = at < 0 ? [] : entries.splice(at, 1)
  if (ofType(entries, 'MessageHeader').length > 0) {
    problems.push({
      path: 'MessageHeader',
      problem: 'is not unique: the Bundle has several',
      fix: 'Send each message in its own Bundle.',
    })
  }
  const header = resourceOf(entry)
  header.id ??= randomUUID()
  if (header.eventCoding !== undefined) {
    delete header.eventCoding
    warnings.push('The eventCoding of the MessageHeader was replaced by the eventUri of the operation.')
  }
  setDefault(header, 'eventUri', EVENT_BASE + operation.event)
  setSource(header, sender, problems)
  header.focus ??= [{ reference: focus }]
  entries.unshift(entry)
}

/**
 * Completes the MessageHeader's source. A source in the data is kept, because acknowledgements go to its endpoint;
 * Redox identifies the sender by an HTTP header.
 */
function setSource(header: JsonObject, { sourceId, sourceName }: FhirSender, problems: Problem[]): void {
  const source = (header.source ??= {})
  if (!isObject(source)) return
  const endpoint = typeof source.endpoint === 'string' ? source.endpoint.replace(/^urn:uuid:/i, '') : ''
  if (sourceId !== undefined && UUID.test(endpoint) && endpoint.toLowerCase() !== sourceId.toLowerCase()) {
    problems.push({
      path: 'entry[0].resource.source.endpoint',
      problem: `differs from the connection: it is the source ${endpoint}, and the connection sends as ${sourceId}`,
      fix: 'Leave it out of the data, or choose the connection of that source.',
    })
  }
  if (sourceName !== undefined) setDefault(source, 'name', sourceName)
  setDefault(source, 'endpoint', sourceId === undefined ? 'urn:node-red:redox' : `urn:uuid:${sourceId}`)
}

/** Sets the ids and fullUrls by which entries refer to each other. Existing ids and fullUrls are kept. */
function setIdentity(
  bundle: JsonObject,
  entries: JsonObject[],
  { slug, now }: FhirInput,
  sender: FhirSender,
): void {
  bundle.id ??= randomUUID()
  setDefault(bundle, 'timestamp', now.toISOString())
  entries.forEach((entry, index) => {
    const { resourceType, id } = resourceOf(entry)
    const byUuid = id === undefined || (resourceType === 'MessageHeader' && UUID.test(textOrJson(id)))
    const fullUrl = byUuid
      ? `urn:uuid:${id === undefined ? randomUUID() : textOrJson(id)}`
      : `${sender.fhirBase}/${slug}/${sender.environment}/${textOrJson(resourceType)}/${textOrJson(id)}`
    // The properties are in the same order as in FHIR's examples: fullUrl before resource.
    entries[index] = { fullUrl, ...entry }
  })
}

function placeFiles(
  entries: JsonObject[],
  main: JsonObject,
  { files }: FhirInput,
  place: AttachmentPlace,
): Attachment[] {
  if (files.length === 0) return []
  const index = entryIndex(entries, main, place)
  const resource = resourceOf(present(entries[index], 'the entry of the attachment'))
  return attachmentPaths(resource, place, files.length).map((path, number) => {
    const { file, way } = present(files[number], 'the file of an attachment')
    const leaf = way === 'embed' ? 'data' : 'url'
    const existing = getAt(resource, path) ?? {}
    if (!isObject(existing))
      throw badInput(
        `Attachment is not an object: the file would replace ${formatPath(path)} in the data. Remove that value.`,
      )
    setAt(resource, path, {
      ...existing,
      contentType: file.contentType,
      [leaf]: file.kind === 'reference' ? file.url : 'file',
      ...(!hasExtension(existing._title) && { title: getAt(existing, ['title']) ?? file.name }),
    })
    for (const name of [leaf, 'contentType']) removeDataAbsentReason(resource, [...path, name])
    return { way, file, path: ['entry', index, 'resource', ...path, leaf] }
  })
}

function entryIndex(entries: JsonObject[], main: JsonObject, { entry: wanted }: AttachmentPlace): number {
  if (wanted.kind === 'main') return entries.findIndex((entry) => resourceOf(entry) === main)
  if (wanted.kind === 'index') {
    if (wanted.index < entries.length) return wanted.index
    throw badInput(
      `Attachment not found: it is set to entry[${wanted.index}], but the Bundle has ${entries.length} entries. Correct the Attachment path field.`,
    )
  }
  const candidates = entries.flatMap((entry, index) =>
    resourceOf(entry).resourceType === wanted.type ? [index] : [],
  )
  const focused = candidates.find((index) => resourceOf(present(entries[index], 'an entry')) === main)
  if (wanted.nth === undefined && focused === undefined && candidates.length > 1) {
    throw badInput(
      `Attachment is ambiguous: the message has ${candidates.length} ${wanted.type} resources. ` +
        `Choose one in the Attachment path field, e.g. ${wanted.type}[0].`,
    )
  }
  const found = wanted.nth === undefined ? (focused ?? candidates[0]) : candidates[wanted.nth]
  if (found !== undefined) return found
  throw badInput(
    `Attachment not found: the message has no ${wanted.type} resource. Correct the Attachment path field.`,
  )
}
