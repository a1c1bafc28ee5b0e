import type { RedoxClient } from '../../../src/redox/client'
import type { InFlightMessage } from './in-flight-message'
import { messageSize } from './message-size'

/** Concurrency slot of one message: limits how many messages are prepared, and sent or stored, at the same time. */
export class IntakeSlot {
  #admission: Promise<() => void> | undefined

  constructor(
    private readonly intake: Pick<RedoxClient, 'admit'>,
    private readonly work: InFlightMessage,
    private readonly before: Promise<unknown> | undefined,
  ) {}

  readonly admitted = async (): Promise<void> => {
    await (this.#admission ??= this.#enter())
  }

  #enter(): Promise<() => void> {
    const { msg, signal, onProgress } = this.work
    const onWait = (): void => onProgress({ phase: 'wait', sent: 0, total: 0 })
    return this.intake.admit(signal, { bytes: () => messageSize(msg), after: this.before, onWait })
  }

  leave(): void {
    this.#admission?.then(
      (leave) => leave(),
      () => undefined,
    )
  }
}
