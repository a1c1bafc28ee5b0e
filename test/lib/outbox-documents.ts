/** Messages for the outbox with documents of different types, in all ways in which a document gets into a message. */
import { typed } from './client'
import { eventually } from './eventually'
import { DESTINATION, flowTo, type Json, type OutboxClient } from './outbox'

/** Sends a message through one of the nodes of the flow; returns the id of the queued message. */
export type Send = (node: string, message: Json) => Promise<string>

/** The flow of the outbox tests with more nodes like its own: one for each way in which a document gets into a message. */
export function flowWithNodes(redox: string, settings: object = {}): object[] {
  const flow = flowTo(redox, { blobUploadUrl: `${redox}/upload`, ...settings }) as Json[]
  const send = flow.find(({ id }) => id === 'outboxsend')!
  const button = flow.find(({ id }) => id === 'outboxbutton')!
  const file = typed({ contentType: 'contentType' }, 'msg')
  const nodes: Record<string, object> = {
    embed: file,
    upload: { ...file, way: 'upload' },
    data: { fileFrom: 'none', ...typed({ data: 'data' }, 'msg') },
    text: { noteContentType: 'Plain Text', way: 'auto' },
  }
  return [
    ...flow,
    ...Object.entries(nodes).flatMap(([id, own]) => [
      { ...button, id: `${id}button`, wires: [[id]] },
      { ...send, ...own, id, wires: [[]] },
    ]),
  ]
}

export const senderOf =
  (client: OutboxClient, documentId: () => string): Send =>
  async (node, message) => {
    const own = documentId()
    await client.inject(`${node}button`, { documentId: own, destination: DESTINATION, ...message })
    let found: Json | undefined
    await eventually(`${own} is accepted`, async () => {
      found = (await client.messages(`search=${own}`))[0]
      return found !== undefined
    })
    return found!['id'] as string
  }

export const isOpen = (client: OutboxClient): Promise<void> =>
  eventually('the outbox is open', async () => 'counts' in (await client.connection()))

export const attached = (bytes: Buffer, filename: string, contentType: string): Json => ({
  ...{ payload: bytes.toString('base64'), filename, contentType },
})
export const inData = (bytes: Buffer, FileName: string, FileType: string): Json => ({
  data: {
    Note: { ContentType: 'Base64 Encoded', FileContents: bytes.toString('base64'), FileName, FileType },
  },
})
