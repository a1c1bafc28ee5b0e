import { button, element } from '../tab/elements'
import { time } from '../tab/formats'
import { showRequestError, forgetRefusal } from './request-errors'
import { text } from './tab'

const MAX_REASON = 200
const MAX_HOURS = 720
/** Hours beyond the current deadline of a message. */
const HOURS_MORE = 24
const HOUR_MS = 3_600_000

export interface ReasonForm {
  form: HTMLFormElement
  confirm: HTMLButtonElement
  close(): void
}

export interface ReasonQuestion {
  /** element that contains the form */
  place: HTMLElement
  /** pressed button, which gets the focus when the form is closed */
  opener: HTMLElement
  /** text of the submit button */
  submit: string
  hint?: string | undefined
  /** fields before the reason; the first editable one gets the focus */
  fields?: HTMLElement[]
  /** label of an optional secret, which is shown as dots */
  secret?: string
  /** called with the reason; an error is shown in the form */
  decide: (reason: string, secret: string) => Promise<unknown>
}

/** Shows a form for the reason of an action, in place. */
export function askReason(question: ReasonQuestion): ReasonForm {
  const { place, opener, submit, hint, fields = [], secret } = question
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
  Object.assign(input, { type: 'text', maxLength: MAX_REASON, autocomplete: 'off' })
  Object.assign(hidden, { type: 'password', autocomplete: 'off' })
  confirm.type = 'submit'
  const buttons = element('div', 'redox-tab-buttons')
  buttons.append(confirm, button(text('cancel'), close))
  form.append(...fields)
  if (hint) form.append(element('p', 'redox-tab-small', hint))
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
    // A reason of only spaces is empty. The field is red after the first press of the button.
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
  return { close, confirm, form }
}

/** Returns a label and its field, in the order in which they are appended. */
export function labelled(label: string, field: HTMLInputElement | HTMLSelectElement): HTMLElement[] {
  const name = element('label', '', label)
  field.id = name.htmlFor = `redox-outbox-${Math.random().toString(36).slice(2)}`
  return [name, field]
}

export function hoursField(proposed: number): HTMLInputElement {
  const input = element('input')
  const value = Math.min(proposed, MAX_HOURS)
  Object.assign(input, { type: 'number', min: 1, max: MAX_HOURS, value, required: true })
  return input
}

/** Returns the time in a number of hours as text. */
export const hoursAhead = (hours: number): string =>
  time(new Date(Date.now() + hours * HOUR_MS).toISOString())

/** Returns a proposal for the hours of a new deadline, which is later than the current one. */
export function hoursBeyond(deadline: string | undefined): number {
  const left = Math.ceil((Date.parse(deadline ?? '') - Date.now()) / HOUR_MS)
  return Math.max(0, left || 0) + HOURS_MORE
}
