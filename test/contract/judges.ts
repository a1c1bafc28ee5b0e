/**
 * Validators for the messages that the nodes send. They use schemas and public libraries but none of the code under
 * test, so that nodes and validators cannot make the same mistake.
 */
export { judgeDataModel } from './data-model'
export { judgeFhir, type FhirVerdict } from './fhir'
export { emptyValues } from './json'
export { judgeRedoxMessage } from './redox-message'
