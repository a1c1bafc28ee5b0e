import type { AuditLineSummary, AuditResponse } from '../../src/shared/outbox-api'
import { button, element, folded } from '../tab/elements'
import { time } from '../tab/formats'
import { queryOf } from '../tab/request'
import { ask, notice, text } from './tab'
import { textButton } from './text-button'
import { destinationName, shortId, userName } from './words'

const PAGE = 50

/** List of audited actions with their users, newest first. */
export class AuditLog {
  readonly block: HTMLDetailsElement
  readonly #items = element('ul')
  readonly #place = element('div')
  readonly #earlier = button(text('record.earlier'), () => void this.#more())
  /** number of log lines that are newer than the shown ones */
  #before = 0

  /** @param route function that returns the route of the connection */
  constructor(
    private readonly route: () => string,
    private readonly onSubject: (subject: { destination: string } | { search: string }) => void,
  ) {
    const className = 'redox-outbox-block redox-outbox-record'
    this.block = folded(className, text('record.title'), this.#place, this.#items, this.#earlier).block
    this.block.addEventListener('toggle', () => void this.load())
  }

  async load(): Promise<void> {
    if (!this.block.open) return
    try {
      const { total } = await ask<AuditResponse>(`${this.route()}/audit?limit=1`)
      this.#before = total
      this.#items.replaceChildren()
      this.#place.replaceChildren(...(total === 0 ? [notice('noRecord')] : []))
      await this.#more()
    } catch {
      this.#place.replaceChildren(notice('failed'))
    }
  }

  async #more(): Promise<void> {
    const skip = Math.max(0, this.#before - PAGE)
    const limit = this.#before - skip
    this.#before = skip
    const query = queryOf({ skip, limit })
    const lines = limit > 0 ? (await ask<AuditResponse>(`${this.route()}/audit?${query}`)).lines : []
    this.#items.append(...lines.reverse().map((line) => this.#itemOf(line)))
    this.#earlier.hidden = this.#before === 0
  }

  #itemOf({ at, who, action, subject, reason }: AuditLineSummary): HTMLElement {
    const item = element('li', 'redox-tab-small')
    const begin = [time(at), userName(who), text(`recorded.${action}`)].join(' · ')
    const words = action === 'extend' ? withLocalTime(reason) : reason
    const about = action === 'begin-new' ? subject : this.#linkTo(subject)
    item.append(`${begin} · `, about, words === '' ? '' : ` · ${words}`)
    return item
  }

  #linkTo(subject: string): HTMLElement {
    const isDestination = subject.includes(' ')
    const label = isDestination ? destinationName(subject) : shortId(subject)
    return textButton(label, () =>
      this.onSubject(isDestination ? { destination: subject } : { search: subject }),
    )
  }
}

/** Replaces the UTC deadline, which the server adds to the reason of an extension, by local time. */
const withLocalTime = (reason: string): string =>
  reason.replace(
    / \(until (\S+Z)\)$/,
    (_all, until: string) => ` · ${text('recorded.until', { until: time(until) })}`,
  )
