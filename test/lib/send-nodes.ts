import { fixture } from './fixtures'
import {
  PATIENT,
  startFlow,
  startFlowTo,
  type Flow,
  type FlowOptions,
  type Message,
  type Settings,
} from './flow'
import type { Purpose, ScriptedServer } from './scripted-server'

export const DESTINATION = 'af394f14-b34a-464f-8d24-895f370af4c9'
export const OTHER_DESTINATION = '7ce6f387-c33c-417d-8682-81e83628cbd9'
export const SLUG = 'redox-fhir-sandbox'
export const PDF = fixture('gingival-mass.pdf')
export const PHOTO = fixture('photo.jpg')

export interface SendNode {
  type: string
  api: 'fhir' | 'datamodel'
  operation: string
  /** smallest set of node properties with which the node can send */
  node: Settings
  /** path of the first file in the request body, e.g. `Media.FileContents`; empty for uploads */
  place: string
  severalFiles: boolean
}

const fhirPatient = {
  patientId: PATIENT.id,
  patientIdSystem: 'urn:redox:redox-fhir-sandbox:MR',
  family: PATIENT.last,
  given: PATIENT.first,
  birthDate: PATIENT.dob,
  gender: 'female',
}
const dataModelPatient = {
  patientId: PATIENT.id,
  firstName: PATIENT.first,
  lastName: PATIENT.last,
  dob: PATIENT.dob,
  sex: 'Female',
}
const document = {
  documentType: 'Consent Form',
  documentId: 'doc-1',
  documentIdType: 'str',
  providerId: '4356789876',
}

export const FHIR_RESULT: SendNode = {
  type: 'redox-fhir-result',
  api: 'fhir',
  operation: 'DiagnosticReport/$diagnosticreport-create',
  node: { destination: SLUG, ...fhirPatient, code: '11502-2' },
  place: 'entry[1].resource.presentedForm[0]',
  severalFiles: true,
}
export const FHIR_DOCUMENT: SendNode = {
  type: 'redox-fhir-document',
  api: 'fhir',
  operation: 'DocumentReference/$documentreference-create',
  node: { destination: SLUG, ...fhirPatient, code: '34133-9' },
  place: 'entry[1].resource.content[0].attachment',
  severalFiles: true,
}
export const NOTE: SendNode = {
  type: 'redox-datamodel-note',
  api: 'datamodel',
  operation: 'Notes:New',
  node: { destination: DESTINATION, ...dataModelPatient, ...document },
  place: 'Note.FileContents',
  severalFiles: false,
}
export const RESULTS: SendNode = {
  type: 'redox-datamodel-results',
  api: 'datamodel',
  operation: 'Results:New',
  node: { destination: DESTINATION, ...dataModelPatient, orderId: 'order-1', resultCode: '11502-2' },
  place: 'Orders[0].Results[0].Value',
  severalFiles: true,
}
export const MEDIA: SendNode = {
  type: 'redox-datamodel-media',
  api: 'datamodel',
  operation: 'Media:New',
  node: { destination: DESTINATION, ...dataModelPatient, ...document },
  place: 'Media.FileContents',
  severalFiles: false,
}
export const SEND_NODES = [FHIR_RESULT, FHIR_DOCUMENT, NOTE, RESULTS, MEDIA]

export const UPLOAD: SendNode = {
  type: 'redox-upload',
  api: 'fhir',
  operation: 'upload',
  node: {},
  place: '',
  severalFiles: false,
}
export const UPLOAD_BLOB: SendNode = { ...UPLOAD, api: 'datamodel', node: { api: 'datamodel' } }
export const ALL_NODES = [UPLOAD, UPLOAD_BLOB, ...SEND_NODES]

export const purposeOf = ({ operation }: SendNode): Purpose => (operation === 'upload' ? 'upload' : 'send')

// The node takes additional data from `msg.data`, which is not the default of the field Data but needed by most tests.
const TAKES_DATA = { data: 'data' }

/** Starts a flow with this node, connected to the built-in sandbox. */
export const start = (
  { type, node }: SendNode,
  ...[settings = {}, config = {}, options = {}]: [
    settings?: Settings,
    config?: Settings,
    options?: Partial<FlowOptions>,
  ]
): Promise<Flow> => startFlow({ type, node: { ...TAKES_DATA, ...node, ...settings }, config, ...options })

/** Starts a flow with this node, connected to a scripted server. */
export const startTo = (
  server: ScriptedServer,
  { type, node }: SendNode,
  ...[settings = {}, config = {}, options = {}]: [
    settings?: Settings,
    config?: Settings,
    options?: Partial<FlowOptions>,
  ]
): Promise<Flow> =>
  startFlowTo(server.url, { type, node: { ...TAKES_DATA, ...node, ...settings }, config, ...options })

/** `msg` with a file in its payload, and with other properties that the nodes ignore. */
export const fileMessage = (payload: unknown = PDF): Message => ({
  payload,
  filename: `${PATIENT.last}.pdf`,
  topic: 'scan',
  headers: { accept: 'text/html' },
  nested: { list: [1, { deep: true }] },
})
