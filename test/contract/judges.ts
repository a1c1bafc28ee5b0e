/**
 * The judges of what the nodes emit. They know nothing of the code under test: they stand on the schemas and
 * on public validators, so the nodes' own checks cannot be wrong together with them.
 */
export { judgeDataModel } from './data-model'
export { judgeFhir, type FhirVerdict } from './fhir'
export { emptyValues } from './json'
export { judgeRedoxMessage } from './redox-message'
