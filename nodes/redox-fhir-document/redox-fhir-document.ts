import type { NodeAPI } from 'node-red'
import { registerFhirNode, resourceFields } from '../lib/fhir-node'

export = function register(RED: NodeAPI): void {
  registerFhirNode(RED, 'redox-fhir-document', {
    operations: ['DocumentReference/$documentreference-create'],
    fields: [
      ...resourceFields('type'),
      { name: 'date', path: 'main.date' },
      { name: 'description', path: 'main.description' },
    ],
  })
}
