interface Waiting {
  amount: number
  go: () => void
}

/**
 * Shares out what one turn of the event loop allows. Node-RED is one event loop: whatever takes long without a turn
 * is time in which nothing else happens, in no flow.
 */
export class Turns {
  readonly #waiting: Waiting[] = []
  #left: number
  #isCounting = false

  /** @param perTurn what may be done in one turn; one more piece may begin before it is used up */
  constructor(private readonly perTurn: number) {
    this.#left = perTurn
  }

  /**
   * Waits, first in, first out, until so much may be done.
   * @returns undefined when it may be done at once
   */
  take(amount: number): Promise<void> | undefined {
    if (!this.#isCounting) this.#count()
    if (this.#waiting.length === 0 && this.#left > 0) {
      this.#left -= amount
      return undefined
    }
    return new Promise((go) => this.#waiting.push({ amount, go }))
  }

  #count(): void {
    this.#isCounting = true
    setImmediate(() => this.#next())
  }

  #next(): void {
    this.#left = this.perTurn
    this.#isCounting = false
    if (this.#waiting.length === 0) return
    this.#count()
    while (this.#left > 0) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      this.#left -= next.amount
      next.go()
    }
  }
}

// Hashing, encoding and encrypting a MB take 1 to 2 ms. They need a turn of their own although every write waits for
// its socket: one that is drained answers without a turn, so that a large body would hold the loop to its end.
const bytes = new Turns(512 * 1024)

/** Waits until so many bytes of a file may be worked on: all who send share one budget. */
export const turn = (size: number): Promise<void> | undefined => bytes.take(size)

/** As `Buffer.concat`, which holds the loop for as long as the memory takes that it asks for. */
export async function joined(pieces: Buffer[]): Promise<Buffer> {
  const [first] = pieces
  if (first !== undefined && pieces.length === 1) return first
  const whole = Buffer.allocUnsafeSlow(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const piece of pieces) {
    // Memory that is written to for the first time costs more than the copy.
    await turn(piece.length)
    at += piece.copy(whole, at)
  }
  return whole
}

/** Pieces of a file, each when it may be worked on. */
export async function* inTurns(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const piece of pieces) {
    await turn(piece.length)
    yield piece
  }
}
