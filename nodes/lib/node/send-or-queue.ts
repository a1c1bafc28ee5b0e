import type { NodeMessageInFlow } from 'node-red'
import { destinationOf } from '../../../src/queue/jobs'
import type { JobResult } from '../../../src/queue/sender'
import { keysUpTo, type JsonObject } from '../../../src/message/json'
import { validMessage, type PreparedMessage } from '../../../src/message/prepared'
import { EventLoopBudget } from '../../../src/event-loop'
import { messageFacts, type MessageFacts } from '../../../src/redox/activity'
import { referenceFor } from '../../../src/redox/uploads'
import type { SendResult } from '../../../src/redox/client-types'
import type { RedoxClient } from '../../../src/redox/client'
import { deliverDirect, uploadDirect } from '../../../src/redox/direct-delivery'
import type { Connection } from '../connection/connection'
import type { Outbox } from '../queue/outbox'
import type { Prepared } from './prepare-types'
import type { AcceptedMessage, MessageAnswer, AnswerId, InFlightMessage } from './in-flight-message'

type AnswerWithoutWarnings = Omit<MessageAnswer, 'warnings'>
type PreparedSend = Extract<Prepared, { kind: 'message' }>

type OutboxConnection = Connection & { outbox: Outbox }

/** Sends a prepared message to Redox, or uploads a prepared file. */
export function sendNow(
  prepared: Prepared,
  client: RedoxClient,
  work: InFlightMessage,
): Promise<AnswerWithoutWarnings> {
  return prepared.kind === 'upload' ? upload(prepared, client, work) : send(prepared, client, work)
}

/** Message that was given to the outbox: stored, or answered with the first delivery of the same document. */
type QueuedMessage = { destination: string } & (
  { accepted: Omit<AcceptedMessage, 'warnings'> } | { answer: AnswerWithoutWarnings }
)

/**
 * Stores a message in the outbox, which sends the message later.
 * @param owner id of the node that emits the answer
 */
export async function queueMessage(
  { draft, isText }: PreparedSend,
  { client, environment, account, outbox }: OutboxConnection,
  owner: string,
  work: InFlightMessage,
): Promise<QueuedMessage> {
  const message = validMessage(draft)
  work.facts = factsOf(message, isText)
  await client.assertDeliverable(message)
  const from = { owner, environment, account }
  const accepted = await outbox.accept({ ...from, message, isText, msg: await plainProperties(work.msg) })
  const destination = destinationOf(message)
  if (!('first' in accepted)) return { destination, accepted }
  const { redox, ...answer } = answerOfJob(accepted.first, accepted.delivery)
  return { destination, answer: { ...answer, redox: { ...redox, duplicate: true } } }
}

/** Returns the answer to a message that the queue sender has delivered. */
export function answerOfJob(
  { id, acceptedAt, attempts, job }: JobResult,
  delivery: SendResult,
): AnswerWithoutWarnings {
  const answer = answerOf(job.message.operation, delivery, job.isText)
  const outbox = { id, acceptedAt: new Date(acceptedAt).toISOString(), attempts }
  return { ...answer, redox: { environment: job.environment, ...answer.redox, outbox } }
}

// Maximum length of a stored string. Longer strings are usually encoded files, and the outbox stores files separately.
const LONGEST_TEXT = 100_000
const MOST_VALUES = 10_000
const MOST_PROPERTIES = 10_000

// Values copied per event-loop iteration. Copying ten thousand values takes a few milliseconds.
const values = new EventLoopBudget(MOST_VALUES)

/**
 * Returns the properties of a message that can be stored and restored unchanged: strings, numbers, booleans, null,
 * arrays and plain objects.
 * Left out are Buffers, functions, circular references, long strings, and `req` and `res` of an HTTP In node, whose
 * HTTP request will have ended. Ten thousand properties of the message are kept, and ten thousand values of each
 * property, so that a large property does not displace others such as `_msgid`. An array or object with more direct
 * elements than that is left out completely. An object or array of which no element can be kept is left out, too,
 * because an empty object would be mistaken for the original value. The class of the message object does not matter.
 */
export async function plainProperties(msg: NodeMessageInFlow): Promise<JsonObject> {
  const kept: [string, unknown][] = []
  let count = 0
  for (const name in msg) {
    if (!Object.hasOwn(msg, name) || OF_HTTP_IN.has(name)) continue
    if (++count > MOST_PROPERTIES) break
    const copy = new PlainCopy()
    const plain = copy.of((msg as unknown as Record<string, unknown>)[name])
    if (plain !== undefined) kept.push([name, plain])
    await values.reserve(copy.looks)
  }
  return Object.fromEntries(kept) as JsonObject
}

const OF_HTTP_IN = new Set(['req', 'res'])

class PlainCopy {
  readonly #within = new Set<object>()
  #left = MOST_VALUES

  /** number of values that were visited so far */
  get looks(): number {
    return MOST_VALUES - Math.max(0, this.#left)
  }

  of(value: unknown): unknown {
    if (this.#left-- <= 0) return undefined
    if (typeof value === 'string') return value.length <= LONGEST_TEXT ? value : undefined
    if (typeof value === 'boolean' || value === null) return value
    if (typeof value === 'number') return Number.isFinite(value) ? value : undefined
    if (typeof value !== 'object' || this.#within.has(value)) return undefined
    this.#within.add(value)
    const copy = this.#ofObject(value)
    this.#within.delete(value)
    return copy
  }

  #ofObject(value: object): unknown {
    if (Array.isArray(value)) return this.#ofArray(value)
    const keys = isPlainObject(value) ? keysUpTo(this.#left, value) : undefined
    if (keys === undefined) return undefined
    const kept = keys
      .map((key) => [key, this.of((value as Record<string, unknown>)[key])])
      .filter(([, plain]) => plain !== undefined)
    return kept.length === 0 && keys.length > 0 ? undefined : Object.fromEntries(kept)
  }

  /** Copies an array. Elements that cannot be kept become null, because the position of an element has a meaning. */
  #ofArray(value: unknown[]): unknown {
    if (value.length > this.#left) return undefined
    const plain = value.map((one) => this.of(one))
    return value.length > 0 && plain.every((one) => one === undefined)
      ? undefined
      : plain.map((one) => one ?? null)
  }
}

/**
 * Returns true for a `{…}` object of any vm context: objects of a Function node have the `Object.prototype` of its own
 * context. Such a prototype has no prototype itself, unlike that of a class or of `Object.create({…})`.
 */
function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

async function upload(
  { file, uploadKind }: Extract<Prepared, { kind: 'upload' }>,
  client: RedoxClient,
  work: InFlightMessage,
): Promise<AnswerWithoutWarnings> {
  work.describe('upload', 'upload')
  work.facts = messageFacts('upload', [{ way: 'upload', size: file.size }], false)
  const { signal, onProgress, onFailure } = work
  const options = { kind: uploadKind, signal, onProgress, onFailure }
  const uploaded = await uploadDirect(client, file, options)
  const { status, headers, sha256, url, attempts } = uploaded
  return {
    payload: referenceFor(file, uploaded, uploadKind),
    statusCode: status,
    id: { kind: 'sha256', value: sha256 },
    redox: {
      operation: 'upload',
      way: 'upload',
      files: [{ way: 'upload', size: file.size, sha256, url }],
      headers,
      attempts,
    },
  }
}

async function send(
  { draft, isText }: PreparedSend,
  client: RedoxClient,
  work: InFlightMessage,
): Promise<AnswerWithoutWarnings> {
  const message = validMessage(draft)
  work.describe(message.operation, destinationOf(message))
  work.facts = factsOf(message, isText)
  const { signal, onProgress, onFailure } = work
  const delivery = await deliverDirect(client, message, { signal, onProgress, onFailure })
  return answerOf(message.operation, delivery, isText)
}

function answerOf(operation: string, delivery: SendResult, isText: boolean): AnswerWithoutWarnings {
  const { status, headers, body, facts, files, attempts } = delivery
  const id = idOf(operation, facts)
  return {
    payload: body,
    statusCode: status,
    ...(id !== undefined && { id }),
    redox: {
      operation,
      way: isText ? 'text' : wayOf(files.map(({ way }) => way)),
      files,
      logIds: facts.logIds,
      ...(facts.messageId !== undefined && { messageId: facts.messageId }),
      locations: facts.locations,
      ...(facts.traceId !== undefined && { traceId: facts.traceId }),
      headers,
      attempts,
    },
  }
}

const factsOf = ({ operation, attachments }: PreparedMessage, isText: boolean): MessageFacts =>
  messageFacts(
    operation,
    attachments.map(({ way, file }) => ({ way, size: file.size })),
    isText,
  )

const wayOf = ([first = 'none', ...others]: string[]): string =>
  others.some((way) => way !== first) ? 'mixed' : first

function idOf(
  operation: string,
  { logIds, messageId, locations, traceId }: SendResult['facts'],
): AnswerId | undefined {
  const known: [AnswerId['kind'], string | undefined][] = [
    ['log', logIds[0]],
    ['message', messageId],
    ['resource', mainId(operation, locations)],
    ['trace', traceId],
  ]
  for (const [kind, value] of known) if (value !== undefined) return { kind, value }
  return undefined
}

/**
 * Returns the resource id in a Location header such as `…/DiagnosticReport/0b9f/_history/1`, but only for the
 * operation's main resource.
 */
function mainId(operation: string, locations: string[]): string | undefined {
  const [type] = operation.split('/')
  const found = locations.map((location) => new RegExp(`/${type}/([^/]+)`).exec(location)?.[1])
  return found.find((id) => id !== undefined)
}
