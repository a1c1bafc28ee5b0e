import { NOTE_CONTENT_TYPES } from '../../src/shared/values'
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

export const fields = table('redox-datamodel-note', 1, [
  ...CONNECTION,
  EVENT_TYPES,
  ...fileRows(HAS_FILE, ['Note.FileContents']),
  DESTINATION_IDS,
  ...PATIENT_ID,
  ...documentRows('Note'),
  ...section('file', [
    ...documentFile('Note'),
    {
      name: 'noteContentType',
      kind: 'typed',
      icon: 'align-left',
      path: 'Note.ContentType',
      checks: ['noteContentType'],
      suggest: NOTE_CONTENT_TYPES,
      sample: null,
    },
  ]),
  ...PATIENT,
  ...documentDetails('Note'),
  ...DATA,
])
