import { badInput } from '../errors'
import { assertAcceptedType } from './accepted-types'
import { examine, type Examination } from './completeness'
import {
  detectContentType,
  extensionFor,
  fileTypeOf,
  HEAD_LENGTH,
  isContentType,
  isWhole,
  plainType,
} from './content-types'
import type { FileDescription, FileHints, IntakeResult } from './types'

/**
 * Base name of a file, without its path. `msg.filename` of a "file in" node is a whole path, and a path must not be
 * sent to a chart or in a multipart header.
 * @throws RedoxError REDOX_BAD_INPUT for control characters and for names that are too long
 */
export function cleanFileName(name: string, where: string): string {
  if (name.length > LONGEST_NAME)
    throw badInput(
      `File name is too long: the name of ${where} has more than ${LONGEST_NAME} characters. Use a shorter name.`,
    )
  if (/\p{Cc}/u.test(name)) {
    throw badInput(
      `File name is not valid: the name of ${where} contains control characters, such as a line break. Use a plain name.`,
    )
  }
  const base = (plainName(name).split(/[\\/]/).pop() ?? '').trim()
  // Half a surrogate pair cannot be encoded in UTF-8: it is replaced here, so that the name is the same in all places
  // where it is sent or shown.
  return /^\.{1,2}$/.test(base) ? '' : Buffer.from(base, 'utf8').toString('utf8')
}

/** Maximum length, in characters, of a file name with its path, or of a URL with a signature in its query. */
const LONGEST_NAME = 100_000

/**
 * Removes query and fragment of a URL: they are not part of the name, and may contain a signature that grants access to
 * the file.
 */
function plainName(name: string): string {
  if (!/^[a-z][a-z0-9+.-]+:\/\//i.test(name)) return name
  const bare = name.replace(/[?#].*$/s, '')
  try {
    return decodeURIComponent(bare)
  } catch {
    return bare
  }
}

/** Maximum length of a content type with its parameters, in characters. */
const LONGEST_TYPE = 1000

/** Description of a file, with warnings, and with an error text if the file is certainly truncated. */
export type Described = Omit<IntakeResult, 'file'> & { description: FileDescription }

/**
 * Describes a file by its first bytes, its name and its declared type, and checks its completeness.
 * @param head first bytes of the file
 * @param size size of the file, in bytes
 * @throws RedoxError REDOX_BAD_INPUT if name, type and bytes contradict each other
 */
export function* describe(head: Buffer, size: number, hints: FileHints): Examination<Described> {
  const { description, warnings } = classify(head.subarray(0, HEAD_LENGTH), hints)
  assertAccepted(head.subarray(0, HEAD_LENGTH), description.contentType, hints)
  const { signs, cutShort } = yield* examine(description.contentType, head, size)
  const what = `The ${description.fileType ?? 'file'} in ${hints.where}`
  return {
    description,
    warnings: [...warnings, ...signs.map((sign) => `${what} ${sign}`)],
    ...(cutShort !== undefined && {
      cutShort: `File is truncated: ${cutShort} (${what.replace('The', 'the')})`,
    }),
  }
}

function assertAccepted(head: Buffer, sentAs: string, { accepted, where }: FileHints): void {
  if (accepted === undefined) return
  assertAcceptedType({ head, isWhole: isWhole(head), sentAs }, accepted, where)
}

/** Describes a file reference. The bytes of the file are not available. */
export const describeReference = (hints: FileHints): Omit<Described, 'cutShort'> =>
  classify(Buffer.alloc(0), hints)

function classify(head: Buffer, hints: FileHints): Omit<Described, 'cutShort'> {
  const given = hints.filename === undefined ? '' : cleanFileName(hints.filename, hints.where)
  const declared = hints.contentType
  if (declared !== undefined && (declared.length > LONGEST_TYPE || !isContentType(declared))) {
    throw badInput(
      `Content type is not valid: the type of ${hints.where} is not a MIME type. Use one such as application/pdf, or leave it empty.`,
    )
  }
  const detected = detectContentType(head, given || undefined, declared)
  if (detected.contradiction !== undefined) {
    throw badInput(
      `Content type does not match: ${hints.where} is declared as ${plainType(detected.contentType)}, but its first bytes ` +
        `are ${detected.contradiction}. Correct the content type, or leave it empty to have it detected.`,
    )
  }
  const contentType = detected.contentType
  const fileType = hints.fileType ?? fileTypeOf(contentType, given)
  return {
    description: {
      contentType,
      ...(fileType !== undefined && { fileType }),
      ...(given === ''
        ? { name: `document.${extensionFor(contentType)}`, unnamed: true as const }
        : { name: given }),
    },
    warnings: detected.warning === undefined ? [] : [detected.warning],
  }
}

export const emptyFile = ({ where }: FileHints): Error =>
  badInput(`File is empty (0 bytes): ${where}. Send it when it has content.`)
