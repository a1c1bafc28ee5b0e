import { RedoxError } from '../errors'

/**
 * Converts unexpected errors to REDOX_INTERNAL. The original message is dropped, because it may contain patient data or
 * secrets.
 */
export const asRedoxError = (error: unknown): RedoxError =>
  error instanceof RedoxError
    ? error
    : new RedoxError('REDOX_INTERNAL', 'Internal error: the message was not sent. Please report this.')
