import type { NodeAPI, NodeStatus } from 'node-red'
import { NEARLY_FULL, NO_LONGER_NEARLY_FULL } from '../../../src/shared/values'
import type { QueueStats } from '../queue/outbox'
import type { OutboxState } from './connection-report'
import { waitingText } from './waiting-text'

type Evicted = QueueStats['usage']['evicted']

const CATALOGUE = '@ehr-flows/node-red-redox/redox-config:redox.status.'

/** Returns the status that a redox-config node shows for its outbox. */
export function outboxStatus(RED: NodeAPI, outbox: OutboxState): NodeStatus {
  const { waiting, parked, refusedLater, oldestSeconds, isLate, isNearlyFull, isFull, stopped, code } = outbox
  const text = (key: string): string => RED._(`${CATALOGUE}${key}`)
  const problem = code ?? (isFull ? 'REDOX_STORE_FULL' : undefined)
  const minutes = Math.floor(oldestSeconds / 60)
  const parts = [
    problem === undefined ? '' : text(`error.${problem}`),
    waitingText(RED, waiting),
    minutes > 0 ? `${minutes} min` : '',
    parked > 0 ? `${text('parked')} ${parked}` : '',
    refusedLater > 0 ? `${text('refusedLater')} ${refusedLater}` : '',
    stopped.length > 0 ? `${text('stopped')} ${stopped.length}` : '',
    isNearlyFull ? `${text('store')} ${percentOf(outbox)} %` : '',
  ].filter((part) => part !== '')
  const isBad = problem !== undefined || stopped.length > 0
  const isWorrying = isLate || isNearlyFull || parked > 0 || refusedLater > 0
  return {
    fill: isBad ? 'red' : isWorrying ? 'yellow' : waiting > 0 ? 'blue' : 'green',
    shape: isBad || isLate ? 'ring' : 'dot',
    text: parts.join(' · ') || text('empty'),
  }
}

/**
 * Returns how far the store has filled its limit.
 * @param wasNearlyFull last value of `isNearlyFull`: at its limit, a store makes room for new messages again and again,
 *   which is told once
 */
export const fillingOf = (
  { bytes, limit, refused }: QueueStats['usage'],
  wasNearlyFull: boolean,
): Pick<OutboxState, 'storeBytes' | 'storeLimit' | 'isNearlyFull' | 'isFull'> => ({
  ...(bytes !== undefined && { storeBytes: bytes }),
  ...(limit !== Infinity && { storeLimit: limit }),
  isNearlyFull: bytes !== undefined && bytes >= (wasNearlyFull ? NO_LONGER_NEARLY_FULL : NEARLY_FULL) * limit,
  isFull: refused > 0,
})

/** Returns the warning about messages that a store at its limit has deleted since `before`; undefined if there are none. */
export function evictionWarning(evicted: Evicted, before: Evicted): string | undefined {
  const since = (kind: keyof Evicted): number => evicted[kind] - before[kind]
  const all = since('finished') + since('unconfirmed') + since('refused')
  if (all === 0) return undefined
  return (
    `the store reached its limit. Delivered or discarded messages that were removed early: ${all}; refused by a ` +
    `destination: ${since('refused')}; not known if a destination accepted them: ${since('unconfirmed')}.`
  )
}

/** Returns the part of its limit that a store has reached, in whole percent. */
export const percentOf = ({ storeBytes = 0, storeLimit = Infinity }: OutboxState): number =>
  Math.floor((100 * storeBytes) / storeLimit)
