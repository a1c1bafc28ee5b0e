/** Checks and errors that both kinds of store share. */
import { badInput, RedoxError } from '../errors'
import type { Criteria, NewMessage } from './types'

/**
 * Throws if this release cannot use the version of a store.
 * @param known highest version that this release can use; the lowest is 1
 * @throws RedoxError REDOX_STORE_NEWER, REDOX_STORE_UNREADABLE
 */
export function assertVersion(found: number, known: number): void {
  if (Number.isSafeInteger(found) && found >= 1 && found <= known) return
  if (Number.isSafeInteger(found) && found > known)
    throw new RedoxError(
      'REDOX_STORE_NEWER',
      `Store is newer: a newer release of these nodes wrote it (version ${found}, this release knows ${known}). Install ` +
        'that release again. Nothing was changed.',
    )
  throw new RedoxError(
    'REDOX_STORE_UNREADABLE',
    'Store version is unknown: no release of these nodes writes it. The store is damaged, or was changed by hand. Nothing ' +
      'was changed now. Restore a backup, see docs/operations.md.',
  )
}

/** Characters that cannot be stored: NUL in PostgreSQL, and half of a surrogate pair in UTF-8. */
const UNSTORABLE = /[\0\p{Cs}]/u

export const isStorable = (text: string | undefined): boolean => text === undefined || !UNSTORABLE.test(text)

/** Returns false if criteria contain characters that cannot be stored, so that no message can match. */
export const areStorable = ({ destination, id, tag, code }: Criteria): boolean =>
  [destination, id, tag, code].every(isStorable)

/** Returns the fields of a message that are stored unencrypted, as strings. */
export const textsOf = ({ id, destination, orderKey = '', owner, files, tags }: NewMessage): string[] => [
  ...[id, destination, orderKey, owner],
  ...files,
  ...tags,
]

/**
 * Throws if a string contains characters that cannot be stored.
 * @throws RedoxError REDOX_BAD_INPUT
 */
export function assertStorable(...texts: string[]): void {
  if (texts.every(isStorable)) return
  throw badInput(
    'Destination is not text: its ID has a character that cannot be stored (NUL, or half a surrogate pair). Correct the ' +
      'destination.',
  )
}

export const pageLost = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_LOST',
    'Page is no longer available: the message before this page is no longer in the store. Begin with the first page again.',
  )
