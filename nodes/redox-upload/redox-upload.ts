import type { NodeAPI } from 'node-red'
import { badInput } from '../../src/errors'
import { referenceFor } from '../../src/redox/client'
import { takeFiles } from '../lib/file-input'
import { oneOf, registerSendNode, type Done, type Task } from '../lib/send-node'

export = function register(RED: NodeAPI): void {
  registerSendNode(RED, 'redox-upload', upload)
}

async function upload(task: Task): Promise<Done> {
  const { inputs, connection, signal } = task
  const kind = oneOf(inputs, 'api', ['fhir', 'datamodel']) === 'fhir' ? 'binary' : 'blob'
  const [file] = await takeFiles(task, false)
  if (file === undefined || file.kind === 'reference') {
    throw badInput(
      `${inputs.where('file')} is no file that can be uploaded (a reference is one that was already).`,
    )
  }
  const uploaded = await connection.client.upload(file, kind, signal)
  const reference = referenceFor(file, uploaded, kind)
  return {
    payload: reference,
    statusCode: uploaded.status,
    id: uploaded.sha256,
    redox: {
      operation: 'upload',
      way: 'upload',
      files: [{ way: 'upload', size: file.size, sha256: uploaded.sha256, url: uploaded.url }],
      headers: uploaded.headers,
      attempts: uploaded.attempts,
    },
  }
}
