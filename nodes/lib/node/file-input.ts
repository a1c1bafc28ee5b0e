import { badInput } from '../../../src/errors'
import { assertAllText, isPlainText } from '../../../src/file/accepted-types'
import {
  takeFile,
  takePath,
  type FileHints,
  type IntakeResult,
  type MessageFile,
} from '../../../src/file/file'
import { assertKnownHost, chooseWay, maxFileSize, type FileToSend } from '../../../src/message/prepared'
import { LONGEST_URL } from '../../../src/message/urls'
import { assertReferenceKind } from '../../../src/redox/uploads'
import { FILE_SOURCES, WAYS } from '../fields/file'
import { oneOf } from './inputs'
import type { PrepareInput } from './prepare-types'

/** Value of the File field that a node has already inspected. */
interface GivenFile {
  value: unknown
  /** true if the value is a string that is the text of the document, not a reference or an encoded file */
  isText: boolean
}

/**
 * Returns the value of the File field.
 * @throws RedoxError REDOX_BAD_INPUT for a part that a Split node made, because a part is not a complete file
 */
export async function fileValue({ inputs }: PrepareInput): Promise<unknown> {
  const value = await inputs.value('file')
  const isPath = inputs.setting('fileFrom') === 'path'
  if (isPath || !inputs.isPart(value)) return value
  throw badInput(
    `Part of a file, not a file: ${inputs.where('file')} was split (msg.parts). Set the "read file" node to "a single ` +
      'Buffer object", or put a join node before this node. If each part is a complete file, delete msg.parts first.',
  )
}

/**
 * Returns the files of one message, described but not read. Whether a value is a path depends only on the node's
 * setting `fileFrom` and not on the content of the message.
 * @param several true if an array of files is accepted
 * @param given value of the File field, if the caller has already inspected it
 */
export async function takeFiles(
  task: PrepareInput,
  several: boolean,
  given?: GivenFile,
): Promise<MessageFile[]> {
  const { inputs } = task
  const from = oneOf(inputs, 'fileFrom', FILE_SOURCES)
  if (from === 'none') return []
  const value = given?.value ?? (await fileValue(task))
  // Fingerprints are taken before the next `await`. A value from JSONata or from the context is not known earlier.
  task.fingerprints.take(value)
  const hints = {
    ...(await hintsOf(task)),
    ...(given?.isText && { isText: true as const }),
    fingerprints: task.fingerprints,
  }
  if (!Array.isArray(value)) return [await takeOne(task, value, hints, from)]
  if (!several)
    throw badInput(
      `Array instead of one file: ${hints.where} is an array, and this node takes one file. Split it first, or provide one element, e.g. ${hints.where}[0].`,
    )
  if (value.length === 0) throw badInput(`File is missing: ${hints.where} is an empty array.`)
  const files: MessageFile[] = []
  for (const [index, item] of value.entries())
    files.push(await takeItem(task, item, { ...hints, where: `${hints.where}[${index}]` }, from))
  return files
}

/** Returns file name, MIME type and Redox file type (such as `PDF`) from the node's fields. */
async function hintsOf({ inputs, connection }: PrepareInput): Promise<FileHints> {
  const { accepted } = connection.files
  const filename = await inputs.text('filename')
  const contentType = await inputs.text('contentType')
  const fileType = await inputs.text('redoxFileType')
  return {
    where: inputs.where('file'),
    maxBytes: maxFileSize(connection.client.settings.limits),
    ...(accepted !== undefined && { accepted }),
    ...(filename !== undefined && { filename }),
    ...(contentType !== undefined && { contentType }),
    ...(fileType !== undefined && { fileType }),
  }
}

/**
 * Describes one element of an array: the file itself, or `{file, filename, contentType, fileType}`. The type fields of
 * the node apply to elements without a type of their own; the file name field does not apply to elements.
 */
function takeItem(task: PrepareInput, item: unknown, common: FileHints, from: string): Promise<MessageFile> {
  const wrapped =
    typeof item === 'object' && item !== null && 'file' in item
      ? (item as Record<string, unknown>)
      : { file: item }
  const hints: FileHints = { ...common }
  delete hints.filename
  for (const name of ['filename', 'contentType', 'fileType'] as const) {
    const value = wrapped[name]
    if (typeof value === 'string' && value !== '') hints[name] = value
  }
  return takeOne(task, wrapped.file, hints, from)
}

async function takeOne(
  task: PrepareInput,
  value: unknown,
  hints: FileHints,
  from: string,
): Promise<MessageFile> {
  const { folders, settleMs } = task.connection.files
  if (from !== 'path') await task.admitted()
  const { file, warnings, cutShort }: IntakeResult =
    from === 'path'
      ? await takePath(value, hints, folders, {
          settleMs,
          signal: task.signal,
          owner: task.inputs.owner,
          onSettled: task.admitted,
        })
      : await takeFile(value, hints)
  if (hints.accepted !== undefined && file.kind === 'file' && isPlainText(file))
    await assertAllText(file, hints.where)
  if (cutShort !== undefined) reportCutShort(task, cutShort)
  warnings.forEach((warning) => task.warn(warning))
  return file
}

function reportCutShort(task: PrepareInput, cutShort: string): void {
  if (task.connection.files.cutShort === 'warn') return task.warn(cutShort)
  throw badInput(
    `${cutShort}. Send the complete file, or set "Truncated files" in the connection to send such files with a warning.`,
  )
}

/** Returns the origins at which files uploaded over this connection can be stored. */
export const uploadHosts = ({ connection: { origins, client } }: PrepareInput): string[] => [
  ...origins,
  ...client.uploadOrigins,
]

/** Returns true for a string that is only a URL on one of the connection's upload hosts. */
export const isReferenceText = (task: PrepareInput, text: string): boolean =>
  text.length <= LONGEST_URL &&
  /^https?:\S+$/i.test(text) &&
  URL.canParse(text) &&
  uploadHosts(task).includes(new URL(text).origin)

/**
 * Decides whether each file is embedded or uploaded. Refuses files that are too large, and references to unknown hosts,
 * before any I/O.
 */
export function chooseWays(
  task: PrepareInput,
  files: MessageFile[],
  api: 'datamodel' | 'fhir',
): FileToSend[] {
  const way = oneOf(task.inputs, 'way', WAYS)
  const where = task.inputs.where('file')
  const { client } = task.connection
  const { limits } = client.settings
  return files.map((file) => {
    if (file.kind === 'reference') {
      assertKnownHost(file, where, uploadHosts(task))
      assertReferenceKind(file, api, where)
    }
    const placed = chooseWay(file, way, api, limits)
    if (placed.way === 'embed' && file.kind === 'file' && file.size > limits.embedBySelf)
      task.warn(EMBEDDED_LARGE)
    return placed
  })
}

// Warning based on Redox's advice about file sizes (docs/redox-api.md#sizes).
const EMBEDDED_LARGE =
  'The file is embedded, although it is larger than the 200 KB that Redox recommends. "auto" uploads it instead.'
