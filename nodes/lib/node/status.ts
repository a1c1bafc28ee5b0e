import type { Node, NodeAPI, NodeStatus } from 'node-red'
import type { RedoxErrorCode } from '../../../src/error-codes'
import { RedoxError, type Problem } from '../../../src/errors'
import type { Progress } from '../../../src/redox/client-types'
import { STATUS_TEXTS, waitingText } from '../connection/waiting-text'
import { fieldAt } from '../fields/lookup'
import type { Table } from '../fields/types'
import type { AnswerId, StatusEntry } from './in-flight-message'

// Minimum interval in milliseconds between changes, because each change is sent to Status nodes and to every open
// editor.
const EVERY_MS = 1000
// Number of changes that are shown without delay: enough for the start and the end of a single message.
const AT_ONCE = 2
// Bytes from which an upload shows a percentage: smaller uploads end before a person could read the percentage.
const PERCENT_FROM_BYTES = 1_000_000
/** Catalogue keys of the environments that are shown at the beginning of the status line. */
const SHOWN: Record<string, string> = { sandbox: 'sandbox', Production: 'production' }
const SEPARATOR = ' · '
// Characters of an id that fit into the status line: the first group of a UUID.
const SHORT_ID = 8
/** Errors of followed messages that the status counts: "2 not delivered". */
const UNCONFIRMED = ['REDOX_NOT_DELIVERED', 'REDOX_NOT_CONFIRMED'] as const
type UnconfirmedCode = (typeof UNCONFIRMED)[number]
/** Maximum number of counted messages whose ids are known. An older one counts until the next deploy. */
const MAX_UNCONFIRMED_IDS = 1000

/** Messages for the destinations of the node that durable delivery has accepted but not delivered. */
export interface Backlog {
  environment: string
  /** number of messages that wait or are being sent */
  waiting: number
  parked: number
  /**
   * true if one of the destinations is stopped: one of its messages is parked, or a person has paused the destination
   */
  isStopped: boolean
  /** error code of the last attempt to a destination that no message currently reaches */
  failure?: RedoxErrorCode
  /** code of the error that makes the store unusable */
  code?: RedoxErrorCode
}

/** Progress of a message that is in flight at Redox, not at this node. */
interface FollowProgress {
  phase: 'follow'
}

/** Result of the message that ended last. */
interface LastResult {
  failed: boolean
  text: () => string
}

/**
 * Status line of a send node: number of waiting and in-flight messages, progress of an upload, result of the last
 * message, and the environment if the environment is the sandbox or Production. That of a redox-log node also has the
 * number of messages that were not delivered or not confirmed. Changes at most once a second, except for the first
 * changes.
 */
export class Status {
  readonly #inFlight = new Map<StatusEntry, Progress | FollowProgress>()
  #environment = ''
  #backlog: Backlog | undefined
  #ended: LastResult | undefined
  /** followed messages since the node was created: the next delivery must not hide that one has failed */
  readonly #unconfirmed = { REDOX_NOT_DELIVERED: 0, REDOX_NOT_CONFIRMED: 0 }
  /** code by which a message in the outbox is counted until it is delivered again, or a person has decided about it */
  readonly #unconfirmedById = new Map<string, UnconfirmedCode>()
  #shown = ''
  #credit = AT_ONCE
  #creditAt = performance.now()
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(
    private readonly RED: NodeAPI,
    private readonly node: Node,
    private readonly table: Table,
  ) {}

  /**
   * Returns the callbacks that show a message in the status line. The message counts as in flight from `begin` on.
   * @param outboxId id of a followed message in the outbox; undefined: it is not known, or the message is not followed
   */
  newEntry(outboxId?: string): StatusEntry {
    const entry: StatusEntry = {
      begin: (environment) => {
        this.#environment = environment
        entry.progress({ phase: 'send', sent: 0, total: 0 })
      },
      follow: (environment) => {
        this.#environment = environment
        this.#progress(entry, { phase: 'follow' })
      },
      progress: (progress) => this.#progress(entry, progress),
      sent: (statusCode, way, id) => {
        // Translated only when shown, because a translation takes as long as building a message.
        const text = (): string =>
          [String(statusCode), this.#word(`way.${way}`), id && this.#idText(id)]
            .filter(Boolean)
            .join(SEPARATOR)
        this.#end(entry, { failed: false, text })
      },
      accepted: (id) =>
        this.#end(entry, {
          failed: false,
          text: () => `${this.#word('accepted')} ${id.slice(0, SHORT_ID)}`,
        }),
      delivered: (id) => {
        this.#uncount(outboxId)
        this.#end(entry, {
          failed: false,
          text: () => `${this.#word('delivered')} ${id.slice(0, SHORT_ID)}`,
        })
      },
      failed: (error) => this.#end(entry, { failed: true, text: () => this.#reason(error) }),
      unconfirmed: (error) => {
        const code = UNCONFIRMED.find((one) => error instanceof RedoxError && error.code === one)
        // Every other error leaves it open whether the message was delivered.
        this.#count(code ?? 'REDOX_NOT_CONFIRMED', outboxId)
        this.#end(entry, { failed: true, text: () => (code ? '' : this.#reason(error)) })
      },
    }
    return entry
  }

  /** Returns true if a message of the outbox is counted as not delivered. */
  isRefused(outboxId: string): boolean {
    return this.#unconfirmedById.get(outboxId) === 'REDOX_NOT_DELIVERED'
  }

  /** Ends the count of a message that was not delivered, because a person has decided about it in the outbox. */
  decided(outboxId: string): void {
    if (!this.isRefused(outboxId)) return
    this.#uncount(outboxId)
    // The result of the message that ended last may be such a message, which has no text of its own.
    if (this.#unconfirmedTexts().length === 0 && this.#ended?.text() === '') this.#ended = undefined
    this.#changed()
  }

  backlog(backlog: Backlog): void {
    const { environment, waiting, parked, isStopped, code } = backlog
    const isEmpty = waiting + parked === 0 && !isStopped && code === undefined
    if (isEmpty && this.#backlog === undefined) return
    if (environment !== '') this.#environment = environment
    this.#backlog = isEmpty ? undefined : backlog
    this.#changed()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.node.status({})
  }

  #progress(entry: StatusEntry, progress: Progress | FollowProgress): void {
    this.#inFlight.set(entry, progress)
    this.#changed()
  }

  #end(entry: StatusEntry, ended: LastResult): void {
    this.#inFlight.delete(entry)
    this.#ended = ended
    this.#changed()
  }

  /** Counts a followed message that was not delivered or not confirmed; a message in the outbox counts once. */
  #count(code: UnconfirmedCode, outboxId: string | undefined): void {
    this.#uncount(outboxId)
    this.#unconfirmed[code]++
    if (outboxId === undefined) return
    const [oldest] = this.#unconfirmedById.keys()
    if (oldest !== undefined && this.#unconfirmedById.size >= MAX_UNCONFIRMED_IDS)
      this.#unconfirmedById.delete(oldest)
    this.#unconfirmedById.set(outboxId, code)
  }

  #uncount(outboxId = ''): void {
    const code = this.#unconfirmedById.get(outboxId)
    if (code !== undefined && this.#unconfirmedById.delete(outboxId)) this.#unconfirmed[code]--
  }

  #changed(): void {
    if (this.#closed || this.#timer) return
    const now = performance.now()
    this.#credit = Math.min(AT_ONCE, this.#credit + (now - this.#creditAt) / EVERY_MS)
    this.#creditAt = now
    if (this.#credit >= 1) return this.#show()
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        this.#changed()
      },
      Math.ceil((1 - this.#credit) * EVERY_MS),
    ).unref()
  }

  #show(): void {
    const status = this.#line()
    const shown = JSON.stringify(status)
    if (shown === this.#shown) return
    this.#shown = shown
    this.#credit--
    this.node.status(status)
  }

  #line(): NodeStatus {
    const failed = this.#ended?.failed === true
    const all = [...this.#inFlight.values()]
    const moving = all.filter(({ phase }) => phase !== 'wait')
    const isBusy = all.length > 0
    const busy = [this.#movingText(moving), waitingText(this.RED, all.length - moving.length)]
    const parts = isBusy ? [...busy, failed ? (this.#ended?.text() ?? '') : ''] : [this.#ended?.text() ?? '']
    const shown = SHOWN[this.#environment]
    const environment = shown === undefined ? '' : this.#word(`environment.${shown}`)
    const { code, parked = 0, isStopped = false } = this.#backlog ?? {}
    const unconfirmed = this.#unconfirmedTexts()
    const isBad = failed || unconfirmed.length > 0 || code !== undefined || parked > 0 || isStopped
    return {
      fill: isBad ? 'red' : this.#backlog ? 'yellow' : isBusy ? 'blue' : 'green',
      shape: isBad ? 'ring' : 'dot',
      // The end of a long line is covered by the next node, so what is wrong comes first.
      text: inLine(environment, [
        ...unconfirmed,
        ...(failed ? [...parts, ...this.#backlogTexts()] : [...this.#backlogTexts(), ...parts]),
      ]),
    }
  }

  #unconfirmedTexts(): string[] {
    return UNCONFIRMED.filter((code) => this.#unconfirmed[code] > 0).map(
      (code) => `${this.#unconfirmed[code]} ${this.#word(`error.${code}`)}`,
    )
  }

  #backlogTexts(): string[] {
    if (!this.#backlog) return []
    const { waiting, parked, isStopped, failure, code = failure } = this.#backlog
    const stopped = isStopped ? this.#word('stopped') : ''
    return [
      code === undefined ? '' : this.#word(`error.${code}`),
      parked === 0 ? '' : `${this.#word('parked')} ${parked}`,
      stopped,
      waitingText(this.RED, waiting),
    ]
  }

  #movingText(moving: (Progress | FollowProgress)[]): string {
    const [one, ...others] = moving
    if (one === undefined) return ''
    if (one.phase === 'follow') return this.#word('following', { number: String(moving.length) })
    if (others.length > 0) return this.#word('sendingMany', { number: String(moving.length) })
    if (one.phase === 'retry') return this.#word('retrying')
    if (one.phase === 'send' || one.total < PERCENT_FROM_BYTES) return this.#word('sending')
    return `${this.#word('uploading')} ${Math.floor((one.sent / one.total) * 100)} %`
  }

  #idText({ kind, value }: AnswerId): string {
    return `${this.#word(`id.${kind}`)} ${value.slice(0, SHORT_ID)}`
  }

  /**
   * Returns a short reason for an error: for an invalid message, the first wrong field and the number of other wrong
   * fields.
   */
  #reason(error: unknown): string {
    if (!(error instanceof RedoxError)) return this.#word('error.REDOX_INTERNAL')
    if (error.inBrief !== undefined) return this.#word(`brief.${error.inBrief}`)
    const [first, ...others] = error.cause.problems ?? []
    const said = (first && this.#fieldText(first)) ?? this.#word(`error.${error.code}`)
    return others.length === 0 ? said : `${said} +${others.length}`
  }

  #fieldText({ path, problem }: Problem): string | undefined {
    const name = fieldAt(this.table, path)
    if (name === undefined) return undefined
    const field = this.#word(`field.${name}`)
    const isMissing = /^is (missing|empty)/.test(problem)
    return isMissing ? this.#word('missing', { field }) : this.#word('wrong', { field })
  }

  #word(key: string, values?: Record<string, string>): string {
    return this.RED._(`${STATUS_TEXTS}${key}`, values)
  }
}

/**
 * Returns the status line, e.g. `sandbox 200 · embed` or `sandbox · Patient ID missing`. Without the separator,
 * environment and result text would read as one phrase.
 */
function inLine(environment: string, parts: string[]): string {
  const rest = parts.filter((part) => part !== '').join(SEPARATOR)
  return [environment, rest].filter((part) => part !== '').join(/^\d{3}( |$)/.test(rest) ? ' ' : SEPARATOR)
}
