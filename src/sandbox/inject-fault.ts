/** Simulation of faults: the connection failures and responses that each fault causes. */
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { STATUS_CODES } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { noSubscription } from './datamodel'
import type { Api, Fault, ModifyingFault, ReplacingFault } from './faults'
import { FAULTS } from './faults'
import { objectOf, objectsOf, Refusal } from './http'
import type { SandboxAnswer, JsonRecord } from './http'

/** Pause between two chunks of a body that is read slowly, in milliseconds; a chunk has at most 64 KiB. */
const READ_PAUSE = 100

/** A request with a simulated fault, and the functions that the simulation needs. */
export interface FaultContext {
  fault: Fault
  api: Api
  request: IncomingMessage
  response: ServerResponse
  path: string
  /** Builds the body of a refusal in the form of this API. */
  failure: (refusal: Refusal) => JsonRecord | string
  /** Closes the listening port for some seconds, so that new connections are refused. */
  refuse: (seconds: number) => void
  /** Called when the API has accepted or refused the request. */
  onProcessed: () => void
}

/**
 * Fault that replaces the API's processing of a request. Returns the response to send; undefined if none is sent,
 * because the fault has reset the connection or leaves it open.
 */
type ReplaceAnswer = (context: FaultContext) => Promise<SandboxAnswer | undefined>

const REPLACE: Record<ReplacingFault, ReplaceAnswer> = {
  status: whole((context) => statusAnswer(context)),
  'status-retry-after': whole((context) => {
    const answer = statusAnswer(context)
    return { ...answer, headers: { ...answer.headers, 'retry-after': String(context.fault.seconds) } }
  }),
  redirect: whole(({ fault, path }) => ({
    status: 307,
    headers: { location: fault.url + path },
    body: page(307),
  })),
  'not-json': whole(() => ({ status: 200, body: page(200) })),
  'errors-inside': whole(({ failure }) => ({
    status: 200,
    body: failure(new Refusal(400, 'The destination refused the message')),
  })),
  issues: whole(({ api, failure }) => {
    const [Text, DestinationStatusCode] = ['The destination refused the message', 400]
    const error = { Type: 'transmission', Module: 'Send', DestinationStatusCode }
    if (api === 'fhir') return { status: 200, body: { Issues: [{ Text, DestinationStatusCode }] } }
    return { status: 200, body: failure(new Refusal(400, [{ text: Text, error }])) }
  }),
  'no-subscription': whole(({ failure }) => ({
    status: 400,
    body: failure(new Refusal(400, [noSubscription('Meta.Destinations[0]')])),
  })),
  'half-open': whole(() => undefined),
  'reset-after-body': whole(({ request }) => reset(request)),
  async 'reset-before-body'({ request }) {
    return reset(request)
  },
  async 'reset-mid-body'({ request }) {
    await halfOfBody(request)
    return reset(request)
  },
  async refuse({ request, refuse, fault }) {
    refuse(fault.seconds)
    return reset(request)
  },
}

/**
 * Fault that changes the API's response after the request was processed. Returns the response to send; undefined if the
 * fault has sent or dropped it.
 */
type ModifyAnswer = (
  answer: SandboxAnswer,
  context: FaultContext,
) => SandboxAnswer | undefined | Promise<SandboxAnswer | undefined>

const MODIFY: Record<ModifyingFault, ModifyAnswer> = {
  'status-after-accept': (_answer, context) => statusAnswer(context),
  'reset-after-accept': (_answer, { request }) => reset(request),
  'slow-reader': (answer) => answer,
  async late(answer, { fault }) {
    await wait(fault.seconds * 1000, undefined, { ref: false })
    return answer
  },
  'cut-short'(answer, { response, request }) {
    const { status, headers, payload } = serializedAnswer(withBody(answer))
    response.writeHead(status, headers)
    // The connection is ended and not reset, because a reset could discard the half of the body that is not yet
    // received.
    response.write(half(payload), () => request.socket.destroySoon())
    return undefined
  },
  'truncated-json': (answer) => ({ ...answer, payload: half(serializedAnswer(withBody(answer)).payload) }),
  'failed-later': (answer) => answer,
  gzip: (answer) => ({
    ...answer,
    payload: gzipSync(serializedAnswer(answer).payload),
    headers: { ...answer.headers, 'content-encoding': 'gzip' },
  }),
  partial: (answer) => ({ ...answer, body: partly(answer.body) }),
  'no-location': ({ status, body }) => ({ status, body: body && withoutAddress(objectOf(body)) }),
}

const isKept = (kind: Fault['kind']): kind is ModifyingFault => FAULTS[kind].accepted

/**
 * Handles a request with a fault. `handle` processes the request in the API, and is not called for faults that replace
 * the processing. Returns the response to send; undefined if the fault has already sent or prevented it.
 */
export async function injectFault(
  context: FaultContext,
  handle: () => Promise<SandboxAnswer>,
): Promise<SandboxAnswer | undefined> {
  const { kind } = context.fault
  if (!isKept(kind)) {
    context.onProcessed()
    return REPLACE[kind](context)
  }
  if (kind === 'slow-reader') readSlowly(context.request)
  const answer = await handle()
  context.onProcessed()
  // A refusal is sent unchanged: the faults `partial` and `no-location` only make sense in a response that reports
  // success.
  const isShaped = kind === 'partial' || kind === 'no-location'
  return isShaped && answer.status >= 300 ? answer : MODIFY[kind](answer, context)
}

/** Returns status, headers and bytes of a response, as they are sent. */
export function serializedAnswer({ status, body, headers, payload }: SandboxAnswer) {
  const bytes = payload ?? Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  return {
    status,
    payload: bytes,
    headers: {
      ...(bytes.length > 0 && { 'content-type': contentTypeOf(body) }),
      'content-length': bytes.length,
      'cache-control': 'private, no-cache, no-store, must-revalidate',
      ...headers,
    },
  }
}

function contentTypeOf(body: SandboxAnswer['body']): string {
  if (typeof body === 'string') return 'text/html; charset=utf-8'
  return `application/${'resourceType' in body ? 'fhir+json' : 'json'}; charset=utf-8`
}

// ---- Connections --------------------------------------------------------------------------------------

function whole(then: (context: FaultContext) => SandboxAnswer | undefined): ReplaceAnswer {
  return async (context) => {
    await endOfBody(context.request)
    return then(context)
  }
}

async function endOfBody(request: IncomingMessage): Promise<void> {
  request.resume()
  if (!request.complete && !request.destroyed) await Promise.race([once(request, 'end'), closed(request)])
}

async function halfOfBody(request: IncomingMessage): Promise<void> {
  const wanted = Number(request.headers['content-length'] ?? 0) / 2
  let size = 0
  const enough = new Promise<void>((resolve) => {
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size >= wanted) resolve()
    })
  })
  await Promise.race([enough, endOfBody(request)])
}

const closed = (request: IncomingMessage): Promise<void> =>
  new Promise((resolve) => request.once('close', () => resolve()))

function reset(request: IncomingMessage): undefined {
  request.socket.resetAndDestroy()
}

function readSlowly(request: IncomingMessage): void {
  request.on('data', () => {
    request.pause()
    setTimeout(() => request.resume(), READ_PAUSE).unref()
  })
}

// ---- Answers ------------------------------------------------------------------------------------------

/**
 * Returns a response with the fault's HTTP status: an HTML page for 3xx and gateway errors, plain text for 401 and 429,
 * and otherwise the API's error body (docs/redox-api.md#error-bodies).
 */
function statusAnswer({ fault: { status }, failure }: FaultContext): SandboxAnswer {
  const text = STATUS_CODES[status] ?? 'Unknown'
  if (status < 400 || [502, 503, 504].includes(status)) return { status, body: page(status) }
  if (status === 401) return { status, body: text }
  if (status === 429) return { status, body: text, headers: { 'x-ratelimit-limit': '7500' } }
  return { status, body: failure(new Refusal(status, text)) }
}

const page = (status: number): string =>
  `<!DOCTYPE html>\n<html><head><title>${status}</title></head><body><h1>${status} ${STATUS_CODES[status]}</h1></body></html>\n`

const BARE_ENTRIES: JsonRecord = {
  resourceType: 'Bundle',
  type: 'transaction-response',
  entry: [{ response: { status: '201 Created' } }, {}],
}

const half = (bytes: Buffer): Buffer => bytes.subarray(0, Math.floor(bytes.length / 2))

/** Replaces an empty body by `{}`, because an empty body cannot be cut in half. */
const withBody = (answer: SandboxAnswer): SandboxAnswer =>
  answer.body === '' ? { ...answer, body: {} } : answer

/**
 * Returns a response in which the last destination (Data Model) or the last entry (FHIR) failed. An empty response is
 * replaced by a Bundle with two entries.
 */
function partly(answered: SandboxAnswer['body']): JsonRecord {
  const body = answered === '' ? BARE_ENTRIES : objectOf(answered)
  if ('entry' in body) {
    const outcome = {
      resourceType: 'OperationOutcome',
      issue: [
        { severity: 'error', code: 'processing', details: { text: 'The destination refused the entry' } },
      ],
    }
    const refused = { response: { status: '422 Unprocessable Entity', outcome } }
    return { ...body, entry: [...objectsOf(body['entry']).slice(0, -1), refused] }
  }
  const meta = objectOf(body['Meta'])
  const error = {
    ID: randomInt(100_000, 1_000_000),
    Text: 'The destination refused the message',
    Type: 'transmission',
    Module: 'Send',
  }
  return { Meta: { ...meta, Logs: objectsOf(meta['Logs']).slice(0, -1), Errors: [error] } }
}

/** Returns a response without the values that the client needs from it: token, file reference, log IDs, locations. */
function withoutAddress(body: JsonRecord): JsonRecord {
  const { access_token: _a, accessToken: _b, URI: _c, id: _d, ...rest } = body
  if ('entry' in rest) {
    const entry = objectsOf(rest['entry']).map(({ response }) => ({
      response: { status: objectOf(response)['status'] },
    }))
    return { ...rest, entry }
  }
  if (!('Meta' in rest)) return rest
  const { Logs: _logs, ...meta } = objectOf(rest['Meta'])
  return { ...rest, Meta: meta }
}
