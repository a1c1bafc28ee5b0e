/** Actions on all messages that match the filter of the list. */
import type { MessageFilter } from '../../src/shared/outbox-api'
import { button, element, write } from '../tab/elements'
import { ManyForm, type ManyResult } from './many-form'
import { may, text } from './tab'
import { actionsFor } from './words'

interface ManyOptions {
  /** returns the admin route of the connection */
  route: () => string
  /** returns the current filter of the list */
  filter: () => MessageFilter
  /** returns the number of hours for which the connection retries messages */
  hours: () => number
  onDecided: () => void
}

export class ManyMessages {
  readonly block = element('div', 'redox-outbox-block redox-outbox-many')
  readonly #result = element('p', 'redox-tab-small')
  readonly #opener = button(text('many.open'), () => this.#open(), 'list')
  #form: ManyForm | undefined

  constructor(private readonly options: ManyOptions) {
    this.#result.setAttribute('role', 'status')
    this.#result.hidden = true
    this.block.append(this.#opener, this.#result)
  }

  #open(): void {
    this.#form?.close()
    this.#tellResult('')
    const { route, filter, hours, onDecided } = this.options
    this.#form = new ManyForm({
      ...{ place: this.block, opener: this.#opener },
      ...{ route: route(), filter: filter(), hoursProposed: hours() },
      onEnd: (result) => {
        this.#tellResult(resultText(result))
        onDecided()
      },
    })
  }

  #tellResult(sentence: string): void {
    write(this.#result, sentence)
    this.#result.hidden = sentence === ''
  }

  /** Closes the form when the filter of the list changes. */
  changed(): void {
    this.#form?.close()
    this.#tellResult('')
    this.show()
  }

  show(): void {
    const { state } = this.options.filter()
    this.block.hidden = !may('write') || (state !== undefined && actionsFor({ state }).length === 0)
  }
}

function resultText({ counted, decided, unchanged }: ManyResult): string {
  const done = text('many.done', { decided, left: counted - decided })
  return unchanged > 0 ? `${done} ${text('many.alreadyAsLong', { count: unchanged })}` : done
}
