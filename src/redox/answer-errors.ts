import { present } from '../shared/present'
import { RedoxError, type RedoxErrorDetail } from '../errors'
import { isObject, type JsonObject } from '../message/json'
import type { PreparedMessage } from '../message/prepared'
import { httpAnswer, serverTime, type HttpAnswer } from '../transport/http'
import { LONGEST_RETRY_AFTER_SECONDS } from '../transport/retry'
import { REDACTED, redactMessageValues, redactSecretsInText } from './redaction'
import { objectsOf, textsOf, type AnswerFacts } from './read-answer'

/**
 * Error for a 2xx response that reports errors: REDOX_REJECTED, or REDOX_PARTIAL which lists the parts of the message
 * that arrived and those that did not.
 * @param sent values that the error text must not repeat
 */
export function undeliveredError(
  message: PreparedMessage,
  answer: HttpAnswer,
  facts: AnswerFacts,
  sent: JsonObject | undefined,
): RedoxError {
  const detail = failureDetail(message.operation, answer, facts, { sent })
  const parts: PartOutcome[] =
    message.api === 'fhir' ? facts.entries : destinationOutcomes(message.body, answer.body)
  const arrived = parts.filter(({ delivered }) => delivered === true)
  const failed = parts.filter(({ delivered }) => delivered === false)
  const unclear = parts.filter(({ delivered }) => delivered === undefined)
  if (arrived.length === 0 && unclear.length === 0) return rejectedError(detail)
  return new RedoxError(
    'REDOX_PARTIAL',
    `Partly delivered (${message.operation}). Arrived: ${listed(arrived)}. Rejected: ${listed(failed)}. ` +
      `Unknown: ${listed(unclear)}. ${reasonSentence(detail.reasons)} ${logReference(detail)} ` +
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

/** Error for a 2xx response that reports errors, when no part of the message arrived (REDOX_REJECTED). */
export const rejectedError = (detail: RedoxErrorDetail): RedoxError =>
  new RedoxError(
    'REDOX_REJECTED',
    `Rejected by Redox (${detail.operation}), although the HTTP status is ${detail.status}. ` +
      `${reasonSentence(detail.reasons)} ${logReference(detail)}`,
    detail,
  )

const listed = (parts: { part: string }[]): string => parts.map(({ part }) => part).join(', ') || 'none'

interface PartOutcome {
  part: string
  /** false: not delivered; undefined: the response does not report whether this part was delivered */
  delivered?: boolean
  status?: number
}

/**
 * Result for each destination of a Data Model message. Redox documents no assignment of errors to destinations: an
 * error that names one destination counts for that destination only. An error that names none leaves the results of the
 * other destinations unknown, unless there is only one destination.
 */
function destinationOutcomes(sent: JsonObject, body: unknown): PartOutcome[] {
  const meta = isObject(sent.Meta) ? sent.Meta : {}
  const ids = objectsOf(meta.Destinations).flatMap(({ ID }) => textsOf(ID))
  const answered = isObject(body) && isObject(body.Meta) ? body.Meta : {}
  const errors = objectsOf(answered.Errors)
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

/** Details of a failed HTTP response for `error.cause`, as plain data. */
export function failureDetail(
  operation: string,
  { status, headers, body }: HttpAnswer,
  facts: AnswerFacts,
  { sent, secrets = [] }: { sent?: JsonObject | undefined; secrets?: string[] } = {},
): RedoxErrorDetail {
  const wait = retryAfterSeconds(headers)
  const { reasons, logIds, messageId, traceId } = redactedFacts(facts, sent, secrets)
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

/**
 * Seconds of the `Retry-After` header: a whole number, or a date, which is compared with the server's clock (`Date`
 * header).
 */
export function retryAfterSeconds(headers: HttpAnswer['headers']): number | undefined {
  const header = headers['retry-after']
  if (typeof header !== 'string') return undefined
  const given = header.trim()
  // Numbers are not passed to `Date.parse`, which reads `-5` as a month.
  const isDate = /[a-z]/i.test(given)
  const seconds = isDate
    ? (Date.parse(given) - serverTime({ headers })) / 1000
    : /^\d+$/.test(given)
      ? Number(given)
      : NaN
  if (Number.isNaN(seconds)) return undefined
  return Math.min(Math.max(0, Math.round(seconds)), LONGEST_RETRY_AFTER_SECONDS)
}

/** Sentence with the reasons that Redox gave (`Redox says: …`), for an error text. */
export const reasonSentence = (reasons: string[] | undefined): string =>
  reasons === undefined || reasons.length === 0
    ? 'Redox gave no reason.'
    : `Redox says: ${reasons.slice(0, 5).join(' | ')}`.replace(/[^.!?]$/, '$&.')

/**
 * Reference for the log search in the Redox dashboard, e.g. `(log …)`: the log ids if there are any, otherwise the
 * message ID, otherwise the trace ID.
 */
export function logReference({ logIds, messageId, traceId }: RedoxErrorDetail): string {
  if (logIds?.length) return `(log ${logIds.join(', ')})`
  if (messageId !== undefined) return `(message ${messageId})`
  return traceId === undefined ? '' : `(trace ${traceId})`
}

// Maximum number of reasons in an error text. A person reads no more, and redacting each reason takes time.
const MAX_REASONS = 20
// Maximum length of a reason in characters: too short for a whole message that a server repeats.
const MAX_REASON_LENGTH = 300

// Pattern of a path in a message, such as `Bundle.entry.resource.presentedForm.contentType`: short names without
// digits.
const PLACE = /^[A-Za-z]{1,30}(\.[A-Za-z]{1,30})+\.?$/

const LONG = /[A-Za-z0-9+/_=.-]{40,}/g
const hideLong = (text: string): string => text.replace(LONG, REDACTED)

const DASHBOARD = 'https://dashboard(?:\\.[a-z]{2})?\\.redoxengine\\.com'
const LINK_OR_LONG = new RegExp(`${DASHBOARD}[^\\s"'<>]*|${LONG.source}`, 'g')

// Pattern of a link to Redox's dashboard. The parts of its path are names, numbers and UUIDs, so it contains no content
// and no token.
const LINK_PART = '(?:[A-Za-z-]{1,30}|\\d{1,12}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})'
const LINK = new RegExp(`^${DASHBOARD}(?:[/#?&=]+${LINK_PART})*[/.,)]*$`, 'i')

type RedactedFacts = Pick<RedoxErrorDetail, 'messageId' | 'traceId'> & { reasons: string[]; logIds: string[] }

/** Returns reasons for a failure without the values of a message. */
export const redactedReasons = (reasons: string[], message: JsonObject): string[] =>
  redactedFacts({ reasons, logIds: [] }, message, []).reasons

type Told = Pick<AnswerFacts, 'reasons' | 'logIds' | 'messageId' | 'traceId'>

/** Reasons and ids of a response, redacted so that they may be logged. */
function redactedFacts(facts: Told, sent: JsonObject | undefined, secrets: string[]): RedactedFacts {
  const reasons = facts.reasons.slice(0, MAX_REASONS)
  const logIds = facts.logIds.slice(0, MAX_REASONS).map(String)
  const { messageId, traceId } = facts
  // All strings are redacted in one call, because each call searches the whole message for its values.
  const ids = [...logIds, String(messageId ?? ''), traceId ?? '']
  const texts = redactMessageValues([...reasons, ...ids], sent, secrets).map((text) =>
    // Long runs of letters and digits are base64 or tokens. Ids such as a log's UUID are shorter, or contain hyphens
    // only.
    text
      .replace(LINK_OR_LONG, (found) => (PLACE.test(found) || LINK.test(found) ? found : hideLong(found)))
      .slice(0, MAX_REASON_LENGTH),
  )
  return {
    reasons: texts.slice(0, reasons.length),
    logIds: texts.slice(reasons.length, -2),
    ...(messageId !== undefined && { messageId: present(texts.at(-2), 'the message id') }),
    ...(traceId !== undefined && { traceId: present(texts.at(-1), 'the trace id') }),
  }
}

/**
 * Copy of a response with all secrets redacted. Some servers and gateways repeat the request, including its token, in
 * an error page.
 */
export function redactSecrets(answer: HttpAnswer, secrets: string[]): HttpAnswer {
  const whole = JSON.stringify(answer.headers) + answer.text
  const repeated = secrets.filter((secret) => secret !== '' && whole.includes(secret))
  if (repeated.length === 0) return answer
  const hide = (text: string): string => redactSecretsInText(text, repeated)
  const headers = Object.entries(answer.headers).map(([name, value]): [string, string | string[]] => [
    name,
    Array.isArray(value) ? value.map(hide) : hide(value),
  ])
  return httpAnswer(answer.status, Object.fromEntries(headers), hide(answer.text))
}
