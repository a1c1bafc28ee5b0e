import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  environmentOf,
  openConnection,
  secretTargets,
  type ConnectionConfig,
  type ConnectionSecrets,
} from '../../nodes/lib/connection/connection'
import { durableSettingsOf } from '../../nodes/lib/connection/durable-settings'
import { takeMemory } from '../../src/file/file'
import { uploadDirect } from '../../src/redox/direct-delivery'
import { never, TEST_KEY } from '../lib/redox'
import { holds, settled, texts } from './support'

const numbers = fc.constantFrom(
  ...[
    '',
    '0',
    '-1',
    '1',
    '1.005',
    '0.0001',
    '1e300',
    '1e-300',
    'Infinity',
    'NaN',
    '0x10',
    ' 5 ',
    '1,5',
    '9'.repeat(20),
  ],
)
const urls = fc.constantFrom(
  ...[
    '',
    'https://x.example',
    'https://X.example:443//',
    'https://x.example?',
    'https://x.example/#',
    'https:x.example',
  ],
  ...[
    'https://x\n.example',
    'http://localhost:1',
    'http://127.1:1',
    'https://[::1]',
    'https://',
    '//x.example',
    'file:///x',
  ],
  ...['https://x.example/a b', 'https://\u00fc.example', 'https://a:b@x.example', 'javascript:alert(1)'],
)
const choices = fc.constantFrom(
  '',
  'legacy',
  'oauth',
  'yes',
  'no',
  'CA',
  'us',
  'auto',
  'true',
  'multipart',
  'fhir-json',
  'refuse',
  'warn',
)
const uuid = fc.constantFrom('', 'af394f14-b34a-464f-8d24-895f370af4c9', 'x\r\ny')

/** Values that `${NAME}` can have if the environment variable of the tab or subflow is not a string. */
const typed = fc.constantFrom<unknown>(5, 0, true, false, null, undefined, ['x'], { a: 1 }, NaN)

const CONFIG: Record<keyof ConnectionConfig, fc.Arbitrary<unknown>> = {
  environment: texts,
  environmentType: texts,
  // Ids of config nodes, which are resolved by code that this test does not run.
  tls: fc.constant(''),
  proxy: fc.constant(''),
  // Settings of the sandbox, for which there are other tests.
  faults: fc.constant(''),
  subscribed: fc.constant(''),
  deliveries: fc.constant(''),
  auth: choices,
  clientId: texts,
  keyId: texts,
  platformClientId: texts,
  platformKeyId: texts,
  organizationId: texts,
  environmentId: texts,
  scope: texts,
  sourceId: uuid,
  sourceName: texts,
  testFlag: choices,
  region: choices,
  apiBase: urls,
  blobUploadUrl: urls,
  fhirBase: urls,
  binaryUploadBase: urls,
  audience: urls,
  binaryForm: choices,
  embedBySelfKb: numbers,
  dataModelEmbedMb: numbers,
  requestMb: numbers,
  uploadMb: numbers,
  answerTimeout: numbers,
  connectTimeout: numbers,
  sendsAtOnce: numbers,
  attempts: numbers,
  retryFor: numbers,
  repeatUnknown: choices,
  otherAnswers: choices,
  perFiveMinutes: numbers,
  waitingMb: numbers,
  folders: texts,
  settleSeconds: numbers,
  acceptOnly: texts,
  cutShort: choices,
  delivery: fc.constantFrom('', 'direct', 'durable', 'x'),
  store: fc.constantFrom('', 'embedded', 'postgresql', 'x'),
  storeSchema: texts,
  storeOrder: fc.constantFrom('', 'destination', 'patient', 'none', 'x'),
  storeDuplicates: fc.constantFrom('', 'warn', 'refuse', 'answer', 'x'),
  storeRetryHours: numbers,
  storeKeepHours: numbers,
  storeLateMinutes: numbers,
  storeLimitGb: numbers,
  destinationNames: texts,
}

/** Connection settings in which a few fields have valid or invalid values; the other fields are as in a new node. */
const configs = fc
  .array(
    fc
      .constantFrom(...Object.entries(CONFIG))
      .chain(([name, values]) =>
        fc.tuple(fc.constant(name), fc.oneof({ arbitrary: values, weight: 5 }, texts, typed)),
      ),
    { maxLength: 6 },
  )
  .map((fields) => Object.fromEntries(fields) as ConnectionConfig)

const secrets = fc.oneof(
  fc.constant({ privateKey: TEST_KEY }),
  fc.record({
    privateKey: fc.oneof(
      texts,
      fc.constantFrom('{}', '{"d":1}', '{"keys":[]}', '{"kty":"RSA","d":"x"}', TEST_KEY.slice(0, 300)),
      fc.constant(TEST_KEY.replace(/\n/g, '\\n')),
    ),
    apiKey: texts,
    secret: texts,
    storeKey: fc.oneof(texts, fc.constant('k'.repeat(40))),
    storeUrl: fc.oneof(urls, fc.constant('postgresql://a:b@127.0.0.1:1/x')),
  }),
) as fc.Arbitrary<ConnectionSecrets>

const FILE = takeMemory(Buffer.from('%PDF-1.7'), { where: 'x' }).file
const stopped = AbortSignal.abort()

const SURROUNDINGS = { sandbox: undefined, userDir: '/' }

describe('any configuration', () => {
  it('becomes a connection or REDOX_CONFIGURATION', () =>
    holds(3000, fc.tuple(configs, secrets), async ([config, keys]) => {
      const result = await settled(() => openConnection(config, keys, 'Development', SURROUNDINGS))
      await settled(() => secretTargets(config))
      const durability = await settled(() =>
        durableSettingsOf(config, keys, 'Development', { id: 'x', userDir: '/' }),
      )
      if ('error' in durability) assert.equal(durability.error.code, 'REDOX_CONFIGURATION')
      if ('error' in result) return assert.equal(result.error.code, 'REDOX_CONFIGURATION')
      const { client, sender, origins } = result.value
      for (const url of [sender.fhirBase, ...Object.values(client.settings.hosts)]) {
        assert.ok(URL.canParse(`${url}/x`) && !/[?#\s]/.test(url), url)
        assert.ok(new URL(`${url}/x`).pathname.endsWith('/x'), url)
      }
      assert.ok(
        origins.every((origin) => /^https?:/.test(origin)),
        origins.join(),
      )
      // Nothing is sent: the test checks a request that is only built, and an upload whose signal is already aborted.
      assert.equal(client.previewUpload(FILE, 'binary').length, 1)
      assert.ok(
        'error' in (await settled(() => uploadDirect(client, FILE, { kind: 'blob', signal: stopped }))),
      )
      await client.close()
    }))

  // No server listens on this port, so a request with the settings under test fails without being sent.
  const NOWHERE = 'http://127.0.0.1:1'
  // Durations with fractions of a millisecond are not included; src/transport/http handles them.
  const seconds = numbers.filter((text) => text !== '1.005')
  const limits = fc.record({
    answerTimeout: seconds,
    connectTimeout: seconds,
    retryFor: fc.constant('0.01'),
    sendsAtOnce: numbers,
    perFiveMinutes: fc.constantFrom('', '1'),
    waitingMb: numbers,
    clientId: fc.constant('x'),
    keyId: fc.constant('x'),
    apiBase: fc.constant(NOWHERE),
    blobUploadUrl: fc.constant(NOWHERE),
  })
  it('never lets a request run forever', () =>
    holds(150, limits, async (config) => {
      const result = await settled(() =>
        openConnection(config, { privateKey: TEST_KEY }, 'Development', SURROUNDINGS),
      )
      if ('error' in result) return
      const { client } = result.value
      const sent = await settled(() => uploadDirect(client, FILE, { kind: 'blob', signal: never() }))
      assert.ok('error' in sent)
      assert.notEqual(sent.error.cause.fault, 'UND_ERR_INVALID_ARG')
      await client.close()
    }))

  it('has a known environment or is refused', () =>
    holds(300, fc.oneof(texts, typed), async (value) => {
      const result = await settled(() => environmentOf(value))
      if ('error' in result) assert.equal(result.error.code, 'REDOX_CONFIGURATION')
    }))
})
