import type { RequestLog } from '../transport/retry'
import { Gate } from './semaphore'
import type { RedoxSettings } from './settings'

/**
 * State shared by the successive clients of one connection across deploys. Redox counts the requests of all of them,
 * and requests of a previous client continue beside those of the next.
 */
export interface Succession {
  /** slots for concurrent requests */
  gate: Gate
  /** slots for messages that are prepared and sent */
  intake: Gate
  requests: RequestLog
  /** origins of the references in upload answers: their host is not documented (docs/redox-api.md#binary) */
  uploadOrigins: Set<string>
}

export const newSuccession = ({ gate }: Pick<RedoxSettings, 'gate'>): Succession => ({
  gate: new Gate(gate),
  intake: new Gate(gate),
  requests: { pausedUntil: 0, made: [] },
  uploadOrigins: new Set(),
})
