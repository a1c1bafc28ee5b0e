import type { ConnectionSummary, StrandedRequest, StrandedStoreSummary } from '../../src/shared/outbox-api'
import { button, element } from '../tab/elements'
import { askReason, type ReasonQuestion } from './reason-form'
import { ask, may, text } from './tab'

type StrandedAction = StrandedRequest['action']
type StrandedDecision = Pick<ReasonQuestion, 'hint' | 'secret' | 'submit'> & {
  action: StrandedAction
  requestOf: (reason: string, secret: string) => StrandedRequest
}

/** List of stranded stores, whose messages no connection delivers. */
export class StrandedStores {
  readonly block = element('section')
  readonly #items = element('ul', 'redox-outbox-stranded')
  /** stores that the list currently shows, as JSON */
  #known = ''

  /**
   * @param receiver function that returns the connection to move messages to: the shown connection, if its store is
   * open
   */
  constructor(
    private readonly receiver: () => ConnectionSummary | undefined,
    private readonly onDecided: (action: StrandedAction) => void,
  ) {
    // The list can have the focus of a button that it replaces.
    this.#items.tabIndex = -1
    this.#items.setAttribute('aria-label', text('stranded.title'))
    this.block.append(element('h4', '', text('stranded.title')), this.#items)
    this.update([])
  }

  update(stores: StrandedStoreSummary[]): void {
    const shown = JSON.stringify([stores, this.receiver()?.id])
    this.block.hidden = stores.length === 0
    // A form that the user is filling in stays open.
    if (shown === this.#known || this.#items.querySelector('form')) return
    this.#known = shown
    this.#items.replaceChildren(...stores.map((store) => this.#row(store)))
  }

  #row(known: StrandedStoreSummary): HTMLElement {
    const { store, waiting, parked, code } = known
    const item = element('li')
    const buttons = element('div', 'redox-tab-buttons')
    const decisions = may('write') ? this.#decisionsAbout(known) : []
    buttons.append(...decisions.map((decision) => this.#decisionButton(item, store, decision)))
    item.append(
      element('div', 'redox-tab-strong', store),
      element('div', 'redox-tab-small', code ?? text('stranded.counts', { waiting, parked })),
      buttons,
    )
    return item
  }

  #decisionsAbout({ id, code }: StrandedStoreSummary): StrandedDecision[] {
    const to = this.receiver()
    const give: StrandedDecision[] = to
      ? [
          {
            action: 'give',
            hint: text('stranded.giveHint', { connection: to.name || to.id }),
            secret: text('stranded.key'),
            submit: text('stranded.give'),
            requestOf: (reason, key) => ({ action: 'give', to: to.id, reason, ...(key && { key }) }),
          },
        ]
      : []
    const discard: StrandedDecision = {
      action: 'discard',
      hint: text('stranded.discardHint', { id }),
      submit: text('stranded.discard'),
      requestOf: (reason) => ({ action: 'discard', reason }),
    }
    return code === undefined ? [...give, discard] : give
  }

  #decisionButton(place: HTMLElement, store: string, decision: StrandedDecision): HTMLElement {
    const { action, requestOf, ...words } = decision
    const opener = button(text(`stranded.${action}`), () =>
      askReason({
        ...{ place, opener, ...words },
        decide: async (reason, secret) => {
          const body = requestOf(reason, secret)
          await ask(`/stranded/${encodeURIComponent(store)}`, { method: 'POST', answer: 'text', body })
          this.onDecided(action)
        },
      }),
    )
    return opener
  }
}
