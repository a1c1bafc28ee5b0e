import { types } from 'node:util'
import type { NodeMessageInFlow } from 'node-red'
import { NOTHING_SENT, notSent, RedoxError } from '../../../src/errors'

/**
 * Returns the error for Catch nodes. Sets `statusCode` of the message to the HTTP status for the caller of the flow,
 * and so replaces the status of an earlier answer.
 */
export function forCatch(cause: unknown, msg: NodeMessageInFlow): Error {
  const error = cause instanceof RedoxError ? cause : internalError(cause)
  // Reflect.set() returns false for a message that cannot be changed. A setter may throw.
  try {
    Reflect.set(msg, 'statusCode', error.statusCode)
  } catch {
    // The Catch node gets the message unchanged.
  }
  return error.code === 'REDOX_CONFIGURATION' && !error.message.includes(NOTHING_SENT)
    ? notSent(error)
    : error
}

/**
 * Returns a RedoxError for an unexpected error of this package. The text may contain anything, so only the error's type
 * is kept.
 */
function internalError(error: unknown): RedoxError {
  // Not `instanceof`: a getter of a message may throw an error from the vm context of a Function node.
  const kind = types.isNativeError(error) ? kindOf(error) : typeof error
  const internal = new RedoxError(
    'REDOX_INTERNAL',
    `Internal error (${kind}) in these nodes. Please report it, with the stack of this error.`,
  )
  internal.stack = `${internal.name}: ${internal.message}\n${types.isNativeError(error) ? frames(error) : ''}`
  return internal
}

// The name of an error may contain any text.
const kindOf = ({ name }: Error): string => (/^[A-Z][a-z]{1,9}Error$/.test(name) ? name : 'Error')

const frames = ({ stack, message }: Error): string =>
  String(stack)
    .replace(message, () => '')
    .split('\n')
    .filter((line) => /^ +at .*:\d+:\d+\)?$/.test(line))
    .join('\n')
