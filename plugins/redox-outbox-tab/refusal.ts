/** Errors of the outbox's admin routes. */
import { RedoxError } from '../../src/errors'
import type { OutboxError } from '../../src/shared/outbox-api'

/** Error for a request that cannot be carried out, with the HTTP status, code and text of the response. */
export class AdminRefusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    /** further properties of the response body */
    readonly facts: Partial<OutboxError> = {},
  ) {
    super(message)
  }
}

/** HTTP statuses for store errors. For other codes, the store cannot be used: 503. */
const STATUS: Record<string, number> = {
  REDOX_STORE_LOST: 409,
  REDOX_STORE_LOCKED: 409,
  REDOX_OTHER_ACCOUNT: 409,
  REDOX_INTERNAL: 500,
}

/**
 * Returns HTTP status and body of the response to a failed request.
 * @throws the error itself if it is neither a Refusal nor a RedoxError
 */
export function errorResponse(error: unknown): { status: number; body: OutboxError } {
  if (error instanceof AdminRefusal)
    return { status: error.status, body: { ...codeAndMessage(error), ...error.facts } }
  if (error instanceof RedoxError) return { status: STATUS[error.code] ?? 503, body: codeAndMessage(error) }
  throw error
}

export const codeAndMessage = ({ code, message }: AdminRefusal | RedoxError): OutboxError => ({
  code,
  message,
})
