/** Buttons that end the wait for the next attempt. They need no reason, because they change no message. */
import { button } from '../tab/elements'
import { forgetRefusal, showRequestError } from './request-errors'
import { text } from './tab'

/**
 * @param place element in which a refusal of the request is shown
 * @param tryNow sends the request
 */
export function tryNowButton(label: string, place: HTMLElement, tryNow: () => Promise<void>): HTMLElement {
  let isBusy = false
  const made = button(label, () => {
    // A double click is one command.
    if (isBusy) return
    isBusy = true
    forgetRefusal(place)
    tryNow()
      .catch((failure: unknown) => showRequestError(place, failure))
      .finally(() => (isBusy = false))
  })
  made.title = text('destination.tryNowHint')
  return made
}
