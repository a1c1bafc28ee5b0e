import type { FileReference, FileSource, MessageFile } from '../file/file'
import { base64Length } from '../file/base64'
import { badInput, formatSize, tooLargeError, type Problem } from '../errors'
import type { JsonObject, Path } from './json'
import { invalidMessage } from './problems'
import { isPlainUrlOf } from './urls'

/**
 * Mode of a file: embedded in the message; uploaded before the message and referenced in it; or a reference to a file
 * that was uploaded earlier.
 */
export type Way = 'embed' | 'upload' | 'reference'

/** File of a message, with its mode and the path of its base64 text or URL in the body. */
export interface Attachment {
  way: Way
  path: Path
  file: MessageFile
}

/** Complete message for Redox, before any I/O. Plain, serializable data except for the files. */
export interface PreparedMessage {
  api: 'datamodel' | 'fhir'
  /** operation, e.g. `Notes:New` or `DiagnosticReport/$diagnosticreport-create` */
  operation: string
  /** FHIR: destination slug, a part of the URL; Data Model destinations are in the body */
  slug?: string
  /** message body, with the references of uploaded files, but without the content of files to embed or upload */
  body: JsonObject
  attachments: Attachment[]
}

/** Message that was built but may be invalid, with all its problems. */
export interface Draft {
  message: PreparedMessage
  /** name of the message for the error text, e.g. `the Notes message (New)` */
  title: string
  problems: Problem[]
  /** decisions of the builder that a person may want to check; without patient data */
  warnings: string[]
  /**
   * sentence for the error text: message properties that the node reads and that were missing in the flow's message,
   * which may have caused the problems
   */
  absent?: string
  /** returns the label of the form field that sets the value at a path */
  nameAt?: (path: string) => string
}

/**
 * Returns the message of a draft that has no problems.
 * @throws RedoxError REDOX_INVALID_MESSAGE with all problems
 */
export function validMessage({ message, title, problems, absent, nameAt }: Draft): PreparedMessage {
  if (problems.length > 0) throw invalidMessage(title, problems, absent, nameAt)
  return message
}

/** Size limits in bytes; 1 MB = 1 000 000 (docs/redox-api.md#sizes). */
export interface SizeLimits {
  /** maximum size of a file that is embedded in mode `auto` */
  embedBySelf: number
  /** Data Model API: size in bytes that an embedded file must not reach */
  dataModelEmbed: number
  /** maximum size of a request with its embedded files */
  request: number
  /** maximum size of an uploaded file */
  upload: number
}

export interface FileToSend {
  file: MessageFile
  way: Way
}

/**
 * Chooses the mode of a file and checks its size, before anything is read or sent.
 * @param wanted mode in the node's settings
 * @throws RedoxError REDOX_TOO_LARGE
 */
export function chooseWay(
  file: MessageFile,
  wanted: 'auto' | 'embed' | 'upload',
  api: 'datamodel' | 'fhir',
  limits: SizeLimits,
): FileToSend {
  if (file.kind === 'reference') return { file, way: 'reference' }
  const way = wanted === 'auto' ? (file.size <= limits.embedBySelf ? 'embed' : 'upload') : wanted
  if (way === 'upload') assertUploadable(file, limits)
  else assertEmbeddable(file.size, api, limits)
  return { file, way }
}

/** Maximum size of a file, in bytes: the highest of all modes. */
export const maxFileSize = ({ upload, request }: SizeLimits): number => Math.max(upload, (request / 4) * 3)

/**
 * Checks the size of a file to upload.
 * @throws RedoxError REDOX_TOO_LARGE
 */
export function assertUploadable(file: FileSource, limits: SizeLimits): void {
  if (file.size <= limits.upload) return
  throw tooLargeError(
    `File too large to upload: it is ${formatSize(file.size)}, and the limit is ${formatSize(limits.upload)}. ` +
      'Make it smaller, or split it.',
  )
}

/**
 * Checks the size of a file to embed.
 * @throws RedoxError REDOX_TOO_LARGE
 */
export function assertEmbeddable(size: number, api: 'datamodel' | 'fhir', limits: SizeLimits): void {
  if (api === 'datamodel' && size >= limits.dataModelEmbed) {
    throw tooLargeError(
      `File too large to embed: it is ${formatSize(size)}, and in a Data Model message it must be smaller than ` +
        `${formatSize(limits.dataModelEmbed)}. Let the node upload it.`,
    )
  }
  assertRequestSize(base64Length(size), limits)
}

/**
 * Checks the length of a request body, in bytes.
 * @throws RedoxError REDOX_TOO_LARGE
 */
export function assertRequestSize(length: number, limits: SizeLimits): void {
  if (length <= limits.request) return
  throw tooLargeError(
    `Request too large: with its embedded file it is ${formatSize(length)}, and the limit is ` +
      `${formatSize(limits.request)}. Let the node upload the file.`,
  )
}

/**
 * Throws if a file reference is not a URL on a configured Redox host, because the receiver would fetch the file from an
 * unknown server.
 * @throws RedoxError REDOX_BAD_INPUT
 */
export function assertKnownHost(reference: FileReference, where: string, allowedOrigins: string[]): void {
  if (isPlainUrlOf(reference.url, allowedOrigins)) return
  throw badInput(
    `File reference of another host: the URL in ${where} is not on a Redox host of this connection. ` +
      'Use a reference from a redox-upload node with the same connection.',
  )
}
