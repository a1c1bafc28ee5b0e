import type { JsonObject } from './json'

/** Messages that every validator must accept. Each call returns a new message, which a test is allowed to change. */

const DESTINATION = '11111111-2222-4333-8444-555555555555'

function meta(DataModel: string, EventType: string): JsonObject {
  return {
    DataModel,
    EventType,
    EventDateTime: '2026-01-31T10:00:00.000Z',
    Test: true,
    Destinations: [{ ID: DESTINATION, Name: 'Test EHR' }],
  }
}

function patient(): JsonObject {
  return {
    Identifiers: [{ ID: '0000000001', IDType: 'MR' }],
    Demographics: { FirstName: 'Zoë', LastName: 'Müller', DOB: '1990-01-01', Sex: 'Female' },
  }
}

export function noteMessage(EventType = 'New'): JsonObject {
  return {
    Meta: meta('Notes', EventType),
    Patient: patient(),
    Visit: { VisitNumber: '1234' },
    Note: {
      ContentType: 'Base64 Encoded',
      ...(EventType === 'Delete'
        ? {}
        : { FileContents: 'JVBERi0xLjcK', FileName: 'report.pdf', FileType: 'PDF' }),
      ...(EventType === 'Replace' ? { OriginalDocumentID: 'doc-1' } : {}),
      DocumentType: 'Discharge letter',
      DocumentID: 'doc-2',
      Provider: { ID: '4356789876', IDType: 'NPI' },
    },
  }
}

export function mediaMessage(EventType = 'New'): JsonObject {
  return {
    Meta: meta('Media', EventType),
    Patient: patient(),
    Media: {
      FileType: 'JPG',
      FileName: 'wound.jpg',
      ...(EventType === 'Delete' ? {} : { FileContents: 'https://blob.redoxengine.com/0b9f6a4e' }),
      ...(EventType === 'Replace' ? { OriginalDocumentID: 'doc-1' } : {}),
      DocumentType: 'Photo',
      DocumentID: 'doc-3',
      Provider: { ID: '4356789876' },
      Authenticated: 'True',
      Availability: 'Available',
    },
  }
}

export function resultsMessage(EventType = 'New'): JsonObject {
  return {
    Meta: meta('Results', EventType),
    Patient: patient(),
    Orders: [
      {
        ...(EventType === 'New' ? { ID: 'order-1' } : { ApplicationOrderID: 'filler-1' }),
        Status: 'Resulted',
        ResultsStatus: 'Final',
        Procedure: { Code: '11502-2', Codeset: 'LOINC', Description: 'Laboratory report' },
        Results: [
          {
            Code: 'PDF',
            Value: 'JVBERi0xLjcK',
            ValueType: 'Encapsulated Data',
            FileType: 'PDF',
            Status: 'Final',
          },
        ],
      },
    ],
  }
}

const HEADER_ID = '11111111-1111-4111-8111-111111111111'

function fhirPatient(): JsonObject {
  return {
    resourceType: 'Patient',
    id: 'patient-1',
    identifier: [{ system: 'urn:redox:redox-fhir-sandbox:MR', value: '0000000001' }],
    name: [{ family: 'Müller', given: ['Zoë'] }],
    gender: 'female',
    birthDate: '1990-01-01',
  }
}

export function attachment(): JsonObject {
  return { contentType: 'application/pdf', data: 'JVBERi0xLjcK', title: 'report.pdf' }
}

function mainResource(type: string): JsonObject {
  const common = { resourceType: type, id: 'main-1', subject: { reference: 'Patient/patient-1' } }
  if (type === 'DocumentReference') {
    return { ...common, status: 'current', content: [{ attachment: attachment() }] }
  }
  const code = { coding: [{ system: 'http://loinc.org', code: '11502-2', display: 'Laboratory report' }] }
  return {
    ...common,
    status: 'final',
    code,
    effectiveDateTime: '2026-01-31T09:00:00Z',
    presentedForm: [attachment()],
  }
}

/**
 * FHIR message for Redox about a DiagnosticReport, Observation or DocumentReference, with header, main resource and
 * patient.
 */
export function fhirMessage(type = 'DiagnosticReport'): JsonObject {
  const header = {
    resourceType: 'MessageHeader',
    id: HEADER_ID,
    eventUri: `https://fhir.redoxengine.com/EventDefinition/${type}Create`,
    source: { name: 'Test lab', endpoint: 'urn:uuid:7ce6f387-c33c-417d-8682-81e83628cbd9' },
    focus: [{ reference: `${type}/main-1` }],
  }
  const base = 'https://api.redoxengine.com/fhir/R4/redox-fhir-sandbox/Development'
  return {
    resourceType: 'Bundle',
    id: 'bundle-1',
    type: 'message',
    timestamp: '2026-01-31T10:00:00.000Z',
    entry: [
      { fullUrl: `urn:uuid:${HEADER_ID}`, resource: header },
      { fullUrl: `${base}/${type}/main-1`, resource: mainResource(type) },
      { fullUrl: `${base}/Patient/patient-1`, resource: fhirPatient() },
    ],
  }
}

/** Bundle of official FHIR examples, which is valid FHIR but violates Redox's rules. */
export function collection(resources: JsonObject[]): JsonObject {
  return { resourceType: 'Bundle', type: 'collection', entry: resources.map((resource) => ({ resource })) }
}
