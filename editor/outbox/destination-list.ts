import type { ConnectionSummary, PauseRequest, TryNowRequest } from '../../src/shared/outbox-api'
import { element, folded, write, type Folded } from '../tab/elements'
import { DestinationRow, type ShownDestination } from './destination-row'
import { KeyedRows } from './keyed-rows'
import { may, text } from './tab'
import { tryNowButton } from './try-now-button'

interface DestinationListOptions {
  onChoose: (destination: string) => void
  onPause: (request: PauseRequest | TryNowRequest) => Promise<void>
  /** shows the message with the given id */
  onShow: (id: string) => void
}

export class DestinationList {
  readonly #items = element('ul', 'redox-outbox-destination-list')
  readonly #folded: Folded
  readonly #rows = new KeyedRows<DestinationRow>()
  readonly #forAll = element('div')

  constructor(private readonly options: DestinationListOptions) {
    this.#forAll.append(
      tryNowButton(text('destination.tryAllNow'), this.#forAll, () => options.onPause({ action: 'try-now' })),
    )
    this.#folded = folded('redox-outbox-block redox-outbox-destinations', '', this.#forAll, this.#items)
    this.block.open = true
    // Makes the list focusable, so that it can be scrolled with the keyboard.
    this.#items.tabIndex = 0
    this.#items.setAttribute('aria-label', text('destinationList'))
  }

  get block(): HTMLDetailsElement {
    return this.#folded.block
  }

  /**
   * Shows the destinations of a connection.
   * @param chosen destination by which the messages are filtered; '' for all
   */
  show({ destinations = [], destinationsInAll = 0 }: ConnectionSummary, chosen: string): void {
    this.block.hidden = destinations.length === 0 && chosen === ''
    write(this.#folded.heading, text('destinations', { count: destinationsInAll }))
    const areTried = destinations.filter(({ open, paused }) => open > 0 && !paused)
    this.#forAll.hidden = !may('write') || areTried.length < 2
    // The chosen destination stays in the list, even if no more messages wait for it.
    const isGone = chosen !== '' && !destinations.some(({ destination }) => destination === chosen)
    const gone: ShownDestination = { destination: chosen, open: 0, paused: false }
    const all: ShownDestination[] = isGone ? [gone, ...destinations] : destinations
    this.#rows.keep(all.map(({ destination }) => destination))
    for (const shown of all) {
      const { destination } = shown
      const known = this.#rows.get(destination)
      const row = known ?? this.#rows.set(destination, new DestinationRow(destination, this.options))
      if (!known) this.#items.append(row.item)
      row.update(shown, destination === chosen)
    }
  }

  clear(): void {
    this.#rows.keep([])
  }
}
