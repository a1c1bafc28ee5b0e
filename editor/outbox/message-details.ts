/** Details of an open message in the outbox tab. */
import type { IdentifiersResponse, MessageDetails, OutboxFile } from '../../src/shared/outbox-api'
import type { LogVerdict } from '../../src/shared/values'
import { size, time } from '../tab/formats'
import { may, tab, text } from './tab'
import { textButton } from './text-button'
import { destinationId, destinationName, logStatus, sentenceOf, shortId, userName } from './words'

/** Returns the facts about the result of a message. */
export function outcomeOf({ delivery, verdict, foundLogId, error, unreadable }: MessageDetails): HTMLElement {
  const { logIds = [] } = delivery ?? error?.cause ?? {}
  const judged = verdict?.logs.map(({ logId }) => logId) ?? []
  return tab.facts([
    ['error', [error?.code, error?.message]],
    ['problem', [unreadable?.code, unreadable?.message]],
    ['status', delivery?.status ?? error?.cause.status],
    ['logIds', logIds.filter((id) => !judged.includes(id))],
    ['verdict', [...(verdict?.logs.map(logText) ?? []), verdict?.hasReasons && whereReasonsAre()]],
    ['verdictAt', verdict && time(verdict.at)],
    ['foundLog', foundLogId],
    ['locations', delivery?.locations],
  ])
}

const whereReasonsAre = (): string => text(may('content') ? 'lookUp.reasons' : 'lookUp.reasonsForOthers')

const logText = (log: LogVerdict): string =>
  [
    `${text('lookUp.log', { id: log.logId })}: ${logStatus(log)}`,
    log.stage && text('lookUp.stage', { stage: log.stage }),
    log.code && text('lookUp.answer', { code: log.code }),
  ]
    .filter(Boolean)
    .join(' · ')

/** @param identifiers document and order IDs; undefined if the user may not see them */
export function aboutMessage(
  message: MessageDetails,
  identifiers: IdentifiersResponse['identifiers'] = {},
): HTMLElement {
  const { files = [], decision } = message
  const at = (value: string | undefined): string | undefined => value && time(value)
  const ended = message.state === 'parked' ? 'parkedSince' : 'ended'
  return tab.facts([
    ['identifiers', Object.entries(identifiers).map(([name, value]) => `${name}: ${value}`)],
    ['decision', decision && `${userName(decision.who)}: ${decision.reason}`],
    ['destination', [...new Set([destinationName(message.destination), destinationId(message.destination)])]],
    ['operation', message.operation],
    ['environment', message.environment],
    ['files', files.map(fileText)],
    ['accepted', at(message.acceptedAt)],
    ['attempts', message.attempts],
    ['deadline', at(message.deadline)],
    [ended, at(message.endedAt)],
    ['id', message.id],
  ])
}

const fileText = ({ kind, contentType, size: bytes, sha256 }: OutboxFile): string =>
  [
    contentType,
    bytes === undefined ? undefined : size(bytes),
    sha256 && `sha256 ${sha256}`,
    kind === 'stored' ? undefined : text(`file.${kind}`),
  ]
    .filter(Boolean)
    .join(' · ')

/**
 * Shows when the next attempt of a waiting message is, or for which message it waits; nothing for messages in other
 * states. An unchanged text keeps its element, because its button may have the focus.
 */
export function tellNext(place: HTMLElement, message: MessageDetails, onShow: (id: string) => void): void {
  const said = whatNext(message)
  const { waitsBehind = '' } = message
  place.hidden = said === ''
  if (place.textContent === said) return
  place.replaceChildren(said === behind(message) ? textButton(said, () => onShow(waitsBehind)) : said)
}

function whatNext(message: MessageDetails): string {
  const { state, paused, waitsBehind, dueAt, attempts } = message
  if (state !== 'waiting') return ''
  if (paused) return text('next.paused')
  if (waitsBehind) return behind(message)
  if (dueAt && Date.parse(dueAt) > Date.now()) return text('next.due', { at: time(dueAt) })
  return attempts > 0 ? text('next.now') : text('next.soon')
}

const behind = ({ waitsBehind = '', blockedReason: reason }: MessageDetails): string =>
  reason === undefined
    ? text('next.behind', { id: shortId(waitsBehind) })
    : text('next.behindParked', { id: shortId(waitsBehind), reason: sentenceOf(reason) })
