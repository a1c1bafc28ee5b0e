import type { Sender } from './datamodel'
import type { FieldValue } from './fields'
import type { FileToSend } from './prepared'

export interface Operation {
  /** type of the main resource: the resource that the message is about */
  type: 'DiagnosticReport' | 'Observation' | 'DocumentReference'
  /** last part of the MessageHeader's `eventUri` (docs/redox-api.md#fhir-operations) */
  event: string
  /** default place of the files, see {@link AttachmentPlace} (docs/redox-api.md#fhir-operations, #attachments) */
  place: string
  /** default value of `status` */
  status: string
}

/** FHIR operations of Redox that transport files (docs/redox-api.md#fhir-operations). */
export const FHIR_OPERATIONS = {
  'DiagnosticReport/$diagnosticreport-create': {
    type: 'DiagnosticReport',
    event: 'DiagnosticReportCreate',
    place: 'presentedForm[]',
    status: 'final',
  },
  'DiagnosticReport/$diagnosticreport-amend': {
    type: 'DiagnosticReport',
    event: 'DiagnosticReportAmend',
    place: 'presentedForm[]',
    status: 'amended',
  },
  'Observation/$observation-create': {
    type: 'Observation',
    event: 'ObservationCreate',
    place: 'presentedForm[]',
    status: 'final',
  },
  'DocumentReference/$documentreference-create': {
    type: 'DocumentReference',
    event: 'DocumentReferenceCreate',
    place: 'content[].attachment',
    status: 'current',
  },
} satisfies Record<string, Operation>

export type FhirOperation = keyof typeof FHIR_OPERATIONS

export interface FhirInput {
  operation: FhirOperation
  /** destination slug (docs/redox-api.md#fhir-urls) */
  slug: string
  /** Bundle, resource or array of resources from the flow; optional if the fields of the form suffice */
  data?: unknown
  /**
   * values of the form; their paths begin with `main` (the main resource) or `Patient`, e.g. `main.code.coding[0].code`
   */
  fields: FieldValue[]
  files: FileToSend[]
  /** place of the files, see {@link AttachmentPlace}; empty: the default of the operation */
  place?: string
  now: Date
}

export interface FhirSender extends Sender {
  /** FHIR base URL of this connection, e.g. `https://api.redoxengine.com/fhir/R4` */
  fhirBase: string
  /** environment as a URL segment: `Development`, `Staging` or `Production` */
  environment: string
}
