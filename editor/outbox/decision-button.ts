/** Buttons for decisions about one message, with the sentences that say what a decision entails. */
import type {
  Action,
  LogCandidate,
  MessageDetails,
  OneDecisionRequest,
  TryNowRequest,
} from '../../src/shared/outbox-api'
import { isRefusedLater } from '../../src/shared/values'
import { button } from '../tab/elements'
import type { ContentView } from './content-view'
import { askReason, hoursAhead, hoursBeyond, hoursField, labelled } from './reason-form'
import { ask, text } from './tab'
import { logStatus } from './words'

/**
 * Callback after an action.
 * @param values values to insert into the sentence that reports the action
 */
export type OnDecided = (action: Action, values?: object) => void

export interface MessageActions {
  message: MessageDetails
  /** element in which forms are shown */
  place: HTMLElement
  /** shows the content of the message, or one of its files */
  view: ContentView
  /** admin route of the message */
  route: string
  onDecided: OnDecided
  /** ends the wait for the next attempt of a destination */
  onTryNow: OnTryNow
}

export type OnTryNow = (request: TryNowRequest) => Promise<void>

/** @param log log of Redox that the user compares with the message */
export function decisionButton(
  { message, place, route, onDecided }: MessageActions,
  action: Action,
  log?: LogCandidate,
): HTMLElement {
  const opener = button(text(`action.${action}`), () => {
    const isOther = action === 'resend' && message.otherAccount
    const hours = hoursField(hoursBeyond(message.deadline))
    askReason({
      ...{ place, opener },
      hint: (log ? hintsBeside(log, action, message) : hintsOf(action, message)).join(' '),
      submit: text(`action.${action}`),
      fields: action === 'extend' ? labelled(text('hours'), hours) : [],
      ...(log && { proposed: reasonBeside(log, action) }),
      decide: async (reason) => {
        const body: OneDecisionRequest = {
          ...{ action, reason },
          ...(action === 'extend' && { hours: hours.valueAsNumber }),
          ...(isOther && { otherAccount: true }),
          ...(log && action === 'mark-delivered' && { logId: log.logId }),
        }
        await ask(route, { method: 'POST', answer: 'text', body })
        onDecided(action, action === 'extend' ? { until: hoursAhead(hours.valueAsNumber) } : undefined)
      },
    })
  })
  return opener
}

/** Returns what an action entails for a message, in sentences that users read before they decide. */
function hintsOf(action: Action, message: MessageDetails): string[] {
  if (action === 'resend') return [text(`risk.${riskOf(message)}`), otherAccount(message)].filter(Boolean)
  if (isRefusedLater(message)) return [text('hint.refusedLater'), text(`hint.refusedLaterThen.${action}`)]
  const { arrival, ordered, state } = message
  const isLeft = action === 'discard' && arrival === 'maybe'
  const isNotThere = action === 'mark-delivered' && (arrival === 'no' || arrival === 'never-sent')
  return [
    text(`hint.${action}`),
    isLeft ? text('hint.mayBeThere') : '',
    isNotThere ? text('hint.notThere') : '',
    action !== 'extend' && ordered && state === 'parked' ? text('hint.behind') : '',
  ].filter(Boolean)
}

/** Returns the catalogue key of what happens if the message is sent again. */
function riskOf(message: MessageDetails): string {
  const { arrival, environment, canLookUp, error } = message
  if (arrival === undefined) return 'unreadable'
  if (isRefusedLater(message)) return isAcceptedInPart(message) ? 'refusedInPart' : 'refusedLater'
  if (message.state === 'delivered' && message.reason === 'accepted') return 'acceptedLater'
  if (arrival === 'yes') return 'arrived'
  if (arrival === 'in-part') return 'arrivedInPart'
  if (arrival === 'never-sent') return 'neverSent'
  if (arrival === 'no') return TEMPORARY.has(error?.code ?? '') ? 'notArrived' : 'refused'
  if (environment === 'sandbox') return 'mayArriveTwiceSandbox'
  return canLookUp ? 'mayArriveTwiceLookUp' : 'mayArriveTwice'
}

/** Returns true if another destination of the message has accepted it. */
const isAcceptedInPart = ({ verdict }: MessageDetails): boolean =>
  verdict?.logs.some(({ status }) => status === 'succeeded') ?? false

/** Codes of failures that may be over without a change of the message or of the connection. */
const TEMPORARY: ReadonlySet<string> = new Set([
  ...['REDOX_RATE_LIMITED', 'REDOX_UNAVAILABLE', 'REDOX_NETWORK', 'REDOX_TIMEOUT', 'REDOX_ABORTED'],
  ...['REDOX_OTHER_ACCOUNT', 'REDOX_STORE_UNAVAILABLE', 'REDOX_STORE_FULL'],
])

const otherAccount = (message: MessageDetails): string => (message.otherAccount ? text('otherAccount') : '')

/** Returns the proposed reason. That of `mark-delivered` has no ID, because the audit log gets it in any case. */
const reasonBeside = (log: LogCandidate, action: Action): string =>
  text(action === 'resend' ? 'lookUp.reasonResend' : 'lookUp.reason', {
    id: log.logId,
    status: logStatus(log),
  })

/** Returns what an action entails if the log is that of the message. */
function hintsBeside({ status }: LogCandidate, action: Action, message: MessageDetails): string[] {
  const isLost = status === 'failed' || status === 'filtered'
  if (action === 'resend')
    return [text(isLost ? 'lookUp.resendFailed' : 'lookUp.resend'), otherAccount(message)].filter(Boolean)
  return [text('lookUp.mark'), isLost ? text('lookUp.markFailed') : '', ...hintsOf(action, message)].filter(
    Boolean,
  )
}
