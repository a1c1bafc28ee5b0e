import type { ConnectionSummary } from '../../src/shared/outbox-api'
import { element, write } from '../tab/elements'
import { text } from './tab'
import { shortId } from './words'

/** Name of the shown connection, or a list of connections if there are several. */
export class Header {
  readonly element = element('div', 'red-ui-sidebar-header')
  readonly #heading = element('span', '', `${text('connection')}:`)
  readonly #name = element('span', 'redox-outbox-name')
  readonly #choice = element('select')
  /** connections that the list currently shows, as JSON */
  #known = ''

  constructor(onChosen: (connection: string) => void) {
    this.#choice.setAttribute('aria-label', text('connection'))
    this.#choice.addEventListener('change', () => onChosen(this.#choice.value))
    this.element.append(this.#heading, this.#name, this.#choice)
  }

  show(shown: ConnectionSummary | undefined, connections: ConnectionSummary[]): void {
    const names = connections.map(({ id, name }) => ({ id, label: name || shortId(id) }))
    if (this.#known !== JSON.stringify(names)) {
      this.#choice.replaceChildren(...names.map(({ id, label }) => new Option(label, id)))
      this.#known = JSON.stringify(names)
    }
    if (shown) this.#choice.value = shown.id
    const [first, second] = names
    this.#choice.hidden = second === undefined
    write(this.#name, second === undefined ? (first?.label ?? text('name')) : '')
    this.#name.hidden = second !== undefined
    this.#heading.hidden = first === undefined
  }
}
