import { readFileSync } from 'node:fs'
import path from 'node:path'
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import addFormats from 'ajv-formats'
import { isCanonicalBase64 } from './attachments'
import { asArray, asObject, type JsonObject } from './json'

// Compiled tests run in dist/test, but the schema files stay in test/contract/schemas.
const FOLDER = path.join(__dirname, '../../../test/contract/schemas')

const NON_EMPTY = { type: 'string', minLength: 1 }

function load(name: string): JsonObject {
  return JSON.parse(readFileSync(path.join(FOLDER, name), 'utf8')) as JsonObject
}

/** Object at a path of a schema. If the path has no object, this test file is wrong. */
function at(schema: JsonObject, ...keys: string[]): JsonObject {
  return keys.reduce((node, key) => {
    if (!(key in node)) throw new Error(`the schema has no ${keys.join('.')}`)
    return asObject(node[key])
  }, schema)
}

function demand(node: JsonObject, ...names: string[]): void {
  node['required'] = [...new Set([...asArray(node['required']), ...names])]
}

function spare(node: JsonObject, name: string): void {
  node['required'] = asArray(node['required']).filter((other) => other !== name)
}

/** Copy of a Data Model schema for another event type, whose messages differ in a few fields only. */
function derived(base: JsonObject, eventType: string): JsonObject {
  const schema = structuredClone(base)
  schema['$id'] = `${String(base['$id'])}:${eventType}`
  at(schema, 'properties', 'Meta', 'properties')['EventType'] = { const: eventType }
  return schema
}

function replacing(base: JsonObject, part: string): JsonObject {
  const schema = derived(base, 'Replace')
  at(schema, 'properties', part, 'properties')['OriginalDocumentID'] = NON_EMPTY
  demand(at(schema, 'properties', part), 'OriginalDocumentID')
  return schema
}

function deleting(base: JsonObject, part: string): JsonObject {
  const schema = derived(base, 'Delete')
  at(schema, 'properties', part, 'properties')['FileContents'] = false
  spare(at(schema, 'properties', part), 'FileContents')
  return schema
}

/** Schema for Results NewUnsolicited (results of an unknown order): orders need an `ApplicationOrderID` but no `ID`. */
function unsolicited(base: JsonObject): JsonObject {
  const schema = derived(base, 'NewUnsolicited')
  const order = at(schema, 'properties', 'Orders', 'items')
  Object.assign(at(order, 'properties'), { ID: { type: ['string', 'null'] }, ApplicationOrderID: NON_EMPTY })
  spare(order, 'ID')
  demand(order, 'ApplicationOrderID')
  return schema
}

function compileAll(): Map<string, ValidateFunction> {
  const notes = load('notes-new.json')
  const media = load('media-new.json')
  const results = load('results-new.json')
  // Keywords of our schemas that begin with x- contain suggestions, not rules. Other unknown keywords are misspelled.
  const ajv = new Ajv({
    allErrors: true,
    allowUnionTypes: true,
    keywords: ['x-known-values', 'x-source-date'],
  })
  addFormats(ajv)
  return new Map([
    ['Notes/New', ajv.compile(notes)],
    ['Notes/Replace', ajv.compile(replacing(notes, 'Note'))],
    ['Notes/Delete', ajv.compile(deleting(notes, 'Note'))],
    ['Media/New', ajv.compile(media)],
    ['Media/Replace', ajv.compile(replacing(media, 'Media'))],
    ['Media/Delete', ajv.compile(deleting(media, 'Media'))],
    ['Results/New', ajv.compile(results)],
    ['Results/NewUnsolicited', ajv.compile(unsolicited(results))],
  ])
}

const validators = compileAll()

function described(error: ErrorObject): string {
  const details = error.keyword === 'const' || error.keyword === 'enum' ? JSON.stringify(error.params) : ''
  return `${error.instancePath || '/'}: ${error.message ?? error.keyword} ${details}`.trimEnd()
}

/** Paths and values of the elements that contain a file, which is base64 or the URL of an uploaded blob. */
function fileTexts(message: JsonObject): [place: string, text: unknown][] {
  const note = asObject(message['Note'])
  const found: [string, unknown][] = [['/Media/FileContents', asObject(message['Media'])['FileContents']]]
  if (note['ContentType'] === 'Base64 Encoded') found.push(['/Note/FileContents', note['FileContents']])
  asArray(message['Orders']).forEach((order, i) => {
    asArray(asObject(order)['Results']).forEach((item, k) => {
      const result = asObject(item)
      if (result['ValueType'] !== 'Encapsulated Data') return
      found.push([`/Orders/${i}/Results/${k}/Value`, result['Value']])
    })
  })
  return found
}

function fileProblems(message: JsonObject): string[] {
  return fileTexts(message)
    .filter(
      ([, text]) => typeof text === 'string' && !/^https:\/\/\S+$/.test(text) && !isCanonicalBase64(text),
    )
    .map(([place]) => `${place}: neither canonical base64 nor the address of a blob`)
}

/** Problems of a Notes, Media or Results message; an empty list if the message is valid. */
export function judgeDataModel(message: unknown): string[] {
  const { DataModel, EventType } = asObject(asObject(message)['Meta'])
  const kind = `${String(DataModel)}/${String(EventType)}`
  const validate = validators.get(kind)
  if (!validate) return [`/Meta: no schema for ${kind}`]
  const errors = validate(message) ? [] : (validate.errors ?? [])
  return [...errors.map(described), ...fileProblems(asObject(message))]
}
