import type { ConnectionSummary, OverviewResponse } from '../../src/shared/outbox-api'
import { ask, may, tab } from './tab'

/** The dot on the tab's icon: messages are parked, also when a user has seen them. */
export class ParkedMark {
  #isShown = false
  #news = 0

  get isShown(): boolean {
    return this.#isShown
  }

  /** Number of news so far. */
  get news(): number {
    return this.#news
  }

  /** The runtime says that a message was parked. */
  heard(): void {
    this.#news++
    this.#show(may('read'))
  }

  /** @param asked number of news when the connections were asked for */
  update(connections: ConnectionSummary[], asked = this.#news): void {
    // What was asked for before a message was parked does not know of it.
    if (asked === this.#news) this.#show(connections.some(({ counts }) => (counts?.parked ?? 0) > 0))
  }

  async look(): Promise<void> {
    if (!may('read')) return
    const asked = this.#news
    try {
      this.update((await ask<OverviewResponse>('')).connections, asked)
    } catch {
      // The dot stays as it is until the runtime answers.
    }
  }

  #show(isShown: boolean): void {
    this.#isShown = isShown
    tab.mark(isShown ? '' : undefined)
  }
}
