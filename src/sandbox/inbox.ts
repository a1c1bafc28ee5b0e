/** What was received: accepted messages with their files, bounded in number and in bytes. */
import { createHash, randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { present } from './present'
import { scalarOf } from './http'

/** One file as the EHR would get it. */
export interface DeliveredFile {
  /** Where it stood: `Note.FileContents`, `entry[1].resource.presentedForm[0]`. */
  place: string
  way: 'embedded' | 'referenced'
  /** MIME type: of the Attachment, or of the upload. */
  contentType?: string
  /** `FileType` of the Data Model API, such as `PDF`. */
  fileType?: string
  name?: string
  /** Bytes, before base64. */
  size: number
  /** Of the bytes, in hex. */
  sha256: string
  bytes: Buffer
}

/** One accepted message. Bodies carry `<base64, 123456 bytes>` where file contents stood. */
export interface ReceivedMessage {
  id: string
  /** ISO 8601, UTC. */
  at: string
  api: 'datamodel' | 'fhir'
  /** `Notes:New`, `DiagnosticReport/$diagnosticreport-create`. */
  operation: string
  /** `Development`, `Staging` or `Production`; the Data Model API is played in `Development`. */
  environment: string
  /** Destination ids (Data Model API) or the slug (FHIR API). */
  destinations: string[]
  /** UUID of the source the message was sent as. */
  source: string
  /** Data Model API: one per destination. */
  logIds: string[]
  /** FHIR API: `entry[].response.location` of the answer; only `redox-fhir-sandbox` has them. */
  locations: string[]
  /** As it came in; headers without authorization and cookies. */
  request: { method: string; path: string; headers: IncomingHttpHeaders; body: unknown }
  /** The message with its references resolved (docs/redox-api.md#blob-upload). */
  delivered: unknown
  files: DeliveredFile[]
  /** One line for an inbox. */
  patient: string
  /** One line for an inbox. */
  document: string
  /** The fault that was played on its request, as the plan names it. */
  fault?: string
}

export type FileDescription = Partial<Record<'contentType' | 'fileType' | 'name', string | undefined>>

export function deliveredFile(
  place: string,
  way: DeliveredFile['way'],
  bytes: Buffer,
  description: FileDescription,
): DeliveredFile {
  const known = Object.fromEntries(Object.entries(description).filter(([, value]) => value))
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return { place, way, ...known, size: bytes.length, sha256, bytes }
}

/** What stands in kept bodies instead of file contents. */
export const shortened = (bytes: Buffer, encoding: 'base64' | 'text' = 'base64'): string =>
  `<${encoding}, ${bytes.length} bytes>`

/** One line out of the parts that are there. */
export const oneLine = (...parts: unknown[]): string =>
  parts
    .map(scalarOf)
    .filter((part) => part !== undefined && part.trim() !== '')
    .join(' · ')
    .replace(/\s+/g, ' ')

/** Request headers without credentials. */
export function safeHeaders(request: IncomingMessage): IncomingHttpHeaders {
  const headers = { ...request.headers }
  for (const name of ['authorization', 'proxy-authorization', 'cookie']) delete headers[name]
  return headers
}

export class Inbox {
  readonly messages: ReceivedMessage[] = []
  #bytes = 0
  #listeners = new Set<(message: ReceivedMessage) => void>()

  constructor(
    private readonly maxMessages: number,
    private readonly maxBytes: number,
  ) {}

  /** Keeps an accepted message, drops the oldest ones that no longer fit, and tells the listeners. */
  add(message: Omit<ReceivedMessage, 'id' | 'at'>): void {
    const received = { id: randomUUID(), at: new Date().toISOString(), ...message }
    this.messages.push(received)
    this.#bytes += sizeOf(received)
    while (this.messages.length > this.maxMessages || this.#bytes > this.maxBytes) {
      this.#bytes -= sizeOf(present(this.messages.shift(), 'the oldest message'))
    }
    // A listener that throws must not turn an accepted message into a failed request.
    for (const listener of this.#listeners) queueMicrotask(() => listener(received))
  }

  onReceived(listener: (message: ReceivedMessage) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  clear(): void {
    this.messages.length = 0
    this.#bytes = 0
  }
}

const sizeOf = (message: ReceivedMessage): number =>
  message.files.reduce((bytes, file) => bytes + file.size, 0)
