import { isObject } from '../message/json'
import type { HttpAnswer } from '../transport/http'

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

export const list = (value: unknown): Record<string, unknown>[] =>
  Array.isArray(value) ? value.filter(isObject) : []
// Anything else is not what its place is for, and `String()` may fail for it.
const isScalar = (value: unknown): value is string | number =>
  typeof value === 'string' || typeof value === 'number'
export const words = (value: unknown): string[] =>
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
  const issue = [...head.matchAll(/<(?:\w+:)?issue>(.*?)<\/(?:\w+:)?issue>/gs)].map(([, inner = '']) => {
    const values = (name: string): string[] =>
      [...inner.matchAll(new RegExp(`<(?:\\w+:)?${name}\\s+value\\s*=\\s*(?:"([^"]*)"|'([^']*)')`, 'g'))].map(
        ([, double, single]) => withoutEntities(double ?? single ?? ''),
      )
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
  text.replace(/&(lt|gt|quot|apos|amp);/g, (entity, name: string) => ENTITIES[name] ?? entity)

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
