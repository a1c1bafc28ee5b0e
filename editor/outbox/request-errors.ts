/** Error texts for failed requests. */
import { element } from '../tab/elements'
import { time } from '../tab/formats'
import { RequestError } from '../tab/request'
import { text } from './tab'
import { sentenceOf } from './words'

/**
 * Shows the error of a failed request.
 * @param form element in which a text about wrong settings is shown; the text stays until the next attempt
 */
export function showRequestError(form: HTMLElement, failure: unknown): void {
  if (!(failure instanceof RequestError)) return void RED.notify(text('notice.notDone'), 'error')
  const { answer, refusal } = failure
  if (refusal) return refuse(form, refusal)
  if (answer?.code === 'unchanged')
    return refuse(form, text('notice.unchanged', { until: time(String(answer['deadline'])) }))
  if (failure.status === 502 || answer?.code === 'REDOX_CONFIGURATION')
    return refuse(form, lookUpFailure(answer?.code ?? '', answer?.message ?? ''))
  RED.notify(text(`notice.${noticeOf(failure)}`), 'error')
}

/** Returns a text for a failure of the Platform API: a sentence in the user's language, code and text of the error. */
function lookUpFailure(errorCode: string, message: string): string {
  const why = sentenceOf(errorCode)
  return [text('lookUp.failed'), why === errorCode ? '' : why, `${errorCode}: ${message}`]
    .filter(Boolean)
    .join(' ')
}

/** Catalogue keys of the texts for error codes. */
const NOTICES: Record<string, string> = {
  more_match: 'moreMatch',
  file_missing: 'fileMissing',
  REDOX_STORE_UNREADABLE: 'unreadable',
  REDOX_STORE_FULL: 'storeFull',
}

function noticeOf({ isForbidden, answer, status }: RequestError): string {
  if (isForbidden) return 'noPermissionToDecide'
  const known = NOTICES[answer?.code ?? '']
  if (known) return known
  return status === 409 ? 'conflict' : 'notDone'
}

export function refuse(place: HTMLElement, message: string): void {
  const shown = element('p', 'redox-tab-notice redox-outbox-refused', message)
  shown.setAttribute('role', 'alert')
  place.append(shown)
  // Scrolls to the text, which may be outside the visible area of the sidebar.
  shown.scrollIntoView({ block: 'nearest' })
}

export function forgetRefusal(place: HTMLElement): void {
  place.querySelector('.redox-outbox-refused')?.remove()
}
