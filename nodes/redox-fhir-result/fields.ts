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

export const OPERATIONS = [
  'DiagnosticReport/$diagnosticreport-create',
  'DiagnosticReport/$diagnosticreport-amend',
  'Observation/$observation-create',
] as const

export const fields = table('redox-fhir-result', 2, [
  ...FHIR_CONNECTION,
  {
    name: 'operation',
    kind: 'choice',
    icon: 'list',
    options: OPERATIONS,
    literal: true,
    tip: { text: 'amend', when: { operation: ['DiagnosticReport/$diagnosticreport-amend'] } },
  },
  ...fileRows({}),
  SLUG,
  ...PATIENT_ID,
  {
    name: 'code',
    kind: 'typed',
    icon: 'barcode',
    set: 'code',
    checks: ['required', 'loinc'],
    problemsAt: ['main.code', 'main.code.coding'],
  },
  ...fhirFile('place'),
  ...PATIENT,
  ...section('resource', [
    {
      name: 'codeSystem',
      kind: 'typed',
      icon: 'barcode',
      set: 'codeSystem',
      with: 'code',
      suggest: CODE_SYSTEMS,
    },
    { name: 'codeDisplay', kind: 'typed', icon: 'barcode', set: 'codeDisplay', with: 'code' },
    {
      name: 'resourceStatus',
      kind: 'typed',
      icon: 'check-circle-o',
      hint: 'statusReport',
      path: 'main.status',
      checks: ['status'],
      suggest: ['final', 'preliminary', 'amended', 'corrected', 'cancelled', 'entered-in-error'],
      sample: null,
    },
    CATEGORY,
    ...identifierRows('identifier'),
    {
      name: 'effective',
      kind: 'typed',
      icon: 'clock-o',
      path: 'main.effectiveDateTime',
      checks: ['dateTime'],
      sample: SAMPLE_TIME,
    },
  ]),
  ...DATA,
])
