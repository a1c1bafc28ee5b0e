import type { NodeAPI } from 'node-red'
import { registerSendNode } from '../lib/node/send-node'
import { fields } from './fields'

export = function register(RED: NodeAPI): void {
  registerSendNode(RED, fields, async () => {
    const { dataModelNode } = await import('../lib/node/datamodel-node.js')
    return dataModelNode({ model: 'Media', severalFiles: false })
  })
}
