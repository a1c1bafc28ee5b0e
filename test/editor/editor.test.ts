/** The dialogs, as people use them: in a browser, on a real Node-RED. */
import assert from 'node:assert/strict'
import type { Locator, Page } from 'playwright-core'
import { hasChromium, howToRunEditor, openEditor, type Editor } from './editor'

const SENDERS = [
  'redox-upload',
  'redox-fhir-result',
  'redox-fhir-document',
  'redox-datamodel-note',
  'redox-datamodel-results',
  'redox-datamodel-media',
]
/** Keys of the catalogue; one that is seen was not translated. */
const RAW_KEY = /\bredox[\w-]*\.(label|hint|option|section|tip|status|output)\b/
const NUMBERS =
  /^(embedBySelfKb|dataModelEmbedMb|requestMb|uploadMb|answerTimeout|connectTimeout|sendsAtOnce)$/

/** The part of the editor's own API that is called here, inside the page. */
interface EditorNode extends Record<string, unknown> {
  id: string
  validationErrors: unknown[]
}
declare const RED: {
  nodes: {
    getType(type: string): unknown
    node(id: string): EditorNode | null
    filterNodes(filter: { type: string }): EditorNode[]
    eachConfig(visit: (node: EditorNode & { type: string }) => boolean): void
    dirty(): boolean
    createCompleteNodeSet(options: { credentials: boolean }): unknown[]
  }
  editor: {
    edit(node: EditorNode | null): void
    editConfig(name: string, type: string, id: string): void
  }
}

describe('editor', function () {
  this.timeout(120_000)
  let editor: Editor
  let page: Page

  before(async function () {
    if (!hasChromium && !process.env['CI']) {
      console.log(`editor tests: skipped; ${howToRunEditor}`)
      this.skip()
    }
    assert.ok(hasChromium, `No Chromium: ${howToRunEditor}`)
    editor = await openEditor()
    page = editor.page
  })
  after(() => editor?.close())
  afterEach(async () => {
    await closeDialog(page)
    assert.deepEqual(editor.complaints.splice(0), [])
  })

  it('knows all types and shows the six senders in the palette', async () => {
    for (const type of [...SENDERS, 'redox-config']) {
      assert.ok(await page.evaluate((name) => Boolean(RED.nodes.getType(name)), type), type)
    }
    const shown = await palette(page).evaluateAll((nodes) => nodes.map((node) => node.dataset['paletteType']))
    assert.deepEqual(shown.sort(), [...SENDERS].sort())
    for (const text of await palette(page).allInnerTexts()) assert.doesNotMatch(text, RAW_KEY)
    await editor.screenshot('palette')
  })

  describe('dialog of redox-config', () => {
    it('is translated and shows what belongs to each choice', async () => {
      await openConfig(page, '_ADD_')
      await checkTexts(page)
      assert.equal(await typedInputs(page).count(), 1)
      await checkConditions(page, 'node-config-input-')
      await editor.screenshot('redox-config')
    })

    it('tells for each environment what it means', async () => {
      await openConfig(page, '_ADD_')
      const tips = new Set<string>()
      for (const option of ['Built-in sandbox', 'Development', 'Staging', 'Production']) {
        await chooseEnvironment(page, option)
        tips.add(await page.locator('.redox-environment-tip').innerText())
      }
      assert.ok([...tips].some((tip) => /^Nothing leaves this machine/.test(tip)))
      assert.ok([...tips].some((tip) => /^PRODUCTION/.test(tip)))
      await editor.screenshot('redox-config-production')
    })

    it('keeps what was typed', async () => {
      await openConfig(page, '_ADD_')
      const values = await fillIn(page, 'node-config-input-')
      await editor.screenshot('redox-config-filled')
      await done(page)
      const node = await firstConfig(page)
      assert.deepEqual(node.validationErrors, [], 'environment variables are allowed for numbers')
      for (const [name, value] of Object.entries(values))
        if (name in node) assert.equal(node[name], value, name)
      await openConfig(page, node.id)
      assert.deepEqual(await valuesIn(page, 'node-config-input-'), values)
      await checkNothingHidden(page)
      await editor.screenshot('redox-config-reopened')
    })
  })

  SENDERS.forEach((type, index) =>
    describe(`dialog of ${type}`, () => {
      let id: string
      before(async () => {
        id = await dropNode(page, type, index)
      })
      beforeEach(() => openNode(page, id))

      it('is translated and shows what belongs to each choice', async () => {
        await checkTexts(page)
        const wanted = await page.locator('#dialog-form input[data-types]').count()
        assert.ok(wanted > 0)
        assert.equal(await typedInputs(page).count(), wanted)
        await editor.screenshot(type)
        await checkConditions(page, 'node-input-')
      })

      it('keeps what was typed', async () => {
        await page.locator('#node-input-connection').selectOption((await firstConfig(page)).id)
        const values = await fillIn(page, 'node-input-')
        await editor.screenshot(`${type}-filled`)
        await done(page)
        const node = await page.evaluate((nodeId) => RED.nodes.node(nodeId)!, id)
        assert.deepEqual(node.validationErrors, [])
        for (const [name, value] of Object.entries(values)) assert.equal(node[name], value, name)
        await openNode(page, id)
        assert.deepEqual(await valuesIn(page, 'node-input-'), values)
        await checkNothingHidden(page)
        await editor.screenshot(`${type}-reopened`)
      })
    }),
  )

  describe('deploy', () => {
    it('keeps everything in a deploy and a reload', async () => {
      const before = await allNodes(page)
      await page.locator('#red-ui-header-button-deploy').click()
      await page.waitForFunction(() => !RED.nodes.dirty())
      await page.reload()
      await page.locator('.red-ui-palette-node').first().waitFor()
      await page.waitForFunction(() => RED.nodes.filterNodes({ type: 'redox-upload' }).length > 0)
      assert.deepEqual(await allNodes(page), before)
      await editor.screenshot('deployed')
      await openConfig(page, (await firstConfig(page)).id)
      assert.equal(await page.locator('#node-config-input-privateKey').inputValue(), '__PWRD__')
    })
  })
})

// ---- Dialogs ------------------------------------------------------------------------------------------

const palette = (page: Page): Locator => page.locator('.red-ui-palette-node[data-palette-type^="redox-"]')
const form = (page: Page): Locator => page.locator('.red-ui-tray form.redox-form')
const typedInputs = (page: Page): Locator => form(page).locator('.red-ui-typedInput-container')

async function openConfig(page: Page, id: string): Promise<void> {
  await page.evaluate((nodeId) => RED.editor.editConfig('', 'redox-config', nodeId), id)
  await settled(page)
}

async function openNode(page: Page, id: string): Promise<void> {
  await page.evaluate((nodeId) => RED.editor.edit(RED.nodes.node(nodeId)), id)
  await settled(page)
}

/** The tray slides in. */
async function settled(page: Page): Promise<void> {
  await form(page).waitFor()
  await page.waitForTimeout(500)
}

async function done(page: Page): Promise<void> {
  await page.locator('#node-dialog-ok, #node-config-dialog-ok').click()
  await page.locator('.red-ui-tray').waitFor({ state: 'detached' })
}

/** Whether a test came to its end or not, the next one finds no dialog. */
async function closeDialog(page: Page): Promise<void> {
  if ((await page.locator('.red-ui-tray').count()) === 0) return
  await page.locator('#node-dialog-cancel, #node-config-dialog-cancel').click()
  await page.locator('.red-ui-tray').waitFor({ state: 'detached' })
}

/** Drags it from the palette. */
async function dropNode(page: Page, type: string, index: number): Promise<string> {
  const workspace = page.locator('#red-ui-workspace-chart')
  await page.locator(`.red-ui-palette-node[data-palette-type="${type}"]`).dragTo(workspace, {
    targetPosition: { x: 250, y: 100 + index * 60 },
  })
  const [node] = await page.evaluate(
    (wanted) => RED.nodes.filterNodes({ type: wanted }).map(({ id }) => id),
    type,
  )
  return node!
}

/** No key of the catalogue is left to see, and no label is empty. */
async function checkTexts(page: Page): Promise<void> {
  const texts = await form(page).evaluate((element) => [
    element.textContent ?? '',
    ...[...element.querySelectorAll<HTMLInputElement>('[placeholder]')].map((input) => input.placeholder),
    ...[...element.querySelectorAll('option')].map((option) => option.text),
  ])
  for (const text of texts) assert.doesNotMatch(text, RAW_KEY)
  const empty = await form(page).evaluate((element) =>
    [...element.querySelectorAll('label, summary, option')]
      .filter((one) => one.textContent.trim() === '')
      .map((one) => one.outerHTML),
  )
  assert.deepEqual(empty, [])
}

/** Sections that hold something are open. */
async function checkNothingHidden(page: Page): Promise<void> {
  assert.deepEqual(await form(page).locator('details:not([open]) > summary').allInnerTexts(), [])
}

/** Makes every choice that rows depend on, and looks which rows are there. */
async function checkConditions(page: Page, prefix: string): Promise<void> {
  const rows = await form(page).locator('[data-when]').all()
  const conditions = await Promise.all(rows.map((row) => row.getAttribute('data-when')))
  for (const name of new Set(conditions.map((condition) => condition!.split('=')[0]!))) {
    const select = page.locator(`#${prefix}${name}`)
    const first = await select.inputValue()
    for (const value of await optionsOf(select)) {
      await select.selectOption(value)
      for (const [index, row] of rows.entries()) {
        const [by, values] = conditions[index]!.split('=') as [string, string]
        if (by !== name) continue
        const shown = await row.evaluate((element) => element.style.display !== 'none')
        assert.equal(shown, values.split(',').includes(value), `${conditions[index]} at ${value}`)
      }
    }
    await select.selectOption(first)
  }
}

const optionsOf = (select: Locator): Promise<string[]> =>
  select
    .locator('option')
    .evaluateAll((options) => options.map((option) => (option as HTMLOptionElement).value))

async function chooseEnvironment(page: Page, label: string): Promise<void> {
  await typedInputs(page).locator('.red-ui-typedInput-option-trigger').click()
  await page.locator('.red-ui-typedInput-options:visible').getByText(label, { exact: true }).click()
}

// ---- Values -------------------------------------------------------------------------------------------

interface Field {
  name: string
  kind: 'select' | 'typed' | 'text' | 'hidden'
  value: string
}

/** Fills in every field as people would, and returns what all of them hold then, by name. */
async function fillIn(page: Page, prefix: string): Promise<Record<string, string>> {
  await form(page).evaluate((element) =>
    element.querySelectorAll('details').forEach((one) => (one.open = true)),
  )
  const typed: Record<string, string> = {}
  for (const field of await fieldsOf(page, prefix)) {
    if (field.kind !== 'text' && field.kind !== 'typed') continue
    const value = await fillOne(page, prefix, field)
    if (value !== undefined) typed[field.name] = value
  }
  const values = await valuesIn(page, prefix)
  assert.deepEqual({ ...values, ...typed }, values)
  return values
}

/** @returns what was filled in, or undefined for a field that is not shown */
async function fillOne(page: Page, prefix: string, { name, kind }: Field): Promise<string | undefined> {
  const own = page.locator(`#${prefix}${name}`)
  const input = kind === 'typed' ? own.locator('xpath=..').locator('.red-ui-typedInput-input') : own
  if (!(await input.isVisible())) return undefined
  const isProperty = kind === 'typed' && (await page.locator(`#${prefix}${name}Type`).inputValue()) === 'msg'
  const value = NUMBERS.test(name) ? '${REDOX_NUMBER}' : isProperty ? `${name}.value` : `${name} <b>"Ü"</b>`
  await input.fill(value)
  await input.blur()
  return value
}

function fieldsOf(page: Page, prefix: string): Promise<Field[]> {
  const inputs = form(page).locator(`:is(input, select, textarea)[id^="${prefix}"]`)
  return inputs.evaluateAll((elements, start) => {
    const kindOf = (input: HTMLInputElement): Field['kind'] => {
      if (input.hasAttribute('data-types')) return 'typed'
      if (input.tagName === 'SELECT') return 'select'
      return input.type === 'hidden' ? 'hidden' : 'text'
    }
    return (elements as HTMLInputElement[]).map((input) => ({
      name: input.id.slice(start.length),
      kind: kindOf(input),
      value: input.value,
    }))
  }, prefix)
}

async function valuesIn(page: Page, prefix: string): Promise<Record<string, string>> {
  return Object.fromEntries((await fieldsOf(page, prefix)).map(({ name, value }) => [name, value]))
}

async function firstConfig(page: Page): Promise<EditorNode> {
  return page.evaluate(() => {
    const found: EditorNode[] = []
    RED.nodes.eachConfig((node) => {
      if (node.type === 'redox-config') found.push(node)
      return true
    })
    return found[0]!
  })
}

/** All that is saved, without secrets: the editor gives those away once, and never gets them back. */
const allNodes = (page: Page): Promise<unknown> =>
  page.evaluate(() => RED.nodes.createCompleteNodeSet({ credentials: false }))
