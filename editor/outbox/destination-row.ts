import type { DestinationSummary, PauseRequest, TryNowRequest } from '../../src/shared/outbox-api'
import { button, element, icon, write } from '../tab/elements'
import { age } from '../tab/formats'
import { askReason } from './reason-form'
import { may, text } from './tab'
import { textButton } from './text-button'
import { tryNowButton } from './try-now-button'
import { destinationId, destinationName, sentenceOf, shortId } from './words'

/** Data of a destination that a row shows. */
export type ShownDestination = Pick<
  DestinationSummary,
  'destination' | 'open' | 'oldest' | 'paused' | 'blockedBy' | 'blockedPatients'
>

interface DestinationOptions {
  onChoose: (destination: string) => void
  onPause: (request: PauseRequest | TryNowRequest) => Promise<void>
  /** shows the message with the given id */
  onShow: (id: string) => void
}

export class DestinationRow {
  readonly item = element('li', 'redox-outbox-destination')
  readonly #name: HTMLButtonElement
  readonly #stopped = element('div', 'redox-tab-small redox-outbox-stopped')
  readonly #small = element('div', 'redox-tab-small')
  readonly #toggle = button('', () => this.#askToToggle())
  readonly #tryNow: HTMLElement
  #isPaused = false

  constructor(
    private readonly destination: string,
    private readonly options: DestinationOptions,
  ) {
    this.#name = element('button', 'redox-outbox-destination-name')
    this.#name.title = destinationId(destination)
    this.#name.type = 'button'
    this.#name.addEventListener('click', () => options.onChoose(destination))
    this.#tryNow = tryNowButton(text('destination.try-now'), this.item, () =>
      options.onPause({ destination, action: 'try-now' }),
    )
    const about = element('div')
    const line = element('div', 'redox-outbox-destination-line')
    about.append(this.#name, this.#stopped, this.#small)
    line.append(about, this.#tryNow, this.#toggle)
    this.item.append(line)
  }

  #askToToggle(): void {
    const action = this.#isPaused ? 'resume' : 'pause'
    askReason({
      ...{ place: this.item, opener: this.#toggle },
      submit: text(`destination.${action}`),
      decide: (reason) => this.options.onPause({ destination: this.destination, action, reason }),
    })
  }

  update(shown: ShownDestination, isChosen: boolean): void {
    const { open, oldest, paused } = shown
    this.#isPaused = paused
    write(this.#name, destinationName(this.destination))
    this.#tellStopped(shown)
    const since = oldest && text('destination.oldest', { age: age(oldest) })
    write(this.#small, [text('destination.open', { count: open }), since].filter(Boolean).join(' · '))
    write(this.#toggle, paused ? text('destination.resume') : text('destination.pause'))
    this.#toggle.setAttribute(
      'aria-label',
      `${this.#toggle.textContent}: ${destinationName(this.destination)}`,
    )
    this.#toggle.hidden = !may('write')
    // Nothing behind a parked message can be tried before a person has decided about that one.
    this.#tryNow.hidden = !may('write') || paused || shown.blockedBy !== undefined || open === 0
    this.#tryNow.setAttribute(
      'aria-label',
      `${text('destination.try-now')}: ${destinationName(this.destination)}`,
    )
    this.#name.setAttribute('aria-pressed', String(isChosen))
  }

  #tellStopped({ paused: isPaused, blockedBy, blockedPatients }: ShownDestination): void {
    const patients =
      blockedPatients === undefined
        ? undefined
        : text('destination.blockedPatients', { count: blockedPatients })
    const blocked =
      blockedBy &&
      text('destination.blocked', { id: shortId(blockedBy.id), reason: sentenceOf(blockedBy.reason) })
    const why = isPaused ? text('destination.paused') : (blocked ?? patients ?? '')
    // An unchanged text keeps its element, because its button may have the focus.
    if (this.#stopped.textContent === why) return
    const place =
      blockedBy && why === blocked ? textButton('', () => this.options.onShow(blockedBy.id)) : element('span')
    if (why !== '') place.append(icon(isPaused ? 'pause' : 'hand-paper-o'), why)
    this.#stopped.replaceChildren(place)
  }
}
