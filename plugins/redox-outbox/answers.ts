/** What the admin API of the outbox answers. What lists and outcomes show has no patient data; a content has. */
import { z } from 'zod'
import { deliveries, type Delivery } from '../../nodes/lib/delivery'
import type { Outbox } from '../../nodes/lib/outbox'
import { discardStranded, giveStranded, strandedStores } from '../../nodes/lib/stranded'
import { byTheClock, onTheWall } from '../../src/durable/clock'
import type { Content, Notes } from '../../src/durable/contents'
import {
  STATES,
  type DeliveryStore,
  type LaneState,
  type Query,
  type StoredMessage,
} from '../../src/durable/store'
import type { ListedStore } from '../../src/durable/list-stores'
import { RedoxError } from '../../src/errors'
import { identifiersOf } from '../../src/redox/client'

export interface Question {
  /** parts of the path */
  connection: string
  id: string
  query: unknown
  /** undefined: none that is JSON */
  body: unknown
  /** the user's name */
  who: string
}

export interface Answer {
  status: number
  body?: object
}

class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message)
  }
}

/** The answer to what cannot be done. Anything else that was thrown is thrown on. */
export function refusalOf(error: unknown): Answer {
  if (error instanceof Refusal) return { status: error.status, body: shown(error) }
  if (error instanceof RedoxError) return { status: STATUS[error.code] ?? 503, body: shown(error) }
  throw error
}

const shown = ({ code, message }: Refusal | RedoxError): object => ({ code, message })

/** Of errors of the store; the others are those of one that cannot be used. */
const STATUS: Record<string, number> = { REDOX_STORE_LOST: 409, REDOX_STORE_LOCKED: 409, REDOX_INTERNAL: 500 }

// ---- Questions ------------------------------------------------------------------------------------------

const MAX_MESSAGES = 200
const MAX_LINES = 500
const MAX_LANES = 200

const count = (atLeast: number, atMost: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(Number)
    .refine((number) => number >= atLeast && number <= atMost)

/** Milliseconds since 1970, or anything that ISO 8601 calls a time. */
const time = z
  .string()
  .max(40)
  .transform((text) => (/^\d{1,15}$/.test(text) ? Number(text) : Date.parse(text)))
  .refine(Number.isFinite)

/** In a person's words, on one line. It is kept for ever: control characters could forge lines of a report. */
const reason = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .regex(/^[^\p{C}\p{Zl}\p{Zp}]*$/u)

const lane = z.string().min(1).max(2000)

const MESSAGES = z.strictObject({
  state: z.enum(STATES).optional(),
  destination: lane.optional(),
  search: z.string().trim().min(1).max(200).optional(),
  since: time.optional(),
  till: time.optional(),
  after: z.string().max(100).optional(),
  order: z.enum(['oldest', 'newest']).optional(),
  limit: count(1, MAX_MESSAGES).default(50),
})
const CONTENT = z.strictObject({ reason })
const DECISION = z.strictObject({
  action: z.enum(['resend', 'mark-delivered', 'discard']),
  reason,
  /** it may go over another account than the one it was accepted for */
  otherAccount: z.boolean().default(false),
})
const PAUSE = z.strictObject({ lane, action: z.enum(['pause', 'resume']), reason })
const STRANDED = z.discriminatedUnion('action', [
  z.strictObject({
    action: z.literal('give'),
    /** id of the redox-config node */
    to: z.string().max(100),
    /** what seals the store, if it is not the key of that node */
    key: z.string().trim().min(1).max(1000).optional(),
    reason,
  }),
  z.strictObject({ action: z.literal('discard'), reason }),
])
const STORE = z.strictObject({ action: z.literal('begin-new'), reason })
const AUDIT = z.strictObject({ skip: count(0, 1e15).default(0), limit: count(1, MAX_LINES).default(100) })

function read<T>(schema: z.ZodType<T>, input: unknown, what: string): T {
  const { success, data } = schema.safeParse(input)
  if (success) return data
  // What was sent is not repeated: it may be anything.
  throw new Refusal(400, 'bad_request', what)
}

const ASKED = {
  messages:
    `Take state (${STATES.join(', ')}), destination, search, since and till (ISO 8601, or milliseconds), after, order ` +
    `(oldest or newest first), and limit (at most ${MAX_MESSAGES}).`,
  content: 'Give a reason: up to 200 characters, on one line.',
  decide:
    'Send application/json: { "action": "resend", "mark-delivered" or "discard", "reason": up to 200 characters, on ' +
    'one line }; with "otherAccount": true a message goes over another account than the one it was accepted for.',
  pause:
    'Send application/json: { "lane", "action": "pause" or "resume", "reason": up to 200 characters, on one line }.',
  store:
    'Send application/json: { "action": "begin-new", "reason": up to 200 characters, on one line }. The store that cannot ' +
    'be read is set aside; nothing is removed.',
  stranded:
    'Send application/json: { "action": "give", "to": id of a redox-config node, "reason" } with the "key" of the store if ' +
    'it is another one, or { "action": "discard", "reason" }. A reason has up to 200 characters, on one line.',
  audit: `Take skip and limit (at most ${MAX_LINES}).`,
}

function deliveryOf(connection: string): Delivery {
  const found = deliveries.get(connection)
  if (found) return found
  throw new Refusal(404, 'not_found', 'No redox-config node with this id delivers durably.')
}

const outboxOf = ({ connection }: Question): Outbox => openOutboxOf(connection)

function openOutboxOf(connection: string): Outbox {
  const { outbox, code } = deliveryOf(connection)
  if (outbox) return outbox
  throw new Refusal(
    503,
    code ?? 'REDOX_STORE_UNAVAILABLE',
    'The store of this connection is not open. The status of the redox-config node and the log say why.',
  )
}

async function messageOf({ store }: Outbox, id: string): Promise<StoredMessage> {
  const [found] = await store.find({ id, limit: 1 })
  if (found) return found
  throw new Refusal(404, 'not_found', 'There is no message with this id, or no more.')
}

/** @returns notes with which the message may go over this account, where it needs them */
function accountNotes({ courier }: Outbox, message: StoredMessage, isAllowed: boolean): Buffer | undefined {
  if (!courier.isForOtherAccount(message)) return undefined
  if (isAllowed) return courier.allowingThisAccount(message)
  throw new Refusal(
    409,
    'REDOX_OTHER_ACCOUNT',
    'The message was accepted for another account than the connection has now. Set the connection back, or send ' +
      '"otherAccount": true to let it go over this account.',
  )
}

// ---- Answers --------------------------------------------------------------------------------------------

export const ANSWERS = {
  overview: async (): Promise<Answer> => {
    const connections = await Promise.all([...deliveries].map(([id, delivery]) => connection(id, delivery)))
    const stranded = [...strandedStores].map(([store, known]) => strandedShown(store, known))
    return { status: 200, body: { connections, stranded } }
  },

  messages: async (question: Question): Promise<Answer> => {
    const { limit, ...wanted } = read(MESSAGES, question.query, ASKED.messages)
    // One more, to know whether there are more.
    const outbox = outboxOf(question)
    const found = await find(outbox, wanted, limit + 1)
    const messages = found.slice(0, limit)
    const next = found.length > limit ? messages.at(-1)?.id : undefined
    return {
      status: 200,
      body: { messages: messages.map((found) => line(outbox, found)), ...(next !== undefined && { next }) },
    }
  },

  message: async (question: Question): Promise<Answer> => {
    const outbox = outboxOf(question)
    const found = await messageOf(outbox, question.id)
    return { status: 200, body: { ...line(outbox, found), ...outcomeOf(outbox, found) } }
  },

  /** All of it; who has looked at it, and why, is written down before. */
  content: async (question: Question): Promise<Answer> => {
    const { reason } = read(CONTENT, question.query, ASKED.content)
    const outbox = outboxOf(question)
    const found = await messageOf(outbox, question.id)
    await outbox.store.looked(found.id, reason, question.who, outbox.store.clock.now())
    return { status: 200, body: contentOf(outbox, found) }
  },

  decide: async (question: Question): Promise<Answer> => {
    const { action, reason, otherAccount } = read(DECISION, question.body, ASKED.decide)
    const outbox = outboxOf(question)
    const found = await messageOf(outbox, question.id)
    const notes = action === 'resend' ? accountNotes(outbox, found, otherAccount) : undefined
    await outbox.store.decide(found.id, action, reason, question.who, outbox.store.clock.now(), notes)
    outbox.courier.wake()
    return { status: 204 }
  },

  pause: async (question: Question): Promise<Answer> => {
    const { lane, action, reason } = read(PAUSE, question.body, ASKED.pause)
    const { store, courier } = outboxOf(question)
    // A name that is misspelled would stop nothing, and say so to nobody.
    if (!(await store.lanes()).some((known) => known.lane === lane))
      throw new Refusal(404, 'not_found', 'Nothing waits for this destination, and it is not paused.')
    await store.pause(lane, action === 'pause', reason, question.who, store.clock.now())
    courier.wake()
    return { status: 204 }
  },

  store: async ({ connection, body, who }: Question): Promise<Answer> => {
    const { reason } = read(STORE, body, ASKED.store)
    const setAside = await deliveryOf(connection).beginAnew({ who, reason })
    return { status: 200, body: { ...(setAside !== undefined && { setAside }) } }
  },

  stranded: async ({ id, body, who }: Question): Promise<Answer> => {
    const asked = read(STRANDED, body, ASKED.stranded)
    const store = strandedStores.get(id)
    if (!store)
      throw new Refusal(404, 'not_found', 'There is no store of this name that belongs to no connection.')
    const by = { who, reason: asked.reason }
    if (asked.action === 'discard')
      return { status: 200, body: { discarded: await discardStranded(store, by) } }
    const { storeKey } = deliveryOf(asked.to)
    const outbox = openOutboxOf(asked.to)
    const { moved, left } = await giveStranded(store, { outbox, storeKey: storeKey! }, asked.key, by)
    return { status: 200, body: { moved, left } }
  },

  audit: async (question: Question): Promise<Answer> => {
    const { skip, limit } = read(AUDIT, question.query, ASKED.audit)
    const { store } = outboxOf(question)
    const [total, lines] = await Promise.all([lengthOfAudit(store), store.audit({ skip, limit })])
    return { status: 200, body: { total, lines: lines.map(({ at, ...line }) => ({ at: iso(at), ...line })) } }
  },
}

const iso = (milliseconds: number): string => new Date(milliseconds).toISOString()

async function connection(id: string, { name, outbox, code }: Delivery): Promise<object> {
  const known = { id, name }
  if (!outbox) return { ...known, ...(code === undefined ? { isOpening: true } : { code }) }
  try {
    const [counts, lanes] = await Promise.all([outbox.store.counts(), outbox.store.lanes()])
    const times = lanes.flatMap(({ oldest }) => oldest ?? [])
    return {
      ...known,
      ...(code !== undefined && { code }),
      counts,
      ...(times.length > 0 && { oldest: shownTime(outbox, Math.min(...times)) }),
      lanes: [...lanes]
        .sort(byUrgency)
        .slice(0, MAX_LANES)
        .map((lane) => laneShown(outbox, lane)),
      lanesInAll: lanes.length,
    }
  } catch (error) {
    if (!(error instanceof RedoxError)) throw error
    return { ...known, code: error.code }
  }
}

const strandedShown = (store: string, { id, waiting, parked, code }: ListedStore): object => ({
  ...{ store, id, waiting, parked },
  ...(code !== undefined && { code }),
})

/** What is stopped first, then what waits longest. */
function byUrgency(a: LaneState, b: LaneState): number {
  const stopped = ({ paused, blockedBy }: LaneState): number => Number(paused || blockedBy !== undefined)
  return stopped(b) - stopped(a) || (a.oldest ?? Infinity) - (b.oldest ?? Infinity) || 0
}

/** As the clock on the wall tells it. */
const shownTime = ({ store }: Outbox, time: number): string => iso(onTheWall(store.clock, time))

const laneShown = (outbox: Outbox, { oldest, ...lane }: LaneState): object => ({
  ...lane,
  ...(oldest !== undefined && { oldest: shownTime(outbox, oldest) }),
})

async function find(
  { store, contents }: Outbox,
  { search, destination, order, ...asked }: Omit<z.infer<typeof MESSAGES>, 'limit'>,
  limit: number,
): Promise<StoredMessage[]> {
  const [since, till] = [asked.since, asked.till].map((time) => time && byTheClock(store.clock, time))
  const given = { ...asked, since, till, lane: destination, newestFirst: order === 'newest' }
  const wanted = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  ) as Partial<Query>
  if (search === undefined) return store.find({ ...wanted, limit })
  const byId = wanted.after === undefined ? await store.find({ ...wanted, id: search, limit }) : []
  if (byId.length > 0) return byId
  // A hash is also copied from programs that write it in capitals.
  const tag = /^[\dA-F]{64}$/i.test(search) ? search.toLowerCase() : search
  return store.find({ ...wanted, tag: contents.seal.nameFor(tag), limit })
}

/** What is known of a message without opening what is sealed. */
function line(outbox: Outbox, { id, state, lane, owner, attempts, ...message }: StoredMessage): object {
  const { acceptedAt, deadline, dueAt, endedAt, reason, ordered } = message
  return {
    ...{ id, state, destination: lane, attempts, ordered },
    acceptedAt: shownTime(outbox, acceptedAt),
    ...(state === 'waiting' && {
      deadline: shownTime(outbox, deadline),
      ...(dueAt > 0 && { dueAt: shownTime(outbox, dueAt) }),
    }),
    ...(endedAt !== undefined && { endedAt: shownTime(outbox, endedAt) }),
    ...(reason !== undefined && { reason }),
    owner,
  }
}

/** What a message is, and what became of it so far: nothing that a log may not have. */
function outcomeOf({ courier, contents }: Outbox, message: StoredMessage): object {
  try {
    const { message: prepared, environment, files, msg } = contents.contentOf(message)
    return {
      msgid: msg._msgid,
      operation: prepared.operation,
      environment,
      identifiers: identifiersOf(prepared.body),
      files: files.map(({ contentType, size, sha256 }) => ({ contentType, size, sha256 })),
      otherAccount: courier.isForOtherAccount(message),
      ...ending(contents.notesOf(message), message),
    }
  } catch (error) {
    if (!(error instanceof RedoxError)) throw error
    return { unreadable: shown(error) }
  }
}

function ending({ delivery, error, unknown }: Notes, { state, attempts }: StoredMessage): object {
  // What was before a person had it sent again is no longer true.
  if (attempts === 0 && (state === 'waiting' || state === 'held')) return {}
  if (state === 'delivered' && delivery) {
    const { status, facts } = delivery
    const { logIds, locations, traceId } = facts
    return { delivery: { status, logIds, locations, traceId } }
  }
  const failure = unknown ?? error
  if (failure === undefined) return {}
  const { answer: _answer, ...cause } = failure.cause
  return { error: { code: failure.code, message: failure.message, cause } }
}

// A document that is a text may be longer than any browser shows.
const LONGEST_TEXT = 50_000

/** All that was accepted, apart from the bytes of files, and Redox's own answer. */
function contentOf({ contents }: Outbox, message: StoredMessage): object {
  const { message: prepared, files } = contents.contentOf(message)
  const { delivery, error, unknown } = contents.notesOf(message)
  const answer = delivery?.body ?? (unknown ?? error)?.cause.answer
  const names = files.map(({ name }: Content['files'][number]) => name)
  return shortened({ body: prepared.body, files: names, ...(answer !== undefined && { answer }) })
}

const shortened = (value: object): object =>
  JSON.parse(
    JSON.stringify(value, (_key, one: unknown) =>
      typeof one === 'string' && one.length > LONGEST_TEXT
        ? `${one.slice(0, LONGEST_TEXT)}… (${one.length} characters)`
        : one,
    ),
  ) as object

/** The store does not tell it, and finds any line at once. */
async function lengthOfAudit(store: DeliveryStore): Promise<number> {
  const has = async (lines: number): Promise<boolean> =>
    (await store.audit({ skip: lines - 1, limit: 1 })).length > 0
  let known = 0
  let beyond = 1
  while (await has(beyond)) [known, beyond] = [beyond, beyond * 2]
  while (beyond - known > 1) {
    const middle = Math.floor((known + beyond) / 2)
    if (await has(middle)) known = middle
    else beyond = middle
  }
  return known
}
