import { RedoxError, type RedoxErrorDetail } from '../errors'
import { isObject, type JsonObject } from '../message/json'
import type { PreparedMessage } from '../message/prepared'
import type { HttpAnswer } from '../transport/http'

/** What an answer of Redox says, whatever shape it has (facts 3.4, 4.1, 6.4). */
export interface AnswerFacts {
  /** ids for the dashboard's log search */
  logIds: string[]
  /** FHIR: locations of the resources made */
  locations: string[]
  /** Redox's own words about what went wrong; may repeat patient data */
  reasons: string[]
  /** FHIR: the outcome of each entry */
  entries: { part: string; status?: number; delivered: boolean; location?: string }[]
  traceId?: string
}

const list = (value: unknown): Record<string, unknown>[] =>
  Array.isArray(value) ? value.filter(isObject) : []
const words = (value: unknown): string[] =>
  typeof value === 'string' && value.trim() !== '' ? [value.trim()] : []

export function readAnswer({
  body,
  headers,
  text,
}: Pick<HttpAnswer, 'body' | 'headers' | 'text'>): AnswerFacts {
  const traceId = headers['redox-trace-id']
  const json = isObject(body) ? body : {}
  const meta = isObject(json.Meta) ? json.Meta : {}
  const entries = list(json.entry).flatMap(entryOutcome)
  return {
    logIds: list(meta.Logs).flatMap(({ ID }) => (ID === undefined || ID === null ? [] : [String(ID)])),
    locations: entries.flatMap(({ location }) => (location === undefined ? [] : [location])),
    reasons: isObject(body) ? reasonsOf(json, meta) : words(plainText(text)),
    entries,
    ...(typeof traceId === 'string' && { traceId }),
  }
}

function reasonsOf(json: Record<string, unknown>, meta: Record<string, unknown>): string[] {
  return [
    ...errors(meta.Errors),
    ...issues(json),
    ...list(json.entry).flatMap((entry) =>
      issues(isObject(entry.response) && isObject(entry.response.outcome) ? entry.response.outcome : {}),
    ),
    ...words(json.errorDetail),
    ...words(json.error_description),
    ...(words(json.error_description).length === 0 ? words(json.error) : []),
    ...words(json.message),
  ]
}

// An error without words is an error all the same: it must not be taken for a delivery.
const WORDLESS = 'an error without a text'

const errors = (found: unknown): string[] =>
  [found ?? []].flat().map((error: unknown) => words(isObject(error) ? error.Text : error)[0] ?? WORDLESS)

/** Errors of an OperationOutcome: `details.text`, else `diagnostics` (facts 3.4). */
const issues = (json: Record<string, unknown>): string[] =>
  list(json.issue)
    .filter(isFailure)
    .map(({ details, diagnostics, code }) => {
      const found = [isObject(details) ? details.text : undefined, diagnostics, code].flatMap(words)
      return found[0] ?? WORDLESS
    })

const isFailure = ({ severity }: Record<string, unknown>): boolean =>
  severity === 'error' || severity === 'fatal'

function entryOutcome(entry: Record<string, unknown>, index: number): AnswerFacts['entries'] {
  if (!isObject(entry.response)) return []
  const { status, location, outcome } = entry.response
  const digits = /^\s*(\d{3})/.exec(String(status))?.[1]
  const failed = isObject(outcome) && list(outcome.issue).some(isFailure)
  return [
    {
      part: `entry[${index}]`,
      delivered: digits?.startsWith('2') === true && !failed,
      ...(digits !== undefined && { status: Number(digits) }),
      ...(typeof location === 'string' && { location }),
    },
  ]
}

// Plain text and HTML come from gateways (facts 2.2, 6.4): their words, without the markup.
const plainText = (text: string): string =>
  text
    .replace(/<(style|script|head)[\s\S]*?<\/\1>/gi, ' ')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .slice(0, 300)

/**
 * A 200 is a success only if its body says so (facts 3.4, 6.3; design/SAFETY).
 * @throws RedoxError REDOX_REJECTED, or REDOX_PARTIAL that names what arrived and what did not
 */
export function assertDelivered(message: PreparedMessage, answer: HttpAnswer, facts: AnswerFacts): void {
  const failedEntries = facts.entries.filter(({ delivered }) => !delivered)
  if (facts.reasons.length === 0 && failedEntries.length === 0) return
  const detail = failureDetail(message.operation, answer, facts, message.body)
  const parts = message.api === 'fhir' ? facts.entries : destinationOutcomes(message.body, answer.body)
  const delivered = parts.filter((part) => part.delivered)
  const failed = parts.filter((part) => !part.delivered)
  if (delivered.length === 0 || failed.length === 0) {
    throw new RedoxError(
      'REDOX_REJECTED',
      `${message.operation} was refused, although the HTTP status is ${answer.status}: ` +
        `${spoken(detail.reasons)} ${lookUp(detail)}`,
      detail,
    )
  }
  throw new RedoxError(
    'REDOX_PARTIAL',
    `${message.operation} arrived only in part: ${delivered.map(({ part }) => part).join(', ')} yes; ` +
      `${failed.map(({ part }) => part).join(', ')} no. ${spoken(detail.reasons)} ${lookUp(detail)} ` +
      'Repeat only what did not arrive.',
    {
      ...detail,
      parts: parts.map(({ part, delivered, status }) => ({
        part,
        delivered,
        ...(status !== undefined && { status }),
      })),
    },
  )
}

/**
 * Which destinations of a Data Model message failed. Redox documents one log per destination and no way to
 * tell which error belongs to which: an error that names a destination speaks for that one, and fewer errors
 * than destinations for the rest by their order in Meta.Logs cannot be told, so all are then called failed.
 */
function destinationOutcomes(
  sent: JsonObject,
  body: unknown,
): { part: string; delivered: boolean; status?: number }[] {
  const meta = isObject(sent.Meta) ? sent.Meta : {}
  const ids = list(meta.Destinations).map(({ ID }) => String(ID))
  const answered = isObject(body) && isObject(body.Meta) ? body.Meta : {}
  const errors = list(answered.Errors)
  const named = errors.map((error) => destinationOf(error, ids))
  const unclear = named.includes(undefined)
  return ids.map((id) => {
    const error = errors[named.indexOf(id)]
    const status = error?.DestinationStatusCode
    return {
      part: `destination ${id}`,
      delivered: !unclear && error === undefined,
      ...(typeof status === 'number' && { status }),
    }
  })
}

function destinationOf(error: Record<string, unknown>, ids: string[]): string | undefined {
  const text = JSON.stringify(error)
  const found = ids.filter((id) => text.includes(id))
  return found.length === 1 ? found[0] : undefined
}

/** The plain-data story of a failed answer. */
export function failureDetail(
  operation: string,
  { status, headers, body }: HttpAnswer,
  facts: AnswerFacts,
  sent?: JsonObject,
): RedoxErrorDetail {
  const wait = retryAfterSeconds(headers['retry-after'])
  return {
    operation,
    status,
    ...(facts.reasons.length > 0 && { reasons: facts.reasons.map((reason) => masked(reason, sent)) }),
    ...(facts.logIds.length > 0 && { logIds: facts.logIds }),
    ...(facts.traceId !== undefined && { traceId: facts.traceId }),
    ...(wait !== undefined && { retryAfterSeconds: wait }),
    ...(body !== '' && { answer: body }),
  }
}

function retryAfterSeconds(header: string | string[] | undefined): number | undefined {
  if (typeof header !== 'string') return undefined
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000
  return Number.isFinite(seconds) ? Math.max(0, Math.round(seconds)) : undefined
}

/** `Redox says: …` for an error text. */
export const spoken = (reasons: string[] | undefined): string =>
  reasons === undefined || reasons.length === 0
    ? 'Redox gave no reason.'
    : `Redox says: ${reasons.slice(0, 5).join(' | ')}`.replace(/[^.!?]$/, '$&.')

/** Where to look the request up. */
export const lookUp = ({ logIds, traceId }: RedoxErrorDetail): string =>
  logIds?.length ? `(log ${logIds.join(', ')})` : traceId === undefined ? '' : `(trace ${traceId})`

/**
 * Redox's words without anything that stood in the message: an answer may repeat a name or an id, and error
 * texts end in logs. What says nothing about a person (Meta, codes of the models) stays readable.
 */
function masked(reason: string, sent: JsonObject | undefined): string {
  if (sent === undefined) return reason
  const values = new Set<string>()
  collectValues(sent, values)
  let text = reason
  for (const value of [...values].sort((a, b) => b.length - a.length)) text = replaceAllNoCase(text, value)
  return text
}

const PUBLIC_KEYS = new Set([
  'Meta',
  'resourceType',
  'eventUri',
  'fullUrl',
  'ContentType',
  'ValueType',
  'contentType',
  'system',
])
const PUBLIC_WORDS = new Set(['message', 'patient', 'final', 'resulted', 'available', 'unknown', 'other'])
const MIN_MASKED_LENGTH = 2

const NAME_KEYS = new Set(['FirstName', 'MiddleName', 'LastName', 'family', 'given'])

/** How an answer may repeat a value: a name by one of its words, a date without its hyphens. */
function spellings(text: string, key: string): string[] {
  const date = /^(\d{4})-(\d{2})-(\d{2})/.exec(text)
  if (date) return [text, date.slice(1).join('')]
  return NAME_KEYS.has(key) ? [text, ...text.split(/[\s,]+/)] : [text]
}

function collectValues(value: unknown, into: Set<string>, key = ''): void {
  if (typeof value === 'string' || typeof value === 'number') {
    for (const text of spellings(String(value), key)) {
      const worth =
        text.length >= MIN_MASKED_LENGTH && text.length <= 500 && !PUBLIC_WORDS.has(text.toLowerCase())
      if (worth) into.add(text)
    }
  } else if (Array.isArray(value)) value.forEach((item) => collectValues(item, into, key))
  else if (isObject(value)) {
    for (const [name, item] of Object.entries(value))
      if (!PUBLIC_KEYS.has(name)) collectValues(item, into, name)
  }
}

function replaceAllNoCase(text: string, value: string): string {
  const pattern = value.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return text.replace(new RegExp(`(?<![A-Za-z0-9])${pattern}(?![A-Za-z0-9])`, 'gi'), '[…]')
}
