/** Verdicts about delivered messages: read from Redox's logs, and recorded at the message. */
import { RedoxError } from '../errors'
import type { FollowedLog } from '../platform/log-watch'
import type { LogVerdict, Verdict } from '../shared/values'
import type { RecordedVerdict, SealedStore } from './jobs'
import { toWallTime } from './store-clock'

/** Number of times that a verdict is recorded again because another one was recorded at the same moment. */
const TRIES = 5

/**
 * Records at a message what Redox's logs say of it. The message stays delivered, and nothing is sent. Logs that do not
 * belong to its last delivery are left out: a person may have sent the message again since then.
 * @returns true if a destination has refused the message, and that was not recorded before
 * @throws RedoxError REDOX_STORE_LOST if the message is no longer stored; REDOX_STORE_…
 */
export async function recordVerdict(
  sealedStore: SealedStore,
  id: string,
  followed: readonly FollowedLog[],
): Promise<boolean> {
  const { store } = sealedStore
  for (let tries = 0; tries < TRIES; tries++) {
    const [message] = await store.find({ id, limit: 1 })
    if (message === undefined) throw gone()
    const record = await sealedStore.recordOf(message)
    const logIds = record.delivery?.facts.logIds ?? []
    const found = followed.filter((log) => logIds.includes(log.id)).map(logVerdict)
    // A person who has marked a refused message as delivered knows more than the logs.
    const isOver = message.state !== 'delivered' || message.reason === 'mark-delivered'
    if (isOver || message.notes === undefined || found.length === 0) return false
    const logs = merged(record.verdict, found)
    const reasons = reasonsOf(logs, { ...record.verdict?.reasons, ...reasonsIn(followed) })
    const verdict = { at: toWallTime(store.clock, store.clock.now()), logs, ...(reasons && { reasons }) }
    const notes = await sealedStore.sealRecord(id, { ...record, verdict })
    const reason = verdictOf(logIds, logs)
    if (await store.recordVerdict(id, { reason, notes, seen: message.notes }))
      return reason === 'REDOX_NOT_DELIVERED' && message.reason !== reason
  }
  throw new RedoxError('REDOX_STORE_LOST', 'Message was changed again and again by others.')
}

function logVerdict({ id, log }: FollowedLog): LogVerdict {
  const { stage, code } = log?.failure ?? {}
  return {
    ...{ logId: id, status: log?.status ?? 'unknown' },
    ...(stage !== undefined && { stage }),
    ...(code !== undefined && { code }),
  }
}

/** Maximum length of a stored reason in characters. */
const LONGEST_REASON = 2_000

/** Returns the texts of the destinations in logs, by the id of the log. */
const reasonsIn = (followed: readonly FollowedLog[]): Record<string, string> =>
  Object.fromEntries(
    followed.flatMap(({ id, log }) =>
      log?.failure?.reason === undefined ? [] : [[id, log.failure.reason.slice(0, LONGEST_REASON)]],
    ),
  )

/** Returns the reasons of those logs that are refused; undefined if there are none. */
function reasonsOf(
  logs: readonly LogVerdict[],
  known: Readonly<Record<string, string>>,
): Record<string, string> | undefined {
  const refused = new Set(logs.filter(isRefused).map(({ logId }) => logId))
  const reasons = Object.entries(known).filter(([logId]) => refused.has(logId))
  return reasons.length === 0 ? undefined : Object.fromEntries(reasons)
}

const isRefused = ({ status }: LogVerdict): boolean => status === 'failed' || status === 'filtered'

const FINAL: ReadonlySet<string> = new Set<LogVerdict['status']>(['succeeded', 'failed', 'filtered'])

/** Returns the last known status of each log. A status that is not final does not replace one that is. */
function merged(
  { logs: known }: Pick<RecordedVerdict, 'logs'> = { logs: [] },
  found: LogVerdict[],
): LogVerdict[] {
  const byId = new Map(known.map((log) => [log.logId, log]))
  for (const log of found)
    if (FINAL.has(log.status) || !FINAL.has(byId.get(log.logId)?.status ?? '')) byId.set(log.logId, log)
  return [...byId.values()]
}

/** @param logIds all logs of the delivery; one without a known status is not confirmed */
function verdictOf(logIds: readonly string[], logs: readonly LogVerdict[]): Verdict {
  if (logs.some(isRefused)) return 'REDOX_NOT_DELIVERED'
  const accepted = new Set(logs.flatMap(({ logId, status }) => (status === 'succeeded' ? [logId] : [])))
  return logIds.every((id) => accepted.has(id)) ? 'accepted' : 'REDOX_NOT_CONFIRMED'
}

const gone = (): RedoxError =>
  new RedoxError('REDOX_STORE_LOST', 'Message is no longer in the outbox of the connection.')
