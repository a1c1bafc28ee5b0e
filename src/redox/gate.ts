import { formatSize, RedoxError } from '../errors'

export interface GateLimits {
  /** that pass at once */
  width: number
  /** that wait, at most */
  waiting: number
  /** bytes of files that those who wait hold in memory, at most */
  waitingBytes: number
}

interface Entry {
  /** bytes that are held in memory meanwhile */
  bytes: number
  /** hears that there is no place yet */
  onWait?: () => void
}

interface Waiting {
  bytes: number
  enter: () => void
}

/** Lets at most `width` pass at once; the others wait, first in, first out, and not without end. */
export class Gate {
  #limits: GateLimits
  #inside = 0
  #waitingBytes = 0
  readonly #waiting: Waiting[] = []

  constructor(limits: GateLimits) {
    this.#limits = limits
  }

  /** Other limits from now on. */
  set limits(limits: GateLimits) {
    this.#limits = limits
    while (this.#inside < limits.width && this.#waiting.length > 0) {
      this.#inside++
      this.#admitNext()
    }
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /**
   * @param signal ends the wait of one who no longer wants to pass; the task then never runs
   * @throws RedoxError REDOX_QUEUE_FULL
   */
  async pass<T>(task: () => Promise<T>, signal: AbortSignal, entry: Entry = { bytes: 0 }): Promise<T> {
    signal.throwIfAborted()
    if (this.#inside < this.#limits.width) this.#inside++
    else await this.#turn(signal, entry)
    try {
      signal.throwIfAborted()
      return await task()
    } finally {
      this.#leave()
    }
  }

  // Whoever leaves hands the place on, so that nobody who comes later slips in before.
  #leave(): void {
    if (this.#inside > this.#limits.width || this.#waiting.length === 0) this.#inside--
    else this.#admitNext()
  }

  #admitNext(): void {
    const next = this.#waiting.shift()!
    this.#waitingBytes -= next.bytes
    next.enter()
  }

  #turn(signal: AbortSignal, { bytes, onWait }: Entry): Promise<void> {
    this.#assertRoom(bytes)
    onWait?.()
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        bytes,
        enter: () => {
          signal.removeEventListener('abort', giveUp)
          resolve()
        },
      }
      const giveUp = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1)
        this.#waitingBytes -= bytes
        reject(signal.reason as Error)
      }
      signal.addEventListener('abort', giveUp, { once: true })
      this.#waiting.push(waiting)
      this.#waitingBytes += bytes
    })
  }

  #assertRoom(bytes: number): void {
    const { waiting, waitingBytes } = this.#limits
    const isFull = this.#waiting.length >= waiting
    if (!isFull && this.#waitingBytes + bytes <= waitingBytes) return
    throw new RedoxError(
      'REDOX_QUEUE_FULL',
      `Nothing was sent: ${this.#waiting.length} messages with ${formatSize(this.#waitingBytes)} of files wait ` +
        `already, and the connection lets ${waiting} messages and ${formatSize(waitingBytes)} wait. Send it again ` +
        'later, send more slowly (a delay node), or raise the limits in the redox-config node.',
    )
  }
}
