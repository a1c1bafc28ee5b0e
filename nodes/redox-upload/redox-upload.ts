import type { NodeAPI } from 'node-red'
import { registerSendNode } from '../lib/node/send-node'

export = function register(RED: NodeAPI): void {
  registerSendNode(
    RED,
    'redox-upload',
    async () => (await import('../lib/node/upload-node.js')).prepareUpload,
  )
}
