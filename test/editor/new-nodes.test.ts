/** New nodes: properties right after the node is added, and its names in the palette, the workspace and the help. */
import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'
import { drop, field, fieldsOf, nodeOf, openConfig, openNode, SENDERS, TYPES } from './dialogs'
import { useEditor, type Editor } from './editor'

const connection = (id: string, more: object = {}): object => ({
  ...{ id, type: 'redox-config', version: 1, name: id, environment: 'Sandbox', auth: 'oauth' },
  ...{ environmentType: 'environment', delivery: 'direct', ...more },
})
const TAB = { id: 'tab', type: 'tab', label: 'New nodes' }

const NAMES: Record<string, Record<string, string>> = {
  'en-US': {
    'redox-config': 'Redox connection',
    'redox-upload': 'Redox upload',
    'redox-fhir-result': 'FHIR result',
    'redox-fhir-document': 'FHIR document',
    'redox-datamodel-note': 'Redox note',
    'redox-datamodel-results': 'Redox results',
    'redox-datamodel-media': 'Redox media',
  },
  de: {
    'redox-config': 'Redox-Verbindung',
    'redox-upload': 'Redox-Upload',
    'redox-fhir-result': 'FHIR-Befund',
    'redox-fhir-document': 'FHIR-Dokument',
    'redox-datamodel-note': 'Redox-Notiz',
    'redox-datamodel-results': 'Redox-Befunde',
    'redox-datamodel-media': 'Redox-Medien',
  },
}

describe('new node', function () {
  this.timeout(240_000)
  const editor = useEditor()
  const page = (): Editor['page'] => editor().page
  const connectionOf = async (id: string): Promise<unknown> => (await nodeOf(page(), id))['connection']

  it('uses the only existing connection, for each type of node', async () => {
    await editor().reload({ flows: [TAB, connection('only')] })
    for (const [index, type] of SENDERS.entries())
      assert.equal(await connectionOf(await drop(page(), type, index)), 'only', type)
    const [upload] = await idsOf(page(), 'redox-upload')
    const { valid, validationErrors } = await nodeOf(page(), upload!)
    assert.deepEqual([valid, validationErrors], [true, []])
    assert.equal(await usersOf(page(), 'only'), SENDERS.length)
    await openNode(page(), upload!)
    assert.equal(await field(page(), 'connection').inputValue(), 'only')
  })

  const OTHERS: [why: string, flows: object[], wanted: string][] = [
    ['none where there is none', [], ''],
    ['none of several', [connection('one'), connection('two')], ''],
    ['not one that is disabled', [connection('one', { d: true })], ''],
    ['the one that is enabled', [connection('one', { d: true }), connection('two')], 'two'],
    [
      'not one that belongs to another flow',
      [{ ...TAB, id: 'other' }, connection('one', { z: 'other' })],
      '',
    ],
    ['one that belongs to this flow', [connection('one', { z: 'tab' })], 'one'],
  ]
  for (const [why, flows, wanted] of OTHERS) {
    it(`uses ${why}`, async () => {
      await editor().reload({ flows: [TAB, ...flows] })
      assert.equal(await connectionOf(await drop(page(), 'redox-datamodel-note', 0)), wanted)
    })
  }

  it('disappears with Undo, including its use of the connection, and returns with Redo', async () => {
    await editor().reload({ flows: [TAB, connection('only')] })
    const id = await drop(page(), 'redox-upload', 0)
    await page().evaluate(() => RED.actions.invoke('core:undo'))
    assert.deepEqual([await idsOf(page(), 'redox-upload'), await usersOf(page(), 'only')], [[], 0])
    await page().evaluate(() => RED.actions.invoke('core:redo'))
    assert.equal(await connectionOf(id), 'only')
    assert.equal(await usersOf(page(), 'only'), 1)
  })

  it('keeps its connection, or stays without one, when it was imported or pasted', async () => {
    await editor().reload({ flows: [TAB, connection('only')] })
    const node = { type: 'redox-upload', version: 1, x: 100, y: 100, z: 'tab', wires: [[]], file: 'payload' }
    await page().evaluate(
      (nodes) => {
        // Imports the nodes as pasting does: they get new ids and stay attached to the mouse pointer until a click.
        RED.view.importNodes(nodes, { generateIds: true, addFlow: false })
      },
      [
        { ...node, id: 'none', name: 'none', connection: '' },
        { ...node, id: 'gone', name: 'gone', y: 160, connection: 'not there' },
      ],
    )
    await page()
      .locator('#red-ui-workspace-chart')
      .click({ position: { x: 400, y: 300 } })
    const found = await page().evaluate(() =>
      RED.nodes
        .filterNodes({ type: 'redox-upload' })
        .map((one) => `${one['name'] as string}: ${one['connection'] as string}`)
        .sort(),
    )
    assert.deepEqual(found, ['gone: not there', 'none: '])
  })

  for (const type of ['redox-datamodel-note', 'redox-datamodel-media']) {
    it(`of type ${type} generates its DocumentID from the file, and a saved node keeps its setting`, async () => {
      const saved = { type, version: 1, z: 'tab', x: 600, y: 100, wires: [[]], connection: 'only' }
      await editor().reload({
        flows: [TAB, connection('only'), { ...saved, id: 'saved', documentId: 'doc', documentIdType: 'msg' }],
      })
      const typeOf = async (id: string): Promise<string> => {
        await openNode(page(), id)
        const { type: chosen } = (await fieldsOf(page())).find(({ name }) => name === 'documentId')!
        await page().locator('#node-dialog-cancel').click()
        await page().locator('#dialog-form').waitFor({ state: 'detached' })
        return chosen
      }
      assert.equal(await typeOf('saved'), 'msg')
      await page().evaluate(() => RED.nodes.node('saved')!.id)
      const ids = await idsOf(page(), type)
      await page()
        .locator(`.red-ui-palette-node[data-palette-type="${type}"]`)
        .dragTo(page().locator('#red-ui-workspace-chart'), { targetPosition: { x: 250, y: 200 } })
      const [dropped] = (await idsOf(page(), type)).filter((id) => !ids.includes(id))
      assert.equal(await typeOf(dropped!), 'content')
    })
  }

  it('has an icon of the common size, centred', async () => {
    for (const type of TYPES) {
      const { left, right, top, bottom } = await extentOf(page(), type)
      const [width, height] = [right - left, bottom - top]
      // Icons of different shapes (square, sheet, landscape) look equally large if their longer sides are equal.
      const longer = Math.max(width, height)
      assert.ok(longer >= 32 && longer <= 40, `${type}: ${width} × ${height}`)
      assert.ok(Math.min(width, height) >= 28, `${type}: ${width} × ${height}`)
      const middle = [(left + right) / 2, (top + bottom) / 2]
      assert.ok(
        Math.abs(middle[0]! - 20) <= 1.5 && Math.abs(middle[1]! - 30) <= 1.5,
        `${type}: ${middle.join()}`,
      )
    }
  })

  for (const [language, names] of Object.entries(NAMES)) {
    it(`has the same name everywhere, on one line in the palette: ${language}`, async () => {
      await editor().reload({ flows: [TAB, connection('only', { name: '' })], language })
      for (const type of TYPES) assert.deepEqual(await namesOf(page(), type), namesWanted(type, names[type]!))
      await page().locator('.redox-palette-node').last().scrollIntoViewIfNeeded()
      await editor().screenshot(`palette-${language}`)
      for (const type of SENDERS) {
        const entry = page().locator(`.red-ui-palette-node[data-palette-type="${type}"]`)
        const found = await entry.locator('.red-ui-palette-label').evaluate((label) => {
          const range = document.createRange()
          range.selectNodeContents(label)
          const lines = [...range.getClientRects()]
          const { right } = label.parentElement!.getBoundingClientRect()
          return {
            text: label.textContent,
            lines: new Set(lines.map(({ top }) => Math.round(top))).size,
            // The output port covers the last 5 pixels of the node, where the label must not be.
            isWhole: lines.every((line) => line.right < right - 5),
            height: label.parentElement!.clientHeight,
          }
        })
        const { height } = (await page().locator('.red-ui-palette-node').first().boundingBox())!
        assert.deepEqual(found, { text: names[type], lines: 1, isWhole: true, height: height - 2 })
      }
      const id = await drop(page(), 'redox-fhir-result', 0)
      await openNode(page(), id)
      assert.match(await titleOf(page()), new RegExp(names['redox-fhir-result']!))
      await page().locator('#node-dialog-cancel').click()
      await page().locator('#dialog-form').waitFor({ state: 'detached' })
      await openConfig(page(), 'only')
      assert.match(await titleOf(page()), new RegExp(names['redox-config']!))
      await editor().reload()
    })
  }
})

/** Edges of the painted area of a node type's icon, in pixels of the icon's canvas (40 × 60). */
const extentOf = (page: Page, type: string): Promise<Record<'left' | 'right' | 'top' | 'bottom', number>> =>
  page.evaluate(async (name) => {
    const image = new Image(40, 60)
    image.src = `icons/@ehr-flows/node-red-redox/${name}.svg`
    await image.decode()
    const canvas = Object.assign(document.createElement('canvas'), { width: 40, height: 60 })
    const context = canvas.getContext('2d')!
    context.drawImage(image, 0, 0, 40, 60)
    const { data } = context.getImageData(0, 0, 40, 60)
    const painted = [...Array(40 * 60).keys()].filter((index) => data[4 * index + 3]! > 60)
    const columns = painted.map((index) => index % 40)
    const rows = painted.map((index) => Math.floor(index / 40))
    return {
      left: Math.min(...columns),
      right: Math.max(...columns) + 1,
      top: Math.min(...rows),
      bottom: Math.max(...rows) + 1,
    }
  }, type)

const idsOf = (page: Page, type: string): Promise<string[]> =>
  page.evaluate((wanted) => RED.nodes.filterNodes({ type: wanted }).map(({ id }) => id), type)

const usersOf = (page: Page, id: string): Promise<number> =>
  page.evaluate((one) => (RED.nodes.node(one)!['users'] as unknown[]).length, id)

const titleOf = (page: Page): Promise<string> => page.locator('.red-ui-tray-titlebar').last().innerText()

/** Names of a node type in three places: the palette, the label of an unnamed node, and the list of the help tab. */
async function namesOf(page: Page, type: string): Promise<Record<string, string>> {
  return page.evaluate((one) => {
    const definition = RED.nodes.getType(one) as {
      defaults: Record<string, { value: unknown }>
      label: (this: object) => string
      paletteLabel: (this: object) => string
      _: (key: string) => string
    }
    const values = Object.entries(definition.defaults).map(([name, { value }]) => [name, value])
    const node = { ...Object.fromEntries(values), _: definition._ } as object
    return { palette: definition.paletteLabel.call(definition), node: definition.label.call(node) }
  }, type)
}

const namesWanted = (type: string, name: string): Record<string, string> => ({
  palette: name,
  // The label of a connection also contains the connection's environment.
  node: type === 'redox-config' ? `${name} (Sandbox)` : name,
})
