import { types } from 'node:util'
import type { NodeMessageInFlow } from 'node-red'
import { NOTHING_SENT, notSent, RedoxError } from '../../../src/errors'

/**
 * Returns the error for Catch nodes. Sets `statusCode` of the message to the HTTP status for the caller of the flow,
 * which also replaces the `statusCode` of an earlier HTTP response.
 */
export function forCatch(cause: unknown, msg: NodeMessageInFlow): Error {
  const error = cause instanceof RedoxError ? cause : internalError(cause)
  setStatusCode(msg, error.statusCode)
  return error.code === 'REDOX_CONFIGURATION' && !error.message.includes(NOTHING_SENT)
    ? notSent(error)
    : error
}

/**
 * Returns the error for Catch nodes of a node that follows a message. Redox has accepted that message, so neither
 * `statusCode` nor `cause.retry` may tell the caller of the flow, or the flow, that it was not sent.
 */
export function forCatchOfFollower(cause: unknown, msg: NodeMessageInFlow): Error {
  const error = cause instanceof RedoxError ? cause : internalError(cause)
  setStatusCode(msg, 500)
  return error.code === 'REDOX_NOT_DELIVERED' ? error : error.with({ retry: 'unknown' })
}

function setStatusCode(msg: NodeMessageInFlow, statusCode: number): void {
  // Reflect.set() returns false for a frozen message. A setter of the message may throw.
  try {
    Reflect.set(msg, 'statusCode', statusCode)
  } catch {
    // The message cannot be changed: the Catch node gets it without a new `statusCode`.
  }
}

/**
 * Returns a RedoxError for an unexpected error of this package. The error text may contain any data, so only the type
 * of the error is kept.
 */
function internalError(error: unknown): RedoxError {
  // Not `instanceof`: an error that a getter of a message throws may come from the vm context of a Function node.
  const kind = types.isNativeError(error) ? kindOf(error) : typeof error
  const internal = new RedoxError(
    'REDOX_INTERNAL',
    `Internal error (${kind}) in these nodes. Please report it, with the stack of this error.`,
  )
  internal.stack = `${internal.name}: ${internal.message}\n${types.isNativeError(error) ? frames(error) : ''}`
  return internal
}

// `name` of an error may contain any text, so only known names are kept.
const kindOf = ({ name }: Error): string => (/^[A-Z][a-z]{1,9}Error$/.test(name) ? name : 'Error')

const frames = ({ stack, message }: Error): string =>
  String(stack)
    .replace(message, () => '')
    .split('\n')
    .filter((line) => /^ +at .*:\d+:\d+\)?$/.test(line))
    .join('\n')
