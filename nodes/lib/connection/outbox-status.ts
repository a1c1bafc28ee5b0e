import type { NodeAPI, NodeStatus } from 'node-red'
import { NEARLY_FULL } from '../../../src/shared/values'
import type { QueueStats } from '../queue/outbox'
import type { OutboxState } from './connection-report'
import { waitingText } from './waiting-text'

const CATALOGUE = '@ehr-flows/node-red-redox/redox-config:redox.status.'

/** Returns the status that a redox-config node shows for its outbox. */
export function outboxStatus(RED: NodeAPI, outbox: OutboxState): NodeStatus {
  const { waiting, parked, oldestSeconds, isLate, isNearlyFull, stopped, code } = outbox
  const text = (key: string): string => RED._(`${CATALOGUE}${key}`)
  const minutes = Math.floor(oldestSeconds / 60)
  const parts = [
    code === undefined ? '' : text(`error.${code}`),
    waitingText(RED, waiting),
    minutes > 0 ? `${minutes} min` : '',
    parked > 0 ? `${text('parked')} ${parked}` : '',
    stopped.length > 0 ? `${text('stopped')} ${stopped.length}` : '',
    isNearlyFull ? `${text('store')} ${percentOf(outbox)} %` : '',
  ].filter((part) => part !== '')
  const isBad = code !== undefined || stopped.length > 0
  return {
    fill: isBad ? 'red' : isLate || isNearlyFull || parked > 0 ? 'yellow' : waiting > 0 ? 'blue' : 'green',
    shape: isBad || isLate ? 'ring' : 'dot',
    text: parts.join(' · ') || text('empty'),
  }
}

/** Returns how far the store has filled its limit. */
export const fillingOf = ({
  bytes,
  limit,
}: QueueStats['usage']): Pick<OutboxState, 'storeBytes' | 'storeLimit' | 'isNearlyFull'> => ({
  ...(bytes !== undefined && { storeBytes: bytes }),
  ...(limit !== Infinity && { storeLimit: limit }),
  isNearlyFull: bytes !== undefined && bytes >= NEARLY_FULL * limit,
})

/** Returns the part of its limit that a store has reached, in whole percent. */
export const percentOf = ({ storeBytes = 0, storeLimit = Infinity }: OutboxState): number =>
  Math.floor((100 * storeBytes) / storeLimit)
