/** What both stores refuse, in the same words. */
import { badInput, RedoxError } from '../errors'
import type { NewMessage } from './store'

/** @param known the versions of a store that this release can use are 1 to this */
export function assertVersion(found: number, known: number): void {
  if (Number.isSafeInteger(found) && found >= 1 && found <= known) return
  if (Number.isSafeInteger(found) && found > known)
    throw new RedoxError(
      'REDOX_STORE_NEWER',
      `The store of accepted messages was written by a newer release of these nodes (its version is ${found}, this ` +
        `release knows ${known}). Install that release again; nothing was changed.`,
    )
  throw new RedoxError(
    'REDOX_STORE_UNREADABLE',
    'The store of accepted messages has a version that no release of these nodes writes: it is damaged, or was changed ' +
      'by hand. Nothing of it was changed: bring back a backup, see docs/operations.md.',
  )
}

/** PostgreSQL keeps no NUL, and UTF-8 has no half of a surrogate pair. */
const UNSTORABLE = /[\0\p{Cs}]/u

export const isStorable = (text: string | undefined): boolean => text === undefined || !UNSTORABLE.test(text)

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
    'The store of accepted messages does not take it: the id of a destination has a character that is no text (NUL, or half a surrogate ' +
      'pair).',
  )
}

export const pageLost = (): RedoxError =>
  new RedoxError(
    'REDOX_STORE_LOST',
    'The message that the page goes on after is not in the store any more. Begin with the first page again.',
  )
