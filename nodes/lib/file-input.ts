import { badInput } from '../../src/errors'
import { takeFile, takePath, type FileHints, type IntakeResult, type MessageFile } from '../../src/file/file'
import { assertKnownHost, chooseWay, type PlacedFile } from '../../src/message/prepared'
import { assertReferenceKind } from '../../src/redox/client'
import { oneOf } from './evaluate'
import type { Task } from './send-node'

/**
 * The files of one message, described but not read. What kind of source they are is the node's setting
 * (`fileFrom`) and the value's type; nothing in a message can change it.
 * @param several whether an array of files is taken
 * @param given the file, when the caller has looked at it already
 */
export async function takeFiles(task: Task, several: boolean, given?: unknown): Promise<MessageFile[]> {
  const { inputs } = task
  const from = oneOf(inputs, 'fileFrom', ['message', 'path', 'none'])
  if (from === 'none') return []
  const value = given ?? (await inputs.value('file'))
  const hints = await hintsOf(task)
  if (!Array.isArray(value)) return [await takeOne(task, value, hints, from)]
  if (!several) throw badInput(`${hints.where} is an array, but this node takes one file. Split it first.`)
  if (value.length === 0) throw badInput(`${hints.where} is an empty array. Nothing was sent.`)
  const files: MessageFile[] = []
  for (const [index, item] of value.entries()) files.push(await takeItem(task, item, hints, index, from))
  return files
}

/** The file type a message gives may be a name such as `PDF`; content type and file name likewise. */
async function hintsOf({ inputs }: Task): Promise<FileHints> {
  const filename = await inputs.text('filename')
  const contentType = await inputs.text('contentType')
  const fileType = await inputs.text('redoxFileType')
  return {
    where: inputs.where('file'),
    ...(filename !== undefined && { filename }),
    ...(contentType !== undefined && { contentType }),
    ...(fileType !== undefined && { fileType }),
  }
}

/**
 * One element of an array: the file itself, or `{file, filename, contentType, fileType}`. The node's own type
 * holds for those that bring none; its file name can only be the name of one.
 */
function takeItem(
  task: Task,
  item: unknown,
  common: FileHints,
  index: number,
  from: string,
): Promise<MessageFile> {
  const wrapped =
    typeof item === 'object' && item !== null && 'file' in item
      ? (item as Record<string, unknown>)
      : { file: item }
  const hints: FileHints = { ...common, where: `${common.where}[${index}]` }
  delete hints.filename
  for (const name of ['filename', 'contentType', 'fileType'] as const) {
    const value = wrapped[name]
    if (typeof value === 'string' && value !== '') hints[name] = value
  }
  return takeOne(task, wrapped.file, hints, from)
}

async function takeOne(task: Task, value: unknown, hints: FileHints, from: string): Promise<MessageFile> {
  const taken: IntakeResult =
    from === 'path' ? await takePath(value, hints, task.connection.folders) : takeFile(value, hints)
  taken.warnings.forEach((warning) => task.warn(warning))
  return taken.file
}

/** Decides how each file travels; refuses what is too large and references of strangers, before any I/O. */
export function placeFiles(task: Task, files: MessageFile[], api: 'datamodel' | 'fhir'): PlacedFile[] {
  const way = oneOf(task.inputs, 'way', ['auto', 'embed', 'upload'])
  const where = task.inputs.where('file')
  const { client, origins } = task.connection
  const { limits } = client.settings
  return files.map((file) => {
    if (file.kind === 'reference') {
      assertKnownHost(file, where, [...origins, ...client.uploadOrigins])
      assertReferenceKind(file, api, where)
    }
    const placed = chooseWay(file, way, api, limits)
    if (placed.way === 'embed' && file.kind === 'file' && file.size > limits.embedBySelf)
      task.warn(EMBEDDED_LARGE)
    return placed
  })
}

// Redox's advice (seed 1, facts 6.1).
const EMBEDDED_LARGE =
  'The file is embedded although it is larger than Redox advises (200 KB). Way "auto" uploads it instead.'
