/** Changes of a job by its attempts, and by what Redox's logs say after a delivery. Terms: see `types.ts`. */
import type { Verdict } from '../shared/values'

/**
 * Change of a job at the end of an attempt. Without `notes`, the stored attempt record remains unchanged. `tags` are
 * added to those of the job.
 */
export type Settlement =
  | { state: 'waiting'; dueAt: number; reason: string; notes?: Buffer }
  | { state: 'parked'; reason: string; notes: Buffer; tags?: string[] }
  | { state: 'delivered'; notes: Buffer; tags?: string[] }

/** Change of a delivered job, when Redox's logs say what its destinations did with it. */
export interface VerdictChange {
  reason: Verdict
  notes: Buffer
  /** attempt record that the change was made from; if the job has another one now, nothing is changed */
  seen: Buffer
}
