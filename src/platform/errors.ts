import { NOTHING_SENT, RedoxError, type RedoxErrorDetail } from '../errors'
import { failureDetail, retryAfterSeconds } from '../redox/answer-errors'
import { attemptError } from '../redox/attempt-errors'
import { readAnswer } from '../redox/read-answer'
import type { HttpAnswer } from '../transport/http'
import { adviceOn } from '../transport/network-advice'
import { classifyFailure, type AttemptFailure } from '../transport/outcomes'

/** Advice by error code. The other failures of a lookup are temporary. */
const ADVICE: Partial<Record<RedoxError['code'], string>> = {
  REDOX_AUTHENTICATION:
    'Check the user-level key of the Platform API in the connection, and that it is active in the Redox dashboard.',
  REDOX_FORBIDDEN:
    'The role of the user-level key must be allowed to read logs. Check the role, the organization ID and the ' +
    'environment ID.',
  REDOX_REJECTED: 'Check the organization ID and the environment ID in the connection.',
  REDOX_NETWORK: 'Check the network and the hosts in the connection.',
}
const LATER = 'Look it up again later.'

/**
 * Error of a lookup that got no usable answer. Contains nothing of the answer but its status and `Retry-After`: an
 * answer of the Platform API may name a patient.
 * @param answer refusal; undefined if no answer came
 */
export function lookupError(failure: AttemptFailure, operation: string, answer?: HttpAnswer): RedoxError {
  const { code, message, retry } = classifyFailure(failure, 'lookup')
  const isFault = 'fault' in failure
  const wait = answer && retryAfterSeconds(answer.headers)
  const detail: RedoxErrorDetail = {
    ...{ retry, operation },
    ...(answer && { status: answer.status }),
    ...(wait !== undefined && { retryAfterSeconds: wait }),
  }
  const how = isFault ? failure.fault : `HTTP ${failure.status}`
  return new RedoxError(code, `${message} (${how}, ${operation}). ${ADVICE[code] ?? LATER}`, detail)
}

/** Error of a lookup whose request failed on the network, with the advice for its system error code. */
export function lookupFault(
  failure: Extract<AttemptFailure, { fault: unknown }>,
  operation: string,
  systemCode: string,
): RedoxError {
  const error = lookupError(failure, operation)
  const advice = adviceOn(systemCode, failure.sent)
  const text = advice === undefined ? error.message : error.message.replace(/\. [^(]*$/, `. ${advice}`)
  return new RedoxError(error.code, text, { ...error.cause, fault: systemCode })
}

/**
 * Error of a token request that was refused, with the reason that the token endpoint gave. That endpoint knows no
 * patients, but may repeat the assertion: long texts and the secrets are redacted.
 */
export function tokenRefusal(answer: HttpAnswer, secrets: string[]): RedoxError {
  const failure = { status: answer.status }
  const detail = failureDetail('token', answer, readAnswer(answer), { secrets })
  delete detail.answer
  const { retry } = classifyFailure(failure, 'token')
  return attemptError(failure, { kind: 'token', operation: 'token' }, { ...detail, retry })
}

/** Properties of a redox-config node for the parts of a user-level key. */
const FIELDS = new Map([
  ['clientId', 'platformClientId'],
  ['keyId', 'platformKeyId'],
  ['privateKey', 'platformPrivateKey'],
])

/**
 * Returns an error that says which of the connection's keys it is about, and not that nothing was sent: the message
 * that is looked up was sent before.
 */
export function ofPlatform(error: RedoxError): RedoxError {
  const { field } = error.cause
  const text = error.message.replace(` ${NOTHING_SENT}`, '')
  const named = new RedoxError(error.code, `Platform API: ${text}`, {
    ...error.cause,
    ...(field !== undefined && { field: FIELDS.get(field) ?? field }),
  })
  if (error.stack !== undefined) named.stack = error.stack
  return named
}
