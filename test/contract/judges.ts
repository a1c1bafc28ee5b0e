/**
 * Judges of the messages that the nodes send. They use schemas and public validators and none of the code under test,
 * so that nodes and judges cannot make the same mistake.
 */
export { judgeDataModel } from './data-model'
export { judgeFhir, type FhirVerdict } from './fhir'
export { emptyValues } from './json'
export { judgeRedoxMessage } from './redox-message'
