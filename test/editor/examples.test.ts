/** The course of examples, as people meet it: import dialog and Deploy. Their buttons are pressed elsewhere. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { deploy } from './dialogs'
import { useEditor, type Editor } from './editor'

const FOLDER = path.join(__dirname, '../../../examples')
const files = readdirSync(FOLDER).filter((name) => name.endsWith('.json'))

interface FlowNode {
  id: string
  type: string
  [property: string]: unknown
}
const read = (name: string): FlowNode[] =>
  JSON.parse(readFileSync(path.join(FOLDER, name), 'utf8')) as FlowNode[]

describe('examples in the editor', function () {
  this.timeout(120_000)
  const editor = useEditor()
  const page = (): Editor['page'] => editor().page

  for (const name of files) {
    it(`"${name}" is imported from the menu, has nothing wrong, and is deployed`, async () => {
      await editor().reload({ flows: [] })
      const nodes = read(name)
      await importExample(editor(), path.basename(name, '.json'))
      for (const { id, type } of nodes) {
        const found = await page().evaluate((nodeId) => RED.nodes.node(nodeId)?.['validationErrors'], id)
        if (type.startsWith('redox-')) assert.deepEqual(found, [], `${id} in the editor`)
      }
      await deploy(page())
      await editor().screenshot(`example-${name.slice(0, 2)}`)
    })
  }
})

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
