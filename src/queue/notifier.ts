import { present } from '../shared/present'
import { RedoxError } from '../errors'
import type { SendResult } from '../redox/client-types'
import { toWallTime } from './store-clock'
import type { JobContent, SealedStore } from './jobs'
import type { Lease, StoredMessage } from './types'

/** The result of a queued message. */
export interface JobResult {
  id: string
  /** time of acceptance, in milliseconds since 1970 */
  acceptedAt: number
  attempts: number
  job: Omit<JobContent, 'files'>
  outcome: { delivery: SendResult } | { error: RedoxError }
}

const ANNOUNCED_AT_ONCE = 100

/**
 * Announces the results of queued messages to the nodes that accepted them, also results of attempts in other
 * processes.
 */
export class Notifier {
  readonly #owners = new Map<string, (ended: JobResult) => Promise<void>>()
  #running: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined

  /**
   * Creates a notifier without subscribed nodes.
   * @param lease holder and duration of the leases on results: while this notifier has the lease of a result, no other
   *   process announces the result
   * @param onUnreadable called with a message whose result cannot be read
   */
  constructor(
    private readonly sealedStore: SealedStore,
    private readonly lease: Pick<Lease, 'holder' | 'leaseMs'>,
    private readonly onUnreadable: (stored: StoredMessage) => void,
  ) {}

  /**
   * Subscribes a node to the results of its messages, from now on and since its last subscription. Returns a function
   * that unsubscribes.
   */
  attach(owner: string, listener: (ended: JobResult) => Promise<void>): () => void {
    this.#owners.set(owner, listener)
    void this.announce().catch(() => undefined)
    return () => {
      if (this.#owners.get(owner) === listener) this.#owners.delete(owner)
    }
  }

  hasListener(owner: string): boolean {
    return this.#owners.has(owner)
  }

  /**
   * Announces all unannounced results of the subscribed nodes. Runs serially: calls during a run share one following
   * run.
   */
  announce(): Promise<void> {
    this.#next ??= this.#running.then(() => {
      this.#next = undefined
      const run = this.#announceAll()
      this.#running = run.catch(() => undefined)
      return run
    })
    return this.#next
  }

  /** Resolves when the present run has ended. */
  async idle(): Promise<void> {
    await this.#running
  }

  async #announceAll(): Promise<void> {
    const { store } = this.sealedStore
    for (let isMore = this.#owners.size > 0; isMore;) {
      const owners = [...this.#owners.keys()]
      const ended = await store.claimUnannounced({ ...this.lease, limit: ANNOUNCED_AT_ONCE, owners })
      for (const stored of ended) {
        // The result is emitted before it is marked as announced: a power failure in between can emit it twice, but not
        // lose it.
        if (await this.#announceOne(stored)) await store.markAnnounced(stored.id)
        else await store.releaseUnannounced(stored.id, this.lease.holder)
      }
      isMore = ended.length === ANNOUNCED_AT_ONCE
    }
  }

  async #announceOne(stored: StoredMessage): Promise<boolean> {
    const listener = this.#owners.get(stored.owner)
    if (!listener) return false
    try {
      await listener(await resultOf(this.sealedStore, stored))
    } catch {
      // A result that cannot be read must not block the others. Its message stays visible in the outbox.
      this.onUnreadable(stored)
    }
    return true
  }
}

/**
 * Returns the result of a delivered or parked message.
 * @throws RedoxError REDOX_STORE_UNREADABLE
 */
export async function resultOf(sealedStore: SealedStore, stored: StoredMessage): Promise<JobResult> {
  const { id, attempts } = stored
  const acceptedAt = toWallTime(sealedStore.store.clock, stored.acceptedAt)
  const { files: _files, ...job } = await sealedStore.contentOf(stored)
  const { delivery, error, unknown } = await sealedStore.recordOf(stored)
  if (stored.state === 'delivered' && delivery)
    return { id, acceptedAt, attempts, job, outcome: { delivery } }
  const { code, message, cause } = present(unknown ?? error, 'the error of a parked message')
  const outbox = { id, acceptedAt: new Date(acceptedAt).toISOString(), attempts }
  const parked = new RedoxError(code, message, { ...cause, outbox })
  return { id, acceptedAt, attempts, job, outcome: { error: parked } }
}
