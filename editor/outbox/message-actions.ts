/** Buttons in the details of an open message. */
import type { Action, ContentResponse, DecisionRequest, MessageDetails } from '../../src/shared/outbox-api'
import { button, code, element } from '../tab/elements'
import { safeFile } from '../tab/file-view'
import { pretty } from '../tab/formats'
import { queryOf, RequestError } from '../tab/request'
import type { ContentView } from './content-view'
import { forgetRefusal, refuse } from './request-errors'
import { askReason, hoursAhead, hoursBeyond, hoursField, labelled } from './reason-form'
import { ask, may, text } from './tab'
import { ACTIONS } from './words'

const MAX_CHARACTERS = 100_000

/**
 * Callback after an action.
 * @param values values to insert into the sentence that reports the action
 */
export type OnDecided = (action: Action, values?: object) => void

interface MessageActions {
  message: MessageDetails
  /** element in which forms are shown */
  place: HTMLElement
  /** shows the content of the message, or one of its files */
  view: ContentView
  /** admin route of the message */
  route: string
  onDecided: OnDecided
}

export function actionButtons(given: MessageActions): HTMLElement {
  const { message } = given
  const buttons = element('div', 'redox-tab-buttons')
  const actions = may('write') ? ACTIONS[message.state] : []
  buttons.append(...actions.map((action) => decisionButton(given, action)))
  if (RED.nodes.node(message.owner))
    buttons.append(button(text('showNode'), () => RED.view.reveal(message.owner), 'search'))
  if (may('content')) buttons.append(contentButton(given), ...fileButtons(given))
  return buttons
}

function decisionButton({ message, place, route, onDecided }: MessageActions, action: Action): HTMLElement {
  const opener = button(text(`action.${action}`), () => {
    const isOther = action === 'resend' && message.otherAccount
    const hours = hoursField(hoursBeyond(message.deadline))
    askReason({
      ...{ place, opener },
      hint: riskOf(action, message).join(' ') || undefined,
      submit: text(`action.${action}`),
      fields: action === 'extend' ? labelled(text('hours'), hours) : [],
      decide: async (reason) => {
        const body: DecisionRequest = {
          ...{ action, reason },
          ...(action === 'extend' && { hours: hours.valueAsNumber }),
          ...(isOther && { otherAccount: true }),
        }
        await ask(route, { method: 'POST', answer: 'text', body })
        onDecided(action, action === 'extend' ? { until: hoursAhead(hours.valueAsNumber) } : undefined)
      },
    })
  })
  return opener
}

/** Returns texts about the risks of an action, which users read before they decide. */
function riskOf(action: Action, { arrival, environment, otherAccount }: MessageDetails): string[] {
  if (action === 'extend') return []
  if (action !== 'resend') return [text(`hint.${action}`)]
  const risks: Record<string, string> = {
    yes: 'arrived',
    maybe: environment === 'sandbox' ? 'mayArriveTwiceSandbox' : 'mayArriveTwice',
    'never-sent': 'neverSent',
  }
  const risk = arrival && risks[arrival]
  return [...(risk ? [text(`risk.${risk}`)] : []), ...(otherAccount ? [text('otherAccount')] : [])]
}

function contentButton(given: MessageActions): HTMLElement {
  const { view, route } = given
  return lookButton(given, text('showContent'), async (reason) => {
    const content = pretty(await ask<ContentResponse>(`${route}/content?${queryOf({ reason })}`))
    view.show(code(content.slice(0, MAX_CHARACTERS)))
  })
}

/** Returns a button for each file that is in the outbox. A file of which the message has only the URL is not. */
function fileButtons(given: MessageActions): HTMLElement[] {
  const { files = [] } = given.message
  return files.flatMap(({ kind }, index) => {
    if (kind === 'reference') return []
    const label = files.length > 1 ? text('showFileNumber', { number: index + 1 }) : text('showFile')
    return [lookButton(given, label, (reason) => showOneFile(given, index, reason))]
  })
}

async function showOneFile({ view, route }: MessageActions, index: number, reason: string): Promise<void> {
  const path = `${route}/files/${index}?${queryOf({ reason })}`
  await view.showFile(safeFile(await ask<File>(path, { answer: 'file' })))
}

/**
 * Returns a button for patient data.
 * @param look requests and shows the data; the reason of the user is kept in the audit log
 */
function lookButton(
  { message, place, route }: MessageActions,
  label: string,
  look: (reason: string) => Promise<void>,
): HTMLElement {
  const opener = button(label, () => (message.contentIsClosed ? void sayWhyClosed() : askForIt()), 'eye')

  const askForIt = (): void => {
    askReason({
      ...{ place, opener },
      hint: text('lookIsRecorded'),
      submit: label,
      decide: look,
    })
  }

  /**
   * Shows the server's explanation of why contents of messages are not accessible. No form is shown, because its
   * request would be refused.
   */
  async function sayWhyClosed(): Promise<void> {
    forgetRefusal(place)
    try {
      await ask(`${route}/content`)
    } catch (failure) {
      const refusal = failure instanceof RequestError ? failure.refusal : undefined
      refuse(place, refusal ?? text('notice.notDone'))
    }
  }
  return opener
}
