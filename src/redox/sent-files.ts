import { setTimeout as sleep } from 'node:timers/promises'
import { type RedoxError } from '../errors'
import { sha256Of, type FileSource, type MessageFile } from '../file/file'
import type { SentFile } from './client-types'
import type { RequestSpec } from './requests'

export const describeSent = (file: MessageFile): Omit<SentFile, 'way'> =>
  file.kind === 'reference'
    ? {
        url: file.url,
        ...(file.size !== undefined && { size: file.size }),
        ...(file.sha256 !== undefined && { sha256: file.sha256 }),
      }
    : { size: file.size }

type Digests = (string | undefined)[]

export function fillDigests(delivered: SentFile[], digests: Digests): void {
  const embedded = delivered.filter(({ way }) => way === 'embed')
  embedded.forEach((file, index) => {
    const sha256 = digests[index]
    if (sha256 !== undefined) file.sha256 = sha256
  })
}

// Time limit for reading the files: enough for 30 MB from a disk. A file system that does not respond must not delay
// the error for long.
const DIGEST_MS = 1000

/**
 * SHA-256 (hex) of the embedded files. Files that were not read to the end are read again; undefined for a file that is
 * missing or does not respond in time.
 */
export function digestsOf({ body, files = [] }: RequestSpec): Promise<Digests> {
  const known = body.sha256()
  const digest = async (file: FileSource, index: number): Promise<string | undefined> =>
    known[index] ?? sha256Of(file).catch(() => undefined)
  return Promise.race([Promise.all(files.map(digest)), sleep(DIGEST_MS, known, { ref: false })])
}

export function withFiles(error: RedoxError, delivered: SentFile[], digests: Digests): RedoxError {
  fillDigests(delivered, digests)
  const uploaded = delivered.flatMap(({ way, url }) => (way === 'upload' && url !== undefined ? [url] : []))
  const sha256 = delivered.flatMap((file) => (file.sha256 === undefined ? [] : [file.sha256]))
  return error.with({ ...(uploaded.length > 0 && { uploaded }), ...(sha256.length > 0 && { sha256 }) })
}
