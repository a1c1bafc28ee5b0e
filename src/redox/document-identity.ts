import { createHash } from 'node:crypto'
import { isObject, type JsonObject } from '../message/json'
import type { PreparedMessage } from '../message/prepared'
import { identifiersOf } from './identifiers'

/** Part of a file that is compared: its hash, or the URL of a file that was uploaded earlier and whose hash is unknown. */
interface ComparedFile {
  sha256?: string
  url?: string
}

/**
 * Returns a text that is the same for all messages with the same document: same operation, identifiers (document ID,
 * order IDs, or identifiers of the FHIR resources), statuses and files. undefined for a message without an identifier or
 * without a file. Contains patient data.
 *
 * Statuses are part of it because a report that becomes final may have the same identifiers and file.
 */
export function documentIdentityOf(
  { operation, body }: Pick<PreparedMessage, 'operation' | 'body'>,
  files: ComparedFile[],
): string | undefined {
  const { BundleID: _id, ...identifiers } = identifiersOf(body)
  // The names of FHIR identifiers contain the position of their entry, which has no meaning.
  const values = Object.values(identifiers).sort()
  const sent = [...files.map(({ sha256, url }) => sha256 ?? url ?? ''), ...textOf(body)]
  if (values.length === 0 || sent.length === 0) return undefined
  return JSON.stringify([operation, values, statusesOf(body), sent])
}

/** Returns the hash of a note's text, which is in the message itself; a file that is embedded later is not. */
const textOf = ({ Note }: JsonObject): string[] =>
  isObject(Note) && typeof Note.FileContents === 'string' && Note.FileContents !== ''
    ? [createHash('sha256').update(Note.FileContents).digest('hex')]
    : []

function statusesOf({ Orders, entry }: JsonObject): unknown[] {
  const orders = objectsIn(Orders).map(({ Status, ResultsStatus, Results }) => [
    ...[Status, ResultsStatus],
    ...objectsIn(Results).map((result) => result.Status),
  ])
  const resources = objectsIn(entry).flatMap(({ resource }) =>
    isObject(resource) && resource.status !== undefined ? [[resource.resourceType, resource.status]] : [],
  )
  return [...orders, ...resources]
}

const objectsIn = (value: unknown): Record<string, unknown>[] =>
  Array.isArray(value) ? value.filter(isObject) : []
