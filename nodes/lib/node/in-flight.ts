import type { NodeMessageInFlow } from 'node-red'
import { RedoxError } from '../../../src/errors'
import type { Progress } from '../../../src/redox/delivery'

/** What an answer can be looked up by. `resource`: the id that the receiver gave. */
export interface AnswerId {
  kind: 'log' | 'message' | 'resource' | 'trace' | 'sha256'
  value: string
}

/** One message on its way through a node, as the status sees it. */
export interface Ticket {
  /** @param environment the sandbox and Production are shown: the one is no delivery, the other is to real patients */
  begin: (environment: string) => void
  progress: (progress: Progress) => void
  sent: (statusCode: number, way: string, id: AnswerId | undefined) => void
  /** for durable delivery */
  accepted: (id: string) => void
  failed: (error: unknown) => void
}

/** What becomes of a message that was delivered: these properties are set on it. */
export interface Answer {
  payload: unknown
  statusCode: number
  /** plain data that anyone can log */
  redox: Record<string, unknown> & { way: string; logIds?: string[]; messageId?: string; traceId?: string }
  /** the end of the status line */
  id?: AnswerId
  /** for `node.warn`, no patient data */
  warnings: string[]
}

/** What becomes of a message for durable delivery: its answer comes later. */
export interface Accepted {
  /** what the outbox calls it */
  id: string
  warnings: string[]
}

export type Done = { answer: Answer } | { accepted: Accepted }
export type Outcome = Done | { error: unknown }

/** One message on its way to Redox. It may outlive the node that it came to (see succession.ts). */
export class Work {
  /** its node was closed before it had ended */
  isLeft = false
  /** settles when the message was delivered, accepted, refused or stopped; never rejects */
  readonly ended: Promise<Outcome>
  /** once it has ended */
  outcome: Outcome | undefined
  /** `''` until the connection is open */
  environment = ''
  #ticket: Ticket | undefined
  #isUnderWay = false
  #hasLeft = false
  #isHurried = false
  #hasBegun = false
  readonly #stop = new AbortController()

  constructor(
    readonly msg: NodeMessageInFlow,
    run: (work: Work) => Promise<Done>,
  ) {
    this.ended = run(this)
      .catch((error: unknown) => ({ error: this.#isInTheWay(error) ? stopped() : error }))
      .then((outcome) => (this.outcome = outcome))
  }

  get signal(): AbortSignal {
    return this.#stop.signal
  }

  /** Whether requests of it are on their way, so that it must not be stopped without need. */
  get isUnderWay(): boolean {
    return this.#isUnderWay
  }

  /** Whether it was stopped before anything of it can have been delivered: it may begin anew. */
  get isUnsent(): boolean {
    const { outcome } = this
    return outcome !== undefined && 'error' in outcome && codeOf(outcome.error) === 'REDOX_ABORTED'
  }

  begin(environment: string): void {
    this.environment = environment
    this.#ticket?.begin(environment)
  }

  /** From now on it may be kept or delivered, whatever is told of it: it does not begin anew. */
  commit(): void {
    this.#hasBegun = true
  }

  /** What fails between a stop and the first request fails because the flow is being taken down. */
  #isInTheWay(error: unknown): boolean {
    return this.signal.aborted && !this.#hasBegun && codeOf(error) !== 'REDOX_ABORTED'
  }

  readonly onProgress = (progress: Progress): void => {
    this.#isUnderWay = progress.phase === 'upload' || progress.phase === 'send'
    this.#hasBegun ||= this.#isUnderWay
    this.#hasLeft = progress.hasLeft === true
    this.#ticket?.progress(progress)
    if (this.isLeft && !this.#isUnderWay) this.stop()
    if (this.#isHurried) this.hurry()
  }

  /** Node-RED ends: it is stopped as soon as no request of it can have arrived in part. */
  hurry(): void {
    this.#isHurried = true
    if (!this.#hasLeft) this.stop()
  }

  /**
   * Its node is closed. What waits costs nothing to begin anew, with the settings that are deployed then; what is under
   * way must not be torn apart, but is not tried again with settings that may have been corrected.
   */
  leave(): void {
    this.isLeft = true
    if (!this.#isUnderWay) this.stop()
  }

  /** Shows it in the status of a node. */
  showIn(ticket: Ticket): void {
    this.#ticket = ticket
    if (this.environment !== '') ticket.begin(this.environment)
  }

  stop(): void {
    this.#stop.abort(new DOMException('stopped', 'AbortError'))
  }
}

/** Of what was stopped before anything of it was sent: it begins anew in the node's successor. */
export const stopped = (): RedoxError =>
  new RedoxError('REDOX_ABORTED', 'Stopped before sending: the node was closed. Nothing was sent.')

export const codeOf = (error: unknown): string =>
  error instanceof RedoxError ? error.code : 'REDOX_INTERNAL'
