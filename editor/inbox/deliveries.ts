import type { InboxDelivery } from '../../src/shared/inbox-api'
import { element, icon, write } from '../tab/elements'
import { text } from './tab'

type ShownStatus = InboxDelivery['status']

const STATUSES: readonly ShownStatus[] = ['failed', 'filtered', 'pending', 'succeeded']
const ICONS: Record<ShownStatus, string> = {
  pending: 'clock-o',
  succeeded: 'check',
  failed: 'exclamation-triangle',
  filtered: 'filter',
}

/** An element with the state of deliveries, and the function that shows a later state in it. */
export interface DeliveryView {
  place: HTMLElement
  show(deliveries: readonly InboxDelivery[]): void
}

/** Returns the part of a row that sums up the deliveries of a message, the worst first. */
export function deliverySummary(): DeliveryView {
  const place = element('span', 'redox-tab-small redox-inbox-delivery')
  const words = element('span')
  const symbol = icon('clock-o')
  place.append(symbol, ' ', words)
  return {
    place,
    show(deliveries) {
      const counts = STATUSES.map((status) => ({
        status,
        count: deliveries.filter((delivery) => delivery.status === status).length,
      })).filter(({ count }) => count > 0)
      const [worst] = counts
      if (worst === undefined) return
      symbol.className = `fa fa-${ICONS[worst.status]}`
      place.dataset['status'] = worst.status
      const said = counts.map(({ status, count }) =>
        deliveries.length === 1 ? text(`delivery.${status}`) : `${text(`delivery.${status}`)}: ${count}`,
      )
      write(words, said.join(' · '))
    },
  }
}

/** Returns the list of the deliveries of a message, one per destination, with stage and reason. */
export function deliveryList(): DeliveryView {
  const place = element('ul', 'redox-inbox-deliveries')
  place.setAttribute('aria-label', text('deliveries'))
  const items: HTMLElement[] = []
  return {
    place,
    show(deliveries) {
      deliveries.forEach((delivery, index) => {
        const item = (items[index] ??= place.appendChild(element('li')))
        write(item, sentenceOf(delivery))
      })
    },
  }
}

function sentenceOf({ destination, logId, status, attempts, problem }: InboxDelivery): string {
  const parts = [`${destination}: ${text(`delivery.${status}`)}`]
  if (attempts > 0) parts.push(text('attempts', { count: attempts }))
  if (problem?.stage === 'filter') parts.push(text('reason.filter'))
  else if (problem) parts.push(text('reason.request', { code: problem.code, reason: problem.reason }))
  if (problem && status === 'pending') parts.push(text('reason.again'))
  return [...parts, text('log', { id: logId })].join(' · ')
}
