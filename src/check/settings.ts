import { readFile } from 'node:fs/promises'
import type { LegacyCredentials, OAuthCredentials } from '../auth/credentials'
import {
  DEFAULT_HTTP,
  DEFAULT_LIMITS,
  DEFAULT_RETRY,
  DEFAULT_SLOTS,
  hostsFor,
  type Hosts,
  type RedoxSettings,
} from '../redox/settings'
import { SLUG, UUID } from '../shared/formats'
import { askLine, askSecret } from '../terminal'
import { proxyOfEnvironment, type Proxy } from '../transport/proxy'
import { UsageError } from './options'

/** Environments in which redox-check runs. Production is none of them, and no option adds it. */
const ALLOWED = ['Development', 'Staging'] as const

export interface CheckSettings {
  environment: (typeof ALLOWED)[number]
  hosts: Hosts
  /** one of the two keys at least */
  oauth?: OAuthCredentials
  legacy?: LegacyCredentials
  /** UUID of the source */
  sourceId?: string
  /** slug of the FHIR destination */
  slug: string
  /** UUID of the Data Model destination; undefined: the steps of the Data Model API are not run */
  destination?: string
}

/** Redox's sandbox for the FHIR API, which every account can use (docs/redox-api.md#fhir-sandbox). */
export const FHIR_SANDBOX = 'redox-fhir-sandbox'

const PREFIX = 'REDOX_CHECK_'
export const variable = (name: string): string => process.env[PREFIX + name]?.trim() ?? ''

/** Value of an environment variable; without it, the answer to a question, if stdin is a terminal. */
const textOf = async (name: string, question: string): Promise<string> =>
  variable(name) || (await askLine(question)).trim()

const secretOf = async (name: string, question: string): Promise<string> =>
  variable(name) || (await askSecret(question)).trim()

/**
 * Reads the settings from the environment; asks for what is missing if stdin is a terminal.
 * @throws UsageError
 * @throws RedoxError REDOX_CONFIGURATION for a host
 */
export async function readSettings(): Promise<CheckSettings> {
  const environment = environmentOf(await textOf('ENVIRONMENT', 'Environment (Development or Staging)'))
  const hosts = hostsFromEnvironment()
  const keys = await readKeys(hosts)
  const sourceId = await textOf('SOURCE', 'Source ID (empty: the only one of the environment)')
  const slug =
    (await textOf('FHIR_DESTINATION', `FHIR destination, a slug (empty: ${FHIR_SANDBOX})`)) || FHIR_SANDBOX
  const destination = await textOf('DESTINATION', 'Data Model destination, a UUID (empty: none)')
  assertUuid(sourceId, 'SOURCE')
  assertUuid(destination, 'DESTINATION')
  if (!SLUG.test(slug) || UUID.test(slug) || slug === 'redox')
    throw new UsageError(`${PREFIX}FHIR_DESTINATION is not the slug of a destination.`)
  return {
    ...{ environment, hosts, slug },
    ...keys,
    ...(sourceId !== '' && { sourceId }),
    ...(destination !== '' && { destination }),
  }
}

function environmentOf(text: string): CheckSettings['environment'] {
  const found = ALLOWED.find((one) => one === text)
  if (found !== undefined) return found
  if (/^prod/i.test(text)) throw new UsageError('redox-check does not run in Production. Nothing was sent.')
  throw new UsageError(`Set ${PREFIX}ENVIRONMENT to Development or Staging.`)
}

function hostsFromEnvironment(): Hosts {
  const region = variable('REGION') || 'US'
  if (region !== 'US' && region !== 'CA') throw new UsageError(`Set ${PREFIX}REGION to US or CA.`)
  return hostsFor(region, {
    apiBase: variable('API_BASE'),
    blobUploadUrl: variable('BLOB_UPLOAD_URL'),
    fhirBase: variable('FHIR_BASE'),
    binaryUploadBase: variable('BINARY_BASE'),
  })
}

async function readKeys(hosts: Hosts): Promise<Pick<CheckSettings, 'oauth' | 'legacy'>> {
  const hasLegacy = variable('API_KEY') !== ''
  const clientId =
    variable('CLIENT_ID') ||
    (hasLegacy ? '' : (await askLine('Client ID of the OAuth API key (empty: legacy key)')).trim())
  const oauth = clientId === '' ? undefined : await readOAuthKey(clientId, hosts)
  const apiKey = oauth === undefined ? await secretOf('API_KEY', 'Legacy API key') : variable('API_KEY')
  const secret = apiKey === '' ? '' : await secretOf('SECRET', 'Legacy secret')
  if (oauth === undefined && apiKey === '')
    throw new UsageError(`No key: set ${PREFIX}CLIENT_ID, or ${PREFIX}API_KEY for a legacy key.`)
  if (apiKey !== '' && secret === '') throw new UsageError(`The secret is missing: set ${PREFIX}SECRET.`)
  const { apiBase } = hosts
  const legacy = {
    ...({ kind: 'legacy', apiKey, secret } as const),
    authenticateUrl: `${apiBase}/auth/authenticate`,
    refreshUrl: `${apiBase}/auth/refreshToken`,
  }
  return { ...(oauth !== undefined && { oauth }), ...(apiKey !== '' && { legacy }) }
}

async function readOAuthKey(clientId: string, { apiBase }: Hosts): Promise<OAuthCredentials> {
  const keyId = await textOf('KEY_ID', 'Key ID, kid (empty: the one in the private key)')
  const privateKey = variable('PRIVATE_KEY') || (await privateKeyFromFile())
  const tokenUrl = `${apiBase}/v2/auth/token`
  return { kind: 'oauth', clientId, keyId, privateKey, tokenUrl, audience: tokenUrl }
}

async function privateKeyFromFile(): Promise<string> {
  const file = await textOf('PRIVATE_KEY_FILE', 'File with the private key (PEM or JWK)')
  if (file === '')
    throw new UsageError(
      `The private key is missing: set ${PREFIX}PRIVATE_KEY_FILE to its file, or ${PREFIX}PRIVATE_KEY to the key.`,
    )
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException
    throw new UsageError(`The file with the private key cannot be read (${code}). Check its path.`)
  }
}

function assertUuid(text: string, name: string): void {
  if (text !== '' && !UUID.test(text))
    throw new UsageError(`${PREFIX}${name} is not a UUID. Copy it from the Redox dashboard.`)
}

/** Proxy of the environment (`https_proxy`, `no_proxy`), as for a connection without an http proxy node. */
function proxy(): { proxy?: Proxy } {
  const found = proxyOfEnvironment()
  return found === undefined ? {} : { proxy: found }
}

/** Settings of a client of the package, as a redox-config node would make them. `Meta.Test` is always true. */
export const clientSettings = (
  { environment, hosts, sourceId }: CheckSettings,
  credentials: OAuthCredentials | LegacyCredentials,
): RedoxSettings => ({
  ...{ environment, hosts, credentials },
  source: sourceId === undefined ? {} : { id: sourceId },
  test: true,
  binaryForm: 'raw',
  limits: DEFAULT_LIMITS,
  http: { ...DEFAULT_HTTP, ...proxy() },
  retry: DEFAULT_RETRY,
  otherAnswers: 'unknown',
  slots: DEFAULT_SLOTS,
  perFiveMinutes: 0,
})
