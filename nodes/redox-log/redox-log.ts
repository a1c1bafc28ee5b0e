import type { NodeAPI } from 'node-red'
import { registerLogNode } from '../lib/node/log-node'
import { fields } from './fields'

export = function register(RED: NodeAPI): void {
  registerLogNode(RED, fields)
}
