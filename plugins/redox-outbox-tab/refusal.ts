/** Errors of the outbox's admin routes. */
import { RedoxError } from '../../src/errors'
import type { OutboxError } from '../../src/shared/outbox-api'

/** A request that cannot be done: HTTP status, and what its answer says. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    /** fields of the answer beside code and message */
    readonly facts: Partial<OutboxError> = {},
  ) {
    super(message)
  }
}

/** HTTP statuses of errors of the store; the others are those of a store that cannot be used: 503. */
const STATUS: Record<string, number> = {
  REDOX_STORE_LOST: 409,
  REDOX_STORE_LOCKED: 409,
  REDOX_OTHER_ACCOUNT: 409,
  REDOX_INTERNAL: 500,
}

/**
 * The answer to a request that failed.
 * @throws the error itself, if it is neither a refusal nor a RedoxError
 */
export function errorResponse(error: unknown): { status: number; body: OutboxError } {
  if (error instanceof Refusal)
    return { status: error.status, body: { ...codeAndMessage(error), ...error.facts } }
  if (error instanceof RedoxError) return { status: STATUS[error.code] ?? 503, body: codeAndMessage(error) }
  throw error
}

export const codeAndMessage = ({ code, message }: Refusal | RedoxError): OutboxError => ({ code, message })
