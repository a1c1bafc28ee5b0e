import { button, element } from '../tab/elements'
import { text } from './tab'

/**
 * Button that leads from what a link shows back to the list that the user saw before. Links can follow one another, and
 * each step back undoes one of them.
 */
export class WayBack<List extends { name: string }> {
  readonly element = element('div', 'redox-outbox-back')
  readonly #left: List[] = []

  constructor(private readonly onBack: (list: List) => void) {
    this.element.hidden = true
  }

  /** Remembers a list that a link has replaced, with the name that the button shows. */
  leave(list: List): void {
    this.#left.push(list)
    this.#show()
  }

  /** Removes the button, because the user has gone on from what the link has shown. */
  forget(): void {
    this.#left.length = 0
    this.#show()
  }

  #show(): void {
    const last = this.#left.at(-1)
    this.element.hidden = last === undefined
    if (last === undefined) return
    const label = text('back', { list: last.name })
    this.element.replaceChildren(button(label, () => this.#goBack(), 'arrow-left'))
  }

  #goBack(): void {
    const last = this.#left.pop()
    this.#show()
    if (last) this.onBack(last)
  }
}
