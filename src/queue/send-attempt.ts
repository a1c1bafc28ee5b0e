import { RedoxError } from '../errors'
import { messageFacts, type MessageFacts } from '../redox/activity'
import type { RedoxClient } from '../redox/client'
import type { CheckpointHooks, Progress } from '../redox/client-types'
import { identifiersOf } from '../redox/identifiers'
import { slotDemandOf } from '../redox/requests'
import { isTriedAgain } from '../transport/outcomes'
import { asRedoxError } from './as-redox-error'
import type { DuplicateRule } from './duplicates'
import type { JobContent, SealedStore, StoredFailure, AttemptRecord, Job } from './jobs'
import type { MessageOrder, Settlement, StoredMessage } from './types'

/** Options for sending the messages of a connection. */
export interface SendOptions {
  client: RedoxClient
  /** environment and account of the connection, see {@link Job} */
  environment: string
  account: string
  /** order of the messages that are accepted from now on */
  order: MessageOrder
  /** what happens to a message if an earlier one has the same document */
  duplicates: DuplicateRule
  /** milliseconds after acceptance in which a message is retried */
  retryFor: number
  /** milliseconds that messages are stored after their delivery */
  keepFor: number
  /** bytes in the store above which no message is accepted; undefined: no limit */
  storeLimit?: number
}

export interface SendAttemptOptions {
  sendOptions: SendOptions
  /** id of the process that has the lease */
  holder: string
  /** starts a back-off of the destination, and returns its duration in milliseconds */
  backOff: (destination: string, error: RedoxError) => number
}

/** One attempt to send a queued message. Its result is the settlement of the message. */
export class SendAttempt {
  readonly #stop = new AbortController()
  readonly #notes: AttemptRecord = { uploaded: {} }
  /** true: bytes of a request may already have been sent */
  #hasLeft = false
  #isStoppingUnsent = false
  /** true: another process has claimed the message, and will settle it */
  #isLost = false

  #facts: MessageFacts = {}

  constructor(
    private readonly sealedStore: SealedStore,
    private readonly stored: StoredMessage,
    private readonly options: SendAttemptOptions,
  ) {}

  abort(): void {
    this.#stop.abort(new DOMException('closed', 'AbortError'))
  }

  /** Aborts the attempt at the next moment at which it is certain that no part of a request can have arrived. */
  stopUnsent(): void {
    this.#isStoppingUnsent = true
    if (!this.#hasLeft) this.abort()
  }

  /**
   * Runs the attempt, and counts its settlement.
   * @throws RedoxError if the lease was lost, so that another process settles the message
   */
  async run(): Promise<Settlement> {
    const settlement = await this.#run()
    const { activity } = this.options.sendOptions.client
    if (settlement.state === 'waiting') activity.retried(settlement.reason)
    else
      activity.messageEnded({
        ...this.#facts,
        delivery: 'durable',
        ...(settlement.state === 'parked' && { code: settlement.reason }),
        seconds: Math.max(0, this.sealedStore.store.clock.now() - this.stored.acceptedAt) / 1000,
      })
    return settlement
  }

  async #run(): Promise<Settlement> {
    const { client } = this.options.sendOptions
    try {
      const content = await this.sealedStore.contentOf(this.stored)
      this.#facts = factsOf(content)
      const known = await this.sealedStore.recordOf(this.stored)
      this.#resume(content, known)
      const obstacle = this.#obstacle(content, known.allowedAccount)
      if (obstacle) return await this.#park(obstacle)
      const message = this.sealedStore.messageOf(content)
      const options = {
        signal: this.#stop.signal,
        onProgress: this.#onProgress,
        checkpoints: this.#checkpoints(),
      }
      // The number of claimed messages limits their memory, so an accepted message never fails because others wait.
      const demand = { ...slotDemandOf(message), bytes: () => 0 }
      this.#notes.delivery = await client.inSlot(demand, options, (inSlot) => client.deliver(message, inSlot))
      return { state: 'delivered', ...(await this.#ended()) }
    } catch (thrown) {
      const error = asRedoxError(thrown)
      if (this.#isLost) throw error
      return this.#settlementOf(error)
    }
  }

  /** Copies the facts of earlier attempts to the record of this attempt. */
  #resume(
    content: JobContent,
    { uploaded, uploadAccount, allowedAccount, error, unknown, ...known }: AttemptRecord,
  ): void {
    const notes = this.#notes
    const { account } = this.options.sendOptions
    Object.assign(notes, allowedAccount && { allowedAccount })
    // References to uploaded files can be used only by the account that the files were uploaded to.
    if ((uploadAccount ?? content.account ?? account) === account) Object.assign(notes, { uploaded })
    if (content.account !== account) notes.uploadAccount = account
    // With 0 attempts, the stored errors no longer count: a person has decided to send the message again.
    if (this.stored.attempts > 0) Object.assign(notes, error && { error }, unknown && { unknown })
    else if (unknown || known.delivery || error?.code === 'REDOX_PARTIAL') notes.mayHaveArrivedBefore = true
    if (known.mayHaveArrivedBefore) notes.mayHaveArrivedBefore = true
    if (this.stored.requestStarted) notes.unknown ??= failureOf(interruptedError(content.message))
  }

  /** Returns an error if the message has to be parked without a request; otherwise undefined. */
  #obstacle(content: JobContent, allowedAccount: string | undefined): StoredFailure | undefined {
    const { sendOptions } = this.options
    const { unknown, error } = this.#notes
    if (unknown && !sendOptions.client.settings.retry.repeatUnknown) return unknown
    if (this.sealedStore.store.clock.now() > this.stored.deadline)
      return error ?? failureOf(deadlinePassed(content.message))
    return maySendThrough(sendOptions, content, allowedAccount)
      ? undefined
      : failureOf(otherAccount(content, sendOptions))
  }

  #checkpoints(): CheckpointHooks {
    const { store } = this.sealedStore
    const { holder } = this.options
    const { id } = this.stored
    const { uploaded } = this.#notes
    return {
      uploaded,
      onUploaded: async (index, one) => {
        uploaded[index] = one
        const notes = await this.#sealed()
        await this.#held(store.recordNotes(id, holder, notes))
      },
      onSending: () => this.#held(store.recordRequestStart(id, holder)),
    }
  }

  readonly #onProgress = ({ hasLeft = false }: Progress): void => {
    this.#hasLeft = hasLeft
    if (this.#isStoppingUnsent) this.stopUnsent()
  }

  #held(written: Promise<void>): Promise<void> {
    return written.catch((error: unknown) => {
      this.#isLost ||= asRedoxError(error).code === 'REDOX_STORE_LOST'
      throw error
    })
  }

  async #settlementOf(error: RedoxError): Promise<Settlement> {
    const notes = this.#notes
    const { destination, ordered, deadline } = this.stored
    const { sendOptions, backOff } = this.options
    const failure = (notes.error = failureOf(error))
    if (error.cause.retry === 'unknown') notes.unknown = failure
    const { retryAfterSeconds = 0 } = error.cause
    if (isTriedAgain(error.cause.retry, 'durable', sendOptions.client.settings.retry)) {
      const rest = backOff(destination, error)
      // An unordered message is delayed by its own `dueAt`, so that other messages of its destination may be sent
      // before it. An ordered message stays the first one of its order key; the back-off of the destination delays
      // it.
      const now = this.sealedStore.store.clock.now()
      const dueAt = now + (ordered ? Math.ceil(retryAfterSeconds * 1000) : rest)
      const settled = { state: 'waiting', dueAt, reason: error.code, notes: await this.#sealed() } as const
      if (now + rest < deadline) return settled
    }
    return this.#park(notes.unknown ?? failure)
  }

  async #park(failure: StoredFailure): Promise<Settlement> {
    this.#notes.error = failure
    return { state: 'parked', reason: failure.code, ...(await this.#ended()) }
  }

  async #ended(): Promise<{ notes: Buffer; tags: string[] }> {
    return { notes: await this.#sealed(), tags: this.sealedStore.logTags(this.#notes) }
  }

  #sealed(): Promise<Buffer> {
    return this.sealedStore.sealRecord(this.stored.id, this.#notes)
  }
}

const factsOf = ({ message: { operation, files: places }, files, isText }: JobContent): MessageFacts =>
  messageFacts(
    operation,
    places.map(({ way }, index) => ({ way, size: files[index]?.size })),
    isText,
  )

const failureOf = ({ code, message, cause }: RedoxError): StoredFailure => ({ code, message, cause })

function interruptedError({ operation, body }: JobContent['message']): RedoxError {
  return new RedoxError(
    'REDOX_OUTCOME_UNKNOWN',
    `Outcome unknown: the process stopped while it sent the message (${operation}). The message may have arrived. Look it ` +
      'up in the Redox dashboard. Then send it again, mark it as delivered, or discard it in the outbox.',
    { operation, identifiers: identifiersOf(body) },
  )
}

const deadlinePassed = ({ operation }: JobContent['message']): RedoxError =>
  new RedoxError(
    'REDOX_TIMEOUT',
    `Time is up: the message (${operation}) was not sent in the time that the connection allows. Send it again in the outbox, or discard it.`,
    { operation },
  )

/**
 * Returns true if a message may be sent through this account. Jobs of an earlier release contain no account, so their
 * environment is compared.
 */
export const maySendThrough = (
  { environment, account }: SendOptions,
  accepted: Pick<Job, 'environment' | 'account'>,
  allowedAccount: string | undefined,
): boolean =>
  allowedAccount === account ||
  (accepted.environment === environment && (accepted.account ?? account) === account)

function otherAccount({ environment }: Pick<Job, 'environment'>, now: SendOptions): RedoxError {
  const names = environment === now.environment ? '' : ` (then ${environment}, now ${now.environment})`
  return new RedoxError(
    'REDOX_OTHER_ACCOUNT',
    `Other account: the message was accepted for a different account from the one that the connection has now${names}. The hosts, the ` +
      'environment, the source ID, the client ID or the legacy API key changed, or another Node-RED instance shares the store. ' +
      'Restore them and send the message again in the outbox, send it through the current account, or discard it. ' +
      'Nothing was sent.',
  )
}
