/**
 * Paths of named values in list elements. When a message is built, a {@link Choice} selects the element of the data,
 * e.g. the identifier of the same type or the order with the same ID. The index in a path counts the elements of the
 * form, which has one element in each list.
 */
export const SETTERS = {
  // Paths in Data Model messages.
  patientIdentifier: 'Patient.Identifiers[0].ID',
  patientIdentifierType: 'Patient.Identifiers[0].IDType',
  orderId: 'Orders[0].ID',
  fillerOrderId: 'Orders[0].ApplicationOrderID',
  orderStatus: 'Orders[0].Status',
  orderResultsStatus: 'Orders[0].ResultsStatus',
  resultCode: 'Orders[0].Results[0].Code',
  resultCodeset: 'Orders[0].Results[0].Codeset',
  resultDescription: 'Orders[0].Results[0].Description',
  resultStatus: 'Orders[0].Results[0].Status',
  // Paths in FHIR messages; `main` is the resource that the operation is about.
  identifierOfPatient: 'Patient.identifier[0].value',
  identifierSystemOfPatient: 'Patient.identifier[0].system',
  familyName: 'Patient.name[0].family',
  givenName: 'Patient.name[0].given[0]',
  code: 'main.code.coding[0].code',
  codeSystem: 'main.code.coding[0].system',
  codeDisplay: 'main.code.coding[0].display',
  typeCode: 'main.type.coding[0].code',
  typeSystem: 'main.type.coding[0].system',
  typeDisplay: 'main.type.coding[0].display',
  categoryCode: 'main.category[0].coding[0].code',
  identifier: 'main.identifier[0].value',
  identifierSystem: 'main.identifier[0].system',
} as const

export type Setter = keyof typeof SETTERS
