/**
 * Searches Redox's logs for a message whose outcome is unknown. A search is never without doubt, because the metadata of
 * two messages can be the same: this says how the logs compare with the message, and a person decides.
 */
import type { LogCandidate, LogTrait } from '../shared/outbox-api'
import type { LogStatus } from '../shared/values'
import type { FoundLog } from './answers'
import type { PlatformClient, SearchCriteria } from './client'
import { CLOCK_MARGIN_MS, mayBeRepeated } from './repeats'

/** Facts of a message by which its logs are searched. */
export interface SoughtMessage {
  api: 'datamodel' | 'fhir'
  /** `Notes:New`, `DiagnosticReport/$diagnosticreport-create` */
  operation: string
  /** id of the source in the message, if it has one */
  sourceId?: string
  /** ids of the destinations, or the slug of the FHIR API */
  destinations: string[]
  /** start of the request, in ms since 1970; missing if it is not known */
  requestedAt?: number
  /** times between which a request with the message began and ended */
  since: number
  till: number
}

export interface FoundCandidates {
  since: Date
  till: Date
  /** the likeliest first */
  candidates: LogCandidate[]
  /** false if Redox has more logs of that time than were read */
  isComplete: boolean
}

const PAGE_SIZE = 50
/** Maximum number of pages, so that a search uses little of the rate limit. */
const MAX_PAGES = 6

/**
 * Returns the logs that may be those of the message.
 * @throws RedoxError as {@link PlatformClient.search}
 */
export async function findCandidates(
  client: PlatformClient,
  message: SoughtMessage,
  signal: AbortSignal,
): Promise<FoundCandidates> {
  const since = new Date(message.since - CLOCK_MARGIN_MS)
  const till = new Date(message.till + CLOCK_MARGIN_MS)
  const criteria = { createdAfter: since, createdBefore: till, ...knownCriteria(message) }
  const readAt = Date.now()
  const { logs, isComplete } = await searched(client, criteria, signal)
  const usable = logs.filter((log) => isUsable(log, since, till))
  const candidates = usable.map((log) => ({ ...candidateOf(log, message), status: statusOf(log, readAt) }))
  return { since, till, candidates: candidates.sort(byLikelihood), isComplete }
}

/**
 * Returns the criteria apart from the time. Names of a FHIR message in the logs are not known
 * (docs/redox-api.md#delivery-status), so its search has none, and a log with other names stays a candidate.
 */
function knownCriteria({ api, operation, sourceId, destinations }: SoughtMessage): SearchCriteria {
  if (api === 'fhir') return {}
  const [dataModel = '', eventType = ''] = operation.split(':')
  const [destinationId, another] = destinations
  return {
    ...{ dataModel, eventType },
    ...(sourceId !== undefined && { sourceId }),
    ...(destinationId !== undefined && another === undefined && { destinationId }),
  }
}

async function searched(
  client: PlatformClient,
  criteria: SearchCriteria,
  signal: AbortSignal,
): Promise<{ logs: FoundLog[]; isComplete: boolean }> {
  const logs = new Map<string, FoundLog>()
  let cursor: string | undefined
  for (let page = 0; page < MAX_PAGES; page++) {
    const options = { signal, count: PAGE_SIZE, ...(cursor !== undefined && { cursor }) }
    const found = await client.search(criteria, options)
    const before = logs.size
    for (const log of found.logs) logs.set(log.id, log)
    cursor = found.nextCursor
    // The names that lead to the next page are not known of Redox (docs/redox-api.md#delivery-status): a full page
    // without a cursor may not be the last one, and a cursor may lead to the same page again.
    if (cursor === undefined) return { logs: [...logs.values()], isComplete: found.logs.length < PAGE_SIZE }
    if (logs.size === before) break
  }
  return { logs: [...logs.values()], isComplete: false }
}

const ID = /^[\w.-]{1,100}$/
/** Names of data models and events: too short and too plain for a sentence about a patient. */
const NAME = /^[\w$-]{1,60}$/

/** Returns false for a log of another time, which is returned if Redox does not know the name of a criterion. */
function isUsable({ id, createdAt }: FoundLog, since: Date, till: Date): boolean {
  const at = Date.parse(createdAt ?? '')
  return ID.test(id) && !(at < since.getTime() || at > till.getTime())
}

function candidateOf(log: FoundLog, message: SoughtMessage): Omit<LogCandidate, 'status'> {
  const { id: logId, destinationId = '' } = log
  const createdAt = Date.parse(log.createdAt ?? '')
  const { requestedAt } = message
  const operation = operationOf(log)
  return {
    logId,
    ...(!Number.isNaN(createdAt) && { createdAt: new Date(createdAt).toISOString() }),
    ...(requestedAt !== undefined &&
      !Number.isNaN(createdAt) && { secondsAfter: Math.round((createdAt - requestedAt) / 1000) }),
    ...(operation !== undefined && { operation }),
    ...(ID.test(destinationId) && { destinationId }),
    ...comparison(log, message),
  }
}

/** Returns the status of a log: `pending` while Redox may repeat its failed attempt. */
const statusOf = (log: FoundLog, readAt: number): LogStatus =>
  mayBeRepeated(log, readAt) ? 'pending' : log.status

function operationOf({ dataModel = '', eventType = '' }: FoundLog): string | undefined {
  if (!NAME.test(dataModel)) return undefined
  return NAME.test(eventType) ? `${dataModel}:${eventType}` : dataModel
}

function comparison(
  { dataModel, eventType, sourceId, destinationId }: FoundLog,
  { api, operation, sourceId: ownSource, destinations }: SoughtMessage,
): Pick<LogCandidate, 'same' | 'different'> {
  const [ownModel, ownEvent] = operation.split(/[:/]/)
  const isOperation = compare([dataModel, eventType], [ownModel, ownEvent])
  const isSource = compare([sourceId], [ownSource])
  const isOneOfThem = destinations.map((one) => compare([destinationId], [one]))
  const isDestination = isOneOfThem.find((one) => one === true) ?? isOneOfThem[0]
  const known = { operation: isOperation, source: isSource, destination: isDestination }
  const traits = Object.entries(known) as [LogTrait, boolean | undefined][]
  const those = (wanted: boolean): LogTrait[] =>
    traits.filter(([, isSame]) => isSame === wanted).map(([trait]) => trait)
  // In the log of a FHIR message, other names do not prove that it is another message.
  return { same: those(true), different: api === 'fhir' ? [] : those(false) }
}

/** Returns true if all values are the same in any case of letters; undefined if one of them is not known. */
function compare(ofLog: (string | undefined)[], own: (string | undefined)[]): boolean | undefined {
  if ([...ofLog, ...own].includes(undefined)) return undefined
  return ofLog.every((value, index) => value?.toLowerCase() === own[index]?.toLowerCase())
}

/** Compares two candidates: the one with more in common with the message first, then the one nearer to its request. */
function byLikelihood(a: LogCandidate, b: LogCandidate): number {
  const score = ({ same, different }: LogCandidate): number => same.length - different.length
  const distance = ({ secondsAfter = Infinity }: LogCandidate): number => Math.abs(secondsAfter)
  return score(b) - score(a) || distance(a) - distance(b) || 0
}
