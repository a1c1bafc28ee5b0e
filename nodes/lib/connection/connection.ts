import path from 'node:path'
import type { Node } from 'node-red'
import type { RedoxErrorCode } from '../../../src/errors'
import type { DestinationState } from '../../../src/queue/types'
import type { FhirSender } from '../../../src/message/fhir-operations'
import { accountOf, SANDBOX_ACCOUNT } from '../../../src/redox/account'
import { newSharedLimits, type SharedLimits } from '../../../src/redox/shared-limits'
import { activityOf, forgetActivity } from '../../../src/redox/activity'
import { forgetDirectMessages } from '../../../src/redox/direct-messages'
import { RedoxClient } from '../../../src/redox/client'
import {
  DEFAULT_SLOTS,
  DEFAULT_HTTP,
  DEFAULT_LIMITS,
  DEFAULT_RETRY,
  PLATFORM_QUOTA,
  REDOX_QUOTA,
  hostsFor,
  referenceOrigins,
  type Environment,
  type Hosts,
  type RedoxSettings,
} from '../../../src/redox/settings'
import type { Credentials } from '../../../src/auth/credentials'
import type { PlatformSettings } from '../../../src/platform/client'
import { acceptedTypesIn, PROVABLE_TYPES, unprovableType } from '../../../src/shared/accepted-types'
import { UUID } from '../../../src/shared/formats'
import { TARGETS, type TargetEnvironment } from '../../../src/shared/values'
import { labelOf } from '../runtime/labels'
import { unsetVariable } from '../runtime/variables'
import type { Network } from './network'
import { PlatformAccess } from './platform-access'
import type { ConnectionReport } from './connection-report'
import type { JobResult, Outbox } from '../queue/outbox'
import type { SandboxAccess } from './sandbox-host'
import {
  assertVariablesSet,
  asTexts,
  bytesIn,
  choiceIn,
  configuration,
  countIn,
  countOrNoneIn,
  secondsIn,
  type ConnectionConfig,
  type ConnectionSecrets,
} from './read-settings'

export type { ConnectionConfig, ConnectionSecrets } from './read-settings'

type SandboxContext = SandboxAccess['sandbox']

/** Settings for the files of messages. */
export interface FileSettings {
  /** absolute paths of the folders that files may be read from */
  folders: string[]
  /** milliseconds for which a file at a path must have been unchanged */
  settleMs: number
  /** content types that may leave, judged by the bytes of a file; undefined: all */
  accepted?: readonly string[]
  /** how a truncated file (its structure proves that bytes are missing) is handled: refused, or sent with a warning */
  cutShort: 'refuse' | 'warn'
}

/** Open connection to Redox, as the nodes use it. */
export interface Connection {
  client: RedoxClient
  /** `sandbox`, or the name of the environment, for statuses and `msg.redox.environment` */
  environment: string
  /** fingerprint of the Redox account that queued messages belong to, see {@link accountOf} */
  account: string
  sender: FhirSender
  /** origins (scheme, host, port) that a message's references to uploaded files may have */
  origins: string[]
  files: FileSettings
  /** access to what became of messages, with the user-level key */
  platform: PlatformAccess
  /** outbox that accepts and sends messages; undefined for direct delivery */
  outbox?: Outbox
}

/** Callbacks with which a send node subscribes to durable delivery. */
export interface Subscriber {
  /** called with the result of each queued message of the node */
  onEnded: (ended: JobResult) => Promise<void>
  /** called with the undelivered messages in the store */
  onBacklog: (backlog: ConnectionBacklog) => void
}

/** Messages that a connection has accepted for durable delivery but not delivered. */
export interface ConnectionBacklog {
  /** environment of the connection; empty while the connection is not open */
  environment: string
  destinations: DestinationState[]
  /** error code of the last attempt to each destination that no message currently reaches */
  failing: ReadonlyMap<string, RedoxErrorCode>
  /** code of the error that makes the store unusable */
  code?: RedoxErrorCode
}

/** Node of type redox-config, to which the `connection` property of other nodes refers. */
export interface RedoxConfigNode extends Node<ConnectionSecrets> {
  /** Returns the connection, which is opened when it is first needed; rejects with REDOX_CONFIGURATION. */
  connection(): Promise<Connection>
  /** Subscribes a node to results and backlog of durable delivery. Returns a function that ends the subscription. */
  subscribe(user: Node, listener: Subscriber): () => void
  /**
   * Calls a listener with the state of durable delivery, about once a second. Returns a function that ends this. A
   * connection that delivers directly makes no reports.
   */
  watch(listener: (report: ConnectionReport) => void): () => void
  /**
   * subscribed nodes by id. Node-RED reads this property: a Status node that watches one of these nodes also gets the
   * connection's status
   */
  users: Record<string, Node>
}

/**
 * Returns the environment with the given name, in upper or lower case.
 * @throws RedoxError REDOX_CONFIGURATION for an unknown name, so that nothing is sent to the wrong environment
 */
export function environmentOf(value: unknown): TargetEnvironment {
  const wanted = String(value ?? '')
    .trim()
    .toLowerCase()
  const found = TARGETS.find((name) => name.toLowerCase() === wanted)
  if (found) return found
  throw configuration(
    'Environment is not valid: it must be Development, Staging, Production or Sandbox. If the connection names an ' +
      'environment variable, set that variable.',
    'environment',
  )
}

/** Objects that openConnection() needs in addition to the saved settings. */
interface ConnectionContext {
  sandbox: SandboxContext | undefined
  /** Node-RED's user directory, to which relative folders in the settings refer */
  userDir: string
  /** TLS and proxy settings; not used for the sandbox, which runs on this machine */
  network?: Network
  outbox?: Outbox | undefined
  /** id of the redox-config node; successive connections with the same id share their limits */
  id?: string
}

/**
 * Opens a connection with the saved settings of a redox-config node.
 * @throws RedoxError REDOX_CONFIGURATION for invalid settings
 */
export function openConnection(
  savedConfig: ConnectionConfig,
  savedSecrets: ConnectionSecrets,
  target: TargetEnvironment,
  { sandbox, userDir, network = {}, outbox, id }: ConnectionContext,
): Connection {
  const config = asTexts(savedConfig)
  const secrets = asTexts(savedSecrets)
  if (sandbox === undefined) assertVariablesSet({ ...config, ...secrets })
  const settings = settingsOf(config, secrets, target, { sandbox, network })
  const { environment, hosts, source, test } = settings
  const limits = sharedLimitsOf(settings, id)
  const platform = platformSettingsOf(config, secrets, { sandbox, settings })
  return {
    platform: new PlatformAccess(platform, limits.platformRequests),
    client: new RedoxClient(
      settings,
      limits,
      outbox?.rateLimiter(settings.perFiveMinutes),
      id === undefined ? undefined : activityOf(id),
    ),
    ...(outbox && { outbox }),
    environment: sandbox ? 'sandbox' : environment,
    account: sandbox ? SANDBOX_ACCOUNT : accountOf(settings),
    sender: {
      ...(source.id !== undefined && { sourceId: source.id }),
      ...(source.name !== undefined && { sourceName: source.name }),
      test,
      fhirBase: hosts.fhirBase,
      environment,
    },
    origins: referenceOrigins(hosts),
    files: {
      folders: folderList(config.folders).map((folder) => path.resolve(userDir, folder)),
      settleMs: 1000 * secondsIn(config, 'settleSeconds', SETTLE_SECONDS),
      cutShort: choiceIn(config, 'cutShort'),
      ...acceptedOf(config),
    },
  }
}

function acceptedOf({ acceptOnly = '' }: ConnectionConfig): Pick<FileSettings, 'accepted'> {
  const accepted = acceptedTypesIn(acceptOnly)
  const unprovable = unprovableType(accepted)
  if (unprovable !== undefined)
    throw configuration(
      `${labelOf('acceptOnly')} has a type that the bytes of a file cannot prove. Use only ${PROVABLE_TYPES.join(', ')}, or leave it empty.`,
      'acceptOnly',
    )
  return accepted.length === 0 ? {} : { accepted }
}

const sharedLimits = new Map<string, { account: string; limits: SharedLimits }>()

/**
 * Returns the limits (concurrency, rate) that the successive connections of a redox-config node share across deploys.
 * Another account or host gets new limits: after a host was corrected, new requests must not wait for requests that
 * hang at the wrong host.
 */
function sharedLimitsOf(settings: RedoxSettings, id: string | undefined): SharedLimits {
  if (id === undefined) return newSharedLimits(settings)
  const account = accountOf(settings)
  const known = sharedLimits.get(id)
  if (known?.account === account) return known.limits
  const limits = newSharedLimits(settings)
  sharedLimits.set(id, { account, limits })
  return limits
}

/** Forgets the shared limits, the direct messages and the activity of a redox-config node that was removed. */
export function forgetConnection(id: string): void {
  sharedLimits.delete(id)
  forgetDirectMessages(id)
  forgetActivity(id)
}

/** Warning for the log: a connection with Redox credentials sends its messages to the sandbox. */
export const CREDENTIALS_IN_SANDBOX =
  'This connection has Redox credentials, but its environment is Sandbox: its messages stay on this machine, and none ' +
  'of them reaches Redox. Choose the environment of the credentials, or remove the credentials.'

/** Returns true if a credential of the chosen authentication (OAuth or legacy key) is set. */
export function hasCredentials(savedConfig: ConnectionConfig, savedSecrets: ConnectionSecrets): boolean {
  const { auth, clientId, keyId } = asTexts(savedConfig)
  const { privateKey, apiKey, secret } = asTexts(savedSecrets)
  const used = auth === 'legacy' ? [apiKey, secret] : [clientId, keyId, privateKey]
  return used.some((value = '') => value.trim() !== '' && unsetVariable(value) === undefined)
}

/**
 * Returns where the secrets of a connection are sent: for OAuth the token URL and the audience of the assertion, for a
 * legacy key the URLs that issue and refresh tokens.
 */
export function secretTargets(saved: ConnectionConfig): string[] {
  const config = asTexts(saved)
  const credentials = credentialsOf(config, {}, hostsFor(choiceIn(config, 'region'), setHosts(config)))
  return credentials.kind === 'oauth'
    ? [credentials.tokenUrl, credentials.audience]
    : [credentials.authenticateUrl, credentials.refreshUrl]
}

const folderList = (folders: string | undefined): string[] =>
  (folders ?? '').split(/[\n,;]/).flatMap((folder) => (folder.trim() === '' ? [] : [folder.trim()]))

const SETTLE_SECONDS = 2

function settingsOf(
  config: ConnectionConfig,
  secrets: ConnectionSecrets,
  target: TargetEnvironment,
  { sandbox, network }: Pick<ConnectionContext, 'sandbox'> & { network: Network },
): RedoxSettings {
  // The sandbox simulates the Development environment of a paid account.
  const environment = target === 'Sandbox' ? 'Development' : target
  const hosts = sandbox ? sandbox.endpoints : hostsFor(choiceIn(config, 'region'), setHosts(config))
  return {
    environment,
    hosts,
    credentials: sandbox ? sandboxCredentials(config, hosts, sandbox) : credentialsOf(config, secrets, hosts),
    source: sandbox && config.auth === 'legacy' ? sandboxSource(config, sandbox) : sourceOf(config),
    test: testFlag(config, environment),
    binaryForm: choiceIn(config, 'binaryForm'),
    limits: {
      embedBySelf: bytesIn(config, 'embedBySelfKb', DEFAULT_LIMITS.embedBySelf),
      dataModelEmbed: bytesIn(config, 'dataModelEmbedMb', DEFAULT_LIMITS.dataModelEmbed),
      request: bytesIn(config, 'requestMb', DEFAULT_LIMITS.request),
      upload: bytesIn(config, 'uploadMb', DEFAULT_LIMITS.upload),
    },
    http: {
      answerTimeoutSeconds: secondsIn(config, 'answerTimeout', DEFAULT_HTTP.answerTimeoutSeconds),
      connectTimeoutSeconds: secondsIn(config, 'connectTimeout', DEFAULT_HTTP.connectTimeoutSeconds),
      ...network,
    },
    retry: {
      attempts: countIn(config, 'attempts', DEFAULT_RETRY.attempts),
      deadlineSeconds: secondsIn(config, 'retryFor', DEFAULT_RETRY.deadlineSeconds),
      repeatUnknown: choiceIn(config, 'repeatUnknown') === 'yes',
    },
    otherAnswers: choiceIn(config, 'otherAnswers'),
    slots: {
      concurrency: countIn(config, 'sendsAtOnce', DEFAULT_SLOTS.concurrency),
      waitingBytes: bytesIn(config, 'waitingMb', DEFAULT_SLOTS.waitingBytes),
    },
    perFiveMinutes: countOrNoneIn(
      config,
      'perFiveMinutes',
      choiceIn(config, 'delivery') === 'durable' ? durableQuota(config) : 0,
    ),
  }
}

function setHosts({ apiBase, blobUploadUrl, fhirBase, binaryUploadBase }: ConnectionConfig): Partial<Hosts> {
  const trimmed = { apiBase, blobUploadUrl, fhirBase, binaryUploadBase }
  return Object.fromEntries(
    Object.entries(trimmed).flatMap(([name, url]) => (url?.trim() ? [[name, url.trim()]] : [])),
  )
}

function sourceOf({ sourceId, sourceName }: ConnectionConfig): RedoxSettings['source'] {
  const id = sourceId?.trim() || undefined
  const name = sourceName?.trim() || undefined
  if (id !== undefined && !UUID.test(id)) {
    throw configuration('Source ID is not a UUID. Copy it from the Redox dashboard.', 'sourceId')
  }
  return { ...(id !== undefined && { id }), ...(name !== undefined && { name }) }
}

function credentialsOf(config: ConnectionConfig, secrets: ConnectionSecrets, hosts: Hosts): Credentials {
  if (config.auth === 'legacy') return legacy(secrets.apiKey ?? '', secrets.secret ?? '', hosts)
  const tokenUrl = tokenUrlOf(hosts)
  return {
    kind: 'oauth',
    clientId: config.clientId ?? '',
    keyId: config.keyId?.trim() ?? '',
    privateKey: secrets.privateKey ?? '',
    ...(config.scope?.trim() && { scope: config.scope.trim() }),
    tokenUrl,
    audience: config.audience?.trim() || tokenUrl,
  }
}

/** Number of requests in five minutes that the lookups of a user-level key leave of Redox's limit. */
const durableQuota = ({ platformClientId = '' }: ConnectionConfig): number =>
  platformClientId.trim() === '' ? REDOX_QUOTA : REDOX_QUOTA - PLATFORM_QUOTA

/** Returns the settings for the Platform API; undefined if no part of a user-level key is set. */
function platformSettingsOf(
  { platformClientId = '', platformKeyId = '', organizationId = '', environmentId = '' }: ConnectionConfig,
  { platformPrivateKey = '' }: ConnectionSecrets,
  { sandbox, settings }: { sandbox: SandboxContext | undefined; settings: RedoxSettings },
): PlatformSettings | undefined {
  const { http, hosts, environment } = settings
  const { apiBase } = hosts
  const token = { tokenUrl: tokenUrlOf(hosts), audience: tokenUrlOf(hosts) }
  if (sandbox) {
    const { key, environmentIds, organizationId: ofSandbox } = sandbox.platform
    const ids = { organizationId: ofSandbox, environmentId: environmentIds[environment] }
    return { ...{ apiBase, http }, ...ids, credentials: { kind: 'oauth', ...key, ...token } }
  }
  const all = [platformClientId, platformKeyId, platformPrivateKey, organizationId, environmentId]
  if (all.every((value) => value.trim() === '')) return undefined
  const key = { clientId: platformClientId, keyId: platformKeyId.trim(), privateKey: platformPrivateKey }
  return {
    ...{ apiBase, http, organizationId, environmentId },
    credentials: { kind: 'oauth', ...key, ...token },
  }
}

// The sandbox uses its own keys, so that real secrets are not used unnecessarily.
function sandboxCredentials(config: ConnectionConfig, hosts: Hosts, sandbox: SandboxContext): Credentials {
  if (config.auth === 'legacy') return legacy(sandbox.legacyKey.apiKey, sandbox.legacyKey.secret, hosts)
  return { kind: 'oauth', ...sandbox.oauthKey, tokenUrl: tokenUrlOf(hosts), audience: tokenUrlOf(hosts) }
}

// A legacy key is tied to one source (docs/redox-api.md#credentials). In the sandbox, a source ID in the settings is
// replaced by that of the sandbox's legacy key.
function sandboxSource(config: ConnectionConfig, sandbox: SandboxContext): RedoxSettings['source'] {
  const { id, name } = sourceOf(config)
  return { ...(id !== undefined && { id: sandbox.legacyKey.apiKey }), ...(name !== undefined && { name }) }
}

const tokenUrlOf = ({ apiBase }: Hosts): string => `${apiBase}/v2/auth/token`

const legacy = (apiKey: string, secret: string, { apiBase }: Hosts): Credentials => ({
  kind: 'legacy',
  apiKey,
  secret,
  authenticateUrl: `${apiBase}/auth/authenticate`,
  refreshUrl: `${apiBase}/auth/refreshToken`,
})

function testFlag(config: ConnectionConfig, environment: Environment): boolean {
  const wanted = choiceIn(config, 'testFlag')
  return wanted === 'auto' ? environment !== 'Production' : wanted === 'true'
}
