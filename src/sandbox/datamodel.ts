/**
 * Handler of `POST /endpoint`: Notes, Results and Media of the Data Model API (docs/redox-api.md#data-model-api,
 * #data-models, #error-bodies).
 */
import { randomInt, randomUUID } from 'node:crypto'
import { newDelivery } from './deliveries'
import { present } from './present'
import { checkMessage, EVENTS, META } from './datamodel-fields'
import type { ReportProblem } from './datamodel-fields'
import {
  decodeBase64,
  isUuid,
  isWebUrl,
  mediaType,
  objectOf,
  objectsOf,
  parseJson,
  readBody,
  Refusal,
  scalarOf,
  textOf,
  refuseTooLarge,
} from './http'
import type { SandboxAnswer, SandboxRequest, JsonRecord, RequestProblem } from './http'
import { receivedFile, oneLine, safeHeaders, shortened } from './inbox'
import type { ReceivedFile, Inbox } from './inbox'
import type { Profile } from './profiles'
import { sourceOf } from './tokens'
import type { Grant } from './tokens'
import { notFoundText, OF_ANOTHER_SOURCE } from './uploads'
import type { Uploads } from './uploads'

// ---- Files --------------------------------------------------------------------------------------------

/** A field of the message that can contain a file or a reference to a file (docs/redox-api.md#file-fields). */
interface FileField {
  holder: JsonRecord
  field: 'FileContents' | 'Value'
  /** Path (in the message) of the object that contains the field. */
  at: string
  encoding: 'base64' | 'text'
  /** Other fields of the same object that are required if the field contains a file. */
  needed: string[]
}

function filePlaces(body: JsonRecord): FileField[] {
  const model = objectOf(body['Meta'])['DataModel']
  if (model === 'Notes') return [notePlace(objectOf(body['Note']))]
  if (model === 'Media') {
    const holder = objectOf(body['Media'])
    return [{ holder, field: 'FileContents', at: 'Media', encoding: 'base64', needed: [] }]
  }
  return objectsOf(body['Orders']).flatMap((order, index) => resultPlaces(order, `Orders[${index}]`))
}

/**
 * Returns the file field of a Note. `FileName` is required for embedded base64 and for references, as in Redox's guide;
 * `FileType` is required only for references, where it is the type of the uploaded file.
 */
function notePlace(holder: JsonRecord): FileField {
  const encoding = holder['ContentType'] === 'Base64 Encoded' ? 'base64' : 'text'
  const isReference = isWebUrl(textOf(holder['FileContents']) ?? '')
  const needed = isReference ? ['FileName', 'FileType'] : encoding === 'base64' ? ['FileName'] : []
  return { holder, field: 'FileContents', at: 'Note', encoding, needed }
}

const resultPlaces = (order: JsonRecord, at: string): FileField[] =>
  objectsOf(order['Results'])
    .map((holder, index): FileField => {
      const here = `${at}.Results[${index}]`
      return { holder, field: 'Value', at: here, encoding: 'base64', needed: ['FileType'] }
    })
    .filter(({ holder }) => holder['ValueType'] === 'Encapsulated Data')

const pathOf = ({ at, field }: FileField): string => `${at}.${field}`

interface FileContext {
  source: string
  uploads: Uploads
  profile: Profile
}

function fileIn(
  place: FileField,
  { source, uploads, profile }: FileContext,
  report: ReportProblem,
): ReceivedFile[] {
  const { holder, field, at, encoding, needed } = place
  const { embedded } = profile.limits
  const path = pathOf(place)
  // The schema accepts a number as `Value`, but a number cannot be a file.
  if (field === 'Value' && typeof holder[field] === 'number') report('Invalid base64', path)
  const contents = textOf(holder[field])
  if (contents === undefined) return []
  for (const name of needed) if (!scalarOf(holder[name])) report('Required field missing', `${at}.${name}`)
  const fields = { fileType: scalarOf(holder['FileType']), name: scalarOf(holder['FileName']) }
  if (isWebUrl(contents)) {
    if (at === 'Note' && !profile.noteReferenceTypes.includes(String(holder['ContentType'])))
      report('ContentType does not match a reference', 'Note.ContentType')
    const file = uploads.find(contents, source)
    if (file === undefined || file === OF_ANOTHER_SOURCE || file.kind === 'binary') {
      report(notFoundText(file), path)
      return []
    }
    const name = fields.name ?? file.name
    return [receivedFile(path, 'referenced', file.bytes, { ...fields, contentType: file.contentType, name })]
  }
  const bytes = encoding === 'text' ? Buffer.from(contents) : decodeBase64(contents)
  if (!bytes) {
    report('Invalid base64', path)
    return []
  }
  if (bytes.length >= embedded) throw refuseTooLarge(embedded)
  return [receivedFile(path, 'embedded', bytes, fields)]
}

// ---- The endpoint -------------------------------------------------------------------------------------

/** Body of an error response of the Data Model API (docs/redox-api.md#error-bodies). */
export const dataModelErrors = (refusal: Refusal): JsonRecord => ({
  Meta: {
    ...refusal.echo,
    Errors: refusal.problems.map(({ text, error }) => ({
      ID: randomInt(100_000, 1_000_000),
      Text: text,
      Type: 'message',
      Module: 'DataModels',
      ...error,
    })),
  },
})

/**
 * Returns the problem of a message without a subscription: Redox requires a subscription for each combination of
 * source, destination and data model (docs/redox-api.md#endpoint). `place` is the path of the destination in the
 * message.
 */
export const noSubscription = (place: string): RequestProblem => ({
  text: `No subscription for this source, destination and data model - ${place}`,
  error: { Module: 'Subscriptions' },
})

export async function receiveDataModel(
  call: SandboxRequest,
  grant: Grant,
  uploads: Uploads,
  inbox: Inbox,
): Promise<SandboxAnswer> {
  const { request, profile } = call
  if (mediaType(request) !== 'application/json') {
    throw new Refusal(400, 'application/json content-type required')
  }
  const body = parseJson(await readBody(request, profile.limits.request))
  const { operation, files, source } = checkMessageBody(body, grant, call, uploads)
  const destinations = objectsOf(objectOf(body['Meta'])['Destinations'])
  const unsubscribed = destinations.flatMap(({ ID }, index) =>
    call.subscribed && !call.subscribed.has(String(ID).toLowerCase())
      ? [noSubscription(`Meta.Destinations[${index}]`)]
      : [],
  )
  if (unsubscribed.length > 0) throw new Refusal(400, unsubscribed, echo(body))
  const allLogs = destinations.map(() => logOf(profile))
  const logs = profile.logIds === 'none' ? [] : allLogs
  const ids = destinations.map(({ ID }) => String(ID))
  const received = {
    api: 'datamodel' as const,
    operation,
    environment: 'Development',
    destinations: ids,
    source,
    logIds: logs.map(({ ID }) => String(ID)),
    deliveries: allLogs.map(({ ID, AttemptID }, index) =>
      newDelivery(ids[index] ?? '', String(ID), AttemptID),
    ),
    locations: [],
    ...bodiesToKeep(call, body, files),
    files,
    ...summaries(body),
    ...(call.fault !== undefined && { fault: call.fault }),
  }
  inbox.add(received, call.terms)
  const Source = { Name: 'Sandbox', ...objectOf(objectOf(body['Meta'])['Source']), ID: source }
  return {
    status: 200,
    body: {
      Meta: {
        ...echo(body),
        ...(logs.length > 0 && { Logs: logs }),
        Message: { ID: randomInt(1e9) },
        Source,
      },
    },
  }
}

const logOf = ({ logIds }: Profile): { ID: string | number; AttemptID: string } => ({
  ID: logIds === 'number' ? randomInt(1e9) : randomUUID(),
  AttemptID: randomUUID(),
})

interface MessageJudgement {
  operation: string
  source: string
  files: ReceivedFile[]
}

/** Checks a message and collects all its problems; only a wrong size or source ends the check early. */
function checkMessageBody(
  body: JsonRecord,
  grant: Grant,
  { request, profile }: Pick<SandboxRequest, 'request' | 'profile'>,
  uploads: Uploads,
): MessageJudgement {
  const meta = objectOf(body['Meta'])
  const [model, event] = [textOf(meta['DataModel']), textOf(meta['EventType'])]
  const operation = `${model}:${event}`
  const fields = EVENTS.get(operation)
  const problems: { text: string }[] = []
  // Data model and event type are repeated in error texts only if they are known values. Otherwise they could contain
  // patient data.
  const report: ReportProblem = (problem, path) =>
    problems.push({ text: `${problem} - ${path}${fields ? ` in ${operation}` : ''}` })
  try {
    const named = objectOf(meta['Source'])['ID']
    const source = sourceOf(grant, request, isUuid(named) ? named : undefined)
    if (model && event && !fields)
      report(
        'Data model or event type not simulated here: this sandbox simulates only the sending of files',
        'Meta',
      )
    checkMessage(body, fields ?? META, report)
    const files = filePlaces(body).flatMap((place) =>
      event === 'Delete' ? [] : fileIn(place, { source, uploads, profile }, report),
    )
    if (problems.length > 0) throw new Refusal(400, problems)
    return { operation, source, files }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    throw new Refusal(error.status, error.problems, fields ? echo(body) : {})
  }
}

/** Returns the fields of the request's `Meta` that the response repeats. */
function echo(body: JsonRecord): JsonRecord {
  const meta = objectOf(body['Meta'])
  const names = ['DataModel', 'EventType', 'EventDateTime', 'Test', 'Source', 'Destinations']
  return Object.fromEntries(names.filter((name) => name in meta).map((name) => [name, meta[name]]))
}

/**
 * Returns the message as received, and as Redox delivers it, where all files are embedded
 * (docs/redox-api.md#blob-upload).
 */
function bodiesToKeep({ request, path }: SandboxRequest, body: JsonRecord, files: ReceivedFile[]) {
  const embedded = files.filter(({ way }) => way === 'embedded')
  setContents(body, embedded)
  const delivered = structuredClone(body)
  setContents(delivered, files)
  return { request: { method: 'POST', path, headers: safeHeaders(request), body }, delivered }
}

function setContents(body: JsonRecord, files: ReceivedFile[]): void {
  const places = new Map(filePlaces(body).map((place) => [pathOf(place), place]))
  for (const { place, way, bytes } of files) {
    const { holder, field, encoding } = present(places.get(place), 'the place of a file')
    holder[field] = shortened(bytes, way === 'embedded' ? encoding : 'base64')
  }
}

function summaries(body: JsonRecord): { patient: string; document: string } {
  const patient = objectOf(body['Patient'])
  const { FirstName, LastName, DOB } = objectOf(patient['Demographics'])
  const [identifier] = objectsOf(patient['Identifiers'])
  const name = [LastName, FirstName].filter(Boolean).join(', ')
  const document = objectOf(body['Note'] ?? body['Media'])
  const id = document['DocumentID']
  const results = objectsOf(body['Orders']).flatMap((order) => objectsOf(order['Results']))
  return {
    patient: oneLine(name, DOB, `${identifier?.['IDType']} ${identifier?.['ID']}`),
    document: oneLine(
      document['DocumentType'],
      document['FileName'],
      // A document ID that equals the file name is not included in the line a second time.
      id === undefined || id === document['FileName'] ? undefined : `ID ${scalarOf(id)}`,
      ...results.map((result) => result['Description'] ?? result['Code']),
    ),
  }
}
