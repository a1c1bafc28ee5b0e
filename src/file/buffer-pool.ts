/**
 * Minimum size in bytes of a chunk whose memory may be reused after the next chunk is requested. After a write that
 * fills the socket's buffer (16 KiB on Node.js 20, 64 KiB since), undici waits for the event `drain` before it requests
 * the next chunk. After a shorter write undici does not wait, and the socket may still read the chunk.
 */
export const MIN_REUSABLE_CHUNK = 64 * 1024

// Maximum number of free buffers: the default number of concurrent requests. Further buffers are left to the garbage
// collector.
const MAX_FREE = 8

/** Pool of buffers of one size. Allocating new memory costs more than the processing of the bytes. */
export class BufferPool {
  readonly #free: Buffer[] = []

  /**
   * Creates an empty pool.
   * @param size size of each buffer, in bytes
   */
  constructor(private readonly size: number) {}

  acquire(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.size)
  }

  /**
   * Returns a buffer to the pool. Call this only when nothing reads the buffer any longer: after an aborted request the
   * socket may still reference the buffer, which must then be left to the garbage collector.
   */
  release(buffer: Buffer): void {
    if (this.#free.length < MAX_FREE) this.#free.push(buffer)
  }
}
