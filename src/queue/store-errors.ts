/** What both stores refuse, in the same words. */
import { badInput, RedoxError } from '../errors'
import type { Criteria, NewMessage } from './types'

/** @param known the versions of a store that this release can use are 1 to this */
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

/** PostgreSQL keeps no NUL, and UTF-8 has no half of a surrogate pair. */
const UNSTORABLE = /[\0\p{Cs}]/u

export const isStorable = (text: string | undefined): boolean => text === undefined || !UNSTORABLE.test(text)

/** Whether a store may have something that meets them. */
export const areStorable = ({ lane, id, tag, code }: Criteria): boolean =>
  [lane, id, tag, code].every(isStorable)

/** What of a message is stored as text. */
export const textsOf = ({ id, lane, owner, files, tags }: NewMessage): string[] => [
  ...[id, lane, owner],
  ...files,
  ...tags,
]

/** @throws RedoxError REDOX_BAD_INPUT */
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
