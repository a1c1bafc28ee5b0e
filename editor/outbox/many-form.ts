import type {
  Action,
  CountResponse,
  DecisionsRequest,
  DecisionsResponse,
  MessageFilter,
} from '../../src/shared/outbox-api'
import { element, write } from '../tab/elements'
import { queryOf } from '../tab/request'
import { showRequestError } from './request-errors'
import { askReason, hoursField, labelled, type ReasonForm } from './reason-form'
import { ask, text } from './tab'
import { actionsFor, ACTIONS_FOR_ALL, filterText } from './words'

/**
 * Maximum number of messages per request. More messages are handled in several requests, so that users see the progress
 * and can stop.
 */
const DECIDED_AT_ONCE = 200

export interface ManyResult {
  /** number of messages that were counted for the action */
  counted: number
  decided: number
  /** number of counted messages that the action did not change */
  unchanged: number
}

interface ManyFormOptions {
  place: HTMLElement
  opener: HTMLElement
  /** admin route of the connection */
  route: string
  filter: MessageFilter
  hoursProposed: number
  onEnd: (result: ManyResult) => void
}

/**
 * Form for an action on all messages that match a filter: the user chooses the action, the form counts the messages,
 * and the action is carried out after confirmation.
 */
export class ManyForm {
  readonly #total = element('p', 'redox-tab-strong')
  readonly #sent = element('p', 'redox-tab-small')
  readonly #choice = element('select')
  readonly #hours: HTMLInputElement
  readonly #forHours = element('div')
  readonly #risk = element('p', 'redox-tab-small')
  readonly #other = element('label', 'redox-outbox-check')
  readonly #mayGoOver = element('input')
  readonly #progress = element('p', 'redox-tab-small')
  readonly #form: ReasonForm
  #counted: CountResponse | undefined

  constructor(private readonly options: ManyFormOptions) {
    const { place, opener, filter, hoursProposed } = options
    this.#hours = hoursField(hoursProposed)
    this.#fillChoice()
    this.#forHours.append(...labelled(text('hours'), this.#hours))
    this.#mayGoOver.type = 'checkbox'
    this.#other.append(this.#mayGoOver, text('many.otherAccount'))
    this.#total.setAttribute('role', 'status')
    this.#progress.setAttribute('role', 'status')
    const fields = [
      ...[element('p', 'redox-tab-small', filterText(filter)), this.#total, this.#sent],
      ...labelled(text('many.action'), this.#choice),
      ...[this.#forHours, this.#risk, this.#other, this.#progress],
    ]
    const decide = (reason: string): Promise<void> => this.#run(reason)
    this.#form = askReason({ place, opener, submit: text('many.decide'), fields, decide })
    void this.#count()
  }

  close(): void {
    this.#form.close()
  }

  get #action(): Action | '' {
    return this.#choice.value as Action | ''
  }

  #fillChoice(): void {
    const { state, code } = this.options.filter
    const actions = state ? actionsFor({ state, reason: code }) : ACTIONS_FOR_ALL
    // No action is preselected, because the user has to choose it.
    this.#choice.required = true
    this.#choice.append(new Option(text('many.choose'), ''))
    this.#choice.append(...actions.map((action) => new Option(text(`action.${action}`), action)))
    this.#choice.addEventListener('change', () => void this.#count())
  }

  /** Counts the messages that the chosen action applies to. */
  async #count(): Promise<void> {
    const { filter } = this.options
    const action = this.#action
    const { confirm, form } = this.#form
    this.#counted = undefined
    confirm.disabled = true
    this.#forHours.hidden = this.#hours.disabled = action !== 'extend'
    this.#other.hidden = action !== 'resend' || filter.code !== 'REDOX_OTHER_ACCOUNT'
    write(this.#risk, action === '' ? '' : riskOf(action, filter))
    try {
      const [counted, sending] = await Promise.all([
        this.#countOf({ ...filter, action }),
        areSent(filter) ? this.#countOf({ ...filter, state: 'sending' }) : { count: 0 },
      ])
      if (action !== this.#action) return
      this.#counted = counted
      write(this.#total, text('many.count', { count: counted.count }))
      write(this.#sent, sending.count > 0 ? text('many.sent', { count: sending.count }) : '')
      const submit = action === '' ? text('many.decide') : `${text(`action.${action}`)}: ${counted.count}`
      write(confirm, submit)
      confirm.disabled = action === '' || counted.count === 0
    } catch (failure) {
      if (form.isConnected) showRequestError(form, failure)
    }
  }

  #countOf(query: MessageFilter & { action?: Action | '' }): Promise<CountResponse> {
    return ask<CountResponse>(`${this.options.route}/count?${queryOf({ ...query })}`)
  }

  async #run(reason: string): Promise<void> {
    // The button is enabled only after the messages were counted.
    // eslint-disable-next-line @typescript-eslint/no-non-null-assertion
    const { count, till } = this.#counted!
    const action = this.#action as Action
    const request: DecisionsRequest = {
      ...{ filter: { ...this.options.filter, till }, action, reason, count, limit: DECIDED_AT_ONCE },
      ...(action === 'extend' && { hours: this.#hours.valueAsNumber }),
      ...(!this.#other.hidden && this.#mayGoOver.checked && { otherAccount: true }),
    }
    this.#choice.disabled = true
    try {
      this.options.onEnd(await this.#decideInSteps(request))
    } catch (failure) {
      this.#choice.disabled = false
      // Counts the messages that remain.
      void this.#count()
      throw failure
    }
  }

  async #decideInSteps(request: DecisionsRequest): Promise<ManyResult> {
    const result = { counted: request.count, decided: 0, unchanged: 0 }
    let after: string | undefined
    do {
      const body = { ...request, ...(after !== undefined && { after }) }
      const answer = await ask<DecisionsResponse>(`${this.options.route}/decisions`, { method: 'POST', body })
      result.decided += answer.decided
      result.unchanged += answer.unchanged ?? 0
      after = answer.next
      write(this.#progress, text('many.progress', { decided: result.decided, count: request.count }))
      // If the form is closed, no more requests are sent, and the remaining messages stay unchanged.
    } while (after !== undefined && this.#form.form.isConnected)
    return result
  }
}

/**
 * Returns true if messages of the filter may be in the state `sending`. These are counted separately, because no action
 * applies to them.
 */
const areSent = ({ state }: MessageFilter): boolean => state === undefined || state === 'waiting'

/** Returns a text about the risk of an action, which users read before they decide. */
function riskOf(action: Action, { state, code }: MessageFilter): string {
  if (action === 'extend') return text('many.sendingLeft')
  if (action !== 'resend' && state === 'delivered') return text(`many.refusedLaterThen.${action}`)
  if (action !== 'resend') return [text(`many.hint.${action}`), text('many.sendingLeft')].join(' ')
  if (state === 'delivered')
    return code === 'REDOX_NOT_DELIVERED' ? text('many.refusedLater') : text('many.arrived')
  if (code === 'REDOX_OUTCOME_UNKNOWN') return text('many.mayArriveTwice')
  return code === 'REDOX_OTHER_ACCOUNT' ? text('many.unknownLeft') : text('many.riskyLeft')
}
