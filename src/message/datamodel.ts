import { createHash } from 'node:crypto'
import type { z } from 'zod'
import { badInput, type Problem } from '../errors'
import { DATA_MODEL_SCHEMAS } from './datamodel-schemas'
import { copyJson, getAt, isObject, fieldPath, setAt, type Json, type JsonObject, type Path } from './json'
import {
  assertEmbeddable,
  checked,
  type Draft,
  type Limits,
  type PlacedFile,
  type PreparedMessage,
} from './prepared'
import { problemsOf } from './problems'

export type DataModel = keyof typeof DATA_MODEL_SCHEMAS

/** A value that a node's form (or the message that the form points to) gives for one field. */
export interface FieldValue {
  /** e.g. `Note.Provider.ID`, `Orders[0].Results[0].Code` */
  path: string
  value: unknown
}

/** Who sends: from the redox-config node. */
export interface Sender {
  sourceId?: string
  sourceName?: string
  /** `Meta.Test` */
  test: boolean
}

export interface DataModelInput {
  model: DataModel
  /** `New`, `Replace`, `Delete`, `NewUnsolicited` */
  eventType: string
  /** destination IDs (UUIDs) */
  destinations: string[]
  /** the message as far as the flow made it: the fields are laid over it */
  data?: unknown
  fields: FieldValue[]
  /** none for Delete and for text notes, one for Notes and Media, one or more for Results */
  files: PlacedFile[]
  /** Notes of content type Plain Text or Rich Text: the text itself */
  text?: string
  /** sha256 (hex) of the file or text, when `DocumentID` is to be made from it */
  documentDigest?: string
  /** `Meta.EventDateTime` */
  now: Date
}

/**
 * Builds and checks one message of the Data Model API (facts sections 4 and 5).
 * @throws RedoxError REDOX_INVALID_MESSAGE with every problem at once
 */
export const prepareDataModel = (input: DataModelInput, sender: Sender): PreparedMessage =>
  checked(draftDataModel(input, sender))

/**
 * The message as far as it can be built. Precedence: a filled field, the data object, the default.
 * @throws RedoxError REDOX_BAD_INPUT for input that no message can be built of
 */
export function draftDataModel(input: DataModelInput, sender: Sender): Draft {
  const events: Record<string, z.ZodType> = DATA_MODEL_SCHEMAS[input.model]
  const schema = Object.hasOwn(events, input.eventType) ? events[input.eventType] : undefined
  if (schema === undefined) {
    throw badInput(`${input.model} has no event type of that name. Choose ${Object.keys(events).join(', ')}.`)
  }
  const body = ownCopy(input.data)
  setMeta(body, input, sender)
  for (const field of input.fields) setField(body, field)
  if (input.documentDigest !== undefined) setDocumentId(body, input.model, input.documentDigest)
  const files = PLACE[input.model](body, input)
  setDefaults(body, DEFAULTS[input.model])
  return {
    message: { api: 'datamodel', operation: `${input.model}:${input.eventType}`, body, files },
    title: `The ${input.model} message (${input.eventType})`,
    problems: problemsIn(schema, body, input),
  }
}

function ownCopy(data: unknown): JsonObject {
  if (data === undefined || data === null) return {}
  const copy = copyJson(data, '')
  if (isObject(copy)) return copy
  throw badInput('The data object of the message is not an object. Pass an object, or leave it empty.')
}

function setMeta(
  body: JsonObject,
  { model, eventType, destinations, now }: DataModelInput,
  sender: Sender,
): void {
  setAt(body, ['Meta', 'DataModel'], model)
  setAt(body, ['Meta', 'EventType'], eventType)
  if (destinations.length > 0)
    setAt(
      body,
      ['Meta', 'Destinations'],
      destinations.map((ID) => ({ ID })),
    )
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

function setField(body: JsonObject, { path, value }: FieldValue): void {
  setAt(body, fieldPath(path), fieldValue(value, path))
}

/** Every field of the forms is a text to Redox: a number from a message (an order id) is written as one. */
export const fieldValue = (value: unknown, path: string): Json =>
  typeof value === 'number' && Number.isFinite(value) ? String(value) : copyJson(value, path)

/**
 * The same document of the same patient has the same ID whenever it is sent, so that a repeat can be known as one.
 * A hash: neither patient nor file can be read from it. Shaped as a UUID of version 8 (RFC 9562), which systems take
 * that want one.
 */
function setDocumentId(body: JsonObject, model: DataModel, digest: string): void {
  const part = model === 'Media' ? 'Media' : 'Note'
  const patient = getAt(body, ['Patient', 'Identifiers', 0])
  const { ID = null, IDType = null } = isObject(patient) ? patient : {}
  const type = getAt(body, [part, 'DocumentType']) ?? null
  const hash = createHash('sha256')
    .update(JSON.stringify([ID, IDType, type, digest]))
    .digest('hex')
  const uuid = hash.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-8$3-8$4-$5')
  setAt(body, [part, 'DocumentID'], uuid)
}

// Facts 5.6 and 5.7. `Results[].Status` was required until 2023: sent always.
const DEFAULTS: Record<DataModel, [Path, Json][]> = {
  Notes: [[['Note', 'ContentType'], 'Base64 Encoded']],
  Media: [[['Media', 'Availability'], 'Available']],
  Results: [[['Orders', 0, 'Status'], 'Resulted']],
}

type Placed = PreparedMessage['files']

const PLACE: Record<DataModel, (body: JsonObject, input: DataModelInput) => Placed> = {
  Notes: (body, input) => placeDocument(body, input, 'Note'),
  Media: (body, input) => placeDocument(body, input, 'Media'),
  Results: placeResults,
}

function placeDocument(body: JsonObject, input: DataModelInput, part: 'Note' | 'Media'): Placed {
  const contents: Path = [part, 'FileContents']
  if (input.eventType === 'Delete') {
    // Facts 5.5: Delete is New without FileContents.
    const document = body[part]
    if (isObject(document)) delete document.FileContents
    return []
  }
  if (input.text !== undefined) setAt(body, contents, input.text)
  const [placed] = input.files
  if (placed === undefined) return []
  setAt(body, contents, valueFor(placed))
  setFileFields(body, [part], placed, ['FileName', 'FileType'])
  return [{ way: placed.way, path: contents }]
}

function placeResults(body: JsonObject, { files }: DataModelInput): Placed {
  const first = getAt(body, ['Orders', 0, 'Results', 0])
  const pattern = isObject(first) ? { ...first } : {}
  return files.map((placed, index) => {
    const result: Path = ['Orders', 0, 'Results', index]
    const value: Path = [...result, 'Value']
    // A measured value must not give way to a file silently.
    if ((getAt(body, value) ?? null) !== null) {
      throw badInput(
        `Orders[0].Results[${index}] of the data object already has a Value; the file would replace it. ` +
          'Leave out Value there, or move that result behind the files.',
      )
    }
    if ((getAt(body, result) ?? null) === null) setAt(body, result, { ...pattern })
    setAt(body, value, valueFor(placed))
    setAt(body, [...result, 'ValueType'], 'Encapsulated Data')
    setFileFields(body, result, placed, ['FileType'])
    setDefaults(body, [[[...result, 'Status'], 'Final']])
    return { way: placed.way, path: value }
  })
}

// The place of a file that is not there yet: checks see that something stands here, and never the bytes.
const valueFor = ({ file, way }: PlacedFile): string =>
  way === 'reference' && file.kind === 'reference' ? file.url : 'file'

/**
 * Refuses files that the data brought embedded and that are too large; those of the node are checked before.
 * @throws RedoxError REDOX_TOO_LARGE
 */
export function assertContentsEmbeddable(body: JsonObject, limits: Limits): void {
  const orders = Array.isArray(body.Orders) ? body.Orders : []
  const results = orders.flatMap((order) => getAt(order, ['Results']) ?? [])
  const isText = ['Plain Text', 'Rich Text'].some((type) => type === getAt(body, ['Note', 'ContentType']))
  assertContent(getAt(body, ['Note', 'FileContents']), isText, limits)
  assertContent(getAt(body, ['Media', 'FileContents']), false, limits)
  for (const result of results) assertContent(getAt(result, ['Value']), false, limits)
}

function assertContent(content: Json | undefined, isText: boolean, limits: Limits): void {
  if (typeof content !== 'string') return
  // Four characters of base64 stand for three bytes.
  const size = isText ? Buffer.byteLength(content) : Math.floor((content.replace(/=+$/, '').length * 3) / 4)
  assertEmbeddable(size, 'datamodel', limits)
}

function setFileFields(
  body: JsonObject,
  at: Path,
  { file }: PlacedFile,
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
  // Facts 9.3: a reference in a note says nothing of what it leads to.
  const refers = model === 'Notes' && files.some(({ way }) => way !== 'embed')
  if (refers && !getAt(body, ['Note', 'FileType']))
    problems.push({ path: 'Note.FileType', problem: 'is missing', fix: 'Fill in the file type, e.g. PDF.' })
  return problems
}

const PATIENT_HINT = "Fill in the node's Patient ID field, or give Patient.Identifiers in the data object."
const HINTS: Record<string, string> = {
  'Meta.Destinations': "Fill in the node's Destination field with the destination's ID.",
  Patient: PATIENT_HINT,
  'Patient.Identifiers': PATIENT_HINT,
  'Patient.Identifiers[].ID': PATIENT_HINT,
  'Patient.Identifiers[].IDType': 'Fill in the type of the patient ID, e.g. MR.',
  'Note.Provider': "Fill in the node's Provider ID field.",
  'Note.Provider.ID': "Fill in the node's Provider ID field.",
  'Note.DocumentType': 'Fill in the document type, e.g. Consent Form.',
  'Note.DocumentID': 'Fill in a unique identifier for this document; Replace and Delete need it later.',
  'Note.OriginalDocumentID': 'Fill in the DocumentID of the note that this one replaces.',
  'Media.Provider': "Fill in the node's Provider ID field.",
  'Media.Provider.ID': "Fill in the node's Provider ID field.",
  'Media.DocumentType': 'Fill in the document type, e.g. Treatment Plan.',
  'Media.DocumentID': 'Fill in a unique identifier for this document; Replace and Delete need it later.',
  'Media.OriginalDocumentID': 'Fill in the DocumentID of the document that this one replaces.',
  'Media.FileType': 'Fill in the file type, e.g. PDF.',
  'Media.FileName': 'Fill in the file name.',
  'Orders[].ID':
    "Fill in the node's Order ID field (or choose NewUnsolicited for a result without an order).",
  'Orders[].ApplicationOrderID': "Fill in the node's Application order ID field.",
  'Orders[].Results[].Code': "Fill in the node's Result code field, e.g. 11502-2 (LOINC).",
  'Orders[].Results[].FileType': 'Fill in the file type, e.g. PDF.',
}
