import { RedoxError } from '../../../src/errors'
import type { Door, Sandbox } from '../../../src/sandbox'
import { UUID } from '../../../src/shared/formats'

// One sandbox serves all config nodes of the process. It outlives a deploy, so that what it received is still
// there to look at, and ends when it was not used for a while.
const LINGER_MS = 60_000

let shared: Promise<Sandbox> | undefined
let users = 0
let linger: NodeJS.Timeout | undefined

export type SandboxChange = 'started' | 'received' | 'fault' | 'ended'
const listeners = new Set<(change: SandboxChange) => void>()

/**
 * Tells of the sandbox that runs and of every one that is started later, so that a tab that shows it need not
 * start one. The listener must not throw. Returns how to stop.
 */
export function onSandboxChange(listener: (change: SandboxChange) => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function tell(change: SandboxChange): void {
  for (const listener of listeners) listener(change)
}

/** The process's sandbox, started when the first config node asks. Give it back with {@link releaseSandbox}. */
export function acquireSandbox(): Promise<Sandbox> {
  users++
  clearTimeout(linger)
  // A start that failed is tried again by the next one who asks.
  shared ??= start().catch((error: unknown) => {
    shared = undefined
    throw error
  })
  return shared
}

async function start(): Promise<Sandbox> {
  // Loaded here: a flow that talks to Redox itself never needs it.
  const { startSandbox } = await import('../../../src/sandbox/index.js')
  const started = await startSandbox()
  started.unref()
  // It goes with the sandbox, and need not be removed.
  started.onReceived(() => tell('received'))
  started.onFault(() => tell('fault'))
  tell('started')
  return started
}

export function releaseSandbox(): void {
  users--
  if (users > 0) return
  linger = setTimeout(() => void stopSandbox(), LINGER_MS)
  linger.unref()
}

/** The process's sandbox as one config node sees it. */
export interface SandboxEntry {
  sandbox: Pick<Sandbox, 'endpoints' | 'oauthKey' | 'legacyKey'>
  leave(): Promise<void>
}

/**
 * Like {@link acquireSandbox}, by a door of its own where faults are to be played, or not every destination is
 * subscribed: that hits no other connection.
 * @param faults a fault plan
 * @param subscribed ids of destinations, separated by line breaks, commas or semicolons
 * @throws RedoxError REDOX_CONFIGURATION for a plan or a list that cannot be read
 */
export async function enterSandbox(faults = '', subscribed = ''): Promise<SandboxEntry> {
  const destinations = destinationIds(subscribed)
  try {
    const sandbox = await acquireSandbox()
    if (faults.trim() === '' && destinations.length === 0) {
      return { sandbox, leave: async () => releaseSandbox() }
    }
    const door = await openDoor(sandbox, faults, destinations)
    const { oauthKey, legacyKey } = sandbox
    return { sandbox: { endpoints: door.endpoints, oauthKey, legacyKey }, leave: () => leaveBy(door) }
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

async function openDoor(sandbox: Sandbox, faults: string, destinations: string[]): Promise<Door> {
  const { FaultPlanError } = await import('../../../src/sandbox/index.js')
  return sandbox.openDoor(faults, destinations).catch((error: unknown) => {
    if (!(error instanceof FaultPlanError)) throw error
    const message = `Fault plan is not valid. ${error.message}`
    throw new RedoxError('REDOX_CONFIGURATION', message, { field: 'faults' })
  })
}

async function leaveBy(door: Door): Promise<void> {
  await door.close().finally(releaseSandbox)
}

/** Ends the sandbox now, if it runs and is not used. */
export async function stopSandbox(): Promise<void> {
  if (users > 0 || shared === undefined) return
  const ending = shared
  shared = undefined
  clearTimeout(linger)
  await (await ending).close()
  tell('ended')
}

/** The running sandbox, for those who look at what it received. */
export const runningSandbox = (): Promise<Sandbox> | undefined => shared
