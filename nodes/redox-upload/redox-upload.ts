import type { NodeAPI } from 'node-red'
import { registerSendNode } from '../lib/send-node'

export = function register(RED: NodeAPI): void {
  registerSendNode(RED, 'redox-upload', async () => (await import('../lib/upload-node.js')).prepareUpload)
}
