/** Order of asynchronous tasks. */

/** Runs tasks one after the other. One that fails does not keep the next one from running. */
export class Serial {
  #last: Promise<unknown> = Promise.resolve()

  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task)
    this.#last = result.catch(() => undefined)
    return result
  }

  /** Resolves when all tasks so far have ended. */
  async idle(): Promise<void> {
    await this.#last
  }
}

/** A task that runs once for all who ask for it before it begins. */
export function shared(task: () => Promise<void>): () => Promise<void> {
  let running = Promise.resolve()
  let next: Promise<void> | undefined
  return () =>
    (next ??= running
      .catch(() => undefined)
      .then(() => {
        next = undefined
        return (running = task())
      }))
}
