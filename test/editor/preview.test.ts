/** Preview of the requests of a send node in its dialog. A preview sends nothing to Redox. */
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import type { Locator, Route } from 'playwright-core'
import { eventually } from '../lib/eventually'
import { ScriptedServer } from '../lib/scripted-server'
import {
  cancel,
  CONFIG_FORM,
  drop,
  field,
  form,
  opened,
  openNode,
  rowOf,
  SENDER_FORM,
  SENDERS,
  setValues,
  type,
} from './dialogs'
import { useEditor, type Editor } from './editor'

const UUID = '3f2a8c1e-9d4b-4e6f-8a7c-1b2d3e4f5a6b'
const REQUEST = /^POST (\S+)\n[^]*\n\n/

/** For each node type: field values that complete a message, and patterns of the previewed URL, body and uploads. */
const COMPLETE: Record<
  string,
  { values: Record<string, string>; path: RegExp; body: RegExp; uploads: RegExp }
> = {
  'redox-upload': {
    values: { api: 'fhir' },
    path: /\/redox\/Development\/Binary$/,
    body: /<\d+ bytes>$/,
    uploads: /./,
  },
  'redox-fhir-result': {
    values: { destination: 'redox-fhir-sandbox', patientId: '1', code: '11502-2' },
    path: /\/redox-fhir-sandbox\/Development\/DiagnosticReport\/\$diagnosticreport-create$/,
    body: /"resourceType": "DiagnosticReport"/,
    uploads: /\/redox\/Development\/Binary$/,
  },
  'redox-fhir-document': {
    values: { destination: 'redox-fhir-sandbox', patientId: '1' },
    path: /\/DocumentReference\/\$documentreference-create$/,
    body: /"resourceType": "DocumentReference"/,
    uploads: /\/redox\/Development\/Binary$/,
  },
  'redox-datamodel-note': {
    values: { destination: UUID, patientId: '1', documentType: 'A', documentId: '2', providerId: '3' },
    path: /\/endpoint$/,
    body: /"DataModel": "Notes"/,
    uploads: /\/upload$/,
  },
  'redox-datamodel-results': {
    values: { destination: UUID, patientId: '1', orderId: '2', resultCode: '3' },
    path: /\/endpoint$/,
    body: /"DataModel": "Results"/,
    uploads: /\/upload$/,
  },
  'redox-datamodel-media': {
    values: { destination: UUID, patientId: '1', documentType: 'A', documentId: '2', providerId: '3' },
    path: /\/endpoint$/,
    body: /"DataModel": "Media"/,
    uploads: /\/upload$/,
  },
}

const CONNECTION = {
  ...{ id: 'connection', type: 'redox-config', version: 1, name: 'Loopback', auth: 'oauth' },
  ...{ environment: 'Development', environmentType: 'environment', clientId: 'a', keyId: 'b', region: 'US' },
  credentials: { privateKey: 'very-secret' },
}

/** By node type: labels of the required fields that are empty in a new node for which a connection is selected. */
const MISSING: Record<string, string[]> = {
  'redox-fhir-result': ['Destination', 'Patient ID', 'Code'],
  'redox-fhir-document': ['Destination', 'Patient ID'],
  'redox-datamodel-note': ['Destination', 'Patient ID', 'Document type', 'Provider ID'],
  'redox-datamodel-results': ['Destination', 'Patient ID', 'Order ID', 'Result code'],
  'redox-datamodel-media': ['Destination', 'Patient ID', 'Document type', 'Provider ID'],
}

describe('preview in the editor', function () {
  this.timeout(240_000)
  const editor = useEditor()
  const page = (): Editor['page'] => editor().page
  let server: ScriptedServer
  const ids = new Map<string, string>()

  before(async () => {
    server = await ScriptedServer.start()
    const connection = { ...CONNECTION, apiBase: server.url, blobUploadUrl: `${server.url}/upload` }
    await editor().reload({ flows: [{ id: 'tab', type: 'tab', label: 'Preview' }, connection] })
    for (const [index, name] of SENDERS.entries()) ids.set(name, await drop(page(), name, index))
  })
  after(() => server?.close())
  afterEach(() => assert.deepEqual(server.requests, []))

  for (const name of SENDERS) {
    it(`of ${name} follows the form: connection, missing values, and the requests, two for an upload`, async () => {
      const { values, path, body, uploads } = COMPLETE[name]!
      await openNode(page(), ids.get(name)!)
      const section = form(page()).locator('.redox-preview')
      await section.locator('summary').click()
      await setValues(page(), { connection: '_ADD_' })
      await section.getByText('Select a connection first.').waitFor()
      await setValues(page(), { connection: 'connection' })
      if (name !== 'redox-upload') {
        await refresh(editor(), 'Please fix:')
        await checkProblems(section, new RegExp(MISSING[name]!.join('|')), MISSING[name]!.length)
        await editor().screenshot(`preview-${name}-problems`)
      }
      await setValues(page(), values)
      await refresh(editor(), 'No problems found.')
      const [only, ...others] = await requests(section)
      assert.deepEqual(others, [])
      if (name.startsWith('redox-fhir')) await checkAdvice(editor(), section)
      checkRequest(only!, path)
      assert.match(only!, body)
      assert.ok(only!.length < 20_000, 'the body is shortened')
      await editor().screenshot(`preview-${name}`)
      if (name === 'redox-upload') {
        await setValues(page(), { api: 'datamodel' })
        await refresh(editor(), 'No problems found.')
        checkRequest((await requests(section))[0]!, /\/upload$/)
        return
      }
      await type(page(), 'patientId', 'typed-just-now')
      await setValues(page(), { way: 'upload' })
      await refresh(editor(), 'No problems found.')
      const [upload, send, ...more] = await requests(section)
      assert.deepEqual(more, [])
      checkRequest(upload!, uploads)
      checkRequest(send!, path)
      assert.match(send!, /reference that the upload returns/)
      assert.match(send!, /typed-just-now/)
      assert.equal(await field(page(), 'way').inputValue(), 'upload')
    })
  }

  it('shows no answer about earlier values of the form', async () => {
    await openNode(page(), ids.get('redox-datamodel-media')!)
    await setValues(page(), { connection: 'connection', ...COMPLETE['redox-datamodel-media']!.values })
    const section = form(page()).locator('.redox-preview')
    await section.locator('summary').click()
    await refresh(editor(), 'No problems found.')
    const held: Route[] = []
    const asked = (value: string): Route | undefined =>
      held.find((route) => route.request().postData()?.includes(value))
    await page().route('**/redox/preview', (route) => void held.push(route))
    await setValues(page(), { documentType: 'Earlier' })
    await eventually('it asks', () => asked('"Earlier"') !== undefined)
    // True as soon as a request has been shown.
    const wasShown = await section.evaluateHandle((preview) => {
      const seen = { request: false }
      const look = (): void => void (seen.request ||= preview.querySelector('pre') !== null)
      new MutationObserver(look).observe(preview, { childList: true, subtree: true })
      return seen
    })
    const answered = page().waitForResponse('**/redox/preview')
    await setValues(page(), { documentType: 'Later' })
    await asked('"Earlier"')!.continue()
    await (await answered).finished()
    await eventually('it asks again', () => asked('"Later"') !== undefined)
    assert.equal(await wasShown.evaluate(({ request }) => request), false)
    await asked('"Later"')!.continue()
    assert.match((await requests(section))[0]!, /"Later"/)
    await page().unroute('**/redox/preview')
  })

  it('follows the form again after the dialog of the connection was open above it', async () => {
    await openNode(page(), ids.get('redox-datamodel-media')!)
    await setValues(page(), { connection: 'connection', ...COMPLETE['redox-datamodel-media']!.values })
    await rowOf(page(), 'connection').locator('[id$="connection-edit"]').click()
    await opened(page(), CONFIG_FORM)
    await cancel(page())
    await opened(page(), SENDER_FORM)
    await type(page(), 'patientId', '')
    await rowOf(page(), 'patientId').getByText('No value for Patient ID.').waitFor()
    await type(page(), 'patientId', 'typed-just-now')
    await rowOf(page(), 'patientId').locator('.redox-fault').waitFor({ state: 'detached' })
    const section = form(page()).locator('.redox-preview')
    await section.locator('summary').click()
    await refresh(editor(), 'No problems found.')
    assert.match((await requests(section))[0]!, /typed-just-now/)
    await cancel(page())
  })

  it('keeps the result of the latest request when an earlier answer arrives later', async () => {
    let release = (): void => undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    await page().route('**/redox/preview', async (route) => {
      await held
      await route.continue()
    })
    await openNode(page(), ids.get('redox-datamodel-note')!)
    const section = form(page()).locator('.redox-preview')
    await setValues(page(), { connection: 'connection' })
    const asked = page().waitForRequest('**/redox/preview')
    await section.locator('summary').click()
    const request = await asked
    await setValues(page(), { connection: '_ADD_' })
    await section.getByText('Select a connection first.').waitFor()
    release()
    await (await request.response())!.finished()
    // When the response to this new request arrives, the editor has already processed the delayed response.
    await page().evaluate(() => fetch('settings').then((answer) => answer.text()))
    assert.equal(await section.locator('.redox-preview-result').innerText(), 'Select a connection first.')
    await page().unroute('**/redox/preview')
    await cancel(page())
  })

  it('uses undeployed variables, and marks those whose value is known only after a deploy', async () => {
    const { values } = COMPLETE['redox-fhir-document']!
    const node = {
      ...{ type: 'redox-fhir-document', version: 1, x: 300, y: 100, wires: [[]] },
      ...{ ...values, connection: 'connection', patientIdType: 'env', fileFrom: 'message', file: 'payload' },
      ...{ fileType: 'msg', patientIdSystem: 'urn:example:MR', code: '34133-9' },
    }
    const connection = { ...CONNECTION, apiBase: server.url, blobUploadUrl: `${server.url}/upload` }
    const subflow = {
      ...{ id: 'subflow', type: 'subflow', name: 'Letters', in: [], out: [] },
      env: [{ name: 'OF_SUBFLOW', type: 'env', value: 'HOME' }],
    }
    await editor().reload({
      flows: [
        ...[{ id: 'tab', type: 'tab', label: 'Preview' }, connection, subflow],
        ...['PLAIN', 'CODE', 'NOWHERE'].map((name) => ({ ...node, id: name, z: 'tab', patientId: name })),
        { ...node, id: 'inside', z: 'subflow', patientId: 'OF_SUBFLOW' },
      ],
    })
    // Changes the variables of the flow tab as its dialog does after a click on Done. Nothing is deployed.
    await page().evaluate(() => {
      RED.nodes.workspace('tab').env = [
        { name: 'PLAIN', type: 'str', value: 'typed-in-the-tab' },
        { name: 'CODE', type: 'jsonata', value: '$now()' },
      ]
    })
    const previewOf = async (id: string, says: string): Promise<string> => {
      await page().evaluate((one) => RED.editor.edit(RED.nodes.node(one)), id)
      await opened(page(), SENDER_FORM)
      const section = form(page()).locator('.redox-preview')
      await section.locator('summary').click()
      const text = await refresh(editor(), says)
      await editor().screenshot(`preview-variable-${id}`)
      await cancel(page())
      return text
    }
    const plain = await previewOf('PLAIN', 'No problems found.')
    assert.match(plain, /typed-in-the-tab/)
    assert.doesNotMatch(plain, /Notes:/)
    for (const [id, name] of [
      ['CODE', 'CODE'],
      ['inside', 'OF_SUBFLOW'],
    ] as const) {
      const text = await previewOf(id, 'No problems found.')
      const told = `Patient ID: the value of the environment variable ${name} is known only after a deploy`
      assert.equal(text.split(told).length, 2, text)
      assert.match(text, /0000000001/)
    }
    const nowhere = await previewOf('NOWHERE', 'Please fix:')
    assert.match(nowhere, /Patient ID is not set: it refers to the environment variable NOWHERE/)
    assert.doesNotMatch(nowhere, /after a deploy/)
  })

  it('lists missing values of form and message in German, each once', async () => {
    const note = {
      id: 'note',
      type: 'redox-datamodel-note',
      version: 1,
      z: 'tab',
      x: 200,
      y: 500,
      wires: [[]],
    }
    const values = {
      ...COMPLETE['redox-datamodel-note']!.values,
      connection: 'connection',
      fileFrom: 'message',
    }
    // The dialog does not check the content of the field Data. Building the message finds these problems.
    const data = { Patient: { Identifiers: [{ ID: '1', IDType: 'MR' }], Demographics: { Sex: 'x' } } }
    const found = { data: JSON.stringify(data), dataType: 'json', documentType: '', eventType: 'New' }
    await editor().reload({
      flows: [
        { id: 'tab', type: 'tab', label: 'Preview' },
        { ...CONNECTION, apiBase: server.url, blobUploadUrl: `${server.url}/upload` },
        { ...note, ...values, file: 'payload', fileType: 'msg', ...found, dob: '1.1.1990', dobType: 'str' },
      ],
      language: 'de',
    })
    await openNode(page(), 'note')
    const section = form(page()).locator('.redox-preview')
    await section.locator('summary').click()
    await section.locator('pre').waitFor()
    const { problems } = await problemsIn(section)
    await editor().screenshot('preview-german')
    for (const one of problems) assert.doesNotMatch(one, /\b(is|must|missing|Give|Fill)\b/)
    assert.match(problems.join('\n'), /JJJJ-MM-TT/)
    assert.equal(
      problems.filter((one) => /^Kein Wert für Dokumenttyp/.test(one)).length,
      1,
      problems.join('\n'),
    )
    assert.equal(new Set(problems).size, problems.length)
    await editor().reload()
  })
})

/** Checks that the preview shows one list of `count` different problems, which all match the pattern `each`. */
async function checkProblems(section: Locator, each: RegExp, count: number): Promise<void> {
  const { lists, problems } = await problemsIn(section)
  assert.equal(lists, 1)
  for (const one of problems) assert.match(one, each)
  assert.equal(problems.length, count, problems.join('\n'))
  assert.equal(new Set(problems).size, count)
}

/**
 * Number of lists in the preview and the problems in them, read at the same moment. Waits if the preview is empty
 * because it is just being updated.
 */
async function problemsIn(section: Locator): Promise<{ lists: number; problems: string[] }> {
  for (;;) {
    const found = await section.evaluate((preview) => {
      const lists = [...preview.querySelectorAll<HTMLElement>('.redox-bad + ul')]
      const items = lists.flatMap((list) => [...list.querySelectorAll('li')])
      return { lists: lists.length, problems: items.map((item) => item.innerText) }
    })
    if (found.problems.length > 0) return found
    await pause(50)
  }
}

/** Requests that the preview shows. Waits if the preview is empty because it is just being updated. */
async function requests(section: Locator): Promise<string[]> {
  for (;;) {
    const texts = await section.locator('pre').allInnerTexts()
    if (texts.length > 0) return texts
    await pause(50)
  }
}

function checkRequest(text: string, path: RegExp): void {
  const [, url] = REQUEST.exec(text) ?? assert.fail(text)
  assert.match(url!, path)
  assert.match(text, /\nauthorization: Bearer …\n/)
  assert.match(text, /\ncontent-type: \S/)
  assert.doesNotMatch(text, /very-secret/)
}

/** Refreshes the preview until it shows this text. Returns all of its text at that moment. */
async function refresh({ page }: Editor, says: string | RegExp): Promise<string> {
  const section = form(page).locator('.redox-preview')
  const result = section.locator('.redox-preview-result')
  await result.evaluate((element) => element.replaceChildren())
  await section.locator('.redox-preview-refresh').click()
  const wanted = typeof says === 'string' ? new RegExp(says) : says
  // The preview is updated after each change of the form, so its result can change again until the last update.
  const until = Date.now() + 60_000
  let text = await result.innerText()
  while (!wanted.test(text) && Date.now() < until) {
    await pause(50)
    text = await result.innerText()
  }
  assert.match(text, wanted)
  return text
}

/**
 * Checks that a patient ID without its system causes no error, but a recommendation beside the field and in the
 * preview.
 */
async function checkAdvice(editor: Editor, section: Locator): Promise<void> {
  const { page } = editor
  const sentence = 'Recommended: without it, the receiver cannot tell whose number this is.'
  const advice = form(page).locator('.redox-advice').getByText(sentence)
  await advice.waitFor()
  await section.getByText(`Patient ID system: ${sentence}`).waitFor()
  await type(page, 'patientIdSystem', 'urn:example:MR')
  await advice.waitFor({ state: 'detached' })
  await section.getByText(`Patient ID system: ${sentence}`).waitFor({ state: 'detached' })
  const hint = await form(page).locator('#node-input-destination-hint').innerText()
  assert.doesNotMatch(hint, /sandbox/)
}
