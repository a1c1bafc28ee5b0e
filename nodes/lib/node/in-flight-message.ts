import type { NodeMessageInFlow } from 'node-red'
import { RedoxError, type RedoxErrorCode } from '../../../src/errors'
import type { EqualMessage } from '../../../src/queue/equal-message'
import type { MessageFacts } from '../../../src/redox/activity'
import type { DirectMessage, DirectMessages } from '../../../src/redox/direct-messages'
import type { Progress } from '../../../src/redox/client-types'

/** Id by which a delivered message can be found. With kind `resource`, the receiver assigned the id. */
export interface AnswerId {
  kind: 'log' | 'message' | 'resource' | 'trace' | 'sha256'
  value: string
}

/** Callbacks that show one message in the status line of its node. */
export interface StatusEntry {
  /**
   * @param environment name of the environment. The status shows only the sandbox (no delivery) and Production (real
   * patients).
   */
  begin: (environment: string) => void
  /** called instead of `begin` for a message that the node does not send, but follows */
  follow: (environment: string) => void
  progress: (progress: Progress) => void
  sent: (statusCode: number, way: string, id: AnswerId | undefined) => void
  /** called with the id of a message that was accepted for durable delivery */
  accepted: (id: string) => void
  /** called with a log id of a message whose delivery is confirmed */
  delivered: (logId: string) => void
  failed: (error: unknown) => void
  /** called instead of `failed` for a message that the node followed: the status keeps counting these */
  unconfirmed: (error: unknown) => void
}

/** Answer to a delivered message. `payload`, `statusCode` and `redox` are set on the message that the node emits. */
export interface MessageAnswer {
  payload: unknown
  statusCode: number
  /** facts about the delivery for `msg.redox`: plain data that is safe to log */
  redox: Record<string, unknown> & { way: string; logIds?: string[]; messageId?: string; traceId?: string }
  /** id that is shown at the end of the status line */
  id?: AnswerId
  /** warnings for `node.warn`, without patient data */
  warnings: string[]
}

/** Acceptance of a message for durable delivery. The answer follows later. */
export interface AcceptedMessage {
  /** id of the message in the outbox */
  id: string
  /** earlier message with the same document */
  equal?: EqualMessage
  warnings: string[]
}

export type SendOutcome = { answer: MessageAnswer } | { accepted: AcceptedMessage }
export type InFlightOutcome = SendOutcome | { error: unknown }

/** Message on its way to Redox. May outlive the node that received the message (see handover.ts). */
export class InFlightMessage {
  /** true if the node was closed before the message had ended */
  isDetached = false
  /** resolves when the message was delivered, accepted, refused or stopped; never rejects */
  readonly ended: Promise<InFlightOutcome>
  /** outcome of the message, after it has ended */
  outcome: InFlightOutcome | undefined
  /** name of the environment; `''` until the connection is open */
  environment = ''
  /** facts of the prepared message for its count */
  facts: MessageFacts = {}
  #direct: DirectMessage | undefined
  #statusEntry: StatusEntry | undefined
  #isSending = false
  #hasLeft = false
  #isStoppingUnsent = false
  #hasBegun = false
  readonly #stop = new AbortController()

  constructor(
    readonly msg: NodeMessageInFlow,
    run: (work: InFlightMessage) => Promise<SendOutcome>,
  ) {
    this.ended = run(this)
      .catch((error: unknown) => ({ error: this.#isCausedByStop(error) ? stoppedError() : error }))
      .then((outcome) => (this.outcome = outcome))
  }

  get signal(): AbortSignal {
    return this.#stop.signal
  }

  /** True while a request with this message is being sent, so that the message should not be stopped. */
  get isSending(): boolean {
    return this.#isSending
  }

  /**
   * True if the message was stopped before Redox can have received any part of it, so that the message may start again.
   */
  get isUnsent(): boolean {
    const { outcome } = this
    return outcome !== undefined && 'error' in outcome && errorCodeOf(outcome.error) === 'REDOX_ABORTED'
  }

  begin(environment: string): void {
    this.environment = environment
    this.#statusEntry?.begin(environment)
  }

  /** Lists the message in the outbox until it has ended. Used for direct delivery. */
  listIn(messages: DirectMessages, owner: string, destination?: string): void {
    const message = messages.add(owner, this.environment, destination)
    this.#direct = message
    void this.ended.then((outcome) => {
      if (!('error' in outcome)) return messages.end(message)
      const { error } = outcome
      const traceId = error instanceof RedoxError ? error.cause.traceId : undefined
      messages.end(message, errorCodeOf(error), traceId)
    })
  }

  /** Adds the operation and the destination of the prepared message to the list of direct messages. */
  describe(operation: string, destination: string): void {
    if (this.#direct) Object.assign(this.#direct, { operation, destination })
  }

  readonly onFailure = (code: RedoxErrorCode): void => {
    if (!this.#direct) return
    this.#direct.attempts++
    this.#direct.reason = code
  }

  /**
   * Marks the message as possibly stored or delivered. From now on the message never starts again, whatever its
   * outcome.
   */
  commit(): void {
    this.#hasBegun = true
  }

  /**
   * Returns true for an error after the stop of the message and before its first request: the stop caused the error.
   */
  #isCausedByStop(error: unknown): boolean {
    return this.signal.aborted && !this.#hasBegun && errorCodeOf(error) !== 'REDOX_ABORTED'
  }

  readonly onProgress = (progress: Progress): void => {
    this.#isSending = progress.phase === 'upload' || progress.phase === 'send'
    this.#hasBegun ||= this.#isSending
    this.#hasLeft = progress.hasLeft === true
    this.#listProgress(progress)
    this.#statusEntry?.progress(progress)
    if (this.isDetached && !this.#isSending) this.stop()
    if (this.#isStoppingUnsent) this.stopUnsent()
  }

  #listProgress({ waitMs, endWait }: Progress): void {
    if (!this.#direct) return
    this.#direct.state = this.#isSending ? 'sending' : 'waiting'
    this.#direct.dueAt = waitMs === undefined ? undefined : Date.now() + waitMs
    this.#direct.endWait = endWait
  }

  /** Stops the message when Node-RED ends, but not while Redox may have received part of a request. */
  stopUnsent(): void {
    this.#isStoppingUnsent = true
    if (!this.#hasLeft) this.stop()
  }

  /**
   * Detaches the message from its node, which is being closed.
   * A waiting message is stopped, because it can start again without any loss, with the settings that are deployed
   * next. A request in progress is not interrupted, but is not retried, because the deploy may have corrected the
   * settings.
   */
  detach(): void {
    this.isDetached = true
    if (!this.#isSending) this.stop()
  }

  /** Shows the progress and the result of the message in the status line of a node. */
  showIn(entry: StatusEntry): void {
    this.#statusEntry = entry
    if (this.environment !== '') entry.begin(this.environment)
  }

  stop(): void {
    this.#stop.abort(new DOMException('stopped', 'AbortError'))
  }
}

/**
 * Returns the error of a message that was stopped before anything was sent. In a deploy, the redeployed node starts the
 * message again.
 */
export const stoppedError = (): RedoxError =>
  new RedoxError('REDOX_ABORTED', 'Stopped before sending: the node was closed. Nothing was sent.')

export const errorCodeOf = (error: unknown): string =>
  error instanceof RedoxError ? error.code : 'REDOX_INTERNAL'
