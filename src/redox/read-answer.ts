import { isObject } from '../message/json'
import type { HttpAnswer } from '../transport/http'

/**
 * Facts in a response of Redox, the same for all response formats (docs/redox-api.md#fhir-answers, #endpoint,
 * #error-bodies).
 */
export interface AnswerFacts {
  /** ids for the log search of the Redox dashboard */
  logIds: (string | number)[]
  /** Data Model API: older id (`Meta.Message.ID`), for responses without log ids */
  messageId?: string | number
  /** FHIR: locations of the created resources */
  locations: string[]
  /** error texts from Redox; may repeat patient data */
  reasons: string[]
  /**
   * number of reasons found in fields that are empty in a successful response, such as `Meta.Errors`
   * (docs/redox-api.md#fhir-answers, #status-codes, #error-bodies)
   */
  refusals: number
  /** FHIR: result of each entry of the response Bundle */
  entries: { part: string; status?: number; delivered: boolean; location?: string }[]
  traceId?: string
}

export const objectsOf = (value: unknown): Record<string, unknown>[] =>
  Array.isArray(value) ? value.filter(isObject) : []
// Ids in a response are strings or numbers. Other values are ignored, because `String()` may throw for them.
const isScalar = (value: unknown): value is string | number =>
  typeof value === 'string' || typeof value === 'number'
export const textsOf = (value: unknown): string[] =>
  typeof value === 'string' && value.trim() !== '' ? [value.trim()] : []

export function readAnswer({
  body,
  headers,
  text,
}: Pick<HttpAnswer, 'body' | 'headers' | 'text'>): AnswerFacts {
  const traceId = headers['redox-trace-id']
  const json = isObject(body) ? body : outcomeOfXml(text)
  const meta = isObject(json.Meta) ? json.Meta : {}
  const entries = objectsOf(json.entry).flatMap(entryOutcome)
  const refusals = refusalsOf(json, meta)
  const logIds = objectsOf(meta.Logs).flatMap(({ ID }) => (isScalar(ID) ? [ID] : []))
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
  return refusals.length > 0 ? refusals : textsOf(plainText(text))
}

/**
 * OperationOutcome in XML, converted to the shape of its JSON. Some servers and gateways respond in XML although the
 * request asks for JSON. Any other string is converted to an object without issues.
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

// Number of characters of an XML or HTML body that are searched. In a longer body, the search for the end of each
// element takes too long.
const XML_LENGTH = 20_000

const ENTITIES: Record<string, string> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' }
const withoutEntities = (text: string): string =>
  text.replace(/&(lt|gt|quot|apos|amp);/g, (entity, name: string) => ENTITIES[name] ?? entity)

// Fields in which Redox reports errors (docs/redox-api.md#fhir-answers, #error-bodies); `ErrorMessages` is from older
// versions of Redox.
function refusalsOf(json: Record<string, unknown>, meta: Record<string, unknown>): string[] {
  return [
    ...errors(meta.Errors),
    ...errors(meta.errors),
    ...issues(json),
    ...objectsOf(json.entry).flatMap(outcomesOf).flatMap(issues),
    ...errors(json.errorDetail),
    ...errors(json.ErrorMessages),
    ...errors(meta.ErrorMessages),
  ]
}

function wordsOf(json: Record<string, unknown>): string[] {
  return [
    ...textsOf(json.error_description),
    ...(textsOf(json.error_description).length === 0 ? textsOf(json.error) : []),
    ...textsOf(json.message),
    ...problemWords(json),
  ]
}

/** Reason in an `application/problem+json` body (RFC 9457): its `detail`, or its `title` if there is no `detail`. */
function problemWords({ title, detail }: Record<string, unknown>): string[] {
  const [found] = [detail, title].flatMap(textsOf)
  return found === undefined ? [] : [found]
}

// An error without text is still an error: the response must not count as a success.
const WORDLESS = 'an error without text'

/** Converts a value that may be a list or a single element to a list. */
const listOf = (found: unknown): unknown[] =>
  found === undefined || found === null || found === '' || found === false ? [] : [found].flat()

const errors = (found: unknown): string[] =>
  listOf(found).map((error) => textsOf(isObject(error) ? fhirProperty(error, 'text') : error)[0] ?? WORDLESS)

/**
 * Reads a property by its FHIR name, which Redox's documentation spells with a capital letter
 * (docs/redox-api.md#fhir-answers).
 */
const fhirProperty = (object: Record<string, unknown>, name: string): unknown =>
  object[name] ?? object[name.charAt(0).toUpperCase() + name.slice(1)]

/**
 * Texts of the errors in an OperationOutcome, or in the property `Issues` that Redox documents
 * (docs/redox-api.md#fhir-answers).
 */
const issues = (json: Record<string, unknown>): string[] =>
  ['issue', 'issues']
    .flatMap((name) => listOf(fhirProperty(json, name)))
    .filter(isFailure)
    .map(issueWords)

/**
 * Text of an issue (the first that exists of `details.text`, `text`, `diagnostics` and `code`), with its location in
 * parentheses.
 */
function issueWords(issue: unknown): string {
  if (!isObject(issue)) return textsOf(issue)[0] ?? WORDLESS
  const at = (name: string): unknown => fhirProperty(issue, name)
  const details = at('details')
  const texts = [
    isObject(details) ? fhirProperty(details, 'text') : undefined,
    ...(isObject(details) ? objectsOf(details.coding).map(({ display }) => display) : [details]),
    at('text'),
    at('diagnostics'),
    at('code'),
  ]
  const [said = WORDLESS] = texts.flatMap(textsOf)
  // Before R4, FHIR called the element `expression` `location`.
  const places = [
    listOf(at('expression') ?? at('location'))
      .flatMap(textsOf)
      .join(', '),
    ...textsOf(at('diagnostics')),
  ]
  const others = places.filter((place) => place !== '' && !said.includes(place))
  return others.length === 0 ? said : `${said} (${others.join('; ')})`
}

// An issue without a severity counts as an error, because it may be the reason of a failure.
const HARMLESS = new Set(['warning', 'information', 'success'])

function isFailure(issue: unknown): boolean {
  const severity = isObject(issue) ? fhirProperty(issue, 'severity') : undefined
  return typeof severity !== 'string' || !HARMLESS.has(severity.trim().toLowerCase())
}

/** OperationOutcomes of a Bundle entry: `response.outcome`, and the resource if it is an OperationOutcome. */
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
      // An entry may lack a status. Then only an OperationOutcome can report the entry's failure.
      delivered: (isAbsent(status) || digits?.startsWith('2') === true) && !failed,
      ...(digits !== undefined && { status: Number(digits) }),
      ...(typeof location === 'string' && { location }),
    },
  ]
}

// Plain text and HTML come from gateways (docs/redox-api.md#legacy-api-key, #error-bodies): the reason is the body
// without its markup. Only the beginning is searched: in a large text the search for the end of each tag could take
// hours.
const plainText = (text: string): string =>
  text
    .slice(0, 10_000)
    .replace(/<(style|script|head)[\s\S]*?<\/\1>/gi, ' ')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .slice(0, 300)

/**
 * Returns true for a 2xx response whose body reports a failure (docs/redox-api.md#fhir-answers, #status-codes;
 * docs/design/outcomes.md).
 */
export const hasFailed = ({ refusals, entries }: AnswerFacts): boolean =>
  refusals > 0 || entries.some(({ delivered }) => !delivered)

/**
 * Reason why a 2xx response to a message is neither a success nor an error (docs/redox-api.md#fhir-answers,
 * #status-codes):
 * - `unreadable`: not JSON, or possibly truncated
 * - `unclear`: JSON that is neither a response nor an error of Redox, such as `{"success": false}`
 */
export function faultOf(answer: HttpAnswer): 'unreadable' | 'unclear' | undefined {
  const { status, headers, text, body } = answer
  if (text.trim() === '') {
    // Without a `Content-Length` header, a response that was cut off before the first byte of its body looks the same
    // as a response with an empty body.
    const isWhole = status === 204 || 'content-length' in headers || 'transfer-encoding' in headers
    return isWhole ? undefined : 'unreadable'
  }
  // A refusal in XML counts as an error of Redox, too.
  if (isRedoxAnswer(body) || hasFailed(readAnswer(answer))) return undefined
  // `answer.body` is a string if the body is not JSON.
  return body === text ? 'unreadable' : 'unclear'
}

const isRedoxAnswer = (body: unknown): boolean =>
  isObject(body) &&
  (isObject(body.Meta) || textsOf(body.resourceType).length > 0 || Object.keys(body).length === 0)

/** Description of a response's JSON type and property names, without values, for error texts. */
export const shapeOf = (body: unknown): string =>
  Array.isArray(body)
    ? 'a list'
    : isObject(body)
      ? `an object with ${Object.keys(body).slice(0, 5).join(', ')}`
      : body === null
        ? 'null'
        : `a ${typeof body}`
