import type { NodeAPI } from 'node-red'
import { registerSendNode } from '../lib/node/send-node'
import { fields } from './fields'

export = function register(RED: NodeAPI): void {
  registerSendNode(RED, fields, async () => (await import('../lib/node/upload-node.js')).prepareUpload)
}
