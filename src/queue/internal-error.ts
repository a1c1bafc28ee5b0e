import { RedoxError } from '../errors'

/** A fault of our own gets a code, too. Its text may hold anything, so that it is not told. */
export const asRedoxError = (error: unknown): RedoxError =>
  error instanceof RedoxError
    ? error
    : new RedoxError('REDOX_INTERNAL', 'Internal error: the message was not sent. Please report this.')
