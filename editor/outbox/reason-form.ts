import { button, element } from '../tab/elements'
import { time } from '../tab/formats'
import { showRequestError, forgetRefusal } from './request-errors'
import { text } from './tab'

const MAX_REASON = 200
const MAX_HOURS = 720
/** Hours that a proposed new deadline adds to the current deadline of a message. */
const HOURS_MORE = 24
const HOUR_MS = 3_600_000

export interface ReasonForm {
  form: HTMLFormElement
  confirm: HTMLButtonElement
  close(): void
}

export interface ReasonQuestion {
  /** element into which the form is inserted */
  place: HTMLElement
  /** button that opened the form; it gets the focus when the form is closed */
  opener: HTMLElement
  /** label of the submit button */
  submit: string
  hint?: string | undefined
  /** proposed reason, which the user may change */
  proposed?: string
  /** form fields above the field *Reason*; the first editable one gets the focus */
  fields?: HTMLElement[]
  /** label of an optional field for a secret, whose value is shown as dots */
  secret?: string
  /** called with the reason when the form is submitted; if the promise rejects, the form shows the error */
  decide: (reason: string, secret: string) => Promise<unknown>
}

/** Shows a form that asks for the reason of an action, inside the element `place`. */
export function askReason(question: ReasonQuestion): ReasonForm {
  const { place, opener, submit, hint, proposed = '', fields = [], secret } = question
  place.querySelector('form')?.remove()
  const form = element('form', 'redox-outbox-reason')
  const input = element('input')
  const hidden = element('input')
  const confirm = element('button', 'red-ui-button red-ui-button-small primary', submit)
  const close = (): void => {
    if (!form.isConnected) return
    form.remove()
    opener.focus()
  }
  Object.assign(input, { type: 'text', maxLength: MAX_REASON, autocomplete: 'off', value: proposed })
  Object.assign(hidden, { type: 'password', autocomplete: 'off' })
  confirm.type = 'submit'
  const buttons = element('div', 'redox-tab-buttons')
  buttons.append(confirm, button(text('cancel'), close))
  form.setAttribute('aria-label', submit)
  form.append(...fields)
  if (hint) form.append(describing(input, hint))
  form.append(...labelled(text('reason'), input))
  if (secret !== undefined) form.append(...labelled(secret, hidden))
  form.append(buttons)
  form.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return
    event.stopPropagation()
    close()
  })
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const reason = input.value.trim()
    // A reason that consists only of spaces is treated as empty. The field is required, and so red, only after the
    // first submit.
    input.required = true
    if (reason === '') return input.focus()
    confirm.disabled = true
    forgetRefusal(form)
    question.decide(reason, hidden.value.trim()).then(close, (failure: unknown) => {
      confirm.disabled = false
      showRequestError(form, failure)
    })
  })
  place.append(form)
  form.querySelector<HTMLElement>('input, select')?.focus()
  // A proposed reason is selected, so that typing replaces it, and shows its beginning.
  if (proposed !== '') input.select()
  input.scrollLeft = 0
  // The focus scrolls only its field into view: in a low sidebar, the risk and the buttons would stay outside.
  form.scrollIntoView({ block: 'nearest' })
  return { close, confirm, form }
}

/** Returns a text that a screen reader reads together with the field: the risk of an action, before it is confirmed. */
function describing(field: HTMLInputElement, hint: string): HTMLElement {
  const shown = element('p', 'redox-tab-small', hint)
  shown.id = newId()
  field.setAttribute('aria-describedby', shown.id)
  return shown
}

const newId = (): string => `redox-outbox-${Math.random().toString(36).slice(2)}`

/** Returns a label and its field, in this order. */
export function labelled(label: string, field: HTMLInputElement | HTMLSelectElement): HTMLElement[] {
  const name = element('label', '', label)
  field.id = name.htmlFor = newId()
  return [name, field]
}

export function hoursField(proposed: number): HTMLInputElement {
  const input = element('input')
  const value = Math.min(proposed, MAX_HOURS)
  Object.assign(input, { type: 'number', min: 1, max: MAX_HOURS, value, required: true })
  return input
}

/** Returns the time in the given number of hours, formatted for the user. */
export const hoursAhead = (hours: number): string =>
  time(new Date(Date.now() + hours * HOUR_MS).toISOString())

/** Returns a proposal for the number of hours until a new deadline, which is later than the current deadline. */
export function hoursBeyond(deadline: string | undefined): number {
  const left = Math.ceil((Date.parse(deadline ?? '') - Date.now()) / HOUR_MS)
  return Math.max(0, left || 0) + HOURS_MORE
}
