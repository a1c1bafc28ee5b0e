import type { MessageDetails, MessageSummary } from '../../src/shared/outbox-api'
import { element, icon, write } from '../tab/elements'
import { age } from '../tab/formats'
import { RequestError } from '../tab/request'
import type { Row } from '../tab/sidebar-tab'
import { actionButtons, type OnDecided } from './message-actions'
import { aboutMessage, outcomeOf, whatNext } from './message-details'
import { ask, notice, tab, text } from './tab'
import { destinationName, ICONS, reasonText, shortId } from './words'

/** Parts of an open message's details, from top to bottom. */
interface Details {
  /** element with the time of the next attempt */
  next: HTMLElement
  outcome: HTMLElement
  /** buttons, forms and the content of the message */
  decision: HTMLElement
  about: HTMLElement
}

/** Row of the message list, with the details of the message below while the row is open. */
export class MessageRow {
  readonly #state = element('span', 'redox-outbox-state redox-tab-strong')
  readonly #destination = element('span')
  readonly #small = element('span', 'redox-tab-small')
  readonly #row: Row
  #message: MessageSummary
  /** shown summary of the message, as JSON */
  #known = ''
  #knownDetails = ''
  #details: Details | undefined

  /** @param routeOf returns the route of a message with an id */
  constructor(
    first: MessageSummary,
    private readonly routeOf: (id: string) => string,
    private readonly onDecided: OnDecided,
  ) {
    this.#message = first
    this.#row = tab.row({
      id: first.id,
      parts: [this.#state, this.#destination, this.#small],
      fill: (place) => void this.#fill(place),
      forget: () => (this.#details = undefined),
    })
    this.update(first)
  }

  get item(): HTMLElement {
    return this.#row.item
  }

  update(message: MessageSummary): void {
    this.#message = message
    const { id, state, destination, reason, acceptedAt, attempts } = message
    const shown = [text(`state.${state}`), reason && reasonText(reason)].filter(Boolean).join(' · ')
    if (this.#state.textContent.trim() !== shown)
      this.#state.replaceChildren(icon(ICONS[state]), element('span', '', shown))
    write(this.#destination, destinationName(destination))
    const accepted = text('accepted', { age: age(acceptedAt) })
    write(this.#small, [shortId(id), accepted, text('attempts', { count: attempts })].join(' · '))
    const isNew = JSON.stringify(message) !== this.#known
    this.#known = JSON.stringify(message)
    const place = this.#row.place()
    // The time of the next attempt changes without a change of the summary.
    if (place && (isNew || state === 'waiting')) void this.#fill(place)
  }

  async #fill(place: HTMLElement): Promise<void> {
    try {
      const whole = await ask<MessageDetails>(this.routeOf(this.#message.id))
      if (place.isConnected) this.#show(place, whole)
    } catch (failure) {
      const isGone = failure instanceof RequestError && failure.status === 404
      if (isGone) place.replaceChildren(notice('gone'))
      else if (place.childElementCount === 0) place.append(notice('failed'))
      if (isGone) this.#details = undefined
    }
  }

  #show(place: HTMLElement, whole: MessageDetails): void {
    const old = this.#details
    const next = old?.next ?? element('p', 'redox-outbox-next')
    write(next, whatNext(whole))
    next.hidden = next.textContent === ''
    const detailsJson = JSON.stringify(whole)
    if (old && detailsJson === this.#knownDetails) return
    this.#knownDetails = detailsJson
    const details = { next, outcome: outcomeOf(whole), about: aboutMessage(whole) }
    if (old?.decision.querySelector('form, pre')) {
      // A form that a user fills, or a content that a user reads, stays open.
      old.outcome.replaceWith(details.outcome)
      old.about.replaceWith(details.about)
      this.#details = { ...details, decision: old.decision }
      return
    }
    if (place.contains(document.activeElement)) this.#row.line.focus()
    const decision = this.#decisionBlock(place, whole)
    this.#details = { ...details, decision }
    // The actions follow the reason of the state, and precede the details that are rarely needed.
    place.replaceChildren(next, details.outcome, decision, details.about)
  }

  #decisionBlock(place: HTMLElement, message: MessageDetails): HTMLElement {
    const block = element('div', 'redox-outbox-decision')
    const onDecided: OnDecided = (...args) => {
      // The content is outdated after a decision.
      place.querySelector('pre')?.remove()
      this.onDecided(...args)
    }
    block.append(actionButtons({ message, place: block, route: this.routeOf(message.id), onDecided }))
    return block
  }
}
