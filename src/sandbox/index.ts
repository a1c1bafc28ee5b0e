/**
 * Sandbox: an HTTP server on the loopback interface that simulates Redox. It checks requests only against the published
 * documentation of Redox, and stores accepted messages. With it, flows and tests need no Redox account.
 */
import { randomUUID, type JsonWebKey } from 'node:crypto'
import { dataModelErrors, receiveDataModel } from './datamodel'
import { Deliveries } from './deliveries'
import type { Delivery } from './deliveries'
import { DeliveryPlan } from './delivery-plan'
import { openListener } from './listener'
import type { SandboxListener, ListenerContext, RequestRecord, Route, SimulationOptions } from './listener'
import { FaultPlan } from './faults'
import { checkAddress, operationOutcome, receiveOperation } from './fhir'
import { notSimulated, Refusal } from './http'
import type { SandboxAnswer, SandboxRequest } from './http'
import { Inbox } from './inbox'
import type { ReceivedMessage } from './inbox'
import { LOG_SHAPES, platformError, PlatformLogs } from './platform'
import type { LogShape, PlatformIds } from './platform'
import { createOAuthKey, oauthError, refuseLegacy, sourceOf, Tokens } from './tokens'
import { refuseUserLevel, requireUserLevel } from './tokens'
import type { Grant, LegacyKey, OAuthKey } from './tokens'
import { DOCUMENTED, PROFILES } from './profiles'
import type { Profile, ProfileName } from './profiles'
import { blobError, Uploads } from './uploads'

export type { SandboxListener, RequestRecord } from './listener'
export { FaultPlan, FaultPlanError, FAULTS } from './faults'
export { DeliveryPlan, DeliveryPlanError } from './delivery-plan'
export type { Delivery, DeliveryProblem, DeliveryStatus } from './deliveries'
export type { ReceivedFile as DeliveredFile, ReceivedMessage } from './inbox'
export { LOG_SHAPES }
export { PROFILES, isProfileName } from './profiles'
export type { Profile, ProfileName } from './profiles'
export type { LegacyKey, OAuthKey } from './tokens'

const MAX_KEPT_REQUESTS = 1000

export interface SandboxOptions {
  /** Port of the server, on 127.0.0.1. Default 0: a free port. */
  port?: number
  /**
   * Kind of Redox account. A free account may not upload files in Development
   * (docs/redox-api.md#environments-and-accounts). Default `paid`.
   */
  account?: 'paid' | 'free'
  /** Lifetime of OAuth and legacy access tokens, in seconds. Default 300 (docs/redox-api.md#oauth-api-key). */
  tokenLifetimeSeconds?: number
  /** Greatest number of stored messages. Default 100. */
  maxKeptMessages?: number
  /**
   * Greatest number of file bytes in all stored messages; the oldest messages are dropped first. Default 64 000 000.
   */
  maxKeptBytes?: number
  /** Fault plan: determines which requests fail, and how; see docs/sandbox-faults.md. Default: no faults. */
  faults?: string
  /**
   * Delivery plan: what becomes of accepted messages, and when; see docs/sandbox-delivery.md. Default: each is
   * delivered after one second.
   */
  deliveries?: string
  /** Shape of a log of the Platform API. Default `attempts`, that of the current documentation, with its status. */
  logShape?: LogShape
  /**
   * Ids of the Data Model destinations that have a subscription. Default, also for an empty list: all destinations have
   * one.
   */
  subscribed?: readonly string[]
  /**
   * Settles what is not known of Redox, see `profiles.ts`. With a profile, the host of blob uploads is a port of its
   * own. Default: as Redox documents it, on one port.
   */
  profile?: ProfileName
}

export interface Sandbox extends SandboxListener {
  /** OAuth demo key, generated at start. */
  readonly oauthKey: OAuthKey
  /** Legacy demo key, generated at start. */
  readonly legacyKey: LegacyKey
  /** User-level demo key for the Platform API, generated at start, with the ids that its URLs need. */
  readonly platform: PlatformIds & { key: OAuthKey }
  /** Registers another OAuth key: RSA for RS384, P-384 for ES384. */
  registerOAuthKey(key: { clientId: string; keyId: string; publicKey: JsonWebKey }): void
  /** Accepted messages, oldest first. */
  readonly received: readonly ReceivedMessage[]
  /** The last 1000 requests, oldest first. */
  readonly requests: readonly RequestRecord[]
  /**
   * Subscribes to accepted messages. The listener is called before the client gets the response. Returns a function
   * that unsubscribes.
   */
  onReceived(listener: (message: ReceivedMessage) => void): () => void
  /**
   * Subscribes to the attempts to deliver accepted messages: the listener is called after each change. Returns a
   * function that unsubscribes.
   */
  onDelivery(listener: (delivery: Delivery) => void): () => void
  /**
   * Subscribes to requests with a simulated fault. The listener is called as soon as the API accepted or refused the
   * request. Returns a function that unsubscribes.
   */
  onFault(listener: (request: RequestRecord) => void): () => void
  /**
   * Opens another listening port, which the system chooses, with its own fault plan, subscriptions (if none are
   * given, all destinations have a subscription) and delivery plan. It shares keys, tokens, uploads and inbox with the sandbox. Counts
   * and random numbers of the plan start again with this port. The port is closed together with the sandbox.
   * @throws FaultPlanError, DeliveryPlanError
   */
  openListener(faults: string, subscribed?: readonly string[], deliveries?: string): Promise<SandboxListener>
  /** Deletes stored messages with their deliveries, and requests; keys, tokens and uploaded files are kept. */
  clear(): void
}

/**
 * Starts a sandbox.
 * @throws FaultPlanError, DeliveryPlanError
 */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const plans = { plan: new FaultPlan(options.faults), deliveries: new DeliveryPlan(options.deliveries) }
  const profile: Profile = options.profile === undefined ? DOCUMENTED : PROFILES[options.profile]
  const lifetime = profile.tokens.lifetimeSeconds ?? options.tokenLifetimeSeconds ?? 300
  const tokens = new Tokens(lifetime, profile)
  const keys = await registerDemoKeys(tokens)
  const deliveries = new Deliveries()
  const inbox = new Inbox(options.maxKeptMessages ?? 100, options.maxKeptBytes ?? 64_000_000, deliveries)
  const requests: RequestRecord[] = []
  const faultListeners = new Set<(request: RequestRecord) => void>()
  const origins = new Set<string>()
  const logs = new PlatformLogs(inbox, keys.platform, options.logShape ?? 'attempts')
  const context: ListenerContext = {
    origins,
    profile,
    routes: [
      ...platformRoutes(tokens, logs),
      ...routesOf(tokens, new Uploads(origins, options.account ?? 'paid'), inbox),
    ],
    onArrival(record) {
      if (requests.push(record) > MAX_KEPT_REQUESTS) requests.shift()
    },
    onFault(record) {
      for (const listener of faultListeners) queueMicrotask(() => listener(record))
    },
  }
  const { main, blob } = await openMainListeners(options, plans, context)
  return {
    ...main,
    endpoints: { ...main.endpoints, blobUploadUrl: blob.endpoints.blobUploadUrl },
    ...keys,
    legacyKey: tokens.legacyKey,
    registerOAuthKey: ({ publicKey, ...key }) => tokens.register(key, publicKey),
    received: inbox.messages,
    requests,
    onReceived: (listener) => inbox.onReceived(listener),
    onDelivery: (listener) => deliveries.onChange(listener),
    onFault(listener) {
      faultListeners.add(listener)
      return () => faultListeners.delete(listener)
    },
    clear() {
      inbox.clear()
      requests.length = 0
    },
    ...listenersOf({ main, blob, deliveries }, context),
  }
}

async function registerDemoKeys(tokens: Tokens): Promise<Pick<Sandbox, 'oauthKey' | 'platform'>> {
  const [api, user] = await Promise.all([createOAuthKey(), createOAuthKey('sandbox-user-key')])
  tokens.register(api.key, api.publicKey)
  tokens.register(user.key, user.publicKey, 'user')
  const environmentIds = { Development: randomUUID(), Staging: randomUUID(), Production: randomUUID() }
  return { oauthKey: api.key, platform: { key: user.key, organizationId: randomUUID(), environmentIds } }
}

type Plans = Pick<SimulationOptions, 'plan' | 'deliveries'>

async function openMainListeners(
  { port = 0, profile, subscribed }: SandboxOptions,
  plans: Plans,
  context: ListenerContext,
): Promise<Record<'main' | 'blob', SandboxListener>> {
  const simulation = { ...plans, subscribed }
  const hasHosts = profile !== undefined
  const main = await openListener(port, { ...simulation, ...(hasHosts && { host: 'api' }) }, context)
  const blob = hasHosts ? await openListener(0, { ...simulation, host: 'blob' }, context) : main
  return { main, blob }
}

/** Opens additional listening ports, to which `unref` and `close` of the sandbox also apply. */
function listenersOf(
  { main, blob, deliveries }: Record<'main' | 'blob', SandboxListener> & { deliveries: Deliveries },
  context: ListenerContext,
): Pick<Sandbox, 'openListener' | 'unref' | 'close'> {
  const listeners = new Set([main, blob])
  let holdsProcess = true
  let isClosed = false
  return {
    async openListener(faults, subscribed, deliveryPlan) {
      const plans = { plan: new FaultPlan(faults), deliveries: new DeliveryPlan(deliveryPlan) }
      const listener = await openListener(0, { ...plans, subscribed }, context)
      listeners.add(listener)
      if (!holdsProcess) listener.unref()
      const close = (): Promise<void> => {
        listeners.delete(listener)
        return listener.close()
      }
      if (isClosed) await close()
      return { ...listener, close }
    },
    unref() {
      holdsProcess = false
      for (const listener of listeners) listener.unref()
    },
    async close() {
      isClosed = true
      deliveries.clear()
      await Promise.all([...listeners].map((listener) => listener.close()))
    },
  }
}

// ---- Routes -------------------------------------------------------------------------------------------

const plainText = (refusal: Refusal): string => refusal.text

const tokenRoutes = (tokens: Tokens): Route[] => [
  {
    api: 'token',
    path: /^\/v2\/auth\/token$/,
    handle: (call) => tokens.oauthToken(call),
    failure: oauthError,
    unauthorizedText: true,
  },
  {
    api: 'token',
    path: /^\/auth\/authenticate$/,
    handle: (call) => tokens.authenticate(call),
    failure: plainText,
  },
  {
    api: 'token',
    path: /^\/auth\/refreshToken$/,
    handle: (call) => tokens.refresh(call),
    failure: plainText,
  },
]

function platformRoutes(tokens: Tokens, logs: PlatformLogs): Route[] {
  const ofUser =
    (handle: (call: SandboxRequest) => Promise<SandboxAnswer>) => async (call: SandboxRequest) => {
      requireUserLevel(tokens.grantOf(call.request))
      return handle(call)
    }
  const organization = '^/platform/v1/organizations/([^/]+)'
  const route = { api: 'platform' as const, failure: platformError }
  return [
    {
      ...route,
      method: 'GET',
      path: new RegExp(`${organization}/logs/([^/]+)$`),
      handle: ofUser((call) => logs.one(call)),
    },
    {
      ...route,
      method: 'GET',
      path: new RegExp(`${organization}/logs$`),
      handle: ofUser((call) => logs.list(call)),
    },
    {
      ...route,
      path: /^\/platform\/v1\/environments\/([^/]+)\/logs\/search\/metadata$/,
      handle: ofUser((call) => logs.search(call)),
    },
    { ...route, path: /^\/platform\//, handle: ofUser(nothingHere) },
  ]
}

function routesOf(tokens: Tokens, uploads: Uploads, inbox: Inbox): Route[] {
  type Handle = (call: SandboxRequest, grant: Grant) => Promise<SandboxAnswer>
  const granted = (handle: Handle) => async (call: SandboxRequest) => {
    const grant = tokens.grantOf(call.request)
    refuseUserLevel(grant)
    return handle(call, grant)
  }
  const grantedFhir = (handle: Handle) =>
    granted(async (call, grant) => {
      refuseLegacy(grant)
      refuseOtherEnvironment(call)
      return handle(call, grant)
    })
  return [
    ...tokenRoutes(tokens),
    {
      api: 'endpoint',
      path: /^\/endpoint$/,
      handle: granted((call, grant) => receiveDataModel(call, grant, uploads, inbox)),
      failure: dataModelErrors,
    },
    {
      api: 'blob',
      path: /^\/upload$/,
      handle: granted((call, grant) => uploads.receiveBlob(call, sourceOf(grant, call.request))),
      failure: blobError,
    },
    {
      api: 'Binary',
      path: /^\/fhir\/R4\/([^/]+)\/([^/]+)\/Binary$/,
      handle: grantedFhir(async (call, grant) => {
        const [slug, environment] = call.params as [string, string]
        checkAddress(slug, environment, true)
        return uploads.receiveBinary(call, environment, sourceOf(grant, call.request))
      }),
      failure: operationOutcome,
    },
    {
      api: 'fhir',
      path: /^\/fhir\/R4\/([^/]+)\/([^/]+)\/([^/]+\/\$[^/]+)$/,
      handle: grantedFhir((call, grant) => receiveOperation(call, grant, uploads, inbox)),
      failure: operationOutcome,
    },
    { api: 'fhir', path: /^\/fhir\/R4\//, handle: grantedFhir(nothingHere), failure: operationOutcome },
    { api: 'other', path: /^\/query$/, handle: granted(nothingHere), failure: dataModelErrors },
    { api: 'other', path: /^/, handle: granted(nothingHere), failure: plainText },
  ]
}

/** Refuses a FHIR URL with an environment that the keys of the profile do not belong to. */
function refuseOtherEnvironment({
  params: [, environment],
  profile: { keyEnvironment },
}: SandboxRequest): void {
  if (keyEnvironment === undefined || environment === undefined || environment === keyEnvironment) return
  throw new Refusal(403, [{ text: 'This key does not belong to the environment', code: 'forbidden' }])
}

async function nothingHere(): Promise<never> {
  throw notSimulated('This request is')
}
