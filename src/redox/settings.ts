import { RedoxError } from '../errors'
import type { Credentials } from '../auth/credentials'
import type { Limits } from '../message/prepared'
import type { HttpOptions } from '../transport/http'
import type { RetryPolicy } from '../transport/retry'
import { ENVIRONMENTS, type Environment } from '../shared/values'
import type { GateLimits } from './semaphore'

export { ENVIRONMENTS, type Environment }
export type Region = 'US' | 'CA'
/** How the bytes travel to the Binary endpoint (docs/redox-api.md#binary). */
export type BinaryForm = 'raw' | 'fhir-json' | 'multipart'

export type OtherAnswers = 'unknown' | 'accepted'

/** Where requests go. No trailing slashes. */
export interface Hosts {
  /** `/v2/auth/token`, `/auth/...` and `/endpoint` hang here */
  apiBase: string
  blobUploadUrl: string
  fhirBase: string
  /** the Binary upload is `<binaryUploadBase>/redox/<environment>/Binary` */
  binaryUploadBase: string
}

/** Everything that a connection to Redox needs. Made from a redox-config node, or by hand in a script. */
export interface RedoxSettings {
  environment: Environment
  hosts: Hosts
  credentials: Credentials
  source: { id?: string; name?: string }
  /** `Meta.Test` of Data Model messages */
  test: boolean
  binaryForm: BinaryForm
  limits: Limits
  http: HttpOptions
  retry: RetryPolicy
  /** what a 2xx with JSON is that is no answer of Redox (docs/redox-api.md#fhir-answers) */
  otherAnswers: OtherAnswers
  /** messages under way and waiting */
  gate: GateLimits
  /** requests in any five minutes, tokens included; 0: as many as come */
  perFiveMinutes: number
}

// Hosts as of 2026-11. The Canadian ones beside the token URL are by analogy (docs/redox-api.md#hosts).
const REGION_HOSTS: Record<Region, { apiBase: string; blobUploadUrl: string }> = {
  US: { apiBase: 'https://api.redoxengine.com', blobUploadUrl: 'https://blob.redoxengine.com/upload' },
  CA: { apiBase: 'https://api.ca.redoxengine.com', blobUploadUrl: 'https://blob.ca.redoxengine.com/upload' },
}

/** Limits as of 2026-11 (docs/redox-api.md#sizes), in bytes. */
export const DEFAULT_LIMITS: Limits = {
  embedBySelf: 200_000,
  dataModelEmbed: 10_000_000,
  request: 40_000_000,
  upload: 30_000_000,
}

/** Redox may take 120 s for an answer (docs/redox-api.md#rates-and-times). */
export const DEFAULT_HTTP: HttpOptions = {
  answerTimeoutSeconds: 150,
  connectTimeoutSeconds: 10,
}

export const DEFAULT_RETRY: RetryPolicy = { attempts: 6, deadlineSeconds: 300, repeatUnknown: false }

export const DEFAULT_GATE: GateLimits = { width: 8, waitingBytes: 256_000_000 }

/**
 * The hosts of a region, with those replaced that were set by hand.
 * @throws RedoxError REDOX_CONFIGURATION for a URL that is none, or that would send a token in the clear
 */
export function hostsFor(region: Region, set: Partial<Hosts> = {}): Hosts {
  const defaults = REGION_HOSTS[region]
  const apiBase = checkedUrl(set.apiBase || defaults.apiBase, 'apiBase', 'API base')
  const fhirBase = checkedUrl(set.fhirBase || `${apiBase}/fhir/R4`, 'fhirBase', 'FHIR base')
  return {
    apiBase,
    fhirBase,
    blobUploadUrl: checkedUrl(
      set.blobUploadUrl || defaults.blobUploadUrl,
      'blobUploadUrl',
      'Blob upload URL',
    ),
    binaryUploadBase: checkedUrl(set.binaryUploadBase || fhirBase, 'binaryUploadBase', 'Binary upload base'),
  }
}

/**
 * The FHIR API takes no legacy keys (docs/redox-api.md#credentials).
 * @throws RedoxError REDOX_CONFIGURATION
 */
export function assertFhirKey({ credentials }: Pick<RedoxSettings, 'credentials'>): void {
  if (credentials.kind === 'oauth') return
  throw new RedoxError(
    'REDOX_CONFIGURATION',
    'Legacy key not usable for FHIR: the connection has a legacy API key, which works with the Data Model API only. ' +
      'Choose an OAuth API key there, or use a Data Model node.',
    { field: 'auth' },
  )
}

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])

function checkedUrl(text: string, field: keyof Hosts, label: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const problem =
    url === undefined
      ? 'is not a URL that begins with https://'
      : url.username || url.password
        ? 'must not have a user name or password'
        : url.protocol !== 'https:' && !(url.protocol === 'http:' && LOOPBACK.has(url.hostname))
          ? 'must begin with https:// (http:// is for this machine only)'
          : url.search || url.hash
            ? 'must not have a query or a fragment'
            : undefined
  if (url === undefined || problem)
    throw new RedoxError('REDOX_CONFIGURATION', `${label} ${problem}. Correct it in the connection.`, {
      field,
    })
  // As it was understood: a line break or an empty query in the text would end up inside longer URLs.
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '')
}

/** Origins whose file references a message may carry. */
export const referenceOrigins = ({ blobUploadUrl, fhirBase, binaryUploadBase, apiBase }: Hosts): string[] => [
  ...new Set([blobUploadUrl, fhirBase, binaryUploadBase, apiBase].map((url) => new URL(url).origin)),
]
