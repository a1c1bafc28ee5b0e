import type { RequestLog } from '../transport/rate-limiter'
import { Semaphore } from './semaphore'
import type { RedoxSettings } from './settings'

/**
 * State shared by the successive clients of one connection across deploys. Redox counts the requests of all of them,
 * and requests of a previous client may still be in progress while the next client sends.
 */
export interface SharedLimits {
  /** slots for concurrent requests */
  requestSlots: Semaphore
  /** slots for messages that are being prepared or sent */
  preparationSlots: Semaphore
  requests: RequestLog
  /** requests to the Platform API, which has a limit of its own */
  platformRequests: RequestLog
  /**
   * origins of the file references that Redox returned for uploads; the host of these references is not documented
   * (docs/redox-api.md#binary)
   */
  uploadOrigins: Set<string>
}

export const newSharedLimits = ({ slots }: Pick<RedoxSettings, 'slots'>): SharedLimits => ({
  requestSlots: new Semaphore(slots),
  preparationSlots: new Semaphore(slots),
  requests: { pausedUntil: 0, made: [] },
  platformRequests: { pausedUntil: 0, made: [] },
  uploadOrigins: new Set(),
})
