import type { InboxDelivery, InboxMessage, InboxMessageDetails } from '../../src/shared/inbox-api'
import { code, element, folded } from '../tab/elements'
import { pretty, time } from '../tab/formats'
import { RequestError } from '../tab/request'
import type { Fact, Row } from '../tab/sidebar-tab'
import { deliveryList, deliverySummary } from './deliveries'
import { fileBox, filesText } from './files'
import { ask, notice, tab, text } from './tab'

/** Row whose line and details show the deliveries of the message, which change. */
export interface InboxRow extends Row {
  show(deliveries: InboxDelivery[]): void
}

/** Returns a row of the message list. While the row is open, the details of the message are shown below its line. */
export function messageRow(message: InboxMessage): InboxRow {
  const urls: string[] = []
  const summary = deliverySummary()
  const list = deliveryList()
  const show = (deliveries: InboxDelivery[]): void => {
    summary.show(deliveries)
    list.show(deliveries)
  }
  const fill = (place: HTMLElement): void => {
    ask<InboxMessageDetails>(`/${message.id}`).then(
      (whole) => {
        if (!place.isConnected) return
        place.append(...details(whole, list.place, urls))
        // In a low sidebar, the opened details would be outside the visible area, so they are scrolled into view.
        row.item.scrollIntoView({ block: 'nearest' })
      },
      (failure: unknown) => {
        const isGone = failure instanceof RequestError && failure.status === 404
        place.append(notice(isGone ? 'gone' : 'failed'))
      },
    )
  }
  const forget = (): void => {
    for (const url of urls.splice(0)) URL.revokeObjectURL(url)
  }
  const parts = [...lineOf(message), summary.place]
  const row = tab.row({ id: message.id, parts, fill, forget })
  show(message.deliveries)
  return { ...row, show }
}

function lineOf(message: InboxMessage): HTMLElement[] {
  const small = [time(message.at), message.operation, filesText(message)]
  if (message.fault) small.push(text('fault', { fault: message.fault }))
  return [
    element('span', 'redox-tab-strong', message.patient || text('unknownPatient')),
    element('span', '', message.document || message.operation),
    element('span', 'redox-tab-small', small.join(' · ')),
  ]
}

/** Returns the details of a message. They do not repeat the contents of the row's line, because a sidebar is narrow. */
function details(message: InboxMessageDetails, deliveries: HTMLElement, urls: string[]): HTMLElement[] {
  const environment = text('simulated', { environment: message.environment })
  return [
    factsOf({ ...message, environment }, ['destinations', 'environment', 'logIds', 'fault']),
    deliveries,
    ...message.files.map((_file, index) => fileBox(message, index, urls)),
    ...(message.files.length === 0 ? [notice('noFile')] : []),
    block('request', code(requestText(message.request))),
    block('delivered', code(pretty(message.delivered))),
    block('ids', factsOf(message, ['id', 'source', 'locations'])),
  ]
}

type FactName = 'destinations' | 'environment' | 'logIds' | 'fault' | 'id' | 'source' | 'locations'

const factsOf = (message: InboxMessageDetails, names: FactName[]): HTMLElement =>
  tab.facts(names.map((name): Fact => [name, message[name]]))

const block = (name: string, content: HTMLElement): HTMLElement =>
  folded(`redox-inbox-${name}`, text(`block.${name}`), content).block

function requestText({ method, path, headers, body }: InboxMessageDetails['request']): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${String(value)}`)
  return [`${method} ${path}`, ...lines, '', pretty(body)].join('\n')
}
