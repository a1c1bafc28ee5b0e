import { RedoxError } from '../errors'
import type { FileSource } from '../file/file'
import type { PreparedMessage } from '../message/prepared'
import type { AttemptOptions, OnProgress } from '../redox/client-types'
import type { RedoxClient } from '../redox/client'
import { slotDemandOf, uploadSlotDemandOf } from '../redox/requests'
import type { UploadKind } from '../redox/uploads'
import { notesOf, type AnswerNotes } from './answer-notes'

/** Result of one request, or of one message with its upload. */
export interface Trial {
  /** `unclear`: neither a success nor a refusal, such as a 500 or a lost connection */
  result: 'works' | 'refused' | 'unclear'
  /** e.g. `HTTP 200`, `HTTP 413`, `ECONNREFUSED` */
  detail: string
  /** what Redox said about a refusal, as it is; may contain identifiers */
  reason?: string
  status?: number
  /** of the last successful response, or of a 2xx that is no answer of Redox */
  notes?: AnswerNotes
  /** true for a 2xx whose JSON is no answer of Redox, which a setting can accept */
  isOtherAnswer?: boolean
  /** locations of created resources; not for the report */
  locations: string[]
}

export const tryUpload = (client: RedoxClient, file: FileSource, kind: UploadKind): Promise<Trial> =>
  observed(async (options) => {
    const uploaded = await client.inSlot(uploadSlotDemandOf(file), options, (own) =>
      client.upload(file, kind, own),
    )
    return { status: uploaded.status, locations: [] }
  })

export const trySend = (client: RedoxClient, message: PreparedMessage): Promise<Trial> =>
  observed(async (options) => {
    const sent = await client.inSlot(slotDemandOf(message), options, (own) => client.deliver(message, own))
    return { status: sent.status, locations: sent.facts.locations }
  })

/** Tells once that a request waits, because a 429 may ask for minutes. */
function tellOfPause(): OnProgress {
  let isTold = false
  return ({ phase }) => {
    if (phase !== 'wait' || isTold) return
    isTold = true
    process.stderr.write('  Redox asked for a pause (429). Waiting…\n')
  }
}

async function observed(
  run: (options: AttemptOptions) => Promise<{ status: number; locations: string[] }>,
): Promise<Trial> {
  let notes: AnswerNotes | undefined
  const { signal } = new AbortController()
  try {
    const { status, locations } = await run({
      signal,
      onAnswer: (answer) => (notes = notesOf(answer)),
      onProgress: tellOfPause(),
    })
    return { result: 'works', detail: `HTTP ${status}`, status, locations, ...(notes && { notes }) }
  } catch (error) {
    return failedTrial(error)
  }
}

/**
 * Converts the error of a request to a result.
 * @throws errors that no answer and no network failure caused, such as an unusable private key
 */
export function failedTrial(error: unknown): Trial {
  if (!(error instanceof RedoxError)) throw error
  const { status, fault, reasons, answer, clockSkewSeconds: skew } = error.cause
  if (status === undefined) {
    if (fault === undefined && NOT_TRIED.has(error.code)) throw error
    return { result: 'unclear', detail: fault ?? error.code, locations: [] }
  }
  const isOtherAnswer = error.code === 'REDOX_OUTCOME_UNKNOWN' && status < 300
  return {
    result: isRefusal(error) ? 'refused' : 'unclear',
    detail: `HTTP ${status}${skew === undefined ? '' : `, clock of this machine ahead by ${skew} s`}`,
    status,
    locations: [],
    ...(reasons?.[0] !== undefined && { reason: reasons[0] }),
    ...(isOtherAnswer && { isOtherAnswer, notes: notesOf({ headers: {}, body: answer, text: '-' }) }),
  }
}

/** Errors of settings and of this package, which no request can cause. */
const NOT_TRIED: ReadonlySet<string> = new Set([
  'REDOX_CONFIGURATION',
  'REDOX_BAD_INPUT',
  'REDOX_INVALID_MESSAGE',
  'REDOX_TOO_LARGE',
  'REDOX_INTERNAL',
])

const REFUSALS: ReadonlySet<string> = new Set([
  'REDOX_REJECTED',
  'REDOX_PARTIAL',
  'REDOX_FORBIDDEN',
  'REDOX_TOO_LARGE',
  'REDOX_AUTHENTICATION',
])
const isRefusal = ({ code }: RedoxError): boolean => REFUSALS.has(code)
