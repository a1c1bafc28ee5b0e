import type { DirectMessagesResponse, DirectMessageSummary, DirectSummary } from '../../src/shared/outbox-api'
import { button, element, icon, write } from '../tab/elements'
import { age } from '../tab/formats'
import { KeyedRows } from './keyed-rows'
import { ask, text } from './tab'
import { destinationName, DIRECT_ICONS, shortId } from './words'

/** Messages of direct delivery, with one section for each connection that has such messages. */
export class DirectMessageSections {
  readonly block = element('div')
  readonly #sections = new KeyedRows<ConnectionSection>(() => undefined)

  constructor() {
    this.block.hidden = true
  }

  async load(connections: DirectSummary[]): Promise<void> {
    const answers = await Promise.all(
      connections.map(({ id }) => ask<DirectMessagesResponse>(`/${encodeURIComponent(id)}/direct`)),
    )
    // The last message of a connection may have ended since the connections were requested.
    const shown = connections.flatMap((connection, index) => {
      const answer = answers[index]
      return answer && answer.total > 0 ? [{ connection, answer }] : []
    })
    this.block.hidden = shown.length === 0
    this.#sections.keep(shown.map(({ connection }) => connection.id))
    for (const { connection, answer } of shown) this.#section(connection.id).show(connection, answer)
  }

  clear(): void {
    this.block.hidden = true
    this.#sections.keep([])
  }

  #section(id: string): ConnectionSection {
    const known = this.#sections.get(id)
    if (known) return known
    const section = this.#sections.set(id, new ConnectionSection())
    this.block.append(section.item)
    return section
  }
}

class ConnectionSection {
  readonly item = element('section', 'redox-outbox-direct')
  readonly #title = element('h4')
  readonly #lookUp = element('p', 'redox-outbox-direct-hint')
  readonly #items = element('ul', 'redox-outbox-direct-list')
  readonly #more = element('p', 'redox-tab-small')
  readonly #rows = new KeyedRows<DirectMessageRow>(() => this.#items.focus())

  constructor() {
    write(this.#lookUp, text('direct.lookUp'))
    // Makes the list focusable, so that it can be scrolled with the keyboard.
    this.#items.tabIndex = 0
    this.item.append(this.#title, this.#lookUp, this.#items, this.#more)
  }

  show({ id, name, counts }: DirectSummary, { messages, total }: DirectMessagesResponse): void {
    write(this.#title, text('direct.title', { connection: name || shortId(id) }))
    this.#items.setAttribute('aria-label', this.#title.textContent)
    this.#lookUp.hidden = counts.unknown === 0
    this.#more.hidden = messages.length === total
    write(this.#more, text('direct.more', { shown: messages.length, count: total }))
    this.#rows.keep(messages.map((message) => message.id))
    // Adds new messages at the top, the newest first.
    for (const message of [...messages].reverse()) {
      const known = this.#rows.get(message.id)
      const row = known ?? this.#rows.set(message.id, new DirectMessageRow(message.owner))
      if (!known) this.#items.prepend(row.item)
      row.update(message)
    }
  }
}

class DirectMessageRow {
  readonly item = element('li', 'redox-outbox-direct-message')
  readonly #state = element('div', 'redox-outbox-state redox-tab-strong')
  readonly #destination = element('div')
  readonly #small = element('div', 'redox-tab-small')

  constructor(owner: string) {
    this.item.append(this.#state, this.#destination, this.#small)
    if (RED.nodes.node(owner))
      this.item.append(button(text('showNode'), () => RED.view.reveal(owner), 'search'))
  }

  update({ state, destination, acceptedAt, attempts, reason }: DirectMessageSummary): void {
    const shown = text(`direct.state.${state}`)
    if (this.#state.textContent !== shown)
      this.#state.replaceChildren(icon(DIRECT_ICONS[state]), element('span', '', shown))
    write(this.#destination, directDestination(destination))
    // For an unknown outcome, the text of the state already contains the reason.
    const failure = reason && state !== 'unknown' && text('direct.reason', { code: reason })
    const accepted = text('accepted', { age: age(acceptedAt) })
    write(this.#small, [accepted, text('attempts', { count: attempts }), failure].filter(Boolean).join(' · '))
  }
}

function directDestination(destination: string | undefined): string {
  if (destination === undefined) return text('direct.noDestination')
  return destination === 'upload' ? text('direct.upload') : destinationName(destination)
}
