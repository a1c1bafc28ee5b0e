import { RedoxError } from '../errors'
import type { SealedStore } from './jobs'
import { messagesOf } from './move-store'
import type { StoredMessage } from './types'

export interface Verified {
  messages: number
  /** number of files of all messages; a file that several messages share is counted for each of them */
  files: number
  /** ids of the messages that cannot be read completely, with the error code */
  unreadable: { id: string; code: string }[]
}

/** Decrypts all messages of a store, and reads their files completely. */
export async function verifyStore(sealedStore: SealedStore): Promise<Verified> {
  const verified: Verified = { messages: 0, files: 0, unreadable: [] }
  for await (const message of messagesOf(sealedStore.store)) {
    verified.messages++
    try {
      verified.files += await readWhole(sealedStore, message)
    } catch (error) {
      if (!(error instanceof RedoxError)) throw error
      verified.unreadable.push({ id: message.id, code: error.code })
    }
  }
  return verified
}

/**
 * Decrypts a message, and reads its files completely.
 * @returns number of its files in the store
 */
async function readWhole(sealedStore: SealedStore, message: StoredMessage): Promise<number> {
  await sealedStore.recordOf(message)
  let files = 0
  for (const file of (await sealedStore.contentOf(message)).files) {
    if (file.kind !== 'stored') continue
    for await (const piece of sealedStore.fileSource(file).read()) void piece
    files++
  }
  return files
}
