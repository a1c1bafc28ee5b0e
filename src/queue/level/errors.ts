/**
 * Errors of the embedded store, with messages for operators. No message contains a path, because users of Node-RED see
 * the errors.
 */
import { RedoxError } from '../../errors'

const WAY_OUT =
  'Restore a backup, or begin a new store in the outbox, which renames this one: see docs/operations.md.'

const unreadable = (what: string): RedoxError =>
  new RedoxError('REDOX_STORE_UNREADABLE', `${what} Nothing was removed. Copy its folder first. ${WAY_OUT}`)

export const messageLost = (what: string): RedoxError =>
  new RedoxError('REDOX_STORE_LOST', `Not in the store: ${what} was removed, is being sent, or has ended.`)

export const storeClosed = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNAVAILABLE',
    'Store was closed before it accepted the message. Send the message again.',
  )

/** Error for a folder that is missing while the store is open. */
export const notInPlace = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNAVAILABLE',
    'Store folder is missing: it was removed, renamed or unmounted. No message is accepted until it is back. Restore ' +
      'it, or mount its volume. Delivery then continues automatically. If it is lost, stop Node-RED: see docs/operations.md.',
  )

/** Error for a store that is missing when it is opened. */
export const storeGone = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNREADABLE',
    'Store is missing, or part of it is, although this connection had one. If it is on a separate volume, mount it. ' +
      WAY_OUT,
  )

export const otherStore = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNREADABLE',
    'Wrong store: its folder holds the store of another connection. Restore the one that belongs here. ' +
      WAY_OUT,
  )

/** Error for a folder that was replaced by an older copy while the store is open. */
export const earlierCopy = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNREADABLE',
    'Store is an older copy: messages that were delivered since then would be sent again. Restore the newer one, and ' +
      'delivery continues by itself. To use the copy, stop the process and start it again.',
  )

export const storeCutShort = (): RedoxError =>
  unreadable('Store is damaged: its last writes cannot be found.')

export const storeMissing = (messages: number): RedoxError =>
  unreadable(`Store is damaged: ${messages} accepted messages cannot be found.`)

export const filesMissing = (messages: number): RedoxError =>
  unreadable(`Store is damaged: files of ${messages} accepted messages cannot be found.`)

export const fileMissing = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_LOST',
    'File is missing: a file of the message is no longer in the store. Restore it from a backup and send the message ' +
      'again in the outbox, or discard the message.',
  )

export const damagedFile = (): RedoxError =>
  new RedoxError('REDOX_STORE_UNREADABLE', 'Store is damaged: one of its files cannot be read.')

export const damagedStore = (): RedoxError => unreadable('Store is damaged.')

export const diskFull = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_FULL',
    'Store is full: its disk has no free space. Free some space. No accepted message is lost, and delivery continues.',
  )

const locked = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_LOCKED',
    'Store is in use by another process. Only one process at a time can use it: stop the other one, or choose ' +
      'PostgreSQL as the store in the connection.',
  )

const FAILURES: [pattern: RegExp, error: () => RedoxError][] = [
  [/LEVEL_LOCKED/, locked],
  [/LEVEL_CORRUPTION/, damagedStore],
  [/create_if_missing/, storeGone],
  [/ENOSPC|EDQUOT|No space left|quota exceeded/i, diskFull],
]

export function failed(error: unknown): never {
  throw asFailure(error)
}

export function asFailure(error: unknown): RedoxError {
  if (error instanceof RedoxError) return error
  const facts = factsOf(error)
  const [, known] = FAILURES.find(([pattern]) => pattern.test(facts)) ?? []
  return (
    known?.() ??
    new RedoxError('REDOX_STORE_UNAVAILABLE', 'Store cannot be used. Check its folder.', {
      fault: /\b[A-Z_]{4,}\b/.exec(facts)?.[0] ?? 'unknown',
    })
  )
}

/**
 * Throws the error of a failed attempt to open an existing LevelDB. If LevelDB does not find a file, the store is
 * damaged.
 */
export function openingFailed(error: unknown): never {
  if (/LEVEL_NOT_FOUND|No such file/.test(factsOf(error))) throw damagedStore()
  return failed(error)
}

/** Error of a message whose equal message was found in the store, but could not be written to the disk. */
export const equalMessageFailed = (): RedoxError =>
  new RedoxError('REDOX_STORE_UNAVAILABLE', 'Store cannot be written: an equal message could not be stored.')

export const systemCodeOf = (error: unknown): unknown => (error as { code?: unknown }).code

/** Returns the codes and messages of an error and its causes as one string. */
function factsOf(error: unknown): string {
  if (!(error instanceof Error)) return ''
  return `${String(systemCodeOf(error))} ${error.message} ${factsOf(error.cause)}`
}
