import type { RedoxError, RedoxErrorDetail } from '../errors'
import type { FileSource } from '../file/file'
import type { JsonObject } from '../message/json'
import { HttpFault, type Http, type HttpAnswer } from '../transport/http'
import { classify, type Ending } from '../transport/outcomes'
import { failureDetail, keepingSecrets } from './answers'
import { faultOf, readAnswer, shapeOf } from './read-answer'
import type { OnProgress, Progress } from './delivery'
import { failure } from './failures'
import { masked } from './redaction'
import type { RequestSpec } from './requests'
import type { RedoxSettings } from './settings'

export interface Answered {
  answer: HttpAnswer
  /** start of the attempt, ISO 8601 */
  at: string
}

export interface Failure {
  error: RedoxError
  /** true if the server refused the access token, so that a new token may help */
  renewsToken: boolean
}

/** Dependencies of an attempt, apart from its request. */
export interface AttemptContext {
  http: Http
  settings: RedoxSettings
  /** undefined for token requests */
  token: string | undefined
  /** secrets of the tokens in use, which must be redacted in the answer */
  tokenSecrets: () => string[]
  signal: AbortSignal
  onProgress: OnProgress
}

/** Makes one HTTP request. Any answer but a 2xx without errors becomes the error from the table of outcomes. */
export async function attempt(request: RequestSpec, context: AttemptContext): Promise<Answered | Failure> {
  const { http, settings, token, signal, onProgress } = context
  const at = new Date().toISOString()
  const headers = { ...request.headers, ...(token !== undefined && bearer(token)) }
  // All secrets of the request, which a server could repeat in its answer.
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
    return failed(request, error.ending, { fault: error.systemCode, at })
  } finally {
    onProgress(progress())
  }
  const fault = request.purpose === 'send' ? answerFault(answer, settings) : undefined
  // The answer becomes part of messages and errors, so secrets are redacted first.
  if (request.purpose !== 'token') answer = keepingSecrets(answer, secrets())
  if (isYes(answer) && fault === undefined) return { answer, at }
  return failureOfAnswer(request, { answer, at, fault, settings, secrets: secrets() })
}

interface BadAnswer extends Answered {
  fault: ReturnType<typeof faultOf>
  settings: RedoxSettings
  secrets: string[]
}

async function failureOfAnswer(
  request: RequestSpec,
  { answer, at, fault, settings, secrets }: BadAnswer,
): Promise<Failure> {
  const hidden = await allSent(request)
  const told = failureDetail(request.operation, answer, readAnswer(answer), { sent: hidden, secrets })
  // The answer of a token endpoint may repeat the assertion or the secret.
  if (request.purpose === 'token') delete told.answer
  // Only an OAuth assertion contains times. A legacy key is not affected by the clock.
  const isAssertion = request.purpose === 'token' && settings.credentials.kind === 'oauth'
  const skew = isAssertion && [400, 401, 403].includes(answer.status) ? clockSkew(answer) : undefined
  const detail = { ...told, at, ...(skew !== undefined && { clockSkewSeconds: skew }) }
  if (fault === undefined)
    return failed(request, { status: answer.status, ofSource: isOfSource(answer) }, detail)
  const [shape] = masked([shapeOf(answer.body)], hidden, secrets)
  return failed(request, { fault, sent: true }, detail, fault === 'unclear' ? shape : undefined)
}

function answerFault(answer: HttpAnswer, { otherAnswers }: RedoxSettings): ReturnType<typeof faultOf> {
  const fault = isYes(answer) ? faultOf(answer) : undefined
  return fault === 'unclear' && otherAnswers === 'accepted' ? undefined : fault
}

function failed(request: RequestSpec, ending: Ending, detail: RedoxErrorDetail, shape?: string): Failure {
  const { retry, renewsToken = false } = classify(ending, request.purpose)
  const known = { ...detail, retry, attempts: 1, ...identified(request) }
  return {
    error: failure(ending, request, known, shape),
    renewsToken,
  }
}

const isYes = ({ status }: HttpAnswer): boolean => status >= 200 && status < 300

export const identified = ({ identifiers }: RequestSpec): RedoxErrorDetail =>
  identifiers ? { identifiers } : {}

// Bytes at the beginning of each file that an answer is compared with: a server that repeats a file repeats its
// beginning.
const HEAD = 48_000

/** Values that error texts must not repeat: the message, and the beginning of each file as text and as base64. */
export async function allSent({ sent, files = [] }: RequestSpec): Promise<JsonObject | undefined> {
  if (sent === undefined) return undefined
  const heads = await Promise.all(files.map(headOf))
  return { ...sent, heads: heads.flatMap((head) => [head.toString(), head.toString('base64')]) }
}

async function headOf(file: FileSource): Promise<Buffer> {
  try {
    for await (const piece of file.read()) return piece.subarray(0, HEAD)
  } catch {
    // The file has changed on the disk. The attempt that sends it reports that.
  }
  return Buffer.alloc(0)
}

/**
 * Returns true for a 401 that refuses the source (`This source is not authorized.`). Unlike the 401 for an expired
 * token, a new token does not help (docs/redox-api.md#legacy-api-key).
 */
const isOfSource = ({ status, text }: HttpAnswer): boolean =>
  status === 401 && /\bsource\b[^.]{0,40}\bnot authori[sz]ed\b/i.test(text.slice(0, HEAD))

export const phaseOf = ({ purpose }: RequestSpec): Progress['phase'] =>
  purpose === 'upload' ? 'upload' : 'send'

// Redox allows 10 s of difference (docs/redox-api.md#oauth-api-key, `iat`).
const CLOCK_TOLERANCE_SECONDS = 10

/** Seconds that this machine's clock is ahead of the server's (negative: behind); undefined within the tolerance. */
function clockSkew({ headers }: HttpAnswer): number | undefined {
  const skew = Math.round((Date.now() - Date.parse(String(headers.date))) / 1000)
  return Math.abs(skew) > CLOCK_TOLERANCE_SECONDS ? skew : undefined
}

const secretsOf = (credentials: RedoxSettings['credentials']): string[] =>
  credentials.kind === 'oauth' ? [credentials.privateKey] : [credentials.apiKey, credentials.secret]

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` })
