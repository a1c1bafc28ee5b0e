import { RedoxError, type RedoxErrorDetail } from '../errors'
import { isObject, type JsonObject } from '../message/json'
import type { PreparedMessage } from '../message/prepared'
import { answerOf, serverTime, type HttpAnswer } from '../transport/http'
import { LONGEST_RETRY_AFTER_SECONDS } from '../transport/retry'
import { HIDDEN, masked, withoutSecrets } from './redaction'

/** What an answer of Redox says, whatever shape it has (docs/redox-api.md#fhir-answers, #endpoint, #error-bodies). */
export interface AnswerFacts {
  /** ids for the dashboard's log search */
  logIds: (string | number)[]
  /** Data Model API: the older id, which answers without log ids may have */
  messageId?: string | number
  /** FHIR: locations of the resources made */
  locations: string[]
  /** Redox's own words about what went wrong; may repeat patient data */
  reasons: string[]
  /**
   * how many of them stand where a success has none, such as `Meta.Errors` (docs/redox-api.md#fhir-answers,
   * #status-codes, #error-bodies)
   */
  refusals: number
  /** FHIR: the outcome of each entry */
  entries: { part: string; status?: number; delivered: boolean; location?: string }[]
  traceId?: string
}

const list = (value: unknown): Record<string, unknown>[] =>
  Array.isArray(value) ? value.filter(isObject) : []
// Anything else is not what its place is for, and `String()` may fail for it.
const isScalar = (value: unknown): value is string | number =>
  typeof value === 'string' || typeof value === 'number'
const words = (value: unknown): string[] =>
  typeof value === 'string' && value.trim() !== '' ? [value.trim()] : []

export function readAnswer({
  body,
  headers,
  text,
}: Pick<HttpAnswer, 'body' | 'headers' | 'text'>): AnswerFacts {
  const traceId = headers['redox-trace-id']
  const json = isObject(body) ? body : outcomeOfXml(text)
  const meta = isObject(json.Meta) ? json.Meta : {}
  const entries = list(json.entry).flatMap(entryOutcome)
  const refusals = refusalsOf(json, meta)
  const logIds = list(meta.Logs).flatMap(({ ID }) => (isScalar(ID) ? [ID] : []))
  const messageId = isObject(meta.Message) ? meta.Message.ID : undefined
  return {
    logIds,
    ...(isScalar(messageId) && { messageId }),
    locations: entries.flatMap(({ location }) => (location === undefined ? [] : [location])),
    reasons: reasonsOf(refusals, body, text),
    refusals: refusals.length,
    entries,
    ...(typeof traceId === 'string' && { traceId }),
  }
}

function reasonsOf(refusals: string[], body: unknown, text: string): string[] {
  if (isObject(body)) return [...refusals, ...wordsOf(body)]
  return refusals.length > 0 ? refusals : words(plainText(text))
}

/**
 * The issues of an OperationOutcome in XML, which some servers and gateways answer with whatever is asked for, in the
 * shape of its JSON; an object without issues for any other text.
 */
function outcomeOfXml(text: string): Record<string, unknown> {
  const head = text.slice(0, XML_LENGTH)
  if (!/<(\w+:)?OperationOutcome[\s>]/.test(head)) return {}
  const issue = [...head.matchAll(/<(?:\w+:)?issue>(.*?)<\/(?:\w+:)?issue>/gs)].map(([, inner]) => {
    const values = (name: string): string[] =>
      [
        ...inner!.matchAll(new RegExp(`<(?:\\w+:)?${name}\\s+value\\s*=\\s*(?:"([^"]*)"|'([^']*)')`, 'g')),
      ].map(([, double, single]) => withoutEntities(double ?? single!))
    const [severity, code, said, diagnostics] = ['severity', 'code', 'text', 'diagnostics'].map(
      (name) => values(name)[0],
    )
    return { severity, code, details: { text: said }, diagnostics, expression: values('expression') }
  })
  return { issue }
}

// Of more, only the beginning is looked at: a search for the end of each of many elements takes long.
const XML_LENGTH = 20_000

const ENTITIES: Record<string, string> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' }
const withoutEntities = (text: string): string =>
  text.replace(/&(lt|gt|quot|apos|amp);/g, (_, name: string) => ENTITIES[name]!)

// Where Redox documents errors (docs/redox-api.md#fhir-answers, #error-bodies); `ErrorMessages` are of its older
// answers.
function refusalsOf(json: Record<string, unknown>, meta: Record<string, unknown>): string[] {
  return [
    ...errors(meta.Errors),
    ...errors(meta.errors),
    ...issues(json),
    ...list(json.entry).flatMap(outcomesOf).flatMap(issues),
    ...errors(json.errorDetail),
    ...errors(json.ErrorMessages),
    ...errors(meta.ErrorMessages),
  ]
}

function wordsOf(json: Record<string, unknown>): string[] {
  return [
    ...words(json.error_description),
    ...(words(json.error_description).length === 0 ? words(json.error) : []),
    ...words(json.message),
    ...problemWords(json),
  ]
}

/** `application/problem+json` (RFC 9457): what happened, else what kind of problem it is. */
function problemWords({ title, detail }: Record<string, unknown>): string[] {
  const [found] = [detail, title].flatMap(words)
  return found === undefined ? [] : [found]
}

// An error without words is an error all the same: it must not be taken for a delivery.
const WORDLESS = 'an error without text'

/** What stands in a place for several: a list, or one without it. */
const severalAt = (found: unknown): unknown[] =>
  found === undefined || found === null || found === '' || found === false ? [] : [found].flat()

const errors = (found: unknown): string[] =>
  severalAt(found).map((error) => words(isObject(error) ? named(error, 'text') : error)[0] ?? WORDLESS)

/** A property by its name in FHIR, which Redox's own page spells with a capital (docs/redox-api.md#fhir-answers). */
const named = (object: Record<string, unknown>, name: string): unknown =>
  object[name] ?? object[name.charAt(0).toUpperCase() + name.slice(1)]

/** Errors of an OperationOutcome, and of what Redox's page calls `Issues` (docs/redox-api.md#fhir-answers). */
const issues = (json: Record<string, unknown>): string[] =>
  ['issue', 'issues']
    .flatMap((name) => severalAt(named(json, name)))
    .filter(isFailure)
    .map(issueWords)

/** `details.text`, else `text`, else `diagnostics`, else `code`, and where it is. */
function issueWords(issue: unknown): string {
  if (!isObject(issue)) return words(issue)[0] ?? WORDLESS
  const at = (name: string): unknown => named(issue, name)
  const details = at('details')
  const texts = [
    isObject(details) ? named(details, 'text') : undefined,
    ...(isObject(details) ? list(details.coding).map(({ display }) => display) : [details]),
    at('text'),
    at('diagnostics'),
    at('code'),
  ]
  const [said = WORDLESS] = texts.flatMap(words)
  // `location` is what `expression` was called before R4.
  const places = [
    severalAt(at('expression') ?? at('location'))
      .flatMap(words)
      .join(', '),
    ...words(at('diagnostics')),
  ]
  const others = places.filter((place) => place !== '' && !said.includes(place))
  return others.length === 0 ? said : `${said} (${others.join('; ')})`
}

// An issue that does not say how severe it is may be the one that the message failed with.
const HARMLESS = new Set(['warning', 'information', 'success'])

function isFailure(issue: unknown): boolean {
  const severity = isObject(issue) ? named(issue, 'severity') : undefined
  return typeof severity !== 'string' || !HARMLESS.has(severity.trim().toLowerCase())
}

/** The OperationOutcomes of an entry: of its response, and its resource if it is one. */
const outcomesOf = ({ response, resource }: Record<string, unknown>): Record<string, unknown>[] => [
  ...(isObject(response) && isObject(response.outcome) ? [response.outcome] : []),
  ...(isObject(resource) && resource.resourceType === 'OperationOutcome' ? [resource] : []),
]

const isAbsent = (value: unknown): boolean => value === undefined || value === null || value === ''

function entryOutcome(entry: Record<string, unknown>, index: number): AnswerFacts['entries'] {
  if (!isObject(entry.response)) return []
  const { status, location } = entry.response
  const digits = isScalar(status) ? /^\s*(\d{3})/.exec(String(status))?.[1] : undefined
  const failed = outcomesOf(entry).flatMap(issues).length > 0
  return [
    {
      part: `entry[${index}]`,
      // An entry may be answered without a status: then only an outcome says that it failed.
      delivered: (isAbsent(status) || digits?.startsWith('2') === true) && !failed,
      ...(digits !== undefined && { status: Number(digits) }),
      ...(typeof location === 'string' && { location }),
    },
  ]
}

// Plain text and HTML come from gateways (docs/redox-api.md#legacy-api-key, #error-bodies): their words, without the
// markup.
// Their beginning only: a search for the end of each of many tags takes hours in a large text.
const plainText = (text: string): string =>
  text
    .slice(0, 10_000)
    .replace(/<(style|script|head)[\s\S]*?<\/\1>/gi, ' ')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .slice(0, 300)

/**
 * A 200 is a success only if its body says so (docs/redox-api.md#fhir-answers, #status-codes; docs/design/outcomes.md).
 */
export const hasFailed = ({ refusals, entries }: AnswerFacts): boolean =>
  refusals > 0 || entries.some(({ delivered }) => !delivered)

/**
 * What keeps a 2xx from being a yes or a no to a message (docs/redox-api.md#fhir-answers, #status-codes): `unreadable`:
 * no JSON, or maybe cut;
 * `unclear`: JSON that is neither an answer of Redox nor an error of it, such as `{"success": false}`.
 */
export function faultOf(answer: HttpAnswer): 'unreadable' | 'unclear' | undefined {
  const { status, headers, text, body } = answer
  if (text.trim() === '') {
    // Without a length, an answer that was cut before its first byte looks the same.
    const isWhole = status === 204 || 'content-length' in headers || 'transfer-encoding' in headers
    return isWhole ? undefined : 'unreadable'
  }
  // Also in XML: a no is a no.
  if (isEvident(body) || hasFailed(readAnswer(answer))) return undefined
  // What cannot be parsed stays a text.
  return body === text ? 'unreadable' : 'unclear'
}

const isEvident = (body: unknown): boolean =>
  isObject(body) &&
  (isObject(body.Meta) || words(body.resourceType).length > 0 || Object.keys(body).length === 0)

/** What such an answer is, without its values. */
export const shapeOf = (body: unknown): string =>
  Array.isArray(body)
    ? 'a list'
    : isObject(body)
      ? `an object with ${Object.keys(body).slice(0, 5).join(', ')}`
      : body === null
        ? 'null'
        : `a ${typeof body}`

/**
 * The error of such a 200: REDOX_REJECTED, or REDOX_PARTIAL that names what arrived and what did not.
 * @param sent what its words must not repeat
 */
export function undelivered(
  message: PreparedMessage,
  answer: HttpAnswer,
  facts: AnswerFacts,
  sent: JsonObject | undefined,
): RedoxError {
  const detail = failureDetail(message.operation, answer, facts, sent)
  const parts: PartOutcome[] =
    message.api === 'fhir' ? facts.entries : destinationOutcomes(message.body, answer.body)
  const arrived = parts.filter(({ delivered }) => delivered === true)
  const failed = parts.filter(({ delivered }) => delivered === false)
  const unclear = parts.filter(({ delivered }) => delivered === undefined)
  if (arrived.length === 0 && unclear.length === 0) return refused(detail)
  return new RedoxError(
    'REDOX_PARTIAL',
    `Partly delivered (${message.operation}). Arrived: ${listed(arrived)}. Rejected: ${listed(failed)}. ` +
      `Unknown: ${listed(unclear)}. ${spoken(detail.reasons)} ${lookUp(detail)} ` +
      'Look it up in the Redox dashboard, and send again only what did not arrive.',
    {
      ...detail,
      parts: parts.map(({ part, delivered, status }) => ({
        part,
        ...(delivered !== undefined && { delivered }),
        ...(status !== undefined && { status }),
      })),
    },
  )
}

/** The error of a 2xx that carries errors, when nothing of it arrived. */
export const refused = (detail: RedoxErrorDetail): RedoxError =>
  new RedoxError(
    'REDOX_REJECTED',
    `Rejected by Redox (${detail.operation}), although the HTTP status is ${detail.status}. ` +
      `${spoken(detail.reasons)} ${lookUp(detail)}`,
    detail,
  )

const listed = (parts: { part: string }[]): string => parts.map(({ part }) => part).join(', ') || 'none'

interface PartOutcome {
  part: string
  /** undefined: Redox does not say */
  delivered?: boolean
  status?: number
}

/**
 * Which destinations of a Data Model message failed. Redox documents no way to tell which error belongs to
 * which destination: an error that names one speaks for that one, and an error that names none leaves open
 * what became of the others, unless there is only one.
 */
function destinationOutcomes(sent: JsonObject, body: unknown): PartOutcome[] {
  const meta = isObject(sent.Meta) ? sent.Meta : {}
  const ids = list(meta.Destinations).flatMap(({ ID }) => words(ID))
  const answered = isObject(body) && isObject(body.Meta) ? body.Meta : {}
  const errors = list(answered.Errors)
  const speakFor = errors.map((error) => (ids.length === 1 ? ids[0] : destinationOf(error, ids)))
  const allNamed = errors.length > 0 && !speakFor.includes(undefined)
  return ids.map((id): PartOutcome => {
    const error = errors[speakFor.indexOf(id)]
    const status = error?.DestinationStatusCode
    if (error === undefined && !allNamed && ids.length > 1) return { part: `destination ${id}` }
    return {
      part: `destination ${id}`,
      delivered: error === undefined && allNamed,
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
  secrets: string[] = [],
): RedoxErrorDetail {
  const wait = retryAfterSeconds(headers)
  const { reasons, logIds, messageId, traceId } = told(facts, sent, secrets)
  return {
    operation,
    status,
    ...(reasons.length > 0 && { reasons }),
    ...(logIds.length > 0 && { logIds }),
    ...(messageId !== undefined && logIds.length === 0 && { messageId }),
    ...(traceId !== undefined && { traceId }),
    ...(wait !== undefined && { retryAfterSeconds: wait }),
    ...(body !== '' && { answer: body }),
  }
}

/** Whole seconds, or a date; this is compared with the clock of the server, which the answer tells. */
export function retryAfterSeconds(headers: HttpAnswer['headers']): number | undefined {
  const header = headers['retry-after']
  if (typeof header !== 'string') return undefined
  const given = header.trim()
  // Not `Date.parse` for numbers: it takes `-5` for a month.
  const isDate = /[a-z]/i.test(given)
  const seconds = isDate
    ? (Date.parse(given) - serverTime({ headers })) / 1000
    : /^\d+$/.test(given)
      ? Number(given)
      : NaN
  if (Number.isNaN(seconds)) return undefined
  return Math.min(Math.max(0, Math.round(seconds)), LONGEST_RETRY_AFTER_SECONDS)
}

/** `Redox says: …` for an error text. */
export const spoken = (reasons: string[] | undefined): string =>
  reasons === undefined || reasons.length === 0
    ? 'Redox gave no reason.'
    : `Redox says: ${reasons.slice(0, 5).join(' | ')}`.replace(/[^.!?]$/, '$&.')

/** Where to look the request up. */
export function lookUp({ logIds, messageId, traceId }: RedoxErrorDetail): string {
  if (logIds?.length) return `(log ${logIds.join(', ')})`
  if (messageId !== undefined) return `(message ${messageId})`
  return traceId === undefined ? '' : `(trace ${traceId})`
}

// More than anyone reads; each costs time.
const MAX_REASONS = 20
// Enough for a reason, too little for a message that a server repeats.
const MAX_REASON_LENGTH = 300

// A place in a message, such as `Bundle.entry.resource.presentedForm.contentType`: short words and no digits.
const PLACE = /^[A-Za-z]{1,30}(\.[A-Za-z]{1,30})+\.?$/

const LONG = /[A-Za-z0-9+/_=.-]{40,}/g
const hideLong = (text: string): string => text.replace(LONG, HIDDEN)

const DASHBOARD = 'https://dashboard(?:\\.[a-z]{2})?\\.redoxengine\\.com'
const LINK_OR_LONG = new RegExp(`${DASHBOARD}[^\\s"'<>]*|${LONG.source}`, 'g')

// A link into Redox's own dashboard. Its parts are words, numbers and UUIDs, so it carries no content and no token.
const LINK_PART = '(?:[A-Za-z-]{1,30}|\\d{1,12}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})'
const LINK = new RegExp(`^${DASHBOARD}(?:[/#?&=]+${LINK_PART})*[/.,)]*$`, 'i')

type Words = Pick<RedoxErrorDetail, 'messageId' | 'traceId'> & { reasons: string[]; logIds: string[] }

/** Redox's words, fit for a log. */
function told(facts: AnswerFacts, sent: JsonObject | undefined, secrets: string[]): Words {
  const reasons = facts.reasons.slice(0, MAX_REASONS)
  const logIds = facts.logIds.slice(0, MAX_REASONS).map(String)
  const { messageId, traceId } = facts
  // All at once: the message is walked through for each call.
  const ids = [...logIds, String(messageId ?? ''), traceId ?? '']
  const texts = masked([...reasons, ...ids], sent, secrets).map((text) =>
    // Base64 and tokens; ids such as a log's UUID are shorter or have hyphens only.
    text
      .replace(LINK_OR_LONG, (found) => (PLACE.test(found) || LINK.test(found) ? found : hideLong(found)))
      .slice(0, MAX_REASON_LENGTH),
  )
  return {
    reasons: texts.slice(0, reasons.length),
    logIds: texts.slice(reasons.length, -2),
    ...(messageId !== undefined && { messageId: texts.at(-2)! }),
    ...(traceId !== undefined && { traceId: texts.at(-1)! }),
  }
}

/** An answer that repeats no token and no key: a page that shows the request is an answer, too. */
export function keepingSecrets(answer: HttpAnswer, secrets: string[]): HttpAnswer {
  const whole = JSON.stringify(answer.headers) + answer.text
  const repeated = secrets.filter((secret) => secret !== '' && whole.includes(secret))
  if (repeated.length === 0) return answer
  const hide = (text: string): string => withoutSecrets(text, repeated)
  const headers = Object.entries(answer.headers).map(([name, value]): [string, string | string[]] => [
    name,
    Array.isArray(value) ? value.map(hide) : hide(value),
  ])
  return answerOf(answer.status, Object.fromEntries(headers), hide(answer.text))
}
