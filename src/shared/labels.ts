/**
 * What the fields of a message are called in error texts: the plain words of their labels in the dialogs (a label is
 * `Birth date · DOB`: plain words, then Redox's own name). Compared with the dialogs by a test.
 */

/** By the name of the node's property. */
export const FIELD_LABELS = {
  api: 'Upload for',
  operation: 'Operation',
  eventType: 'Event type',
  destination: 'Destination',
  fileFrom: 'Read file from',
  file: 'File',
  filename: 'File name',
  contentType: 'Content type',
  redoxFileType: 'File type',
  way: 'Transfer',
  place: 'Attachment path',
  noteContentType: 'Note format',
  data: 'Data',
  patientId: 'Patient ID',
  typeOfPatientId: 'Patient ID type',
  patientIdSystem: 'Patient ID system',
  firstName: 'First name',
  lastName: 'Last name',
  dob: 'Birth date',
  sex: 'Sex',
  family: 'Last name',
  given: 'First name',
  birthDate: 'Birth date',
  gender: 'Gender',
  visitNumber: 'Visit number',
  documentType: 'Document type',
  documentId: 'Document ID',
  originalDocumentId: 'Original document ID',
  documentDescription: 'Description',
  providerId: 'Provider ID',
  typeOfProviderId: 'Provider ID type',
  availability: 'Availability',
  orderId: 'Order ID',
  applicationOrderId: 'Filler order ID',
  orderStatus: 'Order status',
  resultsStatus: 'Overall status',
  resultCode: 'Result code',
  resultCodeset: 'Code system',
  resultDescription: 'Result name',
  resultStatus: 'Result status',
  code: 'Code',
  codeSystem: 'Code system',
  codeDisplay: 'Code name',
  resourceStatus: 'Status',
  category: 'Category',
  identifier: 'Identifier',
  identifierSystem: 'Identifier system',
  effective: 'Effective time',
  date: 'Date',
  description: 'Description',
} as const

export type FieldName = keyof typeof FIELD_LABELS

/** By the path without indexes; `main` is the resource that a FHIR operation is about. */
const FIELDS: Record<string, FieldName> = {
  'Meta.Destinations': 'destination',
  'Meta.Destinations.ID': 'destination',
  Patient: 'patientId',
  'Patient.Identifiers': 'patientId',
  'Patient.Identifiers.ID': 'patientId',
  'Patient.Identifiers.IDType': 'typeOfPatientId',
  'Patient.Demographics.FirstName': 'firstName',
  'Patient.Demographics.LastName': 'lastName',
  'Patient.Demographics.DOB': 'dob',
  'Patient.Demographics.Sex': 'sex',
  'Visit.VisitNumber': 'visitNumber',
  'Note.ContentType': 'noteContentType',
  Orders: 'orderId',
  'Orders.Results': 'file',
  'Orders.ID': 'orderId',
  'Orders.ApplicationOrderID': 'applicationOrderId',
  'Orders.Status': 'orderStatus',
  'Orders.ResultsStatus': 'resultsStatus',
  'Orders.Results.Code': 'resultCode',
  'Orders.Results.Codeset': 'resultCodeset',
  'Orders.Results.Description': 'resultDescription',
  'Orders.Results.Status': 'resultStatus',
  'Orders.Results.Value': 'file',
  'Orders.Results.FileType': 'redoxFileType',
  ...ofDocument('Note'),
  ...ofDocument('Media'),
  // A Bundle without a Patient.
  entry: 'patientId',
  'Patient.identifier': 'patientId',
  'Patient.identifier.value': 'patientId',
  'Patient.identifier.system': 'patientIdSystem',
  'Patient.name.family': 'family',
  'Patient.name.given': 'given',
  'Patient.birthDate': 'birthDate',
  'Patient.gender': 'gender',
  'main.status': 'resourceStatus',
  'main.code': 'code',
  'main.code.coding': 'code',
  'main.code.coding.code': 'code',
  'main.code.coding.system': 'codeSystem',
  'main.code.coding.display': 'codeDisplay',
  'main.type': 'code',
  'main.type.coding': 'code',
  'main.type.coding.code': 'code',
  'main.type.coding.system': 'codeSystem',
  'main.type.coding.display': 'codeDisplay',
  'main.category': 'category',
  'main.category.coding': 'category',
  'main.category.coding.code': 'category',
  'main.identifier': 'identifier',
  'main.identifier.value': 'identifier',
  'main.identifier.system': 'identifierSystem',
  'main.effectiveDateTime': 'effective',
  'main.date': 'date',
  'main.description': 'description',
}

function ofDocument(part: 'Note' | 'Media'): Record<string, FieldName> {
  return {
    [`${part}.DocumentType`]: 'documentType',
    [`${part}.DocumentID`]: 'documentId',
    [`${part}.DocumentDescription`]: 'documentDescription',
    [`${part}.OriginalDocumentID`]: 'originalDocumentId',
    [`${part}.Provider`]: 'providerId',
    [`${part}.Provider.ID`]: 'providerId',
    [`${part}.Provider.IDType`]: 'typeOfProviderId',
    [`${part}.Availability`]: 'availability',
    [`${part}.FileName`]: 'filename',
    [`${part}.FileType`]: 'redoxFileType',
    [`${part}.FileContents`]: 'file',
  }
}

const MAIN = new Set(['DiagnosticReport', 'Observation', 'DocumentReference'])

/** `entry[1].resource.status (Observation)`, as problems of FHIR resources have it. */
const IN_RESOURCE = /^entry\[\d+\]\.resource\.(.+) \((\w+)\)$/

/** The field of a dialog that fills a place of a message, if there is one. */
export function fieldAt(path: string): FieldName | undefined {
  const [, rest, type = ''] = IN_RESOURCE.exec(path) ?? []
  const whole = rest === undefined ? path : `${MAIN.has(type) ? 'main' : type}.${rest}`
  const plain = whole.replace(/\[\d+\]/g, '')
  const [first = '', ...others] = plain.split('.')
  const known = MAIN.has(first) ? ['main', ...others].join('.') : plain
  return Object.hasOwn(FIELDS, known) ? FIELDS[known] : undefined
}

/** What a place of a message is called: like the field that fills it, else by its last name, e.g. `FirstName`. */
export function labelAt(path: string): string {
  const field = fieldAt(path)
  if (field !== undefined) return FIELD_LABELS[field]
  if (path === 'Meta.Source.ID') return 'Source ID'
  const bare = path.replace(/ \(\w+\)$/, '')
  return /([^.[\]]+)(?:\[\d+\])*$/.exec(bare)?.[1] ?? path
}

/** What a property of a node is called in its dialog. */
export const labelOf = (name: string): string =>
  Object.hasOwn(FIELD_LABELS, name) ? FIELD_LABELS[name as FieldName] : name
