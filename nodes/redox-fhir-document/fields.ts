import { DOCUMENT_STATUS } from '../../src/shared/values'
import { FHIR_CONNECTION } from '../lib/fields/connection'
import {
  CATEGORY,
  CODE_SYSTEMS,
  DATA,
  fhirFile,
  identifierRows,
  PATIENT,
  PATIENT_ID,
  SAMPLE_TIME,
  SLUG,
} from '../lib/fields/fhir'
import { fileRows } from '../lib/fields/file'
import { section, table } from '../lib/fields/types'

export const fields = table('redox-fhir-document', 2, [
  ...FHIR_CONNECTION,
  ...fileRows({}),
  SLUG,
  ...PATIENT_ID,
  {
    name: 'code',
    kind: 'typed',
    icon: 'barcode',
    hint: 'codeType',
    set: 'typeCode',
    checks: ['loinc'],
    problemsAt: ['main.type', 'main.type.coding'],
  },
  ...fhirFile('placeDocument'),
  ...PATIENT,
  ...section('resource', [
    {
      name: 'codeSystem',
      kind: 'typed',
      icon: 'barcode',
      set: 'typeSystem',
      with: 'code',
      suggest: CODE_SYSTEMS,
    },
    { name: 'codeDisplay', kind: 'typed', icon: 'barcode', set: 'typeDisplay', with: 'code' },
    {
      name: 'resourceStatus',
      kind: 'typed',
      icon: 'check-circle-o',
      hint: 'statusDocument',
      path: 'main.status',
      checks: ['documentStatus'],
      suggest: DOCUMENT_STATUS,
      sample: null,
    },
    CATEGORY,
    ...identifierRows('identifierDocument'),
    {
      name: 'date',
      kind: 'typed',
      icon: 'clock-o',
      path: 'main.date',
      checks: ['dateTime'],
      sample: SAMPLE_TIME,
    },
    { name: 'description', kind: 'typed', icon: 'comment-o', path: 'main.description' },
  ]),
  ...DATA,
])
