import type { NodeMessageInFlow } from 'node-red'
import { laneOf } from '../../../src/queue/jobs'
import type { Ended } from '../../../src/queue/sender'
import { keysUpTo, type JsonObject } from '../../../src/message/json'
import { checked } from '../../../src/message/prepared'
import { Turns } from '../../../src/event-loop'
import { referenceFor } from '../../../src/redox/uploads'
import type { Delivery } from '../../../src/redox/delivery'
import type { RedoxClient } from '../../../src/redox/client'
import { deliverDirect, uploadDirect } from '../../../src/redox/direct'
import type { Connection } from '../connection/connection'
import type { Outbox } from '../queue/outbox'
import type { Prepared } from './prepare'
import type { Answer, AnswerId, Work } from './in-flight'

type Delivered = Omit<Answer, 'warnings'>
type PreparedMessage = Extract<Prepared, { kind: 'message' }>

type DurableConnection = Connection & { outbox: Outbox }

/** Does what was prepared. */
export function deliver(prepared: Prepared, client: RedoxClient, work: Work): Promise<Delivered> {
  return prepared.kind === 'upload' ? upload(prepared, client, work) : send(prepared, client, work)
}

/**
 * Leaves a message to the outbox, which sends it.
 * @param owner the node that emits the answer
 * @returns what the outbox calls it, and where it goes
 */
export async function accept(
  { draft, isText }: PreparedMessage,
  { client, environment, account, outbox }: DurableConnection,
  owner: string,
  { msg }: Work,
): Promise<{ id: string; destination: string }> {
  const message = checked(draft)
  await client.assertDeliverable(message)
  const from = { owner, environment, account }
  const id = await outbox.accept({ ...from, message, isText, msg: await plainProperties(msg) })
  return { id, destination: laneOf(message) }
}

/** The answer of a message that the outbox has sent. */
export function answerOfOutbox({ id, acceptedAt, attempts, parcel }: Ended, delivery: Delivery): Delivered {
  const answer = answerOf(parcel.message.operation, delivery, parcel.isText)
  const outbox = { id, acceptedAt: new Date(acceptedAt).toISOString(), attempts }
  return { ...answer, redox: { environment: parcel.environment, ...answer.redox, outbox } }
}

// Longer texts are files in disguise: the outbox keeps files apart.
const LONGEST_TEXT = 100_000
const MOST_VALUES = 10_000
const MOST_PROPERTIES = 10_000

// Copying ten thousand takes a few milliseconds.
const values = new Turns(MOST_VALUES)

/**
 * What of a message can be stored and brought back as it was: texts, numbers, truth values, null, arrays and plain
 * objects. Buffers and functions are left out; so is what repeats itself without end, and what of one property is
 * beyond ten thousand values: a large one takes no other with it, such as `_msgid`. An array or an object that has more
 * than that by itself is left out as a whole, and so is what is beyond ten thousand properties. What had nothing but that is left
 * out as a whole: an empty object in its place would be taken for one. `req` and `res` are those of an HTTP In node,
 * whose caller is gone by then. Of which class the message itself is does not matter.
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
    await values.take(copy.looks)
  }
  return Object.fromEntries(kept) as JsonObject
}

const OF_HTTP_IN = new Set(['req', 'res'])

class PlainCopy {
  readonly #within = new Set<object>()
  #left = MOST_VALUES

  /** values that were looked at so far */
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

  /** Places in an array mean something. */
  #ofArray(value: unknown[]): unknown {
    if (value.length > this.#left) return undefined
    const plain = value.map((one) => this.of(one))
    return value.length > 0 && plain.every((one) => one === undefined)
      ? undefined
      : plain.map((one) => one ?? null)
  }
}

/**
 * Whether an object is `{…}` of any realm: what a Function node makes has the `Object.prototype` of its own vm context.
 * Such a prototype is the end of its chain; that of a class or of `Object.create({…})` is not.
 */
function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

async function upload(
  { file, uploadKind }: Extract<Prepared, { kind: 'upload' }>,
  client: RedoxClient,
  { signal, onProgress }: Work,
): Promise<Delivered> {
  const uploaded = await uploadDirect(client, file, { kind: uploadKind, signal, onProgress })
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
  { draft, isText }: PreparedMessage,
  client: RedoxClient,
  { signal, onProgress }: Work,
): Promise<Delivered> {
  const message = checked(draft)
  const delivery = await deliverDirect(client, message, { signal, onProgress })
  return answerOf(message.operation, delivery, isText)
}

function answerOf(operation: string, delivery: Delivery, isText: boolean): Delivered {
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

const wayOf = ([first = 'none', ...others]: string[]): string =>
  others.some((way) => way !== first) ? 'mixed' : first

function idOf(
  operation: string,
  { logIds, messageId, locations, traceId }: Delivery['facts'],
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

/** The id in `…/DiagnosticReport/0b9f/_history/1`, of the resource that the operation is about and no other. */
function mainId(operation: string, locations: string[]): string | undefined {
  const [type] = operation.split('/')
  const found = locations.map((location) => new RegExp(`/${type}/([^/]+)`).exec(location)?.[1])
  return found.find((id) => id !== undefined)
}
