import type { Sender } from './datamodel'
import type { FieldValue } from './fields'
import type { PlacedFile } from './prepared'

export interface Operation {
  /** the resource that the message is about */
  type: 'DiagnosticReport' | 'Observation' | 'DocumentReference'
  /** last part of the MessageHeader's `eventUri` (docs/redox-api.md#fhir-operations) */
  event: string
  /** where the files go unless the node says otherwise (docs/redox-api.md#fhir-operations, #attachments) */
  place: string
  /** `status` when neither the form nor the data gives one */
  status: string
}

/** Redox's FHIR operations that carry files (docs/redox-api.md#fhir-operations). */
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
  /** a Bundle, one resource, or an array of resources; may be left out when the fields say enough */
  data?: unknown
  /** paths begin with `main` (the resource the message is about) or `Patient`, e.g. `main.code.coding[0].code` */
  fields: FieldValue[]
  files: PlacedFile[]
  /** see {@link AttachmentPlace}; empty: the documented one */
  place?: string
  now: Date
}

export interface FhirSender extends Sender {
  /** `https://api.redoxengine.com/fhir/R4` of this connection */
  fhirBase: string
  /** `Development`, `Staging`, `Production` as a URL segment */
  environment: string
}
