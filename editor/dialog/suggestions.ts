/** Values that fields offer, and never force. */
import { DOCUMENT_STATUS, GENDERS, NOTE_CONTENT_TYPES } from '../../src/shared/values'

const AVAILABILITY = ['Available', 'Unavailable', 'Obsolete', 'Deleted', 'Cancelled']
const FILE_TYPES = ['PDF', 'JPG', 'PNG', 'TIFF', 'GIF', 'TEXT', 'RTF', 'XML', 'DOCX', 'DCM']
const RESULT_STATUS = ['final', 'preliminary', 'amended', 'corrected', 'cancelled', 'entered-in-error']

/** By property, or by node type and property. */
const SUGGESTIONS: Record<string, readonly string[]> = {
  typeOfPatientId: ['MR', 'MRN', 'EHRID', 'NIST', 'EPI'],
  typeOfProviderId: ['NPI'],
  sex: ['Female', 'Male', 'Nonbinary', 'Other', 'Unknown'],
  gender: GENDERS,
  documentType: ['Consent Form', 'Treatment Plan', 'Progress Note', 'Discharge Summary', 'Lab Report'],
  availability: AVAILABILITY,
  redoxFileType: FILE_TYPES,
  contentType: ['application/pdf', 'image/jpeg', 'image/png', 'image/tiff', 'text/plain', 'application/rtf'],
  noteContentType: NOTE_CONTENT_TYPES,
  orderStatus: ['Resulted', 'New', 'Update', 'Cancel'],
  resultsStatus: ['Final', 'Preliminary', 'In Process', 'Corrected', 'Canceled', 'Unavailable'],
  resultStatus: ['Final', 'Preliminary', 'Corrected', 'Incomplete'],
  resultCodeset: ['LOINC', 'SNOMED', 'CPT', 'HCPCS'],
  codeSystem: ['http://loinc.org', 'http://snomed.info/sct'],
  'redox-fhir-result.resourceStatus': RESULT_STATUS,
  'redox-fhir-document.resourceStatus': DOCUMENT_STATUS,
  category: ['LAB', 'RAD', 'CG', 'PAT', 'vital-signs', 'laboratory', 'imaging'],
  'redox-fhir-result.place': ['presentedForm[]', 'Media[0].content'],
  'redox-fhir-document.place': ['content[].attachment'],
}

export const suggestionsFor = (type: string, property: string): readonly string[] | undefined =>
  SUGGESTIONS[`${type}.${property}`] ?? SUGGESTIONS[property]
