import type { ConnectionReport } from '../connection/connection-report'
import type { DurableConnection } from '../connection/durable-connection'

interface Watched {
  /** ids of refused messages that no person has decided about */
  ids: Set<string>
  /** number of refused messages in the last report */
  refusedLater?: number
  stop: () => void
}

/** Tells when a person has decided about a message of an outbox that its destination refused. */
export class DecisionWatch {
  readonly #watched = new Map<DurableConnection, Watched>()

  /** @param onDecided called once with the id of each message */
  constructor(private readonly onDecided: (id: string) => void) {}

  /**
   * Watches a refused message.
   * @param connection connection whose outbox has the message
   */
  add(connection: DurableConnection, id: string): void {
    const known = this.#watched.get(connection)
    if (known) {
      known.ids.add(id)
      // The person may have decided before this call: the next report has a search.
      delete known.refusedLater
      return
    }
    const watched: Watched = { ids: new Set([id]), stop: () => undefined }
    watched.stop = connection.watch((report) => void this.#look(watched, report))
    this.#watched.set(connection, watched)
  }

  /** Searches the store only after the number of refused messages has changed. */
  async #look(watched: Watched, { state, store }: ConnectionReport): Promise<void> {
    if (store === undefined || watched.ids.size === 0 || state.refusedLater === watched.refusedLater) return
    watched.refusedLater = state.refusedLater
    const asked = [...watched.ids]
    try {
      const refused = new Set(await store.ids({ code: 'REDOX_NOT_DELIVERED' }, ['delivered']))
      for (const id of asked) if (!refused.has(id) && watched.ids.delete(id)) this.onDecided(id)
    } catch {
      // The store cannot be read now. The next report has its search.
      delete watched.refusedLater
    }
  }

  close(): void {
    for (const { stop } of this.#watched.values()) stop()
    this.#watched.clear()
  }
}
