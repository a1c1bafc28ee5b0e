/**
 * Numbered steps that bring the LevelDB of a store from one layout to the next. A release that changes the layout adds a
 * step at the end; a step that was released is never changed. Each is written in one batch together with its number: a
 * process that ends in between leaves the layout before it.
 */
import { assertVersion } from '../store-errors'
import { failed } from './errors'
import { bytes, del, json, KEY, put, type Change, type Database } from './layout'
import { Reader } from './reader'

export interface Migration {
  /** what the layout gains */
  name: string
  /** Reads what it needs, and returns what is to be written. */
  changes(db: Database): Promise<Change[]>
}

/** The number of a step is its place, counted from 1. */
const MIGRATIONS: readonly Migration[] = [
  { name: 'the first layout', changes: async () => [] },
  { name: 'the state sending, which was called held', changes: heldBecomesSending },
]

async function heldBecomesSending(db: Database): Promise<Change[]> {
  const reader = new Reader(db)
  const rows = await reader.rows('state!held')
  return rows.flatMap((row) => [
    del(`state!held!${row.sequence}`),
    put(`state!sending!${row.sequence}`, bytes(row.id)),
    put(`row!${row.id}`, json({ ...row, state: 'sending' })),
  ])
}

/** @returns the number of the last step that was made; 0: none */
async function versionOf(db: Database, steps: number): Promise<number> {
  const found = await db.get(KEY.version).catch(failed)
  if (found === undefined) return 0
  const version = Number(found.toString())
  assertVersion(version, steps)
  return version
}

/**
 * Makes the steps that a store lacks.
 * @param isNew nothing is in it yet
 * @throws RedoxError REDOX_STORE_NEWER, REDOX_STORE_UNREADABLE: nothing was changed
 */
export async function migrate(
  db: Database,
  isNew: boolean,
  steps: readonly Migration[] = MIGRATIONS,
): Promise<void> {
  const made = await versionOf(db, steps.length)
  if (made === 0 && !isNew) assertVersion(made, steps.length)
  for (const [index, step] of steps.entries()) {
    if (index < made) continue
    const changes = await step.changes(db)
    const version = put(KEY.version, bytes(String(index + 1)))
    await db.batch([...changes, version], { sync: true }).catch(failed)
  }
}
