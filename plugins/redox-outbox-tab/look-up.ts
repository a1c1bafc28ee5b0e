/** Looks up a message whose outcome is unknown in Redox's logs. Decides nothing: a search is never without doubt. */
import type { PlatformAccess } from '../../nodes/lib/connection/platform-access'
import type { Outbox } from '../../nodes/lib/queue/outbox'
import { RedoxError } from '../../src/errors'
import { getAt, type JsonObject } from '../../src/message/json'
import { findCandidates, type FoundCandidates, type SoughtMessage } from '../../src/platform/candidates'
import type { PlatformClient } from '../../src/platform/client'
import type { AttemptRecord } from '../../src/queue/jobs'
import { toStoreTime, toWallTime } from '../../src/queue/store-clock'
import type { StoredMessage } from '../../src/queue/types'
import type { LogCandidate, LookUpResponse } from '../../src/shared/outbox-api'
import { orUnreadable } from './content-facts'
import { arrivalOf } from './messages'
import { AdminRefusal } from './refusal'

interface LookUp {
  outbox: Outbox
  message: StoredMessage
  /** undefined before the connection sends */
  platform: PlatformAccess | undefined
  /** aborts when the user no longer waits for the answer */
  signal: AbortSignal
  by: { who: string; reason: string }
}

const MAX_CANDIDATES = 20
/** Longest search, in milliseconds. One answer of the Platform API takes up to a minute. */
const LONGEST_MS = 90_000

/**
 * Returns logs of Redox that may be those of a parked message, after user and reason were written to the audit log.
 * @throws AdminRefusal if the message is not one with an unknown outcome, or if Redox's logs cannot be read
 */
export async function lookUp({ outbox, message, platform, signal, by }: LookUp): Promise<LookUpResponse> {
  const { store, sealedStore } = outbox
  if (message.state !== 'parked' || (await arrivalOf(sealedStore, message)) !== 'maybe') throw notUnknown()
  if (platform === undefined) throw notOpen()
  const sought = await soughtMessage(outbox, message)
  const client = await platform.client().catch(refuse)
  await store.recordAccess(message.id, 'look-up', { ...by, now: store.clock.now() })
  const { since, till, candidates, isComplete } = await searched(client, sought, signal)
  const owners = await ownersOfLogs(outbox, message, till)
  const { requestedAt } = sought
  const owned = candidates.map((one) => withOwner(one, owners))
  return {
    since: since.toISOString(),
    till: till.toISOString(),
    ...(requestedAt !== undefined && { requestedAt: new Date(requestedAt).toISOString() }),
    candidates: [...owned].sort(freeFirst).slice(0, MAX_CANDIDATES),
    found: candidates.length,
    ofOthers: owned.filter(({ ofMessage }) => ofMessage !== undefined).length,
    isComplete,
  }
}

/**
 * Returns what is known of a message for the search. The time of a request is known only if the process did not stop
 * during it; the times of earlier requests are not known, so after several attempts, also before a person
 * sent it again, the search begins with the acceptance of the message.
 */
async function soughtMessage({ store, sealedStore }: Outbox, message: StoredMessage): Promise<SoughtMessage> {
  const { message: prepared } = await sealedStore.contentOf(message)
  const { unknown, mayHaveArrivedBefore = false } = await sealedStore.recordOf(message)
  const { api, operation, body } = prepared
  const requestedAt = Date.parse(unknown?.cause.at ?? '')
  const isKnown = !Number.isNaN(requestedAt)
  const isOnlyRequest = isKnown && message.attempts <= 1 && !mayHaveArrivedBefore
  const sourceId = sourceIn(body)
  return {
    ...{ api, operation },
    ...(sourceId !== undefined && { sourceId }),
    destinations: message.destination.split(' ').slice(1),
    ...(isKnown && { requestedAt }),
    since: isOnlyRequest ? requestedAt : toWallTime(store.clock, message.acceptedAt),
    till: toWallTime(store.clock, message.endedAt ?? store.clock.now()),
  }
}

/** Returns the ID of the source in a Data Model message. */
function sourceIn(body: JsonObject): string | undefined {
  const id = getAt(body, ['Meta', 'Source', 'ID'])
  return typeof id === 'string' && id !== '' ? id : undefined
}

async function searched(
  client: PlatformClient,
  sought: SoughtMessage,
  signal: AbortSignal,
): Promise<FoundCandidates> {
  const timeout = AbortSignal.timeout(LONGEST_MS)
  try {
    return await findCandidates(client, sought, AbortSignal.any([signal, timeout]))
  } catch (error) {
    if (timeout.aborted) throw tookTooLong()
    if (error instanceof DOMException && error.name === 'AbortError') throw notOpen()
    return refuse(error)
  }
}

// ---- Logs of other messages -----------------------------------------------------------------------------

/** Maximum number of messages in each state, the newest ones of that time, whose log ids are compared. */
const MAX_COMPARED = 200

/** Message to which a log belongs; `found`: by the decision of a person, who may have been wrong. */
interface LogOwner {
  id: string
  found: boolean
}

/**
 * Returns the messages to the same destination to which logs belong, by log id: those in Redox's answers, and those that
 * people found. A person may also have discarded a message that its destination refused later.
 */
async function ownersOfLogs(
  { store, sealedStore }: Outbox,
  { destination }: StoredMessage,
  till: Date,
): Promise<ReadonlyMap<string, LogOwner>> {
  const terms = { destination, newestFirst: true, limit: MAX_COMPARED }
  const until = { till: toStoreTime(store.clock, till.getTime()) }
  const ended = await Promise.all(
    (['delivered', 'discarded'] as const).map((state) => store.find({ ...terms, ...until, state })),
  )
  const owners = new Map<string, LogOwner>()
  for (const message of ended.flat()) {
    const { delivery, foundLogId } = await orUnreadable<Partial<AttemptRecord>>(
      sealedStore.recordOf(message),
      {},
    )
    if (foundLogId !== undefined && !owners.has(foundLogId))
      owners.set(foundLogId, { id: message.id, found: true })
    for (const logId of delivery?.facts.logIds ?? []) owners.set(logId, { id: message.id, found: false })
  }
  return owners
}

function withOwner(candidate: LogCandidate, owners: ReadonlyMap<string, LogOwner>): LogCandidate {
  const owner = owners.get(candidate.logId)
  if (owner === undefined) return candidate
  return { ...candidate, ...(owner.found ? { foundFor: owner.id } : { ofMessage: owner.id }) }
}

/** Compares two candidates: those of other messages come last. */
const freeFirst = (a: LogCandidate, b: LogCandidate): number =>
  Number(a.ofMessage !== undefined) - Number(b.ofMessage !== undefined)

// ---- Refusals -------------------------------------------------------------------------------------------

/** Converts an error of the Platform API: it is one of the connection's settings, or of a server that was asked. */
function refuse(error: unknown): never {
  if (!(error instanceof RedoxError)) throw error
  throw new AdminRefusal(error.code === 'REDOX_CONFIGURATION' ? 409 : 502, error.code, error.message)
}

const notUnknown = (): AdminRefusal =>
  new AdminRefusal(
    409,
    'outcome_known',
    'Only a parked message that may have arrived can be looked up. Ask for the message again: its state has changed.',
  )

const notOpen = (): AdminRefusal =>
  new AdminRefusal(503, 'REDOX_ABORTED', 'The connection was closed or redeployed. Look it up again.')

const tookTooLong = (): AdminRefusal =>
  new AdminRefusal(
    502,
    'REDOX_TIMEOUT',
    `Platform API: the search took longer than ${LONGEST_MS / 1000} s. Look it up again later.`,
  )
