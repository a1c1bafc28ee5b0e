import { isObject } from '../message/json'
import { generatedId } from '../redox/public-facts'
import { objectsOf, shapeOf } from '../redox/read-answer'
import type { HttpAnswer } from '../transport/http'

/** Form of a successful response: names and kinds, never a value that could identify a person or an account. */
export interface AnswerNotes {
  /** what the body holds, e.g. `a Bundle with a status for each entry` */
  holds: string
  /** names of the headers, in alphabetical order */
  headers: string[]
  /** e.g. `UUID`, `number`, `none` */
  logIds: string
  messageId: string
  traceId: string
  /** where an upload names the file */
  reference: string
  /** value of `X-RateLimit-Limit`, if it is a number */
  rateLimit?: number
}

/** Header names of HTTP and of Redox. Any other name is only counted, because a server could put anything into it. */
const KNOWN_HEADER =
  /^(accept-ranges|age|alt-svc|cache-control|connection|content-(encoding|language|length|location|security-policy|type)|date|etag|expires|expect-ct|keep-alive|last-modified|location|pragma|referrer-policy|retry-after|server|server-timing|strict-transport-security|transfer-encoding|vary|via|x-(amzn?|cloud|content|correlation|dns|download|frame|permitted|powered|ratelimit|redox|request|trace|xss)[a-z-]*|redox-[a-z-]+|traceparent)$/

const NAME = /^[A-Za-z]{1,30}$/

export function notesOf({ headers, body, text }: Pick<HttpAnswer, 'headers' | 'body' | 'text'>): AnswerNotes {
  const meta = isObject(body) && isObject(body.Meta) ? body.Meta : {}
  const logIds = [...new Set(objectsOf(meta.Logs).map(({ ID }) => idForm(ID)))]
  const rateLimit = Number(headers['x-ratelimit-limit'] ?? NaN)
  const names = Object.keys(headers).sort()
  const known = names.filter((name) => KNOWN_HEADER.test(name))
  const others = names.length - known.length
  return {
    holds: contentOf(body, text),
    headers: [...known, ...(others > 0 ? [`${others} more`] : [])],
    logIds: logIds.join(', ') || 'none',
    messageId: idForm(isObject(meta.Message) ? meta.Message.ID : undefined),
    traceId: idForm(headers['redox-trace-id']),
    reference: referenceForm(headers.location, body),
    ...(Number.isSafeInteger(rateLimit) && { rateLimit }),
  }
}

function idForm(id: unknown): string {
  if (id === undefined || id === null || id === '') return 'none'
  if (typeof id === 'number') return 'number'
  if (typeof id !== 'string') return 'other'
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)) return 'UUID'
  return generatedId(id) === undefined ? 'other text' : 'hexadecimal'
}

function contentOf(body: unknown, text: string): string {
  if (text.trim() === '') return 'nothing'
  if (!isObject(body)) return typeof body === 'string' ? 'text' : shapeOf(body)
  if (Object.keys(body).length === 0) return 'an empty object'
  if (isObject(body.Meta)) return 'Meta'
  if (body.resourceType === 'Bundle') {
    const entries = objectsOf(body.entry)
    const isEach = entries.length > 0 && entries.every(({ response }) => isObject(response))
    return `a Bundle ${isEach ? 'with a status for each entry' : 'without a status for each entry'}`
  }
  if (body.resourceType === 'OperationOutcome') return 'an OperationOutcome'
  if (typeof body.resourceType === 'string') return 'another resource'
  return `an object with ${propertyNames(body)}`
}

/** Names of an object's properties, as far as they look like names. */
function propertyNames(body: Record<string, unknown>): string {
  const names = Object.keys(body)
  const plain = names.filter((name) => NAME.test(name)).slice(0, 5)
  return plain.length === 0 ? `${names.length} properties` : plain.join(', ')
}

function referenceForm(location: unknown, body: unknown): string {
  if (typeof location === 'string' && location !== '')
    return URL.canParse(location) ? 'Location header, absolute' : 'Location header, relative'
  const found = ['URI', 'url', 'fullUrl', 'id'].find(
    (name) => isObject(body) && typeof body[name] === 'string',
  )
  return found === undefined ? 'none' : `${found} in the body`
}
