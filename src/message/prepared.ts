import type { FileReference, FileSource, MessageFile } from '../file/file'
import { base64Length } from '../file/base64'
import { badInput, formatSize, tooLarge, type Problem } from '../errors'
import type { JsonObject, Path } from './json'
import { invalidMessage } from './problems'
import { isPlainUrlOf } from './urls'

/** How a file travels: inside the message, uploaded first and referenced, or referenced as it came. */
export type Way = 'embed' | 'upload' | 'reference'

/** A file of a message: how it travels, where its base64 text or URL goes in the body, and the file itself. */
export interface Attachment {
  way: Way
  path: Path
  file: MessageFile
}

/** One exact Redox request, before any I/O. Apart from the files it is plain and serialisable. */
export interface PreparedMessage {
  api: 'datamodel' | 'fhir'
  /** `Notes:New`, `DiagnosticReport/$diagnosticreport-create` */
  operation: string
  /** FHIR: destination slug, a part of the URL. Data Model destinations stand in the body. */
  slug?: string
  /** the message, with the files still missing except for references */
  body: JsonObject
  attachments: Attachment[]
}

/** A message as it was built, with everything that is wrong with it. */
export interface Draft {
  message: PreparedMessage
  /** what it is, for the error text */
  title: string
  problems: Problem[]
  /** what was decided for the sender and may be worth a look; no patient data */
  warnings: string[]
  /** inputs that the message did not have, in a sentence for the error text: perhaps why something is missing */
  absent?: string
  /** what the form that the message comes from calls a place of it */
  nameAt?: (path: string) => string
}

/**
 * The message of a draft without problems.
 * @throws RedoxError REDOX_INVALID_MESSAGE with every problem at once
 */
export function checked({ message, title, problems, absent, nameAt }: Draft): PreparedMessage {
  if (problems.length > 0) throw invalidMessage(title, problems, absent, nameAt)
  return message
}

/** Sizes in bytes; 1 MB = 1 000 000 (docs/redox-api.md#sizes). */
export interface Limits {
  /** a file up to this size is embedded when the way is `auto` */
  embedBySelf: number
  /** Data Model API: an embedded file must be smaller than this */
  dataModelEmbed: number
  /** a whole request with its embedded files, at most */
  request: number
  /** an uploaded file, at most */
  upload: number
}

export interface PlacedFile {
  file: MessageFile
  way: Way
}

/**
 * Decides how a file travels and refuses what is too large, before anything is read or sent.
 * @param wanted the node's setting
 * @throws RedoxError REDOX_TOO_LARGE
 */
export function chooseWay(
  file: MessageFile,
  wanted: 'auto' | 'embed' | 'upload',
  api: 'datamodel' | 'fhir',
  limits: Limits,
): PlacedFile {
  if (file.kind === 'reference') return { file, way: 'reference' }
  const way = wanted === 'auto' ? (file.size <= limits.embedBySelf ? 'embed' : 'upload') : wanted
  if (way === 'upload') assertUploadable(file, limits)
  else assertEmbeddable(file.size, api, limits)
  return { file, way }
}

/** What a file may have at most, in whatever way it travels. */
export const mostBytes = ({ upload, request }: Limits): number => Math.max(upload, (request / 4) * 3)

/** @throws RedoxError REDOX_TOO_LARGE */
export function assertUploadable(file: FileSource, limits: Limits): void {
  if (file.size <= limits.upload) return
  throw tooLarge(
    `File too large to upload: it is ${formatSize(file.size)}, and the limit is ${formatSize(limits.upload)}. ` +
      'Make it smaller, or split it.',
  )
}

/** @throws RedoxError REDOX_TOO_LARGE */
export function assertEmbeddable(size: number, api: 'datamodel' | 'fhir', limits: Limits): void {
  if (api === 'datamodel' && size >= limits.dataModelEmbed) {
    throw tooLarge(
      `File too large to embed: it is ${formatSize(size)}, and in a Data Model message it must be smaller than ` +
        `${formatSize(limits.dataModelEmbed)}. Let the node upload it.`,
    )
  }
  assertRequestSize(base64Length(size), limits)
}

/** @throws RedoxError REDOX_TOO_LARGE */
export function assertRequestSize(length: number, limits: Limits): void {
  if (length <= limits.request) return
  throw tooLarge(
    `Request too large: with its embedded file it is ${formatSize(length)}, and the limit is ` +
      `${formatSize(limits.request)}. Let the node upload the file.`,
  )
}

/**
 * A reference is put into a message only if it points to a configured Redox host: anything else would send the
 * receiver to a stranger's server.
 */
export function assertKnownHost(reference: FileReference, where: string, allowedOrigins: string[]): void {
  if (isPlainUrlOf(reference.url, allowedOrigins)) return
  throw badInput(
    `File reference of another host: the URL in ${where} is not on a Redox host of this connection. ` +
      'Use a reference from a redox-upload node with the same connection.',
  )
}
