import type { NodeAPI } from 'node-red'
import { documentFields, PATIENT_FIELDS, registerDataModelNode } from '../lib/datamodel-node'

export = function register(RED: NodeAPI): void {
  registerDataModelNode(RED, 'redox-datamodel-media', {
    model: 'Media',
    fields: [...PATIENT_FIELDS, ...documentFields('Media')],
    severalFiles: false,
    describedBy: [
      { name: 'filename', path: 'Media.FileName' },
      { name: 'redoxFileType', path: 'Media.FileType' },
    ],
  })
}
