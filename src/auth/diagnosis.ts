import type { RedoxError } from '../errors'
import { proxyFault, tlsFault, type ProxyFault, type TlsFault } from '../transport/faults'

/**
 * Reason why no access token was obtained, by what a person has to correct. The editor has a sentence for each reason.
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
  /** property of the redox-config node that is wrong, if the reason is a property */
  field?: string
}

const is = (reason: DiagnosisReason, field?: string): Diagnosis => ({
  reason,
  ...(field !== undefined && { field }),
})

/** Diagnoses a failed token request: reason and wrong property (docs/redox-api.md#legacy-api-key, #oauth-api-key). */
export function diagnose(error: RedoxError, kind: 'oauth' | 'legacy'): Diagnosis {
  const { field, fault, status, clockSkewSeconds } = error.cause
  if (fault !== undefined) return network(fault)
  if (error.code === 'REDOX_CONFIGURATION') return configuration(error, field)
  if (status === undefined) return is('other')
  if (status === 429) return is('rateLimited')
  if (status >= 500) return is('unavailable')
  if (status !== 400 && status !== 401) return is('notRedox', 'apiBase')
  // A wrong clock invalidates every claim, so it must be corrected before anything else can be diagnosed.
  if (kind === 'oauth' && clockSkewSeconds !== undefined) return is('clock')
  const reason = error.cause.reasons?.[0] ?? ''
  return kind === 'oauth' ? oauth(reason) : legacy(reason)
}

function configuration(error: RedoxError, field: string | undefined): Diagnosis {
  // A tls-config or http proxy node can be wrong in many ways, so the error text itself is shown.
  if (field === 'tls' || field === 'proxy') return is('other', field)
  if (error.message.includes('https://')) return is('url', field)
  const isAboutTheKey = field === 'privateKey' && error.message.includes('cannot be used')
  return is(isAboutTheKey ? 'privateKey' : field === undefined ? 'other' : 'incomplete', field)
}

const OF_PROXY: Record<ProxyFault, Diagnosis> = {
  unreachable: is('proxy', 'proxy'),
  login: is('proxyLogin', 'proxy'),
  refused: is('proxyRefused', 'proxy'),
}
const OF_TLS: Record<TlsFault, Diagnosis> = {
  authority: is('tlsAuthority', 'tls'),
  host: is('tlsHost', 'apiBase'),
  time: is('tlsTime'),
  client: is('tlsClient', 'tls'),
  protocol: is('tls', 'apiBase'),
}
// System error codes of other TLS failures, some of which may be temporary.
const TLS = /CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|EPROTO/

function network(fault: string): Diagnosis {
  const proxy = proxyFault(fault)
  if (proxy !== undefined) return OF_PROXY[proxy]
  const tls = tlsFault(fault, false)
  if (tls !== undefined) return OF_TLS[tls]
  if (fault === 'ENOTFOUND' || fault === 'EAI_AGAIN') return is('dns', 'apiBase')
  if (fault === 'ECONNREFUSED') return is('refused', 'apiBase')
  if (TLS.test(fault)) return is('tls', 'apiBase')
  if (fault.includes('TIMEOUT') || fault === 'ETIMEDOUT') return is('timeout', 'apiBase')
  return is('network', 'apiBase')
}

function oauth(reason: string): Diagnosis {
  if (reason.startsWith('Public key not found')) return is('unknownKey', 'keyId')
  if (reason.includes('kid')) return is('keyId', 'keyId')
  const claim = /^Unexpected (\w+) claim value/.exec(reason)?.[1]
  if (claim === 'aud') return is('audience', 'audience')
  if (claim === 'iss' || claim === 'sub') return is('subject', 'clientId')
  if (claim === 'iat' || claim === 'exp' || claim === 'nbf') return is('clock')
  if (claim !== undefined) return is('claim')
  // The reason of an OAuth error without a description is only its code.
  return is(reason === 'invalid_request' || reason === '' ? 'someClaim' : 'other')
}

function legacy(reason: string): Diagnosis {
  return reason.startsWith('Invalid source secret') ? is('secret', 'secret') : is('apiKey', 'apiKey')
}
