import { element, icon } from './elements'
import { request, type RequestOptions } from './request'

export interface Row {
  item: HTMLLIElement
  line: HTMLButtonElement
  close(): void
  /** where the details are; undefined while the row is closed */
  place(): HTMLElement | undefined
}

interface RowOptions {
  id: string
  /** of the line */
  parts: Node[]
  /** puts what is known into the place that it is given */
  fill: (place: HTMLElement) => void
  /** what else has to go when the row is closed */
  forget?: () => void
}

interface FreshOptions<News> {
  content: HTMLElement
  /** asks and shows */
  load: () => Promise<void>
  /** hears what `load` was rejected with */
  fail: (failure: unknown) => void
  /** hears what the runtime tells */
  onNews: (news: News) => void
  /** whether the tab is to be seen now; after each of the news, too */
  onShown: (isVisible: boolean) => void
}

/** A value of a list of facts: one, several or none. */
type FactValue = string | number | undefined | (string | number | undefined)[]
export type Fact = [name: string, value: FactValue]

/** What the sidebar tabs have in common. */
export class SidebarTab {
  readonly #id: string
  readonly #route: string
  #translate: EditorApi.Red['_'] = (key) => key

  /** @param topic `inbox`: the routes below redox/inbox, the permissions redox-inbox…, the texts below `inbox` */
  constructor(private readonly topic: string) {
    this.#id = `redox-${topic}`
    this.#route = `redox/${topic}`
  }

  readonly text = (key: string, values?: object): string => this.#translate(`${this.topic}.${key}`, values)

  readonly notice = (key: string): HTMLElement => element('p', 'redox-tab-notice', this.text(`notice.${key}`))

  /** A place for one notice, or none. */
  noticePlace(): { place: HTMLElement; tell: (key: string | undefined) => void } {
    const place = element('div')
    let told: string | undefined
    const tell = (key: string | undefined): void => {
      // The same once more would be read out again.
      if (key !== told) place.replaceChildren(...(key ? [this.notice(key)] : []))
      told = key
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

  /** A line of a list, and under it what is known of the message while it is open. */
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
    return { item, line, close, place: () => place }
  }

  // ---- What is asked for ----------------------------------------------------------------------------------

  /** @throws RequestError */
  readonly ask = <Answer>(path: string, options?: RequestOptions): Promise<Answer> =>
    request<Answer>(this.#route + path, options)

  /** Asked each time: a user may have logged in since. */
  readonly may = (what: 'read' | 'write' | 'content'): boolean =>
    RED.user.hasPermission(`redox-${this.topic}.${what}`)

  // ---- The tab --------------------------------------------------------------------------------------------

  /**
   * Keeps what is shown up to date.
   * @returns loads anew, while the tab is visible
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

    // Hidden by another tab, a closed sidebar or a folded section: each version of the editor has its ways.
    const observer = new IntersectionObserver((entries) => {
      isVisible = entries.at(-1)?.isIntersecting ?? false
      onShown(isVisible)
      refresh()
    })
    observer.observe(content)

    RED.comms.subscribe<News>(this.#route, (_topic, news) => {
      onNews(news)
      // What it told last may be older than a click that hid the list: asked anew, it answers with what is now.
      observer.unobserve(content)
      observer.observe(content)
    })
    // What came while the connection was broken.
    RED.comms.on('connect', refresh)
    return refresh
  }

  /** @param shown on the tab's icon: a number, a dot (an empty text), or nothing (undefined) */
  mark(shown: string | undefined): void {
    // Node-RED 4.1: the tab, its short form, and the menu where it is when there is no room. 5: one button.
    const buttons = [
      `#red-ui-tab-${this.#id}`,
      `#red-ui-tab-${this.#id}-link-button`,
      '#red-ui-sidebar .red-ui-tab-link-button-menu',
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

  /** @param make called as soon as there are texts; returns what the tab shows */
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
      const content = make()
      content.classList.add('redox-tab', `redox-${this.topic}`)
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
