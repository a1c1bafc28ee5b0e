import { RedoxError } from '../errors'
import type { Credentials } from '../auth/credentials'
import type { SizeLimits } from '../message/prepared'
import type { HttpOptions } from '../transport/http'
import type { RetryPolicy } from '../transport/retry'
import { isLoopback } from '../shared/formats'
import { ENVIRONMENTS, type Environment } from '../shared/values'
import type { SemaphoreLimits } from './semaphore'

export { ENVIRONMENTS, type Environment }
export type Region = 'US' | 'CA'
/** Form of the upload body for the Binary endpoint (docs/redox-api.md#binary). */
export type BinaryForm = 'raw' | 'fhir-json' | 'multipart'

export type OtherAnswers = 'unknown' | 'accepted'

/** Base URLs of the requests, without trailing slashes. */
export interface Hosts {
  /** base of `/v2/auth/token`, `/auth/...` and `/endpoint` */
  apiBase: string
  blobUploadUrl: string
  fhirBase: string
  /** base of the Binary upload URL: `<binaryUploadBase>/redox/<environment>/Binary` */
  binaryUploadBase: string
}

/** Settings of a connection to Redox, from a redox-config node or created by a script. */
export interface RedoxSettings {
  environment: Environment
  hosts: Hosts
  credentials: Credentials
  source: { id?: string; name?: string }
  /** value of `Meta.Test` in Data Model messages */
  test: boolean
  binaryForm: BinaryForm
  limits: SizeLimits
  http: HttpOptions
  retry: RetryPolicy
  /**
   * treatment of a 2xx response whose JSON does not have the form of a response of Redox
   * (docs/redox-api.md#fhir-answers)
   */
  otherAnswers: OtherAnswers
  /** limits for messages that are being sent and that wait */
  slots: SemaphoreLimits
  /** maximum number of HTTP requests in any five minutes, token requests included; 0: unlimited */
  perFiveMinutes: number
}

// Hosts as of 2026-11. The Canadian hosts are inferred, except the host of the token URL (docs/redox-api.md#hosts).
const REGION_HOSTS: Record<Region, { apiBase: string; blobUploadUrl: string }> = {
  US: { apiBase: 'https://api.redoxengine.com', blobUploadUrl: 'https://blob.redoxengine.com/upload' },
  CA: { apiBase: 'https://api.ca.redoxengine.com', blobUploadUrl: 'https://blob.ca.redoxengine.com/upload' },
}

/** Size limits as of 2026-11 (docs/redox-api.md#sizes), in bytes. */
export const DEFAULT_LIMITS: SizeLimits = {
  embedBySelf: 200_000,
  dataModelEmbed: 10_000_000,
  request: 40_000_000,
  upload: 30_000_000,
}

/** Timeouts: Redox may take 120 s for a response (docs/redox-api.md#rates-and-times). */
export const DEFAULT_HTTP: HttpOptions = {
  answerTimeoutSeconds: 150,
  connectTimeoutSeconds: 10,
}

export const DEFAULT_RETRY: RetryPolicy = { attempts: 6, deadlineSeconds: 300, repeatUnknown: false }

/**
 * Requests in five minutes that Redox accepts from one IP address, by the smaller of the numbers that it publishes
 * (docs/redox-api.md#rates-and-times).
 */
export const REDOX_QUOTA = 7500

/**
 * Maximum number of requests of a connection to the Platform API in any five minutes. The limit is separate from that of
 * the sends, and small, because Redox counts the requests of both together.
 */
export const PLATFORM_QUOTA = 500

export const DEFAULT_SLOTS: SemaphoreLimits = { concurrency: 8, waitingBytes: 256_000_000 }

/**
 * Returns the hosts of a region. URLs that a person entered replace the defaults.
 * @throws RedoxError REDOX_CONFIGURATION for an invalid URL, or a URL with which the token would be sent unencrypted
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
 * Throws for a legacy key with the FHIR API, which does not accept legacy keys (docs/redox-api.md#credentials).
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

function checkedUrl(text: string, field: keyof Hosts, label: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const problem =
    url === undefined
      ? 'is not a URL that begins with https://'
      : url.username || url.password
        ? 'must not have a user name or password'
        : url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url))
          ? 'must begin with https:// (http:// is for this machine only)'
          : url.search || url.hash
            ? 'must not have a query or a fragment'
            : undefined
  if (url === undefined || problem)
    throw new RedoxError('REDOX_CONFIGURATION', `${label} ${problem}. Correct it in the connection.`, {
      field,
    })
  // The parsed URL is used and not the entered string: a line break or an empty query (`?`) in the string would end up
  // inside longer URLs.
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '')
}

/** Origins of the file references that a message is allowed to contain. */
export const referenceOrigins = ({ blobUploadUrl, fhirBase, binaryUploadBase, apiBase }: Hosts): string[] => [
  ...new Set([blobUploadUrl, fhirBase, binaryUploadBase, apiBase].map((url) => new URL(url).origin)),
]
