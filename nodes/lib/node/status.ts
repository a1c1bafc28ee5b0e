import type { Node, NodeAPI, NodeStatus } from 'node-red'
import type { RedoxErrorCode } from '../../../src/error-codes'
import { RedoxError, type Problem } from '../../../src/errors'
import type { Progress } from '../../../src/redox/delivery'
import { STATUS_TEXTS, waitingText } from '../connection/waiting-text'
import { fieldAt } from '../fields/lookup'
import type { Table } from '../fields/types'
import type { AnswerId, Ticket } from './in-flight'

// Status nodes and every open editor hear of each change.
const EVERY_MS = 1000
// The begin and the end of a lone message are both seen at once.
const AT_ONCE = 2
// Smaller uploads are over before a person could read a percentage.
const PERCENT_FROM_BYTES = 1_000_000
/** Environments that stand in front of the line, by their keys in the catalogue. */
const SHOWN: Record<string, string> = { sandbox: 'sandbox', Production: 'production' }
const SEPARATOR = ' · '
// What fits into the line: the first group of a UUID.
const SHORT_ID = 8

/** What durable delivery has accepted for the destinations of the node, and not delivered. */
export interface Backlog {
  environment: string
  /** messages that wait, or are being sent */
  waiting: number
  parked: number
  /** nothing goes to one of the destinations: a message to it is parked, or a person has paused it */
  isStopped: boolean
  /** why the last attempt to one of the destinations failed, as long as nothing gets through */
  failure?: RedoxErrorCode
  /** why the store cannot be used */
  code?: RedoxErrorCode
}

/** How the last message ended. */
interface Ended {
  failed: boolean
  text: () => string
}

/**
 * The status line of a send node: how many wait and are under way, how far an upload is, how the last message
 * ended, and whether it went to the sandbox or to Production. At most one change a second, apart from the first ones.
 */
export class Status {
  readonly #underWay = new Map<Ticket, Progress>()
  #environment = ''
  #backlog: Backlog | undefined
  #ended: Ended | undefined
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

  /** A message's place in the status; shown once it begins. */
  ticket(): Ticket {
    const ticket: Ticket = {
      begin: (environment) => {
        this.#environment = environment
        ticket.progress({ phase: 'send', sent: 0, total: 0 })
      },
      progress: (progress) => {
        this.#underWay.set(ticket, progress)
        this.#changed()
      },
      sent: (statusCode, way, id) => {
        // Put into words only if it is shown: translating costs as much as building the message.
        const text = (): string =>
          [String(statusCode), this.#word(`way.${way}`), id && this.#idText(id)]
            .filter(Boolean)
            .join(SEPARATOR)
        this.#end(ticket, { failed: false, text })
      },
      accepted: (id) =>
        this.#end(ticket, {
          failed: false,
          text: () => `${this.#word('accepted')} ${id.slice(0, SHORT_ID)}`,
        }),
      failed: (error) => this.#end(ticket, { failed: true, text: () => this.#reason(error) }),
    }
    return ticket
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

  #end(ticket: Ticket, ended: Ended): void {
    this.#underWay.delete(ticket)
    this.#ended = ended
    this.#changed()
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
    const all = [...this.#underWay.values()]
    const moving = all.filter(({ phase }) => phase !== 'wait')
    const isBusy = all.length > 0
    const busy = [this.#movingText(moving), waitingText(this.RED, all.length - moving.length)]
    const parts = isBusy ? [...busy, failed ? (this.#ended?.text() ?? '') : ''] : [this.#ended?.text() ?? '']
    const shown = SHOWN[this.#environment]
    const environment = shown === undefined ? '' : this.#word(`environment.${shown}`)
    const { code, parked = 0, isStopped = false } = this.#backlog ?? {}
    const isBad = failed || code !== undefined || parked > 0 || isStopped
    return {
      fill: isBad ? 'red' : this.#backlog ? 'yellow' : isBusy ? 'blue' : 'green',
      shape: isBad ? 'ring' : 'dot',
      text: inLine(environment, [...parts, ...this.#backlogTexts()]),
    }
  }

  #backlogTexts(): string[] {
    if (!this.#backlog) return []
    const { waiting, parked, isStopped, failure, code = failure } = this.#backlog
    const stopped = isStopped ? this.#word('stopped') : ''
    return [
      code === undefined ? '' : this.#word(`error.${code}`),
      waitingText(this.RED, waiting),
      parked === 0 ? '' : `${this.#word('parked')} ${parked}`,
      stopped,
    ]
  }

  #movingText(moving: Progress[]): string {
    const [one, ...others] = moving
    if (one === undefined) return ''
    if (others.length > 0) return this.#word('sendingMany', { number: String(moving.length) })
    if (one.phase === 'retry') return this.#word('retrying')
    if (one.phase === 'send' || one.total < PERCENT_FROM_BYTES) return this.#word('sending')
    return `${this.#word('uploading')} ${Math.floor((one.sent / one.total) * 100)} %`
  }

  #idText({ kind, value }: AnswerId): string {
    return `${this.#word(`id.${kind}`)} ${value.slice(0, SHORT_ID)}`
  }

  /** What is wrong in a few words: of a message that is not valid, the first field, and how many more there are. */
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

/** `sandbox 200 · embed`, but `sandbox · Patient ID missing`: a word right after the environment would read as one phrase. */
function inLine(environment: string, parts: string[]): string {
  const rest = parts.filter((part) => part !== '').join(SEPARATOR)
  return [environment, rest].filter((part) => part !== '').join(/^\d{3}( |$)/.test(rest) ? ' ' : SEPARATOR)
}
