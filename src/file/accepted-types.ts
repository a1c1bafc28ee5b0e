import { badFile, badInput } from '../errors'
import { PROVABLE_TYPES } from '../shared/accepted-types'
import { canonicalType, plainType } from './content-types'
import { isPdfInText, looksLikeText, pdfStart, signatureOf } from './signatures'
import type { FileSource } from './types'

/** Content types that a connection accepts, by the bytes of a file. */
export type AcceptedTypes = readonly string[]

const PROVABLE: ReadonlySet<string> = new Set(PROVABLE_TYPES)
const TEXT = 'text/plain'

/**
 * Content type that the first bytes of a file prove; undefined if they prove none. Stricter than the detection of a
 * type: bytes that fit several types prove none.
 * @param isWhole true if the bytes are the whole file
 */
function provenType(head: Buffer, isWhole: boolean): string | undefined {
  const found = signatureOf(head)
  if (found !== undefined) {
    const type = canonicalType(found.contentType)
    return PROVABLE.has(type) ? type : undefined
  }
  return looksLikeText(head, isWhole) && !isPdfInText(head) ? TEXT : undefined
}

/**
 * Checks the first bytes of a file, and the type that it is sent as, against the setting *Accept only*.
 * @param head first bytes of the file
 * @throws RedoxError REDOX_BAD_INPUT
 */
export function assertAcceptedType(
  { head, isWhole, sentAs }: { head: Buffer; isWhole: boolean; sentAs: string },
  accepted: AcceptedTypes,
  where: string,
): void {
  const proven = provenType(head, isWhole)
  if (proven === undefined || !accepted.includes(proven))
    throw notAccepted(`the bytes of ${where} are ${proven ?? unprovenName(head)}`, accepted)
  // The receiver handles the file by the type that is sent with it.
  if (canonicalType(sentAs) === proven) return
  throw notAccepted(`${where} is sent as ${plainType(sentAs)}, and its bytes are ${proven}`, accepted)
}

const unprovenName = (head: Buffer): string =>
  signatureOf(head)?.contentType ??
  (pdfStart(head) >= 0 ? 'a PDF that begins after other bytes' : 'of no type that can be proven')

/**
 * Throws for a file that the connection cannot examine because only its URL is known.
 * @throws RedoxError REDOX_BAD_INPUT
 */
export const unseenFile = (where: string, accepted: AcceptedTypes): Error =>
  notAccepted(`${where} is a reference, so the bytes of the file cannot be checked`, accepted)

function notAccepted(reason: string, accepted: AcceptedTypes): Error {
  return badFile(
    `File is not accepted: ${reason}, and the connection accepts only ${accepted.join(', ')}. ` +
      'Provide a file of an accepted type, or change "Accept only" in the connection.',
    'notAccepted',
  )
}

/** Control characters that text has none of; the same as in `looksLikeText`. */
const isControl = (byte: number): boolean => byte < 0x09 || (byte > 0x0d && byte < 0x20 && byte !== 0x1b)

/**
 * Checks that a whole file is UTF-8 text without control characters: the first bytes of a text prove nothing about the
 * others.
 * @throws RedoxError REDOX_BAD_INPUT
 */
export async function assertAllText(file: Pick<FileSource, 'read'>, where: string): Promise<void> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const noText = (): Error =>
    badInput(
      `File is not accepted: ${where} begins as text, but not all of its bytes are UTF-8 text without control characters. ` +
        'Convert it to UTF-8, or change "Accept only" in the connection.',
    )
  const decode = (piece?: Buffer): void => {
    try {
      decoder.decode(piece, { stream: piece !== undefined })
    } catch {
      throw noText()
    }
  }
  for await (const piece of file.read()) {
    if (piece.some(isControl)) throw noText()
    decode(piece)
  }
  decode()
}

/** Returns true for a file whose whole content must be text, see {@link assertAllText}. */
export const isPlainText = ({ contentType }: { contentType: string }): boolean =>
  canonicalType(contentType) === TEXT
