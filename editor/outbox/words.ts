/** Texts about messages and destinations in the user's language. */
import type { DirectMessageState } from '../../src/shared/direct-api'
import type {
  Action,
  LogCandidate,
  MessageFilter,
  MessageState,
  MessageSummary,
} from '../../src/shared/outbox-api'
import { isRefusedLater, VERDICTS, type Verdict } from '../../src/shared/values'
import { time } from '../tab/formats'
import { text as textOfDialogs } from '../texts'
import { text } from './tab'

/** States of messages that are not sent any more. */
const DONE: readonly string[] = ['delivered', 'discarded'] satisfies MessageState[]
/** @param state state of a message, or a filter by state */
export const isDone = (state: string): boolean => DONE.includes(state)

export const ICONS: Record<MessageState, string> = {
  waiting: 'clock-o',
  sending: 'paper-plane-o',
  parked: 'hand-paper-o',
  delivered: 'check',
  discarded: 'trash-o',
}

export const DIRECT_ICONS: Record<DirectMessageState, string> = {
  waiting: 'clock-o',
  sending: 'paper-plane-o',
  unknown: 'question-circle-o',
}

/** Catalogue keys of the texts for an empty list, by filter. */
export const NONE: Record<MessageState | 'refusedLater', string> = {
  waiting: 'noneWaiting',
  sending: 'noneSending',
  parked: 'noneParked',
  refusedLater: 'noneRefusedLater',
  delivered: 'noneDelivered',
  discarded: 'noneDiscarded',
}

/** Actions that a user can choose for a message, by its state. */
const ACTIONS: Record<MessageState, Action[]> = {
  waiting: ['extend', 'mark-delivered', 'discard'],
  sending: [],
  parked: ['resend', 'mark-delivered', 'discard'],
  delivered: ['resend'],
  discarded: ['resend'],
}

/** Returns the actions that a user can choose for a message, or for messages that have the same state and reason. */
export const actionsFor = (message: { state: MessageState; reason?: string | undefined }): Action[] =>
  isRefusedLater(message) ? ACTIONS.parked : ACTIONS[message.state]

/** Actions that a user can choose for many messages in different states. */
export const ACTIONS_FOR_ALL: Action[] = ['resend', 'extend', 'mark-delivered', 'discard']

/** Names of destinations in the last answers of the server. */
const names = new Map<string, string>()

/** Remembers the names in an answer of the server, and forgets the names that are no longer in it. */
export function rememberNames(
  answers: readonly { destination?: string; destinationName?: string }[] | undefined,
): void {
  for (const { destination, destinationName: name } of answers ?? []) {
    if (destination === undefined) continue
    if (name === undefined) names.delete(destination)
    else names.set(destination, name)
  }
}

/**
 * Returns the display name of a destination such as `fhir a-slug` or `datamodel ID ID`: its name, or else its IDs, with
 * the API as named in the dialogs.
 */
export function destinationName(destination: string): string {
  const name = names.get(destination)
  return name === undefined ? destinationId(destination) : `${name} (${apiOf(destination)})`
}

/** Returns the API and the IDs or the slug of a destination. */
export const destinationId = (destination: string): string =>
  [apiOf(destination), ...destination.split(' ').slice(1)].join(' ')

const apiOf = (destination: string): string =>
  destination.startsWith('fhir ') ? text('api.fhir') : text('api.datamodel')

export const shortId = (id: string): string => id.slice(0, 8)

export const userName = (who: string): string => (who === 'anonymous' ? text('anonymous') : who)

/** Returns true if the reason of a message says what its destinations did with it. */
const isVerdict = (state: MessageState, reason: string | undefined): reason is Verdict =>
  state === 'delivered' && (VERDICTS as readonly (string | undefined)[]).includes(reason)

/** Returns the icon for the state of a message. */
export const iconOf = (message: Pick<MessageSummary, 'state' | 'reason'>): string =>
  isRefusedLater(message) ? 'exclamation-triangle' : ICONS[message.state]

/** Returns a text for the state of a message, and for why it is in this state. */
export function stateText(message: MessageSummary): string {
  const { state, reason } = message
  const shown = text(`state.${state}`)
  const stopped = state === 'waiting' ? stoppedText(message) : undefined
  if (stopped !== undefined) return `${shown} · ${stopped}`
  if (reason === undefined) return shown
  if (isVerdict(state, reason)) return text(`verdict.${reason}`)
  return isEndedByPerson({ reason })
    ? `${shown} · ${text(`decided.${reason}`)}`
    : `${shown}: ${sentenceOf(reason)}`
}

/** Returns a text for a waiting message that is not sent before a person decides. */
function stoppedText({ paused, waitsBehind, blockedReason }: MessageSummary): string | undefined {
  if (paused) return text('stopped.paused')
  if (waitsBehind === undefined || blockedReason === undefined) return undefined
  return text('stopped.behindParked', { id: shortId(waitsBehind) })
}

/** Returns true if a person has marked the message as delivered, or discarded it. */
export const isEndedByPerson = ({ reason }: Pick<MessageSummary, 'reason'>): boolean =>
  reason === 'mark-delivered' || reason === 'discard'

/** Returns a sentence that says in the user's language why a message waits or is parked; the code if there is none. */
export function sentenceOf(code: string): string {
  const sentence = text(`why.${code}`)
  // For a missing text, the catalogue returns its key.
  return sentence.endsWith(`.${code}`) ? code : sentence
}

/** Returns words for the status of a log of Redox. */
export const logStatus = ({ status }: Pick<LogCandidate, 'status'>): string => text(`lookUp.status.${status}`)

/** Returns the text that a node's status shows for an error code, followed by the code in parentheses. */
export const failureText = (code: string): string => `${textOfDialogs(`status.error.${code}`)} (${code})`

/** Returns a text that describes the filter of the list. */
export function filterText({ state, destination, search, code, since, till }: MessageFilter): string {
  const between = [since, till].map((at) => (at ? time(String(at)) : '…')).join(' – ')
  const isLater = state !== undefined && isRefusedLater({ state, reason: code })
  const parts = [
    state ? text(`state.${isLater ? 'refusedLater' : state}`) : text('all'),
    ...[isLater ? '' : code, destination && destinationName(destination), search, (since || till) && between],
  ]
  return parts.filter(Boolean).join(' · ')
}
