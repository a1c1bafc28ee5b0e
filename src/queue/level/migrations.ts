/**
 * Migrations of a store's LevelDB, as numbered steps. A release that changes the layout adds a step at the end; a
 * released step is never changed. Each step is written in one batch together with its number, so that an interruption
 * leaves the previous layout.
 */
import { isRefusedLater } from '../../shared/values'
import { assertVersion } from '../store-errors'
import { failed } from './errors'
import { bytes, del, json, KEY, put, under, type Change, type Database } from './keys'
import { Reader } from './reader'
import { rowOf } from './rows'

export interface Migration {
  /** short name of the change */
  name: string
  /** Reads the stored data and returns the changes to write. */
  changes(db: Database): Promise<Change[]>
}

/** Steps in their order. The number of a step is its position, counted from 1. */
const MIGRATIONS: readonly Migration[] = [
  { name: 'the first layout', changes: async () => [] },
  { name: 'the state sending, which was called held', changes: heldBecomesSending },
  { name: 'names of the fields of a row', changes: renameRowFields },
  { name: 'the index of what a message follows', changes: indexTurns },
  { name: 'the index of messages that a destination refused later', changes: indexRefusedLater },
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

const NEW_FIELD_NAMES = new Map([
  ['lane', 'destination'],
  ['begun', 'requestStarted'],
  ['told', 'announced'],
  ['span', 'retryFor'],
  ['heldUntil', 'leasedUntil'],
])

async function renameRowFields(db: Database): Promise<Change[]> {
  const reader = new Reader(db)
  const rows = await reader.allValues(under('row'))
  return rows.map((stored) => {
    const fields = Object.entries(rowOf(stored))
    const row = Object.fromEntries(fields.map(([name, value]) => [NEW_FIELD_NAMES.get(name) ?? name, value]))
    return put(KEY.row(row.id as string), json(row))
  })
}

/** All messages of earlier releases follow those of their destination. */
async function indexTurns(db: Database): Promise<Change[]> {
  const rows = await new Reader(db).rows('line')
  return rows.map(({ id, destination, sequence }) => put(KEY.turn(destination, sequence), bytes(id)))
}

async function indexRefusedLater(db: Database): Promise<Change[]> {
  const changes: Change[] = []
  // Reading all rows in the order of their keys is much faster than reading the delivered ones by their ids.
  try {
    for await (const stored of new Reader(db).values(under('row'))) {
      const row = rowOf(stored)
      if (isRefusedLater(row)) changes.push(put(KEY.refusedLater(row.sequence), bytes(row.id)))
    }
  } catch (error) {
    failed(error)
  }
  return changes
}

/** Returns the number of the last step that was run; 0 if there was none. */
async function versionOf(db: Database, steps: number): Promise<number> {
  const found = await db.get(KEY.version).catch(failed)
  if (found === undefined) return 0
  const version = Number(found.toString())
  assertVersion(version, steps)
  return version
}

/**
 * Runs the steps that a store lacks.
 * @param isNew true: the store is empty
 * @throws RedoxError REDOX_STORE_NEWER, REDOX_STORE_UNREADABLE; nothing was changed then
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
