import type { PaceKeeper } from '../transport/retry'
import type { StoreClock } from './clock'
import type {
  Action,
  AdminStore,
  AuditContext,
  AuditLine,
  BlobStore,
  Criteria,
  DecisionTerms,
  DeliveryStore,
  LaneState,
  Lease,
  MessageState,
  NewMessage,
  Query,
  QueueStore,
  Settlement,
  Standing,
  StoredMessage,
} from './types'

/** Store that combines three separate parts: queue, admin functions and files. */
export abstract class ComposedStore implements DeliveryStore {
  abstract readonly identity: string
  abstract readonly clock: StoreClock

  protected constructor(
    private readonly queue: QueueStore,
    private readonly admin: AdminStore,
    private readonly blobs: BlobStore,
  ) {}

  abstract mark(own: Buffer): Promise<Buffer>
  abstract close(): Promise<void>

  // ---- Queue ------------------------------------------------------------------------------------------

  check(): Promise<void> {
    return this.queue.check()
  }

  accept(message: NewMessage): Promise<void> {
    return this.queue.accept(message)
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

  begin(id: string, holder: string): Promise<void> {
    return this.queue.begin(id, holder)
  }

  note(id: string, holder: string, notes: Buffer): Promise<void> {
    return this.queue.note(id, holder, notes)
  }

  settle(id: string, holder: string, settlement: Settlement, now: number): Promise<void> {
    return this.queue.settle(id, holder, settlement, now)
  }

  nextDue(now: number, except: string[]): Promise<number | undefined> {
    return this.queue.nextDue(now, except)
  }

  untold(lease: Lease & { owners: string[] }): Promise<StoredMessage[]> {
    return this.queue.untold(lease)
  }

  markTold(id: string): Promise<void> {
    return this.queue.markTold(id)
  }

  leaveUntold(id: string, holder: string): Promise<void> {
    return this.queue.leaveUntold(id, holder)
  }

  purge(before: number, now: number): Promise<number> {
    return this.queue.purge(before, now)
  }

  pace(perFiveMinutes: number): PaceKeeper {
    return this.queue.pace(perFiveMinutes)
  }

  // ---- Admin ------------------------------------------------------------------------------------------

  find(query: Query): Promise<StoredMessage[]> {
    return this.admin.find(query)
  }

  ids(criteria: Criteria, states: readonly MessageState[]): Promise<string[]> {
    return this.admin.ids(criteria, states)
  }

  lanes(): Promise<LaneState[]> {
    return this.admin.lanes()
  }

  counts(): Promise<Record<MessageState, number>> {
    return this.admin.counts()
  }

  decide(id: string, action: Action, context: AuditContext, terms?: DecisionTerms): Promise<void> {
    return this.admin.decide(id, action, context, terms)
  }

  pause(lane: string, isPaused: boolean, context: AuditContext): Promise<void> {
    return this.admin.pause(lane, isPaused, context)
  }

  looked(id: string, context: AuditContext): Promise<void> {
    return this.admin.looked(id, context)
  }

  begun(setAside: string, context: AuditContext): Promise<void> {
    return this.admin.begun(setAside, context)
  }

  audit(request: { skip: number; limit: number }): Promise<AuditLine[]> {
    return this.admin.audit(request)
  }

  auditLength(): Promise<number> {
    return this.admin.auditLength()
  }

  adopt(message: StoredMessage): Promise<void> {
    return this.admin.adopt(message)
  }

  restate(id: string, standing: Standing & { notes: Buffer }, line?: AuditLine): Promise<void> {
    return this.admin.restate(id, standing, line)
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
