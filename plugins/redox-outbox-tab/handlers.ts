/**
 * Handlers of the outbox's admin routes. Patient data is only in the responses with the content of a message and with
 * its document and order IDs, and in no other response.
 */
import { durableConnections } from '../../nodes/lib/connection/durable-connection'
import { discardStranded, moveStranded, strandedStores } from '../../nodes/lib/connection/stranded-stores'
import { isKnownDestination, type Outbox } from '../../nodes/lib/queue/outbox'
import { toWallTime } from '../../src/queue/store-clock'
import { criteriaOf, decideAll, decideOne, matchingIds } from '../../src/queue/decisions'
import { directConnections } from '../../src/redox/direct-messages'
import type { StoredMessage } from '../../src/queue/types'
import type { DirectMessagesResponse } from '../../src/shared/direct-api'
import type {
  AuditResponse,
  BeginNewResponse,
  ContentResponse,
  CountResponse,
  DecisionsResponse,
  IdentifiersResponse,
  LogCandidate,
  LookUpResponse,
  MessageDetails,
  MessagesResponse,
  MessageSummary,
  OverviewResponse,
  StrandedResponse,
  TryNowResponse,
} from '../../src/shared/outbox-api'
import { labelsOf, namesOf, operationOf, type NameOf } from './content-facts'
import {
  connectionSummary,
  destinationNameIn,
  durableConnection,
  iso,
  outboxOf,
  strandedSummary,
  wallTime,
} from './connections'
import { directMessages, directSummaries } from './direct'
import { fileResponse, type FileResponse } from './files'
import { lookUp } from './look-up'
import { contentOf, identifiersIn, messageDetails, messageOf, messageSummary } from './messages'
import { given } from '../../nodes/lib/queue/request-schemas'
import { parse, type Parsed } from './parse-request'
import { AdminRefusal } from './refusal'
import { stoppedMessages } from './waiting-reason'

/** Access of a user to the content of messages, apart from permissions. */
export interface ContentAccess {
  /** true for users who may not see the content of messages, see `contentReadersOnly` */
  isVisitor: boolean
  /** true if all users who may read the outbox, except visitors, may see document and order IDs */
  identifiersForReaders: boolean
}

export interface OutboxRequest extends ContentAccess {
  /** ids from the URL path: id of the connection, and id of the message or of the stranded store */
  connection: string
  id: string
  /** number of the file from the URL path, counted from 0 */
  index: string | undefined
  query: unknown
  /** parsed JSON body; undefined if the body is not JSON */
  body: unknown
  /** name of the user who sent the request */
  who: string
  /** signal that aborts when the client has closed the HTTP connection */
  signal: AbortSignal
}

/**
 * Handlers by name. The HTTP response is 200 with the value that the handler returns, as JSON or as the bytes of a file,
 * or 204 if the handler returns nothing.
 */
export const HANDLERS = {
  overview: async (): Promise<OverviewResponse> => ({
    connections: await Promise.all(
      [...durableConnections].map(([id, delivery]) => connectionSummary(id, delivery)),
    ),
    stranded: [...strandedStores].map(([store, known]) => strandedSummary(store, known)),
    direct: directSummaries(directConnections),
  }),

  /**
   * Empty for a connection without direct messages, even if the connection does not exist: its last message may just
   * have ended.
   */
  direct: async ({ connection }: OutboxRequest): Promise<DirectMessagesResponse> =>
    directMessages(directConnections.get(connection), labelsOf(connection)),

  'decide-direct': async ({ connection, id, body }: OutboxRequest): Promise<void> => {
    parse('decide-direct', body)
    if (!directConnections.get(connection)?.tryNow(Number(id)))
      throw new AdminRefusal(
        409,
        'not_waiting',
        'The message does not wait for its next attempt. Ask for the messages again: its state has changed.',
      )
  },

  messages: async ({ connection, query }: OutboxRequest): Promise<MessagesResponse> => {
    const { limit, ...wanted } = parse('messages', query)
    const outbox = outboxOf(connection)
    // One message more than requested is read, to find out if there is another page.
    const found = await find(outbox, wanted, limit + 1)
    const messages = found.slice(0, limit)
    const next = found.length > limit ? messages.at(-1)?.id : undefined
    const [nameOf, stopped] = await Promise.all([
      namesOf(connection, outbox),
      stoppedMessages(outbox, messages),
    ])
    const summaries = messages.map(async (message) => ({
      ...(await listed(message, outbox, nameOf)),
      ...stopped.get(message.id),
    }))
    return {
      messages: await Promise.all(summaries),
      ...(next !== undefined && { next }),
    }
  },

  message: async ({ connection, id, ...access }: OutboxRequest): Promise<MessageDetails> => {
    const outbox = outboxOf(connection)
    const message = await messageOf(outbox, id)
    const details = await messageDetails(outbox, message)
    const named = destinationNameIn(await namesOf(connection, outbox), message)
    const { platform } = durableConnection(connection)
    const isUnknown = details.state === 'parked' && details.arrival === 'maybe'
    return {
      ...details,
      ...named,
      ...contentAccess(access),
      ...(isUnknown && { canLookUp: platform?.settings !== undefined }),
    }
  },

  /** Returns logs of Redox that may be those of the message, after user and reason were written to the audit log. */
  'look-up': async ({ connection, id, body, who, signal }: OutboxRequest): Promise<LookUpResponse> => {
    const { reason } = parse('look-up', body)
    const outbox = outboxOf(connection)
    const message = await messageOf(outbox, id)
    const { platform } = durableConnection(connection)
    const found = await lookUp({ outbox, message, platform, signal, by: { who, reason } })
    const nameOf = await namesOf(connection, outbox)
    return { ...found, candidates: found.candidates.map((one) => ({ ...one, ...nameOfLog(nameOf, one) })) }
  },

  identifiers: async ({ connection, id }: OutboxRequest): Promise<IdentifiersResponse> => {
    const outbox = outboxOf(connection)
    return identifiersIn(outbox, await messageOf(outbox, id))
  },

  /** Returns the content of a message, after user and reason were written to the audit log. */
  content: async ({ connection, id, query, who }: OutboxRequest): Promise<ContentResponse> => {
    const { reason } = parse('content', query)
    const outbox = outboxOf(connection)
    const message = await messageOf(outbox, id)
    await outbox.store.recordAccess(message.id, 'look', { who, reason, now: outbox.store.clock.now() })
    return contentOf(outbox, message)
  },

  /** Returns a file of a message, after user and reason were written to the audit log. */
  file: async ({ connection, id, index, query, who }: OutboxRequest): Promise<FileResponse> => {
    const { reason } = parse('content', query)
    const outbox = outboxOf(connection)
    const message = await messageOf(outbox, id)
    const response = await fileResponse(outbox, message, parse('index', index))
    await outbox.store.recordAccess(message.id, 'look', { who, reason, now: outbox.store.clock.now() })
    return response
  },

  decide: async ({ connection, id, body, who }: OutboxRequest): Promise<void> => {
    const decision = { ...given(parse('decide', body)), who }
    const outbox = outboxOf(connection)
    const message = await messageOf(outbox, id)
    if (!(await decideOne(outbox.sealedStore, message, decision, outbox.sender)))
      throw unchanged(wallTime(outbox, message.deadline))
    outbox.sender.retryNow()
  },

  /** Returns the number of messages that a decision would apply to, without messages that are accepted later. */
  count: async ({ connection, query }: OutboxRequest): Promise<CountResponse> => {
    const { action, till: until = Infinity, ...filter } = parse('count', query)
    const { sealedStore } = outboxOf(connection)
    const till = Math.min(until, toWallTime(sealedStore.store.clock, sealedStore.store.clock.now()))
    const ids = await matchingIds(sealedStore, given({ ...filter, till }), action)
    return { count: ids.length, till: iso(till) }
  },

  decisions: async ({ connection, body, who, signal }: OutboxRequest): Promise<DecisionsResponse> => {
    const { count, after, limit = Infinity, filter: wanted, ...decision } = parse('decisions', body)
    const { sealedStore, sender } = outboxOf(connection)
    const filter = given(wanted)
    const ids = await matchingIds(sealedStore, filter, decision.action, after)
    if (ids.length > count) throw more(ids.length)
    const now = ids.slice(0, limit)
    const how = { signal, accounts: sender }
    const about = { ...given(decision), who, filter }
    const result = await decideAll(sealedStore, now, about, how).finally(() => sender.retryNow())
    const next = now.length < ids.length && result.stoppedBy === undefined ? now.at(-1) : undefined
    return { ...result, ...(next !== undefined && { next }) }
  },

  destinations: async ({ connection, body, who }: OutboxRequest): Promise<TryNowResponse | void> => {
    const { destination, action, reason } = parse('destinations', body)
    const { store, sender } = outboxOf(connection)
    if (destination !== undefined && !(await isKnownDestination(store, destination)))
      throw new AdminRefusal(
        404,
        'not_found',
        'No message is waiting for this destination, and it is not paused.',
      )
    if (action === 'try-now') return { due: await sender.tryNow(destination, { who, reason }) }
    await store.pause(destination, action === 'pause', { who, reason, now: store.clock.now() })
    sender.retryNow()
  },

  store: async ({ connection, body, who }: OutboxRequest): Promise<BeginNewResponse> => {
    const { reason } = parse('store', body)
    const setAside = await durableConnection(connection).replaceStore({ who, reason })
    return { ...(setAside !== undefined && { setAside }) }
  },

  stranded: async ({ id, body, who }: OutboxRequest): Promise<StrandedResponse> => {
    const asked = parse('stranded', body)
    const store = strandedStores.get(id)
    if (!store) throw new AdminRefusal(404, 'not_found', 'No store without a connection has this name.')
    const by = { who, reason: asked.reason }
    if (asked.action === 'discard') return { discarded: await discardStranded(store, by) }
    const { storeKey } = durableConnection(asked.to)
    const outbox = outboxOf(asked.to)
    // An open outbox always has a key.
    // eslint-disable-next-line @typescript-eslint/no-non-null-assertion
    const { moved, left } = await moveStranded(store, { outbox, storeKey: storeKey! }, asked.key, by)
    return { moved, left }
  },

  audit: async ({ connection, query }: OutboxRequest): Promise<AuditResponse> => {
    const { skip, limit } = parse('audit', query)
    const { store } = outboxOf(connection)
    const [total, lines] = await Promise.all([store.auditLength(), store.audit({ skip, limit })])
    return { total, lines: lines.map(({ at, ...line }) => ({ at: iso(at), ...line })) }
  },
}

function contentAccess({ isVisitor, identifiersForReaders }: ContentAccess): Partial<MessageDetails> {
  if (isVisitor) return { contentIsClosed: true }
  return identifiersForReaders ? { identifiersForReaders: true } : {}
}

async function find(
  { sealedStore }: Outbox,
  { order, after, ...filter }: Omit<Parsed<'messages'>, 'limit'>,
  limit: number,
): Promise<StoredMessage[]> {
  const { state } = filter
  const criteria = await criteriaOf(sealedStore, given(filter))
  return sealedStore.store.find(given({ ...criteria, state, after, newestFirst: order === 'newest', limit }))
}

/** Returns the data of a message in the list. */
async function listed(message: StoredMessage, outbox: Outbox, nameOf: NameOf): Promise<MessageSummary> {
  const operation = await operationOf(outbox, message)
  return {
    ...messageSummary(outbox, message),
    ...destinationNameIn(nameOf, message),
    ...(operation !== undefined && { operation }),
  }
}

/** Returns the name of a log's destination, under the API in whose settings or answers its ID has one. */
const nameOfLog = (nameOf: NameOf, { destinationId }: LogCandidate): { destinationName?: string } =>
  destinationId === undefined ? {} : destinationNameIn(nameOf, { destination: `log ${destinationId}` })

const more = (found: number): AdminRefusal =>
  new AdminRefusal(
    409,
    'more_match',
    `${found} messages match now, more than the count in the request. Nothing was decided. Request the count again, and ` +
      'put the "till" of its answer into the filter.',
  )

const unchanged = (deadline: string): AdminRefusal =>
  new AdminRefusal(
    409,
    'unchanged',
    `Unchanged: the message is already retried until ${deadline}. Use more hours.`,
    { deadline },
  )
