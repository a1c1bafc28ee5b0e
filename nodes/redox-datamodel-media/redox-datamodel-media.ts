import type { NodeAPI } from 'node-red'
import { registerSendNode } from '../lib/node/send-node'

export = function register(RED: NodeAPI): void {
  registerSendNode(RED, 'redox-datamodel-media', async () => {
    const { dataModelNode, documentFields, PATIENT_FIELDS } = await import('../lib/node/datamodel-node.js')
    return dataModelNode({
      model: 'Media',
      fields: [...PATIENT_FIELDS, ...documentFields('Media')],
      severalFiles: false,
      describedBy: [
        { name: 'filename', path: 'Media.FileName' },
        { name: 'redoxFileType', path: 'Media.FileType' },
      ],
    })
  })
}
