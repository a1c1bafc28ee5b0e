/** Buttons in the details of an open message. */
import type { ContentResponse, MessageDetails } from '../../src/shared/outbox-api'
import { button, code, element } from '../tab/elements'
import { safeFile } from '../tab/file-view'
import { pretty } from '../tab/formats'
import { queryOf, RequestError } from '../tab/request'
import { decisionButton, type MessageActions } from './decision-button'
import { lookUpPart } from './look-up'
import { askReason } from './reason-form'
import { forgetRefusal, refuse } from './request-errors'
import { ask, may, text } from './tab'
import { tryNowButton } from './try-now-button'
import { actionsFor } from './words'

const MAX_CHARACTERS = 100_000

export function actionButtons(given: MessageActions): HTMLElement {
  const { message } = given
  const buttons = element('div', 'redox-tab-buttons')
  const actions = may('write') ? actionsFor(message) : []
  if (may('write') && message.canLookUp !== undefined) buttons.append(lookUpPart(given))
  if (may('write') && canTryNow(message)) buttons.append(tryItNow(given))
  buttons.append(...actions.map((action) => decisionButton(given, action)))
  if (RED.nodes.node(message.owner))
    buttons.append(button(text('showNode'), () => RED.view.reveal(message.owner), 'search'))
  if (may('content')) buttons.append(contentButton(given), ...fileButtons(given))
  return buttons
}

/** Returns false if an attempt now would not send the message: a person has to resume its destination or to decide first. */
const canTryNow = ({ state, paused, blockedReason }: MessageDetails): boolean =>
  state === 'waiting' && !paused && blockedReason === undefined

/** Returns the button that tries the destination of a waiting message now: a message cannot overtake another one. */
const tryItNow = ({ message: { destination }, place, onTryNow }: MessageActions): HTMLElement =>
  tryNowButton(text('destination.tryItNow'), place, () => onTryNow({ destination, action: 'try-now' }))

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
