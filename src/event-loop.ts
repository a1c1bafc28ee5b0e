interface Waiting {
  amount: number
  resume: () => void
}

/**
 * Budget of synchronous work for each iteration of the event loop. Node-RED runs all flows on one event loop: long
 * synchronous work in one node stops every other flow.
 */
export class EventLoopBudget {
  readonly #waiting: Waiting[] = []
  #left: number
  #isCounting = false

  /**
   * Creates a budget.
   * @param perIteration work allowed in one iteration, in units of the caller, e.g. bytes; the last task of an iteration may
   * exceed the limit
   */
  constructor(private readonly perIteration: number) {
    this.#left = perIteration
  }

  /**
   * Reserves an amount of work, and waits for a later iteration when the budget is used up. Callers are served first
   * in, first out.
   * @returns undefined when the work may start in this iteration
   */
  reserve(amount: number): Promise<void> | undefined {
    if (!this.#isCounting) this.#count()
    if (this.#waiting.length === 0 && this.#left > 0) {
      this.#left -= amount
      return undefined
    }
    return new Promise((resume) => this.#waiting.push({ amount, resume }))
  }

  #count(): void {
    this.#isCounting = true
    setImmediate(() => this.#next())
  }

  #next(): void {
    this.#left = this.perIteration
    this.#isCounting = false
    if (this.#waiting.length === 0) return
    this.#count()
    while (this.#left > 0) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      this.#left -= next.amount
      next.resume()
    }
  }
}

// Number of bytes that may be processed in one iteration. Hashing, encoding and encrypting 1 MB take 1 to 2 ms. Waiting
// for the socket after each write is not enough to let other work run: a socket that has drained resolves without a new
// iteration, so a large body would block the event loop until its end.
const bytes = new EventLoopBudget(512 * 1024)

/** Waits until `size` bytes of a file may be processed. All senders share one budget for each event-loop iteration. */
export const yieldFor = (size: number): Promise<void> | undefined => bytes.reserve(size)

/** Concatenates buffers like `Buffer.concat`, but lets the event loop run between the copies. */
export async function concatenate(pieces: Buffer[]): Promise<Buffer> {
  const [first] = pieces
  if (first !== undefined && pieces.length === 1) return first
  const whole = Buffer.allocUnsafeSlow(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const piece of pieces) {
    // Copying needs budget, too: the first write to newly allocated memory costs more than the copy itself.
    await yieldFor(piece.length)
    at += piece.copy(whole, at)
  }
  return whole
}

/** Yields the chunks of a file, each as soon as the event-loop budget allows its size. */
export async function* yieldingChunks(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const piece of pieces) {
    await yieldFor(piece.length)
    yield piece
  }
}
