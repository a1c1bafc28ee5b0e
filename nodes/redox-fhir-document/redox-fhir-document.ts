import type { NodeAPI } from 'node-red'
import { registerSendNode } from '../lib/node/send-node'

export = function register(RED: NodeAPI): void {
  registerSendNode(RED, 'redox-fhir-document', async () => {
    const { fhirNode, resourceFields } = await import('../lib/node/fhir-node.js')
    return fhirNode({
      operations: ['DocumentReference/$documentreference-create'],
      fields: [
        ...resourceFields('type'),
        { name: 'date', path: 'main.date' },
        { name: 'description', path: 'main.description' },
      ],
    })
  })
}
