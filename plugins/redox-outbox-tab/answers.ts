/** What the admin API of the outbox answers. What lists and outcomes show has no patient data; a content has. */
import { z } from 'zod'
import { deliveries, type Delivery } from '../../nodes/lib/connection/delivery'
import type { Outbox } from '../../nodes/lib/queue/outbox'
import { discardStranded, giveStranded, strandedStores } from '../../nodes/lib/connection/stranded'
import { onTheWall } from '../../src/queue/clock'
import type { Content, Contents, Notes } from '../../src/queue/jobs'
import {
  criteriaOf,
  decideAll,
  decideOne,
  matching,
  mayHaveArrived,
  MOST_HOURS,
} from '../../src/queue/decisions'
import {
  ACTIONS,
  STATES,
  type DeliveryStore,
  type LaneState,
  type StoredMessage,
} from '../../src/queue/types'
import type { ListedStore } from '../../src/queue/list-stores'
import { RedoxError } from '../../src/errors'
import { ADVICE_TO_SEND_AGAIN, identifiersOf } from '../../src/redox/client'

export interface Question {
  /** parts of the path */
  connection: string
  id: string
  query: unknown
  /** undefined: none that is JSON */
  body: unknown
  /** the user's name */
  who: string
  /** may not see what is in a message, see `contentReadersOnly` */
  isVisitor: boolean
  /** aborted when the client has gone */
  signal: AbortSignal
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
    /** what else the answer tells */
    readonly facts: object = {},
  ) {
    super(message)
  }
}

/** The answer to what cannot be done. Anything else that was thrown is thrown on. */
export function refusalOf(error: unknown): Answer {
  if (error instanceof Refusal) return { status: error.status, body: { ...shown(error), ...error.facts } }
  if (error instanceof RedoxError) return { status: STATUS[error.code] ?? 503, body: shown(error) }
  throw error
}

const shown = ({ code, message }: Refusal | RedoxError): object => ({ code, message })

/** Of errors of the store; the others are those of one that cannot be used. */
const STATUS: Record<string, number> = {
  REDOX_STORE_LOST: 409,
  REDOX_STORE_LOCKED: 409,
  REDOX_OTHER_ACCOUNT: 409,
  REDOX_INTERNAL: 500,
}

// ---- Questions ------------------------------------------------------------------------------------------

const AN_HOUR_MS = 3_600_000
const MAX_MESSAGES = 200
const MAX_LINES = 500
const MAX_DESTINATIONS = 200

const count = (atLeast: number, atMost: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(Number)
    .refine((number) => number >= atLeast && number <= atMost)

/** Milliseconds since 1970, or anything that ISO 8601 calls a time. */
const time = z
  .union([z.string().max(40), z.number().int().min(0).max(1e15).transform(String)])
  .transform((text) => (/^\d{1,15}$/.test(text) ? Number(text) : Date.parse(text)))
  .refine(Number.isFinite)

/** In a person's words, on one line. It is kept for ever: control characters could forge lines of a report. */
const reason = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .regex(/^[^\p{C}\p{Zl}\p{Zp}]*$/u)

const destination = z.string().min(1).max(2000)

const FILTER = {
  state: z.enum(STATES).optional(),
  destination: destination.optional(),
  search: z.string().trim().min(1).max(200).optional(),
  since: time.optional(),
  till: time.optional(),
  code: z
    .string()
    .regex(/^[\w-]{1,64}$/)
    .optional(),
}
const MESSAGES = z.strictObject({
  ...FILTER,
  after: z.string().max(100).optional(),
  order: z.enum(['oldest', 'newest']).optional(),
  limit: count(1, MAX_MESSAGES).default(50),
})
const CONTENT = z.strictObject({ reason })
const DECIDED = {
  action: z.enum(ACTIONS),
  reason,
  /** of `extend`, and of nothing else */
  hours: z.number().positive().max(MOST_HOURS).optional(),
  /** it may go over another account than the one it was accepted for */
  otherAccount: z.boolean().default(false),
}
const hasItsHours = ({ action, hours }: { action: string; hours?: number | undefined }): boolean =>
  (action === 'extend') === (hours !== undefined)
const DECISION = z.strictObject(DECIDED).refine(hasItsHours)
const COUNT = z.strictObject({ ...FILTER, action: z.enum(ACTIONS).optional() })
const DECISIONS = z
  .strictObject({
    ...DECIDED,
    filter: z.strictObject(FILTER),
    count: z.number().int().min(0),
    after: z.string().max(100).optional(),
    limit: z.number().int().min(1).optional(),
  })
  .refine(hasItsHours)
const PAUSE = z.strictObject({ destination, action: z.enum(['pause', 'resume']), reason })
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

const FILTERS = `state (${STATES.join(', ')}), destination, search, since and till (ISO 8601, or milliseconds), code`
const DECISION_FIELDS =
  '"action": "resend", "mark-delivered", "discard" or "extend", "reason": up to 200 characters, on one line, ' +
  `"hours": with extend only, up to ${MOST_HOURS}`
const OTHER_ACCOUNT =
  '. With "otherAccount": true, messages are sent through a different account from the one that they were accepted for.'

const ASKED = {
  messages: `Use the parameters ${FILTERS}, after, order (oldest or newest first), and limit (at most ${MAX_MESSAGES}).`,
  content: 'Provide a reason: up to 200 characters, on one line.',
  decide: `Send application/json: { ${DECISION_FIELDS} }${OTHER_ACCOUNT}`,
  count: `Use the parameters ${FILTERS}, and action.`,
  decisions:
    `Send application/json: { "filter": { ${FILTERS} }, ${DECISION_FIELDS}, "count": how many messages matched, ` +
    `"limit": the most to decide on at once, "after": the "next" of the previous answer }${OTHER_ACCOUNT}`,
  pause:
    'Send application/json: { "destination", "action": "pause" or "resume", "reason": up to 200 characters, on one line }.',
  store:
    'Send application/json: { "action": "begin-new", "reason": up to 200 characters, on one line }. The store that cannot ' +
    'be read is renamed. Nothing is removed.',
  stranded:
    'Send application/json: { "action": "give", "to": id of a redox-config node, "reason" } with the "key" of the store if ' +
    'it differs, or { "action": "discard", "reason" }. A reason has up to 200 characters, on one line.',
  audit: `Use the parameters skip and limit (at most ${MAX_LINES}).`,
}

function deliveryOf(connection: string): Delivery {
  const found = deliveries.get(connection)
  if (found) return found
  throw new Refusal(404, 'not_found', 'No redox-config node with this ID uses durable delivery.')
}

const outboxOf = ({ connection }: Question): Outbox => openOutboxOf(connection)

function openOutboxOf(connection: string): Outbox {
  const { outbox, code } = deliveryOf(connection)
  if (outbox) return outbox
  throw new Refusal(
    503,
    code ?? 'REDOX_STORE_UNAVAILABLE',
    'The store of this connection is not open. See the status of the redox-config node, or the log.',
  )
}

async function messageOf({ store }: Outbox, id: string): Promise<StoredMessage> {
  const [found] = await store.find({ id, limit: 1 })
  if (found) return found
  throw new Refusal(404, 'not_found', 'There is no message with this ID. It may have been removed.')
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
    const told = [outcomeOf(outbox, found), whatWaits(outbox, found), decisionAbout(outbox, found)]
    const [outcome, wait, decision] = await Promise.all(told)
    const closed = question.isVisitor && { contentIsClosed: true }
    return { status: 200, body: { ...line(outbox, found), ...outcome, ...wait, ...decision, ...closed } }
  },

  /** All of it; who has looked at it, and why, is written down before. */
  content: async (question: Question): Promise<Answer> => {
    const { reason } = read(CONTENT, question.query, ASKED.content)
    const outbox = outboxOf(question)
    const found = await messageOf(outbox, question.id)
    await outbox.store.looked(found.id, { who: question.who, reason, now: outbox.store.clock.now() })
    return { status: 200, body: await contentOf(outbox, found) }
  },

  decide: async (question: Question): Promise<Answer> => {
    const decision = { ...given(read(DECISION, question.body, ASKED.decide)), who: question.who }
    const outbox = outboxOf(question)
    const found = await messageOf(outbox, question.id)
    if (!(await decideOne(outbox.contents, found, decision, outbox.courier)))
      throw unchanged(shownTime(outbox, found.deadline))
    outbox.courier.wake()
    return { status: 204 }
  },

  /** How many messages decisions would be about; those that are accepted later are not among them. */
  count: async (question: Question): Promise<Answer> => {
    const { action, till: until = Infinity, ...filter } = read(COUNT, question.query, ASKED.count)
    const { contents } = outboxOf(question)
    const till = Math.min(until, onTheWall(contents.store.clock, contents.store.clock.now()))
    const found = await matching(contents, given({ ...filter, till }), action)
    return { status: 200, body: { count: found.length, till: iso(till) } }
  },

  decisions: async (question: Question): Promise<Answer> => {
    const asked = read(DECISIONS, question.body, ASKED.decisions)
    const { count, after, limit = Infinity, filter: wanted, ...decision } = asked
    const { contents, courier } = outboxOf(question)
    const filter = given(wanted)
    const ids = await matching(contents, filter, decision.action, after)
    if (ids.length > count) throw more(ids.length)
    const now = ids.slice(0, limit)
    const how = { signal: question.signal, accounts: courier }
    const about = { ...given(decision), who: question.who }
    const result = await decideAll(contents, now, filter, about, how).finally(() => courier.wake())
    const next = now.length < ids.length && result.stoppedBy === undefined ? now.at(-1) : undefined
    return { status: 200, body: { ...result, ...(next !== undefined && { next }) } }
  },

  pause: async (question: Question): Promise<Answer> => {
    const { destination, action, reason } = read(PAUSE, question.body, ASKED.pause)
    const { store, courier } = outboxOf(question)
    // A name that is misspelled would stop nothing, and say so to nobody.
    if (!(await store.lanes()).some((known) => known.lane === destination))
      throw new Refusal(404, 'not_found', 'No message is waiting for this destination, and it is not paused.')
    await store.pause(destination, action === 'pause', { who: question.who, reason, now: store.clock.now() })
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
    if (!store) throw new Refusal(404, 'not_found', 'No store without a connection has this name.')
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

/** Without what was not given. */
const given = <T extends object>(values: T): { [Key in keyof T]: Exclude<T[Key], undefined> } =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never

const more = (found: number): Refusal =>
  new Refusal(
    409,
    'more_match',
    `${found} messages match now, more than the count in the request. Nothing was decided. Request the count again, and ` +
      'put the "till" of its answer into the filter.',
  )

const unchanged = (deadline: string): Refusal =>
  new Refusal(
    409,
    'unchanged',
    `Unchanged: the message is already retried until ${deadline}. Use more hours.`,
    { deadline },
  )

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
      ...(outbox.retryFor !== undefined && { retryForHours: Math.ceil(outbox.retryFor / AN_HOUR_MS) }),
      ...(times.length > 0 && { oldest: shownTime(outbox, Math.min(...times)) }),
      destinations: [...lanes]
        .sort(byUrgency)
        .slice(0, MAX_DESTINATIONS)
        .map((lane) => destinationShown(outbox, lane)),
      destinationsInAll: lanes.length,
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

const destinationShown = (outbox: Outbox, { lane, oldest, ...state }: LaneState): object => ({
  destination: lane,
  ...state,
  ...(oldest !== undefined && { oldest: shownTime(outbox, oldest) }),
})

async function find(
  { contents }: Outbox,
  { order, after, ...filter }: Omit<z.infer<typeof MESSAGES>, 'limit'>,
  limit: number,
): Promise<StoredMessage[]> {
  const { state } = filter
  const criteria = await criteriaOf(contents, given(filter))
  return contents.store.find(given({ ...criteria, state, after, newestFirst: order === 'newest', limit }))
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
async function outcomeOf({ courier, contents }: Outbox, message: StoredMessage): Promise<object> {
  try {
    const { message: prepared, environment, files, msg } = await contents.contentOf(message)
    return {
      msgid: msg._msgid,
      operation: prepared.operation,
      environment,
      identifiers: identifiersOf(prepared.body),
      files: files.map(({ contentType, size, sha256 }) => ({ contentType, size, sha256 })),
      otherAccount: await courier.isForOtherAccount(message),
      arrival: await arrivalOf(contents, message),
      ...ending(await contents.notesOf(message), message),
    }
  } catch (error) {
    if (!(error instanceof RedoxError)) throw error
    return { unreadable: shown(error) }
  }
}

function ending({ delivery, error, unknown }: Notes, { state, attempts }: StoredMessage): object {
  // What was before a person had it sent again is no longer true.
  if (attempts === 0 && (state === 'waiting' || state === 'sending')) return {}
  if (state === 'delivered' && delivery) {
    const { status, facts } = delivery
    const { logIds, locations, traceId } = facts
    return { delivery: { status, logIds, locations, traceId } }
  }
  const failure = unknown ?? error
  if (failure === undefined) return {}
  const { answer: _answer, ...cause } = failure.cause
  const isRetried = state === 'waiting' || state === 'sending'
  const message = isRetried ? withoutAdvice(failure.message) : failure.message
  return { error: { code: failure.code, message, cause } }
}

/** What waits is sent again by itself. */
const withoutAdvice = (text: string): string =>
  ADVICE_TO_SEND_AGAIN.reduce((left, advice) => left.replace(` ${advice}`, ''), text)

/** Whether Redox has it: what a person has to know who has it sent again. */
async function arrivalOf(
  contents: Contents,
  message: StoredMessage,
): Promise<'yes' | 'maybe' | 'no' | 'never-sent'> {
  const { delivery, error } = await contents.notesOf(message)
  if (message.state === 'delivered' || delivery !== undefined) return 'yes'
  if (await mayHaveArrived(contents, message)) return 'maybe'
  return message.attempts === 0 && error === undefined ? 'never-sent' : 'no'
}

/** Why a message is not sent now. */
async function whatWaits(
  outbox: Outbox,
  { id, state, lane, ordered, dueAt }: StoredMessage,
): Promise<object> {
  if (state !== 'waiting') return {}
  const { store, courier } = outbox
  const known = (await store.lanes()).find((one) => one.lane === lane)
  const next = Math.max(dueAt, courier.restsUntil(lane))
  const why = {
    ...(known?.paused === true && { paused: true }),
    // Where nothing gets through, a message that is due waits for its destination.
    ...(next > 0 && { dueAt: shownTime(outbox, next) }),
  }
  if (!ordered) return why
  const before = await store.ids({ lane }, ['waiting', 'sending', 'parked'])
  for (const other of before.slice(0, before.indexOf(id)).slice(0, MOST_LOOKED_AT)) {
    const [found] = await store.find({ id: other, limit: 1 })
    if (found?.ordered) return { ...why, waitsBehind: other }
  }
  return why
}

/** Of those before a message; others are without order, of which there are some only after a change of the setting. */
const MOST_LOOKED_AT = 20
/** Lines of the audit among which a decision is looked for: the store does not find them by their subject. */
const MOST_LINES_BACK = 5000

/** Who decided about a message last, and why, if that is what ended it. */
async function decisionAbout({ store }: Outbox, { id, reason }: StoredMessage): Promise<object> {
  if (reason !== 'discard' && reason !== 'mark-delivered') return {}
  let end = await lengthOfAudit(store)
  const first = Math.max(0, end - MOST_LINES_BACK)
  while (end > first) {
    const skip = Math.max(first, end - MAX_LINES)
    const lines = await store.audit({ skip, limit: end - skip })
    const line = lines.findLast(({ subject, action }) => subject === id && action === reason)
    if (line) return { decision: { who: line.who, reason: line.reason } }
    end = skip
  }
  return {}
}

// A document that is a text may be longer than any browser shows.
const LONGEST_TEXT = 50_000

/** All that was accepted, apart from the bytes of files, and Redox's own answer. */
async function contentOf({ contents }: Outbox, message: StoredMessage): Promise<object> {
  const { message: prepared, files } = await contents.contentOf(message)
  const { delivery, error, unknown } = await contents.notesOf(message)
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
