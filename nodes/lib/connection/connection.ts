import { existsSync } from 'node:fs'
import path from 'node:path'
import type { Node } from 'node-red'
import { RedoxError, type RedoxErrorCode } from '../../../src/errors'
import type { LaneState } from '../../../src/queue/types'
import type { FhirSender } from '../../../src/message/fhir'
import { accountOf, SANDBOX_ACCOUNT } from '../../../src/redox/account'
import { newSuccession, type Succession } from '../../../src/redox/shared-limits'
import { RedoxClient } from '../../../src/redox/client'
import {
  DEFAULT_GATE,
  DEFAULT_HTTP,
  DEFAULT_LIMITS,
  DEFAULT_RETRY,
  ENVIRONMENTS,
  hostsFor,
  OTHER_ANSWERS,
  referenceOrigins,
  type BinaryForm,
  type Environment,
  type Hosts,
  type RedoxSettings,
  type Region,
} from '../../../src/redox/settings'
import type { Credentials } from '../../../src/auth/credentials'
import { UUID } from '../../../src/shared/formats'
import { MIN_STORE_KEY_LENGTH, PUBLISHED_KEYS } from '../../../src/shared/values'
import { unsetVariable } from '../runtime/variables'
import type { Network, NetworkConfig } from './network'
import { isDatabaseUrl, placeIn, type Place } from '../../../src/queue/location'
import type { Ended, Outbox } from '../queue/outbox'
import type { SandboxEntry } from './sandbox-host'
import { settingLabel, type Setting } from './setting-labels'

type Sandbox = SandboxEntry['sandbox']

/** What a redox-config node has saved. All values may be `${ENV}`, which Node-RED replaces. */
export interface ConnectionConfig extends NetworkConfig {
  environment?: string
  environmentType?: string
  auth?: string
  clientId?: string
  keyId?: string
  scope?: string
  sourceId?: string
  sourceName?: string
  testFlag?: string
  region?: string
  apiBase?: string
  blobUploadUrl?: string
  fhirBase?: string
  binaryUploadBase?: string
  audience?: string
  binaryForm?: string
  embedBySelfKb?: string | number
  dataModelEmbedMb?: string | number
  requestMb?: string | number
  uploadMb?: string | number
  answerTimeout?: string | number
  connectTimeout?: string | number
  sendsAtOnce?: string | number
  attempts?: string | number
  retryFor?: string | number
  repeatUnknown?: string
  otherAnswers?: string
  perFiveMinutes?: string | number
  waitingMb?: string | number
  folders?: string
  settleSeconds?: string | number
  cutShort?: string
  faults?: string
  subscribed?: string
  delivery?: string
  store?: string
  storeOrder?: string
  storeRetryHours?: string | number
  storeKeepHours?: string | number
  storeLateMinutes?: string | number
}

export interface ConnectionSecrets {
  privateKey?: string
  apiKey?: string
  secret?: string
  storeKey?: string
  storeUrl?: string
}

/** What files are taken. */
export interface FileSettings {
  /** folders that files may be read from, absolute */
  folders: string[]
  /** milliseconds that a file at a path must have stood still for */
  settleMs: number
  /** what becomes of a file whose structure proves that bytes are missing */
  cutShort: 'refuse' | 'warn'
}

/** A configured way to Redox, as the nodes use it. */
export interface Connection {
  client: RedoxClient
  /** `sandbox`, or the environment's name: what statuses and `msg.redox.environment` say */
  environment: string
  /** see {@link accountOf}: what accepted messages are bound to */
  account: string
  sender: FhirSender
  /** origins that file references may point to */
  origins: string[]
  files: FileSettings
  /** durable delivery: messages are accepted here, and sent from here */
  outbox?: Outbox
}

/** What a node that sends hears of durable delivery. */
export interface UserListener {
  /** an outcome of one of its messages */
  onEnded: (ended: Ended) => Promise<void>
  /** what there is in the store now */
  onBacklog: (backlog: ConnectionBacklog) => void
}

/** What a connection has accepted and not delivered. */
export interface ConnectionBacklog {
  /** of the connection; empty while it is not open */
  environment: string
  destinations: LaneState[]
  /** why the last attempt failed, of destinations that nothing gets through to */
  failing: ReadonlyMap<string, RedoxErrorCode>
  /** why the store cannot be used */
  code?: RedoxErrorCode
}

/** The redox-config node, as the other nodes find it behind their `connection` property. */
export interface RedoxConfigNode extends Node<ConnectionSecrets> {
  /** the connection, opened when it is first needed; rejects with REDOX_CONFIGURATION */
  connection(): Promise<Connection>
  /** Durable delivery: tells a node what became of its messages, and what waits. Returns how to stop. */
  hear(user: Node, listener: UserListener): () => void
  /** by id: Node-RED takes the connection's status to the Status nodes that listen to these */
  users: Record<string, Node>
}

const configuration = (message: string, field?: string): RedoxError =>
  new RedoxError('REDOX_CONFIGURATION', message, field === undefined ? {} : { field })

export type TargetEnvironment = Environment | 'Sandbox'

/** @throws RedoxError REDOX_CONFIGURATION for a name that is none, so that nothing goes to the wrong place */
export function environmentOf(value: unknown): TargetEnvironment {
  const wanted = String(value ?? '')
    .trim()
    .toLowerCase()
  const found = [...ENVIRONMENTS, 'Sandbox' as const].find((name) => name.toLowerCase() === wanted)
  if (found) return found
  throw configuration(
    'Environment is not valid: it must be Development, Staging, Production or Sandbox. If the connection names an ' +
      'environment variable, set that variable.',
    'environment',
  )
}

/**
 * @param userDir what relative folders count from
 * @param network how Redox is reached; the sandbox is on this machine, and needs none
 * @param id of the redox-config node, whose connections follow one another in deploys
 * @throws RedoxError REDOX_CONFIGURATION
 */
export function openConnection(
  savedConfig: ConnectionConfig,
  savedSecrets: ConnectionSecrets,
  target: TargetEnvironment,
  sandbox: Sandbox | undefined,
  userDir: string,
  network: Network = {},
  outbox?: Outbox,
  id?: string,
): Connection {
  const config = asTexts(savedConfig)
  const secrets = asTexts(savedSecrets)
  if (sandbox === undefined) assertVariablesSet({ ...config, ...secrets })
  const settings = settingsOf(config, secrets, target, sandbox, network)
  const { environment, hosts, source, test } = settings
  return {
    client: new RedoxClient(settings, successionOf(settings, id), outbox?.pace(settings.perFiveMinutes)),
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
      settleMs: 1000 * seconds(config.settleSeconds, SETTLE_SECONDS, 'settleSeconds'),
      cutShort: choice(config.cutShort, ['refuse', 'warn'], 'cutShort'),
    },
  }
}

const successions = new Map<string, { account: string; succession: Succession }>()

/** Another account has limits of its own; and who mends a host must not wait for what hangs at the wrong one. */
function successionOf(settings: RedoxSettings, id: string | undefined): Succession {
  if (id === undefined) return newSuccession(settings)
  const account = accountOf(settings)
  const known = successions.get(id)
  if (known?.account === account) return known.succession
  const succession = newSuccession(settings)
  successions.set(id, { account, succession })
  return succession
}

/** Forgets the limits of a connection that was removed. */
export const forgetConnection = (id: string): void => void successions.delete(id)

/** How accepted messages are kept and delivered. Times in milliseconds. */
export interface Durability {
  place: Place
  key: string
  ordered: boolean
  retryFor: number
  keepFor: number
  /** a message that waits for longer is late */
  lateAfter: number
}

const HOUR = 3_600_000

/**
 * @param id of the redox-config node
 * @param target a key that was published is taken for the sandbox alone
 * @returns undefined for direct delivery
 * @throws RedoxError REDOX_CONFIGURATION
 */
export function durabilityOf(
  savedConfig: ConnectionConfig,
  savedSecrets: ConnectionSecrets,
  id: string,
  userDir: string | undefined,
  target: TargetEnvironment,
): Durability | undefined {
  const config = asTexts(savedConfig)
  if (choice(config.delivery, ['direct', 'durable'], 'delivery') === 'direct') return undefined
  const { storeKey = '', storeUrl = '' } = asTexts(savedSecrets)
  assertVariablesSet({ storeKey, storeUrl })
  const kind = choice(config.store, ['embedded', 'postgresql'], 'store')
  const key = storeKey.trim()
  if (key.length < MIN_STORE_KEY_LENGTH)
    throw configuration(
      `Store key ${key === '' ? 'is missing' : `is shorter than ${MIN_STORE_KEY_LENGTH} characters`}. Accepted messages are ` +
        `encrypted with it. ${whatKeyToSet(kind, placeIn(userDir, id))}`,
      'storeKey',
    )
  if (PUBLISHED_KEYS.has(key) && target !== 'Sandbox')
    throw configuration(
      'Store key is published: it is the key of an example, and is accepted for the sandbox only. Create a new key in the ' +
        'dialog, and keep a copy in a safe place. The new key cannot read a store that the published key encrypted: ' +
        'begin a new store in the outbox.',
      'storeKey',
    )
  return {
    place: placeIn(userDir, id, kind === 'embedded' ? undefined : databaseUrl(storeUrl.trim())),
    key,
    ordered: choice(config.storeOrder, ['destination', 'none'], 'storeOrder') === 'destination',
    retryFor: amount(config.storeRetryHours, 72, 'storeRetryHours') * HOUR,
    keepFor: amount(config.storeKeepHours, 24, 'storeKeepHours') * HOUR,
    lateAfter: amount(config.storeLateMinutes, 60, 'storeLateMinutes') * 60_000,
  }
}

/** A new key opens nothing that an earlier one has sealed. */
function whatKeyToSet(kind: Place['kind'], { folder, mark }: Extract<Place, { kind: 'embedded' }>): string {
  const old = 'set the key that it had before, from your copy: no other key can read its store'
  const made = 'create a key in the dialog, or use an environment variable that contains one'
  if (existsSync(folder) || (mark !== undefined && existsSync(mark)))
    return (
      `This connection has a store: ${old}. Without a copy, the waiting messages are lost: set a new key, deploy, and ` +
      'begin a new store in the outbox.'
    )
  if (kind === 'embedded') return `This connection has no store yet: ${made}.`
  return `If this connection has used durable delivery before, here or elsewhere, ${old}. If not, ${made}.`
}

function databaseUrl(url: string): string {
  if (isDatabaseUrl(url)) return url
  throw configuration(
    'Database is not valid: it must be an address such as postgresql://user:password@host/database.',
    'storeUrl',
  )
}

/** A variable of a tab has a type: `${NAME}` may stand for a number or a truth value. */
function asTexts<T extends object>(values: T): T {
  const texts = Object.entries(values).flatMap(([name, value]: [string, unknown]) => {
    if (value === undefined || value === null) return []
    if (['string', 'number', 'boolean'].includes(typeof value)) return [[name, String(value)]]
    // Node-RED's own, such as `_users`.
    if (name.startsWith('_') || name === 'credentials') return []
    throw configuration(
      `${settingLabel(name)} is not text or a number. If the connection refers to an environment variable, check the type of ` +
        'that variable.',
      name,
    )
  })
  return Object.fromEntries(texts) as T
}

function assertVariablesSet(values: object): void {
  for (const [name, value] of Object.entries(values)) {
    const unset = unsetVariable(value)
    if (unset === undefined) continue
    throw configuration(
      `${settingLabel(name)} is not set: it refers to the environment variable ${unset}. Set that variable.`,
      name,
    )
  }
}

/** For the log, when messages of a connection with credentials go to the sandbox. */
export const CREDENTIALS_IN_SANDBOX =
  'This connection has Redox credentials, but its environment is Sandbox: its messages stay on this machine, and none ' +
  'of them reaches Redox. Choose the environment of the credentials, or remove the credentials.'

/** Those that its way of authentication uses. */
export function hasCredentials(savedConfig: ConnectionConfig, savedSecrets: ConnectionSecrets): boolean {
  const { auth, clientId, keyId } = asTexts(savedConfig)
  const { privateKey, apiKey, secret } = asTexts(savedSecrets)
  const used = auth === 'legacy' ? [apiKey, secret] : [clientId, keyId, privateKey]
  return used.some((value = '') => value.trim() !== '' && unsetVariable(value) === undefined)
}

/** Where the secrets of a connection go: the token endpoint, and whom an assertion is made for. */
export function tokenTarget(saved: ConnectionConfig): string[] {
  const config = asTexts(saved)
  const credentials = credentialsOf(config, {}, hostsFor(regionOf(config), setHosts(config)))
  return credentials.kind === 'oauth'
    ? [credentials.tokenUrl, credentials.audience]
    : [credentials.authenticateUrl, credentials.refreshUrl]
}

const regionOf = ({ region }: ConnectionConfig): Region => choice<Region>(region, ['US', 'CA'], 'region')

const folderList = (folders: string | undefined): string[] =>
  (folders ?? '').split(/[\n,;]/).flatMap((folder) => (folder.trim() === '' ? [] : [folder.trim()]))

const SETTLE_SECONDS = 2

function settingsOf(
  config: ConnectionConfig,
  secrets: ConnectionSecrets,
  target: TargetEnvironment,
  sandbox: Sandbox | undefined,
  network: Network,
): RedoxSettings {
  // The sandbox plays the Development environment of a paid account.
  const environment = target === 'Sandbox' ? 'Development' : target
  const hosts = sandbox ? sandbox.endpoints : hostsFor(regionOf(config), setHosts(config))
  return {
    environment,
    hosts,
    credentials: sandbox ? sandboxCredentials(config, hosts, sandbox) : credentialsOf(config, secrets, hosts),
    source: sandbox && config.auth === 'legacy' ? sandboxSource(config, sandbox) : sourceOf(config),
    test: testFlag(config.testFlag, environment),
    binaryForm: choice<BinaryForm>(config.binaryForm, ['raw', 'fhir-json', 'multipart'], 'binaryForm'),
    limits: {
      embedBySelf: bytes(config.embedBySelfKb, 1_000, DEFAULT_LIMITS.embedBySelf, 'embedBySelfKb'),
      dataModelEmbed: megabytes(config.dataModelEmbedMb, DEFAULT_LIMITS.dataModelEmbed, 'dataModelEmbedMb'),
      request: megabytes(config.requestMb, DEFAULT_LIMITS.request, 'requestMb'),
      upload: megabytes(config.uploadMb, DEFAULT_LIMITS.upload, 'uploadMb'),
    },
    http: {
      answerTimeoutSeconds: seconds(config.answerTimeout, DEFAULT_HTTP.answerTimeoutSeconds, 'answerTimeout'),
      connectTimeoutSeconds: seconds(
        config.connectTimeout,
        DEFAULT_HTTP.connectTimeoutSeconds,
        'connectTimeout',
      ),
      ...network,
    },
    retry: {
      attempts: count(config.attempts, DEFAULT_RETRY.attempts, 'attempts'),
      deadlineSeconds: seconds(config.retryFor, DEFAULT_RETRY.deadlineSeconds, 'retryFor'),
      repeatUnknown: choice(config.repeatUnknown, ['no', 'yes'], 'repeatUnknown') === 'yes',
    },
    otherAnswers: choice(config.otherAnswers, [...OTHER_ANSWERS], 'otherAnswers'),
    gate: {
      width: count(config.sendsAtOnce, DEFAULT_GATE.width, 'sendsAtOnce'),
      waitingBytes: megabytes(config.waitingMb, DEFAULT_GATE.waitingBytes, 'waitingMb'),
    },
    perFiveMinutes:
      Number(config.perFiveMinutes || 0) === 0 ? 0 : count(config.perFiveMinutes, 1, 'perFiveMinutes'),
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

// The sandbox has keys of its own: real secrets are not used where they are not needed.
function sandboxCredentials(config: ConnectionConfig, hosts: Hosts, sandbox: Sandbox): Credentials {
  if (config.auth === 'legacy') return legacy(sandbox.legacyKey.apiKey, sandbox.legacyKey.secret, hosts)
  return { kind: 'oauth', ...sandbox.oauthKey, tokenUrl: tokenUrlOf(hosts), audience: tokenUrlOf(hosts) }
}

// A legacy key is tied to one source (facts 2.1), here to that of the sandbox's own key.
function sandboxSource(config: ConnectionConfig, sandbox: Sandbox): RedoxSettings['source'] {
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

function choice<T extends string>(value: string | undefined, values: [T, ...T[]], name: Setting): T {
  if (value === undefined || value.trim() === '') return values[0]
  const found = values.find((one) => one.toLowerCase() === value.trim().toLowerCase())
  if (found) return found
  throw configuration(
    `${settingLabel(name)} is not valid: it must be one of ${values.join(', ')}. Correct it in the connection.`,
    name,
  )
}

function testFlag(value: string | undefined, environment: Environment): boolean {
  const wanted = choice<'auto' | 'true' | 'false'>(value, ['auto', 'true', 'false'], 'testFlag')
  return wanted === 'auto' ? environment !== 'Production' : wanted === 'true'
}

function amount(value: string | number | undefined, fallback: number, name: Setting): number {
  if (value === undefined || value === '') return fallback
  const number = Number(value)
  if (Number.isFinite(number) && number > 0) return number
  throw configuration(`${settingLabel(name)} is not a number above 0. Correct it in the connection.`, name)
}

// A timer of Node takes whole milliseconds of 31 bits, and fires at once when it gets more.
const MAX_TIMER_SECONDS = 2_147_483

const seconds = (value: string | number | undefined, fallback: number, name: Setting): number =>
  Math.min(Math.max(0.001, amount(value, fallback, name)), MAX_TIMER_SECONDS)

const count = (value: string | number | undefined, fallback: number, name: Setting): number =>
  Math.max(1, Math.floor(amount(value, fallback, name)))

const megabytes = (value: string | number | undefined, fallback: number, name: Setting): number =>
  bytes(value, 1_000_000, fallback, name)

// Rounded: 1.005 KB are 1005 bytes, although 1.005 * 1000 is a little less.
const bytes = (value: string | number | undefined, unit: number, fallback: number, name: Setting): number =>
  Math.round(amount(value, fallback / unit, name) * unit)
