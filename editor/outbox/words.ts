/** Texts about messages and destinations in the user's language. */
import type { Action, DirectMessageState, MessageFilter, MessageState } from '../../src/shared/outbox-api'
import { time } from '../tab/formats'
import { text as textOfDialogs } from '../texts'
import { text } from './tab'

/** States of messages that are not finished: they can still be sent or need a decision. */
export const OPEN: readonly MessageState[] = ['waiting', 'sending', 'parked']
export const STATES: readonly MessageState[] = [...OPEN, 'delivered', 'discarded']

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

/** Catalogue keys of the texts for an empty list, by state. */
export const NONE: Record<MessageState, string> = {
  waiting: 'noneWaiting',
  sending: 'noneSending',
  parked: 'noneParked',
  delivered: 'noneDelivered',
  discarded: 'noneDiscarded',
}

/** Actions that a user can choose for a message, by its state. */
export const ACTIONS: Record<MessageState, Action[]> = {
  waiting: ['extend', 'mark-delivered', 'discard'],
  sending: [],
  parked: ['resend', 'mark-delivered', 'discard'],
  delivered: ['resend'],
  discarded: ['resend'],
}

/** Actions that a user can choose for many messages in different states. */
export const ACTIONS_FOR_ALL: Action[] = ['resend', 'extend', 'mark-delivered', 'discard']

/**
 * Returns the display name of a destination such as `fhir a-slug` or `datamodel ID ID`, with the API as named in the
 * dialogs.
 */
export function destinationName(destination: string): string {
  const [api, ...names] = destination.split(' ')
  return [api === 'fhir' ? text('api.fhir') : text('api.datamodel'), ...names].join(' ')
}

export const shortId = (id: string): string => id.slice(0, 8)

export const userName = (who: string): string => (who === 'anonymous' ? text('anonymous') : who)

/**
 * Returns the text for the reason of a message's state.
 * @param reason error code, or the action that ended the message
 */
export const reasonText = (reason: string): string =>
  reason === 'mark-delivered' || reason === 'discard' ? text(`decided.${reason}`) : reason

/** Returns the text that a node's status shows for an error code, followed by the code in parentheses. */
export const failureText = (code: string): string => `${textOfDialogs(`status.error.${code}`)} (${code})`

/** Returns a text that describes the filter of the list. */
export function filterText({ state, destination, search, code, since, till }: MessageFilter): string {
  const between = [since, till].map((at) => (at ? time(String(at)) : '…')).join(' – ')
  const parts = [
    state ? text(`state.${state}`) : text('all'),
    ...[code, destination && destinationName(destination), search, (since || till) && between],
  ]
  return parts.filter(Boolean).join(' · ')
}
