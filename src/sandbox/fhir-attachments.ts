/** Files in a Bundle: all Attachments, embedded or as references to uploaded files. */
import { present } from './present'
import { decodeBase64, isMimeType, isObject, textOf } from './http'
import type { JsonRecord } from './http'
import { receivedFile, shortened } from './inbox'
import type { ReceivedFile } from './inbox'
import { notFoundText, OF_ANOTHER_SOURCE } from './uploads'
import type { Uploads } from './uploads'

const ATTACHMENT_KEY = /^(presentedForm|photo|attachment|\w+Attachment)$/

/** Reports a problem of a message. */
export type Report = (path: string, text: string, code?: string) => void

interface FoundAttachment {
  element: JsonRecord
  path: string
  /** Name of the property that contains the Attachment, directly or in a list. */
  key: string
}

/** Yields all objects inside a value, in document order. */
export function* objectsIn(value: unknown, path: string, key = ''): Generator<FoundAttachment> {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* objectsIn(item, `${path}[${index}]`, key)
  } else if (isObject(value)) {
    yield { element: value, path, key }
    for (const [name, child] of Object.entries(value)) {
      yield* objectsIn(child, path === '' ? name : `${path}.${name}`, name)
    }
  }
}

/**
 * Returns all Attachments of a Bundle. Redox accepts a file in any resource that has an Attachment
 * (docs/redox-api.md#attachments), so Attachments are recognized by property name or by shape.
 */
export const attachmentsIn = (bundle: JsonRecord): FoundAttachment[] =>
  [...objectsIn(bundle, '')].filter(
    ({ element, key }) =>
      ATTACHMENT_KEY.test(key) || ('contentType' in element && ('data' in element || 'url' in element)),
  )

export function fileIn(
  { element, path }: FoundAttachment,
  uploads: Uploads,
  source: string,
  report: Report,
): ReceivedFile[] {
  const { contentType, data, url, title } = element
  if (!isMimeType(contentType)) report(`${path}.contentType`, 'contentType must be a MIME type', 'value')
  if ((data === undefined) === (url === undefined)) {
    report(path, 'Attachment must have either data or url', 'structure')
    return []
  }
  const found = typeof url === 'string' ? uploads.find(url, source) : undefined
  const upload = found === OF_ANOTHER_SOURCE ? undefined : found
  const bytes = upload?.bytes ?? (typeof data === 'string' ? decodeBase64(data) : undefined)
  if (!bytes) {
    if (url !== undefined) report(`${path}.url`, notFoundText(found), 'not-found')
    else report(`${path}.data`, 'data must be base64', 'value')
    return []
  }
  const name = textOf(title) ?? upload?.name
  const description = { contentType: textOf(contentType), name }
  return [receivedFile(path, upload ? 'referenced' : 'embedded', bytes, description)]
}

/**
 * Replaces the files in the Bundle by short placeholders, and returns a copy as Redox delivers it, with all files
 * embedded.
 */
export function shortenFiles(bundle: JsonRecord, files: ReceivedFile[]): JsonRecord {
  const embedded = files.filter(({ way }) => way === 'embedded')
  setData(bundle, embedded)
  const delivered = structuredClone(bundle)
  setData(delivered, files)
  return delivered
}

function setData(bundle: JsonRecord, files: ReceivedFile[]): void {
  const attachments = new Map(attachmentsIn(bundle).map(({ element, path }) => [path, element]))
  for (const { place, bytes } of files) {
    const attachment = present(attachments.get(place), 'the place of a file')
    attachment['data'] = shortened(bytes)
    delete attachment['url']
  }
}
