import { badInput, RedoxError } from '../errors'
import type { FileReference, FileSource } from '../file/file'
import { isObject } from '../message/json'
import type { PreparedMessage } from '../message/prepared'
import type { HttpAnswer } from '../transport/http'
import type { UploadResult } from './client-types'

export type UploadKind = 'blob' | 'binary'

export const uploadKind = (api: PreparedMessage['api']): UploadKind => (api === 'fhir' ? 'binary' : 'blob')

/**
 * Reference URL in the response to an upload: the header `Location` for a Binary, the property `URI` for a blob,
 * otherwise the most similar header or property (docs/redox-api.md#binary).
 */
export function referenceOf(answer: HttpAnswer, requestUrl: string, kind: UploadKind): string {
  const body = isObject(answer.body) ? answer.body : {}
  const { location } = answer.headers
  const first = kind === 'blob' ? [body.URI, location] : [location, body.URI]
  const candidates = [...first, body.url, body.fullUrl, body.id]
  for (const found of candidates) {
    if (typeof found !== 'string' || found === '') continue
    if (URL.canParse(found)) return found
    const base = found === body.id ? `${requestUrl}/` : requestUrl
    if (URL.canParse(found, base)) return new URL(found, base).href
  }
  throw new RedoxError(
    'REDOX_REJECTED',
    `Upload without a reference: Redox answered ${answer.status}, but the answer has no Location header and no URI. ` +
      'Check the Blob upload URL, the Binary base URL and the Binary upload body in the connection.',
    { operation: 'upload', status: answer.status, ...(answer.body !== '' && { answer: answer.body }) },
  )
}

/** File reference that the `redox-upload` node emits (plain data, for `msg.payload`). */
export function referenceFor(
  file: FileSource,
  uploaded: UploadResult,
  kind: UploadKind,
): Omit<FileReference, 'kind'> {
  const { contentType, fileType, name, size } = file
  const { url, sha256 } = uploaded
  return { url, contentType, ...(fileType !== undefined && { fileType }), name, size, sha256, upload: kind }
}

/**
 * Throws if a file reference is from an upload for the other API.
 * @throws RedoxError REDOX_BAD_INPUT
 */
export function assertReferenceKind(
  reference: FileReference,
  api: PreparedMessage['api'],
  where: string,
): void {
  const wanted = api === 'fhir' ? 'binary' : 'blob'
  if (reference.upload === undefined || reference.upload === wanted) return
  throw badInput(
    `File reference of another API: ${where} is a ${reference.upload} upload, but this node needs a ${wanted} upload. ` +
      `Set the redox-upload node to "${api === 'fhir' ? 'FHIR API' : 'Data Model API'}".`,
  )
}
