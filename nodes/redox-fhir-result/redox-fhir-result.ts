import type { NodeAPI } from 'node-red'
import { registerSendNode } from '../lib/node/send-node'
import { fields, OPERATIONS } from './fields'

export = function register(RED: NodeAPI): void {
  registerSendNode(RED, fields, async () => {
    const { fhirNode } = await import('../lib/node/fhir-node.js')
    return fhirNode({ operations: OPERATIONS })
  })
}
