import { RedoxError } from '../../../src/errors'
import type { Door, Sandbox } from '../../../src/sandbox'
import { UUID } from '../../../src/shared/formats'

// Milliseconds without use after which the sandbox stops. One sandbox serves all redox-config nodes of the process and
// outlives a deploy, so that its received messages can still be viewed.
const LINGER_MS = 60_000

let shared: Promise<Sandbox> | undefined
let users = 0
let linger: NodeJS.Timeout | undefined

export type SandboxChange = 'started' | 'received' | 'fault' | 'ended'
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

/**
 * Acquires the sandbox like {@link acquireSandbox}. If faults are to be simulated or some destinations are not
 * subscribed, the connection gets its own listening port, so that other connections are not affected.
 * @param faults fault plan
 * @param subscribed destination ids separated by line breaks, spaces, commas or semicolons; empty: all
 * @throws RedoxError REDOX_CONFIGURATION for an invalid plan or list
 */
export async function openSandboxAccess(faults = '', subscribed = ''): Promise<SandboxAccess> {
  const destinations = destinationIds(subscribed)
  try {
    const sandbox = await acquireSandbox()
    if (faults.trim() === '' && destinations.length === 0) {
      return { sandbox, leave: async () => releaseSandbox() }
    }
    const listener = await openListener(sandbox, faults, destinations)
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

async function openListener(sandbox: Sandbox, faults: string, destinations: string[]): Promise<Door> {
  const { FaultPlanError } = await import('../../../src/sandbox/index.js')
  return sandbox.openListener(faults, destinations).catch((error: unknown) => {
    if (!(error instanceof FaultPlanError)) throw error
    const message = `Fault plan is not valid. ${error.message}`
    throw new RedoxError('REDOX_CONFIGURATION', message, { field: 'faults' })
  })
}

async function closeListener(listener: Door): Promise<void> {
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
