import { createHash } from 'node:crypto'
import type { RedoxSettings } from './settings'

/**
 * Fingerprint of the Redox account that a connection reaches: a hash of its hosts, environment, source ID and OAuth
 * client (or legacy API key). All keys of one OAuth client belong to one account, so a key may be rotated while
 * messages wait. The values are hashed because the legacy API key is a secret. 64 hexadecimal digits.
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

/** Account of every sandbox. Sandbox hosts and keys change at each start, so they cannot identify the account. */
export const SANDBOX_ACCOUNT = sha256(['sandbox'])

function sha256(parts: string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}
