import { element, icon } from './elements'
import { keepFocus } from './focus'
import { request, type RequestOptions } from './request'

export interface Row {
  item: HTMLLIElement
  line: HTMLButtonElement
  open(): void
  close(): void
  /** Returns the element that contains the details; undefined while the row is closed. */
  place(): HTMLElement | undefined
}

interface RowOptions {
  id: string
  /** elements in the line of the row, which is always visible */
  parts: Node[]
  /** adds the details to the given element when the row is opened */
  fill: (place: HTMLElement) => void
  /** called when the row is closed, to release resources of the details */
  forget?: () => void
}

interface FreshOptions<News> {
  content: HTMLElement
  /** requests and shows the data of the tab */
  load: () => Promise<void>
  /** called with the error if `load` fails */
  fail: (failure: unknown) => void
  /** called with the payload of each event from the runtime */
  onNews: (news: News) => void
  /** called with true while the tab is visible, also after each event */
  onShown: (isVisible: boolean) => void
}

/** Value in a list of labelled values: one, several or none. */
type FactValue = string | number | undefined | (string | number | undefined)[]
export type Fact = [name: string, value: FactValue]

/** Arrow of the sidebar in Node-RED 4.1. */
const ARROW = '#red-ui-sidebar .red-ui-tab-link-button-menu'

/** Common code of the sidebar tabs. */
export class SidebarTab {
  readonly #id: string
  readonly #route: string
  #translate: EditorApi.Red['_'] = (key) => key
  #badge: string | undefined

  /**
   * @param topic name of the tab such as `inbox`: part of its routes (redox/inbox), its permissions (redox-inbox…) and
   * its catalogue keys (`inbox`)
   */
  constructor(private readonly topic: string) {
    this.#id = `redox-${topic}`
    this.#route = `redox/${topic}`
  }

  readonly text = (key: string, values?: object): string => this.#translate(`${this.topic}.${key}`, values)

  readonly notice = (key: string): HTMLElement => element('p', 'redox-tab-notice', this.text(`notice.${key}`))

  /** Returns an element for one notice, and a function that shows a notice in the element or removes it. */
  noticePlace(): { place: HTMLElement; tell: (key: string | undefined) => void } {
    const place = element('div')
    let shown: string | undefined
    const tell = (key: string | undefined): void => {
      // The notice is replaced only if it changed, because a screen reader would read it again.
      if (key !== shown) place.replaceChildren(...(key ? [this.notice(key)] : []))
      shown = key
    }
    return { place, tell }
  }

  facts(pairs: Fact[]): HTMLElement {
    const all = element('dl')
    for (const [name, value] of pairs) {
      const values = [value].flat().filter((one) => (one ?? '') !== '')
      if (values.length === 0) continue
      all.append(element('dt', '', this.text(`detail.${name}`)))
      all.append(...values.map((one) => element('dd', '', String(one))))
    }
    return all
  }

  /** Returns a row: a line of a list. While the row is open, the details of the message are shown below the line. */
  row({ id, parts, fill, forget }: RowOptions): Row {
    const item = element('li', 'redox-tab-message')
    const line = element('button', 'redox-tab-line')
    const arrow = icon('angle-right')
    let place: HTMLElement | undefined
    line.type = 'button'
    line.append(arrow, ...parts)
    item.append(line)

    const open = (): void => {
      place = element('div', 'redox-tab-details')
      place.id = `${this.#id}-${id}`
      line.setAttribute('aria-controls', place.id)
      item.append(place)
      fill(place)
    }
    const close = (): void => {
      forget?.()
      place?.remove()
      place = undefined
    }
    const expand = (isExpanded: boolean): void => {
      line.setAttribute('aria-expanded', String(isExpanded))
      arrow.className = `fa fa-angle-${isExpanded ? 'down' : 'right'}`
      if (isExpanded) open()
      else close()
    }
    line.setAttribute('aria-expanded', 'false')
    line.addEventListener('click', () => expand(place === undefined))
    return { item, line, open: () => expand(true), close, place: () => place }
  }

  // ---- Requests -------------------------------------------------------------------------------------------

  /**
   * Sends a request to a route of this tab.
   * @throws RequestError
   */
  readonly ask = <Answer>(path: string, options?: RequestOptions): Promise<Answer> =>
    request<Answer>(this.#route + path, options)

  /** Returns true if the user has the permission. Not cached, because a user may have logged in meanwhile. */
  readonly may = (what: 'read' | 'write' | 'content'): boolean =>
    RED.user.hasPermission(`redox-${this.topic}.${what}`)

  // ---- Tab ------------------------------------------------------------------------------------------------

  /**
   * Keeps the data of the tab up to date while the tab is visible.
   * @returns function that reloads the data
   */
  keepFresh<News>({ content, load, fail, onNews, onShown }: FreshOptions<News>): () => void {
    let isVisible = false
    let isLoading = false
    let isStale = false

    function refresh(): void {
      if (!isVisible) return
      if (isLoading) {
        isStale = true
        return
      }
      isLoading = true
      void load()
        .catch(fail)
        .finally(() => {
          isLoading = false
          if (!isStale) return
          isStale = false
          refresh()
        })
    }

    // A tab may be hidden by another tab, by a closed sidebar or by a folded section. This differs between editor
    // versions, so an IntersectionObserver detects it.
    const observer = new IntersectionObserver((entries) => {
      isVisible = entries.at(-1)?.isIntersecting ?? false
      onShown(isVisible)
      refresh()
    })
    observer.observe(content)

    RED.comms.subscribe<News>(this.#route, (_topic, news) => {
      onNews(news)
      // The last report of the observer may be older than a click that hid the list. Observing the element again makes
      // the observer report the current state.
      observer.unobserve(content)
      observer.observe(content)
    })
    // Events were missed while the connection to the runtime was interrupted, so the data is reloaded.
    RED.comms.on('connect', refresh)
    return refresh
  }

  /**
   * Shows or removes a badge on the tab's icon.
   * @param shown number as a string; '': a dot; undefined: no badge
   */
  mark(shown: string | undefined): void {
    this.#badge = shown
    // Node-RED 4.1 has three buttons for a tab: the normal one, a short form, and an entry of the menu behind the arrow,
    // which it makes at the first click on the arrow. Node-RED 5 has one button.
    const buttons = [
      `#red-ui-tab-${this.#id}`,
      `#red-ui-tab-${this.#id}-link-button`,
      ARROW,
      `#red-ui-tabs-menu-option-${this.#id}`,
      `button[data-tab-id="${this.#id}"]`,
    ]
    for (const button of document.querySelectorAll(buttons.join())) {
      button.classList.toggle(`redox-tab-news-${this.topic}`, shown !== undefined)
      button.querySelector(`.redox-tab-mark-${this.topic}`)?.remove()
      if (shown === undefined) continue
      const made = element('span', `redox-tab-mark redox-tab-mark-${this.topic}`, shown)
      made.setAttribute('aria-hidden', 'true')
      button.querySelector('i.fa')?.append(made)
    }
  }

  /**
   * Registers the tab in the editor.
   * @param make called when the catalogue is loaded; returns the content of the tab
   */
  register(iconName: string, make: () => HTMLElement): void {
    RED.plugins.registerPlugin(this.#id, {
      type: this.#id,
      onadd: this.#onAdd(iconName, make),
    })
  }

  #onAdd(iconName: string, make: () => HTMLElement): EditorApi.PluginDefinition['onadd'] {
    const show = `redox:show-${this.topic}`
    const add = (translate: EditorApi.Red['_']): void => {
      this.#translate = translate
      // Node-RED's notifications tell the result of a decision, but a screen reader does not read them by itself.
      document.getElementById('red-ui-notifications')?.setAttribute('aria-live', 'polite')
      const content = make()
      content.classList.add('redox-tab', `redox-${this.topic}`)
      keepFocus(content)
      // The arrow stops its clicks, so they are heard before it; its menu is there afterwards.
      const markMenu = (): void => this.mark(this.#badge)
      const hear = ({ target }: Event): void => {
        if (target instanceof Element && target.closest(ARROW)) setTimeout(markMenu)
      }
      document.addEventListener('click', hear, true)
      RED.actions.add(show, () => RED.sidebar.show(this.#id), { label: this.text('show') })
      RED.sidebar.addTab({
        id: this.#id,
        label: this.text('label'),
        name: this.text('name'),
        iconClass: `fa fa-${iconName}`,
        action: show,
        content: $(content),
        pinned: true,
        enableOnEdit: true,
      })
    }
    return function () {
      add((key, values) => this._(key, values))
    }
  }
}
