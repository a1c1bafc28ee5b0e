import type { IdentifiersResponse, MessageDetails, MessageSummary } from '../../src/shared/outbox-api'
import { isRefusedLater } from '../../src/shared/values'
import { element, icon, write } from '../tab/elements'
import { age } from '../tab/formats'
import { RequestError } from '../tab/request'
import type { Row } from '../tab/sidebar-tab'
import { ContentView } from './content-view'
import type { OnDecided, OnTryNow } from './decision-button'
import { FOUND } from './look-up'
import { actionButtons } from './message-actions'
import { aboutMessage, outcomeOf, tellNext } from './message-details'
import { ask, may, notice, tab, text } from './tab'
import { destinationId, destinationName, iconOf, shortId, stateText } from './words'

export interface MessageRowOptions {
  /** returns the admin route of the message with the given id */
  routeOf: (id: string) => string
  onDecided: OnDecided
  onTryNow: OnTryNow
  /** shows the message with the given id in place of the list */
  onShow: (id: string) => void
}

/** Elements of an open message's details, from top to bottom. */
interface Details {
  /** element that shows the time of the next attempt */
  next: HTMLElement
  outcome: HTMLElement
  /** element with buttons, forms, and the content of the message or one of its files */
  decision: HTMLElement
  about: HTMLElement
}

/** Row of the message list. While the row is open, the details of the message are shown below its line. */
export class MessageRow {
  readonly #state = element('span', 'redox-outbox-state redox-tab-strong')
  readonly #operation = element('span')
  readonly #small = element('span', 'redox-tab-small')
  readonly #row: Row
  #message: MessageSummary
  /** summary of the message that the row currently shows, as JSON */
  #known = ''
  #knownDetails = ''
  /** document and order IDs of the message, which never change, once they were loaded */
  #identifiers: IdentifiersResponse['identifiers'] | undefined
  #details: Details | undefined
  readonly #view = new ContentView()

  constructor(
    first: MessageSummary,
    private readonly options: MessageRowOptions,
  ) {
    this.#message = first
    this.#row = tab.row({
      id: first.id,
      parts: [this.#state, this.#operation, this.#small],
      fill: (place) => void this.#fill(place),
      forget: () => this.#forget(),
    })
    this.update(first)
  }

  get item(): HTMLElement {
    return this.#row.item
  }

  get isOpen(): boolean {
    return this.#row.place() !== undefined
  }

  open(): void {
    this.#row.open()
  }

  close(): void {
    this.#row.close()
  }

  focus(): void {
    this.#row.line.focus()
  }

  #forget(): void {
    this.#details = undefined
    this.#identifiers = undefined
    this.#view.clear()
  }

  update(message: MessageSummary): void {
    this.#message = message
    const { id, state, operation, destination, reason, acceptedAt, attempts } = message
    const shown = stateText(message)
    if (this.#state.textContent.trim() !== shown)
      this.#state.replaceChildren(icon(iconOf(message)), element('span', '', shown))
    this.#state.classList.toggle('redox-outbox-refused', isRefusedLater(message))
    write(this.#operation, [operation, destinationName(destination)].filter(Boolean).join(' · '))
    this.#operation.title = destinationId(destination)
    const accepted = text('accepted', { age: age(acceptedAt) })
    const code = reason?.startsWith('REDOX_') ? reason : undefined
    const small = [shortId(id), accepted, text('attempts', { count: attempts }), code]
    write(this.#small, small.filter(Boolean).join(' · '))
    const isNew = JSON.stringify(message) !== this.#known
    this.#known = JSON.stringify(message)
    const place = this.#row.place()
    // The time of the next attempt changes even if the summary of the message does not.
    if (place && (isNew || state === 'waiting')) void this.#fill(place)
  }

  async #fill(place: HTMLElement): Promise<void> {
    try {
      const whole = await ask<MessageDetails>(this.options.routeOf(this.#message.id))
      const identifiers = this.#identifiers ?? (await this.#loadIdentifiers(whole))
      // A row that was closed meanwhile keeps nothing of its message.
      if (!place.isConnected) return
      this.#identifiers = identifiers
      this.#show(place, whole)
    } catch (failure) {
      const isGone = failure instanceof RequestError && failure.status === 404
      if (isGone) {
        this.#forget()
        place.replaceChildren(notice('gone'))
      } else if (place.childElementCount === 0) place.append(notice('failed'))
    }
  }

  /** Returns undefined if the user may not see the identifiers, or if they cannot be loaded now. */
  async #loadIdentifiers(whole: MessageDetails): Promise<IdentifiersResponse['identifiers'] | undefined> {
    const mayLook = whole.identifiersForReaders ?? may('content')
    if (!mayLook || whole.contentIsClosed || whole.unreadable) return undefined
    const path = `${this.options.routeOf(whole.id)}/identifiers`
    return ask<IdentifiersResponse>(path).then(
      ({ identifiers }) => identifiers,
      () => undefined,
    )
  }

  #show(place: HTMLElement, whole: MessageDetails): void {
    const old = this.#details
    const next = old?.next ?? element('p', 'redox-outbox-next')
    tellNext(next, whole, this.options.onShow)
    const detailsJson = JSON.stringify([whole, this.#identifiers])
    if (old && detailsJson === this.#knownDetails) return
    this.#knownDetails = detailsJson
    const details = { next, outcome: outcomeOf(whole), about: aboutMessage(whole, this.#identifiers) }
    if (old && (this.#view.isFilled || old.decision.querySelector(`form, .${FOUND}`))) {
      // A form that the user is filling in, and a content or found logs that the user is reading, stay open.
      old.outcome.replaceWith(details.outcome)
      old.about.replaceWith(details.about)
      this.#details = { ...details, decision: old.decision }
      return
    }
    const decision = this.#decisionBlock(whole)
    this.#details = { ...details, decision }
    // The buttons are placed below the reason of the state, and above the details that are rarely needed.
    place.replaceChildren(next, details.outcome, decision, details.about)
  }

  #decisionBlock(message: MessageDetails): HTMLElement {
    const block = element('div', 'redox-outbox-decision')
    const place = element('div')
    const view = this.#view
    const onDecided: OnDecided = (...args) => {
      // After a decision, the displayed content and the found logs are outdated.
      view.clear()
      place.querySelector(`.${FOUND}`)?.remove()
      this.options.onDecided(...args)
    }
    const { routeOf, onTryNow } = this.options
    const route = routeOf(message.id)
    block.append(
      actionButtons({ message, place, view, route, onDecided, onTryNow }),
      ...[place, view.element],
    )
    return block
  }
}
