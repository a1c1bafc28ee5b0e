import { RedoxError } from '../errors'
import type { RedoxClient } from '../redox/client'
import type { CheckpointHooks, Progress } from '../redox/delivery'
import { identifiersOf } from '../redox/identifiers'
import { entryOf } from '../redox/requests'
import { isTriedAgain } from '../transport/outcomes'
import { asRedoxError } from './internal-error'
import type { Content, Contents, Failure, Notes, Parcel } from './jobs'
import type { Settlement, StoredMessage } from './types'

/** Options with which the messages of a connection are sent. */
export interface Delivering {
  client: RedoxClient
  /** environment and account of the connection, see {@link Parcel} */
  environment: string
  account: string
  /** true: first in, first out for each destination */
  ordered: boolean
  /** milliseconds after acceptance in which a message is retried */
  retryFor: number
  /** milliseconds that messages are stored after their delivery */
  keepFor: number
}

export interface AttemptOptions {
  delivering: Delivering
  /** id of the process that has the lease */
  holder: string
  /** starts a back-off of the destination, and returns its milliseconds */
  rest: (lane: string, error: RedoxError) => number
}

/** One attempt to send a queued message. Its result is the settlement of the message. */
export class SendAttempt {
  readonly #stop = new AbortController()
  readonly #notes: Notes = { uploaded: {} }
  /** true: bytes of a request may already have been sent */
  #hasLeft = false
  #isHurried = false
  /** true: another process has claimed the message, and will settle it */
  #isLost = false

  constructor(
    private readonly contents: Contents,
    private readonly stored: StoredMessage,
    private readonly options: AttemptOptions,
  ) {}

  abort(): void {
    this.#stop.abort(new DOMException('closed', 'AbortError'))
  }

  /** Aborts the attempt as soon as no part of a request can have arrived. */
  hurry(): void {
    this.#isHurried = true
    if (!this.#hasLeft) this.abort()
  }

  /**
   * Runs the attempt.
   * @throws RedoxError if the lease was lost, so that another process settles the message
   */
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

  /** Copies the facts of earlier attempts to the record of this attempt. */
  #resume(content: Content, { uploaded, uploadAccount, allowedAccount, error, unknown }: Notes): void {
    const notes = this.#notes
    const { account } = this.options.delivering
    Object.assign(notes, allowedAccount && { allowedAccount })
    // Only the account that a file was uploaded to can use a reference to the file.
    if ((uploadAccount ?? content.account ?? account) === account) Object.assign(notes, { uploaded })
    if (content.account !== account) notes.uploadAccount = account
    // With 0 attempts, stored errors are out of date: a person has decided to send the message again.
    if (this.stored.attempts > 0) Object.assign(notes, error && { error }, unknown && { unknown })
    if (this.stored.begun) notes.unknown ??= failureOf(interrupted(content.message))
  }

  /** Returns an error if the message has to be parked without a request; otherwise undefined. */
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
      // Without order, `dueAt` delays this message only, and others of its destination may go first. An ordered message
      // stays the first one, and the back-off of the destination delays it.
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

/** Returns true if a message may be sent through this account. An earlier release stored the environment only. */
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
