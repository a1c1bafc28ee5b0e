/** Look-up of a message whose outcome is unknown: the logs of Redox that may be those of the message. */
import type { LogCandidate, LogTrait, LookUpRequest, LookUpResponse } from '../../src/shared/outbox-api'
import { button, element, folded } from '../tab/elements'
import { time } from '../tab/formats'
import { decisionButton, type MessageActions } from './decision-button'
import { askReason } from './reason-form'
import { ask, text } from './tab'
import { logStatus, shortId } from './words'

/** Class of the element with the found logs, which stays when the details of the message are refreshed. */
export const FOUND = 'redox-outbox-found'

/** Returns the button for the look-up; without a user-level key, a sentence that says what to set up. */
export function lookUpPart(given: MessageActions): HTMLElement {
  const { message, place, route } = given
  if (!message.canLookUp) return element('p', 'redox-tab-small redox-outbox-no-key', text('lookUp.noKey'))
  const opener = button(
    text('lookUp.open'),
    () =>
      askReason({
        ...{ place, opener, submit: text('lookUp.open') },
        proposed: text('lookUp.proposed'),
        hint: [text('lookUp.hint'), message.otherAccount ? text('lookUp.otherAccount') : ''].join(' '),
        decide: async (reason) => {
          const body: LookUpRequest = { reason }
          place.querySelector(`.${FOUND}`)?.remove()
          const searching = element('p', 'redox-tab-small', text('lookUp.searching'))
          place.append(searching)
          const answer = ask<LookUpResponse>(`${route}/look-up`, { method: 'POST', body })
          const found = await answer.finally(() => searching.remove())
          place.append(foundLogs(given, found))
        },
      }),
    'search',
  )
  return opener
}

function foundLogs(given: MessageActions, answer: LookUpResponse): HTMLElement {
  const block = element('div', FOUND)
  const summary = element('p', 'redox-tab-strong', summaryOf(answer))
  const doubts = element('p', 'redox-tab-small', doubtsOf(given, answer).join(' '))
  const items = element('ul')
  const ofOthers = answer.candidates.filter(isOfOther)
  summary.setAttribute('role', 'status')
  items.append(...answer.candidates.filter((log) => !isOfOther(log)).map((log) => candidateItem(given, log)))
  block.append(summary, doubts, items)
  if (ofOthers.length > 0) block.append(foldedLogs(given, ofOthers, answer.ofOthers))
  return block
}

/** Returns true for a log that certainly belongs to another message of the outbox. */
const isOfOther = ({ ofMessage }: LogCandidate): boolean => ofMessage !== undefined

/** Returns the logs of other messages, closed: the user needs them only to understand what else was found. */
function foldedLogs(given: MessageActions, logs: LogCandidate[], count: number): HTMLElement {
  const items = element('ul')
  items.append(...logs.map((log) => candidateItem(given, log)))
  return folded('redox-tab-small', text('lookUp.ofOthers', { count }), items).block
}

function summaryOf(answer: LookUpResponse): string {
  const between = { since: time(answer.since), till: time(answer.till) }
  const count = answer.found - answer.ofOthers
  return count === 0 ? text('lookUp.none', between) : text('lookUp.found', { count, ...between })
}

/** Returns sentences that say why the logs that were found are not certain. */
function doubtsOf({ message }: MessageActions, answer: LookUpResponse): string[] {
  const { candidates, found, ofOthers, isComplete, requestedAt } = answer
  const destinations = message.destination.split(' ').length - 1
  return [
    text(found === ofOthers ? 'lookUp.noneDoubt' : 'lookUp.doubt'),
    found > candidates.length ? text('lookUp.shown', { shown: candidates.length }) : '',
    isComplete ? '' : text('lookUp.incomplete'),
    requestedAt === undefined ? text('lookUp.noTime') : '',
    destinations > 1 ? text('lookUp.several', { count: destinations }) : '',
  ].filter(Boolean)
}

function candidateItem(given: MessageActions, log: LogCandidate): HTMLElement {
  const item = element('li', 'redox-outbox-candidate')
  const { logId, operation, destinationId, destinationName: name, ofMessage, foundFor } = log
  const destination = name ?? destinationId
  item.append(
    element('div', 'redox-tab-strong', timeOf(log)),
    element('div', '', [...comparisonOf(log), logStatus(log)].join(' · ')),
    element(
      'div',
      'redox-tab-small',
      [operation, destination, text('lookUp.log', { id: logId })].filter(Boolean).join(' · '),
    ),
  )
  if (ofMessage !== undefined) {
    const words = text('lookUp.ofMessage', { id: shortId(ofMessage) })
    item.append(element('div', 'redox-tab-small', words))
    return item
  }
  if (foundFor !== undefined) {
    const words = text('lookUp.foundFor', { id: shortId(foundFor) })
    item.append(element('div', 'redox-tab-strong', words))
  }
  const buttons = element('div', 'redox-tab-buttons')
  const beside = { ...given, place: item }
  buttons.append(decisionButton(beside, 'mark-delivered', log), decisionButton(beside, 'resend', log))
  item.append(buttons)
  return item
}

function timeOf({ createdAt, secondsAfter }: LogCandidate): string {
  if (createdAt === undefined) return text('lookUp.timeUnknown')
  if (secondsAfter === undefined) return time(createdAt)
  const key = secondsAfter < 0 ? 'lookUp.before' : 'lookUp.after'
  return `${time(createdAt)} · ${text(key, { seconds: Math.abs(secondsAfter) })}`
}

/** Returns words for the properties in which the log and the message are the same, and those in which they differ. */
function comparisonOf({ same, different }: LogCandidate): string[] {
  const words = (key: string, traits: LogTrait[]): string[] => {
    if (traits.length === 0) return []
    const named = traits.map((trait) => text(`lookUp.trait.${trait}`))
    return [text(`lookUp.${key}`, { traits: named.join(', ') })]
  }
  return [...words('same', same), ...words('different', different)]
}
