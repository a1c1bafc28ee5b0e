import type { NodeAPI } from 'node-red'
import { registerSendNode } from '../lib/node/send-node'

export = function register(RED: NodeAPI): void {
  registerSendNode(RED, 'redox-datamodel-note', async () => {
    const { dataModelNode, documentFields, PATIENT_FIELDS } = await import('../lib/node/datamodel-node.js')
    return dataModelNode({
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
  })
}
