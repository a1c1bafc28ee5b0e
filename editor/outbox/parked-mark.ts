import type { ConnectionSummary, OverviewResponse } from '../../src/shared/outbox-api'
import { ask, may, tab } from './tab'

/** Dot on the tab's icon while messages are parked, even after a user has seen them. */
export class ParkedMark {
  #isShown = false
  #news = 0

  get isShown(): boolean {
    return this.#isShown
  }

  /** Number of events about parked messages so far. */
  get news(): number {
    return this.#news
  }

  /** Shows the dot after the runtime has reported a parked message. */
  heard(): void {
    this.#news++
    this.#show(may('read'))
  }

  /**
   * Shows or hides the dot.
   * @param asked value of {@link news} when the connections were requested
   */
  update(connections: ConnectionSummary[], asked = this.#news): void {
    // An answer that was requested before the last event does not contain the newly parked message.
    if (asked === this.#news) this.#show(connections.some(({ counts }) => (counts?.parked ?? 0) > 0))
  }

  async look(): Promise<void> {
    if (!may('read')) return
    const asked = this.#news
    try {
      this.update((await ask<OverviewResponse>('')).connections, asked)
    } catch {
      // After a failed request, the dot stays unchanged until the runtime answers again.
    }
  }

  #show(isShown: boolean): void {
    this.#isShown = isShown
    tab.mark(isShown ? '' : undefined)
  }
}
