import type { NodeAPI } from 'node-red'
import type { QueueStats } from '../queue/outbox'
import type { OutboxState } from './connection-report'
import { evictionWarning, percentOf } from './outbox-status'

// Names of the events on `RED.events`, see docs/durable.md#status-and-events.

/** The oldest accepted message has become late, or no message is late any more. */
export const LATE_EVENT = 'redox:outbox-late'
/** The store has reached 80 % of its limit, or is below again. */
export const NEARLY_FULL_EVENT = 'redox:outbox-nearly-full'
/** More messages are parked than before. */
export const PARKED_EVENT = 'redox:outbox-parked'
/** Destinations have refused more delivered messages than before. */
export const REFUSED_LATER_EVENT = 'redox:outbox-refused-later'

/** Numbers of messages that the last events have told of. */
export type ToldCounts = Pick<OutboxState, 'parked' | 'refusedLater'>

/** Emits the events about the outbox of a redox-config node, and logs what becomes of its store. */
export class OutboxEvents {
  #isLate = false
  #isNearlyFull = false
  #told: ToldCounts = { parked: 0, refusedLater: 0 }
  /** last value of {@link QueueStats.sinceStart}; undefined if not known yet */
  #sinceStart: QueueStats['sinceStart'] | undefined
  #evicted: QueueStats['usage']['evicted'] = { finished: 0, unconfirmed: 0, refused: 0 }

  constructor(
    private readonly RED: NodeAPI,
    private readonly connection: string,
  ) {}

  /** last value of {@link OutboxState.isNearlyFull} */
  get isNearlyFull(): boolean {
    return this.#isNearlyFull
  }

  get told(): ToldCounts {
    return this.#told
  }

  /** Restores what was told before a deploy, so that events are emitted only about further messages. */
  restore(told: ToldCounts): void {
    this.#told = told
  }

  tell(state: OutboxState, { sinceStart, storeError, usage }: QueueStats): void {
    // The counts of a store that cannot be read are old.
    if (storeError === undefined) this.#tellCounts(state, sinceStart)
    this.#tellIfNearlyFull(state)
    const warning = evictionWarning(usage.evicted, this.#evicted)
    if (warning !== undefined) this.#warn(warning)
    this.#evicted = usage.evicted
    this.#tellIfLate(state)
  }

  #tellCounts(state: OutboxState, sinceStart: QueueStats['sinceStart']): void {
    const told = this.#told
    const earlier = this.#sinceStart ?? sinceStart
    const isMore = (kind: keyof ToldCounts): boolean =>
      state[kind] > told[kind] || (state[kind] > 0 && sinceStart[kind] > earlier[kind])
    this.#told = { parked: state.parked, refusedLater: state.refusedLater }
    this.#sinceStart = sinceStart
    if (isMore('parked')) this.#emit(PARKED_EVENT, state)
    if (isMore('refusedLater')) this.#emit(REFUSED_LATER_EVENT, state)
  }

  #tellIfLate(state: OutboxState): void {
    if (state.isLate === this.#isLate) return
    this.#isLate = state.isLate
    this.#emit(LATE_EVENT, state)
  }

  #tellIfNearlyFull(state: OutboxState): void {
    if (state.isNearlyFull === this.#isNearlyFull) return
    this.#isNearlyFull = state.isNearlyFull
    this.#emit(NEARLY_FULL_EVENT, state)
    if (state.isNearlyFull)
      this.#warn(
        `the store holds ${percentOf(state)} % of its limit. A message that would exceed it is refused ` +
          '(REDOX_STORE_FULL), unless delivered messages can be removed early to make room. Deliver or discard what ' +
          'waits or is parked, or raise the limit.',
      )
  }

  #emit(event: string, state: OutboxState): void {
    this.RED.events.emit(event, { connection: this.connection, ...state })
  }

  #warn(text: string): void {
    this.RED.log.warn(`redox-config ${this.connection}: ${text}`)
  }
}
