/** Commands of flows to the outbox of a connection, for the redox-outbox node. */
import { z } from 'zod'
import { RedoxError } from '../../../src/errors'
import { decideAll, matchingIds, type DecisionResult, type SkipCode } from '../../../src/queue/decisions'
import { durableConnections } from '../connection/durable-connection'
import { isKnownDestination, type Outbox } from '../queue/outbox'
import { destination, FILTER, given, optionalReason, reason } from '../queue/request-schemas'

/** Maximum number of messages that one command decides about. */
export const MOST_MESSAGES = 1000

/** Permissions that the boxes of the node give. */
export interface CommandPermissions {
  discard: boolean
  markDelivered: boolean
  decideUnknown: boolean
}

/** Result of a command, which becomes `msg.payload`. */
export type CommandResult =
  | { action: 'pause' | 'resume'; destination: string }
  /** `due`: number of messages that would have been due later */
  | { action: 'try-now'; destination?: string; due: number }
  | ({
      action: 'resend' | 'discard' | 'mark-delivered'
      /** messages that were not changed, with the reason */
      refused: { id: string; code: SkipCode }[]
      /** value of `after` for the next command, if more messages match */
      next?: string
    } & Pick<DecisionResult, 'decided' | 'stoppedBy'>)

interface CommandContext {
  /** id of the redox-config node */
  connection: string
  /** name in the audit log */
  who: string
  permissions: CommandPermissions
  /** signal that ends a command about many messages after the current one */
  signal: AbortSignal
}

const hasField = (filter: object): boolean => Object.keys(given(filter)).length > 0
// Only a parked message is certainly not delivered and sent by no process.
const PARKED = z.strictObject({ ...FILTER, state: z.literal('parked').optional() }).refine(hasField)
const UNSENT = z.strictObject({ ...FILTER, state: z.enum(['waiting', 'parked']).optional() }).refine(hasField)
const many = { reason, after: z.string().max(100).optional() }

const COMMAND = z.discriminatedUnion('action', [
  z.strictObject({ action: z.literal('pause'), destination, reason }),
  z.strictObject({ action: z.literal('resume'), destination, reason }),
  z.strictObject({
    action: z.literal('try-now'),
    destination: destination.optional(),
    reason: optionalReason,
  }),
  z.strictObject({ action: z.literal('resend'), filter: PARKED, ...many }),
  z.strictObject({ action: z.literal('discard'), filter: UNSENT, ...many }),
  z.strictObject({ action: z.literal('mark-delivered'), filter: UNSENT, ...many }),
])
type OutboxCommand = z.infer<typeof COMMAND>
type CommandForMany = Extract<OutboxCommand, { filter: object }>

const USAGE =
  'Use { "action": "pause" or "resume", "destination", "reason" }, { "action": "try-now" and, ' +
  'unless all are meant, "destination" }, or { "action": "resend", "discard" or "mark-delivered", "filter", "reason", and "after": the ' +
  '"next" of the previous result }. A filter has at least one of state (parked; not for resend: waiting), destination, ' +
  'search, code, since and till (ISO 8601, or milliseconds). A reason has up to 200 characters, on one line.'

/**
 * Runs a command.
 * @param input object of the flow, see docs/outbox.md
 * @throws RedoxError REDOX_BAD_INPUT for a malformed command and for one that the node does not allow,
 *   REDOX_CONFIGURATION for a connection without durable delivery, REDOX_STORE_…
 */
export async function runCommand(input: unknown, context: CommandContext): Promise<CommandResult> {
  const { success, data } = COMMAND.safeParse(input)
  if (!success) throw refused(`Command is not valid. ${USAGE}`)
  assertAllowed(data, context.permissions)
  const outbox = outboxOf(context.connection)
  const { who } = context
  switch (data.action) {
    case 'pause':
    case 'resume':
      return pause(outbox, data, who)
    case 'try-now': {
      const due = await outbox.sender.tryNow(data.destination, { who, reason: data.reason })
      return { ...given({ action: data.action, destination: data.destination }), due }
    }
    default:
      return decide(outbox, data, context)
  }
}

function assertAllowed(
  command: OutboxCommand,
  { discard, markDelivered, decideUnknown }: CommandPermissions,
): void {
  const { action } = command
  if (action === 'discard' && !discard) throw notAllowed('Discard')
  if (action === 'mark-delivered' && !markDelivered) throw notAllowed('Mark as delivered')
  if ('filter' in command && command.filter.code === 'REDOX_OUTCOME_UNKNOWN' && !decideUnknown)
    throw notAllowed('Unknown outcomes')
}

async function pause(
  { store, sender }: Outbox,
  { action, destination: name, reason: why }: Extract<OutboxCommand, { action: 'pause' | 'resume' }>,
  who: string,
): Promise<CommandResult> {
  if (!(await isKnownDestination(store, name)))
    throw refused('Destination is unknown: no message is waiting for it, and it is not paused.')
  await store.pause(name, action === 'pause', { who, reason: why, now: store.clock.now() })
  sender.retryNow(name)
  return { action, destination: name }
}

async function decide(
  { sealedStore, sender }: Outbox,
  { action, filter: wanted, reason: why, after }: CommandForMany,
  { who, permissions, signal }: CommandContext,
): Promise<CommandResult> {
  const filter = given(wanted)
  const ids = await matchingIds(sealedStore, filter, action, after)
  const now = ids.slice(0, MOST_MESSAGES)
  const skipped: { id: string; code: SkipCode }[] = []
  const { decided, stoppedBy } = await decideAll(
    sealedStore,
    now,
    { action, reason: why, who, filter },
    {
      signal,
      accounts: sender,
      onlyCertain: !permissions.decideUnknown,
      onSkipped: (id, code) => skipped.push({ id, code }),
    },
  ).finally(() => sender.retryNow())
  // After an early end, the same command continues: messages that were decided on no longer match.
  const isComplete = stoppedBy === undefined && !signal.aborted
  const next = isComplete && now.length < ids.length ? now.at(-1) : undefined
  return { ...given({ action, next, stoppedBy }), decided, refused: skipped }
}

/** Returns the open outbox of a connection. */
function outboxOf(connection: string): Outbox {
  const known = durableConnections.get(connection)
  if (!known)
    throw new RedoxError(
      'REDOX_CONFIGURATION',
      'Connection has no outbox: it delivers directly, or it is missing or disabled. Nothing was changed.',
    )
  if (known.outbox) return known.outbox
  throw new RedoxError(
    known.code ?? 'REDOX_STORE_UNAVAILABLE',
    'Store is not open. See the status of the redox-config node, or the log. Nothing was changed.',
  )
}

const notAllowed = (box: string): RedoxError =>
  refused(`Action is not allowed. To allow it, tick the box "${box}" of the redox-outbox node.`)

const refused = (message: string): RedoxError =>
  new RedoxError('REDOX_BAD_INPUT', `${message} Nothing was changed.`)
