/** Lets at most `width` pass at once; the others wait, first in, first out. */
export class Gate {
  readonly #width: number
  #inside = 0
  readonly #waiting: (() => void)[] = []

  constructor(width: number) {
    this.#width = width
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /**
   * @param signal ends the wait of one who no longer wants to pass; the task then never runs
   * @param onWait hears that there is no place yet
   */
  async pass<T>(task: () => Promise<T>, signal: AbortSignal, onWait?: () => void): Promise<T> {
    if (this.#inside < this.#width) this.#inside++
    else {
      onWait?.()
      await this.#turn(signal)
    }
    try {
      signal.throwIfAborted()
      return await task()
    } finally {
      this.#leave()
    }
  }

  // Whoever leaves hands the place on, so that nobody who comes later slips in before.
  #leave(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#inside--
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = (): void => {
        signal.removeEventListener('abort', giveUp)
        resolve()
      }
      const giveUp = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1)
        reject(signal.reason as Error)
      }
      signal.addEventListener('abort', giveUp, { once: true })
      this.#waiting.push(enter)
    })
  }
}
