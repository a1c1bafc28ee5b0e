import { badInput } from '../../../src/errors'
import { assertAllText, isPlainText, unseenFile, type AcceptedTypes } from '../../../src/file/accepted-types'
import { decodeLoosely } from '../../../src/file/base64'
import { takeMemory } from '../../../src/file/file'
import { utf8Of } from '../../../src/file/text'
import { fileContentsIn, type ContentOfFile } from '../../../src/message/contents'
import { formatPath } from '../../../src/message/json'
import type { PreparedMessage } from '../../../src/message/prepared'
import type { PrepareInput } from './prepare-types'

/**
 * Checks the files that a message holds besides those of the File field, and the text of a note, against *Accept only*.
 * @throws RedoxError REDOX_BAD_INPUT
 */
export async function assertAcceptedData(
  { connection }: PrepareInput,
  { api, body, attachments }: PreparedMessage,
): Promise<void> {
  const { accepted } = connection.files
  if (accepted === undefined) return
  // The files of the File field were checked when they were taken.
  const checked = new Set(attachments.map(({ path }) => formatPath(path)))
  for (const found of fileContentsIn(api, body))
    if (!checked.has(formatPath(found.path))) await assertAccepted(found, accepted)
}

async function assertAccepted(found: ContentOfFile, accepted: AcceptedTypes): Promise<void> {
  const { path, content, isText, isUrl, contentType } = found
  const where = formatPath(path)
  if (isUrl) throw unseenFile(where, accepted)
  const bytes = await (isText ? utf8Of(content) : decodeLoosely(content))
  if (bytes === undefined)
    throw badInput(
      `File is not accepted: ${where} is not base64, so its type cannot be checked. Provide base64, or the file in the File field.`,
    )
  const { file } = takeMemory(bytes, {
    where,
    accepted,
    ...(isText && { isText }),
    ...(contentType !== undefined && { contentType }),
  })
  if (isPlainText(file)) await assertAllText(file, where)
}
