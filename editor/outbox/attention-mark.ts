import type { ConnectionSummary, OverviewResponse } from '../../src/shared/outbox-api'
import { ask, may, tab } from './tab'

/**
 * Dot on the tab's icon. It is shown while messages need a decision, because they are parked or a destination refused
 * them later, even if the user has already seen these messages.
 */
export class AttentionMark {
  #isShown = false
  #news = 0

  get isShown(): boolean {
    return this.#isShown
  }

  /** Number of events about such messages that the editor has received. */
  get news(): number {
    return this.#news
  }

  /** Shows the dot after the runtime has reported such a message. */
  heard(): void {
    this.#news++
    this.#show(may('read'))
  }

  /**
   * Shows or hides the dot.
   * @param asked value of {@link news} at the time when the connections were requested
   */
  update(connections: ConnectionSummary[], asked = this.#news): void {
    // A response that was requested before the last event does not contain the message of that event.
    if (asked === this.#news) this.#show(connections.some(needsAttention))
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

const needsAttention = ({ counts, refusedLater = 0 }: ConnectionSummary): boolean =>
  (counts?.parked ?? 0) + refusedLater > 0
