/** Helpers for the order of asynchronous tasks. */

/** Runs tasks one after the other. A failed task does not prevent the next one. */
export class SerialTasks {
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

/** Wraps a task so that only one run is in progress at a time. All calls during a run share one following run. */
export function coalesced(task: () => Promise<void>): () => Promise<void> {
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
