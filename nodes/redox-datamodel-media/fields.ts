import { CONNECTION } from '../lib/fields/connection'
import {
  DATA,
  DESTINATION_IDS,
  documentDetails,
  documentFile,
  documentRows,
  EVENT_TYPES,
  HAS_FILE,
  PATIENT,
  PATIENT_ID,
} from '../lib/fields/datamodel'
import { fileRows } from '../lib/fields/file'
import { section, table } from '../lib/fields/types'

export const fields = table('redox-datamodel-media', 1, [
  ...CONNECTION,
  EVENT_TYPES,
  ...fileRows(HAS_FILE, ['Media.FileContents']),
  DESTINATION_IDS,
  ...PATIENT_ID,
  ...documentRows('Media'),
  ...section('file', documentFile('Media')),
  ...PATIENT,
  ...documentDetails('Media'),
  ...DATA,
])
