import type { RedoxError, RedoxErrorDetail } from '../errors'
import type { FileSource } from '../file/file'
import type { JsonObject } from '../message/json'
import { HttpFault, type Http, type HttpAnswer } from '../transport/http'
import { classifyFailure, type AttemptFailure } from '../transport/outcomes'
import { failureDetail, redactSecrets } from './answer-errors'
import { faultOf, readAnswer, shapeOf } from './read-answer'
import type { OnProgress, Progress } from './client-types'
import { attemptError } from './attempt-errors'
import { redactMessageValues } from './redaction'
import type { RequestSpec } from './requests'
import type { RedoxSettings } from './settings'

export interface TimedAnswer {
  answer: HttpAnswer
  /** start of the attempt, ISO 8601 */
  at: string
}

export interface FailedRequest {
  error: RedoxError
  /** true if the server refused the access token, so that a new token may help */
  renewsToken: boolean
}

/** Dependencies of an attempt, apart from its request. */
export interface AttemptContext {
  http: Http
  settings: RedoxSettings
  /** access token; undefined for token requests */
  token: string | undefined
  /** secrets of the tokens in use, which must be redacted in the response */
  tokenSecrets: () => string[]
  signal: AbortSignal
  onProgress: OnProgress
}

/**
 * Makes one HTTP request. Every response except a 2xx without errors is converted to an error by the table in
 * `src/transport/outcomes.ts`.
 */
export async function attemptRequest(
  request: RequestSpec,
  context: AttemptContext,
): Promise<TimedAnswer | FailedRequest> {
  const { http, settings, token, signal, onProgress } = context
  const at = new Date().toISOString()
  const headers = { ...request.headers, ...(token !== undefined && bearer(token)) }
  // All secrets of the request, which a server could repeat in its response.
  const secrets = (): string[] => [...secretsOf(settings.credentials), ...context.tokenSecrets()]
  let sent = 0
  const progress = (): Progress => ({ phase: phaseOf(request), sent, total: request.body.length })
  const onSent = (bytes: number): void => {
    sent += bytes
    onProgress({ ...progress(), hasLeft: true })
  }
  let answer: HttpAnswer
  try {
    answer = await http.post({ url: request.url, headers, body: request.body, signal }, onSent)
  } catch (error) {
    if (!(error instanceof HttpFault)) throw error
    return failedRequest(request, error.failure, { fault: error.systemCode, at })
  } finally {
    onProgress(progress())
  }
  const fault = request.kind === 'send' ? answerFault(answer, settings) : undefined
  // The response becomes part of messages and errors in the flow, so secrets are redacted first.
  if (request.kind !== 'token') answer = redactSecrets(answer, secrets())
  if (isSuccess(answer) && fault === undefined) return { answer, at }
  return failureOfAnswer(request, { answer, at, fault, settings, secrets: secrets() })
}

interface UnusableAnswer extends TimedAnswer {
  fault: ReturnType<typeof faultOf>
  settings: RedoxSettings
  secrets: string[]
}

async function failureOfAnswer(
  request: RequestSpec,
  { answer, at, fault, settings, secrets }: UnusableAnswer,
): Promise<FailedRequest> {
  const hidden = await sentValues(request)
  const failureFacts = failureDetail(request.operation, answer, readAnswer(answer), { sent: hidden, secrets })
  // The response of a token endpoint may repeat the assertion or the secret.
  if (request.kind === 'token') delete failureFacts.answer
  // Only an OAuth assertion contains times. A legacy key is not affected by the clock.
  const isAssertion = request.kind === 'token' && settings.credentials.kind === 'oauth'
  const skew = isAssertion && [400, 401, 403].includes(answer.status) ? clockSkew(answer) : undefined
  const detail = { ...failureFacts, at, ...(skew !== undefined && { clockSkewSeconds: skew }) }
  if (fault === undefined)
    return failedRequest(request, { status: answer.status, ofSource: isOfSource(answer) }, detail)
  const [shape] = redactMessageValues([shapeOf(answer.body)], hidden, secrets)
  return failedRequest(request, { fault, sent: true }, detail, fault === 'unclear' ? shape : undefined)
}

function answerFault(answer: HttpAnswer, { otherAnswers }: RedoxSettings): ReturnType<typeof faultOf> {
  const fault = isSuccess(answer) ? faultOf(answer) : undefined
  return fault === 'unclear' && otherAnswers === 'accepted' ? undefined : fault
}

function failedRequest(
  request: RequestSpec,
  failure: AttemptFailure,
  detail: RedoxErrorDetail,
  shape?: string,
): FailedRequest {
  const { retry, renewsToken = false } = classifyFailure(failure, request.kind)
  const known = { ...detail, retry, attempts: 1, ...identifiersDetail(request) }
  return {
    error: attemptError(failure, request, known, shape),
    renewsToken,
  }
}

const isSuccess = ({ status }: HttpAnswer): boolean => status >= 200 && status < 300

export const identifiersDetail = ({ identifiers }: RequestSpec): RedoxErrorDetail =>
  identifiers ? { identifiers } : {}

// Number of bytes at the beginning of each file that are searched for in a response. A server that repeats a file in
// its response repeats the file's beginning.
const HEAD = 48_000

/** Values that error texts must not repeat: the message, and the beginning of each file as text and as base64. */
export async function sentValues({ sent, files = [] }: RequestSpec): Promise<JsonObject | undefined> {
  if (sent === undefined) return undefined
  const heads = await Promise.all(files.map(headOf))
  return { ...sent, heads: heads.flatMap((head) => [head.toString(), head.toString('base64')]) }
}

async function headOf(file: FileSource): Promise<Buffer> {
  try {
    for await (const piece of file.read()) return piece.subarray(0, HEAD)
  } catch {
    // The file was changed on the disk or cannot be read. The attempt that sends the file reports this error.
  }
  return Buffer.alloc(0)
}

/**
 * Returns true for a 401 that refuses the source (`This source is not authorized.`). Unlike the 401 for an expired
 * token, a new token does not help (docs/redox-api.md#legacy-api-key).
 */
const isOfSource = ({ status, text }: HttpAnswer): boolean =>
  status === 401 && /\bsource\b[^.]{0,40}\bnot authori[sz]ed\b/i.test(text.slice(0, HEAD))

export const phaseOf = ({ kind }: RequestSpec): Progress['phase'] => (kind === 'upload' ? 'upload' : 'send')

// Clock difference, in seconds, that Redox tolerates (docs/redox-api.md#oauth-api-key, `iat`).
const CLOCK_TOLERANCE_SECONDS = 10

/**
 * Seconds by which this machine's clock is ahead of the server's clock (negative: behind it); undefined if the
 * difference is within the tolerance.
 */
function clockSkew({ headers }: HttpAnswer): number | undefined {
  const skew = Math.round((Date.now() - Date.parse(String(headers.date))) / 1000)
  return Math.abs(skew) > CLOCK_TOLERANCE_SECONDS ? skew : undefined
}

const secretsOf = (credentials: RedoxSettings['credentials']): string[] =>
  credentials.kind === 'oauth' ? [credentials.privateKey] : [credentials.apiKey, credentials.secret]

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` })
