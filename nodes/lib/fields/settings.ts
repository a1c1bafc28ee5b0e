/** Settings of a connection: fields of the redox-config node. */
import { TARGETS } from '../../../src/shared/values'
import { fieldNamed } from './conditions'
import { NAME } from './connection'
import { section, table, type Condition, type Field } from './types'

const OAUTH = { auth: ['oauth'] } as const
const LEGACY = { auth: ['legacy'] } as const
const DURABLE = { delivery: ['durable'] } as const
export const SANDBOX = { environmentType: ['environment'], environment: ['Sandbox'] } as const

/** Returns a field for a number above 0. An empty field means the default, which its placeholder shows. */
const amount = <const N extends string, const W extends Condition>(name: N, icon: string, when: W) =>
  ({ name, kind: 'text', icon, when, checks: ['amount'] }) as const satisfies Field

const KB = 1_000
const MB = 1_000_000
const GB = 1_000_000_000

const size = <const N extends string>(name: N, icon: string, bytes: number) =>
  ({ ...amount(name, icon, {}), bytes }) as const satisfies Field

/** Returns a field for a size that must not exceed the sizes in the fields that `notAbove` names. */
const limited = <const N extends string, const O extends readonly string[]>(
  name: N,
  bytes: number,
  notAbove: O,
) => ({ ...size(name, 'compress', bytes), checks: ['amount', 'limits'], notAbove }) as const satisfies Field

/**
 * Returns the properties of a credential field: it is shown for one kind of credentials, and is not checked for the
 * sandbox.
 */
const ofAccount = <const W extends Condition>(when: W) => ({ when, notInSandbox: true }) as const

const url = <const N extends string>(name: N, icon: string) =>
  ({ name, kind: 'text', icon, checks: ['url'] }) as const satisfies Field

export const settings = table('redox-config', 1, [
  { ...NAME, hint: 'nameOfConnection' },
  {
    name: 'environment',
    kind: 'typed',
    icon: 'globe',
    types: ['environment', 'env'],
    options: TARGETS,
    value: 'Sandbox',
    valueType: 'environment',
    checks: ['needed'],
    part: 'environment',
  },
  ...section('credentials', { open: true }, [
    { name: 'auth', kind: 'choice', icon: 'key', options: ['oauth', 'legacy'], validator: 'secrets' },
    { name: 'clientId', kind: 'text', icon: 'id-badge', ...ofAccount(OAUTH), checks: ['needed'] },
    { name: 'keyId', kind: 'text', icon: 'tag', ...ofAccount(OAUTH), validator: 'keyId' },
    { name: 'privateKey', kind: 'secret', icon: 'lock', ...ofAccount(OAUTH), checks: ['privateKey'] },
    { name: 'apiKey', kind: 'secret', icon: 'id-badge', ...ofAccount(LEGACY), checks: ['needed'] },
    {
      name: 'secret',
      kind: 'secret',
      icon: 'lock',
      ...ofAccount(LEGACY),
      checks: ['needed'],
      part: 'key-pair',
    },
  ]),
  ...section('platform', [
    { name: 'platformClientId', kind: 'text', icon: 'id-badge', notInSandbox: true },
    { name: 'platformKeyId', kind: 'text', icon: 'tag', notInSandbox: true },
    { name: 'platformPrivateKey', kind: 'secret', icon: 'lock', notInSandbox: true, checks: ['platformKey'] },
    { name: 'organizationId', kind: 'text', icon: 'building-o', notInSandbox: true },
    { name: 'environmentId', kind: 'text', icon: 'globe', notInSandbox: true },
  ]),
  ...section('source', { open: true }, [
    { name: 'sourceId', kind: 'text', icon: 'sign-out', checks: ['uuid'] },
    { name: 'sourceName', kind: 'text', icon: 'font' },
  ]),
  ...section('sandbox', { when: SANDBOX }, [
    { name: 'faults', kind: 'text', icon: 'bolt', lines: true, checks: ['faultPlan'] },
    { name: 'deliveries', kind: 'text', icon: 'truck', lines: true, checks: ['deliveryPlan'] },
    { name: 'subscribed', kind: 'text', icon: 'list', lines: true, checks: ['destinationId'] },
  ]),
  ...section('machine', [
    { name: 'folders', kind: 'text', icon: 'folder-open', lines: true },
    amount('settleSeconds', 'pause', {}),
    { name: 'acceptOnly', kind: 'text', icon: 'filter', lines: true, checks: ['acceptOnly'] },
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
      validator: 'secrets',
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
      checks: ['needed', 'storeUrl'],
    },
    {
      name: 'storeSchema',
      kind: 'text',
      icon: 'sitemap',
      when: { ...DURABLE, store: ['postgresql'] },
      checks: ['storeSchema'],
    },
    {
      name: 'storeKey',
      kind: 'secret',
      icon: 'lock',
      when: DURABLE,
      checks: ['needed', 'storeKey'],
      part: 'store-key',
    },
    {
      name: 'storeOrder',
      kind: 'choice',
      icon: 'sort-amount-asc',
      options: ['destination', 'patient', 'none'],
      when: DURABLE,
    },
    amount('storeRetryHours', 'clock-o', DURABLE),
    amount('storeKeepHours', 'history', DURABLE),
    {
      name: 'storeDuplicates',
      kind: 'choice',
      icon: 'clone',
      options: ['warn', 'refuse', 'answer'],
      when: DURABLE,
    },
    amount('storeLateMinutes', 'bell-o', DURABLE),
    { ...amount('storeLimitGb', 'hdd-o', DURABLE), bytes: GB },
    {
      name: 'destinationNames',
      kind: 'text',
      icon: 'address-book-o',
      lines: true,
      checks: ['destinationNames'],
    },
  ]),
  ...section('delivery', [
    amount('sendsAtOnce', 'arrows-h', {}),
    amount('attempts', 'repeat', {}),
    amount('retryFor', 'clock-o', {}),
    { name: 'repeatUnknown', kind: 'choice', icon: 'question-circle-o', options: ['no', 'yes'] },
    { name: 'otherAnswers', kind: 'choice', icon: 'comment-o', options: ['unknown', 'accepted'] },
    { name: 'perFiveMinutes', kind: 'text', icon: 'tachometer', checks: ['amountOrNone'] },
    size('waitingMb', 'inbox', MB),
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
    limited('embedBySelfKb', KB, ['dataModelEmbedMb', 'uploadMb']),
    limited('dataModelEmbedMb', MB, ['requestMb']),
    size('requestMb', 'compress', MB),
    size('uploadMb', 'compress', MB),
    amount('answerTimeout', 'hourglass', {}),
    amount('connectTimeout', 'hourglass', {}),
  ]),
])

/** Returns the number of bytes in the unit of a size field; 1 for other fields. */
export function unitOf(name: string): number {
  const field = fieldNamed(settings, name)
  return (field?.kind === 'text' ? field.bytes : undefined) ?? 1
}
