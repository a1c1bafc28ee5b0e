import { button, element } from '../tab/elements'
import { time } from '../tab/formats'
import { complain, forgetRefusal } from './complaints'
import { text } from './tab'

const MAX_REASON = 200
const MAX_HOURS = 720
/** Beyond the deadline that a message has. */
const HOURS_MORE = 24
const HOUR_MS = 3_600_000

export interface ReasonForm {
  form: HTMLFormElement
  confirm: HTMLButtonElement
  close(): void
}

export interface ReasonQuestion {
  /** where the form is shown */
  place: HTMLElement
  /** what was pressed; gets the focus back */
  opener: HTMLElement
  /** of the button */
  submit: string
  hint?: string | undefined
  /** stand before the reason; the first that can be filled in gets the focus */
  fields?: HTMLElement[]
  /** label of what else may be given, and is not shown */
  secret?: string
  /** what it is rejected with is told */
  decide: (reason: string, secret: string) => Promise<unknown>
}

/** Asks for a reason in place. */
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
    // One that is only spaces is none. It is red from the first press on.
    input.required = true
    if (reason === '') return input.focus()
    confirm.disabled = true
    forgetRefusal(form)
    question.decide(reason, hidden.value.trim()).then(close, (failure: unknown) => {
      confirm.disabled = false
      complain(form, failure)
    })
  })
  place.append(form)
  form.querySelector<HTMLElement>('input, select')!.focus()
  return { close, confirm, form }
}

/** A field with a label of its own, in the order in which they are to be appended. */
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

/** The time in so many hours, in words. */
export const hoursAhead = (hours: number): string =>
  time(new Date(Date.now() + hours * HOUR_MS).toISOString())

/** A proposal that makes a difference. */
export function hoursBeyond(deadline: string | undefined): number {
  const left = Math.ceil((Date.parse(deadline ?? '') - Date.now()) / HOUR_MS)
  return Math.max(0, left || 0) + HOURS_MORE
}
