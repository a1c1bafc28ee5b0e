import type { NodeAPI } from 'node-red'
import { registerSendNode } from '../lib/node/send-node'

export = function register(RED: NodeAPI): void {
  registerSendNode(RED, 'redox-fhir-result', async () => {
    const { fhirNode, resourceFields } = await import('../lib/node/fhir-node.js')
    return fhirNode({
      operations: [
        'DiagnosticReport/$diagnosticreport-create',
        'DiagnosticReport/$diagnosticreport-amend',
        'Observation/$observation-create',
      ],
      fields: [...resourceFields('code'), { name: 'effective', path: 'main.effectiveDateTime' }],
    })
  })
}
