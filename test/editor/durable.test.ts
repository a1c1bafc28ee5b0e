/** Durable delivery in the dialog of the connection: fields, store key and errors. */
import assert from 'node:assert/strict'
import {
  configs,
  deploy,
  done,
  field,
  form,
  nodeOf,
  openConfig,
  openSections,
  rowOf,
  setValues,
} from './dialogs'
import { eventually } from '../lib/eventually'
import { useEditor, type Editor } from './editor'

const DATABASE = ['storeUrl', 'storeSchema']
const DURABLE = [
  'store',
  'storeKey',
  'storeOrder',
  'storeRetryHours',
  'storeKeepHours',
  'storeDuplicates',
  'storeLateMinutes',
]
const KEY = /^[A-Za-z0-9+/]{43}=$/
const SHORT = 'Store key must have at least 16 characters.'
const ATTRIBUTES = '?target_session_attrs=read-write'
const NO_DATABASE = 'Database URL must be an address such as postgresql://user:password@host/database.'

/** Test cases: values of the form, fields then marked as wrong, and error texts in the tooltip of the red triangle. */
const SECRETS: [values: Record<string, string>, fields: string[], sentences: string[]][] = [
  [{ storeKey: 'sixteen letters!' }, [], []],
  [{ storeKey: 'fifteen letters' }, ['storeKey'], [SHORT]],
  [{ storeKey: '${KEY}' }, [], []],
  [{ storeKey: 'known to everybody, for the sandbox only' }, [], []],
  [
    {
      storeKey: 'known to everybody, for the sandbox only',
      environment: 'Production',
      clientId: 'a',
      keyId: 'b',
      privateKey: '${KEY}',
    },
    ['storeKey'],
    ['Store key is the published key of an example. Clear the field to get a new key.'],
  ],
  [{ storeKey: 'short', delivery: 'direct' }, [], []],
  [{ store: 'postgresql', storeUrl: '' }, ['storeUrl'], ['No value for Database URL.']],
  [{ store: 'postgresql', storeUrl: 'postgresql://user:p%40ss@db.example:5432/redox' }, [], []],
  [{ store: 'postgresql', storeUrl: ' postgres://db.example/redox?sslmode=verify-full' }, [], []],
  [{ store: 'postgresql', storeUrl: '${REDOX_STORE_URL}' }, [], []],
  [{ store: 'postgresql', storeUrl: 'db.example/redox' }, ['storeUrl'], [NO_DATABASE]],
  [{ store: 'postgresql', storeUrl: 'mysql://db.example/redox' }, ['storeUrl'], [NO_DATABASE]],
  [{ store: 'postgresql', storeUrl: 'postgresql://db example' }, ['storeUrl'], [NO_DATABASE]],
  [{ store: 'embedded', storeUrl: 'db.example/redox' }, [], []],
  [{ store: 'postgresql', storeUrl: `postgresql://u:p@db1:5432,db2:5432/x${ATTRIBUTES}` }, [], []],
  [{ store: 'postgresql', storeUrl: 'postgresql://u:p@db1:5432,/x' }, ['storeUrl'], [NO_DATABASE]],
  [{ store: 'postgresql', storeUrl: 'x', storeKey: 'short' }, ['storeKey', 'storeUrl'], [NO_DATABASE, SHORT]],
]

describe('durable delivery in the editor', function () {
  this.timeout(240_000)
  const editor = useEditor()
  const page = (): Editor['page'] => editor().page
  const key = (): Promise<string> => field(page(), 'storeKey').inputValue()
  const shownKey = () => form(page()).locator('.redox-store-key')
  const open = async (): Promise<void> => {
    await openConfig(page(), connection)
    await openSections(page())
  }
  let connection: string
  let count = 0

  beforeEach(async () => {
    // A new node id for each test, because Node-RED keeps the credentials of a node by its id.
    connection = `connection${++count}`
    // A connection of release 0.1.0, without the properties of durable delivery.
    const old = { id: connection, type: 'redox-config', name: '', environment: 'Sandbox', auth: 'oauth' }
    await editor().reload({ flows: [old] })
  })

  it('is off for an old and for a new connection, and then shows one field', async () => {
    for (const id of [connection, '_ADD_']) {
      await openConfig(page(), id)
      await openSections(page())
      assert.equal(await field(page(), 'delivery').inputValue(), 'direct')
      for (const name of [...DURABLE, ...DATABASE]) assert.ok(await rowOf(page(), name).isHidden(), name)
      assert.ok(await shownKey().isHidden())
      assert.equal(await key(), '')
      await done(page())
    }
    for (const id of await configs(page())) assert.equal((await nodeOf(page(), id))['delivery'], 'direct')
  })

  it('shows its fields when it is chosen, and the address of the database with PostgreSQL only', async () => {
    await open()
    await setValues(page(), { delivery: 'durable' })
    for (const name of DURABLE) assert.ok(await rowOf(page(), name).isVisible(), name)
    for (const name of DATABASE) assert.ok(await rowOf(page(), name).isHidden(), name)
    await rowOf(page(), 'storeLateMinutes').scrollIntoViewIfNeeded()
    await editor().screenshot('durable-embedded')
    await setValues(page(), { store: 'postgresql' })
    for (const name of DATABASE) assert.ok(await rowOf(page(), name).isVisible(), name)
    await editor().screenshot('durable-postgresql')
    for (const name of ['storeKey', 'storeUrl'])
      assert.equal(await field(page(), name).getAttribute('type'), 'password')
    await setValues(page(), { delivery: 'direct' })
    for (const name of [...DURABLE, ...DATABASE]) assert.ok(await rowOf(page(), name).isHidden(), name)
  })

  it('generates one key of 32 random bytes, shows and copies it, and removes it with direct delivery', async () => {
    await page().context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await open()
    await setValues(page(), { delivery: 'durable' })
    const first = await key()
    assert.match(first, KEY)
    assert.equal(await shownKey().locator('input').inputValue(), first)
    assert.match(
      await shownKey().innerText(),
      /Keep a copy in a safe place: without it, waiting messages cannot be read/,
    )
    await shownKey().locator('.redox-store-key-copy').click()
    assert.equal(await page().evaluate(() => navigator.clipboard.readText()), first)
    await setValues(page(), { delivery: 'direct' })
    assert.equal(await key(), '')
    assert.ok(await shownKey().isHidden())
    await setValues(page(), { delivery: 'durable' })
    assert.notEqual(await key(), first)
    await setValues(page(), { storeKey: '${REDOX_STORE_KEY}' })
    assert.ok(await shownKey().isHidden())
    await setValues(page(), { delivery: 'direct' })
    await setValues(page(), { delivery: 'durable' })
    assert.equal(await key(), '${REDOX_STORE_KEY}')
  })

  it('keeps the key after Done and a deploy, and never shows it again', async () => {
    await open()
    await setValues(page(), { delivery: 'durable' })
    const made = await key()
    await done(page())
    await open()
    assert.equal(await key(), made)
    assert.ok(await shownKey().isHidden())
    await done(page())
    await deploy(page())
    await editor().reload()
    await open()
    assert.equal(await key(), '__PWRD__')
    assert.ok(await shownKey().isHidden())
    await setValues(page(), { delivery: 'direct' })
    await setValues(page(), { delivery: 'durable' })
    assert.equal(await key(), '__PWRD__')
    const text = await page().evaluate(() => document.body.innerText + document.documentElement.innerHTML)
    assert.ok(!text.includes(made))
  })

  it('generates no key by itself if a store may exist: it shows advice and a button that generates a key', async () => {
    const missing = form(page()).locator('.redox-store-key-missing')
    const checkMissing = async (): Promise<void> => {
      await missing.getByText('enter that key from your backup').waitFor()
      assert.equal(await key(), '')
      assert.ok(await shownKey().isHidden())
    }
    const saved = { id: connection, type: 'redox-config', version: 1, name: '', environment: 'Sandbox' }
    const durable = { ...saved, environmentType: 'environment', auth: 'oauth', delivery: 'durable' }
    await editor().reload({ flows: [durable] })
    await open()
    // The deployed connection has no store key, as if Node-RED's credentials file had been lost.
    await checkMissing()
    await setValues(page(), { delivery: 'direct' })
    assert.ok(await missing.isHidden())
    await setValues(page(), { delivery: 'durable' })
    await checkMissing()
    await missing.scrollIntoViewIfNeeded()
    await editor().screenshot('durable-key-missing')
    await setValues(page(), { storeKey: 'the old key of the copy' })
    assert.ok(await missing.isHidden())
    await done(page())
    await deploy(page())
    await eventually('Node-RED has the key', async () => {
      const has = (await (
        await fetch(`${editor().url}credentials/redox-config/${connection}`)
      ).json()) as object
      return 'has_storeKey' in has && has.has_storeKey === true
    })
    await editor().reload()
    await open()
    // When the dialog opens, the editor requests from Node-RED which credentials exist.
    await page().waitForFunction(
      () => document.querySelector<HTMLInputElement>('#node-config-input-storeKey')?.value === '__PWRD__',
    )
    // If the user empties the field of a stored key, the dialog shows the advice for a missing key, too.
    await setValues(page(), { storeKey: '' })
    await checkMissing()
    await missing.getByRole('button').click()
    assert.match(await key(), KEY)
    assert.ok(await missing.isHidden())
    assert.equal(await shownKey().locator('input').inputValue(), await key())
  })

  it('checks key and database: marks while the user types, sentences after Done', async () => {
    for (const [values, fields, sentences] of SECRETS) {
      await open()
      await setValues(page(), {
        delivery: 'durable',
        store: 'embedded',
        storeUrl: '',
        storeKey: 'k'.repeat(16),
      })
      await setValues(page(), values)
      await page().waitForTimeout(50)
      const marked = await form(page())
        .locator('.input-error[id^="node-config-input-"]')
        .evaluateAll((inputs) => inputs.map(({ id }) => id.replace('node-config-input-', '')).sort())
      assert.deepEqual(marked, fields, JSON.stringify(values))
      for (const name of fields) {
        await field(page(), name).focus()
        await field(page(), name).blur()
        const said = rowOf(page(), name).locator('.redox-fault')
        await said.waitFor()
        assert.ok(sentences.includes(await said.innerText()), name)
      }
      await done(page())
      const { valid, validationErrors } = await nodeOf(page(), connection)
      assert.deepEqual(validationErrors, sentences)
      assert.equal(valid, sentences.length === 0)
    }
  })

  it('does not affect the connection test', async () => {
    await open()
    await setValues(page(), {
      delivery: 'durable',
      store: 'postgresql',
      storeUrl: 'postgresql://user:word@host/x',
    })
    const asked = page().waitForRequest('**/redox/test')
    await form(page()).locator('.redox-test').click()
    const sent = (await asked).postData()!
    assert.ok(!sent.includes(await key()) && !sent.includes('user:word'))
    await form(page()).locator('.redox-test-result').getByText('The built-in sandbox answered.').waitFor()
  })

  it('has German texts', async () => {
    await editor().reload({ language: 'de' })
    await open()
    await setValues(page(), { delivery: 'durable', store: 'postgresql' })
    assert.match(await form(page()).innerText(), /Speicherschlüssel.*sicher aufbewahren: Ohne ihn/s)
    await rowOf(page(), 'storeLateMinutes').scrollIntoViewIfNeeded()
    await editor().screenshot('durable-de')
    await setValues(page(), { storeUrl: 'x', storeKey: 'short', storeRetryHours: '0' })
    await done(page())
    assert.deepEqual((await nodeOf(page(), connection))['validationErrors'], [
      'Datenbank-URL muss eine Adresse wie postgresql://user:password@host/database sein.',
      'Speicherschlüssel muss mindestens 16 Zeichen haben.',
      'Wiederholen, längstens (h) muss eine Zahl größer als 0 sein.',
    ])
    await editor().reload()
  })
})
