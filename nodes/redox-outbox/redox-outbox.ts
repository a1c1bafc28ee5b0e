import type { NodeAPI } from 'node-red'
import { registerOutboxNode } from '../lib/node/outbox-node'
import { fields } from './fields'

export = function register(RED: NodeAPI): void {
  registerOutboxNode(RED, fields)
}
