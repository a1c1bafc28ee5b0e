import { ERROR_CODES, type RedoxErrorCode } from '../error-codes'
import type { Way } from '../message/prepared'
import type { RequestKind } from '../transport/outcomes'
import { Histogram } from './histogram'
import { operationLabel } from './operation-labels'

/** Upper limits of the buckets of durations, in seconds. A message of durable delivery may wait for days. */
export const DURATION_BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3_600, 86_400] as const
/** Upper limits of the buckets of sizes, in bytes. */
export const SIZE_BUCKETS = [1e3, 1e4, 1e5, 1e6, 5e6, 1e7, 2.5e7, 5e7, 1e8] as const

/** `ok`, or the code of the error. */
export type OutcomeLabel = 'ok' | RedoxErrorCode
/** Modes of the files of a message. `mixed`: several modes; `none`: no file, or the message was not prepared. */
export type WayLabel = Way | 'text' | 'mixed' | 'none'
export type DeliveryLabel = 'direct' | 'durable'

/** HTTP request that has ended. */
export interface EndedRequest {
  kind: RequestKind
  /** code of the error; undefined: a 2xx that is no failure by its form */
  code?: RedoxErrorCode | undefined
  seconds: number
  /** length of the request body */
  bytes: number
}

/** Message that has ended: it was delivered, refused, stopped or parked. */
export interface EndedMessage {
  delivery: DeliveryLabel
  /** operation, e.g. `Notes:New`; an operation that the package does not know counts as `other` */
  operation?: string | undefined
  way?: WayLabel
  /** code of the error; undefined: delivered. A code that the package does not know counts as REDOX_INTERNAL. */
  code?: string | undefined
  /** seconds since the message arrived at its node, or was accepted by the outbox */
  seconds: number
  /** size of all files of the message; undefined if the message was not prepared */
  bytes?: number
}

export type MessageFacts = Pick<EndedMessage, 'operation' | 'way' | 'bytes'>

/**
 * Returns the facts of a prepared message for its count.
 * @param files modes and sizes of its files
 * @param isText true: the document is text inside the message
 */
export function messageFacts(
  operation: string,
  files: { way: Way; size?: number | undefined }[],
  isText: boolean,
): MessageFacts {
  const [first, ...others] = files
  const way = others.some((file) => file.way !== first?.way) ? 'mixed' : first?.way
  return {
    operation,
    way: isText ? 'text' : (way ?? 'none'),
    bytes: files.reduce((sum, { size = 0 }) => sum + size, 0),
  }
}

/** State of the access token. Times are in milliseconds since 1970. */
export type TokenState = { state: 'none' } | KnownTokenState

type KnownTokenState =
  { state: 'ok'; since: number } | { state: 'failing'; since: number; code: RedoxErrorCode }

/** Number of events with the same labels. */
export interface Count<Labels> {
  readonly labels: Labels
  count: number
}

export interface RequestLabels {
  kind: RequestKind
  code: OutcomeLabel
}

export interface MessageLabels {
  delivery: DeliveryLabel
  /** one of OPERATION_LABELS, or `other` */
  operation: string
  way: WayLabel
  code: OutcomeLabel
}

/** Counts of events by labels, whose values come from closed lists. */
class Counts<Labels extends object> {
  readonly #byLabels = new Map<string, Count<Labels>>()

  /** @param key text that differs for different labels */
  add(key: string, labels: Labels): void {
    const known = this.#byLabels.get(key)
    if (known) known.count++
    else this.#byLabels.set(key, { labels, count: 1 })
  }

  /** Returns the counts in the order of their first events. */
  all(): Count<Labels>[] {
    return [...this.#byLabels.values()]
  }
}

/**
 * Counts and states of one connection since the start of the process, kept over deploys. Metrics, health and alerts
 * read them. Contains no patient data: labels are from closed lists.
 */
export class Activity {
  /** name of the redox-config node */
  name = ''
  readonly requests = new Counts<RequestLabels>()
  readonly messages = new Counts<MessageLabels>()
  /** further attempts of messages, by the code of the failure before them */
  readonly retries = new Counts<{ code: OutcomeLabel }>()
  readonly requestSeconds: Record<RequestKind, Histogram>
  readonly messageSeconds: Record<DeliveryLabel, Histogram>
  readonly messageBytes: Record<DeliveryLabel, Histogram>
  /** number of bytes in the bodies of all requests */
  sentBytes = 0
  /** time of the last delivered message, in milliseconds since 1970 */
  lastSuccess: number | undefined
  /** number of access tokens that could not be obtained */
  tokenFailures = 0
  /** outcome of the last HTTP request */
  lastRequest: OutcomeLabel | undefined
  #token: TokenState = { state: 'none' }

  /** @param connection id of the redox-config node */
  constructor(readonly connection: string) {
    const seconds = (): Histogram => new Histogram(DURATION_BUCKETS)
    const bytes = (): Histogram => new Histogram(SIZE_BUCKETS)
    this.requestSeconds = { token: seconds(), upload: seconds(), send: seconds() }
    this.messageSeconds = { direct: seconds(), durable: seconds() }
    this.messageBytes = { direct: bytes(), durable: bytes() }
  }

  get token(): TokenState {
    return this.#token
  }

  requestEnded({ kind, code, seconds, bytes }: EndedRequest): void {
    const label = code ?? 'ok'
    this.requests.add(`${kind} ${label}`, { kind, code: label })
    this.requestSeconds[kind].observe(seconds)
    this.sentBytes += bytes
    this.lastRequest = label
  }

  messageEnded({ delivery, operation, way = 'none', code, seconds, bytes }: EndedMessage): void {
    const labels = { delivery, operation: operationLabel(operation), way, code: outcomeOf(code) }
    this.messages.add(`${delivery} ${labels.operation} ${way} ${labels.code}`, labels)
    this.messageSeconds[delivery].observe(seconds)
    if (bytes !== undefined) this.messageBytes[delivery].observe(bytes)
    if (code === undefined) this.lastSuccess = Date.now()
  }

  /** Counts a further attempt of a message. */
  retried(code: string): void {
    const label = outcomeOf(code)
    this.retries.add(label, { code: label })
  }

  tokenObtained(): void {
    this.#setToken({ state: 'ok', since: Date.now() })
  }

  /** Counts an access token that could not be obtained. A stopped request says nothing about the key. */
  tokenFailed(code: RedoxErrorCode): void {
    if (code === 'REDOX_ABORTED') return
    this.tokenFailures++
    this.#setToken({ state: 'failing', since: Date.now(), code })
  }

  /** Keeps the time since which the state holds. Listeners are told each change of the state or of the code. */
  #setToken(next: KnownTokenState): void {
    const before = this.#token
    if (before.state === next.state && codeOf(before) === codeOf(next)) return
    this.#token = before.state === next.state ? { ...next, since: before.since } : next
    for (const listener of tokenListeners) listener({ connection: this.connection, ...this.#token })
  }
}

const codeOf = (token: TokenState): string | undefined => ('code' in token ? token.code : undefined)

function outcomeOf(code: string | undefined): OutcomeLabel {
  if (code === undefined) return 'ok'
  return Object.hasOwn(ERROR_CODES, code) ? (code as RedoxErrorCode) : 'REDOX_INTERNAL'
}

// ---- Activities of this process ----------------------------------------------------------------------------

/** Change of the token state of a connection. */
export type TokenChange = { connection: string } & TokenState
export type TokenListener = (change: TokenChange) => void

const tokenListeners = new Set<TokenListener>()

/**
 * Subscribes to changes of the token state of all connections. A listener must not throw.
 * @returns function that ends the subscription
 */
export function watchTokens(listener: TokenListener): () => void {
  tokenListeners.add(listener)
  return () => void tokenListeners.delete(listener)
}

const known = new Map<string, Activity>()

/** Activities of this process, by the ids of the redox-config nodes. */
export const activities: ReadonlyMap<string, Activity> = known

/** Returns the activity of a redox-config node: the same object after each deploy. */
export function activityOf(id: string, name?: string): Activity {
  const activity = known.get(id) ?? new Activity(id)
  if (name !== undefined) activity.name = name
  known.set(id, activity)
  return activity
}

/** Forgets the activity of a connection that was removed. */
export const forgetActivity = (id: string): void => void known.delete(id)
