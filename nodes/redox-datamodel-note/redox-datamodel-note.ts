import type { NodeAPI } from 'node-red'
import { documentFields, PATIENT_FIELDS, registerDataModelNode } from '../lib/datamodel-node'

export = function register(RED: NodeAPI): void {
  registerDataModelNode(RED, 'redox-datamodel-note', {
    model: 'Notes',
    fields: [
      ...PATIENT_FIELDS,
      ...documentFields('Note'),
      { name: 'noteContentType', path: 'Note.ContentType' },
    ],
    severalFiles: false,
    describedBy: [
      { name: 'filename', path: 'Note.FileName' },
      { name: 'redoxFileType', path: 'Note.FileType' },
    ],
  })
}
