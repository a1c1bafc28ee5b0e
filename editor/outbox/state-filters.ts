import type { ConnectionSummary, MessageState } from '../../src/shared/outbox-api'
import { button, element, write } from '../tab/elements'
import { text } from './tab'

/** Messages to show: those in a state, the delivered ones that a destination refused later, or '' for all. */
export type StateFilter = MessageState | 'refusedLater' | ''

/** The filters in the order of their buttons. */
const FILTERS: StateFilter[] = ['', 'waiting', 'sending', 'parked', 'refusedLater', 'delivered', 'discarded']

/** Buttons that show the number of messages in each state, and filter the list by state. */
export class StateFilters {
  readonly element = element('div', 'redox-outbox-filters redox-tab-buttons')
  readonly #buttons: Map<StateFilter, HTMLButtonElement>

  constructor(onChosen: (state: StateFilter) => void) {
    this.#buttons = new Map(FILTERS.map((state) => [state, button('', () => onChosen(state))]))
    this.#buttons.get('refusedLater')?.classList.add('redox-outbox-refused')
    this.element.setAttribute('role', 'group')
    this.element.setAttribute('aria-label', text('filter'))
    this.element.append(...this.#buttons.values())
  }

  show({ counts, refusedLater = 0 }: ConnectionSummary, chosen: StateFilter | undefined): void {
    const numbers = { ...counts, refusedLater }
    for (const [state, one] of this.#buttons) {
      write(one, state === '' ? text('all') : `${text(`state.${state}`)} ${numbers[state] ?? 0}`)
      const includes = state === 'delivered' && refusedLater > 0
      one.title = includes ? text('includesRefused', { count: refusedLater }) : ''
      one.setAttribute('aria-pressed', String(state === chosen))
      // A connection whose logs are not followed never has such messages.
      one.hidden = state === 'refusedLater' && refusedLater === 0 && chosen !== state
    }
  }
}
