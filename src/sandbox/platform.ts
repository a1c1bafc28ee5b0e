/** Platform API: logs of deliveries, by id, as a list, and by their metadata (docs/redox-api.md#delivery-status). */
import type { Delivery, DeliveryStatus } from './deliveries'
import { parseJson, readBody, Refusal, textOf } from './http'
import type { JsonRecord, SandboxAnswer, SandboxRequest } from './http'
import type { Inbox, ReceivedMessage } from './inbox'

const SEARCH_LIMIT = 100_000
/** Number of logs on a page: the default, and the maximum (docs/redox-api.md#delivery-status). */
const PAGE_SIZE = 50
const META = { version: '1.0.0' }
const STATUSES = ['succeeded', 'failed', 'filtered', 'pending']
const DATA_MODES = ['realtime', 'backfill']

/** Organization and environments of the sandbox's keys. */
export interface PlatformIds {
  organizationId: string
  /** Environment ids by the name of the environment. */
  environmentIds: Record<'Development' | 'Staging' | 'Production', string>
}

/**
 * Shapes of a log. `attempts` is that of the current documentation, with the status of the log added; `latest` has the
 * status of the latest attempt alone, as the documentation shows it; `stages` is that of older versions, with the status
 * beside the attempts.
 */
export const LOG_SHAPES = ['attempts', 'latest', 'stages'] as const
export type LogShape = (typeof LOG_SHAPES)[number]

interface LogRecord {
  message: ReceivedMessage
  delivery: Delivery
}

/** Builds the error body of the Platform API. Its shape is not known of Redox. */
export const platformError = (refusal: Refusal): JsonRecord => ({
  meta: META,
  errors: refusal.problems.map(({ text }) => ({ message: text })),
})

export class PlatformLogs {
  constructor(
    private readonly inbox: Inbox,
    private readonly ids: PlatformIds,
    private readonly shape: LogShape,
  ) {}

  /** Handles `GET /platform/v1/organizations/{organizationId}/logs/{logId}`. */
  async one({ params: [organizationId, logId], request }: SandboxRequest): Promise<SandboxAnswer> {
    this.#checkOrganization(organizationId)
    const isBackfill = dataModeOf(queryOf(request.url).get('dataMode')) === 'backfill'
    const found = isBackfill ? undefined : this.#logs().find(({ delivery }) => delivery.logId === logId)
    if (!found) throw new Refusal(404, 'Log not found')
    if (this.shape === 'stages') return { status: 200, body: { meta: META, payload: olderLog(found) } }
    return { status: 200, body: { meta: META, payload: { result: this.#log(found) } } }
  }

  /** Handles `GET /platform/v1/organizations/{organizationId}/logs`. */
  async list({ params: [organizationId], request }: SandboxRequest): Promise<SandboxAnswer> {
    this.#checkOrganization(organizationId)
    const query = queryOf(request.url)
    return this.#page(this.#logs(), query, Object.fromEntries(query))
  }

  /** Handles `POST /platform/v1/environments/{environmentId}/logs/search/metadata`. */
  async search({ params: [environmentId], request }: SandboxRequest): Promise<SandboxAnswer> {
    const [environment] =
      Object.entries(this.ids.environmentIds).find(([, id]) => id === environmentId?.toLowerCase()) ?? []
    if (environment === undefined) throw new Refusal(403, 'Forbidden')
    const body = parseJson(await readBody(request, SEARCH_LIMIT))
    const logs = this.#logs().filter(({ message }) => message.environment === environment)
    return this.#page(logs, queryOf(request.url), body)
  }

  #checkOrganization(id: string | undefined): void {
    if (id?.toLowerCase() !== this.ids.organizationId) throw new Refusal(403, 'Forbidden')
  }

  /** Returns all logs, newest first. */
  #logs(): LogRecord[] {
    return this.inbox.messages
      .flatMap((message) => message.deliveries.map((delivery) => ({ message, delivery })))
      .reverse()
  }

  #page(logs: LogRecord[], query: URLSearchParams, criteria: JsonRecord): SandboxAnswer {
    const fits = criteriaOf(criteria)
    const found = logs.filter((log) => fits(log))
    const count = pageSizeOf(query.get('_count'))
    const after = query.get('_cursor')
    // A cursor is the id of the last log of a page, so that a page does not shift while new messages arrive.
    const start = after === null ? 0 : found.findIndex(({ delivery }) => delivery.logId === after) + 1
    if (after !== null && start === 0) throw new Refusal(400, 'Unknown _cursor')
    const page = found.slice(start, start + count)
    const next = start + count < found.length ? page.at(-1)?.delivery.logId : undefined
    const meta = { ...META, page: { pageSize: count, ...(next !== undefined && { nextCursor: next }) } }
    return { status: 200, body: { meta, payload: { results: page.map((log) => this.#log(log)) } } }
  }

  #log({ message, delivery }: LogRecord): JsonRecord {
    const { status, attempts, attemptId, attemptAt } = delivery
    return {
      ...this.#metadata(message, delivery),
      ...(this.shape !== 'latest' && { status }),
      attempts: {
        total: attempts,
        latest: {
          id: attemptId,
          attemptAt,
          status: attemptStatus(delivery),
          operations: operationsOf(message, delivery),
          ...stagesOf(delivery),
        },
      },
    }
  }

  #metadata({ at, source, environment, ...message }: ReceivedMessage, delivery: Delivery): JsonRecord {
    const [dataModel, eventType] = namesOf(message)
    return {
      id: delivery.logId,
      type: 'request',
      ...{ dataModel, eventType, sourceId: source, destinationId: delivery.destination },
      environmentId: this.ids.environmentIds[environment as 'Development'],
      createdAt: at,
      updatedAt: delivery.updatedAt,
    }
  }
}

/** Returns the status of the latest attempt: one that failed has failed, also while the delivery is to be repeated. */
const attemptStatus = ({ status, problem }: Delivery): DeliveryStatus =>
  status === 'pending' && problem !== undefined ? 'failed' : status

/** Returns data model and event type; of a FHIR message, resource type and operation. */
function namesOf({ operation }: Pick<ReceivedMessage, 'operation'>): [string, string] {
  const [model = '', event = ''] = operation.split(/[:/]/)
  return [model, event]
}

/** Returns a log in the older shape. */
function olderLog({ delivery }: LogRecord): JsonRecord {
  const { status, attemptId, attemptAt, attempts } = delivery
  const latest = { id: attemptId, attemptAt, ...stagesOf(delivery) }
  return { id: delivery.logId, status, type: 'request', attempts: { total: attempts, latest } }
}

function stagesOf({ problem }: Delivery): JsonRecord {
  if (problem === undefined) return {}
  const { stage, code, reason } = problem
  return {
    failedStage: stage,
    stages: { [stage]: { ...(code !== undefined && { code }), error: { message: reason } } },
  }
}

function operationsOf(
  { files }: ReceivedMessage,
  { attempts, attemptId, attemptAt }: Delivery,
): JsonRecord[] {
  if (attempts === 0 || !files.some(({ way }) => way === 'referenced')) return []
  const operation = { type: 'blobResolvers', operationId: attemptId, version: 1, order: 1 }
  return [{ ...operation, attemptStage: 'request', startTime: attemptAt }]
}

// ---- Criteria -----------------------------------------------------------------------------------------

const queryOf = (url = ''): URLSearchParams => new URLSearchParams(url.split('?')[1] ?? '')

function pageSizeOf(count: string | null): number {
  if (count === null) return PAGE_SIZE
  if (!/^[1-9]\d{0,3}$/.test(count)) throw new Refusal(400, '_count must be a number from 1')
  return Math.min(Number(count), PAGE_SIZE)
}

function dataModeOf(mode: unknown): string {
  if (mode === undefined || mode === null || mode === '') return 'realtime'
  if (!DATA_MODES.includes(mode as string)) throw new Refusal(400, 'dataMode must be realtime or backfill')
  return mode as string
}

/** Returns the test of a log by the criteria of a search. A criterion that Redox does not know is ignored. */
function criteriaOf(criteria: JsonRecord): (log: LogRecord) => boolean {
  const { status, type } = criteria
  if (status !== undefined && !STATUSES.includes(status as string)) throw new Refusal(400, 'Unknown status')
  const isElsewhere =
    dataModeOf(criteria['dataMode']) === 'backfill' || (type !== undefined && type !== 'request')
  const times = ['createdAfter', 'createdBefore', 'updatedAfter', 'updatedBefore'].map((name) =>
    timeOf(criteria[name], name),
  )
  const [createdAfter, createdBefore, updatedAfter, updatedBefore] = times
  return ({ message, delivery }) => {
    const [dataModel, eventType] = namesOf(message)
    const known = { dataModel, eventType, sourceId: message.source, destinationId: delivery.destination }
    return (
      !isElsewhere &&
      (status === undefined || status === delivery.status) &&
      Object.entries(known).every(([name, value]) => isAny(criteria[name], value)) &&
      isWithin(Date.parse(message.at), createdAfter, createdBefore) &&
      isWithin(Date.parse(delivery.updatedAt), updatedAfter, updatedBefore)
    )
  }
}

const isAny = (wanted: unknown, value: string): boolean =>
  textOf(wanted) === undefined || String(wanted).toLowerCase() === value.toLowerCase()

const isWithin = (time: number, after = -Infinity, before = Infinity): boolean =>
  time >= after && time <= before

function timeOf(value: unknown, name: string): number | undefined {
  if (value === undefined || value === '') return undefined
  const time = Date.parse(String(value))
  if (Number.isNaN(time)) throw new Refusal(400, `${name} must be a date and time (ISO 8601)`)
  return time
}
