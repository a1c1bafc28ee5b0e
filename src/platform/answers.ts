/** Reads the answers of the Platform API in both known shapes (docs/redox-api.md#delivery-status). */
import { z } from 'zod'
import type { LogStatus } from '../shared/values'

/** Place and reason of a failed delivery, as Redox gives them. */
export interface DeliveryFailure {
  /** stage of the delivery, e.g. `request` */
  stage?: string
  /** code of the destination's answer, e.g. an HTTP status */
  code?: string
  /** text of the destination or of Redox. It may name a patient, so it must be redacted before it is shown. */
  reason?: string
}

/** Delivery of one message to one destination. */
export interface DeliveryLog {
  /** id of the log; an answer for one log need not repeat it */
  id?: string
  status: LogStatus
  /** number of attempts that Redox has made */
  attempts?: number
  /** id of the latest attempt */
  attemptId?: string
  /** time of the latest attempt, as Redox gives it */
  attemptAt?: string
  failure?: DeliveryFailure
  /**
   * true for a `failed` that only the latest attempt has. Redox does not document whether it still repeats such a
   * delivery, so the failure is final only when no attempt has followed for some time (`repeats.ts`).
   */
  mayBeRepeated?: true
}

/** Delivery that a search found, with its metadata. */
export interface FoundLog extends DeliveryLog {
  id: string
  dataModel?: string
  eventType?: string
  sourceId?: string
  destinationId?: string
  createdAt?: string
}

export interface SearchPage {
  logs: FoundLog[]
  /** cursor of the next page; missing on the last page */
  nextCursor?: string
}

// A property of an unexpected type is treated as missing: an answer that says less is still an answer.
const lenient = <T extends z.ZodType>(schema: T) => schema.optional().catch(undefined)
const text = lenient(z.string().max(10_000))
// Stage and code are shown in error texts, so they must not be a name, a date or a number of a patient.
const word = lenient(z.string().regex(/^[a-z][A-Za-z]{0,39}$/))
const code = lenient(z.coerce.string().regex(/^\d{1,4}$/))
const stage = lenient(z.object({ code, error: lenient(z.object({ message: text })) }))
const latest = z.object({
  id: text,
  attemptAt: text,
  status: z.unknown().optional(),
  failedStage: word,
  stages: lenient(z.record(z.string(), stage)),
})
const attempts = z.object({ total: lenient(z.number().int().nonnegative()), latest: lenient(latest) })
const LOG = z.object({
  id: text,
  status: z.unknown().optional(),
  attempts: lenient(attempts),
  ...{ dataModel: text, eventType: text, sourceId: text, destinationId: text, createdAt: text },
})
const ONE = z.object({ payload: z.object({ result: z.unknown().optional() }).loose() })
const paging = lenient(z.object({ nextCursor: text }))
const PAGE = z.object({
  meta: lenient(z.object({ page: paging, nextCursor: text })),
  payload: z.union([
    z.object({ results: z.array(z.unknown()), nextCursor: text }),
    z.object({ logs: z.array(z.unknown()), nextCursor: text }).transform(({ logs, ...rest }) => ({
      results: logs,
      ...rest,
    })),
  ]),
})

type Log = z.infer<typeof LOG>

/** Returns the delivery in the answer for one log; undefined if the answer is not one of the Platform API. */
export function logIn(body: unknown): DeliveryLog | undefined {
  const envelope = ONE.safeParse(body)
  if (!envelope.success) return undefined
  const { payload } = envelope.data
  // The older shape has no `result`: the log is the payload itself.
  const log = LOG.safeParse(payload.result ?? payload)
  return log.success ? deliveryOf(log.data) : undefined
}

/** Returns a page of a search; undefined if the answer is not one of the Platform API. */
export function pageIn(body: unknown): SearchPage | undefined {
  const found = PAGE.safeParse(body)
  if (!found.success) return undefined
  const { meta, payload } = found.data
  const nextCursor = meta?.page?.nextCursor ?? meta?.nextCursor ?? payload.nextCursor
  return {
    logs: payload.results.flatMap((one) => foundIn(one)),
    ...(nextCursor !== undefined && nextCursor !== '' && { nextCursor }),
  }
}

function foundIn(one: unknown): FoundLog[] {
  const log = LOG.safeParse(one)
  if (!log.success || log.data.id === undefined) return []
  const { id, dataModel, eventType, sourceId, destinationId, createdAt } = log.data
  const metadata = { dataModel, eventType, sourceId, destinationId, createdAt }
  return [{ ...deliveryOf(log.data), id, ...present(metadata) }]
}

function deliveryOf({ id, status, attempts: made }: Log): DeliveryLog {
  const { total, latest: last } = made ?? {}
  const given = [status, last?.status].filter((one) => one !== undefined && one !== null)
  // Redox has not tried yet, so there is no status.
  const found = total === 0 && given.length === 0 ? 'pending' : statusOf(given)
  const isBad = found === 'failed' || found === 'filtered'
  const failure = last && isBad ? failureOf(last) : {}
  const mayBeRepeated = found === 'failed' && (status === undefined || status === null)
  return {
    status: found,
    ...(mayBeRepeated && { mayBeRepeated }),
    ...present({ id, attempts: total, attemptId: last?.id, attemptAt: last?.attemptAt }),
    ...(Object.keys(failure).length > 0 && { failure }),
  }
}

const KNOWN: ReadonlySet<unknown> = new Set<LogStatus>(['succeeded', 'failed', 'filtered', 'pending'])

/**
 * Returns the status of a log from its own status and that of its latest attempt. An attempt may have failed while
 * Redox repeats it, so a log that is pending for one of them is pending. Other contradictions are not resolved.
 */
function statusOf(given: unknown[]): LogStatus {
  const different = [...new Set(given)]
  if (different.length === 0 || !different.every((one) => KNOWN.has(one))) return 'unknown'
  if (different.includes('pending')) return 'pending'
  return different.length === 1 ? (different[0] as LogStatus) : 'unknown'
}

function failureOf({ failedStage, stages = {} }: z.infer<typeof latest>): DeliveryFailure {
  const withError = Object.entries(stages).filter(([, one]) => one?.error !== undefined)
  const [only] = withError.length === 1 ? withError : []
  const name = failedStage ?? word.parse(only?.[0])
  const failed = name === undefined ? undefined : stages[name]
  return present({
    stage: name,
    code: failed?.code,
    reason: failed?.error?.message,
  })
}

type Present<T> = { [N in keyof T]?: Exclude<T[N], undefined> }

/** Returns an object without its undefined properties. */
const present = <T extends object>(values: T): Present<T> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Present<T>
