/**
 * What a socket may still hold of a piece when the next one is asked for: undici waits for 'drain' after a write
 * that fills the socket's buffer, 16 KiB on Node 20 and 64 KiB since, and after a shorter one it does not. Memory
 * that is used again may be handed to it in pieces of at least this many bytes only.
 */
export const DRAINED_FROM = 64 * 1024

// As many as send at once by default; what is beyond that is left to the garbage collector.
const KEPT = 8

/** Buffers of one size that are used again and again: fresh memory costs more than what is done with it. */
export class Scratch {
  readonly #free: Buffer[] = []

  /** @param size bytes of each */
  constructor(private readonly size: number) {}

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.size)
  }

  /**
   * A buffer is given back only when nothing reads it any more. After a break the socket may still read it: then the
   * buffer is left to the garbage collector.
   */
  give(buffer: Buffer): void {
    if (this.#free.length < KEPT) this.#free.push(buffer)
  }
}
