import type { EqualCheck, EqualMessage } from './equal-message'
import type { EvictionKind } from './eviction'
import type { StoreWarning } from '../shared/values'
import type { WaitingReason } from '../shared/outbox-api'
import type { RateLimiter } from '../transport/rate-limiter'
import type { StoreClock } from './store-clock'
import type { AuditContext, AuditLine } from './audit'
import type {
  Action,
  AdminStore,
  BlobStore,
  Criteria,
  DecisionTerms,
  DeliveryStore,
  DestinationState,
  Lease,
  MessageState,
  NewMessage,
  Query,
  QueueStore,
  Settlement,
  VerdictChange,
  MessageStatus,
  StoredMessage,
} from './types'

/** Store that combines three separate parts: queue, admin functions and files. */
export abstract class ComposedStore implements DeliveryStore {
  abstract readonly identity: string
  abstract readonly clock: StoreClock
  readonly warnings: readonly StoreWarning[] = []

  protected constructor(
    private readonly queue: QueueStore,
    private readonly admin: AdminStore,
    private readonly blobs: BlobStore,
  ) {}

  abstract keyCheckValue(own: Buffer): Promise<Buffer>
  abstract close(): Promise<void>

  // ---- Queue ------------------------------------------------------------------------------------------

  check(): Promise<void> {
    return this.queue.check()
  }

  accept(message: NewMessage, check?: EqualCheck): Promise<EqualMessage | undefined> {
    return this.queue.accept(message, check)
  }

  claim(lease: Lease & { except: string[] }): Promise<StoredMessage[]> {
    return this.queue.claim(lease)
  }

  touch(): Promise<void> {
    return this.queue.touch()
  }

  renew(holder: string, ids: string[], leaseMs: number): Promise<void> {
    return this.queue.renew(holder, ids, leaseMs)
  }

  recordRequestStart(id: string, holder: string): Promise<void> {
    return this.queue.recordRequestStart(id, holder)
  }

  recordNotes(id: string, holder: string, notes: Buffer): Promise<void> {
    return this.queue.recordNotes(id, holder, notes)
  }

  settle(id: string, holder: string, settlement: Settlement, now: number): Promise<void> {
    return this.queue.settle(id, holder, settlement, now)
  }

  recordVerdict(id: string, change: VerdictChange): Promise<boolean> {
    return this.queue.recordVerdict(id, change)
  }

  nextDue(now: number, except: string[]): Promise<number | undefined> {
    return this.queue.nextDue(now, except)
  }

  claimUnannounced(lease: Lease & { owners: string[] }): Promise<StoredMessage[]> {
    return this.queue.claimUnannounced(lease)
  }

  markAnnounced(id: string): Promise<void> {
    return this.queue.markAnnounced(id)
  }

  releaseUnannounced(id: string, holder: string): Promise<void> {
    return this.queue.releaseUnannounced(id, holder)
  }

  purge(before: number, now: number): Promise<number> {
    return this.queue.purge(before, now)
  }

  evict(kind: EvictionKind, limit: number, now: number): Promise<number> {
    return this.queue.evict(kind, limit, now)
  }

  sweep(now: number): Promise<void> {
    return this.queue.sweep(now)
  }

  rateLimiter(perFiveMinutes: number): RateLimiter {
    return this.queue.rateLimiter(perFiveMinutes)
  }

  // ---- Admin ------------------------------------------------------------------------------------------

  find(query: Query): Promise<StoredMessage[]> {
    return this.admin.find(query)
  }

  ids(criteria: Criteria, states: readonly MessageState[]): Promise<string[]> {
    return this.admin.ids(criteria, states)
  }

  destinations(): Promise<DestinationState[]> {
    return this.admin.destinations()
  }

  waitingReasons(ids: readonly string[]): Promise<ReadonlyMap<string, WaitingReason>> {
    return this.admin.waitingReasons(ids)
  }

  counts(): Promise<Record<MessageState, number>> {
    return this.admin.counts()
  }

  refusedLater(): Promise<number> {
    return this.admin.refusedLater()
  }

  size(): Promise<number> {
    return this.admin.size()
  }

  used(): Promise<number> {
    return this.admin.used()
  }

  applyAction(id: string, action: Action, context: AuditContext, terms?: DecisionTerms): Promise<void> {
    return this.admin.applyAction(id, action, context, terms)
  }

  pause(destination: string, isPaused: boolean, context: AuditContext): Promise<void> {
    return this.admin.pause(destination, isPaused, context)
  }

  tryNow(destination: string | undefined, context: AuditContext): Promise<number> {
    return this.admin.tryNow(destination, context)
  }

  recordAccess(id: string, action: 'look' | 'look-up', context: AuditContext): Promise<void> {
    return this.admin.recordAccess(id, action, context)
  }

  recordReplacement(setAside: string, context: AuditContext): Promise<void> {
    return this.admin.recordReplacement(setAside, context)
  }

  audit(request: { skip: number; limit: number }): Promise<AuditLine[]> {
    return this.admin.audit(request)
  }

  auditLength(): Promise<number> {
    return this.admin.auditLength()
  }

  insertMoved(message: StoredMessage): Promise<void> {
    return this.admin.insertMoved(message)
  }

  setStatus(id: string, standing: MessageStatus & { notes: Buffer }, line?: AuditLine): Promise<void> {
    return this.admin.setStatus(id, standing, line)
  }

  remove(id: string): Promise<void> {
    return this.admin.remove(id)
  }

  // ---- Blobs ------------------------------------------------------------------------------------------

  putFile(name: string, chunks: AsyncIterable<Buffer>): Promise<void> {
    return this.blobs.putFile(name, chunks)
  }

  hasFile(name: string): Promise<boolean> {
    return this.blobs.hasFile(name)
  }

  readFile(name: string): AsyncIterable<Buffer> {
    return this.blobs.readFile(name)
  }
}
