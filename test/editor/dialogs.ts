/** Helpers that operate a dialog as a user does, and read its visible content. */
import assert from 'node:assert/strict'
import type { Locator, Page } from 'playwright-core'
import { eventually } from '../lib/eventually'
import './red'
import type { EditorNode } from './red'

export const SENDERS = [
  'redox-upload',
  'redox-fhir-result',
  'redox-fhir-document',
  'redox-datamodel-note',
  'redox-datamodel-results',
  'redox-datamodel-media',
]
export const TYPES = [...SENDERS, 'redox-config']
/** Pattern for keys of the message catalogue; a key that is visible in the editor is a missing translation. */
export const RAW_KEY = /\bredox[\w-]*\.(label|hint|example|option|section|tip|banner|button|status|output)\b/

/** The topmost dialog. */
export const form = (page: Page): Locator => page.locator('.red-ui-tray form.redox-form').last()
export const field = (page: Page, name: string): Locator =>
  form(page).locator(`[id="node-input-${name}"], [id="node-config-input-${name}"]`)
/** Visible input element of a field; a typed input also has a hidden input element. */
export const inputOf = (page: Page, name: string): Locator =>
  form(page).locator(
    [`node-input-${name}`, `node-config-input-${name}`]
      .flatMap((id) => [`[id="${id}-typed"]`, `[id="${id}"]:not([data-types])`])
      .join(', '),
  )
export const rowOf = (page: Page, name: string): Locator =>
  form(page).locator(`.form-row:has(:is([id="node-input-${name}"], [id="node-config-input-${name}"]))`)

// ---- Open and close -------------------------------------------------------------------------------------

/** Drags a node from the palette into the workspace and returns its id. */
export async function drop(page: Page, nodeType: string, index: number): Promise<string> {
  const workspace = page.locator('#red-ui-workspace-chart')
  await page.locator(`.red-ui-palette-node[data-palette-type="${nodeType}"]`).dragTo(workspace, {
    targetPosition: { x: 250, y: 100 + index * 60 },
  })
  const ids = await page.evaluate(
    (wanted) => RED.nodes.filterNodes({ type: wanted }).map(({ id }) => id),
    nodeType,
  )
  assert.equal(ids.length, 1)
  return ids[0]!
}

/**
 * Opens the dialog of a connection.
 * @param id `_ADD_` for a new connection
 */
export async function openConfig(page: Page, id: string): Promise<void> {
  await page.evaluate((nodeId) => RED.editor.editConfig('', 'redox-config', nodeId), id)
  await opened(page, CONFIG_FORM)
}

/**
 * Opens the dialog of a node, as a double click on it does. A double click itself depends on time: Node-RED ignores a
 * second click later than 650 ms, which happens on a busy machine.
 */
export async function openNode(page: Page, id: string): Promise<void> {
  await page.evaluate((nodeId) => RED.editor.edit(RED.nodes.node(nodeId)), id)
  await opened(page, SENDER_FORM)
}

export const SENDER_FORM = '#dialog-form.redox-form'
export const CONFIG_FORM = '#node-config-dialog-edit-form.redox-form'

/**
 * Waits until the dialog is open and its tray has stopped moving, and until the editor has moved the focus into the
 * dialog. The tray of a dialog that was open before is outside the visible page.
 */
export async function opened(page: Page, dialog: string): Promise<void> {
  await page.locator(dialog).waitFor()
  await page.waitForFunction(async () => {
    const trays = document.querySelectorAll('.red-ui-tray')
    const right = (): number => trays[0]!.getBoundingClientRect().right
    const [before, focused] = [right(), document.activeElement]
    await new Promise((resolve) => setTimeout(resolve, 150))
    const isStill = right() === before && document.activeElement === focused
    // When the editor opens a dialog, its last step is to move the focus into the dialog.
    return trays.length === 1 && isStill && trays[0]!.contains(focused)
  })
}

/** Closes the topmost dialog; the dialog from which it was opened appears again. */
async function end(page: Page, button: 'ok' | 'cancel'): Promise<void> {
  const isConfig = (await page.locator(CONFIG_FORM).count()) > 0
  await page.locator(isConfig ? `#node-config-dialog-${button}` : `#node-dialog-${button}`).click()
  await page.locator(isConfig ? CONFIG_FORM : SENDER_FORM).waitFor({ state: 'detached' })
  await page.waitForFunction(() => document.querySelectorAll('.red-ui-tray').length <= 1)
}

export const done = (page: Page): Promise<void> => end(page, 'ok')
export const cancel = (page: Page): Promise<void> => end(page, 'cancel')

/** Closes all dialogs, so that no dialog is open in the next test even if this test has failed. */
export async function closeDialogs(page: Page): Promise<void> {
  const trays = page.locator('.red-ui-tray')
  for (let left = await trays.count(); left > 0; left = await trays.count()) {
    await cancel(page)
    await page.waitForFunction((before) => document.querySelectorAll('.red-ui-tray').length < before, left)
    if (left > 1) await opened(page, SENDER_FORM)
  }
}

export async function openSections(page: Page): Promise<void> {
  await form(page).evaluate((element) =>
    element
      .querySelectorAll('details:not(.redox-preview)')
      .forEach((one) => ((one as HTMLDetailsElement).open = true)),
  )
}

// ---- Values ---------------------------------------------------------------------------------------------

export interface Field {
  name: string
  kind: 'select' | 'typed' | 'text'
  /** typed inputs only: types that the user can select; `type`: the selected type */
  types: string[]
  type: string
  /** select fields only: options that the user can select */
  options: string[]
  value: string
}

/** All saved fields of the dialog, shown or hidden. */
export function fieldsOf(page: Page): Promise<Field[]> {
  return form(page).evaluate((element) => {
    const inputs = [
      ...element.querySelectorAll<HTMLInputElement>(
        ':is(input, select, textarea):is([id^="node-input-"], [id^="node-config-input-"])',
      ),
    ]
    const own = inputs.filter(
      (input) => input.type !== 'hidden' || element.querySelector(`[id="${input.id}"][data-types]`),
    )
    return own
      .filter(({ id }) => !id.endsWith('-typed'))
      .map((input) => {
        const name = input.id.replace(/^node-(config-)?input-/, '')
        const types = input.dataset['types']?.split(',') ?? []
        return {
          name,
          kind:
            types.length > 0
              ? ('typed' as const)
              : input.tagName === 'SELECT'
                ? ('select' as const)
                : ('text' as const),
          types,
          type: types.length > 0 ? String($(input).typedInput('type')) : '',
          options: input instanceof HTMLSelectElement ? [...input.options].map(({ value }) => value) : [],
          value: types.length > 0 ? String($(input).typedInput('value')) : input.value,
        }
      })
  })
}

/** Values of all fields by property, including the types of typed inputs. */
export async function valuesIn(page: Page): Promise<Record<string, string>> {
  const fields = await fieldsOf(page)
  return Object.fromEntries(
    fields.flatMap(({ name, kind, type: inputType, value }) => [
      [name, value] as const,
      ...(kind === 'typed' ? [[`${name}Type`, inputType] as const] : []),
    ]),
  )
}

/** Sets fields, shown or hidden, through their widgets; `nameType` sets the type of a typed input. */
export async function setValues(page: Page, values: Record<string, string>): Promise<void> {
  await form(page).evaluate((element, wanted) => {
    const find = (name: string): any =>
      $(element).find(`[id="node-input-${name}"], [id="node-config-input-${name}"]`)
    for (const [name, value] of Object.entries(wanted)) {
      const isType = name.endsWith('Type') && find(name.slice(0, -4)).is('[data-types]')
      if (isType) find(name.slice(0, -4)).typedInput('type', value)
    }
    for (const [name, value] of Object.entries(wanted)) {
      const input = find(name)
      if (input.is('[data-types]')) input.typedInput('value', value)
      else if (!input.is('[type=hidden]')) input.val(value).trigger('input').trigger('change')
    }
  }, values)
}

/** Types a value into the visible input of a field. */
export async function type(page: Page, name: string, value: string): Promise<void> {
  const input = inputOf(page, name)
  await input.fill(value)
  await input.blur()
}

/** Selects a type in the menu of a typed input with the mouse, and returns the labels of all types in the menu. */
export async function chooseType(page: Page, name: string, label: string): Promise<string[]> {
  await rowOf(page, name).locator('.red-ui-typedInput-type-select').click()
  const menu = page.locator('.red-ui-typedInput-options:visible')
  const offered = await menu.locator('a').allInnerTexts()
  await menu.locator('a').filter({ hasText: label }).first().click()
  return offered.map((text) => text.trim())
}

export const nodeOf = (page: Page, id: string): Promise<Record<string, any>> =>
  page.evaluate((nodeId) => {
    const node = RED.nodes.node(nodeId)!
    const { valid, validationErrors, changed } = node
    const saved = Object.keys(node._def.defaults).map((name) => [name, node[name]])
    return { id: nodeId, valid, validationErrors, changed, ...Object.fromEntries(saved) }
  }, id)

export const configs = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    const found: string[] = []
    RED.nodes.eachConfig((node: EditorNode) => {
      if (node.type === 'redox-config') found.push(node.id)
      return true
    })
    return found
  })

export async function deploy(page: Page): Promise<void> {
  await page.locator('#red-ui-header-button-deploy').click()
  // Node-RED asks for confirmation before it deploys invalid nodes. Only the button of this question is clicked,
  // because the notification after a deploy also has a button, which deploys again.
  const confirm = page.locator('#red-ui-deploy-dialog-confirm-deploy-deploy')
  const isDeployed = (): Promise<boolean> => page.evaluate(() => !RED.nodes.dirty())
  await eventually(
    'it is deployed, or Node-RED asks',
    async () => (await isDeployed()) || (await confirm.isVisible()),
  )
  if (!(await isDeployed())) await confirm.click()
  await page.waitForFunction(() => !RED.nodes.dirty())
}
