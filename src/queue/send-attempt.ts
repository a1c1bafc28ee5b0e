import { RedoxError } from '../errors'
import type { RedoxClient } from '../redox/client'
import type { CheckpointHooks, Progress } from '../redox/delivery'
import { identifiersOf } from '../redox/identifiers'
import { entryOf } from '../redox/requests'
import { isTriedAgain } from '../transport/outcomes'
import { asRedoxError } from './internal-error'
import type { Content, Contents, Failure, Notes, Parcel } from './jobs'
import type { Settlement, StoredMessage } from './types'

/** How the messages of a connection are sent. */
export interface Delivering {
  client: RedoxClient
  /** of this connection, see {@link Parcel} */
  environment: string
  account: string
  /** first in, first out for each destination */
  ordered: boolean
  /** milliseconds for which a message is tried again */
  retryFor: number
  /** milliseconds that messages are kept after their delivery */
  keepFor: number
}

export interface AttemptOptions {
  delivering: Delivering
  /** whose lease it is */
  holder: string
  /** makes the destination rest, and returns for how many milliseconds */
  rest: (lane: string, error: RedoxError) => number
}

/** One attempt to send a queued message, and what is to become of the message after it. */
export class SendAttempt {
  readonly #stop = new AbortController()
  readonly #notes: Notes = { uploaded: {} }
  /** bytes of a request may be on their way */
  #hasLeft = false
  #isHurried = false
  /** another process has taken the message over, and decides what becomes of it */
  #isLost = false

  constructor(
    private readonly contents: Contents,
    private readonly stored: StoredMessage,
    private readonly options: AttemptOptions,
  ) {}

  abort(): void {
    this.#stop.abort(new DOMException('closed', 'AbortError'))
  }

  /** Stops it as soon as no request of it can have arrived in part. */
  hurry(): void {
    this.#isHurried = true
    if (!this.#hasLeft) this.abort()
  }

  /** @throws RedoxError when nothing can be said of the message: the lease was lost */
  async run(): Promise<Settlement> {
    const { client } = this.options.delivering
    try {
      const content = await this.contents.contentOf(this.stored)
      const known = await this.contents.notesOf(this.stored)
      this.#resume(content, known)
      const obstacle = this.#obstacle(content, known.allowedAccount)
      if (obstacle) return await this.#park(obstacle)
      const message = this.contents.messageOf(content)
      const options = {
        signal: this.#stop.signal,
        onProgress: this.#onProgress,
        checkpoints: this.#checkpoints(),
      }
      this.#notes.delivery = await client.inSlot(entryOf(message), options, (inSlot) =>
        client.deliver(message, inSlot),
      )
      return { state: 'delivered', notes: await this.#sealed() }
    } catch (thrown) {
      const error = asRedoxError(thrown)
      if (this.#isLost) throw error
      return this.#settlementOf(error)
    }
  }

  /** Takes over what earlier attempts have noted. */
  #resume(content: Content, { uploaded, uploadAccount, allowedAccount, error, unknown }: Notes): void {
    const notes = this.#notes
    const { account } = this.options.delivering
    Object.assign(notes, allowedAccount && { allowedAccount })
    // A reference to a file opens at the account alone that has the file.
    if ((uploadAccount ?? content.account ?? account) === account) Object.assign(notes, { uploaded })
    if (content.account !== account) notes.uploadAccount = account
    // Before the first attempt there is nothing to know: a person has decided to send it again.
    if (this.stored.attempts > 0) Object.assign(notes, error && { error }, unknown && { unknown })
    if (this.stored.begun) notes.unknown ??= failureOf(interrupted(content.message))
  }

  /** Why it is parked without a request. */
  #obstacle(content: Content, allowedAccount: string | undefined): Failure | undefined {
    const { delivering } = this.options
    const { unknown, error } = this.#notes
    if (unknown && !delivering.client.settings.retry.repeatUnknown) return unknown
    if (this.contents.store.clock.now() > this.stored.deadline)
      return error ?? failureOf(late(content.message))
    return mayGoOver(delivering, content, allowedAccount)
      ? undefined
      : failureOf(otherAccount(content, delivering))
  }

  #checkpoints(): CheckpointHooks {
    const { store } = this.contents
    const { holder } = this.options
    const { id } = this.stored
    const { uploaded } = this.#notes
    return {
      uploaded,
      onUploaded: async (index, one) => {
        uploaded[index] = one
        const notes = await this.#sealed()
        await this.#held(store.note(id, holder, notes))
      },
      onSending: () => this.#held(store.begin(id, holder)),
    }
  }

  readonly #onProgress = ({ hasLeft = false }: Progress): void => {
    this.#hasLeft = hasLeft
    if (this.#isHurried) this.hurry()
  }

  #held(written: Promise<void>): Promise<void> {
    return written.catch((error: unknown) => {
      this.#isLost ||= asRedoxError(error).code === 'REDOX_STORE_LOST'
      throw error
    })
  }

  async #settlementOf(error: RedoxError): Promise<Settlement> {
    const notes = this.#notes
    const { lane, ordered, deadline } = this.stored
    const { delivering, rest: restOf } = this.options
    const failure = (notes.error = failureOf(error))
    if (error.cause.retry === 'unknown') notes.unknown = failure
    const { retryAfterSeconds = 0 } = error.cause
    if (isTriedAgain(error.cause.retry, 'durable', delivering.client.settings.retry)) {
      const rest = restOf(lane, error)
      // Without order others of the lane may go first; what is ordered is the first as soon as the lane has rested.
      const now = this.contents.store.clock.now()
      const dueAt = now + (ordered ? Math.ceil(retryAfterSeconds * 1000) : rest)
      const settled = { state: 'waiting', dueAt, reason: error.code, notes: await this.#sealed() } as const
      if (now + rest < deadline) return settled
    }
    return this.#park(notes.unknown ?? failure)
  }

  async #park(failure: Failure): Promise<Settlement> {
    this.#notes.error = failure
    return { state: 'parked', reason: failure.code, notes: await this.#sealed() }
  }

  #sealed(): Promise<Buffer> {
    return this.contents.sealNotes(this.stored.id, this.#notes)
  }
}

const failureOf = ({ code, message, cause }: RedoxError): Failure => ({ code, message, cause })

function interrupted({ operation, body }: Content['message']): RedoxError {
  return new RedoxError(
    'REDOX_OUTCOME_UNKNOWN',
    `Outcome unknown: the process stopped while it sent the message (${operation}). The message may have arrived. Look it ` +
      'up in the Redox dashboard. Then send it again, mark it as delivered, or discard it in the outbox.',
    { operation, identifiers: identifiersOf(body) },
  )
}

const late = ({ operation }: Content['message']): RedoxError =>
  new RedoxError(
    'REDOX_TIMEOUT',
    `Time is up: the message (${operation}) was not sent in the time that the connection allows. Send it again in the outbox, or discard it.`,
    { operation },
  )

/** Whether a message goes over this account. An earlier release stored the environment alone. */
export const mayGoOver = (
  { environment, account }: Delivering,
  accepted: Pick<Parcel, 'environment' | 'account'>,
  allowedAccount: string | undefined,
): boolean =>
  allowedAccount === account ||
  (accepted.environment === environment && (accepted.account ?? account) === account)

function otherAccount({ environment }: Pick<Parcel, 'environment'>, now: Delivering): RedoxError {
  const names = environment === now.environment ? '' : ` (then ${environment}, now ${now.environment})`
  return new RedoxError(
    'REDOX_OTHER_ACCOUNT',
    `Other account: the message was accepted for a different account from the one that the connection has now${names}. The hosts, the ` +
      'environment, the source ID, the client ID or the legacy API key changed, or another Node-RED instance shares the store. ' +
      'Restore them and send the message again in the outbox, send it through the current account, or discard it. ' +
      'Nothing was sent.',
  )
}
