import type { NodeAPI } from 'node-red'
import { registerFhirNode, resourceFields } from '../lib/fhir-node'

export = function register(RED: NodeAPI): void {
  registerFhirNode(RED, 'redox-fhir-result', {
    operations: [
      'DiagnosticReport/$diagnosticreport-create',
      'DiagnosticReport/$diagnosticreport-amend',
      'Observation/$observation-create',
    ],
    fields: [...resourceFields('code'), { name: 'effective', path: 'main.effectiveDateTime' }],
  })
}
