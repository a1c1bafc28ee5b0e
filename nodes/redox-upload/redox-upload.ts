import type { NodeAPI } from 'node-red'
import { badInput } from '../../src/errors'
import { takeFiles } from '../lib/file-input'
import { oneOf, registerSendNode, type Prepared, type Task } from '../lib/send-node'

export = function register(RED: NodeAPI): void {
  registerSendNode(RED, 'redox-upload', prepare)
}

async function prepare(task: Task): Promise<Prepared> {
  const { inputs } = task
  const uploadKind = oneOf(inputs, 'api', ['fhir', 'datamodel']) === 'fhir' ? 'binary' : 'blob'
  const [file] = await takeFiles(task, false)
  if (file === undefined || file.kind === 'reference') {
    throw badInput(
      `${inputs.where('file')} is no file that can be uploaded (a reference is one that was already).`,
    )
  }
  return { kind: 'upload', file, uploadKind }
}
