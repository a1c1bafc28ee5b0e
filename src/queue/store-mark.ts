/**
 * Marks with the identities of a connection's stores, kept in the user directory, outside the stores. With a mark, a
 * missing or different store is recognized, and not mistaken for the first start. Marks are not secret.
 */
import { mkdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { RedoxError } from '../errors'
import { isObject } from '../message/json'
import { systemCodeOf } from './level/errors'
import { syncFolder, writeWhole } from './level/identity'

type StoreKind = 'embedded' | 'postgresql'

/**
 * Reads the identity of a connection's store from its mark.
 * @returns undefined if there is no mark
 */
export async function readMark(file: string | undefined, kind: StoreKind): Promise<string | undefined> {
  if (file === undefined) return undefined
  const identity = (await marksIn(file))[kind]
  return typeof identity === 'string' ? identity : undefined
}

/** Writes the mark of a store. Durable once the promise resolves. */
export async function writeMark(file: string | undefined, kind: StoreKind, identity: string): Promise<void> {
  if (file === undefined) return
  const marks = await marksIn(file)
  if (marks[kind] === identity) return
  try {
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 })
    await syncFolder(path.dirname(path.dirname(file)))
    await writeWhole(file, `${JSON.stringify({ ...marks, [kind]: identity })}\n`)
  } catch (error) {
    throw unusable(error)
  }
}

async function marksIn(file: string): Promise<Record<string, unknown>> {
  try {
    const marks: unknown = JSON.parse(await readFile(file, 'utf8'))
    if (isObject(marks)) return marks
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return {}
    throw unusable(error)
  }
  throw unusable(undefined)
}

const unusable = (error: unknown): RedoxError =>
  new RedoxError(
    'REDOX_STORE_UNAVAILABLE',
    'Store marker cannot be used: the file in .redox-store-marks of the user directory, which says which store belongs ' +
      'to this connection, cannot be read or written. Check its permissions and the disk. If it is damaged and the store ' +
      'is the right one, remove the file.',
    { fault: String(systemCodeOf(error ?? {}) ?? 'damaged') },
  )
