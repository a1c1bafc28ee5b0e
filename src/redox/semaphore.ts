import { formatSize, RedoxError } from '../errors'
import { unlessAborted } from '../abort'

export interface GateLimits {
  /** that pass at once */
  width: number
  /** bytes that those who wait hold in memory, at most */
  waitingBytes: number
}

/** How a message comes to a gate. */
export interface Entry {
  /** bytes that it holds in memory while it waits */
  bytes: number
  /** what has to end before it may pass */
  after?: Promise<unknown> | undefined
  /** hears that there is no place yet */
  onWait?: () => void
}

/**
 * Lets at most `width` pass at once; the others wait, first in, first out. Their number is not limited, but the memory
 * that they hold is: a folder of scans may be as long as it is.
 */
export class Gate {
  #limits: GateLimits
  #inside = 0
  #waiting = 0
  #waitingBytes = 0
  /** those for which nothing but a place is missing */
  readonly #queue: (() => void)[] = []

  constructor(limits: GateLimits) {
    this.#limits = limits
  }

  /** Other limits from now on. */
  set limits(limits: GateLimits) {
    this.#limits = limits
    while (this.#inside < limits.width && this.#queue.length > 0) {
      this.#inside++
      this.#admitNext()
    }
  }

  /**
   * @param signal ends the wait of one who no longer wants to pass; the task then never runs
   * @throws RedoxError REDOX_QUEUE_FULL
   */
  async pass<T>(task: () => Promise<T>, signal: AbortSignal, entry?: Entry): Promise<T> {
    const leave = await this.enter(signal, entry)
    try {
      return await task()
    } finally {
      leave()
    }
  }

  /**
   * Takes a place.
   * @param signal ends the wait
   * @returns what gives the place back; to be called once
   * @throws RedoxError REDOX_QUEUE_FULL
   */
  async enter(signal: AbortSignal, entry: Entry = { bytes: 0 }): Promise<() => void> {
    signal.throwIfAborted()
    if (entry.after === undefined && this.#inside < this.#limits.width) this.#inside++
    else await this.#wait(signal, entry)
    if (!signal.aborted) return () => this.#leave()
    this.#leave()
    throw signal.reason as Error
  }

  // A slot that becomes free goes to the oldest waiter, so that a new caller cannot overtake the queue.
  #leave(): void {
    if (this.#inside > this.#limits.width || this.#queue.length === 0) this.#inside--
    else this.#admitNext()
  }

  #admitNext(): void {
    this.#queue.shift()?.()
  }

  async #wait(signal: AbortSignal, { bytes, after, onWait }: Entry): Promise<void> {
    this.#assertRoom(bytes)
    onWait?.()
    this.#waiting++
    this.#waitingBytes += bytes
    try {
      if (after) await unlessAborted(after, signal)
      await this.#place(signal)
    } finally {
      this.#waiting--
      this.#waitingBytes -= bytes
    }
  }

  #place(signal: AbortSignal): Promise<void> {
    if (this.#inside < this.#limits.width) {
      this.#inside++
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
