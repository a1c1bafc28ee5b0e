import type {
  BeginNewRequest,
  ConnectionSummary,
  MessageDetails,
  MessageFilter,
  MessagesResponse,
  MessageSummary,
  OverviewResponse,
  PauseRequest,
  TryNowRequest,
} from '../../src/shared/outbox-api'
import { NEARLY_FULL } from '../../src/shared/values'
import { button, element, write } from '../tab/elements'
import { age, size } from '../tab/formats'
import { queryOf, RequestError } from '../tab/request'
import { AttentionMark } from './attention-mark'
import { AuditLog } from './audit-log'
import { DestinationList } from './destination-list'
import { DirectMessageSections } from './direct-messages'
import { Header } from './header'
import { ManyMessages } from './many-messages'
import { MessageList, type MessagePages } from './message-list'
import { askReason } from './reason-form'
import { SearchForm, type Searched } from './search-form'
import { StateFilters, type StateFilter } from './state-filters'
import { StrandedStores } from './stranded-stores'
import { ask, may, tab, text } from './tab'
import { WayBack } from './way-back'
import { filterText, isDone, isEndedByPerson, NONE, rememberNames } from './words'

const REFRESH_MS = 3_000
const SOON_MS = 700
const PAGE = 50
/** Proposed hours for retrying many messages, if the connection reports no retry time of its own. */
const HOURS_FOR_MANY = 72
const NOTHING_SEARCHED = { search: '', since: '', till: '', code: '', isLinked: false }

/** Connection, filter and number of pages that the user has selected. */
interface Wanted extends Searched {
  connection: string | undefined
  /** filter by state; undefined: the first state with messages that need attention is used */
  state: StateFilter | undefined
  destination: string
  pages: number
  /** true if a link has set the search, not the user */
  isLinked?: boolean
}

/** List that a link has replaced. */
interface LeftList {
  wanted: Wanted
  openIds: string[]
  /** id of the message whose row had the focus */
  focusedId: string | undefined
  name: string
}

export class OutboxView {
  readonly content = element('div')
  #wanted: Wanted = { connection: undefined, state: undefined, destination: '', search: '', pages: 1 }
  /** Connection that the tab shows, if its store is open. */
  #open: ConnectionSummary | undefined
  #isVisible = false
  /** filter of the list that is shown, as JSON */
  #shownFilter = ''
  readonly #mark = new AttentionMark()
  readonly #notices = tab.noticePlace()
  readonly #storeError = element('p', 'redox-outbox-trouble')
  readonly #warnings = element('p', 'redox-tab-notice')
  readonly #beginNew = element('div', 'redox-outbox-block')
  readonly #body = element('div')
  readonly #size = element('div', 'redox-outbox-block redox-tab-small')
  readonly #oldest = element('div', 'redox-outbox-block redox-tab-small')
  readonly #header = new Header((connection) => this.#want({ connection, state: undefined, destination: '' }))
  readonly #filters = new StateFilters((state) => this.#filterBy(state))
  readonly #search = new SearchForm((searched) => this.#searchFor(searched))
  readonly #audit = new AuditLog(
    () => this.#route,
    (subject) => this.#showSubject(subject),
  )
  readonly #many = new ManyMessages({
    route: () => this.#route,
    filter: () => this.#filter,
    hours: () => this.#open?.retryForHours ?? HOURS_FOR_MANY,
    onDecided: () => this.#reload(),
  })
  readonly #back = new WayBack<LeftList>(({ wanted, openIds, focusedId }) => {
    this.#search.write(wanted)
    this.#messages.openSoon(openIds)
    // The button that had the focus is gone.
    this.#messages.focusSoon(focusedId)
    this.#select(wanted)
  })
  readonly #direct = new DirectMessageSections()
  readonly #stranded = new StrandedStores(
    () => this.#open,
    (action) => {
      RED.notify(text(`stranded.done.${action}`), 'success')
      this.#refresh()
    },
  )
  readonly #messages = new MessageList({
    routeOf: (id) => `${this.#route}/messages/${encodeURIComponent(id)}`,
    onDecided: (...args) => this.#decided(...args),
    onTryNow: (request) => this.#pause(request),
    onShow: (id) => this.#showSubject({ search: id }),
    onMore: () => this.#showMore(),
  })
  readonly #destinations = new DestinationList({
    onChoose: (destination) =>
      this.#want({ destination: destination === this.#wanted.destination ? '' : destination }),
    onPause: (request) => this.#pause(request),
    onShow: (id) => this.#showSubject({ search: id }),
  })
  readonly #refresh: () => void

  constructor() {
    this.#build()
    this.#show(undefined, [])
    this.#refresh = tab.keepFresh({
      content: this.content,
      load: () => this.#load(),
      fail: (failure) => this.#fail(failure),
      onNews: () => this.#mark.heard(),
      onShown: (isVisible) => (this.#isVisible = isVisible),
    })
    // The editor loads its plugins while it connects to the runtime, so the first event may be over already.
    void this.#mark.look()
    RED.comms.on('connect', () => void this.#mark.look())
    setInterval(() => {
      if (document.hidden) return
      this.#refresh()
      if (this.#mark.mayChange && !this.#isVisible) void this.#mark.look()
    }, REFRESH_MS)
  }

  #build(): void {
    const scroll = element('div', 'redox-tab-scroll')
    this.#notices.place.setAttribute('role', 'status')
    this.#storeError.setAttribute('role', 'alert')
    this.#beginNew.append(this.#beginNewButton())
    this.#body.append(
      this.#filters.element,
      this.#oldest,
      this.#size,
      this.#destinations.block,
      this.#search.form,
    )
    this.#body.append(this.#many.block, this.#back.element, ...this.#messages.elements, this.#audit.block)
    scroll.append(this.#notices.place, this.#storeError, this.#beginNew, this.#warnings, this.#stranded.block)
    scroll.append(this.#body, this.#direct.block)
    this.content.append(this.#header.element, scroll)
  }

  // ---- Selection ------------------------------------------------------------------------------------------

  get #route(): string {
    return `/${encodeURIComponent(this.#wanted.connection ?? '')}`
  }

  /** Filter of the list, in the format of the admin routes. */
  get #filter(): MessageFilter {
    const { state: chosen, destination, search, since, till, code: searched } = this.#wanted
    const isLater = chosen === 'refusedLater'
    const [state, code] = isLater ? (['delivered', 'REDOX_NOT_DELIVERED'] as const) : [chosen, searched]
    const given = Object.entries({ state, destination, search, since, till, code })
    return Object.fromEntries(given.filter(([, value]) => value))
  }

  /** Changes the user's selection and goes back to the first page. */
  #want(change: Partial<Wanted>): void {
    const isOther = change.connection !== undefined && change.connection !== this.#wanted.connection
    this.#back.forget()
    if (isOther) this.#clear()
    this.#select({ ...this.#wanted, pages: 1, ...change })
    if (isOther) void this.#audit.load()
  }

  #select(wanted: Wanted): void {
    this.#wanted = wanted
    this.#many.changed()
    this.#refresh()
  }

  #showMore(): void {
    this.#wanted = { ...this.#wanted, pages: this.#wanted.pages + 1 }
    this.#refresh()
  }

  /** A search covers all states, because a user who looks for a message does not know its state. */
  #searchFor(searched: Searched): void {
    this.#want({ ...NOTHING_SEARCHED, ...searched, state: '', destination: '' })
  }

  #filterBy(state: StateFilter): void {
    if (this.#wanted.isLinked) {
      this.#search.write({})
      return this.#want({ ...NOTHING_SEARCHED, state })
    }
    if (state !== 'refusedLater') return this.#want({ state })
    // This filter has a code of its own.
    this.#search.clearCode()
    this.#want({ state, code: '' })
  }

  #showSubject(subject: { destination: string } | { search: string }): void {
    const wanted = this.#wanted
    const { openIds, focusedId } = this.#messages
    const left = { wanted, openIds, focusedId, name: filterText(this.#filter) }
    this.#search.write('search' in subject ? subject : {})
    if ('search' in subject) this.#messages.openSoon([subject.search])
    const shown = { ...NOTHING_SEARCHED, destination: '', ...subject, state: '', isLinked: true } as const
    this.#select({ ...wanted, pages: 1, ...shown })
    // A second click on the same link changes nothing.
    if (filterText(this.#filter) !== left.name) this.#back.leave(left)
  }

  #clear(): void {
    this.#messages.clear()
    this.#destinations.clear()
  }

  // ---- Requests -------------------------------------------------------------------------------------------

  async #load(): Promise<void> {
    const asked = this.#wanted
    const before = this.#mark.news
    const overview = await ask<OverviewResponse>('')
    this.#mark.update(overview.connections, before)
    await Promise.all([this.#direct.load(overview.direct), this.#loadDurable(overview, asked)])
  }

  /**
   * @param asked the user's selection at the time when the overview was requested; ignored if the selection has changed
   * since
   */
  async #loadDurable({ connections, stranded }: OverviewResponse, asked: Wanted): Promise<void> {
    if (asked !== this.#wanted) return
    const connection = connections.find(({ id }) => id === this.#wanted.connection) ?? connections[0]
    if (connection?.id !== this.#wanted.connection) {
      this.#wanted = { ...this.#wanted, connection: connection?.id, state: undefined }
      this.#back.forget()
    }
    this.#show(connection, connections)
    this.#open = connection?.counts && connection
    rememberNames(connection?.destinations)
    this.#stranded.update(stranded)
    if (!connection?.counts) return this.#clear()
    if (this.#wanted.state === undefined) this.#wanted = { ...this.#wanted, state: firstState(connection) }
    this.#filters.show(connection, this.#wanted.state)
    this.#destinations.show(connection, this.#wanted.destination)
    this.#many.show()
    const chosen = this.#wanted
    const found = await this.#loadMessages()
    if (chosen !== this.#wanted) return
    rememberNames(found.messages)
    this.#messages.show(found)
    this.#shownFilter = JSON.stringify(this.#filter)
    this.#search.suggest(found.messages)
  }

  async #loadMessages(): Promise<MessagePages> {
    const { state, pages } = this.#wanted
    // Messages that are not finished are listed oldest first, in the order in which they are handled; other messages
    // newest first.
    const order = state && !isDone(state) ? 'oldest' : 'newest'
    const messages: MessageSummary[] = []
    let after: string | undefined
    for (let page = 0; page < pages; page++) {
      const query = queryOf({ ...this.#filter, after, order, limit: PAGE })
      const answer = await ask<MessagesResponse>(`${this.#route}/messages?${query}`)
      messages.push(...answer.messages)
      after = answer.next
      if (after === undefined) break
    }
    const kept = await this.#keptOpen(messages)
    return { messages, kept, pages, isMore: after !== undefined, emptyNotice: this.#emptyNotice }
  }

  /**
   * Returns the messages of open rows that no longer match the filter, but stay listed: the user wants to see what becomes
   * of a message. One that a person has marked or discarded goes, unless the user has searched for it.
   */
  async #keptOpen(listed: MessageSummary[]): Promise<MessageSummary[]> {
    if (JSON.stringify(this.#filter) !== this.#shownFilter) return []
    const ids = this.#messages.openIds.filter((id) => !listed.some((message) => message.id === id))
    const found = await Promise.all(ids.map((id) => this.#stored(id)))
    const isKept = (message: MessageDetails): boolean => !this.#wanted.state || !isEndedByPerson(message)
    return found.flatMap((message) => (message && isKept(message) ? message : []))
  }

  /** Returns undefined if the message is no longer stored. */
  #stored(id: string): Promise<MessageDetails | undefined> {
    return ask<MessageDetails>(`${this.#route}/messages/${encodeURIComponent(id)}`).catch(
      (failure: unknown) => {
        if (failure instanceof RequestError && failure.status === 404) return undefined
        throw failure
      },
    )
  }

  get #emptyNotice(): string {
    const { state, destination, search, since, till, code } = this.#wanted
    const isNarrowed = Boolean(destination || search || since || till || code)
    if (isNarrowed) return 'noneFound'
    return state ? NONE[state] : 'empty'
  }

  #fail(failure: unknown): void {
    const isForbidden = failure instanceof RequestError && failure.isForbidden
    // If the user no longer has the permission, all data is removed. After a network error, the data stays visible.
    if (isForbidden) {
      this.#mark.update([])
      this.#clear()
      this.#direct.clear()
      this.#body.hidden = true
    }
    this.#notices.tell(isForbidden ? 'noPermission' : 'failed')
  }

  // ---- Display --------------------------------------------------------------------------------------------

  #show(connection: ConnectionSummary | undefined, connections: ConnectionSummary[]): void {
    const { code, counts, oldest, warnings = [], storeBytes, storeLimit } = connection ?? {}
    this.#header.show(connection, connections)
    this.#notices.tell(connection ? undefined : 'none')
    this.#storeError.hidden = code === undefined
    write(this.#storeError, code ? text('trouble', { code }) : '')
    const risks = warnings.map((warning) => text(`warning.${warning}`))
    this.#warnings.hidden = risks.length === 0
    write(this.#warnings, risks.join(' '))
    this.#beginNew.hidden = code !== 'REDOX_STORE_UNREADABLE' || Boolean(counts) || !may('write')
    this.#body.hidden = !counts
    this.#oldest.hidden = !oldest
    write(this.#oldest, oldest ? text('oldest', { age: age(oldest) }) : '')
    this.#size.hidden = storeBytes === undefined
    const advice = storeAdvice(connection)
    write(this.#size, storeBytes === undefined ? '' : sizeText(storeBytes, storeLimit) + advice)
    this.#size.classList.toggle('redox-outbox-stopped', advice !== '')
  }

  // ---- Decisions ------------------------------------------------------------------------------------------

  async #pause(request: PauseRequest | TryNowRequest): Promise<void> {
    await ask(`${this.#route}/destinations`, { method: 'POST', answer: 'text', body: request })
    this.#decided(request.action)
  }

  #beginNewButton(): HTMLElement {
    const opener = button(text('store.begin-new'), () =>
      askReason({
        ...{ place: this.#beginNew, opener },
        hint: text('store.hint'),
        submit: text('store.begin-new'),
        decide: async (reason) => {
          const body: BeginNewRequest = { action: 'begin-new', reason }
          await ask(`${this.#route}/store`, { method: 'POST', answer: 'text', body })
          this.#decided('begin-new')
        },
      }),
    )
    return opener
  }

  #decided(action: string, values?: object): void {
    RED.notify(text(`done.${action}`, values), 'success')
    this.#reload()
  }

  #reload(): void {
    void this.#audit.load()
    this.#refresh()
    // Most messages that are sent now have arrived by then.
    setTimeout(this.#refresh, SOON_MS)
  }
}

/** Returns the first state with messages that need attention; '' if there are none. */
const firstState = ({ counts, refusedLater = 0 }: ConnectionSummary): StateFilter =>
  (['parked', 'refusedLater', 'waiting', 'sending'] as const).find(
    (state) => ({ refusedLater, ...counts })[state] ?? 0,
  ) ?? ''

const isNearlyFull = (bytes = 0, limit = Infinity): boolean => bytes >= NEARLY_FULL * limit

/** Returns what a person can do about a store that is full or nearly full, as the next sentence; otherwise ''. */
function storeAdvice({ counts, storeBytes, storeLimit, isFull }: Partial<ConnectionSummary> = {}): string {
  if (isFull) return `. ${text('storeFull')}`
  // Ended messages alone are removed when a new message needs their room.
  const isAnyOpen = counts !== undefined && counts.waiting + counts.sending + counts.parked > 0
  return isAnyOpen && isNearlyFull(storeBytes, storeLimit) ? `. ${text('storeNearlyFull')}` : ''
}

function sizeText(bytes: number, limit: number | undefined): string {
  if (limit === undefined) return text('storeSize', { size: size(bytes) })
  return text('storeSizeOf', { size: size(bytes), limit: size(limit) })
}
