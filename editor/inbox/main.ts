/** Sidebar tab with the messages that the sandbox received. Built into resources/redox-inbox.js. */
import type { InboxList, InboxNews, SimulatedFault } from '../../src/shared/inbox-api'
import { element, folded, icon } from '../tab/elements'
import { time } from '../tab/formats'
import { RequestError } from '../tab/request'
import { messageRow, type InboxRow } from './message-row'
import { ask, may, notice, tab, text } from './tab'

/** Highest number that is shown on the tab's icon. */
const MOST_SHOWN = 99

const isForbidden = (failure: unknown): boolean => failure instanceof RequestError && failure.isForbidden

class InboxTab {
  readonly content = element('div')
  readonly #rows = new Map<string, InboxRow>()
  readonly #count = element('span', 'redox-inbox-count')
  readonly #clear = element('button', 'red-ui-sidebar-header-button')
  readonly #scroll = element('div', 'redox-tab-scroll')
  readonly #items = element('ul')
  readonly #faults = faultList()
  readonly #openToAll = notice('openToAll')
  readonly #notices = tab.noticePlace()
  readonly #refresh: () => void
  #simulated = 0
  /** number of messages that arrived while the tab was not visible */
  #unseen = 0

  constructor() {
    const header = element('div', 'red-ui-sidebar-header')
    this.#clear.type = 'button'
    this.#clear.append(icon('trash'), ` ${text('clear')}`)
    this.#clear.addEventListener('click', () => this.#forgetAll())
    // Not Node-RED's tooltip: while it is open, Node-RED 5 makes its text the button's accessible name.
    this.#clear.title = text('clearTip')
    this.#count.setAttribute('role', 'status')
    header.append(this.#count, this.#clear)
    this.#openToAll.hidden = true
    // The list can have the focus of its last row.
    this.#items.tabIndex = -1
    this.#items.setAttribute('aria-label', text('name'))
    this.#scroll.append(this.#openToAll, this.#faults.block, this.#notices.place, this.#items)
    this.content.append(header, this.#scroll)
    this.#refresh = tab.keepFresh<InboxNews>({
      content: this.content,
      load: async () => this.#show(await ask<InboxList>('')),
      fail: (failure) => this.#fail(failure),
      onNews: ({ news }) => (this.#unseen += news),
      onShown: (isVisible) => this.#markUnseen(isVisible),
    })
  }

  #forgetAll(): void {
    ask<void>('', { method: 'DELETE', answer: 'text' }).then(this.#refresh, (failure: unknown) => {
      const words = isForbidden(failure) ? text('notice.noPermissionToClear') : text('notice.notCleared')
      const refusal = failure instanceof RequestError ? failure.refusal : undefined
      RED.notify(element('p', '', refusal ?? words), 'error')
    })
  }

  #markUnseen(isVisible: boolean): void {
    if (isVisible) this.#unseen = 0
    const number = this.#unseen > MOST_SHOWN ? `${MOST_SHOWN}+` : String(this.#unseen)
    tab.mark(this.#unseen === 0 ? undefined : number)
  }

  #show({ running, messages, faults, openToAll }: InboxList): void {
    this.#simulated = faults.length
    this.#openToAll.hidden = !openToAll
    this.#faults.show(faults)
    const ids = messages.map(({ id }) => id)
    for (const id of [...this.#rows.keys()].filter((known) => !ids.includes(known))) this.#remove(id)
    for (const { id, deliveries } of messages) this.#rows.get(id)?.show(deliveries)
    // Rows are only added at the top, so that opened rows stay unchanged.
    const fresh = messages.reverse().filter(({ id }) => !this.#rows.has(id))
    if (fresh.length > 0 && !this.#items.querySelector('.redox-tab-details')) this.#scroll.scrollTop = 0
    for (const message of fresh) {
      const row = messageRow(message)
      this.#rows.set(message.id, row)
      this.#items.prepend(row.item)
    }
    this.#tell(messages.length > 0 ? undefined : running ? 'empty' : 'notRunning')
  }

  #fail(failure: unknown): void {
    // If the user no longer has the permission, all data is removed. After a network error, the data stays visible.
    if (isForbidden(failure)) {
      for (const id of [...this.#rows.keys()]) this.#remove(id)
      this.#faults.show([])
    }
    this.#tell(isForbidden(failure) ? 'noPermission' : 'failed')
  }

  #tell(key: string | undefined): void {
    this.#notices.tell(key)
    this.#count.textContent = text('received', { count: this.#rows.size })
    this.#clear.disabled = this.#rows.size + this.#simulated === 0
    this.#clear.hidden = !may('write')
  }

  #remove(id: string): void {
    const row = this.#rows.get(id)
    row?.close()
    row?.item.remove()
    this.#rows.delete(id)
  }
}

function faultList(): { block: HTMLElement; show: (faults: SimulatedFault[]) => void } {
  const items = element('ul')
  const { block, heading } = folded('redox-inbox-faults', '', items)
  // Makes the list focusable, so that it can be scrolled with the keyboard.
  items.tabIndex = 0
  block.hidden = true
  let known = ''
  const show = (faults: SimulatedFault[]): void => {
    const now = JSON.stringify(faults)
    // An unchanged list keeps its elements, and so the user's selection in it.
    if (now === known) return
    known = now
    block.hidden = faults.length === 0
    heading.textContent = text('block.faults', { count: faults.length })
    items.replaceChildren(...faults.map((fault) => element('li', 'redox-tab-small', faultLine(fault))))
  }
  return { block, show }
}

const faultLine = ({ at, api, fault, accepted }: SimulatedFault): string =>
  [time(at), api, fault, accepted ? text('accepted') : text('notAccepted')].join(' · ')

tab.register('inbox', () => new InboxTab().content)
