import type { MessageFilter, MessageSummary } from '../../src/shared/outbox-api'
import { VERDICTS } from '../../src/shared/values'
import { button, element, folded } from '../tab/elements'
import { text } from './tab'

/** Search conditions that the user has entered. */
export type Searched = Pick<MessageFilter, 'search' | 'since' | 'till' | 'code'>

export class SearchForm {
  readonly form = element('form', 'redox-outbox-block redox-outbox-search')
  readonly #input = element('input')
  readonly #since = momentField()
  readonly #till = momentField()
  readonly #code = element('input')
  readonly #codes = element('datalist')

  constructor(private readonly onSearch: (searched: Searched) => void) {
    const label = element('label', '', text('search.label'))
    const line = element('div', 'redox-outbox-search-line')
    const submit = button(text('search.submit'), () => undefined, 'search')
    const clear = button(text('search.clear'), () => {
      this.write({})
      onSearch({})
    })
    Object.assign(this.#input, { type: 'search', maxLength: 200, id: 'redox-outbox-search' })
    this.#input.placeholder = text('search.placeholder')
    label.htmlFor = this.#input.id
    submit.type = 'submit'
    line.append(this.#input, submit, clear)
    const { block, heading } = folded('', text('search.times'), this.#details())
    heading.className = 'redox-tab-small'
    this.form.append(label, line, block)
    this.form.addEventListener('submit', (event) => {
      event.preventDefault()
      this.#search()
    })
  }

  #details(): HTMLElement {
    const place = element('div', 'redox-outbox-times')
    const named = (name: string, field: HTMLInputElement): HTMLElement[] => {
      const label = element('label', 'redox-tab-small', text(`search.${name}`))
      field.id = label.htmlFor = `redox-outbox-${name}`
      return [label, field]
    }
    this.#codes.id = 'redox-outbox-codes'
    Object.assign(this.#code, { type: 'text', maxLength: 64, pattern: '[\\w\\-]+', autocomplete: 'off' })
    this.#code.setAttribute('list', this.#codes.id)
    place.append(...named('since', this.#since), ...named('till', this.#till))
    place.append(...named('code', this.#code), this.#codes)
    return place
  }

  #search(): void {
    const [since, till] = [this.#since, this.#till].map(momentOf)
    const code = this.#code.value.trim()
    this.onSearch({
      ...{ search: this.#input.value.trim(), code },
      ...(since !== undefined && { since }),
      ...(till !== undefined && { till }),
    })
  }

  write({ search = '', code = '', since, till }: Searched): void {
    this.#input.value = search
    this.#code.value = code
    writeMoment(this.#since, since)
    writeMoment(this.#till, till)
  }

  clearCode(): void {
    this.#code.value = ''
  }

  /** Suggests the error codes of the messages in the list, and those of messages that were refused after their delivery. */
  suggest(messages: MessageSummary[]): void {
    const known = [...this.#codes.children].map((option) => (option as HTMLOptionElement).value)
    const found = new Set([
      ...VERDICTS.filter((verdict) => verdict !== 'accepted'),
      ...messages.flatMap(({ reason = '' }) => (reason.startsWith('REDOX_') ? reason : [])),
    ])
    this.#codes.append(
      ...[...found].filter((code) => !known.includes(code)).map((code) => new Option(code, code)),
    )
  }
}

function momentField(): HTMLInputElement {
  const field = element('input')
  field.type = 'datetime-local'
  field.step = '1'
  return field
}

function writeMoment(field: HTMLInputElement, at: string | number = ''): void {
  const moment = new Date(at)
  // The number of a date input counts from 1970 in the browser's time zone.
  field.valueAsNumber = moment.getTime() - 60_000 * moment.getTimezoneOffset()
}

/** Returns the value of a date input in ISO 8601. The input uses the browser's time zone. */
const momentOf = ({ value }: HTMLInputElement): string | undefined =>
  value === '' ? undefined : new Date(value).toISOString()
