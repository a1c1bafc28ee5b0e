/**
 * Index keys of ordered messages with an order key, which depend on the other messages with the same key: which one is
 * the first of them, and whether it is parked while others wait for it.
 */
import { bytes, del, escaped, KEY, put, type Change } from './keys'
import type { Reader } from './reader'
import { isInLine, sortByAcceptance, type LevelRow } from './rows'

/** Change of a message. Without `from`, it is new; without `to`, it is deleted. */
export interface RowChange {
  from?: LevelRow
  to?: LevelRow
}

/**
 * Returns the changes of the indexes `first` and `blocking`, to be written in the same batch as the rows. Call it
 * inside a database task.
 */
export async function orderKeyChanges(reader: Reader, rows: RowChange[]): Promise<Change[]> {
  const byKey = new Map<string, RowChange[]>()
  for (const change of rows) {
    const key = (change.to ?? change.from)?.orderKey
    if (key !== undefined) byKey.set(key, [...(byKey.get(key) ?? []), change])
  }
  const changes = await Promise.all([...byKey].map(([key, changed]) => changesOf(reader, key, changed)))
  return changes.flat()
}

async function changesOf(reader: Reader, orderKey: string, changed: RowChange[]): Promise<Change[]> {
  // Of the stored rows, the changed ones may leave the line; two others show the first one, and if one waits behind it.
  const before = await reader.rows(`turn!${escaped(orderKey)}`, changed.length + 2)
  const left = new Set(changed.flatMap(({ from }) => from?.id ?? []))
  const after = sortByAcceptance([
    ...before.filter(({ id }) => !left.has(id)),
    ...changed.flatMap(({ to }) => (to && isInLine(to) ? [to] : [])),
  ])
  const puts = headKeysOf(after).map((key) => put(key, bytes(after[0]?.id ?? '')))
  return [...headKeysOf(before).map(del), ...puts]
}

/** @param line messages with the same order key, in the order of acceptance: at least the first two, if there are two */
function headKeysOf([head, second]: LevelRow[]): string[] {
  if (head === undefined) return []
  const { destination, dueAt, sequence, state } = head
  if (state === 'waiting') return [KEY.first(destination, dueAt, sequence)]
  return state === 'parked' && second ? [KEY.blocking(destination, sequence)] : []
}
