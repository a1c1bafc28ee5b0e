import type { ConnectionSummary, OverviewResponse } from '../../src/shared/outbox-api'
import { RequestError } from '../tab/request'
import { ask, may, tab } from './tab'

/**
 * Dot on the tab's icon. It is shown while messages need a decision, because they are parked or a destination refused
 * them later, even if the user has already seen these messages.
 */
export class AttentionMark {
  #isShown = false
  /** false: no request has been answered since the editor was opened or connected again, or a store is still opening */
  #isKnown = false
  #news = 0

  /**
   * true: a request may change the dot. Events show it, but nothing tells the editor that the messages were handled in
   * another one, or that a store has opened.
   */
  get mayChange(): boolean {
    return this.#isShown || !this.#isKnown
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
    if (asked !== this.#news) return
    const isNeeded = connections.some(needsAttention)
    // A store that is opening has no counts yet.
    this.#isKnown = isNeeded || !connections.some(({ isOpening }) => isOpening)
    if (this.#isKnown) this.#show(isNeeded)
  }

  async look(): Promise<void> {
    if (!may('read')) return
    const asked = this.#news
    try {
      this.update((await ask<OverviewResponse>('')).connections, asked)
    } catch (failure) {
      // After a failed request, the dot stays unchanged until a request succeeds again.
      this.#isKnown = failure instanceof RequestError && failure.isForbidden
    }
  }

  #show(isShown: boolean): void {
    this.#isShown = isShown
    tab.mark(isShown ? '' : undefined)
  }
}

const needsAttention = ({ counts, refusedLater = 0 }: ConnectionSummary): boolean =>
  (counts?.parked ?? 0) + refusedLater > 0
