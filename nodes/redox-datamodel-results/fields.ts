import { CONNECTION } from '../lib/fields/connection'
import { DATA, DESTINATION_IDS, PATIENT, PATIENT_ID } from '../lib/fields/datamodel'
import { contentType, filename, fileRows, redoxFileType, way, WITH_FILE } from '../lib/fields/file'
import { section, table } from '../lib/fields/types'

export const fields = table('redox-datamodel-results', 1, [
  ...CONNECTION,
  {
    name: 'eventType',
    kind: 'choice',
    icon: 'list',
    options: ['New', 'NewUnsolicited'],
    literal: true,
  },
  ...fileRows({}, ['Orders.Results', 'Orders.Results.Value']),
  DESTINATION_IDS,
  ...PATIENT_ID,
  {
    name: 'orderId',
    kind: 'typed',
    icon: 'hashtag',
    set: 'orderId',
    checks: ['required'],
    checksWhen: { eventType: ['New'] },
    problemsAt: ['Orders'],
  },
  {
    name: 'applicationOrderId',
    kind: 'typed',
    icon: 'hashtag',
    set: 'fillerOrderId',
    checks: ['required'],
    checksWhen: { eventType: ['NewUnsolicited'] },
  },
  { name: 'resultCode', kind: 'typed', icon: 'barcode', set: 'resultCode', checks: ['required', 'loinc'] },
  ...section('file', [
    filename(WITH_FILE),
    contentType(WITH_FILE),
    redoxFileType(WITH_FILE, {}, ['Orders.Results.FileType']),
    way({}),
  ]),
  ...PATIENT,
  ...section('order', [
    {
      name: 'resultCodeset',
      kind: 'typed',
      icon: 'barcode',
      set: 'resultCodeset',
      with: 'resultCode',
      suggest: ['LOINC', 'SNOMED', 'CPT', 'HCPCS'],
    },
    { name: 'resultDescription', kind: 'typed', icon: 'comment-o', set: 'resultDescription' },
    {
      name: 'resultStatus',
      kind: 'typed',
      icon: 'check-circle-o',
      set: 'resultStatus',
      suggest: ['Final', 'Preliminary', 'Corrected', 'Incomplete'],
    },
    {
      name: 'orderStatus',
      kind: 'typed',
      icon: 'check-circle-o',
      set: 'orderStatus',
      suggest: ['Resulted', 'New', 'Update', 'Cancel'],
    },
    {
      name: 'resultsStatus',
      kind: 'typed',
      icon: 'check-circle-o',
      set: 'orderResultsStatus',
      suggest: ['Final', 'Preliminary', 'In Process', 'Corrected', 'Canceled', 'Unavailable'],
    },
  ]),
  ...DATA,
])
