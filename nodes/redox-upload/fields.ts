import { connectionOf } from '../lib/fields/connection'
import { contentType, filename, fileRow, redoxFileType, UPLOAD_APIS } from '../lib/fields/file'
import { section, table } from '../lib/fields/types'

export const fields = table('redox-upload', 1, [
  ...connectionOf({ api: ['fhir'] }),
  { name: 'api', kind: 'choice', icon: 'list', options: UPLOAD_APIS },
  {
    name: 'fileFrom',
    kind: 'choice',
    icon: 'folder-open',
    options: ['message', 'path'],
    checks: ['allowedFolder'],
  },
  fileRow({}),
  ...section('file', [filename({}), contentType({}), redoxFileType({})]),
])
