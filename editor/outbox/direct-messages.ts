import type {
  DirectDecisionRequest,
  DirectMessagesResponse,
  DirectMessageSummary,
  DirectSummary,
} from '../../src/shared/direct-api'
import { button, element, icon, write } from '../tab/elements'
import { age, time } from '../tab/formats'
import { KeyedRows } from './keyed-rows'
import { ask, may, text } from './tab'
import { tryNowButton } from './try-now-button'
import { destinationId, destinationName, DIRECT_ICONS, failureText, rememberNames, shortId } from './words'

/** Messages of direct delivery, with one section for each connection that has such messages. */
export class DirectMessageSections {
  readonly block = element('div')
  readonly #sections = new KeyedRows<ConnectionSection>()

  constructor() {
    this.block.hidden = true
  }

  async load(connections: DirectSummary[]): Promise<void> {
    const loaded = await Promise.all(
      connections.map(async (connection) => ({ connection, answer: await messagesOf(connection) })),
    )
    for (const { answer } of loaded) rememberNames(answer?.messages)
    // The last message of a connection may have ended since the connections were requested.
    const shown = loaded.filter(({ answer }) => answer?.total !== 0)
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
    const section = this.#sections.set(id, new ConnectionSection(routeOf(id)))
    this.block.append(section.item)
    return section
  }
}

/** Returns the admin route of a connection's direct messages. */
const routeOf = (id: string): string => `/${encodeURIComponent(id)}/direct`

/** Returns undefined if the request failed, so that the other sections and the rest of the tab are still refreshed. */
const messagesOf = ({ id }: DirectSummary): Promise<DirectMessagesResponse | undefined> =>
  ask<DirectMessagesResponse>(routeOf(id)).catch(() => undefined)

class ConnectionSection {
  readonly item = element('section', 'redox-outbox-direct')
  readonly #title = element('h4')
  readonly #lookUp = element('p', 'redox-outbox-direct-hint')
  readonly #failed = element('p', 'redox-outbox-direct-hint')
  readonly #items = element('ul', 'redox-outbox-direct-list')
  readonly #more = element('p', 'redox-tab-small')
  readonly #rows = new KeyedRows<DirectMessageRow>()

  constructor(private readonly route: string) {
    write(this.#lookUp, text('direct.lookUp'))
    write(this.#failed, text('direct.failed'))
    // Makes the list focusable, so that it can be scrolled with the keyboard.
    this.#items.tabIndex = 0
    this.#more.hidden = true
    this.item.append(this.#title, this.#failed, this.#lookUp, this.#items, this.#more)
  }

  /** @param answer undefined if the request failed; the messages that are shown stay */
  show({ id, name, counts }: DirectSummary, answer: DirectMessagesResponse | undefined): void {
    write(this.#title, text('direct.title', { connection: name || shortId(id) }))
    this.#items.setAttribute('aria-label', this.#title.textContent)
    this.#lookUp.hidden = counts.unknown === 0
    this.#failed.hidden = answer !== undefined
    if (!answer) return
    const inSandbox = areOfSandbox(answer, counts.unknown)
    write(this.#lookUp, inSandbox ? text('direct.lookUpSandbox') : text('direct.lookUp'))
    this.#showMessages(answer)
  }

  #showMessages({ messages, total }: DirectMessagesResponse): void {
    this.#more.hidden = messages.length === total
    write(this.#more, text('direct.more', { shown: messages.length, count: total }))
    this.#rows.keep(messages.map((message) => message.id))
    // Adds new messages at the top, the newest first.
    for (const message of [...messages].reverse()) {
      const known = this.#rows.get(message.id)
      const row = known ?? this.#rows.set(message.id, new DirectMessageRow(message, this.route))
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
  readonly #buttons = element('div', 'redox-tab-buttons')
  readonly #tryNow: HTMLElement
  readonly #showNode: HTMLElement

  /** @param route admin route of the connection's direct messages */
  constructor({ id, owner }: DirectMessageSummary, route: string) {
    this.#tryNow = tryNowButton(text('direct.tryNow'), this.#buttons, async () => {
      const body: DirectDecisionRequest = { action: 'try-now' }
      await ask(`${route}/${id}`, { method: 'POST', answer: 'text', body })
      this.#tryNow.hidden = true
      RED.notify(text('direct.tried'), 'success')
    })
    this.#tryNow.title = text('direct.tryNowHint')
    this.#showNode = button(text('showNode'), () => RED.view.reveal(owner), 'search')
    this.#buttons.append(this.#tryNow)
    if (RED.nodes.node(owner)) this.#buttons.append(this.#showNode)
    this.item.append(this.#state, this.#destination, this.#small, this.#buttons)
  }

  update(message: DirectMessageSummary): void {
    const { state, operation, destination } = message
    const shown = text(`direct.state.${state}`)
    if (this.#state.textContent !== shown)
      this.#state.replaceChildren(icon(DIRECT_ICONS[state]), element('span', '', shown))
    const what = [operation, directDestination(destination)].filter(Boolean).join(' · ')
    write(this.#destination, what)
    this.#tryNow.setAttribute('aria-label', `${text('direct.tryNow')}: ${what}`)
    this.#showNode.setAttribute('aria-label', `${text('showNode')}: ${what}`)
    this.#destination.title = isUpload(destination) ? '' : destinationId(destination)
    write(this.#small, detailsOf(message))
    this.#tryNow.hidden = !message.canTryNow || !may('write')
  }
}

function detailsOf({ state, acceptedAt, attempts, reason, ...message }: DirectMessageSummary): string {
  const { dueAt, traceId } = message
  const parts = [
    text('accepted', { age: age(acceptedAt) }),
    text('attempts', { count: attempts }),
    // For an unknown outcome the error code is left out, because the state already shows it.
    reason && state !== 'unknown' && text('direct.reason', { failure: failureText(reason) }),
    dueAt && text('direct.due', { at: time(dueAt) }),
    traceId && text('direct.trace', { id: traceId }),
  ]
  return parts.filter(Boolean).join(' · ')
}

/** Returns true if all unknown outcomes are listed, and are those of a connection to the sandbox. */
function areOfSandbox({ messages }: DirectMessagesResponse, count: number): boolean {
  const unknown = messages.filter(({ state }) => state === 'unknown')
  return unknown.length >= count && unknown.every(({ environment }) => environment === 'sandbox')
}

function directDestination(destination: string | undefined): string {
  if (destination === undefined) return text('direct.noDestination')
  return isUpload(destination) ? text('direct.upload') : destinationName(destination)
}

/** Returns true for an upload, and for a destination that is not known yet. */
const isUpload = (destination: string | undefined): destination is 'upload' | undefined =>
  destination === undefined || destination === 'upload'
