import type { FileSource, MessageFile } from '../file/file'
import { getAt, withValueAt, type JsonObject } from '../message/json'
import { assertRequestSize, assertUploadable, type PreparedMessage } from '../message/prepared'
import { fhirBinaryBody, jsonBody, multipartBody, rawBody, type RequestBody } from '../transport/body'
import type { RequestKind } from '../transport/outcomes'
import { identifiersOf } from './identifiers'
import { assertFhirKey, type RedoxSettings } from './settings'
import { uploadKind, type UploadKind } from './uploads'

export interface RequestSpec {
  kind: RequestKind
  /** name of the request for error texts and `cause.operation` */
  operation: string
  url: string
  headers: Record<string, string>
  body: RequestBody
  /** values that error texts must not repeat: the message, and the files in it */
  sent?: JsonObject
  files?: FileSource[]
  /** identifiers for looking up the message when its outcome is unknown */
  identifiers?: Record<string, string>
}

/** Preview of a request, for people to read. */
export interface RequestPreview {
  method: 'POST'
  url: string
  /** headers without the token */
  headers: Record<string, string>
  /** request body in which each file is replaced by a placeholder such as `<base64, 12345 bytes>` */
  body: string
}

/** Number of characters in all strings of a message, including the content of a Notes message that is sent as text. */
function textLength(value: unknown): number {
  if (typeof value === 'string') return value.length
  if (typeof value !== 'object' || value === null) return 0
  return Object.values(value).reduce((sum: number, one) => sum + textLength(one), 0)
}

/** Number of bytes that the files of a message occupy in memory while the message waits. */
const memoryBytes = (files: MessageFile[]): number =>
  files.reduce((sum, file) => sum + (file.kind === 'file' && file.inMemory ? file.size : 0), 0)

/** Builds the requests of one connection, without their tokens. */
export class RequestSpecs {
  constructor(private readonly settings: RedoxSettings) {}

  /**
   * Builds an upload request and checks its size and the key.
   * @throws RedoxError REDOX_TOO_LARGE, REDOX_CONFIGURATION for a key that the API does not accept
   */
  checkedUpload(file: FileSource, kind: UploadKind, source?: string): RequestSpec {
    if (kind === 'binary') assertFhirKey(this.settings)
    assertUploadable(file, this.settings.limits)
    return this.upload(file, kind, source)
  }

  /**
   * Builds an upload request.
   * @param source ID of the source that will own the file; default: the source of the connection
   */
  upload(file: FileSource, kind: UploadKind, source?: string): RequestSpec {
    const { hosts, environment, binaryForm } = this.settings
    const binaryBody = { raw: rawBody, 'fhir-json': fhirBinaryBody, multipart: multipartBody }[binaryForm]
    const url =
      kind === 'blob' ? hosts.blobUploadUrl : `${hosts.binaryUploadBase}/redox/${environment}/Binary`
    return {
      kind: 'upload',
      operation: 'upload',
      url,
      headers: {
        ...this.#sourceHeader(source),
        accept: kind === 'blob' ? 'application/json' : 'application/fhir+json',
      },
      body: kind === 'blob' ? multipartBody(file) : binaryBody(file),
      sent: { name: file.name },
      files: [file],
    }
  }

  /**
   * Builds and checks the request of a message before its files are uploaded. The references to the uploaded files make
   * the request only slightly longer.
   * @throws RedoxError REDOX_TOO_LARGE, REDOX_CONFIGURATION for a key that the API does not accept
   */
  async checkedMessage(message: PreparedMessage): Promise<RequestSpec> {
    if (message.api === 'fhir') assertFhirKey(this.settings)
    // The size is checked before the message is serialized: the JSON has at least as many bytes as its strings have
    // characters.
    assertRequestSize(textLength(message.body), this.settings.limits)
    return this.sized(await this.message(message))
  }

  /**
   * Checks the size of a request and returns it.
   * @throws RedoxError REDOX_TOO_LARGE
   */
  sized(request: RequestSpec): RequestSpec {
    assertRequestSize(request.body.length, this.settings.limits)
    return request
  }

  async message(message: PreparedMessage): Promise<RequestSpec> {
    const { body } = message
    const { hosts, environment } = this.settings
    const fhir = message.api === 'fhir'
    const contentType = fhir ? 'application/fhir+json' : 'application/json'
    const embeddings = message.attachments.flatMap(({ way, path, file }) =>
      way === 'embed' && file.kind === 'file' ? [{ path, file }] : [],
    )
    return {
      kind: 'send',
      operation: message.operation,
      url: fhir
        ? `${hosts.fhirBase}/${message.slug}/${environment}/${message.operation}`
        : `${hosts.apiBase}/endpoint`,
      headers: { ...this.#sourceHeader(sourceOf(message)), accept: contentType },
      body: await jsonBody(contentType, body, embeddings, withValueAt),
      sent: body,
      files: embeddings.map(({ file }) => file),
      identifiers: identifiersOf(body),
    }
  }

  /** Builds previews of a message's uploads and of the message itself. No file is read. */
  async preview(message: PreparedMessage): Promise<RequestPreview[]> {
    const uploads: RequestPreview[] = []
    let body = message.body
    for (const { way, path, file } of message.attachments) {
      if (way !== 'upload' || file.kind !== 'file') continue
      uploads.push(previewOf(this.upload(file, uploadKind(message.api), sourceOf(message))))
      body = withValueAt(body, path, '<reference that the upload returns>')
    }
    return [...uploads, previewOf(await this.message({ ...message, body }))]
  }

  #sourceHeader(id = this.settings.source.id): Record<string, string> {
    return id === undefined ? {} : { 'redox-source-id': id }
  }
}

/**
 * Request for a slot by a message or upload: its name for error texts, and a function that returns the memory in bytes
 * that it occupies while it waits.
 */
export interface SlotDemand {
  operation: string
  bytes: () => number
}

export const slotDemandOf = ({ operation, body, attachments }: PreparedMessage): SlotDemand => ({
  operation,
  bytes: () => memoryBytes(attachments.map(({ file }) => file)) + textLength(body),
})

export const uploadSlotDemandOf = (file: FileSource): SlotDemand => ({
  operation: 'upload',
  bytes: () => memoryBytes([file]),
})

/**
 * Source ID in a Data Model message. Its files must be uploaded with the same ID, because a file is visible only to the
 * source that uploaded it.
 */
export function sourceOf({ api, body }: PreparedMessage): string | undefined {
  const id = api === 'datamodel' ? getAt(body, ['Meta', 'Source', 'ID']) : undefined
  return typeof id === 'string' && id !== '' ? id : undefined
}

export const previewOf = ({ url, headers, body }: RequestSpec): RequestPreview => ({
  method: 'POST',
  url,
  headers: {
    authorization: 'Bearer …',
    ...headers,
    'content-type': body.contentType,
    'content-length': String(body.length),
  },
  body: body.shortened(),
})

export const tokenRequest = (url: string, body: RequestBody): RequestSpec => ({
  kind: 'token',
  operation: 'token',
  url,
  headers: { accept: 'application/json' },
  body,
})
