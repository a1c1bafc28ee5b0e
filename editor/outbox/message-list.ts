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
  readonly #rows = new KeyedRows<MessageRow>(() => this.focus())

  constructor(private readonly options: MessageListOptions) {
    this.#items.tabIndex = -1
    this.#items.setAttribute('aria-label', text('messages'))
    this.#empty.place.setAttribute('role', 'status')
    this.#more.append(button(text('more'), options.onMore))
    this.elements = [this.#empty.place, this.#items, this.#more]
  }

  focus(): void {
    this.#items.focus()
  }

  clear(): void {
    this.#rows.keep([])
  }

  show({ messages, pages, isMore, emptyNotice }: MessagePages): void {
    this.#rows.keep(messages.map(({ id }) => id))
    let before: HTMLElement | undefined
    for (const message of messages) {
      const known = this.#rows.get(message.id)
      known?.update(message)
      const { item } = known ?? this.#rows.set(message.id, new MessageRow(message, this.options))
      const place = before ? before.nextSibling : this.#items.firstChild
      if (place !== item) this.#items.insertBefore(item, place)
      before = item
    }
    this.#empty.tell(messages.length === 0 ? emptyNotice : undefined)
    this.#more.hidden = !isMore || pages >= MAX_PAGES
  }
}
