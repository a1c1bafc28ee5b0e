/** Messages and destinations in the user's words. */
import type { Action, MessageFilter, MessageState } from '../../src/shared/outbox-api'
import { time } from '../tab/formats'
import { text } from './tab'

/** States of messages that are not done. */
export const OPEN: readonly MessageState[] = ['waiting', 'sending', 'parked']
export const STATES: readonly MessageState[] = [...OPEN, 'delivered', 'discarded']

export const ICONS: Record<MessageState, string> = {
  waiting: 'clock-o',
  sending: 'paper-plane-o',
  parked: 'hand-paper-o',
  delivered: 'check',
  discarded: 'trash-o',
}

/** Notices that there is no message of a state. */
export const NONE: Record<MessageState, string> = {
  waiting: 'noneWaiting',
  sending: 'noneSending',
  parked: 'noneParked',
  delivered: 'noneDelivered',
  discarded: 'noneDiscarded',
}

/** What can be decided about a message, by its state. */
export const ACTIONS: Record<MessageState, Action[]> = {
  waiting: ['extend', 'mark-delivered', 'discard'],
  sending: [],
  parked: ['resend', 'mark-delivered', 'discard'],
  delivered: ['resend'],
  discarded: ['resend'],
}

/** What can be decided about many messages of different states. */
export const ACTIONS_FOR_ALL: Action[] = ['resend', 'extend', 'mark-delivered', 'discard']

/** `fhir a-slug`, `datamodel ID ID`: the API in the words of the dialogs. */
export function destinationName(destination: string): string {
  const [api, ...names] = destination.split(' ')
  return [api === 'fhir' ? text('api.fhir') : text('api.datamodel'), ...names].join(' ')
}

export const shortId = (id: string): string => id.slice(0, 8)

export const userName = (who: string): string => (who === 'anonymous' ? text('anonymous') : who)

/** @param reason a code, or the decision that ended a message */
export const reasonText = (reason: string): string =>
  reason === 'mark-delivered' || reason === 'discard' ? text(`decided.${reason}`) : reason

/** What the list is filtered by. */
export function filterText({ state, destination, search, code, since, till }: MessageFilter): string {
  const between = [since, till].map((at) => (at ? time(String(at)) : '…')).join(' – ')
  const parts = [
    state ? text(`state.${state}`) : text('all'),
    ...[code, destination && destinationName(destination), search, (since || till) && between],
  ]
  return parts.filter(Boolean).join(' · ')
}
