/** Inbox of the sandbox: accepted messages with their files, limited in number and in bytes. */
import { createHash, randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { present } from './present'
import type { Deliveries, Delivery, DeliveryTerms } from './deliveries'
import { scalarOf } from './http'

/** File of a received message, as the EHR receives it. */
export interface ReceivedFile {
  /** Path of the file in the message: `Note.FileContents`, `entry[1].resource.presentedForm[0]`. */
  place: string
  way: 'embedded' | 'referenced'
  /** MIME type from the Attachment, or from the upload. */
  contentType?: string
  /** `FileType` of the Data Model API, such as `PDF`. */
  fileType?: string
  name?: string
  /** Size in bytes, before base64. */
  size: number
  /** SHA-256 of the bytes, in hex. */
  sha256: string
  bytes: Buffer
}

/** Accepted message. Bodies contain `<base64, 123456 bytes>` in place of file contents. */
export interface ReceivedMessage {
  id: string
  /** Time of arrival, ISO 8601, UTC. */
  at: string
  api: 'datamodel' | 'fhir'
  /** Name of the operation: `Notes:New`, `DiagnosticReport/$diagnosticreport-create`. */
  operation: string
  /** Environment: `Development`, `Staging` or `Production`; always `Development` for the Data Model API. */
  environment: string
  /** Destination ids (Data Model API), or the slug (FHIR API). */
  destinations: string[]
  /** UUID of the source that sent the message. */
  source: string
  /** Log ids of a Data Model message, one per destination. */
  logIds: string[]
  /** Deliveries, one per destination, in the order of the destinations. They change while the message is kept. */
  deliveries: Delivery[]
  /**
   * Locations of the created resources: `entry[].response.location` of the FHIR response; only `redox-fhir-sandbox`
   * returns them.
   */
  locations: string[]
  /** Request as received; headers without authorization and cookies. */
  request: { method: string; path: string; headers: IncomingHttpHeaders; body: unknown }
  /**
   * The message as its destination gets it: with the uploaded files in place of the references to them
   * (docs/redox-api.md#blob-upload).
   */
  delivered: unknown
  files: ReceivedFile[]
  /** One line about the patient, for the list of messages. */
  patient: string
  /** One line about the document, for the list of messages. */
  document: string
  /** Name of the fault that was simulated for the request, as written in the fault plan. */
  fault?: string
}

export type ReceivedFileDescription = Partial<Record<'contentType' | 'fileType' | 'name', string | undefined>>

export function receivedFile(
  place: string,
  way: ReceivedFile['way'],
  bytes: Buffer,
  description: ReceivedFileDescription,
): ReceivedFile {
  const known = Object.fromEntries(Object.entries(description).filter(([, value]) => value))
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return { place, way, ...known, size: bytes.length, sha256, bytes }
}

/** Returns the placeholder that replaces the contents of a file in stored bodies. */
export const shortened = (bytes: Buffer, encoding: 'base64' | 'text' = 'base64'): string =>
  `<${encoding}, ${bytes.length} bytes>`

/** Joins the strings that are not empty to one line. */
export const oneLine = (...parts: unknown[]): string =>
  parts
    .map(scalarOf)
    .filter((part) => part !== undefined && part.trim() !== '')
    .join(' · ')
    .replace(/\s+/g, ' ')

/** Returns the request headers without credentials. */
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
    private readonly deliveries: Deliveries,
  ) {}

  /**
   * Stores an accepted message, drops the oldest messages over the limits, and calls the listeners. The message is
   * delivered later, while it is kept.
   */
  add(message: Omit<ReceivedMessage, 'id' | 'at'>, terms: DeliveryTerms): void {
    const received = { id: randomUUID(), at: new Date().toISOString(), ...message }
    this.messages.push(received)
    this.#bytes += sizeOf(received)
    this.deliveries.accept(received.deliveries, terms)
    while (this.messages.length > this.maxMessages || this.#bytes > this.maxBytes) {
      const dropped = present(this.messages.shift(), 'the oldest message')
      this.#bytes -= sizeOf(dropped)
      this.deliveries.drop(dropped.deliveries)
    }
    // Listeners run asynchronously, so that an error in a listener cannot turn an accepted message into a failed
    // request.
    for (const listener of this.#listeners) queueMicrotask(() => listener(received))
  }

  onReceived(listener: (message: ReceivedMessage) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  clear(): void {
    this.deliveries.clear()
    this.messages.length = 0
    this.#bytes = 0
  }
}

const sizeOf = (message: ReceivedMessage): number =>
  message.files.reduce((bytes, file) => bytes + file.size, 0)
