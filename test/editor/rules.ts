/** Invalid values of dialog fields, with the sentences that the dialog shows. */
import { SENDERS, TYPES } from './dialogs'

export const UUID = '3f2a8c1e-9d4b-4e6f-8a7c-1b2d3e4f5a6b'
const DATA = { data: 'payload.data' }
const REPLACE = { eventType: 'Replace' }
const UNSOLICITED = { eventType: 'NewUnsolicited' }

/** By node type: values that make a new node valid. */
export const RIGHT: Record<string, Record<string, string>> = {
  'redox-config': {},
  'redox-upload': {},
  'redox-fhir-result': { destination: 'redox-fhir-sandbox', patientId: '1', code: '11502-2' },
  'redox-fhir-document': { destination: 'redox-fhir-sandbox', patientId: '1' },
  'redox-datamodel-note': {
    destination: UUID,
    patientId: '1',
    documentType: 'A',
    documentId: '2',
    documentIdType: 'str',
    providerId: '3',
  },
  'redox-datamodel-results': { destination: UUID, patientId: '1', orderId: '2', resultCode: '3' },
  'redox-datamodel-media': {
    destination: UUID,
    patientId: '1',
    documentType: 'A',
    documentId: '2',
    documentIdType: 'str',
    providerId: '3',
  },
}

const missing = (label: string): string =>
  `No value for ${label}. Fill it in, or provide it in the section Data.`
const NOT_SLUG = 'Destination is an ID (UUID), but the FHIR API needs the slug, such as redox-fhir-sandbox.'
const NOT_ID =
  'Destination must be the ID (UUID) from the Redox dashboard, not the slug. Separate several IDs with commas.'
export const URL_RULE = (label: string): string =>
  `${label} must be a URL that starts with https:// (http:// only for this machine).`

/**
 * Node type, changed values, the field that is then marked as wrong, and the sentence beside it. Rows without a field
 * and a sentence have valid values.
 */
export const RULES: [
  type: string,
  values: Record<string, string>,
  field?: string,
  sentence?: string | RegExp,
][] = [
  ...TYPES.map((type): [string, Record<string, string>] => [type, {}]),
  ...SENDERS.map((type): [string, Record<string, string>, string, RegExp] => [
    type,
    { connection: '' },
    'connection',
    /Connection/,
  ]),
  ...['redox-fhir-result', 'redox-fhir-document', 'redox-upload'].map(
    (type): [string, Record<string, string>, string, string] => [
      type,
      { connection: 'legacy' },
      'connection',
      'Connection uses a legacy API key, which works only with the Data Model API. Choose a connection with an OAuth API key.',
    ],
  ),
  ['redox-upload', { connection: 'legacy', api: 'datamodel' }],
  ['redox-datamodel-note', { connection: 'legacy' }],

  // Destination fields
  ['redox-fhir-result', { destination: UUID }, 'destination', NOT_SLUG],
  ['redox-fhir-document', { destination: UUID.toUpperCase() }, 'destination', NOT_SLUG],
  [
    'redox-fhir-result',
    { destination: 'a slug' },
    'destination',
    'Destination contains characters that a slug cannot have. Copy the slug from the Redox dashboard.',
  ],
  [
    'redox-fhir-result',
    { destination: 'redox' },
    'destination',
    '“redox” is the slug for uploads. It is not a destination.',
  ],
  ['redox-fhir-result', { destination: '', ...DATA }, 'destination', 'No value for Destination.'],
  ['redox-fhir-document', { destination: ' ' }, 'destination', 'No value for Destination.'],
  ['redox-fhir-result', { destination: '${REDOX_SLUG}' }],
  [
    'redox-fhir-result',
    { destination: 'to[', destinationType: 'msg' },
    'destination',
    /^Destination is not a valid expression: /,
  ],
  ['redox-fhir-result', { destination: 'payload.to', destinationType: 'msg' }],
  ...['note', 'results', 'media'].flatMap((kind): typeof RULES => [
    [`redox-datamodel-${kind}`, { destination: 'redox-fhir-sandbox' }, 'destination', NOT_ID],
    [`redox-datamodel-${kind}`, { destination: UUID.slice(0, -1) }, 'destination', NOT_ID],
    [`redox-datamodel-${kind}`, { destination: `${UUID}, ${UUID}` }],
    [`redox-datamodel-${kind}`, { destination: `${UUID}, other` }, 'destination', NOT_ID],
    [`redox-datamodel-${kind}`, { destination: '${REDOX_TO}' }],
    [`redox-datamodel-${kind}`, { destination: '' }, 'destination', missing('Destination')],
    [`redox-datamodel-${kind}`, { destination: '', ...DATA }],
    [`redox-datamodel-${kind}`, { patientId: '' }, 'patientId', missing('Patient ID')],
    [`redox-datamodel-${kind}`, { patientId: '', ...DATA }],
    [
      `redox-datamodel-${kind}`,
      { dob: '31.01.1990' },
      'dob',
      'Birth date · DOB must have the form YYYY-MM-DD.',
    ],
    [`redox-datamodel-${kind}`, { dob: '1990-01-31' }],
    [`redox-datamodel-${kind}`, { dob: 'payload.dob', dobType: 'msg' }],
  ]),

  // Required fields, with and without Data
  ...['note', 'media'].flatMap((kind): typeof RULES => [
    [`redox-datamodel-${kind}`, { documentType: '' }, 'documentType', missing('Document type')],
    [`redox-datamodel-${kind}`, { documentId: '' }, 'documentId', missing('Document ID')],
    [
      `redox-datamodel-${kind}`,
      { documentId: '', documentIdType: 'msg' },
      'documentId',
      missing('Document ID'),
    ],
    [`redox-datamodel-${kind}`, { documentId: '', documentIdType: 'content' }],
    [
      `redox-datamodel-${kind}`,
      { documentId: '', documentIdType: 'content', eventType: 'Delete' },
      'documentId',
      'Document ID cannot be made from the file because a Delete has no file. Enter the ID of the document to delete.',
    ],
    [`redox-datamodel-${kind}`, { providerId: '' }, 'providerId', missing('Provider ID')],
    [`redox-datamodel-${kind}`, { documentType: '', documentId: '', providerId: '', ...DATA }],
    [`redox-datamodel-${kind}`, { ...REPLACE }, 'originalDocumentId', missing('Original document ID')],
    [`redox-datamodel-${kind}`, { ...REPLACE, ...DATA }],
    [`redox-datamodel-${kind}`, { ...REPLACE, originalDocumentId: '1' }],
    [`redox-datamodel-${kind}`, { file: '' }, 'file', 'No value for File.'],
    [`redox-datamodel-${kind}`, { file: '', eventType: 'Delete' }],
    [`redox-datamodel-${kind}`, { file: '', fileFrom: 'none' }],
    [
      `redox-datamodel-${kind}`,
      { documentIdType: 'content', fileFrom: 'none' },
      'documentId',
      'Document ID cannot be made from the file because no file is sent. Enter it here, or provide it in Data.',
    ],
    [`redox-datamodel-${kind}`, { documentIdType: 'content', fileFrom: 'none', ...DATA }],
    [`redox-datamodel-${kind}`, { documentIdType: 'content', eventType: 'Delete', ...DATA }],
  ]),
  ['redox-datamodel-results', { orderId: '' }, 'orderId', missing('Order ID')],
  ['redox-datamodel-results', { orderId: '', ...DATA }],
  [
    'redox-datamodel-results',
    { orderId: '', ...UNSOLICITED },
    'applicationOrderId',
    missing('Filler order ID · ApplicationOrderID'),
  ],
  ['redox-datamodel-results', { orderId: '', applicationOrderId: '1', ...UNSOLICITED }],
  ['redox-datamodel-results', { resultCode: '' }, 'resultCode', missing('Result code')],
  ['redox-fhir-result', { patientId: '' }, 'patientId', missing('Patient ID')],
  ['redox-fhir-result', { code: '' }, 'code', missing('Code')],
  ['redox-fhir-result', { patientId: '', code: '', ...DATA }],
  ['redox-fhir-document', { patientId: '' }, 'patientId', missing('Patient ID')],
  ['redox-upload', { file: '' }, 'file', 'No value for File.'],

  // Dates, fields with a list of allowed values, paths
  ['redox-fhir-result', { birthDate: '1990' }, 'birthDate', 'Birth date must have the form YYYY-MM-DD.'],
  [
    'redox-fhir-result',
    { effective: '2026-01-31' },
    'effective',
    'Effective time must have the form 2026-01-31T09:00:00+01:00, with the time zone (Z = UTC).',
  ],
  ['redox-fhir-result', { effective: '2026-01-31T09:00:00.5+01:00' }],
  [
    'redox-fhir-document',
    { date: 'today' },
    'date',
    'Date must have the form 2026-01-31T09:00:00+01:00, with the time zone (Z = UTC).',
  ],
  [
    'redox-fhir-result',
    { gender: 'Female' },
    'gender',
    'Gender must be one of: female, male, other, unknown.',
  ],
  [
    'redox-fhir-result',
    { resourceStatus: 'current' },
    'resourceStatus',
    /^Status must be one of: registered, partial, .*final/,
  ],
  ['redox-fhir-result', { resourceStatus: 'appended' }],
  [
    'redox-fhir-result',
    { resourceStatus: 'appended', operation: 'Observation/$observation-create' },
    'resourceStatus',
    /^Status must be one of/,
  ],
  [
    'redox-fhir-document',
    { resourceStatus: 'final' },
    'resourceStatus',
    'Status must be one of: current, superseded, entered-in-error.',
  ],
  // Redox's pages disagree on the allowed values of this field, so the dialog accepts any value.
  ['redox-datamodel-media', { availability: 'yes' }],
  [
    'redox-datamodel-note',
    { noteContentType: 'HTML' },
    'noteContentType',
    'Note format · ContentType must be one of: Base64 Encoded, Plain Text, Rich Text.',
  ],
  ['redox-datamodel-note', { noteContentType: 'payload.kind', noteContentTypeType: 'msg' }],
  ['redox-datamodel-note', { data: '{"a":', dataType: 'json' }, 'data', /^Data is not a valid expression: /],
  ...SENDERS.filter((type) => type !== 'redox-upload').flatMap((type): typeof RULES => [
    [type, { data: '[1]', dataType: 'json' }, 'data', /^Data must be a JSON object in curly brackets/],
    [type, { data: '{"a":1}', dataType: 'json' }],
  ]),
  [
    'redox-datamodel-note',
    { data: '$uppercase(', dataType: 'jsonata' },
    'data',
    /^Data is not a valid expression: /,
  ],
  [
    'redox-datamodel-note',
    { data: 'payload[', dataType: 'msg' },
    'data',
    /^Data is not a valid expression: /,
  ],
  ['redox-datamodel-note', { data: '{"a":1}', dataType: 'json' }],
  ['redox-datamodel-note', { data: '$merge([payload])', dataType: 'jsonata' }],
  ['redox-upload', { file: 'payload[', fileType: 'msg' }, 'file', /^File is not a valid expression: /],

  // Fields of the connection
  ['redox-config', { environment: '' }, 'environment', 'No value for Environment.'],
  [
    'redox-config',
    { sourceId: 'my source' },
    'sourceId',
    'Source ID must be a UUID. Copy it from the Redox dashboard.',
  ],
  ['redox-config', { sourceId: '${REDOX_SOURCE}' }],
  ['redox-config', { sourceId: UUID }],
  ...['apiBase', 'blobUploadUrl', 'fhirBase', 'binaryUploadBase'].flatMap((name): typeof RULES => [
    ['redox-config', { [name]: 'api.redoxengine.com' }, name, /must be a URL that starts with https/],
    ['redox-config', { [name]: 'https://api.example.org/x' }],
  ]),
  ['redox-config', { apiBase: 'http://api.redoxengine.com' }, 'apiBase', URL_RULE('API base URL')],
  ['redox-config', { apiBase: 'http://127.0.0.1:1880' }],
  ['redox-config', { apiBase: '${REDOX_API}' }],
  ...[
    'embedBySelfKb',
    'dataModelEmbedMb',
    'requestMb',
    'uploadMb',
    'answerTimeout',
    'connectTimeout',
    'sendsAtOnce',
  ].flatMap((name): typeof RULES => [
    ['redox-config', { [name]: '0' }, name, / must be a number greater than 0\.$/],
    ['redox-config', { [name]: 'two' }, name, / must be a number greater than 0\.$/],
    ['redox-config', { [name]: '${REDOX_NUMBER}' }],
  ]),
  ...['storeRetryHours', 'storeKeepHours', 'storeLateMinutes'].flatMap((name): typeof RULES => [
    ['redox-config', { [name]: '0', delivery: 'durable' }, name, / must be a number greater than 0\.$/],
    ['redox-config', { [name]: 'two', delivery: 'durable' }, name, / must be a number greater than 0\.$/],
    ['redox-config', { [name]: '${REDOX_NUMBER}', delivery: 'durable' }],
    ['redox-config', { [name]: '0.5', delivery: 'durable' }],
    ['redox-config', { [name]: '0' }],
  ]),
  ...['Lab', '2lab', 'pg_lab', 'lab-2', 'information_schema', 'a'.repeat(64)].map(
    (storeSchema): (typeof RULES)[number] => [
      'redox-config',
      { storeSchema, delivery: 'durable', store: 'postgresql', storeUrl: 'postgresql://db/x' },
      'storeSchema',
      'Schema may have only lowercase letters, digits and underscores, and must not begin with a digit or pg_.',
    ],
  ),
  ...['', 'lab_2', ' lab ', '${REDOX_SCHEMA}'].map((storeSchema): (typeof RULES)[number] => [
    'redox-config',
    { storeSchema, delivery: 'durable', store: 'postgresql', storeUrl: 'postgresql://db/x' },
  ]),
  ['redox-config', { storeSchema: 'Lab', delivery: 'durable', store: 'embedded' }],
  [
    'redox-config',
    { embedBySelfKb: '20000' },
    'embedBySelfKb',
    'Embed up to (KB) must not be greater than Data Model embed limit (MB) (10 MB).',
  ],
  ['redox-config', { embedBySelfKb: '20000', dataModelEmbedMb: '20' }],
  [
    'redox-config',
    { embedBySelfKb: '150', uploadMb: '0.1' },
    'embedBySelfKb',
    'Embed up to (KB) must not be greater than Upload limit (MB) (0.1 MB).',
  ],
  [
    'redox-config',
    { dataModelEmbedMb: '50' },
    'dataModelEmbedMb',
    'Data Model embed limit (MB) must not be greater than Request limit (MB) (40 MB).',
  ],

  // Fault plans: one sentence for each part of a rule that can be wrong. A test in test/sandbox checks that the sandbox
  // accepts and refuses the same plans.
  ['redox-config', { faults: '# all of them\nseed 42\nendpoint 503 2x' }],
  [
    'redox-config',
    { faults: 'endpoint 503\nhere 503' },
    'faults',
    /^Fault plan, line 2: “here” is not a known place/,
  ],
  ['redox-config', { faults: 'endpoint 200' }, 'faults', /line 1: “200” is not a fault.*half-open/],
  [
    'redox-config',
    { faults: 'endpoint 503 often' },
    'faults',
    /“often” is not a count\. Use once, 3x or 20%,/,
  ],
  ['redox-config', { faults: 'seed x' }, 'faults', /the plan can have one seed, a whole number/],
  ['redox-config', { deliveries: 'delay 5; speed 60\nany 503 2x; my-ehr slow=5 20%' }],
  [
    'redox-config',
    { deliveries: 'any 503\na/b refuse' },
    'deliveries',
    /^Delivery plan, line 2: “a\/b” is not a destination/,
  ],
  ['redox-config', { deliveries: 'any 200' }, 'deliveries', /line 1: “200” is no effect.*slow=5/],
  ['redox-config', { deliveries: 'delay' }, 'deliveries', /delay and speed are numbers/],
  ['redox-config', { deliveries: 'any 503 often' }, 'deliveries', /“often” is not a count/],
  ['redox-config', { deliveries: 'nonsense', environment: 'REDOX_STAGE', environmentType: 'env' }],
  ['redox-config', { faults: 'nonsense', environment: 'REDOX_STAGE', environmentType: 'env' }],
]
