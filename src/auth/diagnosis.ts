import type { RedoxError } from '../errors'
import { proxyFault, tlsFault, type ProxyFault, type TlsFault } from '../transport/network-advice'

/**
 * Reason why no access token was obtained, classified by the setting or circumstance that a person has to correct. The
 * editor has a sentence for each reason.
 */
export type DiagnosisReason =
  | 'incomplete'
  | 'url'
  | 'privateKey'
  | 'clock'
  | 'unknownKey'
  | 'keyId'
  | 'audience'
  | 'subject'
  | 'claim'
  | 'someClaim'
  | 'apiKey'
  | 'secret'
  | 'notRedox'
  | 'unavailable'
  | 'rateLimited'
  | 'dns'
  | 'refused'
  | 'tls'
  | 'tlsAuthority'
  | 'tlsHost'
  | 'tlsTime'
  | 'tlsClient'
  | 'proxy'
  | 'proxyLogin'
  | 'proxyRefused'
  | 'timeout'
  | 'network'
  | 'other'

export interface Diagnosis {
  reason: DiagnosisReason
  /** property of the redox-config node that is wrong, if the value of a property is the reason */
  field?: string
}

const diagnosis = (reason: DiagnosisReason, field?: string): Diagnosis => ({
  reason,
  ...(field !== undefined && { field }),
})

/**
 * Diagnoses a failed token request: returns the reason and the wrong property (docs/redox-api.md#legacy-api-key,
 * #oauth-api-key).
 */
export function diagnose(error: RedoxError, kind: 'oauth' | 'legacy'): Diagnosis {
  const { field, fault, status, clockSkewSeconds } = error.cause
  if (fault !== undefined) return diagnoseNetwork(fault)
  if (error.code === 'REDOX_CONFIGURATION') return configuration(error, field)
  if (status === undefined) return diagnosis('other')
  if (status === 429) return diagnosis('rateLimited')
  if (status >= 500) return diagnosis('unavailable')
  if (status !== 400 && status !== 401) return diagnosis('notRedox', 'apiBase')
  // With a wrong clock the server refuses every assertion, so the clock must be corrected before anything else can be
  // diagnosed.
  if (kind === 'oauth' && clockSkewSeconds !== undefined) return diagnosis('clock')
  const reason = error.cause.reasons?.[0] ?? ''
  return kind === 'oauth' ? diagnoseOAuth(reason) : diagnoseLegacy(reason)
}

function configuration(error: RedoxError, field: string | undefined): Diagnosis {
  // A tls-config or http proxy node can be wrong in many ways, so the user is shown the error text itself.
  if (field === 'tls' || field === 'proxy') return diagnosis('other', field)
  if (error.message.includes('https://')) return diagnosis('url', field)
  const isAboutTheKey = field === 'privateKey' && error.message.includes('cannot be used')
  return diagnosis(isAboutTheKey ? 'privateKey' : field === undefined ? 'other' : 'incomplete', field)
}

const OF_PROXY: Record<ProxyFault, Diagnosis> = {
  unreachable: diagnosis('proxy', 'proxy'),
  login: diagnosis('proxyLogin', 'proxy'),
  refused: diagnosis('proxyRefused', 'proxy'),
}
const OF_TLS: Record<TlsFault, Diagnosis> = {
  authority: diagnosis('tlsAuthority', 'tls'),
  host: diagnosis('tlsHost', 'apiBase'),
  time: diagnosis('tlsTime'),
  client: diagnosis('tlsClient', 'tls'),
  protocol: diagnosis('tls', 'apiBase'),
}
// System error codes of TLS failures that are not in `network-advice.ts`, because some of them may be temporary.
const TLS = /CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|EPROTO/

function diagnoseNetwork(fault: string): Diagnosis {
  const proxy = proxyFault(fault)
  if (proxy !== undefined) return OF_PROXY[proxy]
  const tls = tlsFault(fault, false)
  if (tls !== undefined) return OF_TLS[tls]
  if (fault === 'ENOTFOUND' || fault === 'EAI_AGAIN') return diagnosis('dns', 'apiBase')
  if (fault === 'ECONNREFUSED') return diagnosis('refused', 'apiBase')
  if (TLS.test(fault)) return diagnosis('tls', 'apiBase')
  if (fault.includes('TIMEOUT') || fault === 'ETIMEDOUT') return diagnosis('timeout', 'apiBase')
  return diagnosis('network', 'apiBase')
}

function diagnoseOAuth(reason: string): Diagnosis {
  if (reason.startsWith('Public key not found')) return diagnosis('unknownKey', 'keyId')
  if (reason.includes('kid')) return diagnosis('keyId', 'keyId')
  const claim = /^Unexpected (\w+) claim value/.exec(reason)?.[1]
  if (claim === 'aud') return diagnosis('audience', 'audience')
  if (claim === 'iss' || claim === 'sub') return diagnosis('subject', 'clientId')
  if (claim === 'iat' || claim === 'exp' || claim === 'nbf') return diagnosis('clock')
  if (claim !== undefined) return diagnosis('claim')
  // If an OAuth error has no description, its only reason is the error code.
  return diagnosis(reason === 'invalid_request' || reason === '' ? 'someClaim' : 'other')
}

function diagnoseLegacy(reason: string): Diagnosis {
  return reason.startsWith('Invalid source secret')
    ? diagnosis('secret', 'secret')
    : diagnosis('apiKey', 'apiKey')
}
