import { formatSize, RedoxError } from '../errors'
import { unlessAborted } from '../abort'

export interface SemaphoreLimits {
  /** slots: maximum number of tasks that run at the same time */
  concurrency: number
  /** memory in bytes that all waiting tasks together may use */
  waitingBytes: number
}

/** Request for a slot of a semaphore. */
export interface SlotRequest {
  /** returns the memory in bytes that the task uses while it waits; called only if the task has to wait */
  bytes: () => number
  /** promise that must settle before the task may take a slot */
  after?: Promise<unknown> | undefined
  /** called if no slot is free at once */
  onWait?: () => void
}

/**
 * Semaphore with a limited number of slots. Tasks without a slot wait, first in, first out. The number of waiting tasks
 * is not limited, because a folder of scans may be large, but the memory that the waiting tasks use is limited.
 */
export class Semaphore {
  #limits: SemaphoreLimits
  #held = 0
  #waiting = 0
  #waitingBytes = 0
  /** waiting tasks that need only a free slot, as functions that start them */
  readonly #queue: (() => void)[] = []

  constructor(limits: SemaphoreLimits) {
    this.#limits = limits
  }

  /** Replaces the limits, and starts as many waiters as the new limits allow. */
  set limits(limits: SemaphoreLimits) {
    this.#limits = limits
    while (this.#held < limits.concurrency && this.#queue.length > 0) {
      this.#held++
      this.#admitNext()
    }
  }

  /**
   * Runs a task in a slot.
   * @param signal ends the wait; the task then never runs
   * @throws RedoxError REDOX_QUEUE_FULL
   */
  async run<T>(task: () => Promise<T>, signal: AbortSignal, entry?: SlotRequest): Promise<T> {
    const leave = await this.acquire(signal, entry)
    try {
      return await task()
    } finally {
      leave()
    }
  }

  /**
   * Acquires a slot.
   * @param signal ends the wait
   * @returns function that releases the slot; must be called exactly once
   * @throws RedoxError REDOX_QUEUE_FULL
   */
  async acquire(signal: AbortSignal, entry: SlotRequest = { bytes: () => 0 }): Promise<() => void> {
    signal.throwIfAborted()
    if (entry.after === undefined && this.#held < this.#limits.concurrency) this.#held++
    else await this.#wait(signal, entry)
    if (!signal.aborted) return () => this.#release()
    this.#release()
    throw signal.reason as Error
  }

  // A slot that becomes free is given to the task that has waited longest, so that a new caller cannot overtake the
  // queue.
  #release(): void {
    if (this.#held > this.#limits.concurrency || this.#queue.length === 0) this.#held--
    else this.#admitNext()
  }

  #admitNext(): void {
    this.#queue.shift()?.()
  }

  async #wait(signal: AbortSignal, { bytes: bytesOf, after, onWait }: SlotRequest): Promise<void> {
    const bytes = bytesOf()
    this.#assertRoom(bytes)
    onWait?.()
    this.#waiting++
    this.#waitingBytes += bytes
    try {
      if (after) await unlessAborted(after, signal)
      await this.#acquireSlot(signal)
    } finally {
      this.#waiting--
      this.#waitingBytes -= bytes
    }
  }

  #acquireSlot(signal: AbortSignal): Promise<void> {
    if (this.#held < this.#limits.concurrency) {
      this.#held++
      return Promise.resolve()
    }
    return new Promise((resolve, reject) => {
      const enter = (): void => {
        signal.removeEventListener('abort', giveUp)
        resolve()
      }
      const giveUp = (): void => {
        this.#queue.splice(this.#queue.indexOf(enter), 1)
        reject(signal.reason as Error)
      }
      signal.addEventListener('abort', giveUp, { once: true })
      this.#queue.push(enter)
    })
  }

  #assertRoom(bytes: number): void {
    const { waitingBytes } = this.#limits
    if (this.#waitingBytes + bytes <= waitingBytes) return
    throw new RedoxError(
      'REDOX_QUEUE_FULL',
      `Queue full: waiting messages (${this.#waiting}) hold ${formatSize(this.#waitingBytes)} of memory, this one needs ` +
        `${formatSize(bytes)}, and the limit of the connection is ${formatSize(waitingBytes)}. Send it again later, send ` +
        'more slowly (a delay node), read files from paths, or raise the limit. Nothing was sent or accepted.',
    )
  }
}
