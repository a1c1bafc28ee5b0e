/**
 * What the settings of a connection are called in error texts: the labels of the dialog of redox-config, without their
 * units and without Redox's own names. Compared with the dialog by a test.
 */
export const SETTING_LABELS = {
  environment: 'Environment',
  auth: 'Key type',
  clientId: 'Client ID',
  keyId: 'Key ID',
  privateKey: 'Private key',
  scope: 'Scope',
  apiKey: 'API key',
  secret: 'Secret',
  sourceId: 'Source ID',
  sourceName: 'Source name',
  folders: 'Allowed folders',
  settleSeconds: 'Unchanged for',
  cutShort: 'Truncated files',
  tls: 'TLS',
  proxy: 'Proxy',
  region: 'Region',
  apiBase: 'API base URL',
  blobUploadUrl: 'Blob upload URL',
  fhirBase: 'FHIR base URL',
  binaryUploadBase: 'Binary base URL',
  binaryForm: 'Binary upload body',
  audience: 'Token audience',
  testFlag: 'Test flag',
  embedBySelfKb: 'Embed up to',
  dataModelEmbedMb: 'Data Model embed limit',
  requestMb: 'Request limit',
  uploadMb: 'Upload limit',
  answerTimeout: 'Response timeout',
  connectTimeout: 'Connect timeout',
  sendsAtOnce: 'Concurrent sends',
  attempts: 'Maximum attempts',
  retryFor: 'Retry for',
  repeatUnknown: 'Unknown outcome',
  otherAnswers: 'Other 2xx answers',
  perFiveMinutes: 'Requests per 5 min',
  waitingMb: 'Queue memory',
  faults: 'Fault plan',
  subscribed: 'Subscribed destinations',
  delivery: 'Delivery',
  store: 'Store',
  storeUrl: 'Database URL',
  storeKey: 'Store key',
  storeOrder: 'Ordering',
  storeRetryHours: 'Retry for',
  storeKeepHours: 'Keep delivered',
  storeLateMinutes: 'Late after',
} as const

export type Setting = keyof typeof SETTING_LABELS

/** By the name of the node's property. */
export const settingLabel = (name: string): string =>
  Object.hasOwn(SETTING_LABELS, name) ? SETTING_LABELS[name as Setting] : name
