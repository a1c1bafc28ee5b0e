/** Settings of a connection: fields of the redox-config node. */
import { NAME } from './connection'
import { section, table, type Condition, type Field } from './types'

const OAUTH = { auth: ['oauth'] } as const
const LEGACY = { auth: ['legacy'] } as const
const DURABLE = { delivery: ['durable'] } as const
const SANDBOX = { environmentType: ['environment'], environment: ['Sandbox'] } as const

/** Returns a field for a number above 0. If the field is empty, the default that it shows is used. */
const amount = <const N extends string, const W extends Condition>(name: N, icon: string, when: W) =>
  ({ name, kind: 'text', icon, when, checks: ['amount'] }) as const satisfies Field

const url = <const N extends string>(name: N, icon: string) =>
  ({ name, kind: 'text', icon, checks: ['url'] }) as const satisfies Field

export const settings = table('redox-config', 1, [
  { ...NAME, hint: 'nameOfConnection' },
  {
    name: 'environment',
    kind: 'typed',
    icon: 'globe',
    types: ['environment', 'env'],
    options: ['Sandbox', 'Development', 'Staging', 'Production'],
    value: 'Sandbox',
    valueType: 'environment',
    checks: ['needed'],
    part: 'environment',
  },
  ...section('credentials', { open: true }, [
    { name: 'auth', kind: 'choice', icon: 'key', options: ['oauth', 'legacy'], validator: 'secrets' },
    { name: 'clientId', kind: 'text', icon: 'id-badge', when: OAUTH, validator: 'id' },
    { name: 'keyId', kind: 'text', icon: 'tag', when: OAUTH, validator: 'id' },
    { name: 'privateKey', kind: 'secret', icon: 'lock', when: OAUTH },
    { name: 'apiKey', kind: 'secret', icon: 'id-badge', when: LEGACY },
    { name: 'secret', kind: 'secret', icon: 'lock', when: LEGACY, part: 'key-pair' },
  ]),
  ...section('source', { open: true }, [
    { name: 'sourceId', kind: 'text', icon: 'sign-out', checks: ['uuid'] },
    { name: 'sourceName', kind: 'text', icon: 'font' },
  ]),
  ...section('sandbox', { when: SANDBOX }, [
    { name: 'faults', kind: 'text', icon: 'bolt', lines: true, checks: ['faultPlan'] },
    { name: 'subscribed', kind: 'text', icon: 'list', lines: true, checks: ['destinationId'] },
  ]),
  ...section('machine', [
    { name: 'folders', kind: 'text', icon: 'folder-open', lines: true },
    amount('settleSeconds', 'pause', {}),
    { name: 'cutShort', kind: 'choice', icon: 'scissors', options: ['refuse', 'warn'] },
  ]),
  ...section('network', [
    { name: 'tls', kind: 'node', icon: 'lock', type: 'tls-config', required: false },
    { name: 'proxy', kind: 'node', icon: 'exchange', type: 'http proxy', required: false },
  ]),
  ...section('durable', [
    {
      name: 'delivery',
      kind: 'choice',
      icon: 'send',
      options: ['direct', 'durable'],
      validator: 'store',
    },
    {
      name: 'store',
      kind: 'choice',
      icon: 'database',
      options: ['embedded', 'postgresql'],
      when: DURABLE,
    },
    {
      name: 'storeUrl',
      kind: 'secret',
      icon: 'server',
      when: { ...DURABLE, store: ['postgresql'] },
    },
    { name: 'storeKey', kind: 'secret', icon: 'lock', when: DURABLE, part: 'store-key' },
    {
      name: 'storeOrder',
      kind: 'choice',
      icon: 'sort-amount-asc',
      options: ['destination', 'none'],
      when: DURABLE,
    },
    amount('storeRetryHours', 'clock-o', DURABLE),
    amount('storeKeepHours', 'history', DURABLE),
    amount('storeLateMinutes', 'bell-o', DURABLE),
  ]),
  ...section('delivery', [
    amount('sendsAtOnce', 'arrows-h', {}),
    amount('attempts', 'repeat', {}),
    amount('retryFor', 'clock-o', {}),
    { name: 'repeatUnknown', kind: 'choice', icon: 'question-circle-o', options: ['no', 'yes'] },
    { name: 'otherAnswers', kind: 'choice', icon: 'comment-o', options: ['unknown', 'accepted'] },
    amount('perFiveMinutes', 'tachometer', {}),
    amount('waitingMb', 'inbox', {}),
  ]),
  ...section('hosts', [
    { name: 'region', kind: 'choice', icon: 'map', options: ['US', 'CA'] },
    url('apiBase', 'server'),
    url('blobUploadUrl', 'upload'),
    url('fhirBase', 'server'),
    url('binaryUploadBase', 'upload'),
    {
      name: 'binaryForm',
      kind: 'choice',
      icon: 'file-o',
      options: ['raw', 'fhir-json', 'multipart'],
    },
    { name: 'audience', kind: 'text', icon: 'bullseye', when: OAUTH },
    { name: 'scope', kind: 'text', icon: 'filter', when: OAUTH },
    { name: 'testFlag', kind: 'choice', icon: 'flask', options: ['auto', 'true', 'false'] },
    { name: 'embedBySelfKb', kind: 'text', icon: 'compress', checks: ['amount', 'limits'] },
    { name: 'dataModelEmbedMb', kind: 'text', icon: 'compress', checks: ['amount', 'limits'] },
    amount('requestMb', 'compress', {}),
    amount('uploadMb', 'compress', {}),
    amount('answerTimeout', 'hourglass', {}),
    amount('connectTimeout', 'hourglass', {}),
  ]),
])
