/** Test messages for stores, with the properties that durable delivery gives them. */
import { randomUUID } from 'node:crypto'
import type { SealedStore, Job, StoredFile } from '../../src/queue/jobs'
import type { DeliveryStore, StoredMessage } from '../../src/queue/types'

const HOUR = 3_600_000
const bytes = Buffer.from('%PDF-1.7 a file that several messages have %%EOF')
const file = {
  ...{ kind: 'file' as const, name: 'a.pdf', contentType: 'application/pdf', size: bytes.length },
  inMemory: true,
  async *read() {
    yield await Promise.resolve(bytes)
  },
}

const parcel = (index: number): Job => ({
  ...{ owner: 'node', environment: 'Development', account: `account ${index % 2}`, isText: false },
  msg: { _msgid: `msg-${index}` },
  message: {
    ...{ api: 'datamodel', operation: 'Notes:New', slug: '' },
    attachments: [{ way: 'embed', path: ['Note', 'FileContents'], file }],
    body: { Meta: { Destinations: [{ ID: 'd' }] }, Note: { DocumentID: `doc-${index}` } },
  },
})

export async function accept(contents: SealedStore, count: number): Promise<string[]> {
  const ids: string[] = []
  for (let index = 0; index < count; index++) {
    const content = await contents.storeFiles(parcel(index))
    const id = `${String(index)} ${randomUUID()}`
    const times = { acceptedAt: Date.now(), deadline: Date.now() + HOUR }
    await contents.store.accept(await contents.sealMessage(content, { id, order: 'none', ...times }))
    ids.push(id)
  }
  return ids
}

export const all = (store: DeliveryStore): Promise<StoredMessage[]> => store.find({ limit: 1000 })

/** Decrypted messages of a store, without the properties that differ between store keys. */
export async function describeAll(contents: SealedStore): Promise<Record<string, unknown>[]> {
  return Promise.all(
    (await all(contents.store)).map(async (message) => {
      const { content: _content, notes: _notes, files: _files, tags, ...known } = message
      const { files, ...content } = await contents.contentOf(message)
      const { move: _move, ...notes } = await contents.recordOf(message)
      const read = await Promise.all(files.map((one) => textOf(contents, one as StoredFile)))
      return { ...known, tags: tags.length, content, notes, read }
    }),
  )
}

async function textOf(contents: SealedStore, stored: StoredFile): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of contents.fileSource(stored).read()) pieces.push(piece)
  return Buffer.concat(pieces).toString()
}
