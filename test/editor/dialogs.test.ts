/** Dialogs of all node types in a browser, with a real Node-RED. */
import assert from 'node:assert/strict'
import {
  cancel,
  chooseType,
  CONFIG_FORM,
  configs,
  done,
  drop,
  field,
  fieldsOf,
  form,
  inputOf,
  nodeOf,
  openConfig,
  opened,
  openNode,
  openSections,
  rowOf,
  RAW_KEY,
  SENDERS,
  setValues,
  type,
  TYPES,
  valuesIn,
  type Field,
} from './dialogs'
import { useEditor, type Editor } from './editor'

/** Test cases: values of select fields, and some form rows that must then be visible or hidden. */
const CONDITIONS: [type: string, choice: Record<string, string>, shown: string[], hidden: string[]][] = [
  ['redox-config', { auth: 'oauth' }, ['clientId', 'keyId', 'privateKey', 'audience'], ['apiKey', 'secret']],
  ['redox-config', { auth: 'legacy' }, ['apiKey', 'secret'], ['clientId', 'keyId', 'privateKey', 'scope']],
  ['redox-config', { delivery: 'direct' }, ['delivery'], ['store', 'storeUrl', 'storeKey', 'storeKeepHours']],
  ['redox-config', { delivery: 'durable', store: 'embedded' }, ['store', 'storeKey'], ['storeUrl']],
  ['redox-config', { delivery: 'durable', store: 'postgresql' }, ['storeUrl', 'storeKeepHours'], []],
  ['redox-upload', { fileFrom: 'path' }, ['file', 'filename'], []],
  [
    'redox-fhir-result',
    { fileFrom: 'none' },
    ['patientId'],
    ['file', 'filename', 'way', 'contentType', 'place'],
  ],
  ['redox-fhir-result', { fileFrom: 'path' }, ['file', 'filename', 'way', 'contentType', 'place'], []],
  [
    'redox-fhir-document',
    { fileFrom: 'none' },
    ['code'],
    ['file', 'filename', 'way', 'contentType', 'place'],
  ],
  [
    'redox-datamodel-note',
    { eventType: 'New', fileFrom: 'message' },
    ['file', 'way'],
    ['originalDocumentId'],
  ],
  [
    'redox-datamodel-note',
    { eventType: 'Replace', fileFrom: 'path' },
    ['originalDocumentId', 'file', 'way'],
    [],
  ],
  [
    'redox-datamodel-note',
    { eventType: 'New', fileFrom: 'none' },
    ['fileFrom'],
    ['file', 'way', 'contentType'],
  ],
  [
    'redox-datamodel-note',
    { eventType: 'Delete', fileFrom: 'message' },
    ['documentId'],
    ['fileFrom', 'file', 'way', 'originalDocumentId'],
  ],
  [
    'redox-datamodel-media',
    { eventType: 'Delete', fileFrom: 'path' },
    ['documentId'],
    ['fileFrom', 'file', 'way', 'originalDocumentId'],
  ],
  [
    'redox-datamodel-media',
    { eventType: 'Replace', fileFrom: 'message' },
    ['originalDocumentId', 'file'],
    [],
  ],
  [
    'redox-datamodel-results',
    { fileFrom: 'none' },
    ['orderId'],
    ['file', 'filename', 'way', 'redoxFileType'],
  ],
]

/** Valid value of a field for each type that a typed input can have. */
const OF_TYPE: Record<string, (name: string) => string> = {
  str: (name) => `${name} <b>"Ü"</b>`,
  msg: (name) => `payload.${name}["a b"][0]`,
  flow: (name) => `flow_${name}`,
  global: (name) => `global_${name}`,
  json: (name) => `{"${name}":[1]}`,
  jsonata: (name) => `$uppercase(payload.${name} & "<Ü>")`,
  env: (name) => `ENV_${name}`,
  environment: () => 'Staging',
  content: () => '',
}
/**
 * Number of times that each dialog is filled in. Each time, a typed input gets another type, so that the test uses
 * every type in many fields.
 */
const ROUNDS = 3

describe('dialogs in the editor', function () {
  this.timeout(240_000)
  const editor = useEditor()
  const page = (): Editor['page'] => editor().page
  const ids = new Map<string, string>()
  const open = (nodeType: string): Promise<void> =>
    nodeType === 'redox-config'
      ? openConfig(page(), ids.get(nodeType)!)
      : openNode(page(), ids.get(nodeType)!)

  it('show the nodes of a flow in the palette, and all types can be added by dragging', async () => {
    const palette = page().locator('.red-ui-palette-node[data-palette-type^="redox-"]')
    const shown = await palette.evaluateAll((nodes) => nodes.map((node) => node.dataset['paletteType']))
    assert.deepEqual(shown.sort(), [...SENDERS, 'redox-log', 'redox-outbox'].sort())
    for (const text of await palette.allInnerTexts()) assert.doesNotMatch(text, RAW_KEY)
    await editor().screenshot('palette')
    for (const [index, nodeType] of SENDERS.entries()) ids.set(nodeType, await drop(page(), nodeType, index))
    await openNode(page(), ids.get('redox-upload')!)
    await page().locator('#node-input-btn-connection-add').click()
    await opened(page(), CONFIG_FORM)
    await type(page(), 'name', 'Test key')
    await done(page())
    const [connection] = await configs(page())
    assert.equal(await field(page(), 'connection').inputValue(), connection)
    await done(page())
    assert.equal((await nodeOf(page(), ids.get('redox-upload')!))['connection'], connection)
    ids.set('redox-config', connection!)
  })

  it("offer Node-RED's own config nodes for TLS and proxy, and save the selection", async () => {
    await open('redox-config')
    await openSections(page())
    for (const [name, url] of [
      ['tls', undefined],
      ['proxy', 'http://proxy.example:3128'],
    ] as const) {
      assert.equal(await field(page(), name).inputValue(), '_ADD_')
      await page().locator(`#node-config-input-btn-${name}-add`).click()
      const own = page().locator('#node-config-dialog-edit-form:not(.redox-form)')
      await own.waitFor()
      if (url !== undefined) await own.locator('#node-config-input-url').fill(url)
      await page().locator('#node-config-dialog-ok').last().click()
      await own.waitFor({ state: 'detached' })
      ids.set(name, await field(page(), name).inputValue())
    }
    await done(page())
    const { tls, proxy } = await nodeOf(page(), ids.get('redox-config')!)
    assert.deepEqual([tls, proxy], [ids.get('tls'), ids.get('proxy')])
    const types = [tls, proxy].map((id) => page().evaluate((one: string) => RED.nodes.node(one)!.type, id))
    assert.deepEqual(await Promise.all(types), ['tls-config', 'http proxy'])
  })

  for (const name of TYPES) {
    describe(name, () => {
      it('is translated, and labels, hints and suggestions belong to their inputs', async () => {
        await open(name)
        await checkTexts(editor())
        await editor().screenshot(name)
        await openSections(page())
        await editor().screenshot(`${name}-sections`)
        await checkLabels(editor())
        await checkSuggestions(editor())
      })

      it('shows the rows of each choice, and loses no value when a choice changes', async () => {
        await open(name)
        await checkConditions(editor())
        for (const [of, choice, shown, hidden] of CONDITIONS.filter(([nodeType]) => nodeType === name)) {
          await openSections(page())
          await setValues(page(), choice)
          for (const row of shown) assert.ok(await rowOf(page(), row).isVisible(), `${of} ${row}`)
          for (const row of hidden) assert.ok(await rowOf(page(), row).isHidden(), `${of} ${row}`)
        }
      })

      it('can be used with the keyboard: Tab reaches every control, Enter opens sections', async () => {
        await open(name)
        const summaries = form(page()).locator('summary')
        for (const summary of await summaries.all()) {
          const section = summary.locator('xpath=..')
          if ((await section.getAttribute('open')) !== null) continue
          const isOpen = () => section.evaluate((one) => (one as HTMLDetailsElement).open)
          // The editor moves the focus once, shortly after the dialog has opened.
          for (let tries = 0; tries < 3 && !(await isOpen()); tries++) await summary.press('Enter')
          assert.equal(await isOpen(), true)
        }
        await checkTabOrder(editor())
      })

      it('keeps typed values, in a new dialog too', async () => {
        await open(name)
        await openSections(page())
        // With durable delivery and PostgreSQL, most fields of the connection are visible.
        const first = name === 'redox-config' ? { delivery: 'durable', store: 'postgresql' } : undefined
        await setValues(page(), first ?? { connection: ids.get('redox-config')! })
        const filled = await typeEverything(editor())
        await editor().screenshot(`${name}-filled`)
        await checkKept(editor(), { nodeType: name, id: ids.get(name)! }, filled, open)
        await editor().screenshot(`${name}-reopened`)
      })

      it('keeps the values of every type of input and of every choice, also hidden ones', async () => {
        const references = {
          connection: ids.get('redox-config')!,
          tls: ids.get('tls')!,
          proxy: ids.get('proxy')!,
        }
        await open(name)
        for (let round = 0; round < ROUNDS; round++) {
          const values = roundOf(await fieldsOf(page()), round + TYPES.indexOf(name), references)
          await setValues(page(), values)
          assert.deepEqual(await valuesIn(page()), values)
          await checkKept(editor(), { nodeType: name, id: ids.get(name)! }, values, open)
        }
      })
    })
  }

  describe('all dialogs', () => {
    it('offer every type of a typed input in its menu, and allow values that are not suggested', async () => {
      await open('redox-datamodel-note')
      const labels = await chooseType(page(), 'documentType', 'msg.')
      assert.equal(labels.length, 6, labels.join())
      await type(page(), 'documentType', 'payload.kind')
      await chooseType(page(), 'documentType', 'string')
      await type(page(), 'documentType', 'A kind of its own')
      await done(page())
      const node = await nodeOf(page(), ids.get('redox-datamodel-note')!)
      assert.deepEqual([node['documentType'], node['documentTypeType']], ['A kind of its own', 'str'])
    })

    it('show the target of messages for each environment, and Production in another style', async () => {
      await openConfig(page(), ids.get('redox-config')!)
      const looks = new Map<string, { text: string; environment: string; border: string; color: string }>()
      for (const environment of ['Sandbox', 'Development', 'Staging', 'Production']) {
        await setValues(page(), { environment, environmentType: 'environment' })
        looks.set(environment, await banner(editor()))
        assert.equal(looks.get(environment)!.environment, environment)
        await editor().screenshot(`redox-config-${environment}`)
      }
      assert.match(looks.get('Sandbox')!.text, /nothing leaves this machine/)
      assert.equal(looks.get('Staging')!.text, 'Staging: Messages leave this machine. Use test data only.')
      assert.equal(looks.get('Production')!.text, 'PRODUCTION: real patients.')
      for (const environment of ['Sandbox', 'Development', 'Staging']) {
        assert.notEqual(looks.get(environment)!.border, looks.get('Production')!.border)
        assert.notEqual(looks.get(environment)!.color, looks.get('Production')!.color)
      }
      await setValues(page(), { environmentType: 'env', environment: 'REDOX_STAGE' })
      assert.equal((await banner(editor())).text, 'The environment comes from the variable REDOX_STAGE.')
      await setValues(page(), { environmentType: 'environment', environment: 'Production' })
      await done(page())
      for (const name of SENDERS) {
        await open(name)
        await field(page(), 'connection').selectOption(ids.get('redox-config')!)
        assert.deepEqual(await banner(editor()), looks.get('Production'), name)
        await field(page(), 'connection').selectOption('_ADD_')
        assert.equal((await banner(editor())).environment, 'none')
        await cancel(page())
      }
    })

    it('keep all values in a deploy and a reload', async () => {
      const saved = (): Promise<unknown> =>
        page().evaluate(() =>
          // After a reload, the config nodes can be in another order.
          RED.nodes
            .createCompleteNodeSet({ credentials: false })
            .sort((one, other) => (one.id < other.id ? -1 : 1)),
        )
      const before = await saved()
      await page().locator('#red-ui-header-button-deploy').click()
      // Node-RED asks for confirmation before the deploy, because some values of this test are invalid.
      await page().locator('.red-ui-notification').getByText('Confirm deploy').click()
      await page().waitForFunction(() => !RED.nodes.dirty())
      await editor().reload()
      await page().waitForFunction(() => RED.nodes.filterNodes({ type: 'redox-upload' }).length > 0)
      assert.deepEqual(await saved(), before)
      await openConfig(page(), ids.get('redox-config')!)
      assert.equal(await field(page(), 'secret').inputValue(), '__PWRD__')
    })
  })
})

// ---- Checks of a dialog -----------------------------------------------------------------------------------

/** Checks that no key of the message catalogue is visible in place of its text, and that no label is empty. */
async function checkTexts({ page }: Editor): Promise<void> {
  const texts = await form(page).evaluate((element) => [
    element.textContent ?? '',
    ...[...element.querySelectorAll<HTMLInputElement>('[placeholder]')].map((input) => input.placeholder),
    ...[...element.querySelectorAll('[aria-label]')].map((one) => one.getAttribute('aria-label')!),
    ...[...element.querySelectorAll('option')].map((option) => option.text),
  ])
  for (const text of texts) assert.doesNotMatch(text, RAW_KEY)
  const empty = await form(page).evaluate((element) =>
    [...element.querySelectorAll('label, summary, select > option')]
      .filter((one) => one.textContent.trim() === '')
      .map((one) => one.outerHTML),
  )
  assert.deepEqual(empty, [])
}

/** Checks that a click on a label focuses its control, and that `aria-describedby` links the control to its hint. */
async function checkLabels({ page }: Editor): Promise<void> {
  let count = 0
  for (const row of await form(page).locator('.form-row:visible').all()) {
    const label = row.locator(':scope > label')
    const text = await label.innerText()
    await label.click()
    const found = await row.evaluate((element) => {
      // A click on the label of one of the editor's own lists opens the list.
      const isMenu = document.activeElement!.closest('.red-ui-typedInput-options') !== null
      const active = isMenu
        ? document.getElementById(element.querySelector('label')!.htmlFor)!
        : document.activeElement!
      const hint = element.querySelector('.redox-hint')
      const described = active.getAttribute('aria-describedby')
      return { isInRow: element.contains(active), described, hint: hint?.id ?? null, says: hint?.textContent }
    })
    if (await page.locator('.red-ui-typedInput-options:visible').count()) await page.keyboard.press('Escape')
    assert.ok(found.isInRow, `The label "${text}" leads nowhere`)
    assert.equal(found.described, found.hint, `The hint of "${text}" is not bound`)
    assert.notEqual(found.says, '')
    count++
  }
  assert.ok(count > 4)
}

/** Checks that a field suggests values only while its type is string, not while it contains a path. */
async function checkSuggestions({ page }: Editor): Promise<void> {
  const found = await form(page).evaluate((element) =>
    [...element.querySelectorAll('datalist')].map((list) => {
      const own: any = $(element).find(`[id="${list.id.replace(/-values$/, '')}"]`)
      const inner = own
        .siblings('.red-ui-typedInput-container')
        .find('.red-ui-typedInput-input')[0] as HTMLElement
      const before = [own.typedInput('type'), own.typedInput('value')]
      own.typedInput('type', 'str')
      const forWords = inner.getAttribute('list') === list.id
      own.typedInput('type', 'msg')
      const forPaths = inner.getAttribute('list') !== null
      own.typedInput('type', before[0])
      own.typedInput('value', before[1])
      return { list: list.id, forWords, forPaths, hasOptions: list.options.length > 0 }
    }),
  )
  for (const { list, ...rest } of found)
    assert.deepEqual(rest, { forWords: true, forPaths: false, hasOptions: true }, list)
}

/** Sets every combination of choices on which rows depend, and checks the visible rows and that no value is lost. */
async function checkConditions({ page }: Editor): Promise<void> {
  const result = await form(page).evaluate((element) => {
    const find = (name: string): any =>
      $(element).find(`[id="node-input-${name}"], [id="node-config-input-${name}"]`)
    const partsOf = (row: HTMLElement): [string, string[]][] =>
      row.dataset['when']!.split(';').map((part) => [part.split('=')[0]!, part.split('=')[1]!.split(',')])
    // Another test checks the rows that depend on a typed input.
    const rows = [...element.querySelectorAll<HTMLElement>('[data-when]')].filter((row) =>
      partsOf(row).every(([name]) => find(name).is('select')),
    )
    const names = [...new Set(rows.flatMap((row) => partsOf(row).map(([name]) => name)))]
    const values = (): string =>
      [...element.querySelectorAll<HTMLInputElement>('input, select, textarea')]
        .filter(({ id }) => !names.some((name) => id.endsWith(`-${name}`)))
        .map(({ id, value }) => `${id}=${value}`)
        .join('\n')
    const optionsOf = (name: string): string[] =>
      [...(find(name)[0] as HTMLSelectElement).options].map(({ value }) => value)
    const first = names.map((name) => find(name).val() as string)
    const before = values()
    let combinations: string[][] = [[]]
    for (const name of names)
      combinations = combinations.flatMap((one) => optionsOf(name).map((v) => [...one, v]))
    const wrong: string[] = []
    for (const combination of [...combinations, first]) {
      names.forEach((name, index) => find(name).val(combination[index]).trigger('change'))
      for (const row of rows) {
        const wanted = partsOf(row).every(([name, wants]) => wants.includes(find(name).val()))
        if ((row.style.display !== 'none') !== wanted)
          wrong.push(`${row.dataset['when']} at ${combination.join()}`)
      }
    }
    return { wrong, kept: values() === before, combinations: combinations.length, rows: rows.length }
  })
  assert.deepEqual(result.wrong, [])
  assert.ok(result.kept)
  assert.ok(result.rows === 0 || result.combinations > 1)
}

/**
 * Presses Tab from the first control on until the focus leaves the dialog, and checks that every control was reached.
 */
async function checkTabOrder({ page }: Editor): Promise<void> {
  const wanted = await form(page).evaluate((element) => {
    const controls = [...element.querySelectorAll<HTMLElement>('input, select, textarea, button, summary')]
    const shown = controls.filter(
      (one) => one.checkVisibility() && one.getAttribute('type') !== 'hidden' && one.tabIndex >= 0,
    )
    shown.forEach((one, index) => (one.dataset['testStop'] = String(index)))
    shown[0]!.focus()
    return shown.length
  })
  const visited = new Set<string>()
  for (let presses = 0; presses < 2 * wanted + 20; presses++) {
    const stop = await form(page).evaluate((element) => {
      const active = document.activeElement as HTMLElement
      return element.contains(active) ? (active.dataset['testStop'] ?? '') : undefined
    })
    if (stop === undefined) break
    if (stop !== '') visited.add(stop)
    await page.keyboard.press('Tab')
  }
  const missed = await form(page).evaluate(
    (element, reached) =>
      [...element.querySelectorAll<HTMLElement>('[data-test-stop]')]
        .filter((one) => !reached.includes(one.dataset['testStop']!))
        .map((one) => one.id || one.outerHTML.slice(0, 100)),
    [...visited],
  )
  assert.deepEqual(missed, [])
  assert.ok(wanted > 5)
}

async function banner({
  page,
}: Editor): Promise<Record<'text' | 'environment' | 'border' | 'color', string>> {
  return form(page)
    .locator('.redox-banner')
    .evaluate((element) => {
      const { borderTopWidth, borderLeftColor, color } = getComputedStyle(element)
      return {
        text: element.textContent ?? '',
        environment: element.getAttribute('data-environment') ?? '',
        border: `${borderTopWidth} ${borderLeftColor}`,
        color,
      }
    })
}

// ---- Values -----------------------------------------------------------------------------------------------

/** Types a value into every visible field, and returns the values of all fields. */
async function typeEverything({ page }: Editor): Promise<Record<string, string>> {
  for (const { name, kind, type: inputType } of await fieldsOf(page)) {
    if (kind === 'select' || !(await inputOf(page, name).isVisible())) continue
    const value = (OF_TYPE[inputType] ?? OF_TYPE['str']!)(name)
    await type(page, name, value)
    const now = await fieldsOf(page)
    assert.equal(now.find((one) => one.name === name)?.value, value, name)
  }
  return valuesIn(page)
}

/** Values for one of the {@link ROUNDS}: another type for every typed input, and another option of every list. */
function roundOf(fields: Field[], round: number, references: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    fields.flatMap(({ name, kind, types, options }, index) => {
      if (name in references) return [[name, references[name]!] as const]
      if (kind === 'select') return [[name, options[round % options.length]!] as const]
      if (kind === 'text') return [[name, `${name} ${round} <b>"Ü"</b>`] as const]
      const chosen = types[(round + index) % types.length]!
      return [[name, OF_TYPE[chosen]!(name)] as const, [`${name}Type`, chosen] as const]
    }),
  )
}

/**
 * Closes the dialog with Done, and checks the saved values. Opens the dialog again, and checks its values and that all
 * sections are open.
 */
async function checkKept(
  { page }: Editor,
  { nodeType, id }: { nodeType: string; id: string },
  values: Record<string, string>,
  open: (nodeType: string) => Promise<void>,
): Promise<void> {
  await done(page)
  const node = await nodeOf(page, id)
  for (const [name, value] of Object.entries(values)) if (name in node) assert.equal(node[name], value, name)
  await open(nodeType)
  assert.deepEqual(await valuesIn(page), values)
  assert.deepEqual(
    await form(page).locator('details:not([open]):not(.redox-preview) > summary').allInnerTexts(),
    [],
  )
}
