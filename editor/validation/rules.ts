import { isRealDate } from '../../src/shared/dates'
import { fieldNamed } from '../../nodes/lib/fields/conditions'
import { settings, unitOf } from '../../nodes/lib/fields/settings'
import {
  DATE_TIME,
  DAY,
  isDatabaseUrl,
  isLoopback,
  isSchemaName,
  SLUG,
  UUID,
  VARIABLE,
} from '../../src/shared/formats'
import { acceptedTypesIn, PROVABLE_TYPES, unprovableType } from '../../src/shared/accepted-types'
import { areDestinationNames } from '../../src/shared/destination-names'
import { isLikeLoinc, isLoinc, isLoincSystem } from '../../src/shared/loinc'
import type { Check } from '../../src/shared/checks'
import {
  DOCUMENT_STATUS,
  GENDERS,
  MIN_STORE_KEY_LENGTH,
  NOTE_CONTENT_TYPES,
  OBSERVATION_STATUS,
  PUBLISHED_KEYS,
  REPORT_STATUS,
} from '../../src/shared/values'
import type { Read } from '../forms'
import { labelOf, text } from '../texts'
import type { ValidationError } from './validation-error'
import { deliveryPlan, faultPlan } from './sandbox-plans'
import { keyShape, STORED } from './key-shape'
import { mayBeSandbox } from './when'

/** Rule for the value of a property. Returns the error of the value, or undefined for a valid value. */
export type Rule = (value: string, read: Read, name: string) => ValidationError | undefined

export const isBlank = (value: string): boolean => value.trim() === ''
const isObject = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const needed = (value: string): ValidationError | undefined =>
  isBlank(value) ? ['needed'] : undefined

const unlessBlank =
  (isRight: (value: string) => boolean, key: string): Rule =>
  (value) =>
    isBlank(value) || isRight(value.trim()) ? undefined : [key]

const oneOf =
  (values: readonly string[]): Rule =>
  (value) =>
    isBlank(value) || values.includes(value.trim()) ? undefined : ['oneOf', { values: values.join(', ') }]

const acceptOnly: Rule = (value) =>
  VARIABLE.test(value.trim()) || unprovableType(acceptedTypesIn(value)) === undefined
    ? undefined
    : ['acceptOnly', { types: PROVABLE_TYPES.join(', ') }]

/** Rule for a code, if its code system is LOINC, or is not set and the code has the form of LOINC. */
const loinc: Rule = (value, read, name) => {
  const code = value.trim()
  const ofSystem = name === 'code' ? 'codeSystem' : `${name}set`
  if (code === '' || isLoinc(code) || !['', 'str'].includes(read(`${ofSystem}Type`))) return undefined
  const given = read(ofSystem)
  const isMeant = isBlank(given) ? name === 'code' && isLikeLoinc(code) : isLoincSystem(given)
  return isMeant ? ['loinc'] : undefined
}

const isDay = (day: string): boolean => DAY.test(day) && isRealDate(day)

function slug(value: string): ValidationError | undefined {
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

/** Returns true for a URL that uses https, or that uses http and points to the local machine. */
function isUrl(value: string): boolean {
  if (!URL.canParse(value)) return false
  const url = new URL(value)
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url))
}

const MB = 1_000_000

/** Rule for size limits. For an empty field, the default that its placeholder shows is compared. */
const limits: Rule = (_value, read, name) => {
  const limit = fieldNamed(settings, name)
  const notAbove = limit?.kind === 'text' ? limit.notAbove : undefined
  const megabytes = (field: string): number =>
    (Number(read(field) || text(`example.${field}`)) * unitOf(field)) / MB
  const isOver = (other: string): boolean => megabytes(other) > 0 && megabytes(name) > megabytes(other)
  const above = notAbove?.find(isOver)
  if (above === undefined) return undefined
  return ['limits', { other: labelOf(above), limit: megabytes(above) }]
}

/** Rule for an ID that is to be made from the file: there must be a file, unless the Data field contains an ID. */
const madeOfFile: Rule = (_value, read, name) => {
  if (read(`${name}Type`) !== 'content' || !isBlank(read('data'))) return undefined
  if (read('eventType') === 'Delete') return ['noFile']
  return read('fileFrom') === 'none' ? ['noFileSent'] : undefined
}

/** Rule for a required value, which may be in the field itself or in the Data field. */
const required: Rule = (value, read, name) => {
  const isThere = !isBlank(value) || !isBlank(read('data')) || read(`${name}Type`) === 'content'
  return isThere ? undefined : ['required']
}

/**
 * Rule for the Data field of a node: JSON with an object, or, for FHIR, an array of resources. Only Data Model nodes
 * have an event type.
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

/** Rule for reading files from a path: the connection must allow at least one folder. */
const allowedFolder: Rule = (value, read) => {
  const connection = value === 'path' ? RED.nodes.node(read('connection')) : undefined
  return connection && isBlank(String(connection['folders'] ?? '')) ? ['noFolder'] : undefined
}

/** Rule for a private key: it must not be missing and must have the format of a private key. */
const privateKey: Rule = (value, read) => {
  const keyId = read('keyId').trim()
  if (value === '') return [keyId === '' ? 'needed' : 'keyWithoutId']
  return keyShape(value, keyId)
}

/** Rule for the private key of a user-level key, which is optional. */
const platformKey: Rule = (value, read) => {
  const keyId = read('platformKeyId').trim()
  if (value !== '') return keyShape(value, keyId)
  return keyId === '' ? undefined : ['keyWithoutId']
}

/**
 * Returns a rule for a secret of the store. A stored secret and an environment variable cannot be checked in the
 * editor.
 */
const ofStore =
  (isRight: (secret: string) => boolean): Rule =>
  (value, read, name) => {
    if (value === STORED || VARIABLE.test(value)) return undefined
    if (PUBLISHED_KEYS.has(value) && !mayBeSandbox(read)) return ['publishedKey']
    return isRight(value) ? undefined : [name]
  }

export const RULES: Record<Check, Rule> = {
  ...{
    needed,
    madeOfFile,
    required,
    slug,
    destinationId,
    json,
    limits,
    faultPlan,
    deliveryPlan,
    allowedFolder,
    privateKey,
    platformKey,
    acceptOnly,
    loinc,
  },
  storeKey: ofStore((key) => key.length >= MIN_STORE_KEY_LENGTH),
  storeUrl: ofStore(isDatabaseUrl),
  storeSchema: unlessBlank((value) => isSchemaName(value.trim()), 'storeSchema'),
  destinationNames: unlessBlank(
    (value) => VARIABLE.test(value) || areDestinationNames(value),
    'destinationNames',
  ),
  uuid: unlessBlank((value) => UUID.test(value), 'uuid'),
  date: unlessBlank(isDay, 'date'),
  dateTime: unlessBlank((value) => DATE_TIME.test(value), 'dateTime'),
  amount: unlessBlank((value) => Number(value) > 0, 'amount'),
  amountOrNone: unlessBlank((value) => Number(value) >= 0, 'amountOrNone'),
  url: unlessBlank(isUrl, 'url'),
  gender: oneOf(GENDERS),
  status: (value, read, name) =>
    oneOf(read('operation').startsWith('Obs') ? OBSERVATION_STATUS : REPORT_STATUS)(value, read, name),
  documentStatus: oneOf(DOCUMENT_STATUS),
  noteContentType: oneOf(NOTE_CONTENT_TYPES),
}
