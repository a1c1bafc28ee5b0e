import { present } from '../shared/present'
import { RedoxError } from '../errors'
import { toStoreTime, toWallTime } from './store-clock'
import { orderOf, type JobContent, type SealedStore, type AttemptRecord } from './jobs'
import type { AuditLine } from './audit'
import {
  MOVING,
  type DeliveryStore,
  type MessageState,
  type MessageStatus,
  type StoredMessage,
} from './types'

/**
 * Moves all messages of one store to another one with their files, in the order of acceptance. Messages keep their ids,
 * states, accounts and deadlines, and come after the messages of the second store.
 *
 * Each message is moved in four steps, which are durable and can be repeated:
 * - The first store parks the message with the reason `MOVING`.
 * - The second store gets a copy, which is parked, too.
 * - The first store deletes the message.
 * - The second store gives the message the status that it had in the first one.
 *
 * So neither store sends the message while both contain it. An interrupted move is finished by the next move between the
 * same stores.
 */

/** User and reason of a move, for the audit log of the second store. */
export interface Mover {
  who: string
  /** reason: one line, up to 200 characters */
  reason: string
}

export interface Moved {
  moved: number
  /** ids of messages that cannot be read, with the error code; they stay in the first store */
  left: { id: string; code: string }[]
}

const AT_ONCE = 50

/**
 * Moves all messages.
 * @param from first store; no process may send from it during the move
 * @throws RedoxError REDOX_STORE_LOCKED if a process sends from it, or a move to a third store is not finished;
 *   REDOX_STORE_… of the second store
 */
export async function moveMessages(from: SealedStore, to: SealedStore, mover: Mover): Promise<Moved> {
  const left: Moved['left'] = []
  let moved = 0
  if (from.identity === to.identity) throw sameStore()
  await finishEarlier(from, to, mover)
  for await (const message of messagesOf(from.store)) {
    const code = await moveOne(message, from, to, mover)
    if (code === undefined) moved++
    else left.push({ id: message.id, code })
  }
  return { moved, left }
}

/** Yields all messages of a store, or those in one state, in the order of acceptance. */
export async function* messagesOf(
  store: DeliveryStore,
  wanted: { state?: MessageState } = {},
): AsyncGenerator<StoredMessage> {
  let page = await store.find({ ...wanted, limit: AT_ONCE })
  while (page.length > 0) {
    // The next page is read before the caller removes messages of this page.
    const next = await store.find({
      ...wanted,
      limit: AT_ONCE,
      after: present(page.at(-1), 'the last of a page').id,
    })
    yield* page
    page = next
  }
}

/** Finishes earlier moves of messages that the first store has already deleted. */
async function finishEarlier(from: SealedStore, to: SealedStore, mover: Mover): Promise<void> {
  for await (const { id, reason } of messagesOf(to.store, { state: 'parked' })) {
    if (reason !== MOVING) continue
    const [source] = await from.store.find({ id, limit: 1 })
    if (source === undefined) await arrive(id, from, to, mover)
  }
}

/**
 * Moves one message.
 * @returns error code if the message cannot be read; undefined if it was moved
 */
async function moveOne(
  message: StoredMessage,
  from: SealedStore,
  to: SealedStore,
  mover: Mover,
): Promise<string | undefined> {
  const { id } = message
  const read = await copyOf(message, from, to).catch(codeOfUnreadable)
  if (typeof read === 'string') return read
  const { notes, copy } = read
  if (notes.move && notes.move.to !== to.identity) throw movesElsewhere(id)
  const standing = notes.move?.standing ?? standingOf(inTimeOf(to, message, from))
  const onItsWay = { ...notes, move: { from: from.identity, to: to.identity, standing } }
  const parked = { ...standing, state: 'parked', reason: MOVING, announced: true } as const
  if (!notes.move)
    await from.store
      .setStatus(id, { ...parked, notes: await from.sealRecord(id, onItsWay) })
      .catch(throwInUse(id))
  await to.store.insertMoved({
    ...inTimeOf(to, copy, from),
    ...parked,
    notes: await to.sealRecord(id, onItsWay),
  })
  await from.store.remove(id)
  await arrive(id, from, to, mover)
  return undefined
}

/** Copies the files of a message to the other store, and returns the message encrypted for that store. */
async function copyOf(
  message: StoredMessage,
  from: SealedStore,
  to: SealedStore,
): Promise<{ notes: AttemptRecord; copy: StoredMessage }> {
  const notes = await from.recordOf(message)
  const content = await from.contentOf(message)
  const files: JobContent['files'] = []
  for (const file of content.files) files.push(file.kind === 'stored' ? await to.copyFile(file, from) : file)
  const sealed = await to.sealMessage({ ...content, files }, { ...message, order: orderOf(message) })
  return { notes, copy: { ...message, ...sealed, tags: [...sealed.tags, ...to.logTags(notes)] } }
}

/** Gives a message in the second store the status that it had in the first one. */
async function arrive(id: string, from: SealedStore, to: SealedStore, { who, reason }: Mover): Promise<void> {
  const [arrived] = await to.store.find({ id, limit: 1 })
  if (arrived?.reason !== MOVING) return
  const { move: moving, ...notes } = await to.recordOf(arrived)
  if (moving?.from !== from.identity) return
  const { clock } = to.store
  const line: AuditLine = { at: toWallTime(clock, clock.now()), who, action: 'move', subject: id, reason }
  await to.store.setStatus(id, { ...moving.standing, notes: await to.sealRecord(id, notes) }, line)
}

/** Returns a message with its times converted to the clock of the other store. */
function inTimeOf(to: SealedStore, message: StoredMessage, from: SealedStore): StoredMessage {
  const [here, there] = [from.store.clock, to.store.clock]
  const moved = (time: number): number => toStoreTime(there, toWallTime(here, time))
  const { acceptedAt, deadline, dueAt, endedAt } = message
  return {
    ...message,
    ...{ acceptedAt: moved(acceptedAt), deadline: moved(deadline), dueAt: dueAt && moved(dueAt) },
    ...(endedAt !== undefined && { endedAt: moved(endedAt) }),
  }
}

/**
 * Returns the status of a message for the other store. A message that is being sent gets the state `waiting` there. Its
 * `requestStarted` is copied, so that the message counts as possibly arrived.
 */
const standingOf = ({ state, reason, dueAt, announced, endedAt }: StoredMessage): MessageStatus => ({
  ...{ state: state === 'sending' ? 'waiting' : state, dueAt, announced },
  ...(reason !== undefined && { reason }),
  ...(endedAt !== undefined && { endedAt }),
})

/**
 * Returns the code of an error because of which one message is skipped. Rethrows all other errors, which end the move.
 */
function codeOfUnreadable(error: unknown): string {
  const code = error instanceof RedoxError ? error.code : undefined
  if (code === 'REDOX_STORE_UNREADABLE' || code === 'REDOX_STORE_LOST') return code
  throw error
}

const throwInUse =
  (id: string) =>
  (error: unknown): never => {
    if (!(error instanceof RedoxError) || error.code !== 'REDOX_STORE_LOST') throw error
    throw new RedoxError(
      'REDOX_STORE_LOCKED',
      `Message is being sent (${id}): stop the Node-RED that uses this store, wait half a minute, and run the command ` +
        'again.',
    )
  }

const movesElsewhere = (id: string): RedoxError =>
  new RedoxError(
    'REDOX_STORE_LOCKED',
    `Message is being moved (${id}): finish that move to the other store first, with the same two stores.`,
  )

const sameStore = (): RedoxError =>
  new RedoxError(
    'REDOX_BAD_INPUT',
    'Both stores are the same. Choose a different store to move the messages to.',
  )
