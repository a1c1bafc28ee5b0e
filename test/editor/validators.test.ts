/** Validation in the dialogs: fields marked as wrong, and sentences in the tooltip of the node's red triangle. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { cancel, done, field, form, nodeOf, openConfig, openNode, setValues, TYPES } from './dialogs'
import { useEditor, type Editor } from './editor'
import { RIGHT, RULES, URL_RULE, UUID } from './rules'

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

/** Test cases: values of the form, fields then marked as wrong, and error texts in the tooltip of the red triangle. */
const KEYS: [values: Record<string, string>, fields: string[], sentences: string[]][] = [
  [OAUTH, [], []],
  [{ ...OAUTH, privateKey: JSON.stringify({ ...JWK, kid: 'own' }), keyId: '' }, [], []],
  [{ ...OAUTH, privateKey: '${REDOX_KEY}' }, [], []],
  [{ ...OAUTH, clientId: '' }, ['clientId'], ['No value for Client ID.']],
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
  [{ ...OAUTH, privateKey: '', keyId: '' }, ['privateKey'], ['No value for Private key.']],
  [{ ...OAUTH, keyId: '' }, ['keyId'], [NO_KID]],
  [{ ...OAUTH, privateKey: JSON.stringify(JWK), keyId: '' }, ['keyId'], [NO_KID]],
  [LEGACY, [], []],
  [
    { ...LEGACY, apiKey: '', secret: '' },
    ['apiKey', 'secret'],
    ['No value for API key.', 'No value for Secret.'],
  ],
  [{ ...OAUTH, environment: 'Sandbox', clientId: '', keyId: '', privateKey: '' }, [], []],
]

describe('validators in the editor', function () {
  this.timeout(240_000)
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

  it('show each sentence at the red triangle, and none at a valid node', async () => {
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
    it(`mark the fields of ${type} while the user types`, async () => {
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
    it(`${type}: each marked field has its sentence as soon as the dialog is open`, async () => {
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

  it('treat properties that an earlier release did not save as empty texts, which are valid', async () => {
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

  it('report a wrong path also in fields without other rules', async () => {
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

  it('check keys: marks while the user types, sentences after Done', async () => {
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

  it('show the sentence also in the tooltip of the field', async () => {
    await openConfig(page(), 'connection')
    await setValues(page(), { apiBase: 'ftp://x' })
    await form(page())
      .locator('details')
      .last()
      .evaluate((one) => ((one as HTMLDetailsElement).open = true))
    await field(page(), 'apiBase').hover()
    await page().locator('.red-ui-popover').getByText(URL_RULE('API base URL')).waitFor()
  })

  it('resolve variables of the tab and the group, but not those of the server', async () => {
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
    // Changes the properties of a flow tab as its dialog does after a click on Done.
    await page().evaluate(() => {
      const workspace = RED.nodes.workspace('tab')
      workspace.env = [{ name: 'EMPTY', value: '1', type: 'str' }]
      RED.events.emit('flows:change', workspace)
    })
    await page().waitForFunction(() => RED.nodes.node('empty')!.valid)
    assert.deepEqual(await said('empty'), [])
  })

  it('mark a path if the connection allows no folder', async () => {
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

  it('have German sentences', async () => {
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

/** Fields, visible or hidden, that are marked as wrong without a sentence below them. */
const withoutReason = ({ page }: Editor): Promise<string[]> =>
  form(page).evaluate((element) =>
    [...element.querySelectorAll('.input-error')]
      .filter((one) => !one.closest('.form-row')?.querySelector('.redox-fault')?.textContent.trim())
      .map((one) => one.id || one.outerHTML.slice(0, 100)),
  )

/** Returns true once exactly these fields are marked; the marks follow a change after a short delay. */
async function isMarked(editor: Editor, fields: string[]): Promise<boolean> {
  const wanted = [...fields].sort().join()
  for (let tries = 0; tries < 20; tries++) {
    if ((await marked(editor)).join() === wanted) return true
    await editor.page.waitForTimeout(10)
  }
  return false
}
