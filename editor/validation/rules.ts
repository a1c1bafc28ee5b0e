import { isRealDate } from '../../src/shared/dates'
import { DATE_TIME, SLUG, UUID, VARIABLE } from '../../src/shared/formats'
import type { Check } from '../../src/shared/checks'
import {
  DOCUMENT_STATUS,
  GENDERS,
  NOTE_CONTENT_TYPES,
  OBSERVATION_STATUS,
  REPORT_STATUS,
} from '../../src/shared/values'
import type { Read } from '../forms'
import { labelOf, text } from '../texts'
import type { Fault } from './fault'
import { faultPlan } from './fault-plan'

/** Rule for a property. Returns the error of a value, or undefined for a valid one. */
export type Rule = (value: string, read: Read, name: string) => Fault | undefined

export const isBlank = (value: string): boolean => value.trim() === ''
const isObject = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const needed = (value: string): Fault | undefined => (isBlank(value) ? ['needed'] : undefined)

const unlessBlank =
  (isRight: (value: string) => boolean, key: string): Rule =>
  (value) =>
    isBlank(value) || isRight(value.trim()) ? undefined : [key]

const oneOf =
  (values: readonly string[]): Rule =>
  (value) =>
    isBlank(value) || values.includes(value.trim()) ? undefined : ['oneOf', { values: values.join(', ') }]

const isDay = (day: string): boolean => /^\d{4}-\d{2}-\d{2}$/.test(day) && isRealDate(day)

function slug(value: string): Fault | undefined {
  const found = value.trim()
  if (found === '') return undefined
  if (UUID.test(found)) return ['slug']
  if (found === 'redox') return ['slugUpload']
  return SLUG.test(found) ? undefined : ['slugShape']
}

const destinationId: Rule = (value) =>
  value.split(/[\s,;]+/).every((id) => id === '' || UUID.test(id) || VARIABLE.test(id))
    ? undefined
    : ['destinationId']

/** Returns true for an https URL, or an http URL of the local machine. */
function isUrl(value: string): boolean {
  if (!URL.canParse(value)) return false
  const { protocol, hostname } = new URL(value)
  return (
    protocol === 'https:' || (protocol === 'http:' && /^(localhost|127\.0\.0\.1|\[::1\])$/.test(hostname))
  )
}

/** Megabytes per unit of each limit. */
const MB: Record<string, number> = { embedBySelfKb: 0.001, dataModelEmbedMb: 1, requestMb: 1, uploadMb: 1 }
const NOT_ABOVE: Record<string, string[]> = {
  embedBySelfKb: ['dataModelEmbedMb', 'uploadMb'],
  dataModelEmbedMb: ['requestMb'],
}

/** Rule for size limits. An empty limit is the default that its field shows. */
const limits: Rule = (_value, read, name) => {
  const megabytes = (field: string): number => Number(read(field) || text(`example.${field}`)) * MB[field]!
  const isOver = (other: string): boolean => megabytes(other) > 0 && megabytes(name) > megabytes(other)
  const above = NOT_ABOVE[name]?.find(isOver)
  if (above === undefined) return undefined
  return ['limits', { other: labelOf(above), limit: megabytes(above) }]
}

/** Rule for an ID that is made from the file, unless the Data contains an ID. */
const madeOfFile: Rule = (_value, read, name) => {
  if (read(`${name}Type`) !== 'content' || !isBlank(read('data'))) return undefined
  if (read('eventType') === 'Delete') return ['noFile']
  return read('fileFrom') === 'none' ? ['noFileSent'] : undefined
}

/** Rule for a required field, which the Data may contain instead. */
const required: Rule = (value, read, name) => {
  const isThere = !isBlank(value) || !isBlank(read('data')) || read(`${name}Type`) === 'content'
  return isThere ? undefined : ['required']
}

/**
 * Rule for the Data of a node: an object, or for FHIR also a list of resources. Only Data Model nodes have an event
 * type.
 */
const json: Rule = (value, read) => {
  if (isBlank(value)) return undefined
  const data = parsedJson(value)
  const isList = Array.isArray(data) && data.every(isObject) && read('eventType') === ''
  return isObject(data) || isList ? undefined : ['json']
}

function parsedJson(value: string): unknown {
  try {
    return JSON.parse(value)
  } catch {
    return undefined
  }
}

/** Rule for reading files by their path: the connection must allow a folder. */
const allowedFolder: Rule = (value, read) => {
  const connection = value === 'path' ? RED.nodes.node(read('connection')) : undefined
  return connection && isBlank(String(connection['folders'] ?? '')) ? ['noFolder'] : undefined
}

export const RULES: Record<Check, Rule> = {
  ...{ needed, madeOfFile, required, slug, destinationId, json, limits, faultPlan, allowedFolder },
  uuid: unlessBlank((value) => UUID.test(value), 'uuid'),
  date: unlessBlank(isDay, 'date'),
  dateTime: unlessBlank((value) => DATE_TIME.test(value), 'dateTime'),
  amount: unlessBlank((value) => Number(value) > 0, 'amount'),
  url: unlessBlank(isUrl, 'url'),
  gender: oneOf(GENDERS),
  status: (value, read, name) =>
    oneOf(read('operation').startsWith('Obs') ? OBSERVATION_STATUS : REPORT_STATUS)(value, read, name),
  documentStatus: oneOf(DOCUMENT_STATUS),
  noteContentType: oneOf(NOTE_CONTENT_TYPES),
}
