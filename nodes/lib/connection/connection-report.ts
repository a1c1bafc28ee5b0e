import type { NodeStatus } from 'node-red'
import type { RedoxErrorCode } from '../../../src/errors'
import type { DeliveryStore, DestinationState } from '../../../src/queue/types'
import type { QueueStats } from '../queue/outbox'

/**
 * Payload of the events in `outbox-events.ts`, also `msg.status.outbox` in messages of a Status node. Contains no patient
 * data.
 */
export interface OutboxState {
  /** number of messages that wait or are being sent */
  waiting: number
  parked: number
  /** number of delivered messages that a destination refused later */
  refusedLater: number
  /** seconds since the oldest waiting message was accepted */
  oldestSeconds: number
  /** true if the oldest waiting message is older than the late limit of the redox-config node */
  isLate: boolean
  /** bytes in the store; undefined until they are measured for the first time */
  storeBytes?: number
  /** bytes in the store above which no message is accepted; undefined: no limit */
  storeLimit?: number
  /** true from the time when the store holds 80 % of its limit until it holds less than 70 % */
  isNearlyFull: boolean
  /** true from the time when a message was refused at the limit until there is room for a message of its size */
  isFull: boolean
  /** destinations that are blocked by a parked message, or paused */
  stopped: string[]
  /** code of the error that makes the store unusable */
  code?: RedoxErrorCode
}

/** State of a durable connection, for the redox-outbox node. Contains no patient data. */
export interface ConnectionReport {
  /** name of the redox-config node; empty if it has none */
  name: string
  state: OutboxState
  /** status that the redox-config node shows */
  status: NodeStatus
  destinations: DestinationState[]
  /** destinations with a late message */
  late: string[]
  /** error code of the last attempt to each destination that no message currently reaches */
  failing: QueueStats['failing']
  /** see {@link QueueStats.sinceStart}; undefined while the store is not open */
  parkedSinceStart?: number
  /** store of the connection; undefined while it is not open */
  store?: DeliveryStore
}
