import type { ConnectionSummary, MessageState } from '../../src/shared/outbox-api'
import { button, element, write } from '../tab/elements'
import { text } from './tab'
import { STATES } from './words'

/** State of messages to show, or '' for all states. */
export type StateFilter = MessageState | ''

/** Buttons that show the number of messages in each state, and filter the list by state. */
export class StateFilters {
  readonly element = element('div', 'redox-outbox-filters redox-tab-buttons')
  readonly #buttons: Map<StateFilter, HTMLButtonElement>

  constructor(onChosen: (state: StateFilter) => void) {
    const filters: StateFilter[] = ['', ...STATES]
    this.#buttons = new Map(filters.map((state) => [state, button('', () => onChosen(state))]))
    this.element.setAttribute('role', 'group')
    this.element.setAttribute('aria-label', text('filter'))
    this.element.append(...this.#buttons.values())
  }

  show(counts: NonNullable<ConnectionSummary['counts']>, chosen: StateFilter | undefined): void {
    for (const [state, one] of this.#buttons) {
      write(one, state === '' ? text('all') : `${text(`state.${state}`)} ${counts[state]}`)
      one.setAttribute('aria-pressed', String(state === chosen))
    }
  }
}
