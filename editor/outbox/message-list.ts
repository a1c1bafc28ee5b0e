import type { MessageSummary } from '../../src/shared/outbox-api'
import { button, element } from '../tab/elements'
import { KeyedRows } from './keyed-rows'
import { MessageRow, type MessageRowOptions } from './message-row'
import { tab, text } from './tab'

/** Maximum number of shown pages. */
const MAX_PAGES = 20

interface MessageListOptions extends MessageRowOptions {
  onMore: () => void
}

export interface MessagePages {
  messages: MessageSummary[]
  /** messages of open rows that no longer match the filter, but stay listed */
  kept: MessageSummary[]
  /** number of pages to load */
  pages: number
  isMore: boolean
  /** catalogue key of the text for an empty list */
  emptyNotice: string
}

export class MessageList {
  readonly elements: HTMLElement[]
  readonly #items = element('ul', 'redox-outbox-messages')
  readonly #more = element('div', 'redox-outbox-more')
  readonly #empty = tab.noticePlace()
  /** ids of the messages whose rows are opened when the list is shown next */
  #toOpen: string[] = []
  /** id of the message whose row gets the focus when the list is shown next, if the focus is still at the list */
  #toFocus: string | undefined
  readonly #rows = new KeyedRows<MessageRow>()

  constructor(private readonly options: MessageListOptions) {
    // The list can have the focus of a row that is removed.
    this.#items.tabIndex = -1
    this.#items.setAttribute('aria-label', text('messages'))
    this.#empty.place.setAttribute('role', 'status')
    this.#more.append(button(text('more'), options.onMore))
    this.#more.hidden = true
    this.elements = [this.#empty.place, this.#items, this.#more]
  }

  focus(): void {
    this.#items.focus()
  }

  clear(): void {
    this.#rows.keep([])
  }

  /** Ids of the messages whose details are shown. */
  get openIds(): string[] {
    return this.#rows.keys.filter((id) => this.#rows.get(id)?.isOpen)
  }

  /** Id of the message whose row has the focus. */
  get focusedId(): string | undefined {
    return this.#rows.keys.find((id) => this.#rows.get(id)?.item.contains(document.activeElement))
  }

  /** Opens the rows of messages, if the list that is shown next has them. */
  openSoon(ids: string[]): void {
    this.#toOpen = ids
  }

  /** Moves the focus to the list, and then to the row of a message, if the list that is shown next has it. */
  focusSoon(id: string | undefined): void {
    this.focus()
    this.#toFocus = id
  }

  show({ messages, kept, pages, isMore, emptyNotice }: MessagePages): void {
    this.#rows.keep([...messages, ...kept].map(({ id }) => id))
    for (const message of kept) this.#rows.get(message.id)?.update(message)
    const lastShown = this.#items.lastElementChild
    const keptItems = new Set<Element>(kept.flatMap(({ id }) => this.#rows.get(id)?.item ?? []))
    let before: HTMLElement | undefined
    for (const message of messages) {
      const known = this.#rows.get(message.id)
      known?.update(message)
      const { item } = known ?? this.#rows.set(message.id, new MessageRow(message, this.options))
      let place = before ? before.nextElementSibling : this.#items.firstElementChild
      while (place && keptItems.has(place)) place = place.nextElementSibling
      if (place !== item) this.#items.insertBefore(item, place)
      before = item
    }
    this.#empty.tell(messages.length + kept.length === 0 ? emptyNotice : undefined)
    const hadFocus = this.#more.contains(document.activeElement)
    this.#more.hidden = !isMore || pages >= MAX_PAGES
    // The user reads on at the first message that was added.
    if (hadFocus && this.#more.hidden) lastShown?.nextElementSibling?.querySelector('button')?.focus()
    this.#openWanted()
  }

  #openWanted(): void {
    for (const id of this.#toOpen.splice(0)) {
      const row = this.#rows.get(id)
      // An open row stays as it is: the user may be writing a reason in it.
      if (!row?.isOpen) row?.open()
    }
    const toFocus = this.#toFocus
    this.#toFocus = undefined
    // The user may have gone on meanwhile.
    if (toFocus !== undefined && document.activeElement === this.#items) this.#rows.get(toFocus)?.focus()
  }
}
