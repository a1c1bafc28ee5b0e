/** Data about messages for the admin API. Patient data is only in the content of a message and in its identifiers. */
import type { Outbox } from '../../nodes/lib/queue/outbox'
import { RedoxError } from '../../src/errors'
import { mayHaveArrived } from '../../src/queue/decisions'
import type { SealedStore, AttemptRecord } from '../../src/queue/jobs'
import type { StoredMessage } from '../../src/queue/types'
import { messageOfParked, messageOfRetried } from '../../src/redox/attempt-errors'
import { identifiersOf } from '../../src/redox/identifiers'
import type {
  Arrival,
  ContentResponse,
  IdentifiersResponse,
  MessageDetails,
  MessageOutcome,
  MessageSummary,
  WaitingReason,
} from '../../src/shared/outbox-api'
import { decisionAbout } from './audit'
import { wallTime } from './connections'
import { fileSummaries } from './files'
import { codeAndMessage, AdminRefusal } from './refusal'

/**
 * Returns the message with an id.
 * @throws Refusal 404 if there is none
 */
export async function messageOf({ store }: Outbox, id: string): Promise<StoredMessage> {
  const [found] = await store.find({ id, limit: 1 })
  if (found) return found
  throw new AdminRefusal(404, 'not_found', 'There is no message with this ID. It may have been removed.')
}

/** Returns the data of a message that can be read without the store key. */
export function messageSummary(
  outbox: Outbox,
  { id, state, destination, owner, attempts, ordered, ...message }: StoredMessage,
): MessageSummary {
  const { acceptedAt, deadline, dueAt, endedAt, reason } = message
  return {
    ...{ id, state, destination, attempts, ordered },
    acceptedAt: wallTime(outbox, acceptedAt),
    ...(state === 'waiting' && {
      deadline: wallTime(outbox, deadline),
      ...(dueAt > 0 && { dueAt: wallTime(outbox, dueAt) }),
    }),
    ...(endedAt !== undefined && { endedAt: wallTime(outbox, endedAt) }),
    ...(reason !== undefined && { reason }),
    owner,
  }
}

export async function messageDetails(outbox: Outbox, message: StoredMessage): Promise<MessageDetails> {
  const [outcome, waiting, decision] = await Promise.all([
    outcomeOf(outbox, message),
    waitingReason(outbox, message),
    decisionAbout(outbox.store, message),
  ])
  return { ...messageSummary(outbox, message), ...outcome, ...waiting, ...decision }
}

async function outcomeOf(
  outbox: Outbox,
  message: StoredMessage,
): Promise<MessageOutcome | Pick<MessageDetails, 'unreadable'>> {
  const { sender, sealedStore } = outbox
  try {
    const content = await sealedStore.contentOf(message)
    const { message: prepared, environment, msg } = content
    return {
      msgid: msg._msgid,
      operation: prepared.operation,
      environment,
      files: fileSummaries(outbox, content),
      otherAccount: await sender.isForOtherAccount(message),
      arrival: await arrivalOf(sealedStore, message),
      ...lastAttempt(await sealedStore.recordOf(message), message),
    }
  } catch (error) {
    if (!(error instanceof RedoxError)) throw error
    return { unreadable: codeAndMessage(error) }
  }
}

/** Returns Redox's response to a message that was delivered, or the error of the last attempt. */
function lastAttempt(
  { delivery, verdict, error, unknown, foundLogId }: AttemptRecord,
  { state, attempts }: StoredMessage,
): Pick<MessageOutcome, 'delivery' | 'verdict' | 'foundLogId' | 'error'> {
  const isRetried = state === 'waiting' || state === 'sending'
  // After a person has sent the message again, the error of the earlier attempts is outdated.
  if (attempts === 0 && isRetried) return {}
  const failure = unknown ?? error
  // A person may have discarded a message that Redox has, because its destination refused it.
  const isDelivered = state === 'delivered' || (state === 'discarded' && failure === undefined)
  if (isDelivered && delivery) {
    const { status, facts } = delivery
    const { logIds, locations, traceId } = facts
    return {
      delivery: { status, logIds, locations, traceId },
      ...(verdict && { verdict: { at: new Date(verdict.at).toISOString(), logs: verdict.logs } }),
    }
  }
  const found = state === 'delivered' && foundLogId !== undefined ? { foundLogId } : {}
  if (failure === undefined) return found
  const { answer: _answer, identifiers: _identifiers, ...cause } = failure.cause
  const message = isRetried ? messageOfRetried(failure) : messageOfParked(failure)
  return { ...found, error: { code: failure.code, message, cause } }
}

/** Returns how certain it is that Redox has received the message, for a person who considers sending it again. */
export async function arrivalOf(sealedStore: SealedStore, message: StoredMessage): Promise<Arrival> {
  const { delivery, error } = await sealedStore.recordOf(message)
  if (message.state === 'delivered' || delivery !== undefined) return 'yes'
  if (error?.code === 'REDOX_PARTIAL') return 'in-part'
  if (await mayHaveArrived(sealedStore, message)) return 'maybe'
  return message.attempts === 0 && error === undefined ? 'never-sent' : 'no'
}

/**
 * Maximum number of earlier messages that are checked. Only ordered messages delay this message; unordered ones exist
 * only if the setting for the order was changed.
 */
const MOST_LOOKED_AT = 20

async function waitingReason(
  outbox: Outbox,
  { id, state, destination, ordered, orderKey, dueAt }: StoredMessage,
): Promise<WaitingReason> {
  if (state !== 'waiting') return {}
  const { store, sender } = outbox
  const known = (await store.destinations()).find((one) => one.destination === destination)
  const next = Math.max(dueAt, sender.backsOffUntil(destination))
  const reason: WaitingReason = {
    ...(known?.paused === true && { paused: true }),
    // After failed attempts, a message that is due also waits for the back-off of its destination.
    ...(next > 0 && { dueAt: wallTime(outbox, next) }),
  }
  if (!ordered) return reason
  const states = ['waiting', 'sending', 'parked'] as const
  if (orderKey !== undefined) {
    const [first] = await store.ids({ destination, orderKey }, states)
    if (first !== undefined && first !== id) {
      const [found] = await store.find({ id: first, limit: 1 })
      return { ...reason, waitsBehind: first, ...blockedReason(found) }
    }
  }
  const open = await store.ids({ destination }, states)
  for (const earlier of open.slice(0, open.indexOf(id)).slice(0, MOST_LOOKED_AT)) {
    const [found] = await store.find({ id: earlier, limit: 1 })
    const isFollowed = orderKey === undefined || found?.orderKey === undefined
    if (found?.ordered && isFollowed) return { ...reason, waitsBehind: earlier, ...blockedReason(found) }
  }
  return reason
}

const blockedReason = (earlier: StoredMessage | undefined): Pick<WaitingReason, 'blockedReason'> =>
  earlier?.state === 'parked' && earlier.reason !== undefined ? { blockedReason: earlier.reason } : {}

/** Returns the document and order IDs of a message. They are identifiers of a patient's documents. */
export async function identifiersIn(
  { sealedStore }: Outbox,
  message: StoredMessage,
): Promise<IdentifiersResponse> {
  const { message: prepared } = await sealedStore.contentOf(message)
  return { identifiers: identifiersOf(prepared.body) }
}

/** Maximum length of a string in the content: the text of a document may be too long for a browser. */
const LONGEST_TEXT = 50_000

/** Returns the accepted message without the bytes of its files, and Redox's response. Contains patient data. */
export async function contentOf({ sealedStore }: Outbox, message: StoredMessage): Promise<ContentResponse> {
  const { message: prepared, files } = await sealedStore.contentOf(message)
  const { delivery, error, unknown } = await sealedStore.recordOf(message)
  const answer = delivery?.body ?? (unknown ?? error)?.cause.answer
  const names = files.map(({ name }) => name)
  return shortened({ body: prepared.body, files: names, ...(answer !== undefined && { answer }) })
}

const shortened = (content: ContentResponse): ContentResponse =>
  JSON.parse(
    JSON.stringify(content, (_key, value: unknown) =>
      typeof value === 'string' && value.length > LONGEST_TEXT
        ? `${value.slice(0, LONGEST_TEXT)}… (${value.length} characters)`
        : value,
    ),
  ) as ContentResponse
