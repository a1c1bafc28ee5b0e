import type { HttpAnswer } from '../transport/http'
import type { Way } from '../message/prepared'
import type { PublicFacts } from './public-facts'

export interface Uploaded {
  /** the reference, exactly as Redox gave it */
  url: string
  status: number
  headers: HttpAnswer['headers']
  sha256: string
  attempts: number
}

export interface DeliveredFile {
  way: Way
  size?: number
  sha256?: string
  url?: string
}

/** How far a message is. */
export interface Progress {
  /** `wait`: as many as may are under way before it; `retry`: until the next attempt */
  phase: 'wait' | 'upload' | 'send' | 'retry'
  /** bytes of the request's body */
  sent: number
  total: number
  /** bytes of this request may have left, and no answer has come: what is stopped now may have arrived */
  hasLeft?: boolean
}

export type OnProgress = (progress: Progress) => void

export interface Delivery {
  status: number
  headers: HttpAnswer['headers']
  /** the answer's body, parsed */
  body: unknown
  facts: PublicFacts
  files: DeliveredFile[]
  /** requests made for uploads and the message together, replays included, token calls not */
  attempts: number
}

/** What is kept of a message while it is sent, so that a later attempt, also of another process, continues there. */
export interface CheckpointHooks {
  /** uploads that were answered before, by the index of the attachment: they are not made again */
  uploaded: Record<number, Uploaded>
  onUploaded(index: number, uploaded: Uploaded): Promise<void>
  /** the request with the message begins next: from now on it may have arrived */
  onSending(): Promise<void>
}

export interface RequestOptions {
  /** stops what is under way */
  signal: AbortSignal
  onProgress?: OnProgress
  /** no wait for the limit of requests ends later (by the monotonic clock, `performance.now()`) */
  giveUpAt?: () => number
  /** number of this attempt, from 1: a 429 makes the whole connection pause longer each time */
  attempt?: number
}

export interface DeliveryOptions extends RequestOptions {
  checkpoints?: CheckpointHooks
}
