/** Data about messages for the admin API. Patient data is only in the content of a message and in its identifiers. */
import type { Outbox } from '../../nodes/lib/queue/outbox'
import { RedoxError } from '../../src/errors'
import { mayHaveArrived } from '../../src/queue/decisions'
import type { AttemptRecord, RecordedVerdict, SealedStore } from '../../src/queue/jobs'
import type { StoredMessage } from '../../src/queue/types'
import { messageOfParked, messageOfRetried } from '../../src/redox/attempt-errors'
import { identifiersOf } from '../../src/redox/identifiers'
import { isRandomLocation } from '../../src/redox/public-facts'
import type {
  Arrival,
  ContentResponse,
  IdentifiersResponse,
  MessageDetails,
  MessageOutcome,
  MessageSummary,
  VerdictSummary,
} from '../../src/shared/outbox-api'
import { decisionAbout } from './audit'
import { wallTime } from './connections'
import { fileSummaries } from './files'
import { codeAndMessage, AdminRefusal } from './refusal'
import { waitingReason } from './waiting-reason'

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
    // Many flows take `_msgid` as document ID, which needs a permission of its own.
    const isDocumentId = Object.values<unknown>(identifiersOf(prepared.body)).includes(msg._msgid)
    return {
      ...(!isDocumentId && { msgid: msg._msgid }),
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
      delivery: { status, logIds, locations: locations.filter(isRandomLocation), traceId },
      ...(verdict && { verdict: verdictSummary(verdict) }),
    }
  }
  const found = state === 'delivered' && foundLogId !== undefined ? { foundLogId } : {}
  if (failure === undefined) return found
  const { answer: _answer, identifiers: _identifiers, ...cause } = failure.cause
  const message = isRetried ? messageOfRetried(failure) : messageOfParked(failure)
  return { ...found, error: { code: failure.code, message, cause } }
}

const verdictSummary = ({ at, logs, reasons }: RecordedVerdict): VerdictSummary => ({
  ...{ at: new Date(at).toISOString(), logs },
  ...(reasons && { hasReasons: true }),
})

/** Returns how certain it is that Redox has received the message, for a person who considers sending it again. */
export async function arrivalOf(sealedStore: SealedStore, message: StoredMessage): Promise<Arrival> {
  const { delivery, error } = await sealedStore.recordOf(message)
  if (message.state === 'delivered' || delivery !== undefined) return 'yes'
  if (error?.code === 'REDOX_PARTIAL') return 'in-part'
  if (await mayHaveArrived(sealedStore, message)) return 'maybe'
  return message.attempts === 0 && error === undefined ? 'never-sent' : 'no'
}

/**
 * Returns the document and order IDs of a message, which are identifiers of a patient's documents, and the locations in
 * Redox's answer that may contain such an identifier.
 */
export async function identifiersIn(
  { sealedStore }: Outbox,
  message: StoredMessage,
): Promise<IdentifiersResponse> {
  const { message: prepared } = await sealedStore.contentOf(message)
  const { delivery } = await sealedStore.recordOf(message)
  const locations = (delivery?.facts.locations ?? []).filter((location) => !isRandomLocation(location))
  const located = locations.map((location, index) => [`location[${index}]`, location] as const)
  return { identifiers: { ...identifiersOf(prepared.body), ...Object.fromEntries(located) } }
}

/** Maximum length of a string in the content: the text of a document may be too long for a browser. */
const LONGEST_TEXT = 50_000

/** Returns the accepted message without the bytes of its files, and Redox's response. Contains patient data. */
export async function contentOf({ sealedStore }: Outbox, message: StoredMessage): Promise<ContentResponse> {
  const { message: prepared, files } = await sealedStore.contentOf(message)
  const record = await sealedStore.recordOf(message)
  const { delivery, error, unknown } = record
  const { reasons } = record.verdict ?? {}
  const answer = delivery?.body ?? (unknown ?? error)?.cause.answer
  const names = files.map(({ name }) => name)
  return shortened({
    // First, because the body may be long.
    ...(reasons && lastAttempt(record, message).verdict && { reasons }),
    ...{ body: prepared.body, files: names },
    ...(answer !== undefined && { answer }),
  })
}

const shortened = (content: ContentResponse): ContentResponse =>
  JSON.parse(
    JSON.stringify(content, (_key, value: unknown) =>
      typeof value === 'string' && value.length > LONGEST_TEXT
        ? `${value.slice(0, LONGEST_TEXT)}… (${value.length} characters)`
        : value,
    ),
  ) as ContentResponse
