import { createHash } from 'node:crypto'
import { badInput } from '../../../src/errors'
import { noteText, readText, sha256Of, type MessageFile } from '../../../src/file/file'
import { getAt } from '../../../src/message/json'
import { assertEmbeddable } from '../../../src/message/prepared'
import {
  assertContentsEmbeddable,
  draftDataModel,
  hasDocumentId,
  type DataModel,
} from '../../../src/message/datamodel'
import type { FieldValue } from '../../../src/message/fields'
import { contentProblems } from '../../../src/message/urls'
import { assertAcceptedData } from './accepted-data'
import { fieldValues, fileValues } from './field-values'
import { inTermsOfForm } from './inputs'
import { Semaphore } from '../../../src/redox/semaphore'
import { fileValue, isReferenceText, chooseWays, takeFiles, uploadHosts } from './file-input'
import type { Prepare, Prepared, PrepareInput } from './prepare-types'

interface DataModelNode {
  model: DataModel
  /** true if a message may have several files: a Results message gets one result for each file */
  severalFiles: boolean
}

/** Returns the function with which a node prepares messages of one data model. */
export const dataModelNode =
  (node: DataModelNode): Prepare =>
  (task) =>
    prepare(task, node)

async function prepare(task: PrepareInput, { model, severalFiles }: DataModelNode): Promise<Prepared> {
  const { inputs, connection } = task
  const eventType = inputs.setting('eventType')
  const deletes = eventType === 'Delete'
  const data = await inputs.value('data')
  const values = await fieldValues(task)
  const content: DocumentContent = deletes
    ? { files: [] }
    : await contentOf(task, severalFiles, noteContentType(values, data))
  if (content.files.length === 0) values.push(...(await fileValues(task)))
  const placed = chooseWays(task, content.files, 'datamodel')
  const isMade = inputs.isMadeOfContent('documentId') && !hasDocumentId(model, data)
  const digest = isMade ? await digestOf(content, deletes) : undefined
  const draft = draftDataModel(
    {
      model,
      eventType,
      destinations: destinationIds(await inputs.value('destination')),
      data,
      fields: values,
      files: placed,
      ...(content.text !== undefined && { text: content.text }),
      ...(digest !== undefined && { documentDigest: digest }),
      now: new Date(),
    },
    connection.sender,
  )
  draft.warnings.forEach((warning) => task.warn(warning))
  // The value of the field *Data* may refer to uploaded files, too.
  draft.problems.push(...contentProblems(draft.message.body, uploadHosts(task)))
  await assertAcceptedData(task, draft.message)
  assertContentsEmbeddable(draft.message.body, connection.client.settings.limits)
  return {
    kind: 'message',
    draft: inTermsOfForm(draft, inputs),
    isText: content.text !== undefined,
  }
}

const noteContentType = (values: FieldValue[], data: unknown): unknown =>
  values.find(({ path }) => path === 'Note.ContentType')?.value ??
  getAt(data as never, ['Note', 'ContentType'])

interface DocumentContent {
  files: MessageFile[]
  text?: string
}

/**
 * Returns the files of a document, or its text. A Notes message with Plain Text or Rich Text contains the text itself,
 * unless the text is uploaded (docs/redox-api.md#notes, #file-fields).
 */
async function contentOf(
  task: PrepareInput,
  several: boolean,
  contentType: unknown,
): Promise<DocumentContent> {
  const { inputs } = task
  const isTextNote = contentType === 'Plain Text' || contentType === 'Rich Text'
  if (!isTextNote) return { files: await takeFiles(task, several) }
  const uploads = inputs.setting('way') === 'upload'
  const value = inputs.setting('fileFrom') === 'message' ? await fileValue(task) : undefined
  // A string is the text of the note, whatever format it seems to have. The only exception is a reference to an
  // uploaded file.
  const isText = !(typeof value === 'string' && isReferenceText(task, value))
  if (typeof value === 'string' && isText && !uploads)
    return textContent(task, noteText(value, inputs.where('file')))
  const files = await takeFiles(task, several, { value, isText })
  if (uploads) return { files }
  const [file] = files
  if (file === undefined || file.kind === 'reference') return { files }
  chooseWays(task, files, 'datamodel')
  const text = await texts.run(() => readText(file, inputs.where('file')), task.signal)
  return textContent(task, text)
}

// Limits the number of files that are read as text at the same time, because the complete text is then in memory. The
// connection's limits on concurrency and waiting bytes apply only later.
const texts = new Semaphore({ concurrency: 2, waitingBytes: Infinity })

function textContent({ connection }: PrepareInput, text: string): DocumentContent {
  assertEmbeddable(Buffer.byteLength(text), 'datamodel', connection.client.settings.limits)
  return { files: [], text }
}

/**
 * Returns the SHA-256 (hex) of a document's content. This is a second read of the file, so it is done only if the
 * document ID is made from the file.
 */
async function digestOf({ files: [file], text }: DocumentContent, deletes: boolean): Promise<string> {
  if (text !== undefined) return createHash('sha256').update(text).digest('hex')
  if (file?.kind === 'file') return sha256Of(file)
  if (file?.sha256 !== undefined) return file.sha256
  throw badInput(
    deletes
      ? 'Document ID is missing: it is set to be made from the file, and a Delete has no file. Provide the document ID of ' +
          'the document to delete.'
      : 'Document ID is missing: it is set to be made from the file, but there is no file, or only a reference without ' +
          'sha256. Provide the file, the reference of a redox-upload node, or a document ID.',
  )
}

/**
 * Returns the destination IDs in a field value: a string of IDs separated by commas, semicolons or spaces, one object
 * with an `ID`, or an array of IDs or such objects.
 */
function destinationIds(value: unknown): string[] {
  if (value === undefined) return []
  if (typeof value === 'string') return value.split(/[\s,;]+/).filter((id) => id !== '')
  const list = Array.isArray(value) ? value : [value]
  return list.map((item) => {
    const id: unknown = typeof item === 'object' && item !== null ? (item as { ID?: unknown }).ID : item
    if (typeof id === 'string' && id !== '') return id
    throw badInput('Destination is not an ID. Provide an ID, a list of IDs, or a list of objects with an ID.')
  })
}
