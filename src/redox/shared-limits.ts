import type { RequestLog } from '../transport/retry'
import { Gate } from './semaphore'
import type { RedoxSettings } from './settings'

/**
 * What clients have in common that follow one another: Redox counts what comes from all of them, and what one has
 * begun goes on beside the next.
 */
export interface Succession {
  /** requests at once */
  gate: Gate
  /** messages at once that are prepared and sent */
  intake: Gate
  requests: RequestLog
  /** Origins that uploads were answered with: which host they name is not documented (docs/redox-api.md#binary). */
  uploadOrigins: Set<string>
}

export const newSuccession = ({ gate }: Pick<RedoxSettings, 'gate'>): Succession => ({
  gate: new Gate(gate),
  intake: new Gate(gate),
  requests: { pausedUntil: 0, made: [] },
  uploadOrigins: new Set(),
})
