/**
 * Equal messages: those with the same document, destination, operation and status. The second one may be sent with a
 * warning, refused, or answered with the result of the first.
 *
 * An earlier message counts if it was delivered within the time that delivered messages are kept, and if it is waiting,
 * being sent or parked: it may still be delivered, and the document would then arrive twice. A message that a person
 * discarded does not count. Of a message that its destination refused later, the answer of Redox is never given again: a
 * flow would take it for a success. A message that a person sends again is not accepted again, and so is never compared.
 */
import { RedoxError } from '../errors'
import { isRefusedLater } from '../shared/values'
import type { SealedStore } from './jobs'
import { resultOf, type JobResult } from './notifier'
import { toWallTime } from './store-clock'
import type { EqualMessage } from './equal-message'
import type { StoredMessage } from './types'

/** Rule for a message with an earlier equal one: see `storeDuplicates` of the redox-config node. */
export type DuplicateRule = 'warn' | 'refuse' | 'answer'

/** Result of the acceptance of a job. */
export type AcceptResult =
  | {
      /** id of the stored job */
      id: string
      /** earlier message with the same document; the job was stored all the same */
      equal?: EqualMessage
    }
  | {
      /** result of the earlier message with the same document; the job was not stored */
      first: JobResult
      delivery: Extract<JobResult['outcome'], { delivery: unknown }>['delivery']
    }

/**
 * Returns the result of an equal message that was delivered.
 * @throws RedoxError REDOX_DUPLICATE if there is none, or if the rule is to refuse
 */
export async function answerFrom(
  sealedStore: SealedStore,
  { id }: EqualMessage,
  rule: DuplicateRule,
): Promise<AcceptResult> {
  const [stored] = await sealedStore.store.find({ id, limit: 1 })
  // Deleted in the meantime: the next attempt finds no equal message.
  if (stored === undefined)
    throw new RedoxError('REDOX_STORE_LOST', `Message is gone: the equal message ${id} was just deleted.`)
  const { delivery } = await sealedStore.recordOf(stored)
  const isAnswer = stored.state === 'delivered' && delivery !== undefined && !isRefusedLater(stored)
  if (rule !== 'answer' || !isAnswer) throw duplicate(sealedStore, stored)
  return { first: await resultOf(sealedStore, stored), delivery }
}

function duplicate({ store }: SealedStore, stored: StoredMessage): RedoxError {
  const { id, state } = stored
  const refused = isRefusedLater(stored) ? ', but its destination has refused it' : ''
  const acceptedAt = new Date(toWallTime(store.clock, stored.acceptedAt)).toISOString()
  return new RedoxError(
    'REDOX_DUPLICATE',
    `Already in the outbox: a message with the same document for the same destination is ${state} there ` +
      `(${id})${refused}. To send the document all the same, send that message again in the outbox. Nothing was sent.`,
    { duplicateOf: { id, state, acceptedAt } },
  )
}
