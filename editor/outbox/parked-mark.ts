import type { ConnectionSummary, OverviewResponse } from '../../src/shared/outbox-api'
import { ask, may, tab } from './tab'

/** Dot on the tab's icon. It is shown while messages are parked, even if the user has already seen these messages. */
export class ParkedMark {
  #isShown = false
  #news = 0

  get isShown(): boolean {
    return this.#isShown
  }

  /** Number of events about parked messages that the editor has received. */
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
   * @param asked value of {@link news} at the time when the connections were requested
   */
  update(connections: ConnectionSummary[], asked = this.#news): void {
    // A response that was requested before the last event does not contain the message that was parked since.
    if (asked === this.#news) this.#show(connections.some(({ counts }) => (counts?.parked ?? 0) > 0))
  }

  async look(): Promise<void> {
    if (!may('read')) return
    const asked = this.#news
    try {
      this.update((await ask<OverviewResponse>('')).connections, asked)
    } catch {
      // After a failed request, the dot stays unchanged until a request succeeds again.
    }
  }

  #show(isShown: boolean): void {
    this.#isShown = isShown
    tab.mark(isShown ? '' : undefined)
  }
}
