/** Example flows in the editor: each is imported, deployed, started with a button, and seen in the sandbox inbox. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type { Locator, Page } from 'playwright-core'
import { deploy, form, openNode } from './dialogs'
import { useEditor, type Editor } from './editor'

const FOLDER = path.join(__dirname, '../../../examples')
const SHARED = 'redoxsandboxconf'
const files = readdirSync(FOLDER).filter((name) => name.endsWith('.json'))

interface FlowNode {
  id: string
  type: string
  [property: string]: unknown
}
const read = (name: string): FlowNode[] =>
  JSON.parse(readFileSync(path.join(FOLDER, name), 'utf8')) as FlowNode[]

describe('examples in the editor', function () {
  this.timeout(240_000)
  const editor = useEditor()
  const page = (): Editor['page'] => editor().page

  for (const name of files) {
    it(`"${name}" is imported from the menu, is valid, and sends when a button is pressed`, async () => {
      await editor().reload({ flows: [] })
      const nodes = read(name)
      await importExample(editor(), path.basename(name, '.json'))
      for (const { id, type } of nodes) {
        const found = await page().evaluate((nodeId) => RED.nodes.node(nodeId)?.['validationErrors'], id)
        if (type.startsWith('redox-')) assert.deepEqual(found, [], `${id} in the editor`)
      }
      await deploy(page())
      const button = nodes.find(({ type }) => type === 'inject')
      // Five examples have no button for this test: one starts with an HTTP page, one with a file in a folder, one needs
      // a database, and two begin with a message that is refused (test/examples/alerts.test.ts runs these).
      if (button?.['name'] !== undefined && !/^(0[45]|1[45])/.test(name)) {
        await showTab(editor(), nodes)
        await press(editor(), button.id)
      }
      await editor().screenshot(`example-${name.slice(0, 2)}`)
    })
  }

  it('are imported one after the other without a question, and share one connection', async () => {
    await editor().reload({ flows: [] })
    for (const name of files) {
      await importExample(editor(), path.basename(name, '.json'))
      await isImported(page(), read(name))
    }
    assert.equal(await questions(page()).count(), 0)
    const [shared, ...more] = (await connections(page())).filter(({ isGlobal }) => isGlobal)
    const senders = files.flatMap(read).filter((node) => node['connection'] === SHARED)
    assert.deepEqual(
      [shared, more.filter(({ id }) => !id.startsWith('redoxex'))],
      [{ id: SHARED, isGlobal: true, users: senders.map(({ id }) => id).sort() }, []],
    )
    await deploy(page())
  })

  it('are not imported over a changed shared connection without a question', async () => {
    await editor().reload({ flows: [] })
    await importExample(editor(), '01 - First send')
    await isImported(page(), read('01 - First send.json'))
    await page().evaluate((id) => (RED.nodes.node(id)!['environment'] = 'Production'), SHARED)
    await importExample(editor(), '10 - Plain-text note')
    await questions(page()).first().waitFor()
    await page().getByRole('button', { name: 'Cancel' }).last().click()
  })

  it('show in the inbox the received PDF, and the dialog of the node that sent it', async () => {
    await editor().reload({ flows: [] })
    await importExample(editor(), '01 - First send')
    await deploy(page())
    await showTab(editor(), read('01 - First send.json'))
    await press(editor(), 'redoxex1i')
    await page().locator('.redox-inbox .redox-tab-line').first().click()
    // The pixels that the PDF viewer paints are checked in inbox.test.ts.
    await page().locator('.redox-inbox .redox-tab-details iframe').waitFor()
    await editor().screenshot('docs-inbox')
    await openNode(page(), 'redoxex1n')
    await form(page()).locator('.redox-preview summary').click()
    await form(page()).locator('.redox-preview pre').waitFor()
    // The dialog redraws the preview while it fills in its fields. Playwright's own scroll action waits for an element
    // that does not move, and could fail meanwhile.
    await form(page())
      .locator('.redox-preview pre')
      .evaluate((pre) => pre.scrollIntoView())
    await editor().screenshot('docs-dialog')
  })
})

/** Notification in which Node-RED asks how to import nodes that exist already. */
const questions = (page: Page): Locator =>
  page.locator('.red-ui-notification').filter({ hasText: 'already exist' })

/** Waits until the nodes are imported: the editor gets the example from the server after the dialog has closed. */
const isImported = async (page: Page, nodes: FlowNode[]): Promise<unknown> =>
  page.waitForFunction(
    (id) => RED.nodes.node(id) !== null,
    nodes.find(({ type }) => type === 'inject' || type === 'http in')!.id,
  )

interface Connection {
  id: string
  isGlobal: boolean
  users: string[]
}
const connections = (page: Page): Promise<Connection[]> =>
  page.evaluate(() => {
    const found: Connection[] = []
    RED.nodes.eachConfig(({ id, type, z, users }) => {
      if (type !== 'redox-config') return true
      const ids = (users as { id: string }[]).map((user) => user.id).sort()
      found.push({ id, isGlobal: !z, users: ids })
      return true
    })
    return found
  })

async function showTab({ page }: Editor, nodes: FlowNode[]): Promise<void> {
  const { id } = nodes.find(({ type }) => type === 'tab')!
  await page.locator(`#red-ui-workspace-tabs a[href="#${id}"]`).click()
}

/** Clicks the button on the node, and waits until the inbox has a new message. */
async function press({ page, url }: Editor, id: string): Promise<void> {
  await fetch(`${url}redox/inbox`, { method: 'DELETE' })
  await page.evaluate(() => RED.actions.invoke('redox:show-inbox'))
  await page.waitForFunction(() => document.querySelectorAll('.redox-inbox .redox-tab-line').length === 0)
  await page.locator(`[id="${id}"] .red-ui-flow-node-button-button`).click({ force: true })
  await page.locator('.redox-inbox .redox-tab-line').first().waitFor()
  const status = page.locator('.red-ui-flow-node-status-label').filter({ hasText: 'sandbox' })
  await status.first().waitFor()
}

async function importExample({ page }: Editor, title: string): Promise<void> {
  await page.locator('#red-ui-header-button-sidemenu').click()
  await page.locator('#menu-item-import').click()
  const dialog = page.locator('#red-ui-clipboard-dialog')
  await dialog.getByRole('link', { name: 'Examples' }).click()
  await dialog.getByText('@ehr-flows/node-red-redox').first().click()
  await dialog.getByText(title, { exact: true }).click()
  await page.locator('#red-ui-clipboard-dialog-ok').click()
  await page.waitForFunction(() => RED.nodes.dirty())
}
