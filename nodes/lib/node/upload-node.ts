import { badInput } from '../../../src/errors'
import { assertFhirKey } from '../../../src/redox/settings'
import { UPLOAD_APIS } from '../fields/file'
import { oneOf } from './inputs'
import { takeFiles } from './file-input'
import type { Prepared, PrepareInput } from './prepare-types'

/** Prepares the upload of the one file in a message. */
export async function prepareUpload(task: PrepareInput): Promise<Prepared> {
  const { inputs, connection } = task
  const uploadKind = oneOf(inputs, 'api', UPLOAD_APIS) === 'fhir' ? 'binary' : 'blob'
  if (uploadKind === 'binary') assertFhirKey(connection.client.settings)
  const [file] = await takeFiles(task, false)
  if (file === undefined || file.kind === 'reference') {
    throw badInput(
      `Not a file to upload: ${inputs.where('file')} is a reference to a file that was uploaded before. Provide the file itself.`,
    )
  }
  return { kind: 'upload', file, uploadKind }
}
