import type { HttpAnswer } from '../transport/http'
import type { Way } from '../message/prepared'
import type { PublicFacts } from './public-facts'

export interface UploadResult {
  /** reference URL, exactly as Redox returned it */
  url: string
  status: number
  headers: HttpAnswer['headers']
  sha256: string
  attempts: number
}

export interface SentFile {
  way: Way
  size?: number
  sha256?: string
  url?: string
}

/** Progress of a message, for the node's status. */
export interface Progress {
  /** `wait`: waiting for a free slot or the rate limiter; `retry`: waiting for the next attempt */
  phase: 'wait' | 'upload' | 'send' | 'retry'
  /** bytes of the request body sent so far */
  sent: number
  total: number
  /**
   * true while bytes of the request may have been sent and no response has come: a message that is aborted now may have
   * arrived
   */
  hasLeft?: boolean
  /** of `retry`: milliseconds until the next attempt may begin */
  waitMs?: number
  /** of `retry`: ends the wait */
  endWait?: () => void
}

export type OnProgress = (progress: Progress) => void

export interface SendResult {
  status: number
  headers: HttpAnswer['headers']
  /** body of Redox's response: parsed JSON, or text */
  body: unknown
  facts: PublicFacts
  files: SentFile[]
  /**
   * number of HTTP requests for the uploads and the message, including requests repeated with a new token, but not
   * token requests
   */
  attempts: number
}

/** Callbacks that save the progress of a message, so that a later attempt continues there, even in another process. */
export interface CheckpointHooks {
  /** results of earlier uploads by index of the attachment; these files are not uploaded again */
  uploaded: Record<number, UploadResult>
  onUploaded(index: number, uploaded: UploadResult): Promise<void>
  /** called before the request that contains the message begins: from then on the message may have arrived */
  onSending(): Promise<void>
}

export interface AttemptOptions {
  /** aborts the wait and the request */
  signal: AbortSignal
  onProgress?: OnProgress
  /**
   * returns the latest time until which the rate limiter may delay a request, in ms of the monotonic clock
   * (`performance.now()`)
   */
  giveUpAt?: () => number
  /** receives each successful response to an upload or a message, with secrets redacted */
  onAnswer?: (answer: HttpAnswer) => void
  /** number of this attempt, from 1: the pause of the whole connection after a 429 is longer for later attempts */
  attempt?: number
}

export interface DeliveryOptions extends AttemptOptions {
  checkpoints?: CheckpointHooks
}
