/** Buttons in the details of an open message. */
import type { ContentResponse } from '../../src/shared/outbox-api'
import { button, code, element } from '../tab/elements'
import { pretty } from '../tab/formats'
import { queryOf, RequestError } from '../tab/request'
import { decisionButton, tryNowButton, type MessageActions } from './decision-button'
import { lookUpPart } from './look-up'
import { askReason } from './reason-form'
import { forgetRefusal, refuse } from './request-errors'
import { ask, may, text } from './tab'
import { ACTIONS } from './words'

const MAX_CHARACTERS = 100_000

export function actionButtons(given: MessageActions): HTMLElement {
  const { message } = given
  const buttons = element('div', 'redox-tab-buttons')
  const actions = may('write') ? ACTIONS[message.state] : []
  if (may('write') && message.canLookUp !== undefined) buttons.append(lookUpPart(given))
  if (may('write') && message.state === 'waiting' && !message.paused) buttons.append(tryNowButton(given))
  buttons.append(...actions.map((action) => decisionButton(given, action)))
  if (RED.nodes.node(message.owner))
    buttons.append(button(text('showNode'), () => RED.view.reveal(message.owner), 'search'))
  if (may('content')) buttons.append(contentButton(given))
  return buttons
}

function contentButton({ message, place, route }: MessageActions): HTMLElement {
  const opener = button(
    text('showContent'),
    () => (message.contentIsClosed ? void sayWhyClosed() : askForIt()),
    'eye',
  )

  const askForIt = (): void => {
    askReason({
      ...{ place, opener },
      hint: text('lookIsRecorded'),
      submit: text('showContent'),
      decide: async (reason) => {
        const content = pretty(await ask<ContentResponse>(`${route}/content?${queryOf({ reason })}`))
        place.querySelector('pre')?.remove()
        place.append(code(content.slice(0, MAX_CHARACTERS)))
      },
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
