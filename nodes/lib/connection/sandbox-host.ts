import { RedoxError } from '../../../src/errors'
import type { SandboxListener, Sandbox } from '../../../src/sandbox'
import { UUID } from '../../../src/shared/formats'

// Milliseconds without use after which the sandbox stops. One sandbox serves all redox-config nodes of the process and
// outlives a deploy, so that its received messages can still be viewed.
const LINGER_MS = 60_000

let shared: Promise<Sandbox> | undefined
let users = 0
let linger: NodeJS.Timeout | undefined

export type SandboxChange = 'started' | 'received' | 'delivery' | 'fault' | 'ended'
const listeners = new Set<(change: SandboxChange) => void>()

/**
 * Subscribes to changes of the running sandbox, and of each sandbox that is started later, so that a sidebar tab need
 * not start a sandbox. Returns a function that ends the subscription.
 * @param listener callback that must not throw
 */
export function onSandboxChange(listener: (change: SandboxChange) => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function notifyListeners(change: SandboxChange): void {
  for (const listener of listeners) listener(change)
}

/**
 * Returns the sandbox of the process, which the first call starts. Each call must be matched by a call of
 * {@link releaseSandbox}.
 */
export function acquireSandbox(): Promise<Sandbox> {
  users++
  clearTimeout(linger)
  // After a failed start, the next call starts the sandbox again.
  shared ??= start().catch((error: unknown) => {
    shared = undefined
    throw error
  })
  return shared
}

async function start(): Promise<Sandbox> {
  // Imported only when needed: a connection to the real Redox does not use the sandbox.
  const { startSandbox } = await import('../../../src/sandbox/index.js')
  const started = await startSandbox()
  started.unref()
  // The sandbox discards these event listeners when it closes, so they need not be removed.
  started.onReceived(() => notifyListeners('received'))
  started.onDelivery(() => notifyListeners('delivery'))
  started.onFault(() => notifyListeners('fault'))
  notifyListeners('started')
  return started
}

export function releaseSandbox(): void {
  users--
  if (users > 0) return
  linger = setTimeout(() => void stopSandbox(), LINGER_MS)
  linger.unref()
}

/** Access of one redox-config node to the sandbox of the process. */
export interface SandboxAccess {
  sandbox: Pick<Sandbox, 'endpoints' | 'oauthKey' | 'legacyKey' | 'platform'>
  leave(): Promise<void>
}

/** Settings of a redox-config node for the sandbox. */
export interface SandboxSettings {
  /** Fault plan. */
  faults?: string | undefined
  /** Destination ids separated by line breaks, spaces, commas or semicolons; empty: all. */
  subscribed?: string | undefined
  /** Delivery plan. */
  deliveries?: string | undefined
}

/**
 * Acquires the sandbox like {@link acquireSandbox}. If the connection has a plan, or some destinations are not
 * subscribed, it gets its own listening port, so that other connections are not affected.
 * @throws RedoxError REDOX_CONFIGURATION for an invalid plan or list
 */
export async function openSandboxAccess(settings: SandboxSettings): Promise<SandboxAccess> {
  const { faults = '', deliveries = '' } = settings
  const destinations = destinationIds(settings.subscribed ?? '')
  try {
    const sandbox = await acquireSandbox()
    if ((faults + deliveries).trim() === '' && destinations.length === 0) {
      return { sandbox, leave: async () => releaseSandbox() }
    }
    const listener = await openListener(sandbox, { faults, deliveries }, destinations)
    const { oauthKey, legacyKey, platform } = sandbox
    return {
      sandbox: { endpoints: listener.endpoints, oauthKey, legacyKey, platform },
      leave: () => closeListener(listener),
    }
  } catch (error) {
    releaseSandbox()
    throw error
  }
}

function destinationIds(list: string): string[] {
  const ids = list.split(/[\s,;]+/).filter((id) => id !== '')
  if (ids.every((id) => UUID.test(id))) return ids
  const message =
    'Subscribed destinations are not valid: some of them are not destination IDs (UUIDs). Enter one ID per line in the connection, or ' +
    'leave the field empty to subscribe all destinations.'
  throw new RedoxError('REDOX_CONFIGURATION', message, { field: 'subscribed' })
}

async function openListener(
  sandbox: Sandbox,
  { faults, deliveries }: Record<'faults' | 'deliveries', string>,
  destinations: string[],
): Promise<SandboxListener> {
  const { DeliveryPlanError, FaultPlanError } = await import('../../../src/sandbox/index.js')
  return sandbox.openListener(faults, destinations, deliveries).catch((error: unknown) => {
    const isDelivery = error instanceof DeliveryPlanError
    if (!isDelivery && !(error instanceof FaultPlanError)) throw error
    const message = `${isDelivery ? 'Delivery' : 'Fault'} plan is not valid. ${error.message}`
    throw new RedoxError('REDOX_CONFIGURATION', message, { field: isDelivery ? 'deliveries' : 'faults' })
  })
}

async function closeListener(listener: SandboxListener): Promise<void> {
  await listener.close().finally(releaseSandbox)
}

/** Stops the sandbox now, if it runs and is not used. */
export async function stopSandbox(): Promise<void> {
  if (users > 0 || shared === undefined) return
  const ending = shared
  shared = undefined
  clearTimeout(linger)
  await (await ending).close()
  notifyListeners('ended')
}

/** Returns the running sandbox, e.g. to view its received messages; undefined if there is none. */
export const runningSandbox = (): Promise<Sandbox> | undefined => shared
