/** What the dialogs say of wrong values: the field is marked, and the red triangle has the sentence. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { cancel, done, field, form, nodeOf, openConfig, openNode, SENDERS, setValues, TYPES } from './dialogs'
import { useEditor, type Editor } from './editor'

const UUID = '3f2a8c1e-9d4b-4e6f-8a7c-1b2d3e4f5a6b'
const DATA = { data: 'payload.data' }
const REPLACE = { eventType: 'Replace' }
const UNSOLICITED = { eventType: 'NewUnsolicited' }

/** Nodes that nothing is wrong with, beside their defaults. */
const RIGHT: Record<string, Record<string, string>> = {
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
  `${label} is missing. Fill it in, or provide it in the section Data.`
const NOT_SLUG = 'Destination is an ID (UUID), but the FHIR API needs the slug, such as redox-fhir-sandbox.'
const NOT_ID =
  'Destination must be the ID (UUID) from the Redox dashboard, not the slug. Separate several IDs with commas.'
const URL_RULE = (label: string): string =>
  `${label} must be a URL that starts with https:// (http:// only for this machine).`

/** Type, what is changed of the right node, the field at fault, what is said; no sentence: nothing is wrong. */
const RULES: [type: string, values: Record<string, string>, field?: string, sentence?: string | RegExp][] = [
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

  // Destinations
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
  ['redox-fhir-result', { destination: '', ...DATA }, 'destination', 'Destination is missing.'],
  ['redox-fhir-document', { destination: ' ' }, 'destination', 'Destination is missing.'],
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
    [`redox-datamodel-${kind}`, { file: '' }, 'file', 'File is missing.'],
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
  ['redox-upload', { file: '' }, 'file', 'File is missing.'],

  // Dates, words of a list, paths
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
  // Redox's own pages name different sets.
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

  // The connection
  ['redox-config', { environment: '' }, 'environment', 'Environment is missing.'],
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

  // Faults of the sandbox: as many sentences as parts of a rule; each plan is compared in test/unit
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
  ['redox-config', { faults: 'nonsense', environment: 'REDOX_STAGE', environmentType: 'env' }],
]

const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
const PEM = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
const PUBLIC_PEM = pair.publicKey.export({ type: 'spki', format: 'pem' }) as string
const ENCRYPTED = pair.privateKey.export({
  type: 'pkcs8',
  format: 'pem',
  cipher: 'aes-256-cbc',
  passphrase: 'x',
}) as string
const JWK = pair.privateKey.export({ format: 'jwk' })
const PUBLIC_KEY = 'Private key is a public key or a certificate. Paste the matching private key.'
const SHAPE = 'Private key is neither a PEM (from BEGIN PRIVATE KEY to END PRIVATE KEY) nor a JWK.'
const NO_KID = 'Key ID · kid is missing. The private key needs the key ID (kid) of its registered public key.'
const OAUTH = {
  environment: 'Development',
  auth: 'oauth',
  clientId: 'client',
  keyId: 'kid',
  privateKey: PEM,
  apiKey: '',
  secret: '',
}
const LEGACY = {
  ...OAUTH,
  auth: 'legacy',
  clientId: '',
  keyId: '',
  privateKey: '',
  apiKey: UUID,
  secret: 'secret',
}

/** What stands in the form, the fields at fault, what the triangle says. */
const KEYS: [values: Record<string, string>, fields: string[], sentences: string[]][] = [
  [OAUTH, [], []],
  [{ ...OAUTH, privateKey: JSON.stringify({ ...JWK, kid: 'own' }), keyId: '' }, [], []],
  [{ ...OAUTH, privateKey: '${REDOX_KEY}' }, [], []],
  [{ ...OAUTH, clientId: '' }, ['clientId'], ['Client ID is missing.']],
  [{ ...OAUTH, privateKey: PUBLIC_PEM }, ['privateKey'], [PUBLIC_KEY]],
  [
    { ...OAUTH, privateKey: PUBLIC_PEM.replaceAll('PUBLIC KEY', 'CERTIFICATE') },
    ['privateKey'],
    [PUBLIC_KEY],
  ],
  [
    { ...OAUTH, privateKey: JSON.stringify(pair.publicKey.export({ format: 'jwk' })) },
    ['privateKey'],
    [PUBLIC_KEY],
  ],
  [
    { ...OAUTH, privateKey: ENCRYPTED },
    ['privateKey'],
    ['Private key is protected by a passphrase. Export it without a passphrase.'],
  ],
  [{ ...OAUTH, privateKey: Buffer.from(PEM).toString('base64') }, [], []],
  [{ ...OAUTH, privateKey: `{"keys":[${JSON.stringify({ ...JWK, kid: 'own' })}]}`, keyId: '' }, [], []],
  [
    { ...OAUTH, privateKey: PEM.replaceAll('PRIVATE', 'OPENSSH PRIVATE') },
    ['privateKey'],
    ['Private key has the format OpenSSH. Convert it to PEM (PKCS#8) without a passphrase.'],
  ],
  [{ ...OAUTH, privateKey: 'my key' }, ['privateKey'], [SHAPE]],
  [{ ...OAUTH, privateKey: '{"kty":' }, ['privateKey'], [SHAPE]],
  [
    { ...OAUTH, privateKey: '' },
    ['privateKey'],
    ['Private key is missing. A key ID is filled in, but there is no key.'],
  ],
  [{ ...OAUTH, privateKey: '', keyId: '' }, ['privateKey'], ['Private key is missing.']],
  [{ ...OAUTH, keyId: '' }, ['keyId'], [NO_KID]],
  [{ ...OAUTH, privateKey: JSON.stringify(JWK), keyId: '' }, ['keyId'], [NO_KID]],
  [LEGACY, [], []],
  [
    { ...LEGACY, apiKey: '', secret: '' },
    ['apiKey', 'secret'],
    ['API key is missing.', 'Secret is missing.'],
  ],
  [{ ...OAUTH, environment: 'Sandbox', clientId: '', keyId: '', privateKey: '' }, [], []],
]

describe('validators in the editor', function () {
  this.timeout(120_000)
  const editor = useEditor()
  const page = (): Editor['page'] => editor().page
  const idOf = (index: number): string => `case${index}`
  let defaults: Record<string, Record<string, unknown>>

  before(async () => {
    defaults = await page().evaluate((types) => {
      const entries = types.map((type) => {
        const definition = RED.nodes.getType(type) as { defaults: Record<string, { value: unknown }> }
        return [
          type,
          Object.fromEntries(Object.entries(definition.defaults).map(([name, { value }]) => [name, value])),
        ]
      })
      return Object.fromEntries(entries)
    }, TYPES)
  })

  const caseOf = ([type, values]: (typeof RULES)[number], index: number): object => ({
    id: idOf(index),
    type,
    ...defaults[type],
    ...(type !== 'redox-config' && {
      connection: 'connection',
      z: 'tab',
      x: 200,
      y: 40 + 30 * index,
      wires: [[]],
    }),
    ...RIGHT[type],
    ...values,
  })
  const flows = (): object[] => [
    { id: 'tab', type: 'tab', label: 'Cases' },
    { id: 'connection', type: 'redox-config', ...defaults['redox-config'] },
    { id: 'legacy', type: 'redox-config', ...defaults['redox-config'], auth: 'legacy' },
    ...RULES.map(caseOf),
  ]

  it('put each sentence at the red triangle, and nothing at a node that is right', async () => {
    await editor().reload({ flows: flows() })
    const wrong: unknown[] = []
    for (const [index, rule] of RULES.entries()) {
      const [type, values, , sentence] = rule
      const { valid, validationErrors } = await nodeOf(page(), idOf(index))
      const fits =
        sentence === undefined
          ? valid && validationErrors.length === 0
          : !valid &&
            validationErrors.length === 1 &&
            (typeof sentence === 'string'
              ? validationErrors[0] === sentence
              : sentence.test(validationErrors[0]))
      if (!fits) wrong.push({ type, values, wanted: sentence, valid, validationErrors })
      if (type === 'redox-config') continue
      const triangle = page().locator(`[id="${idOf(index)}"] .red-ui-flow-node-error`)
      const shown = (await triangle.getAttribute('class'))?.includes('hide') === false
      if (shown !== (sentence !== undefined))
        wrong.push(`triangle of ${type} ${JSON.stringify(values)}: ${shown}`)
    }
    assert.deepEqual(wrong, [])
    await editor().screenshot('red-triangles')
  })

  for (const type of TYPES) {
    it(`mark the fields of ${type} while people type`, async () => {
      const index = RULES.findIndex(([of]) => of === type)
      if (type === 'redox-config') await openConfig(page(), idOf(index))
      else await openNode(page(), idOf(index))
      const start = { ...defaults[type], connection: 'connection', ...RIGHT[type] } as Record<string, string>
      const wrong: unknown[] = []
      for (const [of, values, at] of RULES) {
        if (of !== type) continue
        const before = Object.fromEntries(Object.keys(values).map((name) => [name, start[name]!]))
        await setValues(page(), values)
        const expected = at === undefined ? [] : [at]
        if (!(await isMarked(editor(), expected))) wrong.push({ values, marked: await marked(editor()) })
        const unexplained = await withoutReason(editor())
        if (unexplained.length > 0) wrong.push({ values, unexplained })
        await setValues(page(), before)
        if (!(await isMarked(editor(), []))) wrong.push({ values, afterwards: await marked(editor()) })
      }
      assert.deepEqual(wrong, [])
    })
  }

  for (const type of TYPES) {
    it(`${type}: each red field has its sentence as soon as the dialog is open`, async () => {
      const empty = Object.fromEntries(Object.keys(RIGHT[type]!).map((name) => [name, '']))
      const bad = {
        'redox-config': { environment: 'Development', sourceId: 'x', apiBase: 'x', delivery: 'durable' },
      }
      const node = { id: 'bad', type, ...defaults[type], ...empty, ...bad[type as 'redox-config'] }
      const place = { z: 'tab', x: 200, y: 60, wires: [[]], connection: '' }
      await editor().reload({ flows: [flows()[0]!, type === 'redox-config' ? node : { ...node, ...place }] })
      if (type === 'redox-config') await openConfig(page(), 'bad')
      else await openNode(page(), 'bad')
      const red = await marked(editor())
      assert.ok(red.length >= (type === 'redox-upload' ? 1 : 3), red.join())
      assert.deepEqual(await withoutReason(editor()), [])
      const said = await form(page()).locator('.redox-fault').allInnerTexts()
      for (const one of said) assert.match(one, /\.$/)
      await editor().screenshot(`faults-${type}`)
    })
  }

  it('take what an earlier release did not save as empty texts, which are not red', async () => {
    const node = { id: 'old', type: 'redox-fhir-result', z: 'tab', x: 200, y: 60, wires: [[]], version: 2 }
    const values = {
      ...RIGHT['redox-fhir-result'],
      connection: 'connection',
      file: 'payload',
      fileType: 'msg',
    }
    await editor().reload({ flows: [...flows().slice(0, 2), { ...node, ...values }] })
    await openNode(page(), 'old')
    assert.ok(await isMarked(editor(), []), (await marked(editor())).join())
    assert.equal(await field(page(), 'familyType').inputValue(), 'str')
  })

  it('say it of a path, too, in a field that no other rule is about', async () => {
    await editor().reload({ flows: flows() })
    await openNode(page(), idOf(RULES.findIndex(([of]) => of === 'redox-fhir-result')))
    await setValues(page(), { family: 'payload[', familyType: 'msg' })
    const row = form(page()).locator('.form-row:has(#node-input-family)')
    await row
      .locator('.redox-fault')
      .getByText(/^Last name · family is not a valid expression: /)
      .waitFor({ state: 'attached' })
    assert.equal(await row.locator('.red-ui-typedInput-container.input-error').count(), 1)
    await setValues(page(), { family: '', familyType: 'msg' })
    await row.locator('.redox-fault').waitFor({ state: 'detached' })
    assert.equal(await row.locator('.input-error').count(), 0)
    await setValues(page(), { family: 'payload[', familyType: 'msg' })
    await done(page())
    const { validationErrors } = await nodeOf(
      page(),
      idOf(RULES.findIndex(([of]) => of === 'redox-fhir-result')),
    )
    assert.match(validationErrors.join(), /^Last name · family is not a valid expression: /)
  })

  it('look at keys: marks while people type, sentences after Done', async () => {
    await editor().reload({ flows: flows().slice(0, 2) })
    for (const [values, fields, sentences] of KEYS) {
      await openConfig(page(), 'connection')
      await setValues(page(), values)
      assert.ok(await isMarked(editor(), fields), `${JSON.stringify(values)} marks ${await marked(editor())}`)
      await done(page())
      const { valid, validationErrors } = await nodeOf(page(), 'connection')
      assert.deepEqual(validationErrors, sentences)
      assert.equal(valid, sentences.length === 0)
    }
  })

  it('say it at the field too, when the mouse is over it', async () => {
    await openConfig(page(), 'connection')
    await setValues(page(), { apiBase: 'ftp://x' })
    await form(page())
      .locator('details')
      .last()
      .evaluate((one) => ((one as HTMLDetailsElement).open = true))
    await field(page(), 'apiBase').hover()
    await page().locator('.red-ui-popover').getByText(URL_RULE('API base URL')).waitFor()
  })

  it('look into variables of the tab and the group, and not into those of the server', async () => {
    const note = { type: 'redox-datamodel-note', connection: 'connection', x: 300, wires: [[]] }
    const of = (id: string, values: object, z = 'tab'): object => ({
      ...{ id, z, ...defaults['redox-datamodel-note'], ...RIGHT['redox-datamodel-note'], ...note },
      ...{ y: 60, patientIdType: 'env', dobType: 'env', ...values },
    })
    const env = (name: string, value: string, type = 'str'): object => ({ name, value, type })
    const tab = {
      ...{ id: 'tab', type: 'tab', label: 'Variables' },
      env: [env('EMPTY', ''), env('DAY', '12.03.1957'), env('FULL', '1'), env('OTHER', 'HOME', 'env')],
    }
    await editor().reload({
      flows: [
        tab,
        flows()[1]!,
        {
          id: 'group',
          type: 'group',
          style: { label: true },
          z: 'tab',
          nodes: ['ingroup'],
          x: 10,
          y: 10,
          w: 300,
          h: 90,
          env: [env('FULL', '')],
        },
        of('empty', { patientId: 'EMPTY', y: 160 }),
        of('day', { dob: 'DAY', patientIdType: 'str', y: 220 }),
        of('full', { patientId: 'FULL', y: 280 }),
        of('other', { patientId: 'OTHER', y: 340 }),
        of('server', { patientId: 'ONLY_THE_SERVER', dob: 'ALSO_THE_SERVER', y: 400 }),
        of('ingroup', { patientId: 'FULL', g: 'group' }),
      ],
    })
    const said = async (id: string): Promise<string[]> => (await nodeOf(page(), id)).validationErrors
    const empty = (name: string, place: string): string[] => [
      `The environment variable ${name} is empty (double-click the ${place}).`,
    ]
    assert.deepEqual(await said('empty'), empty('EMPTY', 'tab'))
    assert.deepEqual(await said('day'), [
      'Birth date · DOB must have the form YYYY-MM-DD. It comes from the environment variable DAY (double-click the tab).',
    ])
    for (const id of ['full', 'other', 'server']) assert.deepEqual(await said(id), [], id)
    assert.deepEqual(await said('ingroup'), empty('FULL', 'group'))
    await openNode(page(), 'empty')
    assert.ok(await isMarked(editor(), ['patientId']), (await marked(editor())).join())
    await form(page()).locator('.redox-fault').getByText(empty('EMPTY', 'tab')[0]!).waitFor()
    await cancel(page())
    // As Done in the dialog of the tab does it.
    await page().evaluate(() => {
      const workspace = RED.nodes.workspace('tab')
      workspace.env = [{ name: 'EMPTY', value: '1', type: 'str' }]
      RED.events.emit('flows:change', workspace)
    })
    await page().waitForFunction(() => RED.nodes.node('empty')!.valid)
    assert.deepEqual(await said('empty'), [])
  })

  it('mark a path where the connection allows no folder', async () => {
    const path = { ...caseOf(['redox-datamodel-note', { fileFrom: 'path' }], 0), id: 'path' }
    const [tab, connection] = flows() as Record<string, unknown>[]
    const sentence =
      'Read file from: the connection allows no folder. Add the folder of the file to the connection (section “Files on this machine”).'
    await editor().reload({ flows: [tab!, connection!, path] })
    assert.deepEqual((await nodeOf(page(), 'path')).validationErrors, [sentence])
    await openNode(page(), 'path')
    await form(page()).locator('.redox-fault').getByText(sentence).waitFor()
    const hint = form(page()).locator('#node-input-file-hint')
    assert.match(await hint.innerText(), /^The path of the file on this machine/)
    await setValues(page(), { fileFrom: 'message' })
    await form(page()).locator('.redox-fault').waitFor({ state: 'detached' })
    assert.match(await hint.innerText(), /^A Buffer, base64 text/)
    assert.match(
      await form(page()).locator('#node-input-destination-hint').innerText(),
      /\. In the sandbox, any UUID works$/,
    )
    await cancel(page())
    await editor().reload({ flows: [tab!, { ...connection, folders: 'scans' }, path] })
    assert.deepEqual((await nodeOf(page(), 'path')).validationErrors, [])
  })

  it('speak German', async () => {
    await editor().reload({ flows: flows(), language: 'de' })
    const index = RULES.findIndex(([, { gender }]) => gender === 'Female')
    assert.deepEqual((await nodeOf(page(), idOf(index)))['validationErrors'], [
      'Geschlecht · gender muss einer dieser Werte sein: female, male, other, unknown.',
    ])
    await editor().reload()
  })
})

const marked = ({ page }: Editor): Promise<string[]> =>
  form(page).evaluate((element) =>
    [...element.querySelectorAll<HTMLElement>(':is(input, select, textarea).input-error[id*="-input-"]')]
      .filter(({ id }) => !id.endsWith('-typed'))
      .map(({ id }) => id.replace(/^node-(config-)?input-/, ''))
      .sort(),
  )

/** Red fields, shown or not, that no sentence stands beneath. */
const withoutReason = ({ page }: Editor): Promise<string[]> =>
  form(page).evaluate((element) =>
    [...element.querySelectorAll('.input-error')]
      .filter((one) => !one.closest('.form-row')?.querySelector('.redox-fault')?.textContent.trim())
      .map((one) => one.id || one.outerHTML.slice(0, 100)),
  )

/** The marks follow a moment later. */
async function isMarked(editor: Editor, fields: string[]): Promise<boolean> {
  const wanted = [...fields].sort().join()
  for (let tries = 0; tries < 20; tries++) {
    if ((await marked(editor)).join() === wanted) return true
    await editor.page.waitForTimeout(10)
  }
  return false
}
