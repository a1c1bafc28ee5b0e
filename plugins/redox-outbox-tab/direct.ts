/** Messages of direct delivery in the admin API. Contain no patient data. */
import type { DirectMessage, DirectMessages, UnknownMessage } from '../../src/redox/direct-messages'
import type { DirectMessagesResponse, DirectMessageSummary, DirectSummary } from '../../src/shared/direct-api'
import { destinationNameIn, iso } from './connections'
import type { NameOf } from './content-facts'

const MAX_MESSAGES = 200

/** Summaries of the connections that have messages of direct delivery in progress or with an unknown outcome. */
export const directSummaries = (connections: ReadonlyMap<string, DirectMessages>): DirectSummary[] =>
  [...connections]
    .map(([id, messages]) => ({ id, name: messages.name, counts: messages.counts() }))
    .filter(({ counts }) => counts.waiting + counts.sending + counts.unknown > 0)

export function directMessages(known: DirectMessages | undefined, nameOf: NameOf): DirectMessagesResponse {
  if (!known) return { total: 0, messages: [] }
  const { messages, total } = known.list(MAX_MESSAGES)
  return { total, messages: messages.map((message) => directMessageSummary(message, nameOf)) }
}

function directMessageSummary(message: DirectMessage | UnknownMessage, nameOf: NameOf): DirectMessageSummary {
  const { id, state, environment, operation, destination, attempts, reason, acceptedAt, owner } = message
  return {
    id: String(id),
    state,
    environment,
    ...(operation !== undefined && { operation }),
    ...(destination !== undefined && { destination }),
    ...destinationNameIn(nameOf, message),
    attempts,
    ...(reason !== undefined && { reason }),
    acceptedAt: iso(acceptedAt),
    ...(message.state === 'unknown' ? endOf(message) : dueTimeOf(message)),
    owner,
  }
}

const endOf = ({ endedAt, traceId }: UnknownMessage): Partial<DirectMessageSummary> => ({
  endedAt: iso(endedAt),
  ...(traceId !== undefined && { traceId }),
})

const dueTimeOf = ({ dueAt, endWait }: DirectMessage): Partial<DirectMessageSummary> => ({
  ...(dueAt !== undefined && { dueAt: iso(dueAt) }),
  ...(endWait && { canTryNow: true }),
})
