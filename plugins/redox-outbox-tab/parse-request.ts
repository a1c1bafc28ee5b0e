/** Schemas for the queries and bodies of the outbox's admin routes. Error texts never repeat data of the request. */
import { z } from 'zod'
import { destination, FILTER, optionalReason, reason } from '../../nodes/lib/queue/request-schemas'
import { MOST_HOURS } from '../../src/queue/decisions'
import { ACTIONS, STATES } from '../../src/queue/types'
import { AdminRefusal } from './refusal'

const MAX_MESSAGES = 200
/** Maximum number of audit log lines in one response. */
export const MAX_LINES = 500

const count = (atLeast: number, atMost: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(Number)
    .refine((number) => number >= atLeast && number <= atMost)

/** Id of a log of Redox. */
const logId = z.string().regex(/^[\w.-]{1,100}$/)

const DECISION = {
  action: z.enum(ACTIONS),
  reason,
  /** number of hours for the action `extend`; not allowed with other actions */
  hours: z.number().positive().max(MOST_HOURS).optional(),
  /** true if the message may be sent through another account than the one for which it was accepted */
  otherAccount: z.boolean().default(false),
}
const hasItsHours = ({ action, hours }: { action: string; hours?: number | undefined }): boolean =>
  (action === 'extend') === (hours !== undefined)

const SCHEMAS = {
  messages: z.strictObject({
    ...FILTER,
    after: z.string().max(100).optional(),
    order: z.enum(['oldest', 'newest']).optional(),
    limit: count(1, MAX_MESSAGES).default(50),
  }),
  content: z.strictObject({ reason }),
  index: count(0, 9999),
  decide: z
    .strictObject({ ...DECISION, logId: logId.optional() })
    .refine(hasItsHours)
    .refine((decision) => decision.logId === undefined || decision.action === 'mark-delivered'),
  'look-up': z.strictObject({ reason }),
  'decide-direct': z.strictObject({ action: z.literal('try-now') }),
  count: z.strictObject({ ...FILTER, action: z.enum(ACTIONS).optional() }),
  decisions: z
    .strictObject({
      ...DECISION,
      filter: z.strictObject(FILTER),
      count: z.number().int().min(0),
      after: z.string().max(100).optional(),
      limit: z.number().int().min(1).optional(),
    })
    .refine(hasItsHours),
  destinations: z.discriminatedUnion('action', [
    z.strictObject({ action: z.literal('pause'), destination, reason }),
    z.strictObject({ action: z.literal('resume'), destination, reason }),
    z.strictObject({
      action: z.literal('try-now'),
      destination: destination.optional(),
      reason: optionalReason,
    }),
  ]),
  stranded: z.discriminatedUnion('action', [
    z.strictObject({
      action: z.literal('give'),
      /** id of the redox-config node that gets the messages */
      to: z.string().max(100),
      /** store key of the stranded store, if it differs from the key of that redox-config node */
      key: z.string().trim().min(1).max(1000).optional(),
      reason,
    }),
    z.strictObject({ action: z.literal('discard'), reason }),
  ]),
  store: z.strictObject({ action: z.literal('begin-new'), reason }),
  audit: z.strictObject({ skip: count(0, 1e15).default(0), limit: count(1, MAX_LINES).default(100) }),
}
type Schemas = typeof SCHEMAS
export type Parsed<Name extends keyof Schemas> = z.infer<Schemas[Name]>

const FILTERS = `state (${STATES.join(', ')}), destination, search, since and till (ISO 8601, or milliseconds), code`
const DECISION_FIELDS =
  '"action": "resend", "mark-delivered", "discard" or "extend", "reason": up to 200 characters, on one line, ' +
  `"hours": with extend only, up to ${MOST_HOURS}`
const OTHER_ACCOUNT =
  '. With "otherAccount": true, messages are sent through a different account from the one that they were accepted for.'

/** Usage texts that are returned for malformed requests, by route. */
const USAGE: Record<keyof Schemas, string> = {
  messages: `Use the parameters ${FILTERS}, after, order (oldest or newest first), and limit (at most ${MAX_MESSAGES}).`,
  content: 'Provide a reason: up to 200 characters, on one line.',
  index: 'Name a file by its number in the list of files, counted from 0.',
  decide: `Send application/json: { ${DECISION_FIELDS}, "logId": with mark-delivered only }${OTHER_ACCOUNT}`,
  'look-up': 'Send application/json: { "reason": up to 200 characters, on one line }.',
  'decide-direct': 'Send application/json: { "action": "try-now" }.',
  count: `Use the parameters ${FILTERS}, and action.`,
  decisions:
    `Send application/json: { "filter": { ${FILTERS} }, ${DECISION_FIELDS}, "count": how many messages matched, ` +
    `"limit": the most to decide on at once, "after": the "next" of the previous answer }${OTHER_ACCOUNT}`,
  destinations:
    'Send application/json: { "destination", "action": "pause", "resume" or "try-now", "reason": up to 200 characters, on ' +
    'one line }. With "try-now", no destination means all, and the reason is optional.',
  store:
    'Send application/json: { "action": "begin-new", "reason": up to 200 characters, on one line }. The store that cannot ' +
    'be read is renamed. Nothing is removed.',
  stranded:
    'Send application/json: { "action": "give", "to": id of a redox-config node, "reason" } with the "key" of the store if ' +
    'it differs, or { "action": "discard", "reason" }. A reason has up to 200 characters, on one line.',
  audit: `Use the parameters skip and limit (at most ${MAX_LINES}).`,
}

/**
 * Parses the query or the body of a request.
 * @throws Refusal 400 with the usage text of the request
 */
export function parse<Name extends keyof Schemas>(name: Name, input: unknown): Parsed<Name> {
  const { success, data } = SCHEMAS[name].safeParse(input)
  if (success) return data as Parsed<Name>
  throw new AdminRefusal(400, 'bad_request', USAGE[name])
}
