import { createHash } from 'node:crypto'
import type { RedoxSettings } from './settings'

/**
 * Which account at Redox the requests of a connection reach: a fingerprint of its hosts, environment, source ID and
 * OAuth client (or legacy API key). Keys of one client are one account: a key may be rotated while messages wait. The
 * legacy key is a secret, and the fingerprint a hash. Hex, 64 characters.
 */
export function accountOf({
  hosts,
  environment,
  source,
  credentials,
}: Pick<RedoxSettings, 'hosts' | 'environment' | 'source' | 'credentials'>): string {
  const { apiBase, fhirBase, blobUploadUrl, binaryUploadBase } = hosts
  return sha256([
    ...[apiBase, fhirBase, blobUploadUrl, binaryUploadBase, environment, source.id?.toLowerCase() ?? ''],
    ...(credentials.kind === 'oauth' ? ['oauth', credentials.clientId] : ['legacy', credentials.apiKey]),
  ])
}

/** Of each sandbox: its hosts and keys are others after each start. */
export const SANDBOX_ACCOUNT = sha256(['sandbox'])

function sha256(parts: string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}
