import { RedoxError } from '../errors'
import { isObject, type JsonObject } from '../message/json'
import { redactedReasons } from '../redox/answer-errors'
import type { FollowedLog } from './log-watch'

/** Delivery of a message to one destination, for `msg.redox.deliveries`. */
export interface Delivered {
  logId: string
  status: 'succeeded'
  attempts?: number
  attemptAt?: string
}

/**
 * Returns the deliveries if all logs succeeded.
 * @param message message whose values the reasons must not repeat
 * @throws RedoxError REDOX_NOT_DELIVERED if a log failed or was filtered, else REDOX_NOT_CONFIRMED
 */
export function deliveriesOf(logs: FollowedLog[], message: unknown): Delivered[] {
  const bad = logs.filter(({ log }) => log?.status === 'failed' || log?.status === 'filtered')
  if (bad.length > 0) throw notDelivered(logs, bad, message)
  return logs.map(({ id, log }) => {
    if (log?.status !== 'succeeded') throw notConfirmed(logs, message)
    const { attempts, attemptAt } = log
    return {
      ...{ logId: id, status: log.status },
      ...(attempts !== undefined && { attempts }),
      ...(attemptAt !== undefined && { attemptAt }),
    }
  })
}

function notDelivered(logs: FollowedLog[], bad: FollowedLog[], message: unknown): RedoxError {
  const told = bad.map(({ id, log }) => {
    const { stage, code } = log?.failure ?? {}
    const where = [stage && `stage ${stage}`, code && `code ${code}`].filter(Boolean).join(', ')
    return `log ${id} ${log?.status}${where && ` (${where})`}`
  })
  return new RedoxError(
    'REDOX_NOT_DELIVERED',
    `Not delivered: ${[...told, ...openLogs(logs)].join('; ')}. Redox had accepted the message. Look at the reason (error.cause.reasons) and at ` +
      'the log in the Redox dashboard, then correct the message or the destination.',
    {
      ...partsOf(logs),
      ...failureOf(bad, message),
    },
  )
}

/** Returns the first stage, and the reasons without values of the message. */
function failureOf(logs: FollowedLog[], message: unknown): Pick<RedoxError['cause'], 'stage' | 'reasons'> {
  const reasons = logs.flatMap(({ log }) => log?.failure?.reason ?? [])
  const [stage] = logs.flatMap(({ log }) => log?.failure?.stage ?? [])
  return {
    ...(stage !== undefined && { stage }),
    ...(reasons.length > 0 && { reasons: redactedReasons(reasons, valuesOf(message)).map(hideNumbers) }),
  }
}

/** Error for logs that are not final, or have a status that is not known. */
function notConfirmed(logs: FollowedLog[], message: unknown): RedoxError {
  return new RedoxError(
    'REDOX_NOT_CONFIRMED',
    `Not confirmed: ${openLogs(logs).join('; ')}. The message may still be delivered. Look at the log in the Redox dashboard before ` +
      'you send it again.',
    { ...partsOf(logs), ...failureOf(logs, message) },
  )
}

/** Returns what is known of each log whose delivery is neither confirmed nor denied. */
function openLogs(logs: FollowedLog[]): string[] {
  return logs.filter(({ log }) => !DELIVERED.has(log?.status)).map((one) => `log ${one.id} ${stateOf(one)}`)
}

function stateOf({ log, lookup }: FollowedLog): string {
  if (lookup === undefined)
    return 'was not looked up, because the limit of requests to the Platform API was reached'
  if (lookup !== 'answered') return `could not be looked up (${lookup})`
  if (log === undefined) return 'was not found'
  if (log.status !== 'pending') return 'has a status that is not known'
  return log.mayBeRepeated ? 'failed, and Redox may still repeat the delivery' : 'is not final yet'
}

const DELIVERED = new Map<string | undefined, boolean>([
  ['succeeded', true],
  ['failed', false],
  ['filtered', false],
])

function partsOf(logs: FollowedLog[]): Pick<RedoxError['cause'], 'logIds' | 'parts'> {
  return {
    logIds: logs.map(({ id }) => id),
    parts: logs.map(({ id, log }) => {
      const delivered = DELIVERED.get(log?.status)
      return { part: `log ${id}`, ...(delivered !== undefined && { delivered }) }
    }),
  }
}

// ---- Reasons --------------------------------------------------------------------------------------------

// The sent message itself is not known here, only what the flow still has of it. Numbers in a reason are hidden in any
// case: they may be a medical record number or a date of birth.
const hideNumbers = (reason: string): string => reason.replace(/\d[\d\s./-]{2,}\d/g, '[…]')

const MAX_DEPTH = 12
const MAX_VALUES = 10_000
/** Properties of a message with objects of Node-RED's HTTP nodes. */
const NOT_DATA = new Set(['req', 'res'])

/** Returns the plain values of a message, without Buffers and objects of a class, which may refer to each other. */
function valuesOf(message: unknown): JsonObject {
  let left = MAX_VALUES
  const plain = (value: unknown, depth: number): unknown => {
    if (left-- <= 0 || depth > MAX_DEPTH) return undefined
    if (typeof value === 'string' || typeof value === 'number') return value
    if (Array.isArray(value)) return value.map((one) => plain(one, depth + 1))
    if (!isObject(value) || Buffer.isBuffer(value)) return undefined
    const known = Object.entries(value).filter(([name]) => !NOT_DATA.has(name))
    return Object.fromEntries(known.map(([name, one]) => [name, plain(one, depth + 1)]))
  }
  return { values: plain(message, 0) } as JsonObject
}
