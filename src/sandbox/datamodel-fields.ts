/**
 * Tables of the Data Model API's message fields, and the checker that compares a message with them
 * (docs/redox-api.md#data-models).
 */
import { isObject, isUuid } from './http'
import type { JsonRecord } from './http'

/** Rule for one value. `problem` is the error text for a value that does not fit. */
class ValueRule {
  constructor(
    readonly problem: string,
    readonly accepts: (value: unknown) => boolean,
  ) {}
}
/** Rules of an object's fields. Other fields are allowed. A name that ends in `!` is required. */
export interface FieldTable {
  [name: string]: FieldRule
}
type FieldRule = ValueRule | FieldTable | [FieldRule]

const expected = (what: string, accepts: (value: unknown) => boolean): ValueRule =>
  new ValueRule(`Invalid value, expected ${what}`, accepts)
/**
 * Rule for a string. Redox also accepts numbers for strings (docs/redox-api.md#leniency). Whether it accepts booleans
 * is not known, so they are refused.
 */
const text = expected('a string', (value) => typeof value === 'string' || typeof value === 'number')
/** Rule for a string for which a number is not accepted: a model name or a file. */
const literal = expected('a string', (value) => typeof value === 'string')
const flag = expected('a boolean', (value) => typeof value === 'boolean')
const number = expected('a number', (value) => typeof value === 'number')
const uuid = expected('a UUID', isUuid)
const date = expected('a date (YYYY-MM-DD)', (value) => typeof value === 'string' && isDay(value))
const datetime = expected('an ISO 8601 date and time', isDateTime)
const absent = new ValueRule('Field not allowed', () => false)
/**
 * Rule for a value from a closed list. Used only for lists that are certain to be complete (docs/redox-api.md#media,
 * #data-models).
 */
const oneOf = (...values: string[]): ValueRule =>
  expected(`one of ${values.join(', ')}`, (value) => typeof value === 'string' && values.includes(value))

/** Returns the same rule for several fields. `names` contains the field names, separated by spaces. */
const all = (kind: ValueRule, names: string): FieldTable =>
  Object.fromEntries(names.split(' ').map((name) => [name, kind]))
const strings = (names: string): FieldTable => all(text, names)
const datetimes = (names: string): FieldTable => all(datetime, names)

const AVAILABILITY = oneOf('Available', 'Unavailable', 'Obsolete', 'Deleted', 'Cancelled')
const ADDRESS = strings('StreetAddress City State ZIP County Country')
const PHONES = strings('Home Office Mobile')
const IDENTIFIERS: FieldRule = [strings('ID IDType')]
const CODESET = strings('Code Codeset Description')
const PROVIDER_LOCATION: FieldTable = {
  ...strings('Type Facility Department Room'),
  FacilityIdentifiers: IDENTIFIERS,
  DepartmentIdentifiers: IDENTIFIERS,
}
const PERSON: FieldTable = {
  ...strings('IDType FirstName LastName'),
  Credentials: [text],
  Address: ADDRESS,
  EmailAddresses: [text],
  PhoneNumber: strings('Office'),
  Location: PROVIDER_LOCATION,
}
const PROVIDER: FieldTable = { ID: text, ...PERSON }
const KNOWN_PROVIDER: FieldTable = { 'ID!': text, ...PERSON }
const PROVIDER_WITH_NPI: FieldTable = { NPI: text, ...PROVIDER }

/**
 * Rules of `Meta`, which are the same in all models (docs/redox-api.md#meta). For an unknown model, only the rules of
 * `Meta` are checked.
 */
export const META: FieldTable = {
  'Meta!': {
    ...all(literal, 'DataModel! EventType!'),
    FacilityCode: text,
    EventDateTime: datetime,
    Test: flag,
    Source: { ID: uuid, Name: text },
    'Destinations!': [{ 'ID!': uuid, Name: text }],
    Logs: [strings('ID AttemptID')],
    Message: { ID: number },
    Transmission: { ID: number },
  },
}
const PATIENT: FieldTable = {
  'Identifiers!': [strings('ID! IDType!')],
  Demographics: {
    ...strings('FirstName MiddleName LastName SSN Sex Race Religion MaritalStatus Language'),
    ...all(flag, 'IsHispanic IsDeceased'),
    DOB: date,
    DeathDateTime: datetime,
    PhoneNumber: PHONES,
    EmailAddresses: [text],
    Citizenship: [text],
    Address: ADDRESS,
  },
  Notes: [text],
}
const CONTACT: FieldTable = {
  ...strings('FirstName MiddleName LastName RelationToPatient'),
  Address: ADDRESS,
  PhoneNumber: PHONES,
  EmailAddresses: [text],
  Roles: [text],
}
const VISIT: FieldTable = {
  ...strings('VisitNumber AccountNumber'),
  Location: { ...PROVIDER_LOCATION, Bed: text },
}
const STAFFED_VISIT: FieldTable = {
  ...VISIT,
  VisitDateTime: datetime,
  PatientClass: text,
  AdditionalStaff: [{ ...PROVIDER, Role: CODESET }],
}

const note = (ofEvent: FieldTable): FieldTable => ({
  ...META,
  'Patient!': PATIENT,
  Visit: STAFFED_VISIT,
  'Note!': {
    'ContentType!': oneOf('Plain Text', 'Rich Text', 'Base64 Encoded'),
    ...strings('FileName FileType DocumentType! DocumentID! DocumentDescription Status'),
    ...datetimes('ServiceDateTime DocumentationDateTime'),
    Availability: AVAILABILITY,
    'Provider!': KNOWN_PROVIDER,
    Authenticator: PROVIDER,
    Notifications: [PROVIDER],
    Components: [strings('ID Name Value Comments')],
    ...ofEvent,
  },
  Orders: [strings('ID Name')],
})

const media = (ofEvent: FieldTable): FieldTable => ({
  ...META,
  'Patient!': PATIENT,
  Visit: VISIT,
  'Media!': {
    ...strings('FileType! FileName! DocumentType! DocumentID! DocumentDescription'),
    ...strings('DirectAddressFrom DirectAddressTo Authenticated'),
    ...datetimes('CreationDateTime ServiceDateTime'),
    'Availability!': text,
    'Provider!': KNOWN_PROVIDER,
    Authenticator: PROVIDER,
    Notifications: [PROVIDER],
    ...ofEvent,
  },
  Orders: [strings('ID Name')],
})

const RESULT: FieldTable = {
  ...strings('Code! Codeset Description RelatedGroupID Value! ValueType! FileType Units AbnormalFlag Status'),
  CompletionDateTime: datetime,
  Specimen: strings('Source BodySite ID'),
  Notes: [text],
  PrimaryResultsInterpreter: PROVIDER_WITH_NPI,
  Producer: { ...strings('ID IDType Name'), Address: ADDRESS },
  Performer: PROVIDER,
  ReferenceRange: { ...all(number, 'Low High'), Text: text },
  ObservationMethod: CODESET,
}
const results = (ofEvent: FieldTable): FieldTable => ({
  ...META,
  'Patient!': { ...PATIENT, Contacts: [CONTACT] },
  'Orders!': [
    {
      ...strings('ResultsStatus Status! ResponseFlag Priority'),
      ...datetimes('TransactionDateTime CollectionDateTime CompletionDateTime'),
      Notes: [text],
      Procedure: CODESET,
      Provider: PROVIDER_WITH_NPI,
      ResultCopyProviders: [PROVIDER],
      'Results!': [RESULT],
      ...ofEvent,
    },
  ],
  Visit: { ...STAFFED_VISIT, AttendingProvider: PROVIDER, ReferringProvider: PROVIDER },
})

/** Rules of each message, by `DataModel:EventType`, in the spelling that Redox uses in its error texts. */
export const EVENTS = new Map([
  ['Notes:New', note({ FileContents: literal })],
  ['Notes:Replace', note({ FileContents: literal, 'OriginalDocumentID!': text })],
  ['Notes:Delete', note({ FileContents: absent })],
  ['Media:New', media({ 'FileContents!': literal })],
  ['Media:Replace', media({ 'FileContents!': literal, 'OriginalDocumentID!': text })],
  ['Media:Delete', media({ FileContents: absent })],
  ['Results:New', results(strings('ID! ApplicationOrderID'))],
  ['Results:NewUnsolicited', results(strings('ID ApplicationOrderID!'))],
])

export type ReportProblem = (problem: string, path: string) => void

/** Reports all differences between a message and its rules. */
export const checkMessage = (message: JsonRecord, fields: FieldTable, report: ReportProblem): void =>
  checkFields(message, fields, '', report)

function check(value: unknown, spec: FieldRule, path: string, report: ReportProblem): void {
  if (spec instanceof ValueRule) {
    if (!spec.accepts(value)) report(spec.problem, path)
  } else if (Array.isArray(spec)) {
    if (!Array.isArray(value)) report('Invalid value, expected an array', path)
    else value.forEach((item, index) => check(item, spec[0], `${path}[${index}]`, report))
  } else if (!isObject(value)) report('Invalid value, expected an object', path)
  else checkFields(value, spec, `${path}.`, report)
}

function checkFields(value: JsonRecord, fields: FieldTable, prefix: string, report: ReportProblem): void {
  for (const [key, spec] of Object.entries(fields)) {
    const required = key.endsWith('!')
    const name = required ? key.slice(0, -1) : key
    const child = value[name]
    if (!isBlank(child, spec)) check(child, spec, prefix + name, report)
    else if (required) reportMissing(spec, prefix + name, report)
  }
}

/**
 * Returns true if a value is missing. Optional scalars may be null (docs/redox-api.md#data-models) or empty strings. A
 * required list needs at least one item.
 */
function isBlank(value: unknown, spec: FieldRule): boolean {
  if (spec instanceof ValueRule) return value === undefined || value === null || value === ''
  return value === undefined || (Array.isArray(value) && value.length === 0)
}

/**
 * Reports a missing required field. For a missing object, reports the required fields inside it, as Redox does
 * (`Device.ID in Device:New`).
 */
function reportMissing(spec: FieldRule, path: string, report: ReportProblem): void {
  if (spec instanceof ValueRule || Array.isArray(spec)) report('Required field missing', path)
  else checkFields({}, spec, `${path}.`, report)
}

function isDay(value: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(value)) return false
  const midnight = new Date(`${value}T00:00:00Z`)
  // JavaScript's Date accepts February 30 and changes it to March 2.
  return !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(value)
}

function isDateTime(value: unknown): boolean {
  if (typeof value !== 'string') return false
  const [day, time] = [value.slice(0, 10), value.slice(10)]
  const clock = /^T([01]\d|2[0-3]):[0-5]\d(:([0-5]\d|60)([.,]\d+)?)?(Z|[+-]\d{2}:?\d{2})?$/
  return isDay(day) && (time === '' || clock.test(time))
}
