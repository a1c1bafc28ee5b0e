import type { RedoxErrorCode } from '../errors'
import { generatedId } from './public-facts'

/** Time in milliseconds that the outbox lists a message after the message ended with an unknown outcome. */
export const UNKNOWN_LISTED_MS = 3_600_000
/** Number of messages with an unknown outcome that one connection lists at most. */
export const MAX_UNKNOWN = 1_000

/** Message of direct delivery that is waiting or being sent. Contains no content, no file name and no identifier. */
export interface DirectMessage {
  readonly id: number
  /** id of the node that received the message from the flow */
  readonly owner: string
  /** `sandbox`, or the name of the environment */
  readonly environment: string
  /** milliseconds since 1970 */
  readonly acceptedAt: number
  /** `waiting`: for a slot, the rate limiter or the next attempt */
  state: 'waiting' | 'sending'
  /** undefined until the message is prepared */
  operation?: string
  /** destination, see `destinationOf` in `src/queue/jobs.ts`; `upload`; undefined while it is not known */
  destination?: string | undefined
  /** number of attempts that failed */
  attempts: number
  /** code of the last failure */
  reason?: RedoxErrorCode
  /** while the message waits for the next attempt: when that may begin, in milliseconds since 1970 */
  dueAt?: number | undefined
  /** while the message waits for the next attempt: ends the wait */
  endWait?: (() => void) | undefined
}

/** Message that ended with REDOX_OUTCOME_UNKNOWN. */
export interface UnknownMessage extends Omit<DirectMessage, 'state' | 'dueAt' | 'endWait'> {
  state: 'unknown'
  /** trace id of Redox's answer, if there was one and it has the form of a generated id */
  traceId?: string | undefined
  /** milliseconds since 1970 */
  endedAt: number
}

/** State in which the outbox lists a message. */
export type DirectState = (DirectMessage | UnknownMessage)['state']

/**
 * Messages of one connection that are delivered directly: the messages in progress, and the messages of the last hour
 * whose outcome is unknown. For display only, and kept over deploys. The number of messages in progress is limited by
 * the memory for waiting messages (see `Semaphore`).
 */
export class DirectMessages {
  /** name of the redox-config node */
  name = ''
  #lastId = 0
  readonly #inFlight = new Map<number, DirectMessage>()
  /** messages with an unknown outcome, oldest first; their times are of the monotonic clock */
  readonly #unknown = new Map<number, { message: UnknownMessage; until: number }>()

  /** Adds a message that a node has received. */
  add(owner: string, environment: string, destination?: string): DirectMessage {
    const id = ++this.#lastId
    const acceptedAt = Date.now()
    const known = { id, owner, environment, destination, acceptedAt }
    const message: DirectMessage = { ...known, state: 'waiting', attempts: 0 }
    this.#inFlight.set(id, message)
    return message
  }

  /**
   * Removes a message that has ended, and lists it for an hour if its outcome is unknown.
   * @param code error code; undefined: delivered
   * @param traceId trace id of the answer; may be any text
   */
  end(message: DirectMessage, code?: string, traceId?: string): void {
    this.#inFlight.delete(message.id)
    if (code !== 'REDOX_OUTCOME_UNKNOWN') return
    this.#forgetOld()
    const [oldest] = this.#unknown.keys()
    if (oldest !== undefined && this.#unknown.size >= MAX_UNKNOWN) this.#unknown.delete(oldest)
    const { dueAt: _dueAt, endWait: _endWait, ...known } = message
    const ending = { reason: code, endedAt: Date.now(), traceId: generatedId(traceId) } as const
    const unknown: UnknownMessage = { ...known, ...ending, state: 'unknown' }
    this.#unknown.set(message.id, { message: unknown, until: performance.now() + UNKNOWN_LISTED_MS })
  }

  /**
   * Ends the wait of a message for its next attempt.
   * @returns false if no message with this id waits for its next attempt
   */
  tryNow(id: number): boolean {
    const message = this.#inFlight.get(id)
    if (message?.endWait === undefined) return false
    message.endWait()
    message.endWait = message.dueAt = undefined
    return true
  }

  /** Number of listed messages in each state. */
  counts(): Record<DirectState, number> {
    this.#forgetOld()
    let sending = 0
    for (const { state } of this.#inFlight.values()) if (state === 'sending') sending++
    return { waiting: this.#inFlight.size - sending, sending, unknown: this.#unknown.size }
  }

  /** Returns the newest messages, newest first, and the number of all. */
  list(limit: number): { messages: (DirectMessage | UnknownMessage)[]; total: number } {
    this.#forgetOld()
    const unknown = [...this.#unknown.values()].map(({ message }) => message)
    // Messages with an unknown outcome are stored in the order of their end, so the list has to be sorted by the number
    // that each message got on arrival.
    const newest = [...[...this.#inFlight.values()].slice(-limit), ...unknown]
    const messages = newest.sort((a, b) => b.id - a.id).slice(0, limit)
    return { messages, total: this.#inFlight.size + unknown.length }
  }

  #forgetOld(): void {
    const now = performance.now()
    for (const [id, { until }] of this.#unknown) {
      if (until > now) return
      this.#unknown.delete(id)
    }
  }
}

interface Named {
  id: string
  name?: string | undefined
}

const connections = new Map<string, DirectMessages>()

/** Direct messages of this process, by the ids of the redox-config nodes. */
export const directConnections: ReadonlyMap<string, DirectMessages> = connections

/** Returns the direct messages of a redox-config node: the same object after each deploy. */
export function directMessagesOf({ id, name = '' }: Named): DirectMessages {
  const messages = connections.get(id) ?? new DirectMessages()
  messages.name = name
  connections.set(id, messages)
  return messages
}

/** Forgets the messages of a connection that was removed. */
export const forgetDirectMessages = (id: string): void => void connections.delete(id)
