import { createHash } from 'node:crypto'
import type { z } from 'zod'
import { badInput, type Problem } from '../errors'
import { resultLoincWarnings } from './codings'
import { DATA_MODEL_SCHEMAS } from './datamodel-schemas'
import { chooseIdentifier, chooseOrder, chooseResult, isWithoutValue } from './datamodel-choices'
import { isBlank, isSame, mergeFields, type ElementChooser, type FieldValue, type LaidFields } from './fields'
import { UUID } from '../shared/formats'
import { copyJson, getAt, hasNumber, isObject, setAt, type Json, type JsonObject, type Path } from './json'
import {
  assertEmbeddable,
  validMessage,
  type Draft,
  type SizeLimits,
  type Attachment,
  type FileToSend,
  type PreparedMessage,
} from './prepared'
import { problemsOf } from './problems'

export type { FieldValue } from './fields'

export type DataModel = keyof typeof DATA_MODEL_SCHEMAS

/** Sender of a message, from the redox-config node. */
export interface Sender {
  sourceId?: string
  sourceName?: string
  /** value of `Meta.Test` */
  test: boolean
}

export interface DataModelInput {
  model: DataModel
  /** event type: `New`, `Replace`, `Delete` or `NewUnsolicited` */
  eventType: string
  /** destination IDs (UUIDs) */
  destinations: string[]
  /** incomplete or complete message from the flow; the fields of the form overwrite its values */
  data?: unknown
  fields: FieldValue[]
  /**
   * files: none for Delete and for Notes messages with text, one for other Notes and Media messages, one or more for
   * Results
   */
  files: FileToSend[]
  /** text of a Notes message with content type Plain Text or Rich Text */
  text?: string
  /** SHA-256 (hex) of the file or text, if a `DocumentID` must be derived from it, see hasDocumentId() */
  documentDigest?: string
  /** value of `Meta.EventDateTime` */
  now: Date
}

/**
 * Builds and validates a message of the Data Model API (docs/redox-api.md#data-models).
 * @throws RedoxError REDOX_INVALID_MESSAGE with all problems
 */
export const prepareDataModel = (input: DataModelInput, sender: Sender): PreparedMessage =>
  validMessage(draftDataModel(input, sender))

/**
 * Builds a message even if it is invalid, and lists its problems. Each value is taken from the form if the field is
 * filled, otherwise from the data object, otherwise from the defaults.
 * @throws RedoxError REDOX_BAD_INPUT for input from which no message can be built
 */
export function draftDataModel(input: DataModelInput, sender: Sender): Draft {
  const events: Record<string, z.ZodType> = DATA_MODEL_SCHEMAS[input.model]
  const schema = Object.hasOwn(events, input.eventType) ? events[input.eventType] : undefined
  if (schema === undefined) {
    throw badInput(`Event type is not valid for ${input.model}. Choose ${Object.keys(events).join(', ')}.`)
  }
  const body = ownCopy(input.data)
  const problems: Problem[] = []
  const warnings: string[] = []
  setMeta(body, input, sender, problems)
  // Most messages have no number, and a validation takes longer than looking for one.
  if (hasNumber(body)) numbersToTexts(schema, body)
  const fields = fieldsFor(body, input, warnings)
  const laid = mergeFields(body, fields, choicesFor(input), problems)
  if (input.documentDigest !== undefined) setDocumentId(body, input, laid, input.documentDigest)
  const attachments = PLACE[input.model](body, input, laid)
  setDefaults(body, defaultsFor(body, input, laid))
  warnings.push(...resultLoincWarnings(resultsIn(body)))
  return {
    message: { api: 'datamodel', operation: `${input.model}:${input.eventType}`, body, attachments },
    title: `the ${input.model} message (${input.eventType})`,
    problems: [...problems, ...problemsIn(schema, body, input)],
    warnings,
  }
}

function ownCopy(data: unknown): JsonObject {
  if (data === undefined || data === null) return {}
  const copy = copyJson(data, '')
  if (isObject(copy)) return copy
  throw badInput('Data is not an object. Provide an object, or leave the Data field empty.')
}

function setMeta(
  body: JsonObject,
  { model, eventType, destinations, now }: DataModelInput,
  sender: Sender,
  problems: Problem[],
): void {
  setAt(body, ['Meta', 'DataModel'], model)
  setAt(body, ['Meta', 'EventType'], eventType)
  if (destinations.length > 0)
    setAt(
      body,
      ['Meta', 'Destinations'],
      destinations.map((ID) => ({ ID })),
    )
  problems.push(...sourceProblems(getAt(body, ['Meta', 'Source', 'ID']), sender))
  if (sender.sourceId !== undefined) setAt(body, ['Meta', 'Source', 'ID'], sender.sourceId)
  if (sender.sourceName !== undefined) setAt(body, ['Meta', 'Source', 'Name'], sender.sourceName)
  setDefaults(body, [
    [['Meta', 'EventDateTime'], now.toISOString()],
    [['Meta', 'Test'], sender.test],
  ])
}

function setDefaults(body: JsonObject, defaults: [Path, Json][]): void {
  for (const [path, value] of defaults) if ((getAt(body, path) ?? null) === null) setAt(body, path, value)
}

const SOURCE_PATH = 'Meta.Source.ID'

/**
 * Reports a problem if the source ID in the data is invalid, or differs from the source ID of the connection, because
 * keys and uploaded files belong to one source.
 */
function sourceProblems(given: Json | undefined, { sourceId }: Sender): Problem[] {
  if (isBlank(given)) return []
  if (typeof given !== 'string' || !UUID.test(given)) {
    return [
      {
        path: SOURCE_PATH,
        problem: 'is not a UUID',
        fix: 'Enter the UUID from the Redox dashboard, or leave it out.',
      },
    ]
  }
  if (sourceId === undefined || sourceId.toLowerCase() === given.toLowerCase()) return []
  return [
    {
      path: SOURCE_PATH,
      problem: `differs from the connection: it is ${given}, and the connection sends as ${sourceId}`,
      fix: 'Leave it out of the data, or choose the connection of that source.',
    },
  ]
}

/**
 * Converts numbers to strings where the schema requires a string. Redox itself accepts numbers in these places
 * (docs/redox-api.md#leniency).
 */
function numbersToTexts(schema: z.ZodType, body: JsonObject): void {
  const parsed = schema.safeParse(body, { reportInput: true })
  for (const issue of parsed.error?.issues ?? []) {
    if (issue.code !== 'invalid_type' || issue.expected !== 'string') continue
    // Larger integers have lost digits when they were parsed, so they are not converted.
    if (typeof issue.input === 'number' && Math.abs(issue.input) <= Number.MAX_SAFE_INTEGER)
      setAt(body, issue.path as Path, String(issue.input))
  }
}

const RESULT_FIELDS = 'Orders[0].Results[0]'

/**
 * Removes the form's result fields if they belong to no result of the message. The fields describe the result with the
 * file. In a message without a file they describe the only result of the data, unless that result has a different code.
 */
function fieldsFor(
  body: JsonObject,
  { model, fields, files }: DataModelInput,
  warnings: string[],
): FieldValue[] {
  if (model !== 'Results' || files.length > 0) return fields
  const results = resultsIn(body)
  const code = fields.find(({ path }) => path === `${RESULT_FIELDS}.Code`)?.value
  const [only, ...others] = results
  const own = getAt(only, ['Code'])
  const describes = others.length === 0 && (isBlank(own) || isSame(own, code))
  const ofResult = fields.filter(({ path }) => path.startsWith(RESULT_FIELDS))
  if (describes || ofResult.length === 0) return fields
  warnings.push(
    'The result fields of the node were ignored: they describe the result that holds the file, and there is no file.',
  )
  return fields.filter((field) => !ofResult.includes(field))
}

const resultsIn = (body: JsonObject): Json[] =>
  listOf(body.Orders).flatMap((order) => listOf(getAt(order, ['Results'])))

const listOf = (value: Json | undefined): Json[] => (Array.isArray(value) ? value : [])

const choicesFor = ({ files }: DataModelInput): Record<string, ElementChooser> => ({
  'Patient.Identifiers': chooseIdentifier,
  Orders: chooseOrder,
  ...(files.length > 0 && { 'Orders.Results': chooseResult }),
})

const partOf = (model: DataModel): 'Note' | 'Media' => (model === 'Media' ? 'Media' : 'Note')

/**
 * Returns true if the data contains a document ID. The sender identifies the document by this ID, so no ID is derived
 * from the file.
 */
export const hasDocumentId = (model: DataModel, data: unknown): boolean =>
  !isBlank(getAt(data as never, [partOf(model), 'DocumentID']))

/**
 * Sets a `DocumentID` derived from the document and the patient, so that the receiver can recognize a repeated message.
 * The ID is a hash, which reveals neither the patient nor the file. It has the form of a UUID version 8 (RFC 9562),
 * because some systems require a UUID.
 */
function setDocumentId(
  body: JsonObject,
  { model, fields }: DataModelInput,
  laid: LaidFields,
  digest: string,
): void {
  const part = partOf(model)
  const type = getAt(body, [part, 'DocumentType']) ?? null
  const hash = createHash('sha256')
    .update(JSON.stringify([...patientKey(body, fields, laid), type, digest]))
    .digest('hex')
  const uuid = hash.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-8$3-8$4-$5')
  setAt(body, [part, 'DocumentID'], uuid)
}

/**
 * String that identifies the patient when the document ID is derived: ID and type of the identifier in the form;
 * without it, of the only identifier; otherwise of all identifiers, sorted.
 */
function patientKey(body: JsonObject, fields: FieldValue[], laid: LaidFields): Json[] {
  const list: Path = ['Patient', 'Identifiers']
  const isNamed = fields.some(({ path }) => path.startsWith('Patient.Identifiers[0]'))
  const keyOf = (identifier: Json | undefined): Json[] =>
    ['ID', 'IDType'].map((name) => getAt(identifier, [name]) ?? null)
  if (isNamed) return keyOf(getAt(body, laid.at([...list, 0])))
  const identifiers = listOf(getAt(body, list))
  if (identifiers.length < 2) return keyOf(identifiers[0])
  const keys = identifiers.map((identifier) => JSON.stringify(keyOf(identifier)))
  return [[...new Set(keys)].sort()]
}

// `Orders[].Status` was required until 2023 and is always sent (docs/redox-api.md#media, #results).
function defaultsFor(
  body: JsonObject,
  { model, files, fields }: DataModelInput,
  laid: LaidFields,
): [Path, Json][] {
  if (model === 'Notes') return [[['Note', 'ContentType'], 'Base64 Encoded']]
  if (model === 'Media') return [[['Media', 'Availability'], 'Available']]
  const isOrderChosen = files.length > 0 || fields.some(({ path }) => path.startsWith('Orders[0]'))
  if (isOrderChosen) return [[[...laid.at(['Orders', 0]), 'Status'], 'Resulted']]
  return listOf(body.Orders).length > 1 ? [] : [[['Orders', 0, 'Status'], 'Resulted']]
}

const PLACE: Record<DataModel, (body: JsonObject, input: DataModelInput, laid: LaidFields) => Attachment[]> =
  {
    Notes: (body, input) => placeDocument(body, input, 'Note'),
    Media: (body, input) => placeDocument(body, input, 'Media'),
    Results: placeResults,
  }

function placeDocument(body: JsonObject, input: DataModelInput, part: 'Note' | 'Media'): Attachment[] {
  const contents: Path = [part, 'FileContents']
  if (input.eventType === 'Delete') {
    // A Notes message with event type Delete has the fields of event type New except FileContents
    // (docs/redox-api.md#notes).
    const document = body[part]
    if (isObject(document)) delete document.FileContents
    return []
  }
  if (input.text !== undefined) setAt(body, contents, input.text)
  const [placed] = input.files
  if (placed === undefined) return []
  setAt(body, contents, valueFor(placed))
  setFileFields(body, [part], placed, ['FileName', 'FileType'])
  return [{ ...placed, path: contents }]
}

/**
 * Puts each file into the first result without a `Value`. If there is none, adds a result that copies the fields of the
 * first file's result.
 */
function placeResults(body: JsonObject, { files }: DataModelInput, laid: LaidFields): Attachment[] {
  let pattern: JsonObject | undefined
  return files.map((placed) => {
    const result = pattern === undefined ? laid.at([...RESULT]) : nextResult(body, laid)
    const own = getAt(body, result) ?? null
    pattern ??= isObject(own) ? { ...own } : {}
    if (own === null) setAt(body, result, { ...pattern })
    const value: Path = [...result, 'Value']
    setAt(body, value, valueFor(placed))
    setAt(body, [...result, 'ValueType'], 'Encapsulated Data')
    setFileFields(body, result, placed, ['FileType'])
    setDefaults(body, [[[...result, 'Status'], 'Final']])
    return { ...placed, path: value }
  })
}

const RESULT: Path = ['Orders', 0, 'Results', 0]

function nextResult(body: JsonObject, laid: LaidFields): Path {
  const list: Path = [...laid.at(['Orders', 0]), 'Results']
  const results = listOf(getAt(body, list))
  const free = results.findIndex(isWithoutValue)
  return [...list, free < 0 ? results.length : free]
}

// Placeholder for the content of a file, so that the validation finds a value without reading the file.
const valueFor = ({ file, way }: FileToSend): string =>
  way === 'reference' && file.kind === 'reference' ? file.url : 'file'

/**
 * Checks the sizes of files that are embedded in the flow's data. The sizes of the node's own files are checked
 * earlier.
 * @throws RedoxError REDOX_TOO_LARGE
 */
export function assertContentsEmbeddable(body: JsonObject, limits: SizeLimits): void {
  const orders = Array.isArray(body.Orders) ? body.Orders : []
  const results = orders.flatMap((order) => getAt(order, ['Results']) ?? [])
  const isText = ['Plain Text', 'Rich Text'].some((type) => type === getAt(body, ['Note', 'ContentType']))
  assertContent(getAt(body, ['Note', 'FileContents']), isText, limits)
  assertContent(getAt(body, ['Media', 'FileContents']), false, limits)
  for (const result of results) assertContent(getAt(result, ['Value']), false, limits)
}

function assertContent(content: Json | undefined, isText: boolean, limits: SizeLimits): void {
  if (typeof content !== 'string') return
  // Four characters of base64 encode three bytes.
  const size = isText
    ? Buffer.byteLength(content)
    : Math.floor(((content.length - paddingOf(content)) * 3) / 4)
  assertEmbeddable(size, 'datamodel', limits)
}

const paddingOf = (base64: string): number => (base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0)

function setFileFields(
  body: JsonObject,
  at: Path,
  { file }: FileToSend,
  names: ('FileName' | 'FileType')[],
): void {
  const values = { FileName: file.name, FileType: file.fileType }
  for (const name of names) {
    const value = values[name]
    const isMadeUp = name === 'FileName' && file.unnamed && !!getAt(body, [...at, name])
    if (value !== undefined && !isMadeUp) setAt(body, [...at, name], value)
  }
}

function problemsIn(schema: z.ZodType, body: JsonObject, { model, files }: DataModelInput): Problem[] {
  const parsed = schema.safeParse(body, { reportInput: true })
  const problems = parsed.success ? [] : problemsOf(parsed.error, HINTS)
  // The URL of an uploaded file in a Notes message does not reveal the type of the file
  // (docs/redox-api.md#file-fields).
  const refers = model === 'Notes' && files.some(({ way }) => way !== 'embed')
  if (refers && !getAt(body, ['Note', 'FileType']))
    problems.push({ path: 'Note.FileType', problem: 'is missing', fix: FILE_TYPE_HINT })
  return problems
}

const PATIENT_HINT = 'Fill in the Patient ID field, or provide Patient.Identifiers in the data.'
const PROVIDER_HINT = 'Fill in the Provider ID field.'
const DOCUMENT_ID_HINT = 'Provide an ID that is unique for this document. Replace and Delete need it later.'
const FILE_TYPE_HINT = 'Provide the file type, e.g. PDF.'
const FILE_HINT = 'Set the File field, or provide the content in the data.'
const HINTS: Record<string, string> = {
  'Meta.Destinations': 'Enter the ID of the destination in the Destination field.',
  Patient: PATIENT_HINT,
  'Patient.Identifiers': PATIENT_HINT,
  'Patient.Identifiers[].ID': PATIENT_HINT,
  'Patient.Identifiers[].IDType': 'Provide the type of the patient ID, e.g. MR.',
  'Note.Provider': PROVIDER_HINT,
  'Note.Provider.ID': PROVIDER_HINT,
  'Note.DocumentType': 'Provide the document type, e.g. Consent Form.',
  'Note.DocumentID': DOCUMENT_ID_HINT,
  'Note.OriginalDocumentID': 'Provide the document ID of the note that this one replaces.',
  'Media.Provider': PROVIDER_HINT,
  'Media.Provider.ID': PROVIDER_HINT,
  'Media.DocumentType': 'Provide the document type, e.g. Treatment Plan.',
  'Media.DocumentID': DOCUMENT_ID_HINT,
  'Media.OriginalDocumentID': 'Provide the document ID of the document that this one replaces.',
  'Media.FileType': FILE_TYPE_HINT,
  'Media.FileName': 'Provide the file name.',
  'Note.FileContents': FILE_HINT,
  'Media.FileContents': FILE_HINT,
  'Orders[].Results': FILE_HINT,
  'Orders[].Results[].Value': FILE_HINT,
  'Orders[].ID': 'Fill in the Order ID field. For a result without an order, choose NewUnsolicited.',
  'Orders[].ApplicationOrderID': 'Fill in the Filler order ID field.',
  'Orders[].Results[].Code': 'Fill in the Result code field, e.g. 11502-2 (LOINC).',
  'Orders[].Results[].FileType': FILE_TYPE_HINT,
}
